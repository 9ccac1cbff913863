//! The subjects of a shard's subscriptions as a tree, one level at a time. *Control path, between the steps of a turn.*
//!
//! Nothing is kept for it: who wants a level has all subscriptions looked at, a piece at a time.

use super::{Piece, Shard};
use crate::base::ids::AccountId;
use crate::base::limits::{SURVEYED_SUBJECTS, SURVEYED_SUBSCRIBERS};
use crate::interest::SubscriptionId;
use std::collections::BTreeMap;

/// Which level of the tree is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// Whole tokens; empty for the top.
    pub beginning: Box<[u8]>,
    pub account: Option<AccountId>,
}

/// One token that subjects go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    pub token: Box<[u8]>,
    /// Subscriptions whose subject ends with it.
    pub ending: usize,
    /// Subscriptions whose subject goes on.
    pub below: usize,
}

/// Where a subject is, seen from the beginning of a level.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Elsewhere,
    Here,
    /// Below, by this token; and whether it goes on from there.
    Under(&'a [u8], bool),
}

impl Below {
    fn place<'a>(&self, subject: &'a [u8]) -> Place<'a> {
        let rest = match self.beginning.len() {
            0 => subject,
            len => match subject.strip_prefix(&*self.beginning) {
                Some([]) => return Place::Here,
                Some([b'.', ..]) => &subject[len + 1..],
                _ => return Place::Elsewhere,
            },
        };
        let end = rest.iter().position(|byte| *byte == b'.');
        Place::Under(&rest[..end.unwrap_or(rest.len())], end.is_some())
    }
}

impl Shard {
    pub(super) fn subjects(&self, from: SubscriptionId, below: &Below) -> Piece {
        let interest = self.router.interest();
        let bound = interest.subscription_bound();
        let end = from.saturating_add(SURVEYED_SUBJECTS).min(bound);
        let mut branches: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
        let mut here = Vec::new();
        let mut ending_here = 0;
        for (id, _) in interest.subscriptions_in(from..end) {
            let (account, subject) = interest.wish_of(id);
            if below.account.is_some_and(|wanted| wanted != account) {
                continue;
            }
            match below.place(subject) {
                Place::Elsewhere => {}
                Place::Here => {
                    ending_here += 1;
                    if here.len() < SURVEYED_SUBSCRIBERS {
                        here.push(id);
                    }
                }
                Place::Under(token, goes_on) => {
                    let (ending, below) = branches.entry(token).or_default();
                    *ending += usize::from(!goes_on);
                    *below += usize::from(goes_on);
                }
            }
        }
        let branches = branches.into_iter();
        Piece::Subjects {
            branches: branches
                .map(|(token, (ending, below))| Branch {
                    token: token.into(),
                    ending,
                    below,
                })
                .collect(),
            here: self.describe(here),
            ending_here,
            next: (end < bound).then_some(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_tokens_are_a_beginning() {
        let place = |beginning: &str, subject: &'static str| {
            let below = Below {
                beginning: beginning.as_bytes().into(),
                account: None,
            };
            below.place(subject.as_bytes())
        };
        assert_eq!(place("", "a"), Place::Under(b"a", false));
        assert_eq!(place("", "a.b"), Place::Under(b"a", true));
        assert_eq!(place("a", "a"), Place::Here);
        assert_eq!(place("a", "a.*.>"), Place::Under(b"*", true));
        assert_eq!(place("a.*", "a.*.>"), Place::Under(b">", false));
        assert_eq!(place("a", "ab.c"), Place::Elsewhere);
        assert_eq!(place("a.b", "a"), Place::Elsewhere);
    }
}
