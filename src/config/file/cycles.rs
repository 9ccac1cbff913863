//! Whether imports lead round in a circle.
//!
//! *Control path.* Pure.
//!
//! - An import forms a cycle when what it brings comes, through imports of the account it comes from and of others, from an
//!   account that it has passed already. Subjects are followed through their renaming, which nats-server does not do.
//! - Imports are looked at in the order of the file, each beside those before it: the one that closes a cycle is told.
//! - The search is bounded. Accounts that cannot be part of a cycle whatever the subjects are never searched.

use std::collections::{BTreeMap, BTreeSet};

use super::patterns::{Effort, Exhausted, Patterns};
use crate::base::ids::AccountId;
use crate::subject::intersection;

/// One import of one kind, as far as cycles are concerned.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) importer: AccountId,
    pub(super) exporter: AccountId,
    /// In the importing account, a pattern.
    pub(super) local: String,
    /// In the exporting account.
    pub(super) remote: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cycle {
    Found,
    /// The search was too long to be sure.
    TooDeep,
}

/// The links that were added so far, all of one kind.
#[derive(Debug)]
pub(super) struct Cycles {
    /// Accounts that may be part of a cycle.
    suspects: BTreeSet<AccountId>,
    /// By importer and local subject.
    links: BTreeMap<AccountId, Patterns<Link>>,
    effort: Effort,
}

impl Cycles {
    /// `all` are the links that will be added.
    pub(super) fn new(all: &[Link]) -> Cycles {
        Cycles {
            suspects: suspects(all),
            links: BTreeMap::new(),
            effort: Effort::new(EFFORT),
        }
    }

    /// Adds a link.
    ///
    /// # Errors
    /// When it forms a cycle with those before it; it is not added then.
    pub(super) fn add(&mut self, link: Link) -> Result<(), Cycle> {
        // Whoever else is on the way between them is among the suspects too.
        if self.suspects.contains(&link.importer) && self.suspects.contains(&link.exporter) {
            let mut search = Search {
                links: &self.links,
                effort: &mut self.effort,
                way: vec![link.importer],
                done: BTreeSet::new(),
            };
            search.visit(link.exporter, link.remote.as_bytes())?;
        }
        let links = self.links.entry(link.importer).or_default();
        links.insert(&link.local.clone(), link);
        Ok(())
    }
}

/// One search, from the exporter of a new link on.
struct Search<'a> {
    links: &'a BTreeMap<AccountId, Patterns<Link>>,
    effort: &'a mut Effort,
    /// The accounts from the importer to where the search is.
    way: Vec<AccountId>,
    /// From where nothing leads back.
    done: BTreeSet<(AccountId, Vec<u8>)>,
}

impl Search<'_> {
    /// Where `subject` of `account` comes from. The way is no deeper than the limit, and so the recursion is not.
    fn visit(&mut self, account: AccountId, subject: &[u8]) -> Result<(), Cycle> {
        if self.way.len() >= DEPTH_MAX {
            return Err(Cycle::TooDeep);
        }
        let state = (account, subject.to_owned());
        if self.done.contains(&state) {
            return Ok(());
        }
        self.way.push(account);
        let links = self.links;
        if let Some(links) = links.get(&account) {
            for link in links.overlapping(subject, self.effort)? {
                if self.way.contains(&link.exporter) {
                    return Err(Cycle::Found);
                }
                let remote = link.remote.as_bytes();
                // A name that does not change lets only that through which is looked for.
                let common = match link.local == link.remote {
                    true => intersection(remote, subject),
                    false => None,
                };
                self.visit(link.exporter, common.as_deref().unwrap_or(remote))?;
            }
        }
        self.way.pop();
        self.done.insert(state);
        Ok(())
    }
}

impl From<Exhausted> for Cycle {
    fn from(_: Exhausted) -> Cycle {
        Cycle::TooDeep
    }
}

/// The accounts that are left when those are taken away, again and again, that nobody imports from or that import nothing.
fn suspects(links: &[Link]) -> BTreeSet<AccountId> {
    let ways = [
        left_over(links, |link| (link.importer, link.exporter)),
        left_over(links, |link| (link.exporter, link.importer)),
    ];
    ways[0].intersection(&ways[1]).copied().collect()
}

/// The accounts that are left when those without an arrow from them are taken away, again and again.
fn left_over(
    links: &[Link],
    arrow: impl Fn(&Link) -> (AccountId, AccountId),
) -> BTreeSet<AccountId> {
    let mut arrows: BTreeMap<AccountId, usize> = BTreeMap::new();
    let mut backwards: BTreeMap<AccountId, Vec<AccountId>> = BTreeMap::new();
    for link in links {
        let (from, to) = arrow(link);
        *arrows.entry(from).or_default() += 1;
        arrows.entry(to).or_default();
        backwards.entry(to).or_default().push(from);
    }
    let is_end = |(account, count): (&AccountId, &usize)| (*count == 0).then_some(*account);
    let mut ends: Vec<AccountId> = arrows.iter().filter_map(is_end).collect();
    while let Some(end) = ends.pop() {
        arrows.remove(&end);
        for from in backwards.get(&end).into_iter().flatten() {
            let Some(count) = arrows.get_mut(from) else {
                continue;
            };
            *count -= 1;
            if *count == 0 {
                ends.push(*from);
            }
        }
    }
    arrows.into_keys().collect()
}

/// Accounts on one way; nats-server's number.
const DEPTH_MAX: usize = 1024;
/// For all imports of one kind: some seconds. No configuration that makes sense comes near.
const EFFORT: usize = 5_000_000;
