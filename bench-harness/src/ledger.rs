//! What verification finds: for each receiver and publisher, whether the sequence came whole, once and in order.
//!
//! - [`Track`] follows one publisher at one subscriber that gets all of its class: exact, whatever the order.
//! - [`Share`] follows one publisher at one member of a queue group; the members are added up at the end. Losses and
//!   duplicates are exact as long as there is one kind of them, and at least one of each is found when they are mixed.
//! - [`Open`] holds the requests of one requester that have no answer yet: exact.
//!
//! All take a 32-bit sequence that wraps. *Hot path* in `note`; memory grows with gaps only, and that is limited.
//!
//! A damaged delivery names nobody, so it is counted by whoever reads payloads; it stands for one that is missing here.

use std::collections::{BTreeMap, VecDeque};

use crate::record::Verdict;

/// One publisher at one subscriber.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// The sequence that comes next if all goes well, without wrapping.
    next: u64,
    trouble: Option<Box<Trouble>>,
}

#[derive(Debug, Clone, Default)]
struct Trouble {
    /// What was jumped over: first of each gap, and the one after its last.
    gaps: BTreeMap<u64, u64>,
    /// In gaps that were too many to keep.
    lost: u64,
    duplicated: u64,
    disordered: u64,
    unexpected: u64,
}

impl Track {
    #[inline]
    pub fn note(&mut self, sequence: u32) {
        #[expect(clippy::cast_possible_truncation, reason = "the sequence's own width")]
        let is_next = sequence == self.next as u32;
        match is_next {
            true => self.next += 1,
            false => self.note_trouble(sequence),
        }
    }

    #[cold]
    fn note_trouble(&mut self, sequence: u32) {
        let trouble = self.trouble.get_or_insert_default();
        match unwrapped(self.next, sequence) {
            Some(ahead) if ahead > self.next => {
                trouble.jump(self.next, ahead);
                self.next = ahead + 1;
            }
            Some(behind) => trouble.come_late(behind),
            None => trouble.unexpected += 1,
        }
    }

    /// What came of it, when this many were sent. Lost are only those before the last that came, if nobody waited for
    /// the rest.
    pub fn settle(&self, sent: u64, is_waited_for: bool) -> Verdict {
        let mut verdict = Verdict::default();
        let behind = sent.saturating_sub(self.next);
        verdict.lost = if is_waited_for { behind } else { 0 };
        verdict.unexpected = self.next.saturating_sub(sent);
        if let Some(trouble) = &self.trouble {
            let gaps = trouble.gaps.iter().map(|(first, end)| end - first);
            // A sequence that nobody sent tears a gap that nobody misses.
            let beyond = trouble
                .gaps
                .iter()
                .map(|(first, end)| end.saturating_sub(sent.max(*first)));
            let beyond = beyond.sum::<u64>();
            verdict.lost += trouble.lost + gaps.sum::<u64>() - beyond;
            verdict.unexpected = verdict.unexpected.saturating_sub(beyond) + trouble.unexpected;
            verdict.duplicated = trouble.duplicated;
            verdict.disordered = trouble.disordered;
        }
        verdict
    }
}

impl Trouble {
    fn jump(&mut self, from: u64, to: u64) {
        self.gaps.insert(from, to);
        if self.gaps.len() > GAPS_MAX
            && let Some((first, end)) = self.gaps.pop_first()
        {
            self.lost += end - first;
        }
    }

    /// A sequence below the next: it fills a gap, or it has been here before.
    fn come_late(&mut self, sequence: u64) {
        let gap = self.gaps.range(..=sequence).next_back();
        let Some((first, end)) = gap
            .map(|(first, end)| (*first, *end))
            .filter(|(_, end)| sequence < *end)
        else {
            self.duplicated += 1;
            return;
        };
        self.disordered += 1;
        self.gaps.remove(&first);
        if first < sequence {
            self.gaps.insert(first, sequence);
        }
        if sequence + 1 < end {
            self.gaps.insert(sequence + 1, end);
        }
    }
}

/// One publisher at one member of a queue group, or at several members added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// One above the highest sequence so far, without wrapping.
    above: u64,
    count: u64,
    /// Sums of the sequences and of their squares, wrapping: they tell "each once" from "one twice, another never".
    sum: u64,
    squares: u64,
    /// That came after a higher one.
    late: u64,
    unexpected: u64,
}

impl Share {
    #[inline]
    pub fn note(&mut self, sequence: u32) {
        let Some(sequence) = unwrapped(self.above, sequence) else {
            self.unexpected += 1;
            return;
        };
        self.count += 1;
        self.sum = self.sum.wrapping_add(sequence);
        self.squares = self.squares.wrapping_add(sequence.wrapping_mul(sequence));
        match sequence >= self.above {
            true => self.above = sequence + 1,
            false => self.late += 1,
        }
    }

    pub fn add(&mut self, other: &Share) {
        self.above = self.above.max(other.above);
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
        self.late += other.late;
        self.unexpected += other.unexpected;
    }

    /// What came of it for the whole group, when this many were sent.
    pub fn settle(&self, sent: u64, is_waited_for: bool) -> Verdict {
        let mut verdict = Verdict {
            duplicated: self.count.saturating_sub(sent),
            unexpected: self.unexpected,
            ..Verdict::default()
        };
        if is_waited_for {
            verdict.lost = sent.saturating_sub(self.count);
            if self.count == sent && (self.sum, self.squares) != sums(sent) {
                verdict.lost = 1;
                verdict.duplicated = 1;
            }
        }
        // A duplicate comes late as well, and is not called disorder too.
        verdict.disordered = self.late.saturating_sub(verdict.duplicated);
        verdict
    }
}

/// The sums of the numbers below `count` and of their squares, modulo 2^64.
fn sums(count: u64) -> (u64, u64) {
    let n = u128::from(count);
    let before = n.saturating_sub(1);
    let sum = n * before / 2;
    // Below 2^41 messages this does not overflow: they are limited to 10^12.
    let squares = before * n * (2 * n).saturating_sub(1) / 6;
    let low = |value: u128| u64::try_from(value & u128::from(u64::MAX)).unwrap_or(0);
    (low(sum), low(squares))
}

/// The requests of one requester that wait for an answer.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// The oldest that waits; everything before it is answered.
    first: u64,
    /// Whether it waits, from the first on.
    waits: VecDeque<bool>,
    count: u64,
    /// Answers that came a second time, and to what was never asked.
    duplicated: u64,
    unexpected: u64,
}

impl Open {
    /// Notes a request, in the order of its sequence.
    pub fn ask(&mut self) {
        self.waits.push_back(true);
        self.count += 1;
    }

    /// Notes an answer; tells whether it was waited for.
    pub fn answer(&mut self, sequence: u32) -> bool {
        let place = unwrapped(self.first, sequence);
        let Some(place) = place.and_then(|sequence| sequence.checked_sub(self.first)) else {
            self.duplicated += 1;
            return false;
        };
        let wait = usize::try_from(place)
            .ok()
            .and_then(|place| self.waits.get_mut(place));
        match wait {
            Some(wait) if *wait => *wait = false,
            Some(_) => {
                self.duplicated += 1;
                return false;
            }
            None => {
                self.unexpected += 1;
                return false;
            }
        }
        self.count -= 1;
        while self.waits.front() == Some(&false) {
            self.waits.pop_front();
            self.first += 1;
        }
        true
    }

    /// How many wait.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What came of it. Unanswered are those that still wait, if they had the time.
    pub fn settle(&self, is_waited_for: bool) -> Verdict {
        Verdict {
            unanswered: if is_waited_for { self.count } else { 0 },
            duplicated: self.duplicated,
            unexpected: self.unexpected,
            ..Verdict::default()
        }
    }
}

/// Adds up verdicts of different receivers.
pub fn add(whole: &mut Verdict, part: &Verdict) {
    whole.lost += part.lost;
    whole.duplicated += part.duplicated;
    whole.disordered += part.disordered;
    whole.damaged += part.damaged;
    whole.unexpected += part.unexpected;
    whole.unanswered += part.unanswered;
}

/// The full sequence nearest to `near` that ends in these 32 bits; none if it would be below zero.
#[inline]
fn unwrapped(near: u64, sequence: u32) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "the sequence's own width")]
    let distance = sequence.wrapping_sub(near as u32).cast_signed();
    near.checked_add_signed(i64::from(distance))
}

/// Gaps that one track remembers.
const GAPS_MAX: usize = 65_536;

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
