//! Trunkline: a message broker that speaks the NATS protocol.
#![deny(unsafe_code)]

pub mod base;
pub mod interest;
pub mod mesh;
pub mod protocol;
pub mod subject;
