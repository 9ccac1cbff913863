//! The one place that reads the time for shards.
#![allow(clippy::disallowed_methods, reason = "this is where the clock is read")]

use crate::base::clock::Now;
use std::time::{Duration, Instant};

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

    pub(super) fn now(self) -> Now {
        Now::from_duration(self.origin.elapsed())
    }

    /// Spins until `is_done`, at most for `budget`. Says whether it was done in time.
    #[inline]
    pub(super) fn spin(self, budget: Duration, mut is_done: impl FnMut() -> bool) -> bool {
        let start = Instant::now();
        loop {
            for _ in 0..16 {
                if is_done() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= budget {
                return false;
            }
        }
    }
}
