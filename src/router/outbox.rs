//! Bytes owed to each connection of a shard, with their limit. *Hot path.*
//!
//! Invariants
//! - `pending` counts every byte taken in and not yet taken by the kernel: in the open batch, in full ones, in flight.
//! - At most one batch of a connection is in flight. Bytes leave in the order they came.
//! - An outbox above its limit takes nothing more and is named in [`Outboxes::take_overflowed`]: a slow consumer.
//! - An outbox above its share slows those who fill it, but only while it drains ([`Outboxes::over_share`]).
//! - Idle, an outbox owns no heap memory.

mod backlog;

use super::batch::Batch;
use crate::base::clock::Now;
use crate::base::limits::{
    BATCH_BYTES, BATCH_START_BYTES, BATCHES_SPARE, FEEDERS_MAX, OUTBOX_FLUSH_BYTES,
    OUTBOX_SHARE_BYTES, PAUSE, PAUSE_CREDIT_MAX, PAUSE_EARNED_BY_BYTES,
};
use crate::mesh::Sender;
use crate::protocol::message::Run;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

pub use backlog::Filler;

/// A connection that has drained nothing for this long may not slow anybody.
const STUCK_AFTER: Duration = Duration::from_millis(250);
/// Pauses on credit, counted in the bytes that earn them.
const CREDIT_MAX: usize =
    (PAUSE_CREDIT_MAX.as_micros() / PAUSE.as_micros()) as usize * PAUSE_EARNED_BY_BYTES;

/// The outboxes of a shard, by connection slot.
#[derive(Debug)]
pub struct Outboxes {
    boxes: Vec<Outbox>,
    limits: OutboxLimits,
    /// What an outbox may hold without slowing anybody.
    share: usize,
    now: Now,
    waiting: Waiting,
    pauses: Vec<Sender>,
    resumes: Vec<Sender>,
    spare: Vec<Vec<u8>>,
}

/// Slots that something is to be done for.
#[derive(Debug, Default)]
struct Waiting {
    /// Something to send and nothing in flight.
    dirty: Vec<u32>,
    /// Those of them that are worth a send in mid-turn.
    heavy: Vec<u32>,
    overflowed: Vec<u32>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The connection takes nothing any more.
    No,
    Yes,
    /// Yes, and it holds more than its share now: [`Outboxes::over_share`] should hear of the publisher.
    OverShare,
}

/// The options that concern outboxes.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Bytes pending at most (`max_pending`); one more, and the consumer is slow.
    pub pending: usize,
    /// Whether publishers are slowed at all for outboxes near the limit (`no_fast_producer_stall` turns it off).
    pub stall: bool,
}

#[derive(Debug, Default)]
struct Outbox {
    open: Batch,
    full: VecDeque<Batch>,
    pending: usize,
    in_flight: bool,
    /// What the kernel has not taken of the batch in flight.
    unsent: usize,
    accepts: bool,
    is_dirty: bool,
    is_heavy: bool,
    headers: bool,
    /// When the kernel last took something, or when it was given the batch in flight.
    progress: Now,
    /// Bytes' worth of pauses it may still ask for.
    credit: usize,
    /// When it last asked for one.
    paused_at: Option<Now>,
    /// The publishers it has paused, and how far it must drain for them to go on.
    feeders: Vec<Sender>,
    resume_below: usize,
    traffic: Traffic,
    /// Of `traffic`, the messages in batches that have been taken to be sent, and when the last of them was.
    messages_taken: u64,
    delivered_at: Option<Now>,
}

/// Messages and bytes that went to, or came from, a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    /// Headers and payload.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one message of `size` bytes.
    #[inline]
    pub fn count(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size as u64;
    }

    /// Counts `count` messages of `size` bytes each.
    #[inline]
    pub fn count_run(&mut self, count: usize, size: usize) {
        self.messages += count as u64;
        self.bytes += (count * size) as u64;
    }

    pub fn add(&mut self, other: Traffic) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

impl Outboxes {
    pub fn new(limits: OutboxLimits) -> Outboxes {
        Outboxes {
            boxes: Vec::new(),
            limits,
            share: share(limits),
            now: Now::ZERO,
            waiting: Waiting::default(),
            pauses: Vec::new(),
            resumes: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Goes on with other limits.
    pub fn set_limits(&mut self, limits: OutboxLimits) {
        self.share = share(limits);
        self.limits = limits;
    }

    /// Sets the time for all that follows in this turn.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// Starts an empty outbox under a slot that has none.
    pub fn open(&mut self, slot: u32) {
        let index = slot as usize;
        if self.boxes.len() <= index {
            self.boxes.resize_with(index + 1, Outbox::default);
        }
        let outbox = &mut self.boxes[index];
        assert!(
            !outbox.accepts && outbox.pending == 0,
            "slot {slot} has an outbox"
        );
        outbox.accepts = true;
        outbox.progress = self.now;
        outbox.credit = CREDIT_MAX;
        outbox.traffic = Traffic::default();
        outbox.messages_taken = 0;
        outbox.delivered_at = None;
    }

    /// Drops what is left; a batch in flight is the runtime's to finish.
    pub fn close(&mut self, slot: u32) {
        let outbox = std::mem::take(&mut self.boxes[slot as usize]);
        self.resumes.extend(outbox.feeders);
        let waiting = &mut self.waiting;
        for slots in [
            &mut waiting.dirty,
            &mut waiting.heavy,
            &mut waiting.overflowed,
        ] {
            slots.retain(|other| *other != slot);
        }
    }

    /// Takes nothing more, but sends what is there: the connection is about to be closed.
    pub fn seal(&mut self, slot: u32) {
        self.boxes[slot as usize].accepts = false;
    }

    /// Throws away what has not been given to the kernel: the consumer is beyond help.
    pub fn discard(&mut self, slot: u32) {
        let outbox = &mut self.boxes[slot as usize];
        outbox.accepts = false;
        outbox.pending -= outbox.open.len() + outbox.full.iter().map(Batch::len).sum::<usize>();
        outbox.open = Batch::default();
        outbox.full = VecDeque::new();
    }

    /// Whether deliveries to this connection may carry headers.
    pub fn set_headers(&mut self, slot: u32, headers: bool) {
        self.boxes[slot as usize].headers = headers;
    }

    pub fn understands_headers(&self, slot: u32) -> bool {
        self.boxes[slot as usize].headers
    }

    /// Messages delivered to the connection.
    pub fn traffic(&self, slot: u32) -> Traffic {
        self.boxes[slot as usize].traffic
    }

    /// When messages were last sent to the connection, if any were.
    pub fn delivered_at(&self, slot: u32) -> Option<Now> {
        self.boxes[slot as usize].delivered_at
    }

    /// Bytes taken in and not yet taken by the kernel.
    pub fn pending(&self, slot: u32) -> usize {
        self.boxes[slot as usize].pending
    }

    /// Appends what the server itself has to say.
    pub fn write(&mut self, slot: u32, say: impl FnOnce(&mut Vec<u8>)) {
        let outbox = &mut self.boxes[slot as usize];
        if !outbox.accepts {
            return;
        }
        let copied = outbox.room(&mut self.spare);
        let before = copied.len();
        say(copied);
        let added = copied.len() - before;
        outbox.added(added, slot, &mut self.waiting, self.limits.pending);
    }

    /// Appends a delivery: its head, and its tail copied or shared. `size` is what counts as its bytes.
    ///
    /// Always inlined, with what it calls: it runs once for every message that leaves.
    #[inline(always)]
    pub(super) fn deliver(
        &mut self,
        slot: u32,
        head: &[u8],
        tail: &[u8],
        shared: Option<&Bytes>,
        size: usize,
    ) -> Delivered {
        let Some(outbox) = self
            .boxes
            .get_mut(slot as usize)
            .filter(|outbox| outbox.accepts)
        else {
            return Delivered::No;
        };
        outbox.traffic.count(size);
        let copied = outbox.room(&mut self.spare);
        match shared {
            None => {
                copied.reserve(head.len() + tail.len());
                copied.extend_from_slice(head);
                copied.extend_from_slice(tail);
            }
            Some(tail) => {
                copied.extend_from_slice(head);
                outbox.open.splice(tail.clone());
            }
        }
        let added = head.len() + tail.len();
        outbox.added(added, slot, &mut self.waiting, self.limits.pending);
        outbox.load(self.share)
    }

    /// Whether the outbox takes that many bytes and is not full then.
    pub(super) fn has_room(&self, slot: u32, bytes: usize) -> bool {
        let outbox = self.boxes.get(slot as usize);
        outbox.is_some_and(|outbox| outbox.accepts && outbox.pending + bytes <= self.limits.pending)
    }

    /// Appends deliveries that have their head in common, to an outbox that has room for them.
    pub(super) fn deliver_run(&mut self, slot: u32, head: &[u8], run: &Run<'_>) -> Delivered {
        let outbox = &mut self.boxes[slot as usize];
        let each = head.len() + run.first.tail.len();
        outbox.traffic.count_run(run.count, run.first.size());
        for tail in run.tails() {
            let copied = outbox.room(&mut self.spare);
            copied.reserve(each);
            copied.extend_from_slice(head);
            copied.extend_from_slice(tail);
        }
        outbox.added(
            each * run.count,
            slot,
            &mut self.waiting,
            self.limits.pending,
        );
        outbox.load(self.share)
    }

    /// Slows a publisher that fills an outbox above its share.
    ///
    /// That keeps a fast publisher from running megabytes ahead of a consumer that keeps up on the whole. It is no
    /// weapon in the hand of one that does not: pauses cost credit, and only draining earns it. When three quarters of
    /// the limit are full, nats-server's threshold, it may ask without credit; unless it is stuck, and then it is about
    /// to be closed.
    #[cold]
    #[inline(never)]
    pub(super) fn over_share(&mut self, slot: u32, publisher: Sender) {
        if !self.limits.stall || self.pauses.contains(&publisher) {
            return;
        }
        let (share, nearly_full) = (self.share, self.limits.pending / 4 * 3);
        let outbox = &mut self.boxes[slot as usize];
        let is_new_pause = outbox
            .paused_at
            .is_none_or(|at| self.now.since(at) >= PAUSE);
        if outbox.credit >= PAUSE_EARNED_BY_BYTES {
            outbox.resume_below = share / 2;
        } else if outbox.pending > nearly_full && self.now.since(outbox.progress) < STUCK_AFTER {
            outbox.resume_below = nearly_full - share / 2;
        } else {
            return;
        }
        if is_new_pause {
            outbox.paused_at = Some(self.now);
            outbox.credit = outbox.credit.saturating_sub(PAUSE_EARNED_BY_BYTES);
        }
        self.pauses.push(publisher);
        if outbox.feeders.len() < FEEDERS_MAX && !outbox.feeders.contains(&publisher) {
            outbox.feeders.push(publisher);
        }
    }

    /// The next batch to send, when there is one and none is in flight. Goes back with [`Outboxes::finished`].
    pub fn take(&mut self, slot: u32) -> Option<Batch> {
        let outbox = self.boxes.get_mut(slot as usize)?;
        outbox.is_heavy = false;
        if outbox.in_flight || outbox.pending == 0 {
            return None;
        }
        let batch = outbox
            .full
            .pop_front()
            .unwrap_or_else(|| std::mem::take(&mut outbox.open));
        assert!(!batch.is_empty(), "pending bytes are in a batch");
        outbox.in_flight = true;
        outbox.unsent = batch.len();
        outbox.progress = self.now;
        if outbox.messages_taken != outbox.traffic.messages {
            outbox.messages_taken = outbox.traffic.messages;
            outbox.delivered_at = Some(self.now);
        }
        Some(batch)
    }

    /// The kernel has taken that many bytes of the batch in flight.
    pub fn sent(&mut self, slot: u32, bytes: usize) {
        let outbox = &mut self.boxes[slot as usize];
        outbox.pending -= bytes;
        outbox.unsent -= bytes;
        outbox.progress = self.now;
        outbox.credit = (outbox.credit + bytes).min(CREDIT_MAX);
        if !outbox.feeders.is_empty() && outbox.pending <= outbox.resume_below {
            self.resumes.append(&mut outbox.feeders);
        }
    }

    /// The batch in flight has been sent whole; another may follow.
    pub fn finished(&mut self, slot: u32, batch: Batch) {
        let outbox = &mut self.boxes[slot as usize];
        assert!(outbox.in_flight, "a batch comes back once");
        outbox.in_flight = false;
        // What was given up is owed no more.
        outbox.pending -= std::mem::take(&mut outbox.unsent);
        if outbox.pending > 0 && !outbox.is_dirty {
            outbox.is_dirty = true;
            self.waiting.dirty.push(slot);
        }
        self.recycle(batch);
    }

    /// Takes back the memory of a batch.
    pub fn recycle(&mut self, batch: Batch) {
        let buffer = batch.into_buffer();
        // One that a large message has stretched is not kept.
        if self.spare.len() < BATCHES_SPARE && buffer.capacity() <= BATCH_BYTES * 2 {
            self.spare.push(buffer);
        }
    }

    /// A slot whose outbox should be sent at the end of the turn.
    pub fn next_dirty(&mut self) -> Option<u32> {
        let slot = self.waiting.dirty.pop()?;
        self.boxes[slot as usize].is_dirty = false;
        Some(slot)
    }

    /// A slot whose outbox is worth a send in the middle of the turn.
    #[inline]
    pub fn next_heavy(&mut self) -> Option<u32> {
        self.waiting.heavy.pop()
    }

    pub fn has_dirty(&self) -> bool {
        !self.waiting.dirty.is_empty()
    }

    /// Connections that have gone over their limit.
    pub fn take_overflowed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.waiting.overflowed)
    }

    #[inline]
    pub fn has_overflowed(&self) -> bool {
        !self.waiting.overflowed.is_empty()
    }

    /// A publisher to pause for a moment.
    pub fn next_pause(&mut self) -> Option<Sender> {
        self.pauses.pop()
    }

    /// Whether [`Outboxes::next_resume`] has somebody.
    pub fn has_resumes(&self) -> bool {
        !self.resumes.is_empty()
    }

    /// A publisher whose reason to pause is gone.
    pub fn next_resume(&mut self) -> Option<Sender> {
        self.resumes.pop()
    }

    /// Since when the kernel has taken nothing of the batch in flight, if there is one.
    pub fn stuck_since(&self, slot: u32) -> Option<Now> {
        let outbox = &self.boxes[slot as usize];
        outbox.in_flight.then_some(outbox.progress)
    }

    /// Batches and bytes waiting, for the log line about a slow consumer.
    pub fn backlog(&self, slot: u32) -> (usize, usize) {
        let outbox = &self.boxes[slot as usize];
        let open = usize::from(!outbox.open.is_empty());
        (
            outbox.full.len() + open + usize::from(outbox.in_flight),
            outbox.pending,
        )
    }
}

impl Outbox {
    /// The open batch's buffer, made ready to be written to.
    #[inline(always)]
    fn room(&mut self, spare: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
        if self.open.is_full() || self.open.has_no_buffer() {
            self.begin_batch(spare);
        }
        self.open.copied()
    }

    #[inline(never)]
    fn begin_batch(&mut self, spare: &mut Vec<Vec<u8>>) {
        if self.open.is_full() {
            self.full.push_back(std::mem::take(&mut self.open));
        }
        let buffer = spare.pop();
        self.open = Batch::reusing(buffer.unwrap_or_else(|| Vec::with_capacity(BATCH_START_BYTES)));
    }

    /// What to say of a delivery that it has just taken.
    #[inline(always)]
    fn load(&self, share: usize) -> Delivered {
        if self.pending > share {
            Delivered::OverShare
        } else {
            Delivered::Yes
        }
    }

    /// Accounts for bytes that have been put into the open batch.
    #[inline(always)]
    fn added(&mut self, bytes: usize, slot: u32, waiting: &mut Waiting, pending_max: usize) {
        self.pending += bytes;
        if !self.in_flight {
            if !self.is_dirty {
                self.is_dirty = true;
                waiting.dirty.push(slot);
            }
            if self.pending >= OUTBOX_FLUSH_BYTES && !self.is_heavy {
                self.is_heavy = true;
                waiting.heavy.push(slot);
            }
        }
        if self.pending > pending_max && self.accepts {
            self.accepts = false;
            waiting.overflowed.push(slot);
        }
    }
}

fn share(limits: OutboxLimits) -> usize {
    OUTBOX_SHARE_BYTES.min(limits.pending / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::ConnectionId;
    use proptest::prelude::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        pending: 8 << 20,
        stall: true,
    };
    const FAST: Sender = Sender {
        shard: 0,
        connection: ConnectionId { slot: 5, reuse: 0 },
    };

    fn opened() -> Outboxes {
        let mut outboxes = Outboxes::new(LIMITS);
        outboxes.open(0);
        outboxes
    }

    fn fill(outboxes: &mut Outboxes, bytes: usize) {
        outboxes.write(0, |into| into.resize(into.len() + bytes, b'x'));
    }

    proptest! {
        /// Against one flat buffer: what goes in comes out once and in order, in batches, one in flight at a time.
        #[test]
        fn bytes_leave_in_the_order_they_came(
            operations in prop::collection::vec((0u8..4, 1usize..40_000), 1..60),
        ) {
            let mut outboxes = opened();
            let (mut flat, mut sent) = (Vec::new(), Vec::new());
            let mut in_flight: Option<(Batch, usize)> = None;
            let drain = std::iter::repeat_n([(2u8, 40_000usize), (3, 40_000)], 200).flatten();
            for (kind, size) in operations.into_iter().chain(drain) {
                match kind {
                    0 | 1 => {
                        let tail = vec![u8::try_from(flat.len() % 251).expect("small"); size];
                        let shared = (kind == 1).then(|| Bytes::from(tail.clone()));
                        let delivered = outboxes.deliver(0, b"MSG ", &tail, shared.as_ref(), size);
                        prop_assert_ne!(delivered, Delivered::No);
                        flat.extend_from_slice(b"MSG ");
                        flat.extend_from_slice(&tail);
                    }
                    2 => if let Some(batch) = outboxes.take(0) {
                        prop_assert!(in_flight.is_none(), "two batches in flight");
                        in_flight = Some((batch, 0));
                    },
                    _ => if let Some((batch, done)) = in_flight.take() {
                        let bytes: Vec<u8> = batch.slices(done).collect::<Vec<_>>().concat();
                        let taken = size.min(bytes.len());
                        sent.extend_from_slice(&bytes[..taken]);
                        outboxes.sent(0, taken);
                        if taken == bytes.len() {
                            outboxes.finished(0, batch);
                        } else {
                            in_flight = Some((batch, done + taken));
                        }
                    },
                }
                prop_assert_eq!(outboxes.pending(0), flat.len() - sent.len());
            }
            prop_assert_eq!(sent, flat);
        }
    }

    #[test]
    fn at_the_limit_it_takes_one_byte_more_and_is_done() {
        let mut outboxes = opened();
        fill(&mut outboxes, LIMITS.pending);
        assert!(!outboxes.has_overflowed(), "the limit itself is allowed");
        fill(&mut outboxes, 1);
        assert_eq!(outboxes.take_overflowed(), [0]);
        assert_eq!(outboxes.deliver(0, b"MSG ", b"x", None, 1), Delivered::No);
        assert_eq!(outboxes.pending(0), LIMITS.pending + 1);
    }

    #[test]
    fn above_its_share_it_slows_its_publisher_until_it_has_drained() {
        let mut outboxes = opened();
        let payload = vec![b'x'; OUTBOX_SHARE_BYTES];
        let delivered = outboxes.deliver(0, b"", &payload, None, payload.len());
        assert_eq!(delivered, Delivered::Yes, "the share itself is allowed");
        let delivered = outboxes.deliver(0, b"", b"x", None, 1);
        assert_eq!(delivered, Delivered::OverShare);
        outboxes.over_share(0, FAST);
        outboxes.over_share(0, FAST);
        assert_eq!(
            (outboxes.next_pause(), outboxes.next_pause()),
            (Some(FAST), None)
        );
        let batch = outboxes.take(0).expect("a batch");
        outboxes.sent(0, batch.len());
        outboxes.finished(0, batch);
        assert_eq!(outboxes.next_resume(), Some(FAST));
    }

    /// Asks for a pause every [`PAUSE`] until none is granted; gives how many were.
    fn pauses_granted(outboxes: &mut Outboxes, from: Now) -> (usize, Now) {
        let mut now = from;
        for granted in 0..1000 {
            outboxes.set_now(now);
            outboxes.over_share(0, FAST);
            if outboxes.next_pause().is_none() {
                return (granted, now);
            }
            now = now.after(PAUSE);
        }
        (1000, now)
    }

    #[test]
    fn pauses_cost_credit_that_only_draining_earns() {
        let mut outboxes = opened();
        fill(&mut outboxes, OUTBOX_SHARE_BYTES * 3);
        let (granted, now) = pauses_granted(&mut outboxes, Now::ZERO);
        assert_eq!(granted, CREDIT_MAX / PAUSE_EARNED_BY_BYTES);
        let _batch = outboxes.take(0).expect("a batch");
        outboxes.sent(0, PAUSE_EARNED_BY_BYTES * 2);
        assert_eq!(pauses_granted(&mut outboxes, now).0, 2);
    }

    #[test]
    fn near_the_limit_pauses_are_free_but_not_for_the_stuck() {
        let mut outboxes = opened();
        fill(&mut outboxes, LIMITS.pending / 4 * 3 + 1);
        let (granted, now) = pauses_granted(&mut outboxes, Now::ZERO);
        let free = STUCK_AFTER.as_micros() / PAUSE.as_micros();
        assert_eq!(granted as u128, free, "until it counts as stuck");
        assert_eq!(now.since(Now::ZERO), STUCK_AFTER);
    }

    #[test]
    fn a_closed_slot_starts_anew() {
        let mut outboxes = opened();
        fill(&mut outboxes, 100_000);
        let batch = outboxes.take(0);
        outboxes.close(0);
        assert!(outboxes.next_dirty().is_none() && outboxes.next_heavy().is_none());
        outboxes.open(0);
        assert_eq!((outboxes.pending(0), outboxes.take(0).is_none()), (0, true));
        drop(batch);
    }
}
