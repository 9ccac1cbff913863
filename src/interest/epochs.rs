//! What a changed wildcard pattern can touch, so that it makes no other remembered answer suspect. *Hot path.*
//!
//! Every cached answer carries a [`Stamp`] taken when it was made. A pattern that comes or goes moves one counter on:
//! that of its first two literal tokens, of its first one, or, when it begins with a wildcard, the global one. An
//! answer is current while the counters of its own subject's first tokens, and the global one, are where they were.
//! Tokens share counters by hash; sharing costs a needless look-up, never a wrong answer.
//!
//! nats-server throws its whole cache away on any change; under constant subscription churn that is no cache.

use crate::subject::{self, Pattern};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

const FIRST: usize = 1 << 10;
const SECOND: usize = 1 << 12;

/// The counters.
#[derive(Debug)]
pub(super) struct Epochs {
    global: u64,
    first: Box<[u64]>,
    second: Box<[u64]>,
    hasher: FixedState,
}

/// Which counters a subject depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Area {
    first: u16,
    second: u16,
}

/// The sum of an area's counters. They only grow, so an equal sum means that none has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// Older than every stamp taken.
    pub(super) const STALE: Stamp = Stamp(0);
}

impl Epochs {
    pub(super) fn new(seed: u64) -> Epochs {
        let counters = |count| vec![0; count].into_boxed_slice();
        Epochs {
            global: 1,
            first: counters(FIRST),
            second: counters(SECOND),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Makes every answer suspect that `pattern` could be part of.
    pub(super) fn move_on(&mut self, pattern: Pattern<'_>) {
        let prefix = literal_prefix(pattern);
        let counter = match subject::tokens(prefix).take(2).count() {
            _ if prefix.is_empty() => &mut self.global,
            1 => &mut self.first[slot(&self.hasher, prefix, FIRST)],
            _ => &mut self.second[slot(&self.hasher, first_tokens(prefix, 2), SECOND)],
        };
        *counter += 1;
    }

    pub(super) fn area_of(&self, subject: &[u8]) -> Area {
        let index = |tokens, count| {
            let slot = slot(&self.hasher, first_tokens(subject, tokens), count);
            u16::try_from(slot).unwrap_or_default()
        };
        Area {
            first: index(1, FIRST),
            second: index(2, SECOND),
        }
    }

    #[inline]
    pub(super) fn stamp(&self, area: Area) -> Stamp {
        let first = self.first[usize::from(area.first)];
        let second = self.second[usize::from(area.second)];
        Stamp(self.global + first + second)
    }
}

/// The tokens before the first wildcard, without the last dot.
fn literal_prefix(pattern: Pattern<'_>) -> &[u8] {
    let mut len = 0;
    for token in pattern.tokens() {
        if token == b"*" || token == b">" {
            break;
        }
        len += token.len() + 1;
    }
    &pattern.as_bytes()[..len.saturating_sub(1)]
}

fn first_tokens(bytes: &[u8], count: usize) -> &[u8] {
    match memchr::memchr_iter(b'.', bytes).nth(count - 1) {
        Some(dot) => &bytes[..dot],
        None => bytes,
    }
}

fn slot(hasher: &FixedState, prefix: &[u8], count: usize) -> usize {
    // The high bits: the match cache's table uses the low ones of the same hash.
    (hasher.hash_one(prefix) >> 40) as usize % count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(pattern: &str, subject: &str) -> bool {
        let mut epochs = Epochs::new(1);
        let area = epochs.area_of(subject.as_bytes());
        let before = epochs.stamp(area);
        epochs.move_on(Pattern::new(pattern.as_bytes()).expect("valid"));
        epochs.stamp(area) != before
    }

    #[test]
    fn a_pattern_touches_every_subject_it_matches() {
        for (pattern, subject) in [
            (">", "a"),
            ("*", "a"),
            ("*.b", "a.b"),
            ("a.*", "a.b"),
            ("a.>", "a.b.c"),
            ("a.b.*", "a.b.c"),
            ("a.b.c.*.e.>", "a.b.c.d.e.f"),
        ] {
            assert!(touches(pattern, subject), "{pattern} {subject}");
        }
    }

    #[test]
    fn a_pattern_elsewhere_leaves_answers_alone() {
        assert!(!touches("_INBOX.x.*", "orders.new"));
        assert!(!touches("orders.eu.*", "orders.us.1"));
        assert!(!touches("orders.eu.>", "orders"));
    }
}
