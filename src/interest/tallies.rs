//! How many messages each subscription has been given. *Hot path.*
//!
//! Every delivery counts, and with many subscriptions that write is a cache miss: so the counts lie together, eight to a
//! cache line, apart from the rest of what is known of a subscription.

use super::SubscriptionId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Deliveries per subscription of a shard.
#[derive(Debug, Default)]
pub struct Tallies {
    counts: Vec<u64>,
    /// When the subscriptions end that are marked with [`LIMITED`].
    limits: HashMap<SubscriptionId, u64, FixedState>,
}

/// Set in the count of a subscription that ends with its `max`-th delivery.
const LIMITED: u64 = 1 << 63;

impl Tallies {
    /// Begins to count for a new subscription.
    pub(super) fn begin(&mut self, id: SubscriptionId) {
        let index = id as usize;
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] = 0;
    }

    /// Forgets a subscription.
    pub(super) fn end(&mut self, id: SubscriptionId) {
        if self.counts[id as usize] & LIMITED != 0 {
            self.limits.remove(&id);
        }
    }

    /// Messages given to it since it began.
    pub fn delivered(&self, id: SubscriptionId) -> u64 {
        self.counts[id as usize] & !LIMITED
    }

    /// Lets it end with its `max`-th delivery (`UNSUB <sid> <max>`); `max` is more than it has had.
    pub(super) fn limit(&mut self, id: SubscriptionId, max: u64) {
        self.counts[id as usize] |= LIMITED;
        self.limits.insert(id, max);
    }

    /// The delivery that it ends with, if there is one.
    pub(super) fn limit_of(&self, id: SubscriptionId) -> Option<u64> {
        self.limits.get(&id).copied()
    }

    /// Whether it has had its last delivery.
    #[inline]
    pub fn is_spent(&self, id: SubscriptionId) -> bool {
        let count = self.counts[id as usize];
        count & LIMITED != 0 && self.is_at_limit(id)
    }

    /// Counts a delivery; says whether it was the last.
    #[inline]
    pub fn count(&mut self, id: SubscriptionId) -> bool {
        let count = &mut self.counts[id as usize];
        *count += 1;
        *count & LIMITED != 0 && self.is_at_limit(id)
    }

    /// Whether it ends with some delivery.
    #[inline]
    pub fn is_limited(&self, id: SubscriptionId) -> bool {
        self.counts[id as usize] & LIMITED != 0
    }

    /// Counts several deliveries to a subscription that is not limited.
    #[inline]
    pub fn count_run(&mut self, id: SubscriptionId, deliveries: usize) {
        debug_assert!(!self.is_limited(id));
        self.counts[id as usize] += deliveries as u64;
    }

    #[cold]
    fn is_at_limit(&self, id: SubscriptionId) -> bool {
        self.limits
            .get(&id)
            .is_some_and(|max| self.delivered(id) >= *max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_subscription_is_spent_with_its_last_delivery_and_not_before() {
        let mut tallies = Tallies::default();
        tallies.begin(3);
        assert!(!tallies.count(3));
        tallies.limit(3, 3);
        assert_eq!((tallies.delivered(3), tallies.is_spent(3)), (1, false));
        assert!(!tallies.count(3));
        assert!(tallies.count(3));
        assert_eq!((tallies.delivered(3), tallies.is_spent(3)), (3, true));
    }

    #[test]
    fn the_next_subscription_of_that_name_begins_without_count_and_limit() {
        let mut tallies = Tallies::default();
        tallies.begin(0);
        tallies.limit(0, 1);
        assert!(tallies.count(0));
        tallies.end(0);
        tallies.begin(0);
        assert!(!tallies.is_spent(0));
        assert!(!tallies.count(0));
        assert_eq!(tallies.delivered(0), 1);
    }
}
