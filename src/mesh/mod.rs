//! One shard's ends of the lanes to and from every other shard. *Hot path.*
//!
//! A lane is a bounded SPSC queue of parcels; a parcel holds a whole turn's items, so the price of a push is paid once
//! per turn and peer. Announcements of interest and messages are packed apart.
//!
//! Invariants (they carry DESIGN §2.1: after the `PONG` that follows a `SUB`, a publish on any shard reaches it)
//! - [`Mesh::push`] puts announcements on *every* lane before it puts a message on *any*: whoever hears a message that
//!   was published after a subscription has heard of the subscription, also through a third shard.
//! - While an announcement waits for room on a lane ([`Mesh::announcements_wait`]), no message leaves, and the shard
//!   sends nothing on its sockets.
//! - A lane is first in, first out, through its waiting line too. Nothing is dropped here.
//! - Nobody waits for a peer: what does not fit stays here, and the shard stops reading publishers
//!   ([`Mesh::is_congested`]) but goes on draining its own lanes.

mod parcel;

use crate::base::clock::Now;
use crate::base::ids::{AccountId, ConnectionId, ShardId, ShardSet};
use crate::base::limits::PARCEL_BYTES;
use crate::interest::Wants;
use crate::protocol::message::Run;
use bytes::Bytes;
use std::collections::VecDeque;

pub use parcel::{Carried, Item, Items, Parcel, Report, Routing, Sender, Ticket};

/// The lane ends of one shard.
#[derive(Debug)]
pub struct Mesh {
    shard: ShardId,
    /// By shard; `None` for the shard itself.
    peers: Vec<Option<Peer>>,
}

#[derive(Debug)]
struct Peer {
    to: rtrb::Producer<Parcel>,
    from: rtrb::Consumer<Parcel>,
    /// Emptied buffers go back to the shard that made them, which packs into the same few again and again.
    emptied_to: rtrb::Producer<Vec<u8>>,
    emptied_from: rtrb::Consumer<Vec<u8>>,
    announcements: Parcel,
    messages: Parcel,
    /// Parcels that found the lane full, oldest first; the first `announcements_waiting` of them are announcements.
    waiting: VecDeque<Parcel>,
    announcements_waiting: usize,
}

/// The ends of all lanes between `shards` shards, each lane with room for `parcels`.
pub fn build(shards: u8, parcels: usize) -> Vec<Mesh> {
    let count = usize::from(shards);
    let empty = |shard| Mesh {
        shard: ShardId(shard),
        peers: (0..count).map(|_| None).collect(),
    };
    let mut ends: Vec<Mesh> = (0..shards).map(empty).collect();
    for left in 0..count {
        for right in left + 1..count {
            let (there, from_left) = rtrb::RingBuffer::new(parcels);
            let (back, from_right) = rtrb::RingBuffer::new(parcels);
            let (emptied_there, emptied_from_left) = rtrb::RingBuffer::new(parcels);
            let (emptied_back, emptied_from_right) = rtrb::RingBuffer::new(parcels);
            ends[left].peers[right] = Some(Peer::new(
                there,
                from_right,
                emptied_there,
                emptied_from_right,
            ));
            ends[right].peers[left] =
                Some(Peer::new(back, from_left, emptied_back, emptied_from_left));
        }
    }
    ends
}

impl Mesh {
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The other shards.
    pub fn peers(&self) -> impl Iterator<Item = ShardId> + use<> {
        let own = self.shard;
        let count = u8::try_from(self.peers.len()).unwrap_or(u8::MAX);
        (0..count).map(ShardId).filter(move |shard| *shard != own)
    }

    /// Tells every other shard what this one wants.
    pub fn announce(&mut self, wants: &Wants) {
        for peer in self.peers.iter_mut().flatten() {
            peer.announcements.put_wants(wants);
        }
    }

    /// Packs a message for one other shard.
    #[inline]
    pub fn send<'p>(
        &mut self,
        to: ShardId,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        routing: Routing,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        self.open(to).put_messages(run, shared, routing, picks);
    }

    /// Packs a message whose way is traced.
    pub fn send_traced<'p>(
        &mut self,
        to: ShardId,
        ticket: Ticket,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        routing: Routing,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        self.open(to)
            .put_traced(ticket, run, shared, routing, picks);
    }

    /// Tells the shard of a publisher what became of a traced message here.
    pub fn report(&mut self, to: ShardId, report: Report<'_>) {
        self.open(to).put_report(report);
    }

    /// Tells another shard who publishes the response that comes next.
    pub fn introduce(&mut self, shard: ShardId, account: AccountId, subject: &[u8], info: &[u8]) {
        self.open(shard).put_responder(account, subject, info);
    }

    /// Asks another shard to pause one of its publishers for a moment.
    pub fn pause(&mut self, shard: ShardId, publisher: ConnectionId) {
        self.open(shard).put_pause(publisher);
    }

    /// Tells another shard that its publisher may go on.
    pub fn resume(&mut self, shard: ShardId, publisher: ConnectionId) {
        self.open(shard).put_resume(publisher);
    }

    /// Whether an open parcel has grown so large that it should leave before the turn ends.
    #[inline]
    pub fn is_heavy(&self) -> bool {
        self.peers
            .iter()
            .flatten()
            .any(|peer| peer.messages.weight() >= PARCEL_BYTES)
    }

    /// Puts on the lanes what fits, announcements first, and stamps it. Gives the shards that must be woken.
    pub fn push(&mut self, now: Now) -> ShardSet {
        let mut pushed = ShardSet::EMPTY;
        for (peer, shard) in self.peers.iter_mut().zip(0u8..) {
            let Some(peer) = peer else { continue };
            if peer.push_waiting() | peer.push_announcements(now) {
                pushed.insert(ShardId(shard));
            }
        }
        if self.announcements_wait() {
            return pushed;
        }
        for (peer, shard) in self.peers.iter_mut().zip(0u8..) {
            let Some(peer) = peer else { continue };
            if peer.push_messages(now) {
                pushed.insert(ShardId(shard));
            }
        }
        pushed
    }

    /// Whether something found a lane full and waits. No publisher should be read then.
    #[inline]
    pub fn is_congested(&self) -> bool {
        self.peers
            .iter()
            .flatten()
            .any(|peer| !peer.waiting.is_empty())
    }

    /// Parcels that found a lane full and wait.
    pub fn waiting(&self) -> usize {
        self.peers
            .iter()
            .flatten()
            .map(|peer| peer.waiting.len())
            .sum()
    }

    /// Whether an announcement waits for room. Nothing may be sent to any client then.
    #[inline]
    pub fn announcements_wait(&self) -> bool {
        self.peers
            .iter()
            .flatten()
            .any(|peer| peer.announcements_waiting > 0)
    }

    /// Whether something is packed and not yet pushed.
    pub fn has_open_parcels(&self) -> bool {
        let is_open = |peer: &Peer| !peer.announcements.is_empty() || !peer.messages.is_empty();
        self.peers.iter().flatten().any(is_open)
    }

    /// Whether a parcel has come in.
    #[inline]
    pub fn has_arrivals(&self) -> bool {
        self.peers
            .iter()
            .flatten()
            .any(|peer| !peer.from.is_empty())
    }

    /// Parcels from `shard` that have come in and not been received.
    #[inline]
    pub fn arrived(&self, shard: ShardId) -> usize {
        let peer = self.peers.get(shard.index()).and_then(Option::as_ref);
        peer.map_or(0, |peer| peer.from.slots())
    }

    /// Parcels for `shard` that found the lane full.
    pub fn waiting_for(&self, shard: ShardId) -> usize {
        let peer = self.peers.get(shard.index()).and_then(Option::as_ref);
        peer.map_or(0, |peer| peer.waiting.len())
    }

    /// The next parcel that came from `shard`.
    #[inline]
    pub fn receive(&mut self, shard: ShardId) -> Option<Parcel> {
        self.peers.get_mut(shard.index())?.as_mut()?.from.pop().ok()
    }

    /// Gives an unpacked parcel's buffer back to the shard it came from.
    pub fn recycle(&mut self, from: ShardId, parcel: Parcel) {
        let buffer = parcel.into_buffer();
        // One that has grown out of all proportion is not kept.
        if buffer.capacity() <= PARCEL_BYTES * 2
            && let Some(Some(peer)) = self.peers.get_mut(from.index())
        {
            _ = peer.emptied_to.push(buffer);
        }
    }

    #[inline]
    fn open(&mut self, shard: ShardId) -> &mut Parcel {
        let peer = self.peers.get_mut(shard.index()).and_then(Option::as_mut);
        let peer = peer.expect("interest names other shards only");
        if peer.messages.has_no_buffer()
            && let Ok(buffer) = peer.emptied_from.pop()
        {
            peer.messages = Parcel::reusing(buffer);
        }
        &mut peer.messages
    }
}

impl Peer {
    fn new(
        to: rtrb::Producer<Parcel>,
        from: rtrb::Consumer<Parcel>,
        emptied_to: rtrb::Producer<Vec<u8>>,
        emptied_from: rtrb::Consumer<Vec<u8>>,
    ) -> Peer {
        Peer {
            to,
            from,
            emptied_to,
            emptied_from,
            announcements: Parcel::default(),
            messages: Parcel::default(),
            waiting: VecDeque::new(),
            announcements_waiting: 0,
        }
    }

    fn push_waiting(&mut self) -> bool {
        let mut pushed = false;
        while let Some(parcel) = self.waiting.pop_front() {
            if let Err(rtrb::PushError::Full(parcel)) = self.to.push(parcel) {
                self.waiting.push_front(parcel);
                break;
            }
            self.announcements_waiting = self.announcements_waiting.saturating_sub(1);
            pushed = true;
        }
        pushed
    }

    /// Announcements overtake messages that wait: to hear of interest early does no harm, and late would.
    fn push_announcements(&mut self, now: Now) -> bool {
        if self.announcements.is_empty() {
            return false;
        }
        let mut parcel = std::mem::take(&mut self.announcements);
        parcel.seal(now);
        if self.announcements_waiting > 0 {
            self.waiting.insert(self.announcements_waiting, parcel);
        } else if let Err(rtrb::PushError::Full(parcel)) = self.to.push(parcel) {
            self.waiting.push_front(parcel);
        } else {
            return true;
        }
        self.announcements_waiting += 1;
        false
    }

    fn push_messages(&mut self, now: Now) -> bool {
        if self.messages.is_empty() {
            return false;
        }
        let mut parcel = std::mem::take(&mut self.messages);
        parcel.seal(now);
        if !self.waiting.is_empty() {
            self.waiting.push_back(parcel);
        } else if let Err(rtrb::PushError::Full(parcel)) = self.to.push(parcel) {
            self.waiting.push_back(parcel);
        } else {
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interest::{Layer, Scope};
    use crate::protocol::message::Message;
    use proptest::prelude::*;

    fn wants(number: u32) -> Wants {
        Wants {
            layer: Layer::own(AccountId::GLOBAL),
            pattern: (*b"a").into(),
            queue: (*b"q").into(),
            weight: number,
        }
    }

    fn send(mesh: &mut Mesh, to: ShardId, text: &[u8]) {
        let message = Message {
            subject: b"s",
            tail: text,
            line_len: 0,
            reply_len: 0,
            header_len: None,
        };
        let connection = ConnectionId { slot: 0, reuse: 0 };
        let routing = Routing {
            scope: Scope::published(AccountId::GLOBAL),
            publisher: Sender {
                shard: 0,
                connection,
            },
            plain: true,
            echo: true,
            hops: 0,
        };
        mesh.send(to, &Run::of_one(message), None, routing, std::iter::empty());
    }

    #[derive(Clone, Copy, Debug)]
    enum Operation {
        Announce,
        Send,
        Push,
        Drain,
    }

    proptest! {
        /// Against two counters: through full lanes, announcements and messages each arrive once and in order, and no
        /// message arrives before an announcement that was made earlier.
        #[test]
        fn everything_arrives_once_and_in_order(
            capacity in 1usize..4,
            operations in prop::collection::vec(
                prop::sample::select(vec![Operation::Announce, Operation::Send, Operation::Push, Operation::Drain]),
                0..200),
        ) {
            let mut ends = build(2, capacity);
            let (mut right, mut left) = (ends.pop().expect("two"), ends.pop().expect("two"));
            let (mut announced, mut sent) = (0u32, 0u32);
            let (mut heard, mut received) = (0u32, 0u32);
            let end = [Operation::Push, Operation::Drain].into_iter().cycle().take(400);
            for operation in operations.into_iter().chain(end) {
                match operation {
                    Operation::Announce => {
                        announced += 1;
                        left.announce(&wants(announced));
                    }
                    Operation::Send => {
                        sent += 1;
                        send(&mut left, right.shard(), &[sent.to_le_bytes(), announced.to_le_bytes()].concat());
                    }
                    Operation::Push => {
                        let woken = left.push(Now::ZERO);
                        prop_assert!(woken.is_empty() || right.has_arrivals());
                    }
                    Operation::Drain => while let Some(parcel) = right.receive(left.shard()) {
                        for item in parcel.items() {
                            match item {
                                Item::Wants { weight, .. } => {
                                    heard += 1;
                                    prop_assert_eq!(weight, heard);
                                }
                                Item::Messages(carried) => {
                                    received += 1;
                                    let (number, before) = carried.run.first.tail.split_at(4);
                                    prop_assert_eq!(number, received.to_le_bytes());
                                    let before = u32::from_le_bytes(before.try_into().expect("four"));
                                    prop_assert!(before <= heard, "a message overtook an announcement");
                                }
                                other => panic!("never sent: {other:?}"),
                            }
                        }
                        right.recycle(left.shard(), parcel);
                    },
                }
            }
            prop_assert_eq!((announced, sent), (heard, received));
            prop_assert!(!left.is_congested() && !left.has_open_parcels());
        }
    }

    #[test]
    fn no_message_leaves_for_anyone_while_an_announcement_waits() {
        let mut ends = build(3, 1);
        let [left, middle, right] = &mut ends[..] else {
            panic!("three")
        };
        send(left, right.shard(), b"fills the lane");
        left.push(Now::ZERO);
        left.announce(&wants(1));
        send(left, middle.shard(), b"must not overtake");
        assert_eq!(
            left.push(Now::ZERO).iter().collect::<Vec<_>>(),
            [middle.shard()]
        );
        assert!(left.announcements_wait() && left.is_congested());
        let parcel = middle.receive(left.shard()).expect("the announcement");
        assert!(matches!(parcel.items().next(), Some(Item::Wants { .. })));
        left.push(Now::ZERO);
        assert!(middle.receive(left.shard()).is_none());
        right.receive(left.shard()).expect("the filler");
        left.push(Now::ZERO);
        assert!(!left.announcements_wait());
        assert!(
            middle.receive(left.shard()).is_some(),
            "now the message may go"
        );
    }
}
