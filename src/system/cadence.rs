//! When the server tells its statistics without being asked: often at first, then every ten seconds (nats-server
//! `heartbeatStatsz`, `limitStatsz`).

use crate::base::clock::Now;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(10);
/// Two are never closer together than this, unless somebody asks for one.
const APART_MIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Cadence {
    interval: Duration,
    next_at: Now,
    told_at: Option<Now>,
}

impl Cadence {
    pub(super) fn starting(now: Now) -> Cadence {
        Cadence {
            interval: FIRST,
            next_at: now.after(FIRST),
            told_at: None,
        }
    }

    /// When [`Cadence::is_due`] is to be asked.
    pub(super) fn next_at(&self) -> Now {
        self.next_at
    }

    /// Whether it is time to tell them.
    pub(super) fn is_due(&mut self, now: Now) -> bool {
        if now < self.next_at {
            return false;
        }
        self.interval = (self.interval * 2).min(LAST);
        self.next_at = now.after(self.interval);
        let apart = self.interval.min(APART_MIN);
        if let Some(told_at) = self.told_at
            && now.since(told_at) < apart
        {
            self.next_at = told_at.after(apart);
            return false;
        }
        self.told_at = Some(now);
        true
    }

    /// Somebody has asked for them to be told to everybody.
    pub(super) fn is_asked_for(&mut self, now: Now) {
        self.told_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_quickly_and_slows_down() {
        let mut cadence = Cadence::starting(Now::ZERO);
        let mut told = Vec::new();
        while told.len() < 8 {
            let now = cadence.next_at();
            if cadence.is_due(now) {
                told.push(now.since(Now::ZERO).as_millis());
            }
        }
        // nats-server's, as seen from outside.
        assert_eq!(
            told,
            [250, 1_250, 3_250, 7_250, 15_250, 25_250, 35_250, 45_250]
        );
    }

    #[test]
    fn what_was_asked_for_takes_the_place_of_the_next() {
        let mut cadence = Cadence::starting(Now::ZERO);
        let at = |ms| Now::ZERO.after(Duration::from_millis(ms));
        assert!(!cadence.is_due(at(249)));
        cadence.is_asked_for(at(200));
        assert!(!cadence.is_due(at(250)), "too close");
        assert_eq!(cadence.next_at(), at(700));
        assert!(cadence.is_due(at(1_200)));
    }
}
