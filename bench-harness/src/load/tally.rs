//! What a load thread counts, for itself; and the gauge through which the calling thread watches it.
//!
//! A thread counts in plain numbers and shows them once per turn of its loop, so that watching costs nothing per message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hdrhistogram::Histogram;

use crate::latency::Histograms;

#[derive(Debug)]
pub(super) struct Tally {
    pub(super) published: u64,
    pub(super) published_bytes: u64,
    pub(super) delivered: u64,
    pub(super) delivered_bytes: u64,
    /// Requests that were told that nobody is there.
    pub(super) nobody_there: u64,
    pub(super) last_delivery_ns: u64,
    /// If delays are recorded.
    pub(super) latency: Option<Histograms>,
    /// How late messages were written although the socket would have taken them: the generator's own fault.
    pub(super) lag: Histogram<u64>,
    /// Outermost times of showing the percentile.
    shown_ns: u64,
}

impl Tally {
    pub(super) fn new(is_latency_recorded: bool) -> Tally {
        Tally {
            published: 0,
            published_bytes: 0,
            delivered: 0,
            delivered_bytes: 0,
            nobody_there: 0,
            last_delivery_ns: 0,
            latency: is_latency_recorded.then(Histograms::default),
            lag: Histograms::default().service,
            shown_ns: 0,
        }
    }

    /// Forgets the delays of the warm-up. Counts go on: they are compared with what was sent in the whole run.
    pub(super) fn forget_delays(&mut self) {
        if let Some(latency) = &mut self.latency {
            latency.reset();
        }
        self.lag.reset();
    }

    #[inline]
    pub(super) fn deliver(&mut self, length: usize, now_ns: u64) {
        self.delivered += 1;
        self.delivered_bytes += length as u64;
        self.last_delivery_ns = now_ns;
    }

    #[inline]
    pub(super) fn record(&mut self, corrected_ns: u64, service_ns: u64) {
        if let Some(latency) = &mut self.latency {
            latency.record(corrected_ns, service_ns);
        }
    }

    pub(super) fn show(&mut self, gauge: &Gauge, now_ns: u64) {
        gauge.published.store(self.published, Relaxed);
        gauge.published_bytes.store(self.published_bytes, Relaxed);
        gauge.delivered.store(self.delivered, Relaxed);
        gauge.delivered_bytes.store(self.delivered_bytes, Relaxed);
        gauge.nobody_there.store(self.nobody_there, Relaxed);
        gauge.last_delivery_ns.store(self.last_delivery_ns, Relaxed);
        // Looking a percentile up takes microseconds.
        if now_ns > self.shown_ns + PERCENTILE_INTERVAL_NS
            && let Some(latency) = &self.latency
        {
            self.shown_ns = now_ns;
            let p99_ns = latency.corrected.value_at_quantile(0.99);
            gauge.p99_ns.store(p99_ns, Relaxed);
        }
    }
}

/// What a thread shows of its tally.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    published: AtomicU64,
    published_bytes: AtomicU64,
    delivered: AtomicU64,
    delivered_bytes: AtomicU64,
    nobody_there: AtomicU64,
    last_delivery_ns: AtomicU64,
    p99_ns: AtomicU64,
}

/// The gauges of all threads, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) published: u64,
    pub(super) published_bytes: u64,
    pub(super) delivered: u64,
    pub(super) delivered_bytes: u64,
    pub(super) nobody_there: u64,
    /// The last of any thread.
    pub(super) last_delivery_ns: u64,
    /// The highest of any thread.
    pub(super) p99_ns: u64,
}

impl Reading {
    pub(super) fn of<'a>(gauges: impl IntoIterator<Item = &'a Gauge>) -> Reading {
        let mut sum = Reading::default();
        for gauge in gauges {
            sum.published += gauge.published.load(Relaxed);
            sum.published_bytes += gauge.published_bytes.load(Relaxed);
            sum.delivered += gauge.delivered.load(Relaxed);
            sum.delivered_bytes += gauge.delivered_bytes.load(Relaxed);
            sum.nobody_there += gauge.nobody_there.load(Relaxed);
            let last_ns = gauge.last_delivery_ns.load(Relaxed);
            sum.last_delivery_ns = sum.last_delivery_ns.max(last_ns);
            sum.p99_ns = sum.p99_ns.max(gauge.p99_ns.load(Relaxed));
        }
        sum
    }
}

const PERCENTILE_INTERVAL_NS: u64 = 500_000_000;
