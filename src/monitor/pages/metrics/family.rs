//! Metrics on their way to the text: families of samples, in the order in which they were added.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

pub(super) type Labels = Vec<(&'static str, String)>;

/// One metric with all its samples.
#[derive(Debug)]
pub(super) struct Family {
    name: String,
    help: String,
    samples: Vec<(Labels, Value)>,
}

/// What a sample says. All samples of a family say the same kind of thing.
#[derive(Debug)]
pub(super) enum Value {
    /// Goes up only.
    Count(u64),
    /// The same, in seconds.
    Seconds(f64),
    Gauge(f64),
    Histogram {
        sum: f64,
        /// Upper ends of the classes, and how many are in each class alone. The last class has no end.
        classes: Vec<(f64, u64)>,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<Family>);

impl Families {
    /// Adds a sample to the family of that name.
    pub(super) fn add(&mut self, name: &str, help: &str, labels: Labels, value: Value) {
        // Most often it is one of the last.
        match self.0.iter_mut().rev().find(|family| family.name == name) {
            Some(family) => family.samples.push((labels, value)),
            None => self.0.push(Family {
                name: name.to_owned(),
                help: help.to_owned(),
                samples: vec![(labels, value)],
            }),
        }
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let Some((_, first)) = family.samples.first() else {
                continue;
            };
            let mut metric =
                encoder.encode_descriptor(&family.name, &family.help, None, first.kind())?;
            for (labels, value) in &family.samples {
                let mut sample = metric.encode_family(labels)?;
                match value {
                    Value::Count(count) => {
                        sample.encode_counter::<NoLabelSet, _, u64>(count, None)?
                    }
                    Value::Seconds(seconds) => {
                        sample.encode_counter::<NoLabelSet, _, f64>(seconds, None)?;
                    }
                    Value::Gauge(value) => sample.encode_gauge(value)?,
                    Value::Histogram { sum, classes } => {
                        let count = classes.iter().map(|(_, count)| count).sum();
                        sample.encode_histogram::<NoLabelSet>(*sum, count, classes, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Value {
    fn kind(&self) -> MetricType {
        match self {
            Value::Count(_) | Value::Seconds(_) => MetricType::Counter,
            Value::Gauge(_) => MetricType::Gauge,
            Value::Histogram { .. } => MetricType::Histogram,
        }
    }
}

/// Classes with the ends that `steps` give, and one more without an end.
pub(super) fn classes(steps: impl Iterator<Item = f64>, counts: &[u64]) -> Vec<(f64, u64)> {
    let ends = steps.chain(std::iter::once(f64::INFINITY));
    ends.zip(counts.iter().copied()).collect()
}

/// As Prometheus keeps every number.
#[allow(clippy::cast_precision_loss, reason = "Prometheus keeps nothing else")]
pub(super) fn figure(value: u64) -> f64 {
    value as f64
}
