//! What a client says to a server and how it reads the answers, for each protocol: bytes in, events out, no sockets.
//!
//! - A driver ([`Wire`]) is one connection's state. It never blocks, reads no clock and owns no buffer of messages.
//! - Subjects and patterns are given as in NATS (`a.b`, `*`, `>`), and a driver translates them to its own spelling, if there
//!   is one; events carry that ([`Wire::spelled`]). The subjects of the load hold lower-case letters, digits, `_` and dots only.
//! - Every wire answers a flush after everything that was sent before it, so a flush tells that subscriptions stand and
//!   that publishes were taken.
//!
//! It does not verify or count anything: that is `ledger`.

mod decimal;
pub mod mqtt;
pub mod nats;
pub mod resp;

use std::fmt;

/// The protocols that have a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Nats,
    /// Redis publish and subscribe.
    Resp,
    /// MQTT 3.1.1 at quality of service 0.
    Mqtt,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Nats => "NATS",
            Protocol::Resp => "Redis",
            Protocol::Mqtt => "MQTT",
        })
    }
}

/// Who the connections say they are. All absent: nobody in particular.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub user: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
}

/// Secrets do not go into logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish()
    }
}

/// One connection's side of a protocol.
///
/// The order of calls: [`open`](Wire::open) once, [`shake`](Wire::shake) until it says ready, then the others in any order.
pub trait Wire: Sized + Send + 'static {
    const PROTOCOL: Protocol;
    /// Whether [`subscribe`](Wire::subscribe) takes a queue group.
    const HAS_QUEUE_GROUPS: bool;
    /// Whether [`publish`](Wire::publish) takes a reply subject and events carry it.
    const HAS_REQUESTS: bool;

    /// A connection that has not been opened. `name` is unique among the connections of a run.
    fn new(credentials: &Credentials, name: &str) -> Self;

    /// The connection is over TLS now, which some servers ask for.
    fn secured(&mut self) {}

    /// What the client sends as soon as the connection stands. Nothing, if the server speaks first.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Looks at what has arrived before the connection is ready. What it reports as consumed is never shown again; the rest
    /// is shown again together with what arrives next.
    fn shake(&mut self, received: &[u8], out: &mut Vec<u8>) -> (usize, Shake);

    /// Subscribes. `id` is unique on this connection and above zero; `group` is given only if there are queue groups.
    fn subscribe(&mut self, out: &mut Vec<u8>, id: u64, pattern: &str, group: Option<&str>);

    fn unsubscribe(&mut self, out: &mut Vec<u8>, id: u64, pattern: &str);

    /// Publishes. Returns where in `out` the payload begins; it stands there in one piece, so that it can be stamped later in
    /// a copy of these bytes. Must not depend on anything that changes between two calls: the bytes are used many times.
    ///
    /// `reply` is given only if there are requests. Never larger than what the server said it takes.
    fn publish(
        &self,
        out: &mut Vec<u8>,
        subject: &[u8],
        reply: Option<&[u8]>,
        payload: &[u8],
    ) -> usize;

    /// A subject, or what one begins with, as the protocol's events carry it.
    fn spelled(subject: Vec<u8>) -> Vec<u8> {
        subject
    }

    /// Asks for an [`Event::Flushed`]. At most one is under way on a connection.
    fn flush(&mut self, out: &mut Vec<u8>);

    /// Takes the next frame. *Hot path.*
    fn parse<'a>(&mut self, received: &'a [u8]) -> Parsed<'a>;
}

/// How far the handshake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shake {
    More,
    Ready(Greeting),
    /// The server refuses, in its own words.
    Refused(String),
    /// What arrived is not this protocol.
    Foreign,
    /// A need of the server's that the driver cannot meet, as the end of the sentence "the server …".
    Unable(String),
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Name and version, such as `nats-server 2.15.1`.
    pub version: String,
    pub payload_bytes_max: Option<u64>,
}

/// The first frame of what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// An event that takes this many bytes, at least one.
    Event(usize, Event<'a>),
    /// Not a whole frame yet.
    Incomplete,
    /// Bytes that this protocol cannot mean.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    Message(Message<'a>),
    /// The answer to a flush.
    Flushed,
    /// Bytes that have to be sent back now, such as the answer to a server's ping.
    Answer(&'static [u8]),
    /// What the server complains about.
    Error(&'a [u8]),
    /// Nothing that matters to a load: an acknowledgement, a new INFO.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The subscription's id, if the protocol carries one.
    pub subscription: Option<u64>,
    /// In the protocol's own spelling.
    pub subject: &'a [u8],
    pub reply: Option<&'a [u8]>,
    pub payload: &'a [u8],
    /// The answer to a request that nobody is there to answer.
    pub is_nobody_there: bool,
}

/// Why there is no frame yet: within drivers, where `?` ends the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Incomplete,
    Broken,
}

impl From<Stop> for Parsed<'_> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Incomplete => Parsed::Incomplete,
            Stop::Broken => Parsed::Broken,
        }
    }
}
