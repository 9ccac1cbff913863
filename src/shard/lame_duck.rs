//! Leaving gently: a server in lame duck mode tells its clients, waits, and then closes them one by one, so that the
//! rest of the world does not get all of them at once (nats-server `lameDuckMode`).

use crate::base::clock::Now;
use crate::base::rng::Rng;
use std::time::Duration;

/// Two closings of one shard are never further apart than this.
const STEP_MAX: Duration = Duration::from_secs(1);
/// The time for closing when the grace period leaves none.
const CLOSING_MIN: Duration = Duration::from_secs(1);

/// When to close the next client.
#[derive(Debug)]
pub(super) struct LameDuck {
    next_at: Now,
    step: Duration,
    batch: u32,
}

impl LameDuck {
    /// A plan for `clients` clients: nothing during `grace`, then evenly until `duration` is over.
    pub(super) fn new(now: Now, duration: Duration, grace: Duration, clients: u32) -> LameDuck {
        let closing = match duration.saturating_sub(grace) {
            Duration::ZERO => CLOSING_MIN,
            closing => closing,
        };
        // A timer is a millisecond's matter; more clients than that go in batches.
        let slots = u32::try_from(closing.as_millis())
            .unwrap_or(u32::MAX)
            .max(1);
        let batch = clients.div_ceil(slots).max(1);
        let step = (closing / clients.div_ceil(batch).max(1)).min(STEP_MAX);
        LameDuck {
            next_at: now.after(grace),
            step,
            batch,
        }
    }

    pub(super) fn next_at(&self) -> Now {
        self.next_at
    }

    /// How many clients to close now; sets the time of the next closing.
    pub(super) fn due(&mut self, now: Now, rng: &mut Rng) -> u32 {
        if now < self.next_at {
            return 0;
        }
        let jitter = self.step / 2 / 1000 * rng.below(1001);
        self.next_at = now.after(self.step / 2 + jitter);
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a plan to its end; gives when the first and the last client went.
    fn run(duration_s: u64, grace_s: u64, clients: u32) -> (Duration, Duration) {
        let seconds = Duration::from_secs;
        let mut duck = LameDuck::new(Now::ZERO, seconds(duration_s), seconds(grace_s), clients);
        let mut rng = Rng::from_seed(5);
        let mut left = clients;
        let mut first = None;
        let mut now = Now::ZERO;
        while left > 0 {
            now = duck.next_at();
            left = left.saturating_sub(duck.due(now, &mut rng));
            first.get_or_insert(now);
        }
        (first.unwrap_or(now).since(Now::ZERO), now.since(Now::ZERO))
    }

    #[test]
    fn nobody_goes_before_the_grace_is_over_and_all_are_gone_in_time() {
        for clients in [1, 10, 1000, 200_000] {
            let (first, last) = run(30, 10, clients);
            assert_eq!(first, Duration::from_secs(10));
            assert!(
                last <= Duration::from_secs(30),
                "{clients} clients took {last:?}"
            );
        }
    }

    #[test]
    fn few_clients_do_not_take_all_the_time() {
        let (_, last) = run(120, 10, 3);
        assert!(last <= Duration::from_secs(12));
    }
}
