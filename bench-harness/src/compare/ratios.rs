//! The ratios of a case: one for each round, and of those the median and the range. Servers of one round ran within seconds
//! of each other, so what the machine did at that time is in both figures and drops out.

use crate::record::{Ratios, Record, Round, Spread};

/// How `other` did against `first` in the rounds that have both.
pub(crate) fn ratios(rounds: &[Round], first: &str, other: &str) -> Ratios {
    let pairs: Vec<(&Record, &Record)> = rounds
        .iter()
        .filter_map(|round| Some((of(round, first)?, of(round, other)?)))
        .collect();
    let spread = |figure: fn(&Record) -> Option<f64>, is_more_better: bool| {
        let each: Vec<f64> = pairs
            .iter()
            .filter_map(|(first, other)| {
                let (first, other) = (figure(first)?, figure(other)?);
                let (above, below) = if is_more_better {
                    (first, other)
                } else {
                    (other, first)
                };
                (above > 0.0 && below > 0.0).then(|| above / below)
            })
            .collect();
        Spread::of(&each)
    };
    Ratios {
        server_ns_per_message: spread(|record| Some(record.server_cost?.ns_per_message), false),
        delivered_per_s: spread(throughput, true),
        p50: spread(
            |record| Some(record.latency.as_ref()?.corrected.p50_ns as f64),
            false,
        ),
        p99: spread(
            |record| Some(record.latency.as_ref()?.corrected.p99_ns as f64),
            false,
        ),
        memory_peak: spread(
            |record| Some(record.server_cost?.memory_peak_bytes as f64),
            false,
        ),
    }
}

fn of<'a>(round: &'a Round, name: &str) -> Option<&'a Record> {
    round
        .records
        .iter()
        .find(|record| record.server.name == name)
}

/// Deliveries a second; publishes, when nobody subscribes.
pub(crate) fn throughput(record: &Record) -> Option<f64> {
    let traffic = if record.scenario.subscribers == 0 {
        record.published
    } else {
        record.delivered
    };
    Some(traffic.messages_per_s)
}

impl Spread {
    /// Of no figures there is none.
    pub fn of(figures: &[f64]) -> Option<Spread> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Spread {
            median,
            least,
            greatest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_middle_two() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]);
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]);
        let spread = |median, least, greatest| {
            Some(Spread {
                median,
                least,
                greatest,
            })
        };
        assert_eq!(odd, spread(2.0, 1.0, 3.0));
        assert_eq!(even, spread(2.5, 1.0, 4.0));
        assert_eq!(Spread::of(&[]), None);
    }
}
