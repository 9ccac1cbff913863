//! The load generator: one scenario against one server, and from that comparisons and reports.
//!
//! | module | what is in it | start with |
//! |---|---|---|
//! | `scenario` | what load is meant: publishers, subjects, sizes, rate, how long; files of named scenarios | [`Scenario`] |
//! | `record` | what was measured, as JSON files with a schema | [`Record`], [`Comparison`] |
//!
//! Nothing here asserts a speed: it measures, and fails a run only when messages are lost, doubled, disordered or damaged.
//! It shares no code with the broker: what measures must not also judge.

pub mod record;
pub mod scenario;

pub use record::{Comparison, Record};
pub use scenario::Scenario;
