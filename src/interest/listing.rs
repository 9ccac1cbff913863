//! Describes the subscriptions of a shard one by one, for whoever looks at it from outside. *Control path.*
//!
//! Bounded by the caller: it says which subscriptions. Only for the names of their queue groups more is looked at, the
//! members of the groups with the same patterns.

use super::{Interest, PatternId, SubscriptionId};
use crate::base::ids::AccountId;
use std::ops::Range;

/// A subscription as it is shown.
#[derive(Debug)]
pub struct Listed<'a> {
    pub id: SubscriptionId,
    /// The slot of the connection that made it.
    pub connection: u32,
    pub subject: &'a [u8],
    /// Empty for a plain one.
    pub queue: &'a [u8],
    pub sid: &'a [u8],
    pub delivered: u64,
    /// Deliveries after which it ends.
    pub limit: Option<u64>,
}

/// What has become of subscriptions and look-ups so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub inserts: u64,
    pub removes: u64,
    /// Look-ups for which the answer had to be made.
    pub misses: u64,
    /// The most that one remembered answer ever named, plain subscriptions and queue groups.
    pub widest: usize,
    /// The sum of that over all answers remembered now.
    pub named: usize,
}

impl Interest {
    /// All subscriptions have numbers below this one.
    pub fn subscription_bound(&self) -> SubscriptionId {
        self.subscriptions.bound()
    }

    /// The subscriptions in `range` with the slots of their connections. Those that stream imports have made are left
    /// out: they are copies of one that is there.
    pub fn subscriptions_in(
        &self,
        range: Range<SubscriptionId>,
    ) -> impl Iterator<Item = (SubscriptionId, u32)> {
        let all = range.filter_map(|id| Some((id, self.subscriptions.get(id)?.connection)));
        all.filter(|(id, _)| !self.shadows.contains(*id))
    }

    /// Subscriptions that clients in an account have.
    pub fn subscriptions_of(&self, account: AccountId) -> usize {
        let count = self.by_account.get(account.index());
        count.copied().unwrap_or_default()
    }

    pub(super) fn count_subscribed(&mut self, account: AccountId) {
        self.usage.inserts += 1;
        let index = account.index();
        if self.by_account.len() <= index {
            self.by_account.resize(index + 1, 0);
        }
        self.by_account[index] += 1;
    }

    /// Before it goes.
    pub(super) fn count_unsubscribed(&mut self, id: SubscriptionId) {
        if self.subscriptions.get(id).is_some() {
            let (account, _) = self.wish_of(id);
            self.usage.removes += 1;
            self.by_account[account.index()] -= 1;
        }
    }

    /// Describes subscriptions, in the order of their numbers. Numbers without a subscription are left out.
    pub fn list(&self, mut ids: Vec<SubscriptionId>) -> Vec<Listed<'_>> {
        ids.retain(|id| self.subscriptions.get(*id).is_some());
        ids.sort_unstable();
        let queues = self.queues_of(&ids);
        let listed = ids.iter().zip(queues).map(|(id, queue)| {
            let subscription = &self.subscriptions[*id];
            Listed {
                id: *id,
                connection: subscription.connection,
                subject: self.patterns[subscription.pattern].pattern.as_slice(),
                queue,
                sid: subscription.sid.as_slice(),
                delivered: self.tallies.delivered(*id),
                limit: self.tallies.limit_of(*id),
            }
        });
        listed.collect()
    }

    pub fn usage(&self) -> Usage {
        Usage {
            widest: self.cache.widest(),
            named: self.cache.named(),
            ..self.usage
        }
    }

    /// The queue group of each of `ids`, which are ascending. A group knows its members, not they their group: it is
    /// what every message needs.
    fn queues_of(&self, ids: &[SubscriptionId]) -> Vec<&[u8]> {
        let mut queues: Vec<&[u8]> = vec![b""; ids.len()];
        let (Some(lowest), Some(highest)) = (ids.first(), ids.last()) else {
            return queues;
        };
        let grouped = ids.iter().map(|id| &self.subscriptions[*id]);
        let mut patterns: Vec<PatternId> = grouped
            .filter(|subscription| subscription.in_group)
            .map(|subscription| subscription.pattern)
            .collect();
        patterns.sort_unstable();
        patterns.dedup();
        for group in patterns.iter().flat_map(|id| self.groups.of(*id)) {
            for member in &group.members {
                if (lowest..=highest).contains(&member)
                    && let Ok(index) = ids.binary_search(member)
                {
                    queues[index] = &group.name;
                }
            }
        }
        queues
    }
}
