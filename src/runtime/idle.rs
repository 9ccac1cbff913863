//! What a shard does when it has nothing to do: spin, linger or sleep. *Between turns.*
//!
//! Sleeping costs the sleeper two context switches and whoever wakes it an interrupt to another core; spinning costs the core. Which is
//! right depends on who waits (docs/decisions/0006):
//!
//! - **Spin** where messages come so regularly that the next one is nearly always there within the budget: a conversation with somebody who
//!   waits for each answer. Messages at random, as from many independent clients, would burn a core for little.
//! - **Linger** where many messages pass a few at a time and nobody waits for an answer: a sleep of fixed length that single arrivals do
//!   not end, so that each turn finds a handful of messages and nobody pays for waking. A turn for a few messages is such a moment too.
//! - **Sleep** otherwise, until something comes.

use super::clock::Clock;
use crate::base::clock::Now;
use std::time::Duration;

/// Completions that end the lingering: enough work for a turn, and buffers are left.
pub(super) const LINGER_COMPLETIONS: usize = 8;
/// What lingering must be expected to gather, or single messages are delayed for nothing.
const GATHERED_MIN: f64 = 2.0;
/// With so many messages between two idle moments little is gained by gathering more, and the senders of so fast a stream would
/// run into what waits for the sleeper.
const GATHERED_MAX: u64 = 1024;
/// How long not to linger again where it has not gathered anything.
const HOLD_OFF: Duration = Duration::from_millis(50);
/// One in so many arrivals may be part of a conversation.
const TALK_SHARE: u64 = 64;
/// How often the rates are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A sleeper hears of what came that much later, more or less: on bare metal a tenth of it, in a virtual machine up to double.
const WAKING_TAKES: Duration = Duration::from_micros(30);
const ODDS_MAX: i8 = 16;
/// From here on spinning is believed to pay.
const ODDS_GOOD: i8 = 8;
/// A long pause outweighs this many short ones: eight in nine must be short.
const LONG_PAUSE: i8 = 8;

/// How a shard may pass idle time (`spin_us`, `linger_us`); zero is never.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The longest spin.
    pub spin: Duration,
    /// What lingering may add to the delay of a message in a stream.
    pub linger: Duration,
}

/// The idle habits of one shard.
#[derive(Debug)]
pub(super) struct Idle {
    patience: Patience,
    /// Goes up with each pause that was shorter than the budget, and down faster with each longer one.
    odds: i8,
    lingers: bool,
    looked_at: Now,
    seen: Activity,
    /// Idle moments since it looked, and how many of them no message had come before.
    moments: u64,
    empty_moments: u64,
    /// Messages at the last idle moment.
    messages: u64,
    holds_off_until: Now,
}

/// What a shard has done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity {
    /// Messages taken in or delivered.
    pub(super) messages: u64,
    /// Times that bytes came from a connection.
    pub(super) arrivals: u64,
    /// How many of these were from a connection that had been sent something since its last: it may have waited for that.
    pub(super) talks: u64,
}

impl Idle {
    pub(super) fn new(patience: Patience) -> Idle {
        Idle {
            patience,
            odds: ODDS_GOOD,
            lingers: false,
            looked_at: Now::ZERO,
            seen: Activity::default(),
            moments: 0,
            empty_moments: 0,
            messages: 0,
            holds_off_until: Now::ZERO,
        }
    }

    /// How long to linger now, in an idle moment; none is not at all.
    pub(super) fn linger(&mut self, now: Now, activity: Activity) -> Option<Duration> {
        self.moments += 1;
        self.empty_moments += u64::from(activity.messages == self.messages);
        self.messages = activity.messages;
        let elapsed = now.since(self.looked_at);
        if elapsed >= LOOK_EVERY {
            let messages = activity.messages - self.seen.messages;
            let arrivals = activity.arrivals - self.seen.arrivals;
            let talks = activity.talks - self.seen.talks;
            let gathered = messages as f64 * self.patience.linger.div_duration_f64(elapsed);
            if self.lingers && 2 * self.empty_moments > self.moments {
                // They come in heaps, and most sleeps were for nothing.
                self.holds_off_until = now.after(HOLD_OFF);
            }
            self.lingers = gathered >= GATHERED_MIN
                && messages <= GATHERED_MAX * self.moments
                && talks <= arrivals / TALK_SHARE
                && now >= self.holds_off_until;
            self.looked_at = now;
            self.seen = activity;
            self.moments = 0;
            self.empty_moments = 0;
        }
        self.lingers.then_some(self.patience.linger)
    }

    /// Looks around until `has_work`, if that is likely to pay; says whether something came, if it did.
    pub(super) fn spin(&mut self, clock: Clock, has_work: impl FnMut() -> bool) -> Option<bool> {
        if self.patience.spin.is_zero() || self.odds < ODDS_GOOD {
            return None;
        }
        let came = clock.spin(self.patience.spin, has_work);
        self.note(came);
        Some(came)
    }

    /// Learns from a sleep: whether a spin would have spared it.
    pub(super) fn slept(&mut self, asleep: Duration) {
        self.note(asleep < self.patience.spin + WAKING_TAKES);
    }

    fn note(&mut self, was_short: bool) {
        self.odds = if was_short {
            (self.odds + 1).min(ODDS_MAX)
        } else {
            (self.odds - LONG_PAUSE).max(0)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_micros(40);
    const PATIENCE: Patience = Patience {
        spin: BUDGET,
        linger: Duration::from_micros(50),
    };

    /// How many of a hundred pauses it would have spun for.
    fn spins(is_short: impl Fn(u32) -> bool) -> u32 {
        let mut idle = Idle::new(PATIENCE);
        let mut spins = 0;
        for round in 0..200 {
            spins += u32::from(round >= 100 && idle.odds >= ODDS_GOOD);
            idle.note(is_short(round));
        }
        spins
    }

    #[test]
    fn regular_short_pauses_are_spun_for() {
        assert_eq!(spins(|_| true), 100);
    }

    #[test]
    fn now_and_then_a_long_pause_does_not_matter() {
        assert!(spins(|round| round % 20 != 0) > 90);
    }

    #[test]
    fn pauses_at_random_are_slept_for() {
        assert_eq!(spins(|round| round % 3 != 0), 0);
        assert_eq!(spins(|_| false), 0);
    }

    #[test]
    fn a_conversation_that_begins_is_noticed() {
        let mut idle = Idle::new(PATIENCE);
        for _ in 0..10 {
            idle.slept(BUDGET + WAKING_TAKES);
        }
        for _ in 0..ODDS_GOOD {
            assert!(idle.odds < ODDS_GOOD);
            idle.slept(BUDGET);
        }
        assert!(idle.odds >= ODDS_GOOD);
    }

    #[test]
    fn without_a_budget_it_never_spins() {
        let mut idle = Idle::new(Patience {
            spin: Duration::ZERO,
            ..PATIENCE
        });
        let spun = idle.spin(Clock::start(), || unreachable!("it must not look"));
        assert_eq!(spun, None);
    }

    /// Whether it lingers after so much in one millisecond with so many idle moments.
    fn lingers_after(patience: Patience, moments: u64, activity: Activity) -> bool {
        let mut idle = Idle::new(patience);
        for _ in 1..moments {
            assert_eq!(idle.linger(Now::ZERO, Activity::default()), None);
        }
        idle.linger(Now::ZERO.after(LOOK_EVERY), activity).is_some()
    }

    fn activity(messages: u64, arrivals: u64, talks: u64) -> Activity {
        Activity {
            messages,
            arrivals,
            talks,
        }
    }

    #[test]
    fn it_lingers_in_streams_that_nobody_answers() {
        assert!(lingers_after(PATIENCE, 40, activity(40, 40, 0)));
        assert!(
            lingers_after(PATIENCE, 7, activity(400, 0, 0)),
            "all from other shards"
        );
        assert!(
            lingers_after(PATIENCE, 10, activity(640, 640, 10)),
            "now and then a PING"
        );
    }

    #[test]
    fn it_does_not_linger_for_few_messages_nor_while_somebody_waits() {
        assert!(!lingers_after(PATIENCE, 39, activity(39, 39, 0)));
        assert!(!lingers_after(PATIENCE, 640, activity(640, 640, 11)));
        assert!(!lingers_after(PATIENCE, 50, activity(100, 50, 50)));
    }

    #[test]
    fn it_does_not_linger_where_enough_comes_anyway() {
        assert!(lingers_after(PATIENCE, 10, activity(10_240, 640, 0)));
        assert!(!lingers_after(PATIENCE, 10, activity(10_241, 640, 0)));
    }

    /// For how many of a hundred milliseconds it lingers when a heap of so many messages comes every so often. When it does
    /// not linger it sleeps until the next heap.
    fn lingers_among_heaps(heap: u64, every: Duration) -> u128 {
        let mut idle = Idle::new(PATIENCE);
        let (mut elapsed, mut lingered) = (Duration::ZERO, Duration::ZERO);
        while elapsed < LOOK_EVERY * 100 {
            let heaps = u64::try_from(elapsed.as_nanos() / every.as_nanos()).unwrap();
            let said = idle.linger(Now::ZERO.after(elapsed), activity(heap * heaps, heaps, 0));
            lingered += said.unwrap_or_default();
            elapsed += said.unwrap_or(every);
        }
        lingered.as_nanos() / LOOK_EVERY.as_nanos()
    }

    #[test]
    fn it_lingers_only_where_most_sleeps_gather_something() {
        let of_linger = |part: f64| PATIENCE.linger.mul_f64(part);
        assert!(lingers_among_heaps(30, of_linger(0.3)) >= 98);
        assert!(lingers_among_heaps(1000, of_linger(1.0)) >= 98);
        assert_eq!(lingers_among_heaps(1100, of_linger(1.0)), 0, "too fast");
        let heaps = lingers_among_heaps(1000, of_linger(3.0));
        assert!((1..=4).contains(&heaps), "{heaps}: tried, and given up");
    }

    #[test]
    fn without_patience_it_never_lingers() {
        let patience = Patience {
            linger: Duration::ZERO,
            ..PATIENCE
        };
        assert!(!lingers_after(patience, 40, activity(400, 400, 0)));
    }

    #[test]
    fn a_stream_that_ends_is_noticed() {
        let mut idle = Idle::new(PATIENCE);
        let stream = activity(60, 0, 0);
        assert!(idle.linger(Now::ZERO.after(LOOK_EVERY), stream).is_some());
        assert!(
            idle.linger(Now::ZERO.after(LOOK_EVERY * 2), stream)
                .is_none()
        );
    }
}
