//! A connection that subscribes: it counts what comes, looks at it if the scenario says so, or answers it. *Hot path.*

use super::connection::Listener;
use super::tally::Tally;
use crate::ledger::{Share, Track};
use crate::scenario::Scenario;
use crate::scenario::subjects::{self, Names};
use crate::stamp::Stamp;
use crate::wire::{Message, Wire};

/// Takes the messages of its class.
#[derive(Debug)]
pub(super) struct Subscriber {
    class: u32,
    group: Option<u32>,
    examiner: Option<Examiner>,
    is_timed: bool,
}

/// Looks at each delivery.
#[derive(Debug)]
struct Examiner {
    /// What the subjects of this class begin with, as events carry them.
    front: Vec<u8>,
    /// The highest subscription id.
    subscriptions: u64,
    books: Books,
    damaged: u64,
    unexpected: u64,
}

/// A page for each publisher.
#[derive(Debug)]
pub(super) enum Books {
    Whole(Vec<Track>),
    Shared(Vec<Share>),
}

/// What a subscriber has found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) class: u32,
    pub(super) group: Option<u32>,
    pub(super) books: Books,
    pub(super) damaged: u64,
    pub(super) unexpected: u64,
}

impl Subscriber {
    pub(super) fn new<W: Wire>(
        scenario: &Scenario,
        index: u32,
        names: &Names,
        subscriptions: u64,
    ) -> Subscriber {
        let class = subjects::class_of_subscriber(scenario, index);
        let group = subjects::group_of_subscriber(scenario, index);
        let publishers = scenario.publishers as usize;
        let books = || match group {
            Some(_) => Books::Shared(vec![Share::default(); publishers]),
            None => Books::Whole(vec![Track::default(); publishers]),
        };
        Subscriber {
            class,
            group,
            examiner: scenario.verify.then(|| Examiner {
                front: W::spelled(names.front(class)),
                subscriptions,
                books: books(),
                damaged: 0,
                unexpected: 0,
            }),
            is_timed: scenario.latency,
        }
    }

    /// Nothing, if it did not look.
    pub(super) fn settle(self) -> Option<Findings> {
        let examiner = self.examiner?;
        Some(Findings {
            class: self.class,
            group: self.group,
            books: examiner.books,
            damaged: examiner.damaged,
            unexpected: examiner.unexpected,
        })
    }
}

impl<W: Wire> Listener<W> for Subscriber {
    #[inline]
    fn message(
        &mut self,
        message: &Message<'_>,
        now_ns: u64,
        tally: &mut Tally,
        _wire: &W,
        _out: &mut Vec<u8>,
    ) {
        tally.deliver(message.payload.len(), now_ns);
        let stamp = match &mut self.examiner {
            Some(examiner) => examiner.look(message),
            None if self.is_timed => Stamp::read_unverified(message.payload),
            None => None,
        };
        if let (Some(stamp), true) = (stamp, self.is_timed) {
            let (corrected_ns, service_ns) = stamp.delays(now_ns);
            tally.record(corrected_ns, service_ns);
        }
    }
}

impl Examiner {
    #[inline]
    fn look(&mut self, message: &Message<'_>) -> Option<Stamp> {
        let is_ours = message
            .subscription
            .is_none_or(|id| id != 0 && id <= self.subscriptions);
        if !is_ours || !message.subject.starts_with(&self.front) {
            self.unexpected += 1;
            return None;
        }
        let Ok(stamp) = Stamp::read(message.payload) else {
            self.damaged += 1;
            return None;
        };
        let page = usize::from(stamp.publisher);
        let is_known = match &mut self.books {
            Books::Whole(tracks) => tracks.get_mut(page).map(|track| track.note(stamp.sequence)),
            Books::Shared(shares) => shares.get_mut(page).map(|share| share.note(stamp.sequence)),
        };
        if is_known.is_none() {
            self.unexpected += 1;
            return None;
        }
        Some(stamp)
    }
}

/// Answers each request with what it says.
#[derive(Debug)]
pub(super) struct Responder;

impl<W: Wire> Listener<W> for Responder {
    #[inline]
    fn message(
        &mut self,
        message: &Message<'_>,
        _now_ns: u64,
        _tally: &mut Tally,
        wire: &W,
        out: &mut Vec<u8>,
    ) {
        if let Some(reply) = message.reply {
            wire.publish(out, reply, None, message.payload);
        }
    }
}

/// Hears nothing: idle connections, and all of them before the load begins.
#[derive(Debug)]
pub(super) struct Deaf;

impl<W: Wire> Listener<W> for Deaf {
    fn message(
        &mut self,
        _message: &Message<'_>,
        _now_ns: u64,
        _tally: &mut Tally,
        _wire: &W,
        _out: &mut Vec<u8>,
    ) {
    }
}
