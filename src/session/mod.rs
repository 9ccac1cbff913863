//! Protocol state of one peer, one file per role. Today every peer is a client; routes, leaf nodes and gateways will be
//! files beside it, and the shard picks the role once, when the connection comes in.

pub mod client;
pub mod close;
pub mod record;
pub mod settings;
pub mod slow_consumer;
