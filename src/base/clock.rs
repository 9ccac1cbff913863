//! Time as a value. Pure code never reads a clock: `runtime` reads one per turn and passes [`Now`] down.

use std::time::Duration;

/// A point on the shard's monotonic clock, in nanoseconds since the process started.
///
/// Only differences mean anything. All shards of a process share the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(u64);

impl Now {
    /// Later than anything.
    pub const NEVER: Now = Now(u64::MAX);

    /// The origin; what the simulator starts from.
    pub const ZERO: Now = Now(0);

    /// The point `since_start` after the origin. Saturates after 584 years.
    pub fn from_duration(since_start: Duration) -> Now {
        Now(nanos(since_start))
    }

    /// This point moved by `by`; saturating, so that "never" stays never.
    #[must_use]
    pub fn after(self, by: Duration) -> Now {
        Now(self.0.saturating_add(nanos(by)))
    }

    /// Nanoseconds since the origin.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub fn since(self, earlier: Now) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// What the calendar says of a [`Now`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Since the Unix epoch, at [`Now::ZERO`].
    origin: Duration,
}

impl WallClock {
    /// The wall clock that showed `since_epoch` at `now`.
    pub fn showing(since_epoch: Duration, now: Now) -> WallClock {
        WallClock {
            origin: since_epoch.saturating_sub(now.since(Now::ZERO)),
        }
    }

    /// The time since the Unix epoch.
    pub fn at(self, now: Now) -> Duration {
        self.origin + now.since(Now::ZERO)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_the_past_is_not_later() {
        let start = Now::ZERO;
        let later = start.after(Duration::from_secs(2));
        assert!(later > start);
        assert_eq!(later.since(start), Duration::from_secs(2));
        assert_eq!(start.since(later), Duration::ZERO);
    }

    #[test]
    fn never_does_not_wrap() {
        let never = Now::ZERO.after(Duration::MAX);
        assert_eq!(never.after(Duration::from_secs(1)), never);
    }
}
