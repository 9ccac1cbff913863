//! What a changed wildcard pattern can touch, so that it makes no other remembered answer suspect. *Hot path.*
//!
//! Every cached answer carries a [`Stamp`] taken when it was made. A pattern that comes or goes moves one counter on:
//! that of its first two literal tokens, of its first one, or, when it begins with a wildcard, its account's. An
//! answer is current while the counters of its own subject's first tokens, and its account's, are where they were.
//! Tokens, of all accounts, share counters by hash, and accounts theirs; sharing costs a needless look-up, never a wrong
//! answer. So an account costs nothing here.
//!
//! The counters count in steps of 2^17, so that a stamp has room for the scope of its answer: an answer for the same
//! subject in another account has another stamp, and finding that out costs nothing.
//!
//! nats-server throws its whole cache away on any change; under constant subscription churn that is no cache.

use super::space::{SCOPE_BITS, Scope};
use crate::base::ids::AccountId;
use crate::subject::{self, Pattern};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

const ACCOUNTS: usize = 1 << 10;
const FIRST: usize = 1 << 10;
const SECOND: usize = 1 << 12;
/// By which a counter moves on: 47 bits are left, which is nine years of a million changes a second.
const STEP: u64 = 1 << SCOPE_BITS;

/// The counters.
#[derive(Debug)]
pub(super) struct Epochs {
    accounts: Counters<ACCOUNTS>,
    first: Counters<FIRST>,
    second: Counters<SECOND>,
    hasher: FixedState,
}

/// `N` counters, a power of two of them. An index is cut to size, which is cheaper than to check it.
#[derive(Debug)]
struct Counters<const N: usize>(Box<[u64; N]>);

impl<const N: usize> Counters<N> {
    fn new() -> Counters<N> {
        // Not from zero: then no stamp taken is a stale one.
        let counters: Box<[u64]> = vec![STEP; N].into();
        Counters(counters.try_into().expect("there are N"))
    }

    #[inline]
    fn at(&self, index: u16) -> u64 {
        self.0[usize::from(index) % N]
    }

    fn move_on(&mut self, index: u16) {
        self.0[usize::from(index) % N] += STEP;
    }
}

/// Which counters a subject depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Area {
    first: u16,
    second: u16,
}

/// The sum of an area's counters, and the scope. Counters only grow, so an equal sum means that none has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// Older than every stamp taken in a scope.
    pub(super) fn stale(scope: Scope) -> Stamp {
        Stamp(scope.bits())
    }

    pub(super) fn scope(self) -> Scope {
        Scope::from_bits(self.0)
    }
}

impl Epochs {
    pub(super) fn new(seed: u64) -> Epochs {
        Epochs {
            accounts: Counters::new(),
            first: Counters::new(),
            second: Counters::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Makes every answer of the account suspect that `pattern` could be part of.
    pub(super) fn move_on(&mut self, account: AccountId, pattern: Pattern<'_>) {
        let prefix = literal_prefix(pattern);
        match subject::tokens(prefix).take(2).count() {
            _ if prefix.is_empty() => self.accounts.move_on(account.0),
            1 => self.first.move_on(self.slot(account, prefix)),
            _ => self
                .second
                .move_on(self.slot(account, first_tokens(prefix, 2))),
        }
    }

    /// Makes every answer of every account suspect: each depends on one of these.
    pub(super) fn move_all(&mut self) {
        for counter in self.first.0.iter_mut() {
            *counter += STEP;
        }
    }

    pub(super) fn area_of(&self, account: AccountId, subject: &[u8]) -> Area {
        let index = |tokens| self.slot(account, first_tokens(subject, tokens));
        Area {
            first: index(1),
            second: index(2),
        }
    }

    #[inline]
    pub(super) fn stamp(&self, scope: Scope, area: Area) -> Stamp {
        let sum = self.accounts.at(scope.account().0)
            + self.first.at(area.first)
            + self.second.at(area.second);
        Stamp(sum + scope.bits())
    }

    fn slot(&self, account: AccountId, prefix: &[u8]) -> u16 {
        let hash = self.hasher.hash_one(prefix) ^ Scope::published(account).salt();
        // The high bits: the match cache's table uses the low ones of the same hash.
        (hash >> 48) as u16
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

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: AccountId = AccountId(3);

    fn touches(pattern: &str, subject: &str) -> bool {
        touches_from(HERE, pattern, subject)
    }

    fn touches_from(account: AccountId, pattern: &str, subject: &str) -> bool {
        let mut epochs = Epochs::new(1);
        let scopes = [Scope::published(HERE), Scope::served(HERE)];
        let area = epochs.area_of(HERE, subject.as_bytes());
        let before = scopes.map(|scope| epochs.stamp(scope, area));
        assert_ne!(before[0], before[1]);
        assert_eq!(before.map(Stamp::scope), scopes);
        epochs.move_on(account, Pattern::new(pattern.as_bytes()).expect("valid"));
        let after = scopes.map(|scope| epochs.stamp(scope, area));
        assert_eq!(after[0] == before[0], after[1] == before[1]);
        assert!(
            scopes
                .iter()
                .all(|scope| !after.contains(&Stamp::stale(*scope)))
        );
        after[0] != before[0]
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

    #[test]
    fn a_pattern_of_another_account_leaves_answers_alone() {
        for pattern in [">", "*", "a.>", "a.b.>"] {
            assert!(!touches_from(AccountId(2), pattern, "a.b.c"), "{pattern}");
        }
    }
}
