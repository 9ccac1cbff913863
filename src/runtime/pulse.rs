//! What a pump counts of its own work, once per turn at most. *Hot path.*
//!
//! No clock is read for it: a turn that had something to do is followed by another at once, and how long it took is the
//! time between their beginnings.

use crate::base::clock::Now;
use crate::base::histogram::Histogram;

/// Counts since the start of the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    pub turns: u64,
    /// How long turns took that had something to do.
    pub turn_times: Histogram,
    /// How often it looked around before going to sleep, and how often that spared the sleep.
    pub spins: u64,
    pub spins_paid: u64,
    /// How often it slept on so that single arrivals could gather.
    pub lingers: u64,
    pub parks: u64,
    /// Pieces of received bytes, and batches given to the kernel.
    pub reads: u64,
    pub sends: u64,
    /// When the last turn began, if it had something to do.
    began_at: Option<Now>,
}

impl Pulse {
    #[inline]
    pub(super) fn turn_begins(&mut self, now: Now) {
        self.turns += 1;
        if let Some(began_at) = self.began_at {
            self.turn_times.record(began_at, now);
        }
    }

    #[inline]
    pub(super) fn turn_ends(&mut self, now: Now, is_busy: bool) {
        self.began_at = is_busy.then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_busy_turn_lasts_until_the_next_and_an_idle_one_is_not_measured() {
        let at = |micros| Now::ZERO.after(Duration::from_micros(micros));
        let mut pulse = Pulse::default();
        for (begin, is_busy) in [
            (0, true),
            (3, false),
            (500, true),
            (501, true),
            (101_000, false),
        ] {
            pulse.turn_begins(at(begin));
            pulse.turn_ends(at(begin), is_busy);
        }
        assert_eq!(
            (pulse.turns, pulse.turn_times.sum()),
            (5, Duration::from_micros(3 + 1 + 100_499))
        );
        let mut expected = Histogram::default();
        for took in [3, 1, 100_499] {
            expected.record(at(0), at(took));
        }
        assert_eq!(pulse.turn_times, expected);
    }
}
