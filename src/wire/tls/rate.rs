//! How many handshakes may begin in a second, in the whole server. *Once per connection.*
//!
//! All shards share one count, in an atomic: a handshake costs ten thousand times as much. What counts as a second, and
//! that the limit itself is still allowed, is nats-server's (`rate_counter.go`): a window begins with the first
//! handshake after the last window's end.

use crate::base::clock::Now;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(1);
/// The low bits of the state count; the others are the end of the window in milliseconds.
const COUNT_BITS: u32 = 24;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// The count of one listener.
#[derive(Debug)]
pub(super) struct Rate {
    limit: u64,
    state: AtomicU64,
    refused: AtomicU64,
}

impl Rate {
    pub(super) fn new(limit: u32) -> Rate {
        Rate {
            limit: u64::from(limit).min(COUNT_MAX),
            state: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts a handshake that wants to begin; says whether it may.
    pub(super) fn allow(&self, now: Now) -> bool {
        let now_ms = millis(now);
        let next = |state: u64| {
            let (ends_ms, count) = (state >> COUNT_BITS, state & COUNT_MAX);
            if state == 0 || now_ms > ends_ms {
                Some((now_ms + millis(Now::ZERO.after(WINDOW))) << COUNT_BITS | 1)
            } else {
                Some(ends_ms << COUNT_BITS | (count + 1).min(COUNT_MAX))
            }
        };
        let before = self
            .state
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_else(|state| state);
        let count = next(before).unwrap_or_default() & COUNT_MAX;
        let is_allowed = count <= self.limit;
        if !is_allowed {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }

    /// How many were refused since the last call.
    pub(super) fn take_refused(&self) -> u64 {
        self.refused.swap(0, Ordering::Relaxed)
    }
}

fn millis(now: Now) -> u64 {
    u64::try_from(now.since(Now::ZERO).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now::ZERO.after(Duration::from_millis(ms))
    }

    #[test]
    fn the_limit_is_allowed_and_one_more_is_not() {
        let rate = Rate::new(3);
        let verdicts: Vec<bool> = (0..5).map(|ms| rate.allow(at(ms))).collect();
        assert_eq!(verdicts, [true, true, true, false, false]);
        assert_eq!(rate.take_refused(), 2);
        assert_eq!(rate.take_refused(), 0);
    }

    #[test]
    fn a_new_window_begins_after_a_second() {
        let rate = Rate::new(1);
        assert!(rate.allow(at(500)));
        assert!(!rate.allow(at(1500)));
        assert!(rate.allow(at(1501)));
        assert!(!rate.allow(at(1502)));
        assert!(rate.allow(at(90_000)));
    }
}
