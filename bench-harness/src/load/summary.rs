//! What a run is worth, put together at its end: figures, the verdict, and sentences for whoever reads them.

use super::tally::Reading;
use super::worker::Harvest;
use super::{Measurement, verdict};
use crate::latency::Histograms;
use crate::record::{GeneratorCost, Traffic};
use crate::scenario::{Exchange, Rate, Scenario};

/// Everything that a measurement is made of.
pub(super) struct Summary<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) server_version: String,
    pub(super) interrupted: bool,
    pub(super) interval_ns: (u64, u64),
    pub(super) base: Reading,
    pub(super) end: Reading,
    pub(super) stalled: bool,
}

impl Summary<'_> {
    pub(super) fn measurement(self, harvests: Vec<Harvest>, is_measured: bool) -> Measurement {
        let base = if is_measured { self.base } else { self.end };
        let measured_s = seconds(self.interval_ns.1.saturating_sub(self.interval_ns.0));
        let published = traffic(
            self.end.published - base.published,
            self.end.published_bytes - base.published_bytes,
            measured_s,
        );
        let delivered = traffic(
            self.end.delivered - base.delivered,
            self.end.delivered_bytes - base.delivered_bytes,
            measured_s,
        );
        let latency = latency(&harvests).filter(|_| is_measured);
        let generator = self.generator(&harvests, &published, &delivered, latency.as_ref());
        let warnings = self.warnings(&harvests, &generator);
        let (mut sent, mut findings) = (Vec::new(), Vec::new());
        for harvest in harvests {
            sent.extend(harvest.sent);
            findings.extend(harvest.findings);
        }
        Measurement {
            verdict: verdict::of(self.scenario, &self.end, &sent, findings, !self.interrupted),
            server_version: self.server_version,
            interrupted: self.interrupted,
            measured_s,
            published,
            delivered,
            latency,
            generator,
            warnings,
        }
    }

    fn generator(
        &self,
        harvests: &[Harvest],
        published: &Traffic,
        delivered: &Traffic,
        latency: Option<&Histograms>,
    ) -> GeneratorCost {
        let user_ns = harvests
            .iter()
            .map(|harvest| harvest.spent.user_ns)
            .sum::<u64>();
        let system_ns = harvests
            .iter()
            .map(|harvest| harvest.spent.system_ns)
            .sum::<u64>();
        let messages = match self.scenario.exchange {
            Exchange::Publish => published.messages + delivered.messages,
            Exchange::Request { .. } => delivered.messages,
        };
        let busiest_thread = harvests
            .iter()
            .map(|harvest| harvest.busy)
            .fold(0.0, f64::max);
        let was_bottleneck = match self.scenario.rate {
            Rate::Saturate => busiest_thread > BUSY,
            Rate::PerSecond(_) => is_lag_material(lag_p99_ns(harvests), latency),
        };
        #[expect(clippy::cast_precision_loss, reason = "a cost to look at")]
        let ns_per_message = (user_ns + system_ns) as f64 / messages.max(1) as f64;
        GeneratorCost {
            threads: u32::try_from(harvests.len()).unwrap_or(u32::MAX),
            user_ns,
            system_ns,
            ns_per_message,
            busiest_thread,
            was_bottleneck,
        }
    }

    fn warnings(&self, harvests: &[Harvest], generator: &GeneratorCost) -> Vec<String> {
        let mut warnings = Vec::new();
        if generator.was_bottleneck {
            warnings.push(match self.scenario.rate {
                Rate::Saturate => format!(
                    "a load thread was busy {:.0} % of the time: the generator rather than the server may have set the \
                     pace. Give it more threads or cores",
                    generator.busiest_thread * 100.0
                ),
                Rate::PerSecond(_) => format!(
                    "1 in 100 messages was written {} us or more after its time although the server would have taken it: \
                     the corrected latency shows the generator as well. Give it more threads, or cores of its own (`--pin`)",
                    lag_p99_ns(harvests) / 1000
                ),
            });
        }
        let unsent: u64 = harvests.iter().map(|harvest| harvest.unsent).sum();
        if unsent > 0 {
            warnings.push(format!(
                "{unsent} messages were due and never sent: the server did not keep up with the offered rate. The latency \
                 lacks them; offer less"
            ));
        }
        let kept_up = harvests
            .iter()
            .map(|harvest| harvest.churn_kept_up)
            .fold(1.0, f64::min);
        if kept_up < KEPT_UP {
            warnings.push(format!(
                "only {:.0} % of the subscription churn was done: the server did not keep up with it",
                kept_up * 100.0
            ));
        }
        if self.stalled {
            warnings.push(format!(
                "nothing moved for {} s, and the run was ended: the server took and delivered nothing any more",
                super::conductor::STALL_NS / 1_000_000_000
            ));
        }
        warnings
    }
}

fn latency(harvests: &[Harvest]) -> Option<Histograms> {
    let mut parts = harvests
        .iter()
        .filter_map(|harvest| harvest.tally.latency.as_ref());
    let mut whole = parts.next()?.clone();
    parts.for_each(|part| whole.merge(part));
    (!whole.is_empty()).then_some(whole)
}

fn lag_p99_ns(harvests: &[Harvest]) -> u64 {
    let of = |harvest: &Harvest| harvest.tally.lag.value_at_quantile(0.99);
    harvests.iter().map(of).max().unwrap_or(0)
}

/// Late enough to be seen in the figures: a wake-up takes some ten microseconds on any machine.
fn is_lag_material(lag_ns: u64, latency: Option<&Histograms>) -> bool {
    let whole_ns = latency.map_or(0, |latency| latency.corrected.value_at_quantile(0.99));
    lag_ns > LAG_NS && lag_ns > whole_ns / 4
}

fn traffic(messages: u64, payload_bytes: u64, seconds: f64) -> Traffic {
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let messages_per_s = if seconds > 0.0 {
        messages as f64 / seconds
    } else {
        0.0
    };
    Traffic {
        messages,
        payload_bytes,
        messages_per_s,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a day is exact")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Above this share of the time a thread is as good as always busy.
const BUSY: f64 = 0.95;
const KEPT_UP: f64 = 0.95;
const LAG_NS: u64 = 100_000;
