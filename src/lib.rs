//! Trunkline: a message broker that speaks the NATS protocol.
//!
//! A room is a folder of `src`, and uses only rooms further up in this table (`tests/tidy.rs` reads the arrows and says
//! why each holds). How they work together, and what must stay true, is in `docs/architecture.md`.
//!
//! | room | what is in it |
//! |---|---|
//! | [`base`] | identifiers, slab, time and chance as values, limits, log records |
//! | [`subject`] | literal subjects and patterns: two checked types |
//! | [`config`] | options, typed and checked; one table drives flags, defaults, help and reload |
//! | [`protocol`] | bytes to operations and back |
//! | [`wire`] | byte stages between a socket and its session: PROXY protocol, TLS |
//! | [`account`] | accounts, compiled: what crosses between them |
//! | [`auth`] | users, compiled: who a client is |
//! | [`interest`] | who wants what, as one shard knows it, and the answers it remembers |
//! | [`mesh`] | lanes to the other shards, and the parcels that travel on them |
//! | [`router`] | publish to fanout to deliveries; outboxes |
//! | [`session`] | protocol state of one peer, one file per role |
//! | [`shard`] | the state machine of one core, sans-IO |
//! | [`runtime`] | the world outside: threads, io_uring, sockets, clocks, log files |
//! | [`monitor`] | HTTP monitoring: pages and metrics from what the shards answer |
//! | [`system`] | the services of the system account, from what the monitor knows |
//! | [`supervisor`] | start, signals, lame duck, stop |
//! | [`top`] | the view of `trunkline top`: it uses no other room |
#![deny(unsafe_code)]

pub mod account;
pub mod auth;
pub mod base;
pub mod config;
pub mod interest;
pub mod mesh;
pub mod monitor;
pub mod protocol;
pub mod router;
pub mod runtime;
pub mod session;
pub mod shard;
pub mod subject;
pub mod supervisor;
pub mod system;
pub mod top;
pub mod wire;
