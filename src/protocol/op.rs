//! Protocol operations of a client, borrowing the bytes they were parsed from. *Hot path.*

use super::message::{LooseMessage, Message};

/// One complete operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `PUB` or `HPUB` in the spelling every client uses: its bytes can be forwarded as they are.
    Publish(Message<'a>),
    /// `PUB` or `HPUB` spelled otherwise: several blanks, tabs, a bare line feed.
    PublishLoose(LooseMessage<'a>),
    /// `SUB <subject> [queue] <sid>`; `queue` is empty for a plain subscription.
    Subscribe {
        subject: &'a [u8],
        queue: &'a [u8],
        sid: &'a [u8],
    },
    /// `UNSUB <sid> [max]`; a `max` that is no number counts as none, which ends the subscription at once.
    Unsubscribe {
        sid: &'a [u8],
        max: Option<u64>,
    },
    /// `CONNECT <json>`, not looked into.
    Connect(&'a [u8]),
    Ping,
    Pong,
    /// `+OK`, which a client has no reason to send; ignored.
    Ok,
    /// `-ERR <text>` from a client.
    Err(&'a [u8]),
    /// `INFO <json>` from a client; nothing in it matters to us.
    Info(&'a [u8]),
}

impl Op<'_> {
    /// The verb as trace lines spell it.
    pub fn verb(&self) -> &'static str {
        match self {
            Op::Publish(message) if message.header_len.is_some() => "HPUB",
            Op::PublishLoose(loose) if loose.header_len.is_some() => "HPUB",
            Op::Publish(_) | Op::PublishLoose(_) => "PUB",
            Op::Subscribe { .. } => "SUB",
            Op::Unsubscribe { .. } => "UNSUB",
            Op::Connect(_) => "CONNECT",
            Op::Ping => "PING",
            Op::Pong => "PONG",
            Op::Ok => "+OK",
            Op::Err(_) => "-ERR",
            Op::Info(_) => "INFO",
        }
    }
}
