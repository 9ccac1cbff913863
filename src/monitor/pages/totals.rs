//! What the shards have counted, added up.

use crate::monitor::go_json::Float;
use crate::monitor::surveyor::ShardCounts;
use crate::router::Traffic;
use crate::shard::survey::Counts;
use serde::Serialize;

/// The whole server's counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) connections: u64,
    pub(super) connected: u64,
    pub(super) subscriptions: u64,
    pub(super) received: Traffic,
    pub(super) sent: Traffic,
    pub(super) slow_consumers: u64,
    pub(super) stale: u64,
    pub(super) pauses: u64,
    pub(super) in_lame_duck: bool,
    pub(super) index: IndexTotals,
}

/// What the index of subscriptions has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IndexTotals {
    cached: u64,
    named: u64,
    widest: u64,
    inserts: u64,
    removes: u64,
    looked_up: u64,
    misses: u64,
    subscriptions: u64,
}

impl Totals {
    pub(super) fn of(shards: &[ShardCounts]) -> Totals {
        let mut totals = Totals::default();
        for shard in shards {
            totals.add(&shard.counts);
        }
        totals
    }

    fn add(&mut self, counts: &Counts) {
        let snapshot = &counts.snapshot;
        let tally = &snapshot.tally;
        self.connections += snapshot.connections as u64;
        self.connected += tally.connected;
        self.subscriptions += snapshot.subscriptions as u64;
        self.received.add(snapshot.routed.published);
        self.sent.add(snapshot.routed.delivered);
        self.slow_consumers += tally.slow_consumers_pending + tally.slow_consumers_deadline;
        self.stale += tally.stale;
        self.pauses += tally.pauses;
        self.in_lame_duck |= counts.in_lame_duck;
        let (index, usage) = (&mut self.index, &snapshot.usage);
        index.subscriptions += snapshot.subscriptions as u64;
        index.cached += snapshot.cached_subjects as u64;
        index.named += usage.named as u64;
        index.widest = index.widest.max(usage.widest as u64);
        index.inserts += usage.inserts;
        index.removes += usage.removes;
        index.misses += usage.misses;
        // A run of messages is looked up once where it comes from a lane, and hardly more often where it is published:
        // messages are what is known of those.
        index.looked_up += snapshot.routed.published.messages + tally.runs_from_lanes;
    }
}

/// The index in nats-server's terms.
#[derive(Debug, Default, Serialize)]
pub(super) struct SublistStats {
    num_subscriptions: u64,
    num_cache: u64,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: Float,
    max_fanout: u64,
    avg_fanout: Float,
}

impl SublistStats {
    /// Of one account it is known how many there are; the index is one for all.
    pub(super) fn of_account(subscriptions: usize) -> SublistStats {
        SublistStats {
            num_subscriptions: subscriptions as u64,
            ..SublistStats::default()
        }
    }
}

impl From<IndexTotals> for SublistStats {
    fn from(index: IndexTotals) -> SublistStats {
        let hits = index.looked_up.saturating_sub(index.misses);
        SublistStats {
            num_subscriptions: index.subscriptions,
            num_cache: index.cached,
            num_inserts: index.inserts,
            num_removes: index.removes,
            num_matches: index.looked_up,
            cache_hit_rate: Float(share(hits, index.looked_up)),
            max_fanout: index.widest,
            avg_fanout: Float(share(index.named, index.cached)),
        }
    }
}

/// `part` of `whole`; zero of nothing.
#[allow(clippy::cast_precision_loss, reason = "a figure to look at")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
