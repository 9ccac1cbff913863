//! What is between one socket and its session: an opening at first, TLS afterwards; for plain connections, nothing.

use crate::base::clock::Now;
use crate::wire::opening::Opening;
use crate::wire::tls::stream::Stream;

/// The stages of one connection.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) now: Stage,
    /// What they have to say themselves: handshakes, alerts, key updates. It goes before what is sealed later.
    pub(super) outgoing: Vec<u8>,
    /// The opening is in the queue of those that have something to do.
    pub(super) is_queued: bool,
    /// The deadline of the opening that the pump knows of.
    pub(super) armed_for: Now,
    /// Something waits to be sent until what is in flight has gone.
    pub(super) wants_send: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    Opening(Opening),
    Secure(Box<Stream>),
}

impl Stages {
    pub(super) fn new(opening: Opening) -> Stages {
        Stages {
            now: Stage::Opening(opening),
            outgoing: Vec::new(),
            is_queued: false,
            armed_for: Now::ZERO,
            wants_send: false,
        }
    }
}
