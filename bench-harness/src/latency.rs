//! Delays: histograms that every load thread has for itself, merged at the end, and written so that the viewers of
//! HdrHistogram open them.
//!
//! - One nanosecond to an hour, three significant digits: any delay a run can have, in about 300 KiB a histogram.
//! - Recording never allocates and never fails; what is above an hour counts as an hour. *Hot path.*
//! - A `.hgrm` is the plot file that the percentile viewers take (microseconds); a `.hlog` is the interval log (nanoseconds).
//!
//! It knows nothing of when a message was meant to leave: it is handed delays.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use crate::record::{Distribution, Latency};

/// The delays of a run or of a thread, measured from two beginnings.
#[derive(Debug, Clone)]
pub struct Histograms {
    /// From the intended time of sending.
    pub corrected: Histogram<u64>,
    /// From the time of writing.
    pub service: Histogram<u64>,
}

impl Default for Histograms {
    fn default() -> Histograms {
        Histograms {
            corrected: histogram(),
            service: histogram(),
        }
    }
}

impl Histograms {
    #[inline]
    pub fn record(&mut self, corrected_ns: u64, service_ns: u64) {
        self.corrected.saturating_record(corrected_ns);
        self.service.saturating_record(service_ns);
    }

    pub fn merge(&mut self, other: &Histograms) {
        for (own, others) in [
            (&mut self.corrected, &other.corrected),
            (&mut self.service, &other.service),
        ] {
            own.add(others)
                .expect("all histograms here have the same bounds");
        }
    }

    pub fn reset(&mut self) {
        self.corrected.reset();
        self.service.reset();
    }

    pub fn is_empty(&self) -> bool {
        self.corrected.is_empty()
    }

    pub fn latency(&self) -> Latency {
        Latency {
            corrected: distribution(&self.corrected),
            service: distribution(&self.service),
        }
    }

    /// Writes an interval log of one interval, with the tags `corrected` and `service`.
    pub fn write_hlog(
        &self,
        began: SystemTime,
        lasted: Duration,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(began)
            .with_base_time(began)
            .with_max_value_divisor(1e6)
            .begin_log_with(out, &mut serializer)?;
        for (name, histogram) in [("corrected", &self.corrected), ("service", &self.service)] {
            log.write_histogram(histogram, Duration::ZERO, lasted, Tag::new(name))
                .map_err(|error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
                })?;
        }
        Ok(())
    }
}

/// Writes the plot file of one histogram.
pub fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    let us = |ns: f64| ns / 1e3;
    #[expect(
        clippy::cast_precision_loss,
        reason = "an hour in ns is far below 2^53"
    )]
    let float = |value: u64| value as f64;
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        count += step.count_since_last_iteration();
        let value = us(float(step.value_iterated_to().min(histogram.max())));
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:>12.3} {quantile:>14.12} {count:>10}")?;
        match quantile < 1.0 {
            true => writeln!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?,
            false => writeln!(out)?,
        }
    }
    writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        us(histogram.mean()),
        us(histogram.stdev())
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        us(float(histogram.max())),
        histogram.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        histogram.buckets(),
        SUB_BUCKETS
    )
}

fn distribution(histogram: &Histogram<u64>) -> Distribution {
    Distribution {
        count: histogram.len(),
        min_ns: histogram.min(),
        mean_ns: histogram.mean(),
        p50_ns: histogram.value_at_quantile(0.5),
        p90_ns: histogram.value_at_quantile(0.9),
        p99_ns: histogram.value_at_quantile(0.99),
        p999_ns: histogram.value_at_quantile(0.999),
        p9999_ns: histogram.value_at_quantile(0.9999),
        max_ns: histogram.max(),
        histogram: text(histogram),
    }
}

/// As in the last field of a line of an interval log.
fn text(histogram: &Histogram<u64>) -> String {
    let mut line = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .begin_log_with(&mut line, &mut serializer)
        .expect("a Vec takes every byte");
    log.write_histogram(histogram, Duration::ZERO, Duration::ZERO, None)
        .expect("a Vec takes every byte");
    let line = String::from_utf8_lossy(&line);
    let field = line.trim_end().rsplit(',').next();
    field.unwrap_or_default().to_owned()
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HOUR_NS, SIGNIFICANT_DIGITS).expect("the bounds are constants")
}

const HOUR_NS: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// What three significant digits take.
const SUB_BUCKETS: u32 = 2048;
const TICKS_PER_HALF_DISTANCE: u32 = 5;

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    use proptest::prelude::*;

    use super::*;

    fn of(delays: &[u64]) -> Histograms {
        let mut histograms = Histograms::default();
        for &delay in delays {
            histograms.record(delay, delay / 2);
        }
        histograms
    }

    proptest! {
        /// The naive model: sort everything and pick.
        #[test]
        fn merged_threads_agree_with_a_sorted_list(
            first in prop::collection::vec(1_u64..10_000_000_000, 1..200),
            second in prop::collection::vec(1_u64..10_000_000_000, 1..200),
        ) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let mut sorted = [first, second].concat();
            sorted.sort_unstable();
            let summary = merged.latency().corrected;
            prop_assert_eq!(summary.count, sorted.len() as u64);
            for (quantile, found) in [(0.5, summary.p50_ns), (0.9, summary.p90_ns), (0.99, summary.p99_ns)] {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 400")]
                let rank = (quantile * sorted.len() as f64).ceil() as usize;
                let exact = sorted[rank - 1];
                prop_assert!(found.abs_diff(exact) <= exact / 500 + 1, "{} is not about {}", found, exact);
            }
        }
    }

    #[test]
    fn counts_longer_than_an_hour_as_an_hour() {
        let summary = of(&[u64::MAX]).latency().corrected;
        assert_eq!(summary.count, 1);
        assert!(summary.max_ns >= HOUR_NS);
    }

    #[test]
    fn an_interval_log_reads_back() {
        let histograms = of(&[100, 2_000, 30_000]);
        let mut log = Vec::new();
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        histograms
            .write_hlog(began, Duration::from_secs(3), &mut log)
            .unwrap();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            if let Ok(LogEntry::Interval(interval)) = entry {
                let tag = interval.tag().unwrap().as_str().to_owned();
                found.push((tag, interval.encoded_histogram().to_owned()));
            }
        }
        let expected = [
            ("corrected".to_owned(), text(&histograms.corrected)),
            ("service".to_owned(), text(&histograms.service)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_text_form_is_the_whole_histogram() {
        use hdrhistogram::serialization::V2Serializer;
        let histograms = of(&[100, 2_000, 2_000, 30_000]);
        // Plain V2 and the deflated text must hold the same counts: compared after reading the plain one back.
        let mut plain = Vec::new();
        hdrhistogram::serialization::Serializer::serialize(
            &mut V2Serializer::new(),
            &histograms.corrected,
            &mut plain,
        )
        .unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &plain[..]).unwrap();
        assert_eq!(text(&read), text(&histograms.corrected));
        assert!(text(&read).starts_with("HISTFAAA"));
    }

    #[test]
    fn a_plot_file_has_the_columns_that_viewers_look_for() {
        let delays: Vec<u64> = (1..=1000).map(|us| us * 1000).collect();
        let mut file = Vec::new();
        write_hgrm(&of(&delays).corrected, &mut file).unwrap();
        let text = String::from_utf8(file).unwrap();
        let mut lines = text.lines();
        let titles: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(
            titles,
            ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        );
        let rows: Vec<Vec<f64>> = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                line.split_whitespace()
                    .map(|field| field.parse().unwrap())
                    .collect()
            })
            .collect();
        let median = rows.iter().find(|row| (row[1] - 0.5).abs() < 1e-9).unwrap();
        assert!((median[0] - 500.0).abs() < 1.0 && (median[2] - 500.0).abs() < 1.0);
        let last = rows.last().unwrap();
        assert_eq!(last[2], 1000.0);
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0]));
        assert!(text.contains("#[Max     =     1000."), "{text}");
    }
}
