//! What waits in an outbox, read back from its bytes: which subject, for which subscription, fills it. *Control path*, when a
//! consumer has turned out to be slow.
//!
//! Deliveries are in the outbox as they will be on the wire, so nothing has to be noted while they are made.
//!
//! - First the subscription with most bytes, then the subject with most of those: a subscription to inboxes may be filled by a
//!   thousand subjects with a message each.
//! - It is a sample: of [`BATCHES_MAX`] batches the first [`MESSAGES_MAX`] messages each. An outbox may hold a gigabyte, and
//!   a shard has no time to read that.
//! - The batch in flight is the runtime's and not looked at.

use super::Outboxes;
use crate::router::Batch;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::hash_map::RandomState;

/// Batches that are looked into, spread evenly over all there are.
const BATCHES_MAX: usize = 64;
/// Messages that are looked at in each.
const MESSAGES_MAX: usize = 64;

/// The messages that take most of a backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filler {
    /// The subject of the messages, as they are delivered.
    pub subject: Box<[u8]>,
    /// The identifier of the subscription that they are for.
    pub sid: Box<[u8]>,
    /// How much of all that was looked at, in percent: they, and all that is for the same subscription.
    pub percent: u8,
    pub subscription_percent: u8,
}

impl Outboxes {
    /// What fills an outbox, if messages wait in it.
    pub fn filler(&self, slot: u32) -> Option<Filler> {
        let outbox = self.boxes.get(slot as usize)?;
        let batches: Vec<&Batch> = outbox.full.iter().chain([&outbox.open]).collect();
        let step = batches.len().div_ceil(BATCHES_MAX);
        let mut sums: HashMap<Sort, usize, RandomState> = HashMap::default();
        // The last ones rather than the first: what waits at the end is what was too much.
        for batch in batches.iter().rev().step_by(step) {
            let mut reader = Reader::new(batch);
            let messages = std::iter::from_fn(|| reader.next_message());
            for (sort, bytes) in messages.take(MESSAGES_MAX) {
                *sums.entry(sort).or_default() += bytes;
            }
        }
        let whole: usize = sums.values().sum();
        let mut of_subscriptions: HashMap<&[u8], usize, RandomState> = HashMap::default();
        for (sort, bytes) in &sums {
            *of_subscriptions.entry(&sort.sid).or_default() += bytes;
        }
        // Equals in a fixed order, so that the answer does not depend on chance.
        let subscriptions = of_subscriptions.into_iter();
        let (sid, of_all) = subscriptions.max_by_key(|(sid, bytes)| (*bytes, Reverse(*sid)))?;
        let subjects = sums.iter().filter(|(sort, _)| &*sort.sid == sid);
        let (sort, bytes) = subjects.max_by_key(|(sort, bytes)| (**bytes, Reverse(*sort)))?;
        let percent = |part: usize| u8::try_from(part * 100 / whole).unwrap_or(100);
        Some(Filler {
            subject: sort.subject.clone(),
            sid: sid.into(),
            percent: percent(*bytes),
            subscription_percent: percent(of_all),
        })
    }
}

/// Messages that are alike.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Sort {
    subject: Box<[u8]>,
    sid: Box<[u8]>,
}

/// Reads a batch line by line; payloads are passed over.
struct Reader<'a> {
    slices: Vec<&'a [u8]>,
    line: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(batch: &'a Batch) -> Reader<'a> {
        let mut slices: Vec<&[u8]> = batch.slices(0).collect();
        slices.reverse();
        Reader {
            slices,
            line: Vec::new(),
        }
    }

    /// The next message and its size; what the server says besides is passed over.
    fn next_message(&mut self) -> Option<(Sort, usize)> {
        while self.read_line() {
            let line = std::mem::take(&mut self.line);
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            if let [b"MSG" | b"HMSG", subject, sid, .., size] = words[..] {
                let size = std::str::from_utf8(size).ok()?.trim_end();
                let payload = size.parse::<usize>().ok()? + b"\r\n".len();
                self.skip(payload);
                let sort = Sort {
                    subject: subject.into(),
                    sid: sid.into(),
                };
                return Some((sort, line.len() + payload));
            }
        }
        None
    }

    /// Reads up to and with the next line feed; says whether there was one.
    fn read_line(&mut self) -> bool {
        self.line.clear();
        while let Some(slice) = self.slices.last_mut() {
            let Some(feed) = memchr::memchr(b'\n', slice) else {
                self.line.extend_from_slice(slice);
                self.slices.pop();
                continue;
            };
            let (line, rest) = slice.split_at(feed + 1);
            self.line.extend_from_slice(line);
            *slice = rest;
            return true;
        }
        false
    }

    fn skip(&mut self, bytes: usize) {
        let mut left = bytes;
        while let Some(slice) = self.slices.last_mut() {
            if left < slice.len() {
                *slice = &slice[left..];
                return;
            }
            left -= slice.len();
            self.slices.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::OutboxLimits;
    use super::*;
    use bytes::Bytes;

    fn outboxes() -> Outboxes {
        let mut outboxes = Outboxes::new(OutboxLimits {
            pending: 1 << 30,
            stall: false,
        });
        outboxes.open(0);
        outboxes
    }

    fn deliver(outboxes: &mut Outboxes, head: &str, tail: &str, shared: bool) {
        let shared = shared.then(|| Bytes::from(tail.to_owned()));
        let _ = outboxes.deliver(0, head.as_bytes(), tail.as_bytes(), shared.as_ref(), 0);
    }

    fn filler(subject: &str, sid: &str, percent: u8) -> Option<Filler> {
        filler_of(subject, sid, percent, percent)
    }

    fn filler_of(subject: &str, sid: &str, percent: u8, of_all: u8) -> Option<Filler> {
        Some(Filler {
            subject: subject.as_bytes().into(),
            sid: sid.as_bytes().into(),
            percent,
            subscription_percent: of_all,
        })
    }

    #[test]
    fn the_subscription_counts_before_the_subject() {
        let mut outboxes = outboxes();
        for _ in 0..3 {
            deliver(&mut outboxes, "MSG one 1 ", "3\r\nabc\r\n", false);
        }
        // More bytes for one subscription, though less of any one subject.
        for number in 0..9 {
            deliver(
                &mut outboxes,
                &format!("MSG i.{number} 2 "),
                "2\r\nab\r\n",
                false,
            );
        }
        deliver(&mut outboxes, "MSG i.4 2 ", "2\r\nab\r\n", false);
        // Three of 18 bytes, and ten of 17.
        assert_eq!(outboxes.filler(0), filler_of("i.4", "2", 15, 75));
    }

    #[test]
    fn whoever_has_most_bytes_fills_it() {
        let mut outboxes = outboxes();
        assert_eq!(outboxes.filler(0), None, "nothing waits");
        outboxes.write(0, |into| into.extend_from_slice(b"PING\r\n+OK\r\n"));
        assert_eq!(outboxes.filler(0), None, "no message waits");
        // Payloads that look like messages are none.
        deliver(
            &mut outboxes,
            "MSG a 1 ",
            "reply 12\r\nMSG b 2 99\r\n\r\n",
            false,
        );
        assert_eq!(outboxes.filler(0), filler("a", "1", 100));
        for _ in 0..3 {
            deliver(&mut outboxes, "MSG b 2 ", "2\r\nhi\r\n", false);
        }
        // 32 bytes of `a`, 45 of `b`, 17 of `b` for another subscription.
        deliver(&mut outboxes, "HMSG b 9 ", "0 1\r\nx\r\n", true);
        assert_eq!(outboxes.filler(0), filler("b", "2", 47));
        let large = format!("{}\r\n{}\r\n", 100_000, "x".repeat(100_000));
        deliver(&mut outboxes, "MSG c 3 ", &large, true);
        deliver(&mut outboxes, "MSG d 4 ", "0\r\n\r\n", false);
        assert_eq!(outboxes.filler(0), filler("c", "3", 99));
    }

    #[test]
    fn of_many_batches_some_are_looked_at() {
        let mut outboxes = outboxes();
        let small = format!("1000\r\n{}\r\n", "x".repeat(1000));
        for number in 0..100_000 {
            let head = if number % 10 == 0 {
                "MSG few 1 "
            } else {
                "MSG most 2 "
            };
            deliver(&mut outboxes, head, &small, false);
        }
        let batches = outboxes.backlog(0).0;
        assert!(batches > 10 * BATCHES_MAX);
        let filler = outboxes.filler(0).expect("messages wait");
        assert_eq!((&*filler.subject, &*filler.sid), (&b"most"[..], &b"2"[..]));
        assert!((85..=95).contains(&filler.percent), "{filler:?}");
    }
}
