//! How long things took, counted in classes that double. *Hot path.*
//!
//! Invariant: what is recorded is in exactly one class and in the sum. A time that would be negative counts as none.

use super::clock::Now;
use std::time::Duration;

/// Counts of times by class, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; CLASSES],
    nanos: u64,
}

/// Up to 1 µs, 2 µs, 4 µs and so on; the last class has no end.
const CLASSES: usize = 17;

impl Histogram {
    /// The upper ends of all classes but the last.
    pub fn steps() -> impl Iterator<Item = Duration> {
        (0..CLASSES - 1).map(|class| Duration::from_nanos(1024 << class))
    }

    /// Counts what began and ended then.
    #[inline]
    pub fn record(&mut self, began_at: Now, ended_at: Now) {
        let nanos = ended_at.nanos().saturating_sub(began_at.nanos());
        let class = u64::BITS - (nanos >> 10).leading_zeros();
        self.counts[(class as usize).min(CLASSES - 1)] += 1;
        self.nanos = self.nanos.saturating_add(nanos);
    }

    /// How many are in each class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How long all of it took.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(took: Duration) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.record(Now::ZERO, Now::ZERO.after(took));
        histogram
    }

    #[test]
    fn a_class_ends_where_it_says() {
        for (step, class) in Histogram::steps().zip(0..) {
            for (took, class) in [(step - Duration::from_nanos(1), class), (step, class + 1)] {
                let histogram = after(took);
                assert_eq!(histogram.counts()[class], 1, "{took:?}");
                assert_eq!(histogram.sum(), took);
            }
        }
        assert_eq!(Histogram::steps().count() + 1, CLASSES);
    }

    #[test]
    fn no_time_is_too_long_or_lies_ahead() {
        let longest = after(Duration::MAX);
        assert_eq!(longest.counts()[CLASSES - 1], 1);
        let mut ahead = longest;
        ahead.record(Now::ZERO.after(Duration::from_secs(1)), Now::ZERO);
        assert_eq!(
            (ahead.counts()[0], ahead.sum()),
            (1, longest.sum()),
            "it counts as no time"
        );
        ahead.record(Now::ZERO, Now::NEVER);
        assert_eq!(ahead.sum(), longest.sum(), "the sum does not wrap");
    }
}
