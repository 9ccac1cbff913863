//! The one place that reads the time for shards.
#![allow(clippy::disallowed_methods, reason = "this is where the clock is read")]

use crate::base::clock::{Now, WallClock};
use std::time::{Duration, Instant, SystemTime};

/// A spinning thread that has not had its core for this long was not alone on it.
const TAKEN_BY_OTHERS: Duration = Duration::from_micros(20);

/// A monotonic clock; copies share their origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock {
            origin: Instant::now(),
        }
    }

    /// What the calendar says, from now on by this clock.
    pub fn wall(self) -> WallClock {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        WallClock::showing(since_epoch.unwrap_or_default(), self.now())
    }

    pub fn now(self) -> Now {
        Now::from_duration(self.origin.elapsed())
    }

    /// Spins until `is_done`, at most for `budget`, and only while nobody else wants the core: it offers the core to others
    /// again and again, and when somebody has taken it, the spin is over. Says whether it was done in time.
    #[inline]
    pub(super) fn spin(self, budget: Duration, mut is_done: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        let mut looked_at = start;
        loop {
            for _ in 0..16 {
                if is_done() {
                    return true;
                }
                std::hint::spin_loop();
            }
            rustix::thread::sched_yield();
            let now = Instant::now();
            if now - start >= budget || now - looked_at >= TAKEN_BY_OTHERS {
                return is_done();
            }
            looked_at = now;
        }
    }
}
