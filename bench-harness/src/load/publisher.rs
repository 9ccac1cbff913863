//! A connection that publishes, and if the scenario says so, waits for the answers. *Hot path.*
//!
//! - It keeps no messages that wait to be sent: how many are due is a number, and when each was due follows from the schedule.
//! - The sequence counts per class of subjects, so that a subscriber of one class sees no holes.
//! - It renders a batch only when the one before is written: what a stamp says about the time of writing is off by the time
//!   that one batch takes at most.

use std::io::Write;
use std::sync::Arc;

use super::connection::Listener;
use super::frames::Frames;
use super::pacing::Schedule;
use super::tally::Tally;
use crate::ledger::Open;
use crate::record::Verdict;
use crate::scenario::size::Sizes;
use crate::scenario::subjects::{self, Picker};
use crate::scenario::{Exchange, Rate, Scenario};
use crate::stamp::Stamp;
use crate::wire::{Message, Wire};

#[derive(Debug)]
pub(super) struct Publisher {
    id: u16,
    picker: Picker,
    sizes: Sizes,
    frames: Arc<Frames>,
    /// How many messages of each class were sent in the whole run.
    sent_of_class: Vec<u64>,
    is_stamped: bool,
    batch_bytes: usize,
    requests: Option<Requests>,
    unexpected: u64,
    /// In an open loop.
    schedule: Option<Schedule>,
    /// Messages of this phase that may have been sent by now, that were, and that there will be at most.
    due: u64,
    sent: u64,
    quota: u64,
    /// The socket took no more, so that it is not our fault if the next batch is late.
    pub(super) was_blocked: bool,
}

#[derive(Debug)]
struct Requests {
    /// The reply subject, and how much of it stays.
    reply: Vec<u8>,
    front: usize,
    /// In a closed loop.
    in_flight_max: Option<u64>,
    in_flight: u64,
    answered: u64,
    damaged: u64,
    is_verified: bool,
    open: Open,
}

impl Publisher {
    pub(super) fn new(
        scenario: &Scenario,
        id: u16,
        frames: Arc<Frames>,
        inbox: String,
        batch_bytes: usize,
    ) -> Publisher {
        let requests = match scenario.exchange {
            Exchange::Publish => None,
            Exchange::Request { in_flight } => Some(Requests {
                front: inbox.len(),
                reply: inbox.into_bytes(),
                in_flight_max: (scenario.rate == Rate::Saturate).then_some(u64::from(in_flight)),
                in_flight: 0,
                answered: 0,
                damaged: 0,
                is_verified: scenario.verify,
                open: Open::default(),
            }),
        };
        // All answers come to one requester, whichever class the request was in.
        let classes = match requests {
            Some(_) => 1,
            None => subjects::classes(scenario),
        };
        Publisher {
            id,
            picker: Picker::new(scenario, u32::from(id)),
            sizes: Sizes::new(&scenario.size, u64::from(id)),
            frames,
            sent_of_class: vec![0; classes as usize],
            is_stamped: scenario.verify || scenario.latency,
            batch_bytes,
            requests,
            unexpected: 0,
            schedule: None,
            due: 0,
            sent: 0,
            quota: 0,
            was_blocked: false,
        }
    }

    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Begins a phase. Without a schedule everything is due at once.
    pub(super) fn begin(&mut self, schedule: Option<Schedule>, quota: u64) {
        self.schedule = schedule;
        self.quota = quota;
        self.sent = 0;
        self.due = if schedule.is_some() { 0 } else { quota };
        self.was_blocked = false;
    }

    /// One more message is due.
    pub(super) fn fall_due(&mut self) {
        self.due = (self.due + 1).min(self.quota);
    }

    /// Nothing more is to be sent in this phase. Returns how many were due and are not sent; without a schedule nothing ever is.
    pub(super) fn cut_off(&mut self) -> u64 {
        let unsent = match self.schedule {
            Some(_) => self.due - self.sent,
            None => 0,
        };
        self.due = self.sent;
        self.quota = self.sent;
        unsent
    }

    /// No more will fall due after what is due now.
    pub(super) fn close_schedule(&mut self) {
        self.quota = self.due;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.sent == self.quota
    }

    /// How many may be sent now.
    pub(super) fn budget(&self) -> u64 {
        let due = self.due - self.sent;
        match &self.requests {
            Some(requests) => due.min(requests.room()),
            None => due,
        }
    }

    /// Appends a batch of what may be sent now.
    pub(super) fn render<W: Wire>(
        &mut self,
        wire: &W,
        out: &mut Vec<u8>,
        now_ns: u64,
        tally: &mut Tally,
    ) {
        let budget = self.budget();
        if budget == 0 {
            return;
        }
        self.note_lag(now_ns, tally);
        let mut count = 0;
        while count < budget && out.len() < self.batch_bytes {
            tally.published_bytes += u64::from(self.render_one(wire, out, now_ns));
            count += 1;
        }
        tally.published += count;
    }

    #[inline]
    fn render_one<W: Wire>(&mut self, wire: &W, out: &mut Vec<u8>, now_ns: u64) -> u32 {
        let subject = self.picker.pick();
        let length = self.sizes.throw();
        let reply = self.requests.as_mut().map(Requests::ask);
        let place = self.frames.append(wire, out, subject, reply, length);
        let sequence = self.next_sequence(subject);
        if self.is_stamped {
            let intended_ns = match &self.schedule {
                Some(schedule) => schedule.intended_ns(u32::from(self.id), self.sent),
                None => now_ns,
            };
            let stamp = Stamp {
                publisher: self.id,
                sequence,
                intended_ns,
                written_ns: now_ns,
            };
            stamp.write(&mut out[place..place + length as usize]);
        }
        self.sent += 1;
        length
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the sequence wraps")]
    fn next_sequence(&mut self, subject: u32) -> u32 {
        let classes = self.sent_of_class.len();
        let class = if classes == 1 {
            0
        } else {
            subject as usize % classes
        };
        let sent = &mut self.sent_of_class[class];
        *sent += 1;
        (*sent - 1) as u32
    }

    fn note_lag(&mut self, now_ns: u64, tally: &mut Tally) {
        if let (Some(schedule), false) = (&self.schedule, self.was_blocked) {
            let intended_ns = schedule.intended_ns(u32::from(self.id), self.sent);
            tally
                .lag
                .saturating_record(now_ns.saturating_sub(intended_ns));
        }
        self.was_blocked = false;
    }

    pub(super) fn settle(self, is_waited_for: bool) -> Sent {
        let mut verdict = Verdict {
            unexpected: self.unexpected,
            ..Verdict::default()
        };
        let all: u64 = self.sent_of_class.iter().sum();
        if let Some(requests) = &self.requests {
            crate::ledger::add(&mut verdict, &requests.settle(all, is_waited_for));
        }
        Sent {
            publisher: self.id,
            of_class: self.sent_of_class,
            verdict,
        }
    }
}

/// What a publisher has sent in the whole run, and what came of its requests.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) publisher: u16,
    pub(super) of_class: Vec<u64>,
    pub(super) verdict: Verdict,
}

impl<W: Wire> Listener<W> for Publisher {
    #[inline]
    fn message(
        &mut self,
        message: &Message<'_>,
        now_ns: u64,
        tally: &mut Tally,
        _wire: &W,
        _out: &mut Vec<u8>,
    ) {
        match &mut self.requests {
            Some(requests) => requests.hear(message, now_ns, tally, self.is_stamped),
            None => self.unexpected += 1,
        }
    }
}

impl Requests {
    fn room(&self) -> u64 {
        match self.in_flight_max {
            Some(max) => max.saturating_sub(self.in_flight),
            None => u64::MAX,
        }
    }

    /// Notes a request and says where its answer has to go: a subject of its own, as clients have it.
    fn ask(&mut self) -> &[u8] {
        self.reply.truncate(self.front);
        let number = (self.in_flight + self.answered) % REPLY_SUBJECTS;
        write!(self.reply, "{number}").expect("a Vec takes every byte");
        self.in_flight += 1;
        if self.is_verified {
            self.open.ask();
        }
        &self.reply
    }

    fn hear(&mut self, message: &Message<'_>, now_ns: u64, tally: &mut Tally, is_stamped: bool) {
        if message.is_nobody_there {
            tally.nobody_there += 1;
            self.in_flight = self.in_flight.saturating_sub(1);
            return;
        }
        let stamp = match (self.is_verified, is_stamped) {
            (true, _) => Stamp::read(message.payload).ok(),
            (false, true) => Stamp::read_unverified(message.payload),
            (false, false) => None,
        };
        if let (Some(stamp), true) = (&stamp, self.is_verified)
            && !self.open.answer(stamp.sequence)
        {
            // One too many must not stand for one that is still on its way.
            return;
        }
        tally.deliver(message.payload.len(), now_ns);
        if let Some(stamp) = stamp {
            let (corrected_ns, service_ns) = stamp.delays(now_ns);
            tally.record(corrected_ns, service_ns);
        } else if self.is_verified {
            self.damaged += 1;
        }
        self.answered += 1;
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn settle(&self, sent: u64, is_waited_for: bool) -> Verdict {
        let mut verdict = match self.is_verified {
            true => self.open.settle(is_waited_for),
            false => Verdict {
                unanswered: if is_waited_for {
                    sent.saturating_sub(self.answered)
                } else {
                    0
                },
                duplicated: self.answered.saturating_sub(sent),
                ..Verdict::default()
            },
        };
        // A damaged answer does not say which request it is to.
        verdict.damaged = self.damaged;
        verdict.unanswered = verdict.unanswered.saturating_sub(self.damaged);
        verdict
    }
}

/// Reply subjects of a requester, used in turn.
const REPLY_SUBJECTS: u64 = 10_000;
