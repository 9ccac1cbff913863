//! Responses that requests through service imports wait for, on the requester's shard.
//!
//! A request that crosses gets a reply subject of the server's own, `_R_.<shard>.<number>`, under which this shard hears
//! the response in the exporting account, wherever the responder is; here is written whom it is for. The number is a slot
//! and a random part, so that finding an entry is one look and guessing one is hopeless.
//!
//! Invariants
//! - An entry is in the list of its threshold, oldest first: what has expired is at the fronts.
//! - An entry is in the index of its importing account and reply.
//! - At [`RESPONSES_AWAITED_MAX`] the entry that would expire first makes room.

use crate::account::ExportId;
use crate::base::clock::Now;
use crate::base::ids::AccountId;
use crate::base::limits::{RESPONSES_AWAITED_MAX, RESPONSES_SEARCHED_MAX};
use crate::base::rng::Rng;
use crate::base::slab::Slab;
use crate::config::account::ResponseKind;
use crate::subject::{Pattern, matches};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::time::Duration;

use super::latency::Measured;

const NONE: u32 = u32::MAX;

/// The first token of such reply subjects.
const REPLY_PREFIX: &[u8] = b"_R_.";
/// The last token of those whose responses are measured.
const MEASURED: &[u8] = b".T";
/// Characters of a number: 64 bits.
const NUMBER_LEN: usize = 11;
const TOKEN_LEN: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a shard waits for.
#[derive(Debug)]
pub(super) struct Replies {
    /// `_R_.<shard>.`
    prefix: Box<[u8]>,
    entries: Slab<Entry>,
    /// One list for each threshold there is; few.
    lists: Vec<List>,
    by_reply: HashTable<u32>,
    hasher: FixedState,
    rng: Rng,
    max: usize,
}

/// A response that is waited for.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Where it will be published.
    pub(super) exporter: AccountId,
    /// Where it belongs.
    pub(super) importer: AccountId,
    /// What the requester wants it to be called.
    pub(super) reply: Box<[u8]>,
    pub(super) export: ExportId,
    pub(super) kind: ResponseKind,
    pub(super) threshold: Duration,
    /// When it is to be measured.
    pub(super) measured: Option<Box<Measured>>,
}

impl Awaited {
    /// Where the response belongs: the account and the subject.
    pub(super) fn home(&self) -> (AccountId, &[u8]) {
        (self.importer, &self.reply)
    }
}

#[derive(Debug)]
struct Entry {
    awaited: Awaited,
    tag: u32,
    since: Now,
    list: u32,
    next: u32,
    previous: u32,
}

/// Entries of one threshold, oldest first.
#[derive(Debug)]
struct List {
    threshold: Duration,
    first: u32,
    last: u32,
}

impl Replies {
    /// `rng` is for numbers that nobody outside should guess.
    pub(super) fn new(mut rng: Rng) -> Replies {
        let mut prefix = REPLY_PREFIX.to_vec();
        write_number(rng.next_u64(), TOKEN_LEN, &mut prefix);
        prefix.push(b'.');
        Replies {
            prefix: prefix.into(),
            entries: Slab::new(),
            lists: Vec::new(),
            by_reply: HashTable::new(),
            hasher: FixedState::with_seed(rng.next_u64()),
            rng,
            max: RESPONSES_AWAITED_MAX,
        }
    }

    /// What all its reply subjects begin with.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// A name for an event, as unlikely to be used twice as nats-server's.
    pub(super) fn event_id(&mut self) -> String {
        self.rng.name()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Begins to wait; gives the entry's name, and one that had to be given up for it.
    pub(super) fn wait_for(&mut self, awaited: Awaited, now: Now) -> (u32, Option<Awaited>) {
        let given_up = if self.entries.len() >= self.max {
            self.earliest().and_then(|key| self.remove(key))
        } else {
            None
        };
        let list = self.list_of(awaited.threshold);
        let tag = (self.rng.next_u64() >> 32) as u32;
        let hash = self.hash(awaited.importer, &awaited.reply);
        let key = self.entries.insert(Entry {
            awaited,
            tag,
            since: now,
            list,
            next: NONE,
            previous: NONE,
        });
        self.append(key);
        let Replies {
            by_reply,
            entries,
            hasher,
            ..
        } = self;
        by_reply.insert_unique(hash, key, |key| hash_of(hasher, &entries[*key].awaited));
        (key, given_up)
    }

    /// The subject under which the response comes.
    pub(super) fn subject(&self, key: u32) -> Vec<u8> {
        let mut subject = Vec::with_capacity(self.prefix.len() + NUMBER_LEN);
        subject.extend_from_slice(&self.prefix);
        let entry = &self.entries[key];
        let number = u64::from(entry.tag) << 32 | u64::from(key);
        write_number(number, NUMBER_LEN, &mut subject);
        if entry.awaited.measured.is_some() {
            subject.extend_from_slice(MEASURED);
        }
        subject
    }

    /// The entry that a message to `subject` in `account` is for.
    pub(super) fn find(&self, account: AccountId, subject: &[u8]) -> Option<u32> {
        let digits = subject.strip_prefix(&*self.prefix)?;
        let number = read_number(digits.strip_suffix(MEASURED).unwrap_or(digits))?;
        let key = u32::try_from(number & u64::from(u32::MAX)).ok()?;
        let entry = self.entries.get(key)?;
        (u64::from(entry.tag) == number >> 32 && entry.awaited.exporter == account).then_some(key)
    }

    pub(super) fn get(&self, key: u32) -> Option<&Awaited> {
        self.entries.get(key).map(|entry| &entry.awaited)
    }

    pub(super) fn get_mut(&mut self, key: u32) -> Option<&mut Awaited> {
        self.entries.get_mut(key).map(|entry| &mut entry.awaited)
    }

    /// A response of several has come: the next may take as long again.
    pub(super) fn refresh(&mut self, key: u32, now: Now) {
        self.unlink(key);
        self.entries[key].since = now;
        self.append(key);
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Awaited> {
        self.entries.get(key)?;
        self.unlink(key);
        let awaited = self.entries.remove(key)?.awaited;
        let hash = self.hash(awaited.importer, &awaited.reply);
        if let Ok(found) = self.by_reply.find_entry(hash, |other| *other == key) {
            found.remove();
        }
        Some(awaited)
    }

    /// Ends the wait for the response that would come to `subject` in `account`, if there is one.
    pub(super) fn take(&mut self, account: AccountId, subject: &[u8]) -> Option<Awaited> {
        let key = self.find(account, subject)?;
        self.remove(key)
    }

    /// When the next entry expires.
    pub(super) fn deadline(&self) -> Option<Now> {
        let key = self.earliest()?;
        Some(self.expiry(key))
    }

    /// An entry whose time is over.
    pub(super) fn expired(&mut self, now: Now) -> Option<Awaited> {
        let key = self.earliest()?;
        (self.expiry(key) <= now).then(|| self.remove(key))?
    }

    /// Entries whose requester may have lost interest: those with a reply that `pattern` takes. When they are too many to
    /// be looked through, none.
    pub(super) fn of(&self, importer: AccountId, pattern: Pattern<'_>) -> Vec<u32> {
        let bytes = pattern.as_bytes();
        if pattern.is_literal() {
            let is_it = |key: &u32| {
                let awaited = &self.entries[*key].awaited;
                awaited.importer == importer && *awaited.reply == *bytes
            };
            let hash = self.hash(importer, bytes);
            let found = self.by_reply.iter_hash(hash);
            return found.copied().filter(is_it).collect();
        }
        if self.entries.len() > RESPONSES_SEARCHED_MAX {
            return Vec::new();
        }
        let entries = self.entries.iter();
        let of = entries.filter(|(_, entry)| {
            entry.awaited.importer == importer && matches(bytes, &entry.awaited.reply)
        });
        of.map(|(key, _)| key).collect()
    }

    fn earliest(&self) -> Option<u32> {
        let fronts = self.lists.iter().map(|list| list.first);
        fronts
            .filter(|key| *key != NONE)
            .min_by_key(|key| self.expiry(*key))
    }

    fn expiry(&self, key: u32) -> Now {
        let entry = &self.entries[key];
        entry.since.after(entry.awaited.threshold)
    }

    fn hash(&self, importer: AccountId, reply: &[u8]) -> u64 {
        self.hasher.hash_one((importer, reply))
    }

    fn list_of(&mut self, threshold: Duration) -> u32 {
        let known = self
            .lists
            .iter()
            .position(|list| list.threshold == threshold);
        let index = known.unwrap_or_else(|| {
            self.lists.push(List {
                threshold,
                first: NONE,
                last: NONE,
            });
            self.lists.len() - 1
        });
        u32::try_from(index).expect("as many thresholds as exports, at most")
    }

    fn append(&mut self, key: u32) {
        let list = &mut self.lists[self.entries[key].list as usize];
        let last = std::mem::replace(&mut list.last, key);
        if last == NONE {
            list.first = key;
        } else {
            self.entries[last].next = key;
        }
        let entry = &mut self.entries[key];
        (entry.previous, entry.next) = (last, NONE);
    }

    fn unlink(&mut self, key: u32) {
        let entry = &self.entries[key];
        let (list, previous, next) = (entry.list as usize, entry.previous, entry.next);
        match previous {
            NONE => self.lists[list].first = next,
            before => self.entries[before].next = next,
        }
        match next {
            NONE => self.lists[list].last = previous,
            after => self.entries[after].previous = previous,
        }
    }
}

fn hash_of(hasher: &FixedState, awaited: &Awaited) -> u64 {
    hasher.hash_one((awaited.importer, &*awaited.reply))
}

/// Whether a subject is that of a response which is measured, on whichever shard.
pub fn is_measured(subject: &[u8]) -> bool {
    subject.starts_with(REPLY_PREFIX) && subject.ends_with(MEASURED)
}

/// The lowest digits of a number, lowest first.
fn write_number(mut number: u64, len: usize, into: &mut Vec<u8>) {
    for _ in 0..len {
        into.push(DIGITS[(number % 62) as usize]);
        number /= 62;
    }
}

fn read_number(digits: &[u8]) -> Option<u64> {
    if digits.len() != NUMBER_LEN {
        return None;
    }
    digits.iter().rev().try_fold(0u64, |number, digit| {
        let value = DIGITS.iter().position(|other| other == digit)?;
        number.checked_mul(62)?.checked_add(value as u64)
    })
}

#[cfg(test)]
mod tests;
