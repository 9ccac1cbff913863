//! Whether every shard still turns, for a service manager that restarts a broker which hangs.
//!
//! *Control path.* Twice within the time that the service manager allows, every shard is asked for a sign of life, which it gives between two
//! steps of a turn: one directive and one report per shard, some microseconds in ten seconds.
//!
//! Invariant: the service manager is told that all is well only when every shard has answered since it was told so the last time. A shard that
//! hangs keeps silent, nobody is asked again, and the time runs out; so it does when the main thread hangs, which asks.

use crate::base::ids::{ShardId, ShardSet};
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Who has been asked and has not answered.
#[derive(Debug, Default)]
pub(super) struct Watchdog {
    silent: ShardSet,
}

impl Watchdog {
    /// It is time to ask again: whether everybody has answered the last time.
    pub(super) fn may_ask(&self) -> bool {
        self.silent.is_empty()
    }

    pub(super) fn asked(&mut self, shard: ShardId) {
        self.silent.insert(shard);
    }

    /// A shard has answered; says whether it was the last one to do so.
    pub(super) fn heard(&mut self, shard: ShardId) -> bool {
        if !self.silent.contains(shard) {
            return false;
        }
        self.silent.remove(shard);
        self.silent.is_empty()
    }
}

/// Rings every so often until it is dropped, on a thread of its own: the main thread waits for messages and for nothing else.
#[derive(Debug)]
pub(super) struct Ticker {
    _end: Sender<()>,
}

impl Ticker {
    /// # Errors
    /// When the thread cannot be made.
    pub(super) fn start(
        every: Duration,
        ring: impl Fn() -> bool + Send + 'static,
    ) -> io::Result<Ticker> {
        let (end, ended) = channel();
        let tick = move || {
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                if !ring() {
                    break;
                }
            }
        };
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(tick)?;
        Ok(Ticker { _end: end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_well_when_the_last_shard_has_answered() {
        let mut watchdog = Watchdog::default();
        for _ in 0..3 {
            assert!(watchdog.may_ask());
            for shard in 0..3 {
                watchdog.asked(ShardId(shard));
            }
            assert!(!watchdog.heard(ShardId(2)));
            assert!(!watchdog.heard(ShardId(2)), "one shard answers for itself");
            assert!(!watchdog.heard(ShardId(0)));
            assert!(!watchdog.may_ask());
            assert!(watchdog.heard(ShardId(1)));
        }
    }

    #[test]
    fn a_shard_that_hangs_keeps_all_others_from_being_enough() {
        let mut watchdog = Watchdog::default();
        for shard in 0..4 {
            watchdog.asked(ShardId(shard));
        }
        for _ in 0..100 {
            for shard in [0, 1, 3] {
                assert!(!watchdog.heard(ShardId(shard)));
            }
            assert!(!watchdog.may_ask());
        }
        // It was only slow: better late than never.
        assert!(watchdog.heard(ShardId(2)));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_says_nothing() {
        let mut watchdog = Watchdog::default();
        assert!(!watchdog.heard(ShardId(0)));
    }

    #[test]
    fn a_ticker_ends_when_it_is_dropped() {
        let (ticks, ticked) = channel();
        let ticker = Ticker::start(Duration::from_millis(1), move || ticks.send(()).is_ok());
        let ticker = ticker.unwrap();
        assert!(ticked.recv().is_ok() && ticked.recv().is_ok());
        drop(ticker);
        // The thread lets go of its end.
        while ticked.recv().is_ok() {}
    }
}
