//! What a pump counts of its own work, once per turn at most. *Hot path.*
//!
//! No clock is read for it: a turn that had something to do is followed by another at once, and how long it took is the
//! time between their beginnings.

use crate::base::clock::Now;
use std::time::Duration;

/// Counts since the start of the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    pub turns: u64,
    /// How long turns took that had something to do: by class, see [`Pulse::turn_steps`], and in all.
    pub turn_times: [u64; TURN_CLASSES],
    pub busy: Duration,
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

/// Up to 1 µs, 2 µs, 4 µs and so on; the last class has no end.
const TURN_CLASSES: usize = 17;

impl Pulse {
    /// The upper ends of the classes of turn times but the last.
    pub fn turn_steps() -> impl Iterator<Item = Duration> {
        (0..TURN_CLASSES - 1).map(|class| Duration::from_nanos(1024 << class))
    }

    #[inline]
    pub(super) fn turn_begins(&mut self, now: Now) {
        self.turns += 1;
        if let Some(began_at) = self.began_at {
            let took = now.since(began_at);
            self.busy += took;
            let class =
                u64::BITS - (now.nanos().saturating_sub(began_at.nanos()) >> 10).leading_zeros();
            self.turn_times[(class as usize).min(TURN_CLASSES - 1)] += 1;
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
            (pulse.turns, pulse.busy),
            (5, Duration::from_micros(3 + 1 + 100_499))
        );
        let mut expected = [0; TURN_CLASSES];
        expected[0] = 1;
        expected[2] = 1;
        expected[TURN_CLASSES - 1] = 1;
        assert_eq!(pulse.turn_times, expected);
    }

    #[test]
    fn a_class_ends_where_it_says() {
        for (step, class) in Pulse::turn_steps().zip(0..) {
            for (took, class) in [(step - Duration::from_nanos(1), class), (step, class + 1)] {
                let mut pulse = Pulse::default();
                pulse.turn_begins(Now::ZERO);
                pulse.turn_ends(Now::ZERO, true);
                pulse.turn_begins(Now::ZERO.after(took));
                assert_eq!(pulse.turn_times[class], 1, "{took:?}");
            }
        }
    }
}
