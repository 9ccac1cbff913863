//! The load generator: one scenario against one server, and from that comparisons and reports.
//!
//! | module | what is in it | start with |
//! |---|---|---|
//! | `scenario` | what load is meant: publishers, subjects, sizes, rate, how long; files of named scenarios | [`Scenario`] |
//! | `cli` | the command line | [`cli::main`] |
//! | `run` | one run: a load on a server, watched | [`run::Run`] |
//! | `compare` | several servers in turns, and their ratios | [`compare::compare`] |
//! | `cost` | what a run costs the server's process | [`cost::Watch`] |
//! | `server` | servers that can be started | [`server::Started`] |
//! | `load` | the engine: puts a load on a server | [`load::run`] |
//! | `wire` | the clients' protocols, without sockets | [`wire::Wire`] |
//! | `sink` | servers that do next to nothing, to measure the generator itself | [`sink::Sink`] |
//! | `stamp` | what a payload carries: who, when, checksum | [`stamp::Stamp`] |
//! | `dice` | chance with a seed | [`dice::Dice`] |
//! | `ledger` | what verification finds | [`ledger::Track`] |
//! | `latency` | histograms of delays and their files | [`latency::Histograms`] |
//! | `micro` | instruction counts of the broker's pure parts, beside committed ones | [`micro::run`] |
//! | `draft` | files that are there whole or not at all | `draft::Draft` |
//! | `record` | what was measured, as JSON files with a schema | [`Record`], [`Comparison`] |
//! | `report` | records as a Markdown table and an HTML page | [`report::run`] |
//!
//! Nothing here asserts a speed: it measures, and fails a run only when messages are lost, doubled, disordered or damaged.
//! It shares no code with the broker: what measures must not also judge.

pub mod cli;
mod columns;
pub mod compare;
pub mod cost;
pub mod dice;
mod draft;
pub mod latency;
pub mod ledger;
pub mod load;
mod machine;
pub mod micro;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server;
pub mod sink;
pub mod stamp;
mod temporary;
pub mod wire;

pub use record::{Comparison, Record};
pub use scenario::Scenario;
