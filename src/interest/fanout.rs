//! The answer to "who gets this message", shaped for delivery. *Hot path.*
//!
//! The head of a delivery, `MSG <subject> <sid> `, is the same for every message of a subject to a subscription. It is
//! rendered once, when the answer is made, and kept as `HMSG …`: without its first byte it is the head of a `MSG`.

use super::SubscriptionId;
use super::epochs::Area;
use crate::base::ids::{ShardId, ShardSet};
use std::sync::Arc;

/// Who gets the messages of one subject.
#[derive(Debug)]
pub struct Answer {
    /// `HMSG <subject> `, and behind it `<sid> ` when there is a single target.
    line: Line,
    route: Route,
    subject_len: u16,
    /// The cache's own notes; they lie here because here is the padding that makes an entry one cache line.
    pub(super) area: Area,
    pub(super) used: bool,
}

/// The shape of an answer.
#[derive(Debug)]
pub enum Route {
    Nobody,
    /// One plain subscription of this shard, and nobody else.
    One {
        connection: u32,
        subscription: SubscriptionId,
    },
    /// These other shards, and nobody here.
    Peers(ShardSet),
    Many(Box<Fanout>),
}

/// Everyone who gets the messages of one subject.
#[derive(Debug, Default)]
pub struct Fanout {
    /// Plain subscriptions of this shard: each gets a copy.
    pub targets: Vec<Target>,
    /// Queue groups: one member of each gets a copy.
    pub groups: Vec<GroupFanout>,
    /// Shards with plain subscriptions: each gets one copy over its lane.
    pub peers: ShardSet,
    /// Where else the message goes on to; seldom any.
    pub hops: Option<Arc<[Hop]>>,
    pub(super) heads: Vec<u8>,
}

/// A way out of the account that a message is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Through a service import of the account, as `subject` of the exporting one.
    Request {
        /// Its number ([`crate::account::Accounts::service`]).
        import: usize,
        subject: Box<[u8]>,
    },
    /// To whoever on this shard waits for the response with this subject.
    Response,
}

/// A queue group that wants the subject, over all patterns and shards.
#[derive(Debug)]
pub struct GroupFanout {
    pub name: Box<[u8]>,
    /// Members of this shard.
    pub members: Vec<Target>,
    /// Members per other shard.
    pub peers: Vec<(ShardId, u32)>,
    /// All members; what a pick is drawn from.
    pub weight: u32,
}

/// One subscription of this shard.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub connection: u32,
    pub subscription: SubscriptionId,
    head_start: u32,
    head_len: u32,
}

/// Whether the line of an [`Answer`] ends with a subscription identifier.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prefix<'a> {
    NoSid,
    Sid(&'a [u8]),
}

const VERB: &[u8] = b"HMSG ";

impl Answer {
    /// # Panics
    /// When the subject is longer than a control line may be (`config`: at most 65,535 bytes).
    pub(super) fn new(subject: &[u8], prefix: Prefix<'_>, route: Route) -> Answer {
        let mut line = Vec::with_capacity(VERB.len() + subject.len() + 16);
        let subject_len = u16::try_from(subject.len()).expect("a subject fits a control line");
        match prefix {
            Prefix::NoSid => {
                line.extend_from_slice(VERB);
                line.extend_from_slice(subject);
                line.push(b' ');
            }
            Prefix::Sid(sid) => render_head(&mut line, subject, sid),
        }
        Answer {
            line: Line::new(&line),
            route,
            subject_len,
            area: Area::default(),
            used: true,
        }
    }

    #[inline]
    pub fn subject(&self) -> &[u8] {
        &self.line.as_slice()[VERB.len()..VERB.len() + usize::from(self.subject_len)]
    }

    #[inline]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The head of a delivery to the target of [`Route::One`].
    #[inline]
    pub fn head_of_one(&self) -> &[u8] {
        self.line.as_slice()
    }

    /// How many plain subscriptions and queue groups of this shard it names.
    pub(super) fn width(&self) -> usize {
        match &self.route {
            Route::Nobody | Route::Peers(_) => 0,
            Route::One { .. } => 1,
            Route::Many(fanout) => fanout.targets.len() + fanout.groups.len(),
        }
    }

    /// How many targets it holds beside the entry itself.
    pub(super) fn weight(&self) -> usize {
        match &self.route {
            Route::Nobody | Route::One { .. } | Route::Peers(_) => 0,
            Route::Many(fanout) => fanout.weight(),
        }
    }
}

impl Fanout {
    /// The head of a delivery to one of its targets or members.
    #[inline]
    pub fn head(&self, target: &Target) -> &[u8] {
        &self.heads[target.head_start as usize..][..target.head_len as usize]
    }

    /// Renders the head for one more subscription.
    pub(super) fn target(
        &mut self,
        subject: &[u8],
        sid: &[u8],
        connection: u32,
        subscription: SubscriptionId,
    ) -> Target {
        let start = self.heads.len();
        render_head(&mut self.heads, subject, sid);
        let narrow = |len: usize| u32::try_from(len).expect("heads of one subject fit 4 GiB");
        Target {
            connection,
            subscription,
            head_start: narrow(start),
            head_len: narrow(self.heads.len() - start),
        }
    }

    fn weight(&self) -> usize {
        let members = |group: &GroupFanout| group.members.len() + group.peers.len() + 1;
        let hops = self.hops.as_ref().map_or(0, |hops| hops.len());
        1 + self.targets.len() + hops + self.groups.iter().map(members).sum::<usize>()
    }
}

fn render_head(into: &mut Vec<u8>, subject: &[u8], sid: &[u8]) {
    into.extend_from_slice(VERB);
    into.extend_from_slice(subject);
    into.push(b' ');
    into.extend_from_slice(sid);
    into.push(b' ');
}

/// Bytes that mostly fit beside the rest of a cache entry.
#[derive(Debug)]
enum Line {
    Inline {
        len: u8,
        bytes: [u8; Line::INLINE_MAX],
    },
    Heap(Box<[u8]>),
}

impl Line {
    const INLINE_MAX: usize = 30;

    fn new(content: &[u8]) -> Line {
        match u8::try_from(content.len()) {
            Ok(len) if content.len() <= Line::INLINE_MAX => {
                let mut bytes = [0; Line::INLINE_MAX];
                bytes[..content.len()].copy_from_slice(content);
                Line::Inline { len, bytes }
            }
            _ => Line::Heap(content.into()),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Line::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Line::Heap(bytes) => bytes,
        }
    }
}
