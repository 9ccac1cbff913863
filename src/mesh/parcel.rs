//! What travels on a lane in one push: a run of items, packed into one buffer. *Hot path.*
//!
//! | item | what it tells the other shard | lost with a dead shard? |
//! |---|---|---|
//! | `Wants` | how many subscriptions of a kind we have now | a dead shard is a dead process (DESIGN §2.8) |
//! | `Messages` | a run of messages for their subscribers | likewise; the protocol promises at most once |
//! | `Pause` | a publisher of yours fills an outbox of ours | harmless: the publisher goes on unslowed |
//! | `Responder` | who publishes the response that comes next | harmless: the measurement names nobody |
//! | `Resume` | that outbox has drained | harmless: a pause ends by itself |
//! | `Traced` | a message whose way is traced | as `Messages` |
//! | `Report` | what became of such a message here | as `Messages` |
//!
//! Invariants
//! - What the writer packs the reader unpacks: both ends are this file, so a broken parcel is our own mistake and panics.
//! - Items come out in the order they went in.

use crate::base::clock::Now;
use crate::base::ids::{AccountId, ConnectionId};
use crate::interest::{Layer, Scope, Wants};
use crate::protocol::message::{Message, Run};
use bytes::Bytes;

/// A run of items for one shard.
#[derive(Debug, Default)]
pub struct Parcel {
    packed: Vec<u8>,
    /// Tails of large messages, shared and not copied.
    shared: Vec<Bytes>,
    shared_bytes: usize,
    sealed_at: Now,
}

/// One item of a parcel.
#[derive(Debug)]
pub enum Item<'a> {
    Wants {
        layer: Layer,
        pattern: &'a [u8],
        queue: &'a [u8],
        weight: u32,
    },
    Messages(Carried<'a>),
    /// Who publishes the response to a measured request, which comes next.
    Responder {
        account: AccountId,
        subject: &'a [u8],
        /// As JSON.
        info: &'a [u8],
    },
    Pause(ConnectionId),
    Resume(ConnectionId),
    Traced(Ticket, Carried<'a>),
    Report(Report<'a>),
}

/// Goes with a message whose way is traced: what the shard of its publisher wants to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Names the trace on that shard.
    pub number: u32,
    /// This copy's share in the message. The trace is whole when all shares have been reported.
    pub weight: u32,
    /// Where the message was published.
    pub account: AccountId,
    /// It is not delivered.
    pub only: bool,
}

/// What became of a traced message on another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<'a> {
    pub number: u32,
    pub weight: u32,
    /// Rendered, with commas between.
    pub steps: &'a [u8],
}

/// Messages on their way to another shard.
#[derive(Debug)]
pub struct Carried<'a> {
    pub run: Run<'a>,
    pub scope: Scope,
    /// The tail as a shared buffer, when it is large; then there is one message.
    pub shared: Option<&'a Bytes>,
    /// The connection that published it, for a pause to find its way back.
    pub publisher: Sender,
    /// Whether plain subscriptions get it, beside the queue groups picked.
    pub plain: bool,
    /// Whether its publisher's own subscriptions may get it.
    pub echo: bool,
    /// How often it has been handed on because a picked member had left.
    pub hops: u8,
    picks: &'a [u8],
}

/// A publishing connection, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    pub shard: u8,
    pub connection: ConnectionId,
}

/// What goes with a message onto a lane.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    pub scope: Scope,
    pub publisher: Sender,
    pub plain: bool,
    pub echo: bool,
    pub hops: u8,
}

const WANTS: u8 = 1;
const MESSAGES: u8 = 2;
const PAUSE: u8 = 3;
const RESUME: u8 = 4;
const RESPONDER: u8 = 5;
const TRACED: u8 = 6;
const REPORT: u8 = 7;

const NO_HEADERS: u32 = u32::MAX;

/// What precedes the subject and the tails of packed messages: fixed in size, and written in one piece, because a
/// message of 16 bytes is quickly outweighed by its own description.
struct MessageHead {
    flags: u8,
    hops: u8,
    picks: u16,
    subject_len: u16,
    line_len: u16,
    reply_len: u16,
    header_len: u32,
    tail_len: u32,
    count: u16,
    account: AccountId,
    publisher: Sender,
}

const PLAIN: u8 = 1;
const ECHO: u8 = 2;
const SHARED: u8 = 4;
const SERVED: u8 = 8;

/// Messages of one packed run; a longer one is packed as several.
const COUNT_MAX: usize = u16::MAX as usize;

const HEAD: usize = 32;
const PICKS_AT: usize = 4;

impl MessageHead {
    #[inline]
    fn new(run: &Run<'_>, is_shared: bool, routing: Routing) -> MessageHead {
        let message = &run.first;
        let Routing {
            scope,
            publisher,
            plain,
            echo,
            hops,
        } = routing;
        let short = |len: u32| u16::try_from(len).expect("it fits a control line");
        MessageHead {
            flags: (u8::from(plain) * PLAIN)
                | (u8::from(echo) * ECHO)
                | (u8::from(is_shared) * SHARED)
                | (u8::from(scope.is_served()) * SERVED),
            hops,
            picks: 0,
            subject_len: short(narrow(message.subject.len())),
            line_len: short(message.line_len),
            reply_len: short(message.reply_len),
            header_len: message.header_len.unwrap_or(NO_HEADERS),
            tail_len: narrow(message.tail.len()),
            count: u16::try_from(run.count).expect("longer runs are packed as several"),
            account: scope.account(),
            publisher,
        }
    }

    #[inline]
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    fn scope(&self) -> Scope {
        Scope::from_parts(self.account, self.is(SERVED))
    }

    #[inline]
    fn pack(&self) -> [u8; HEAD] {
        let mut packed = [0; HEAD];
        packed[0] = MESSAGES;
        packed[1] = self.flags;
        packed[2] = self.hops;
        packed[3] = self.publisher.shard;
        packed[PICKS_AT..6].copy_from_slice(&self.picks.to_le_bytes());
        packed[6..8].copy_from_slice(&self.subject_len.to_le_bytes());
        packed[8..10].copy_from_slice(&self.line_len.to_le_bytes());
        packed[10..12].copy_from_slice(&self.reply_len.to_le_bytes());
        packed[12..16].copy_from_slice(&self.header_len.to_le_bytes());
        packed[16..20].copy_from_slice(&self.tail_len.to_le_bytes());
        packed[20..24].copy_from_slice(&self.publisher.connection.slot.to_le_bytes());
        packed[24..28].copy_from_slice(&self.publisher.connection.reuse.to_le_bytes());
        packed[28..30].copy_from_slice(&self.count.to_le_bytes());
        packed[30..32].copy_from_slice(&self.account.0.to_le_bytes());
        packed
    }

    /// `packed` is the head without its first byte, the kind.
    #[inline]
    fn unpack(packed: &[u8; HEAD - 1]) -> MessageHead {
        let two = |at: usize| u16::from_le_bytes([packed[at - 1], packed[at]]);
        let four = |at: usize| u32::from(two(at)) | (u32::from(two(at + 2)) << 16);
        MessageHead {
            flags: packed[0],
            hops: packed[1],
            picks: two(PICKS_AT),
            subject_len: two(6),
            line_len: two(8),
            reply_len: two(10),
            header_len: four(12),
            tail_len: four(16),
            count: two(28),
            account: AccountId(two(30)),
            publisher: Sender {
                shard: packed[2],
                connection: ConnectionId {
                    slot: four(20),
                    reuse: four(24),
                },
            },
        }
    }
}

impl Parcel {
    /// A parcel that packs into a buffer used before.
    pub(super) fn reusing(mut packed: Vec<u8>) -> Parcel {
        packed.clear();
        Parcel {
            packed,
            shared: Vec::new(),
            shared_bytes: 0,
            sealed_at: Now::ZERO,
        }
    }

    /// Nothing is packed into it any more.
    #[inline]
    pub(super) fn seal(&mut self, now: Now) {
        self.sealed_at = now;
    }

    /// When it was ready for its lane, by the clock of the shard that packed it.
    #[inline]
    pub fn sealed_at(&self) -> Now {
        self.sealed_at
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.packed
    }

    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    pub(super) fn has_no_buffer(&self) -> bool {
        self.packed.capacity() == 0
    }

    /// Bytes it stands for, shared ones included.
    pub fn weight(&self) -> usize {
        self.packed.len() + self.shared_bytes
    }

    pub fn put_wants(&mut self, wants: &Wants) {
        self.packed.push(WANTS);
        self.put_number(wants.layer.number());
        self.put_number(wants.weight);
        self.put_bytes(&wants.pattern);
        self.put_bytes(&wants.queue);
    }

    /// Packs messages; `picks` names the queue groups one of whose members over there gets them.
    #[inline]
    pub fn put_messages<'p>(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        routing: Routing,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        if run.count > COUNT_MAX {
            return self.put_long_run(run, routing);
        }
        let head_at = self.packed.len();
        let message = &run.first;
        let tails_len = message.tail.len() * run.count;
        self.packed
            .reserve(HEAD + message.subject.len() + if shared.is_some() { 0 } else { tails_len });
        let head = MessageHead::new(run, shared.is_some(), routing);
        self.packed.extend_from_slice(&head.pack());
        self.packed.extend_from_slice(message.subject);
        match shared {
            Some(tail) => {
                assert!(
                    run.count == 1,
                    "messages that share their tail come one by one"
                );
                self.shared_bytes += tail.len();
                self.shared.push(tail.clone());
            }
            None if run.count == 1 => self.packed.extend_from_slice(message.tail),
            None => run
                .tails()
                .for_each(|tail| self.packed.extend_from_slice(tail)),
        }
        let mut count = 0u16;
        for name in picks {
            count += 1;
            self.put_bytes(name);
        }
        if count > 0 {
            self.packed[head_at + PICKS_AT..][..2].copy_from_slice(&count.to_le_bytes());
        }
    }

    /// A run of more messages than a head can say. It is for plain subscriptions and not shared: messages that are either
    /// come one by one.
    #[cold]
    #[inline(never)]
    fn put_long_run(&mut self, run: &Run<'_>, routing: Routing) {
        for part in run.parts(COUNT_MAX) {
            self.put_messages(&part, None, routing, std::iter::empty());
        }
    }

    pub fn put_responder(&mut self, account: AccountId, subject: &[u8], info: &[u8]) {
        self.packed.push(RESPONDER);
        self.put_number(Layer::own(account).number());
        self.put_bytes(subject);
        self.put_bytes(info);
    }

    pub fn put_pause(&mut self, publisher: ConnectionId) {
        self.packed.push(PAUSE);
        self.put_connection(publisher);
    }

    pub fn put_resume(&mut self, publisher: ConnectionId) {
        self.packed.push(RESUME);
        self.put_connection(publisher);
    }

    /// Packs a message whose way is traced.
    pub fn put_traced<'p>(
        &mut self,
        ticket: Ticket,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        routing: Routing,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        self.packed.push(TRACED);
        self.put_number(ticket.number);
        self.put_number(ticket.weight);
        self.put_number(u32::from(ticket.account.0));
        self.packed.push(u8::from(ticket.only));
        self.put_messages(run, shared, routing, picks);
    }

    pub fn put_report(&mut self, report: Report<'_>) {
        self.packed.push(REPORT);
        self.put_number(report.number);
        self.put_number(report.weight);
        self.put_bytes(report.steps);
    }

    /// The items, in order.
    pub fn items(&self) -> Items<'_> {
        Items {
            left: &self.packed,
            shared: self.shared.iter(),
        }
    }

    #[inline]
    fn put_number(&mut self, number: u32) {
        self.packed.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_number(narrow(bytes.len()));
        self.packed.extend_from_slice(bytes);
    }

    fn put_connection(&mut self, connection: ConnectionId) {
        self.put_number(connection.slot);
        self.put_number(connection.reuse);
    }
}

impl<'a> Carried<'a> {
    /// One message after the other.
    pub fn singly(&self) -> impl Iterator<Item = Carried<'a>> {
        self.run.singly().map(|run| Carried { run, ..*self })
    }

    /// The queue groups one of whose members gets it.
    pub fn picks(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = Items {
            left: self.picks,
            shared: [].iter(),
        };
        std::iter::from_fn(move || (!left.left.is_empty()).then(|| left.take_bytes()))
    }
}

/// The items of a parcel, in order.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    left: &'a [u8],
    shared: std::slice::Iter<'a, Bytes>,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (kind, left) = self.left.split_first()?;
        self.left = left;
        Some(match *kind {
            MESSAGES => Item::Messages(self.take_messages()),
            WANTS => {
                let layer = Layer::from_number(self.take_number());
                let weight = self.take_number();
                Item::Wants {
                    layer,
                    pattern: self.take_bytes(),
                    queue: self.take_bytes(),
                    weight,
                }
            }
            RESPONDER => Item::Responder {
                account: Layer::from_number(self.take_number()).account(),
                subject: self.take_bytes(),
                info: self.take_bytes(),
            },
            PAUSE => Item::Pause(self.take_connection()),
            RESUME => Item::Resume(self.take_connection()),
            TRACED => {
                let ticket = self.take_ticket();
                let [_kind] = self.take_array();
                Item::Traced(ticket, self.take_messages())
            }
            REPORT => Item::Report(Report {
                number: self.take_number(),
                weight: self.take_number(),
                steps: self.take_bytes(),
            }),
            other => unreachable!("no item of kind {other} is ever packed"),
        })
    }
}

impl<'a> Items<'a> {
    /// The subjects of the runs to come, and where they are, up to an item that is none.
    pub fn subjects(&self) -> impl Iterator<Item = (Scope, &'a [u8])> + use<'a> {
        let mut items = self.clone();
        std::iter::from_fn(move || match items.next()? {
            Item::Messages(carried) => Some((carried.scope, carried.run.first.subject)),
            Item::Wants { .. } | Item::Responder { .. } => None,
            Item::Pause(_) | Item::Resume(_) | Item::Traced(..) | Item::Report(_) => None,
        })
    }

    #[inline]
    fn take_messages(&mut self) -> Carried<'a> {
        let head = MessageHead::unpack(self.take_array());
        let subject = self.take_slice(usize::from(head.subject_len));
        let shared = head.is(SHARED).then(|| {
            self.shared
                .next()
                .expect("a shared tail goes with its message")
        });
        let (count, tail_len) = (usize::from(head.count), head.tail_len as usize);
        let tails = match shared {
            Some(tail) => tail,
            None => self.take_slice(count * tail_len),
        };
        let first = Message {
            subject,
            tail: &tails[..tail_len],
            line_len: u32::from(head.line_len),
            reply_len: u32::from(head.reply_len),
            header_len: Some(head.header_len).filter(|len| *len != NO_HEADERS),
        };
        let picks = self.left;
        for _ in 0..head.picks {
            self.take_bytes();
        }
        let picks = &picks[..picks.len() - self.left.len()];
        Carried {
            run: Run::new(first, count, tails, tail_len),
            scope: head.scope(),
            shared,
            publisher: head.publisher,
            plain: head.is(PLAIN),
            echo: head.is(ECHO),
            hops: head.hops,
            picks,
        }
    }

    #[inline]
    fn take_array<const N: usize>(&mut self) -> &'a [u8; N] {
        let (array, left) = self
            .left
            .split_first_chunk()
            .expect("an item is packed whole");
        self.left = left;
        array
    }

    #[inline]
    fn take_number(&mut self) -> u32 {
        u32::from_le_bytes(*self.take_array())
    }

    #[inline]
    fn take_bytes(&mut self) -> &'a [u8] {
        let length = self.take_number() as usize;
        self.take_slice(length)
    }

    #[inline]
    fn take_slice(&mut self, length: usize) -> &'a [u8] {
        let (bytes, left) = self.left.split_at(length);
        self.left = left;
        bytes
    }

    fn take_ticket(&mut self) -> Ticket {
        let (number, weight) = (self.take_number(), self.take_number());
        let account = u16::try_from(self.take_number()).expect("an account was packed");
        let [only] = *self.take_array();
        Ticket {
            number,
            weight,
            account: AccountId(account),
            only: only != 0,
        }
    }

    fn take_connection(&mut self) -> ConnectionId {
        ConnectionId {
            slot: self.take_number(),
            reuse: self.take_number(),
        }
    }
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("subjects, tails and picks fit 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with its parts copied out, as packed and as unpacked.
    type Flat = (Vec<u8>, Vec<Vec<u8>>, Option<u32>, Vec<Vec<u8>>, bool, u8);

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            messages in prop::collection::vec(
                ("[a-z.]{1,20}", "[a-z]{0,8}", prop::collection::vec(any::<u8>(), 0..300), any::<bool>(),
                 prop::collection::vec("[a-z]{1,9}", 0..3), any::<bool>(), 0u8..4, 1usize..4), 0..20),
            weight in any::<u32>(),
        ) {
            let publisher = Sender { shard: 3, connection: ConnectionId { slot: 9, reuse: 8 } };
            let layer = Layer::importers(AccountId(u16::MAX));
            let wants = Wants { layer, pattern: (*b"a.*").into(), queue: (*b"q").into(), weight };
            let mut parcel = Parcel::default();
            let mut expected: Vec<Flat> = Vec::new();
            parcel.put_wants(&wants);
            let scopes = [Scope::published(AccountId(u16::MAX)), Scope::served(AccountId(7))];
            for (subject, reply, payload, share, picks, plain, hops, count) in &messages {
                let mut tail = Vec::new();
                let line = crate::protocol::message::write_tail(&mut tail, reply.as_bytes(), b"", payload);
                let (len, gap) = (tail.len(), count % 2);
                let count = if *share { 1 } else { *count };
                // The tails of a run differ, and what is between them is not theirs.
                let mut bytes = Vec::new();
                for index in 0..count {
                    bytes.extend_from_slice(&tail);
                    bytes[index * (len + gap) + len - 1] = b'0' + u8::try_from(index).expect("few");
                    bytes.resize(bytes.len() + gap, b'-');
                }
                bytes.truncate(bytes.len() - gap);
                let tails: Vec<_> = bytes.chunks(len + gap).map(|tail| tail[..len].to_vec()).collect();
                let message = Message {
                    subject: subject.as_bytes(),
                    tail: &bytes[..len],
                    line_len: narrow(line.len()),
                    reply_len: narrow(reply.len()),
                    header_len: share.then_some(0),
                };
                let shared = share.then(|| Bytes::copy_from_slice(&bytes));
                let run = Run::new(message, count, &bytes, len + gap);
                let scope = scopes[usize::from(*plain)];
                let routing = Routing { scope, publisher, plain: *plain, echo: true, hops: *hops };
                parcel.put_messages(&run, shared.as_ref(), routing, picks.iter().map(String::as_bytes));
                let picks = picks.iter().map(|pick| pick.as_bytes().to_vec()).collect();
                expected.push((subject.as_bytes().to_vec(), tails, share.then_some(0), picks, *plain, *hops));
            }
            let ticket = Ticket { number: weight, weight: 1 << 31, account: AccountId(u16::MAX), only: weight % 2 == 0 };
            let traced = Message { subject: b"t", tail: b"2\r\nhi\r\n", line_len: 3, reply_len: 0, header_len: None };
            let routing = Routing { scope: scopes[1], publisher, plain: true, echo: false, hops: 2 };
            parcel.put_traced(ticket, &Run::of_one(traced), None, routing, std::iter::once(&b"q"[..]));
            let report = Report { number: 7, weight, steps: b"{},{}" };
            parcel.put_report(report);
            parcel.put_responder(AccountId(u16::MAX), b"_R_.a.b.T", b"{}");
            parcel.put_pause(publisher.connection);
            let mut items = parcel.items();
            let first = items.next();
            let Some(Item::Wants { layer: to, pattern: b"a.*", queue: b"q", weight: heard }) = first else {
                panic!("the announcement came out as {first:?}");
            };
            prop_assert_eq!((to, heard), (layer, weight));
            for (subject, tails, header_len, picks, plain, hops) in expected {
                let Some(Item::Messages(carried)) = items.next() else { panic!("a message is missing") };
                prop_assert_eq!(carried.run.first.subject, subject);
                prop_assert_eq!(carried.run.tails().collect::<Vec<_>>(), tails.clone());
                let singly: Vec<_> = carried.singly().map(|one| one.run.first.tail).collect();
                prop_assert_eq!(singly, tails);
                prop_assert_eq!(carried.run.first.header_len, header_len);
                prop_assert_eq!(carried.picks().map(<[u8]>::to_vec).collect::<Vec<_>>(), picks);
                prop_assert_eq!((carried.plain, carried.hops, carried.publisher), (plain, hops, publisher));
                prop_assert_eq!(carried.scope, scopes[usize::from(plain)]);
            }
            let Some(Item::Traced(other, carried)) = items.next() else { panic!("the traced one is missing") };
            prop_assert_eq!((other, carried.run.first), (ticket, traced));
            prop_assert_eq!(carried.picks().collect::<Vec<_>>(), [b"q"]);
            prop_assert!(matches!(items.next(), Some(Item::Report(other)) if other == report));
            let responder = items.next();
            let Some(Item::Responder { account: AccountId(u16::MAX), subject: b"_R_.a.b.T", info: b"{}" }) = responder else {
                panic!("the responder came out as {responder:?}");
            };
            prop_assert!(matches!(items.next(), Some(Item::Pause(id)) if id == publisher.connection));
            prop_assert!(items.next().is_none());
        }
    }
    #[test]
    fn a_run_longer_than_a_head_can_say_is_packed_as_several() {
        let tails = b"0\r\n\r\n".repeat(COUNT_MAX + 2);
        let first = Message {
            subject: b"a",
            tail: &tails[..5],
            line_len: 3,
            reply_len: 0,
            header_len: None,
        };
        let run = Run::new(first, COUNT_MAX + 2, &tails, 5);
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
        let mut parcel = Parcel::default();
        parcel.put_messages(&run, None, routing, std::iter::empty());
        let counts = parcel.items().map(|item| match item {
            Item::Messages(carried) => carried.run.tails().count(),
            other => panic!("never packed: {other:?}"),
        });
        assert_eq!(counts.collect::<Vec<_>>(), [COUNT_MAX, 2]);
    }
}
