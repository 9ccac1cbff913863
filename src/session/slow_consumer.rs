//! Who was slow, and what was too much for it: a value for the log, and for whoever watches the server.

use super::close::CloseReason;
use crate::base::clock::Now;
use crate::base::ids::{AccountId, ClientNumber};
use crate::base::origin::Origin;
use crate::protocol::event;
use crate::protocol::reply::quoted;
use std::fmt;

/// A client that was closed because it did not take what it had asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowConsumer {
    pub number: ClientNumber,
    pub origin: Origin,
    pub account: AccountId,
    /// One of the two reasons for which a client is slow.
    pub reason: CloseReason,
    pub closed_at: Now,
    pub pending_bytes: usize,
    /// `None` if all that waited was on its way to it already.
    pub glut: Option<Glut>,
}

/// What most of the waiting bytes were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glut {
    /// The subject of the messages, as they are delivered.
    pub subject: Box<[u8]>,
    /// The subscription that they are for. Its pattern is `None` if it has ended meanwhile.
    pub sid: Box<[u8]>,
    pub pattern: Option<Box<[u8]>>,
    /// Empty without a queue group.
    pub queue: Box<[u8]>,
    /// How much of a sample they are, and how much of it all that was for this subscription.
    pub percent: u8,
    pub subscription_percent: u8,
}

impl SlowConsumer {
    /// The line for the log, given the account's name. Without the words of nats-server's line: who counts those, counts
    /// consumers.
    pub fn told(&self, account: &str) -> String {
        let bytes = self.pending_bytes;
        let what = match &self.glut {
            Some(glut) => glut.to_string(),
            None => "all of them on the way".to_owned(),
        };
        format!("Did not keep up in account {account}: {bytes} bytes waiting, {what}")
    }

    /// In text, for events and pages: what clients have chosen may be no UTF-8.
    pub fn report(&self) -> event::SlowConsumer {
        let glut = self.glut.as_ref();
        let text =
            |part: Option<&[u8]>| String::from_utf8_lossy(part.unwrap_or_default()).into_owned();
        event::SlowConsumer {
            pending_bytes: self.pending_bytes,
            subject: text(glut.map(|glut| &*glut.subject)),
            subscription: text(glut.and_then(|glut| glut.pattern.as_deref())),
            sid: text(glut.map(|glut| &*glut.sid)),
            queue: text(glut.map(|glut| &*glut.queue)),
            percent: glut.map(|glut| glut.percent),
        }
    }
}

impl fmt::Display for Glut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Glut {
            subject,
            sid,
            pattern,
            queue,
            percent,
            subscription_percent,
        } = self;
        write!(f, "{percent}% on subject {}", quoted(subject))?;
        match pattern {
            Some(pattern) => write!(f, ", subscription {} with SID ", quoted(pattern))?,
            None => write!(f, ", of an ended subscription with SID ")?,
        }
        write!(f, "{}", String::from_utf8_lossy(sid))?;
        if !queue.is_empty() {
            write!(f, " in queue {}", quoted(queue))?;
        }
        if subscription_percent > percent {
            write!(
                f,
                ", which has {subscription_percent}% with its other subjects"
            )?;
        }
        Ok(())
    }
}
