//! Trunkline: a message broker that speaks the NATS protocol.
#![deny(unsafe_code)]

pub mod base;
pub mod config;
pub mod interest;
pub mod mesh;
pub mod protocol;
pub mod router;
pub mod runtime;
pub mod session;
pub mod shard;
pub mod subject;
pub mod supervisor;
