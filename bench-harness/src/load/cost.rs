//! What a load thread itself takes of the processor.
//!
//! The kernel's thread clock is exact but does not tell user from system; `/proc` does, in ticks of ten milliseconds. The one
//! is divided in the proportion of the other.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of the calling thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ThreadTime {
    on_processor_ns: u64,
    user_ticks: u64,
    system_ticks: u64,
}

/// What passed between two looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
}

impl ThreadTime {
    pub(super) fn now() -> ThreadTime {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let [seconds, rest_ns] =
            [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        let (user_ticks, system_ticks) = ticks(&stat).unwrap_or((0, 0));
        ThreadTime {
            on_processor_ns: seconds * 1_000_000_000 + rest_ns,
            user_ticks,
            system_ticks,
        }
    }

    pub(super) fn since(&self, earlier: &ThreadTime) -> Spent {
        let whole_ns = self.on_processor_ns - earlier.on_processor_ns;
        let user = self.user_ticks.saturating_sub(earlier.user_ticks);
        let system = self.system_ticks.saturating_sub(earlier.system_ticks);
        let user_ns = match user + system {
            0 => whole_ns,
            ticks => u64::try_from(u128::from(whole_ns) * u128::from(user) / u128::from(ticks))
                .unwrap_or(whole_ns),
        };
        Spent {
            user_ns,
            system_ns: whole_ns - user_ns,
        }
    }
}

impl Spent {
    pub(super) fn sum_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }
}

/// Fields 14 and 15; the second field is a name in brackets that may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_behind_a_nasty_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 77 88 0 0 20";
        assert_eq!(ticks(stat), Some((77, 88)));
    }

    #[test]
    fn exact_time_is_divided_by_the_ticks() {
        let earlier = ThreadTime {
            on_processor_ns: 100,
            user_ticks: 1,
            system_ticks: 1,
        };
        let later = ThreadTime {
            on_processor_ns: 1_100,
            user_ticks: 2,
            system_ticks: 4,
        };
        assert_eq!(
            later.since(&earlier),
            Spent {
                user_ns: 250,
                system_ns: 750
            }
        );
        assert_eq!(earlier.since(&earlier), Spent::default());
    }

    #[test]
    fn work_takes_time() {
        let before = ThreadTime::now();
        let mut dice = crate::dice::Dice::new(1);
        let sum = (0..1_000_000).fold(0_u64, |sum, _| sum ^ dice.number());
        assert!(ThreadTime::now().since(&before).sum_ns() > 0, "{sum}");
    }
}
