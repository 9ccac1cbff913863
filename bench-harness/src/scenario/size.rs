//! Payload lengths: what a [`Size`] allows, and the lengths that come of it one after another.

use super::Size;
use crate::dice::Dice;

impl Size {
    /// The shortest payload that may come.
    pub fn least(&self) -> u32 {
        match self {
            Size::Fixed(bytes) => *bytes,
            Size::Between(first, _) => *first,
            Size::Mix(shares) => shares.iter().map(|share| share.bytes).min().unwrap_or(0),
        }
    }

    /// The longest payload that may come.
    pub fn greatest(&self) -> u32 {
        match self {
            Size::Fixed(bytes) => *bytes,
            Size::Between(_, last) => *last,
            Size::Mix(shares) => shares.iter().map(|share| share.bytes).max().unwrap_or(0),
        }
    }

    /// The one length, if there is only one.
    pub fn fixed(&self) -> Option<u32> {
        (self.least() == self.greatest()).then(|| self.least())
    }
}

/// Throws payload lengths.
#[derive(Debug, Clone)]
pub struct Sizes {
    law: Law,
    dice: Dice,
}

#[derive(Debug, Clone)]
enum Law {
    Fixed(u32),
    Between {
        first: u32,
        count: u32,
    },
    /// Lengths, and the sum of the weights up to each, of 1 in all.
    Mix(Vec<(f64, u32)>),
}

impl Sizes {
    /// Of a size that has been checked.
    pub fn new(size: &Size, seed: u64) -> Sizes {
        let law = match size {
            _ if size.fixed().is_some() => Law::Fixed(size.least()),
            Size::Fixed(bytes) => Law::Fixed(*bytes),
            Size::Between(first, last) => Law::Between {
                first: *first,
                count: last - first + 1,
            },
            Size::Mix(shares) => {
                let whole: f64 = shares.iter().map(|share| share.weight).sum();
                let mut sum = 0.0;
                let steps = shares.iter().map(|share| {
                    sum += share.weight / whole;
                    (sum, share.bytes)
                });
                Law::Mix(steps.collect())
            }
        };
        Sizes {
            law,
            dice: Dice::new(seed),
        }
    }

    #[inline]
    pub fn throw(&mut self) -> u32 {
        match &self.law {
            Law::Fixed(bytes) => *bytes,
            Law::Between { first, count } => first + self.dice.below(*count),
            Law::Mix(steps) => {
                let thrown = self.dice.share();
                let place = steps.partition_point(|(sum, _)| *sum <= thrown);
                // The sums may end a hair below one.
                steps[place.min(steps.len() - 1)].1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    fn counts(size: &Size, throws: u32) -> std::collections::BTreeMap<u32, u32> {
        let mut sizes = Sizes::new(size, 7);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..throws {
            *counts.entry(sizes.throw()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn a_range_holds_both_ends() {
        let found = counts(&Size::Between(16, 19), 1000);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [16, 17, 18, 19]);
        assert!(found.values().all(|&count| count > 200));
    }

    #[test]
    fn a_mix_keeps_its_weights() {
        let share = |bytes, weight| Share { bytes, weight };
        let size = Size::Mix(vec![share(100, 3.0), share(20, 1.0), share(5, 0.0)]);
        let found = counts(&size, 10_000);
        assert!((7300..7700).contains(&found[&100]), "{found:?}");
        assert_eq!(found[&100] + found[&20], 10_000, "no weight, no message");
        assert_eq!(
            (size.least(), size.greatest(), size.fixed()),
            (5, 100, None)
        );
    }
}
