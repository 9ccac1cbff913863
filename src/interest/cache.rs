//! The answers a shard remembers: subject → who gets it. *Hot path.*
//!
//! An entry is one cache line: with one subscriber, the usual case, the look-up and the delivery touch nothing else
//! of it. Answers that "nobody" wants a subject are remembered too; they cost as little as a hit.
//!
//! Invariants
//! - An entry is believed only while its [`Stamp`] is current; nobody hunts for entries to delete them.
//! - Entries are bounded in number and in targets; the ones not used lately give way (CLOCK). Accounts share that room.
//! - The stamp of an entry says for which scope its answer is, so that an answer of another account is never given.

use super::epochs::{Epochs, Stamp};
use super::fanout::{Answer, Prefix, Route};
use super::space::Scope;
use crate::base::bytes::same;
use crate::base::ids::AccountId;
use crate::base::limits::{CACHED_SUBJECTS_MAX, CACHED_TARGETS_MAX};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// Where an answer was found last time; a wrong one costs a compare. Sessions and lanes keep one each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memo(u32);

#[derive(Debug)]
pub(super) struct Cache {
    table: HashTable<Slot>,
    entries: Vec<Entry>,
    /// Where the search for an entry to give up goes on.
    hand: usize,
    targets: usize,
    /// Subscriptions and groups that the answers name, and the most that one ever has.
    named: usize,
    widest: usize,
    /// Whether any entry has ever been for messages that came through a service import.
    has_served: bool,
    hasher: FixedState,
}

/// Where the entry for a subject is. The tag, which is most of the subject's hash, spares the look at entries of other
/// subjects, and growing the table looks at none.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: Tag,
    key: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tag(u32);

#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    answer: Answer,
    stamp: Stamp,
}

const _: () = assert!(size_of::<Entry>() == 64, "an entry is one cache line");

/// What [`Cache::look_up`] found out.
pub(super) enum Found {
    /// A current answer.
    Current(Memo),
    /// An entry whose answer must be made anew.
    Stale(Memo),
    Absent,
}

impl Cache {
    pub(super) fn new(seed: u64) -> Cache {
        Cache {
            table: HashTable::new(),
            entries: Vec::new(),
            hand: 0,
            targets: 0,
            named: 0,
            widest: 0,
            has_served: false,
            hasher: FixedState::with_seed(seed),
        }
    }

    #[inline(always)]
    pub(super) fn look_up(
        &mut self,
        scope: Scope,
        subject: &[u8],
        memo: Memo,
        epochs: &Epochs,
    ) -> Found {
        let key = match self.entries.get(memo.0 as usize) {
            Some(entry) if same(entry.answer.subject(), subject) => memo.0,
            _ => match self.find(scope, subject) {
                Some(key) => key,
                None => return Found::Absent,
            },
        };
        let entry = &mut self.entries[key as usize];
        if !entry.answer.used {
            entry.answer.used = true;
        }
        if entry.stamp == epochs.stamp(scope, entry.answer.area) {
            Found::Current(Memo(key))
        } else if entry.stamp.scope() == scope {
            Found::Stale(Memo(key))
        } else {
            self.look_up_elsewhere(scope, subject, epochs)
        }
    }

    /// The memo led to the same subject in another scope.
    #[cold]
    #[inline(never)]
    fn look_up_elsewhere(&mut self, scope: Scope, subject: &[u8], epochs: &Epochs) -> Found {
        let Some(key) = self.find(scope, subject) else {
            return Found::Absent;
        };
        let entry = &mut self.entries[key as usize];
        entry.answer.used = true;
        if entry.stamp == epochs.stamp(scope, entry.answer.area) {
            Found::Current(Memo(key))
        } else {
            Found::Stale(Memo(key))
        }
    }

    #[inline]
    pub(super) fn tag(&self, scope: Scope, subject: &[u8]) -> Tag {
        let hash = self.hasher.hash_one(subject) ^ scope.salt();
        Tag((hash >> 32) as u32)
    }

    /// Where the answer for a subject with that tag may be.
    #[inline]
    pub(super) fn place(&self, tag: Tag) -> Option<Memo> {
        let slot = self.table.find(tag.hash(), |slot| slot.tag == tag)?;
        Some(Memo(slot.key))
    }

    #[inline]
    fn find(&self, scope: Scope, subject: &[u8]) -> Option<u32> {
        let tag = self.tag(scope, subject);
        // The tag of a subject is another one in every scope: the scope need not be compared.
        let is_it = |slot: &Slot| {
            slot.tag == tag && same(self.entries[slot.key as usize].answer.subject(), subject)
        };
        self.table.find(tag.hash(), is_it).map(|slot| slot.key)
    }

    #[inline]
    pub(super) fn answer(&self, memo: Memo) -> &Answer {
        &self.entries[memo.0 as usize].answer
    }

    /// Replaces a stale answer.
    pub(super) fn refresh(&mut self, memo: Memo, mut answer: Answer, epochs: &Epochs) {
        let entry = &mut self.entries[memo.0 as usize];
        debug_assert_eq!(entry.answer.subject(), answer.subject());
        self.targets = self.targets - entry.answer.weight() + answer.weight();
        self.named = self.named - entry.answer.width() + answer.width();
        self.widest = self.widest.max(answer.width());
        answer.area = entry.answer.area;
        entry.stamp = epochs.stamp(entry.stamp.scope(), answer.area);
        entry.answer = answer;
        self.shrink(memo);
    }

    /// Remembers the answer for a subject that has no entry.
    pub(super) fn remember(&mut self, scope: Scope, mut answer: Answer, epochs: &Epochs) -> Memo {
        answer.area = epochs.area_of(scope.account(), answer.subject());
        let stamp = epochs.stamp(scope, answer.area);
        let tag = self.tag(scope, answer.subject());
        self.has_served |= scope.is_served();
        self.targets += answer.weight();
        self.named += answer.width();
        self.widest = self.widest.max(answer.width());
        let entry = Entry { answer, stamp };
        let key = if self.entries.len() < CACHED_SUBJECTS_MAX {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let key = self.least_used();
            self.give_up(key);
            self.entries[key] = entry;
            key
        };
        let memo = Memo(u32::try_from(key).unwrap_or(u32::MAX));
        let slot = Slot { tag, key: memo.0 };
        self.table
            .insert_unique(tag.hash(), slot, |slot| slot.tag.hash());
        self.shrink(memo);
        memo
    }

    /// Makes the answers for one subject of an account suspect: a literal pattern came or went.
    pub(super) fn distrust(&mut self, account: AccountId, subject: &[u8]) {
        self.distrust_in(Scope::published(account), subject);
        if self.has_served {
            self.distrust_in(Scope::served(account), subject);
        }
    }

    fn distrust_in(&mut self, scope: Scope, subject: &[u8]) {
        if let Some(key) = self.find(scope, subject) {
            self.entries[key as usize].stamp = Stamp::stale(scope);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn named(&self) -> usize {
        self.named
    }

    pub(super) fn widest(&self) -> usize {
        self.widest
    }

    #[cfg(test)]
    pub(super) fn targets(&self) -> usize {
        self.targets
    }

    /// Gives up answers until the targets fit, sparing the one just made.
    fn shrink(&mut self, spare: Memo) {
        let mut rounds = self.entries.len() * 2;
        while self.targets > CACHED_TARGETS_MAX && rounds > 0 {
            rounds -= 1;
            let key = self.least_used();
            if key != spare.0 as usize && self.entries[key].answer.weight() > 0 {
                // The entry keeps its subject and its place; only the targets go.
                let entry = &mut self.entries[key];
                self.targets -= entry.answer.weight();
                self.named -= entry.answer.width();
                let area = entry.answer.area;
                entry.answer = Answer::new(entry.answer.subject(), Prefix::NoSid, Route::Nobody);
                entry.answer.area = area;
                entry.stamp = Stamp::stale(entry.stamp.scope());
            }
        }
    }

    /// CLOCK: an entry used since the hand last came by gets another round.
    fn least_used(&mut self) -> usize {
        loop {
            let key = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            if !std::mem::take(&mut self.entries[key].answer.used) {
                return key;
            }
        }
    }

    fn give_up(&mut self, key: usize) {
        let entry = &self.entries[key];
        self.targets -= entry.answer.weight();
        self.named -= entry.answer.width();
        let tag = self.tag(entry.stamp.scope(), entry.answer.subject());
        let is_it = |slot: &Slot| slot.key as usize == key;
        if let Ok(found) = self.table.find_entry(tag.hash(), is_it) {
            found.remove();
        }
    }
}

impl Tag {
    /// Spread over all bits: the table takes its place from the low ones and its mark from the high ones.
    #[inline]
    fn hash(self) -> u64 {
        u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}
