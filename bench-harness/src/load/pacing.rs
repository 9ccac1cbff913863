//! Intended times: a clock that all threads share, the schedule of an open loop, and a timer that is exact to microseconds.
//!
//! - The schedule follows from its beginning and the rate alone. Whatever the server does, no intended time moves: that is
//!   what keeps the corrected latency free of coordinated omission. A backlog is a number, not a queue.
//! - Publishers take turns: message `m` of all is meant to leave at `begin + m / rate`, from publisher `m` modulo their number.
//! - epoll's own time-out counts milliseconds and would send in bursts; a timerfd has nanoseconds.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Nanoseconds since the run began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            began: Instant::now(),
        }
    }

    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The intended times of all publishers' messages in one phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    pub(super) begin_ns: u64,
    pub(super) interval_ns: f64,
    pub(super) publishers: u32,
}

impl Schedule {
    pub(super) fn new(begin_ns: u64, rate_per_s: f64, publishers: u32) -> Schedule {
        Schedule {
            begin_ns,
            interval_ns: 1e9 / rate_per_s,
            publishers,
        }
    }

    /// When a publisher means to send its message of this ordinal, from 0.
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "10^12 messages and a day in nanoseconds are exact to a nanosecond in a float"
    )]
    pub(super) fn intended_ns(&self, publisher: u32, ordinal: u64) -> u64 {
        let before = ordinal * u64::from(self.publishers) + u64::from(publisher);
        self.begin_ns + (before as f64 * self.interval_ns) as u64
    }
}

/// Walks through the schedule for the publishers of one thread, in the order of intended times.
#[derive(Debug)]
pub(super) struct Pacer {
    schedule: Schedule,
    /// Ascending, with what the caller knows each by.
    publishers: Vec<(u32, usize)>,
    place: usize,
    ordinal: u64,
}

impl Pacer {
    pub(super) fn new(schedule: Schedule, publishers: Vec<(u32, usize)>) -> Pacer {
        debug_assert!(publishers.is_sorted());
        Pacer {
            schedule,
            publishers,
            place: 0,
            ordinal: 0,
        }
    }

    /// When the next message is due; none if this thread has no publisher.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let (publisher, _) = self.publishers.get(self.place)?;
        Some(self.schedule.intended_ns(*publisher, self.ordinal))
    }

    /// Tells for every message that is due by now whose it is.
    pub(super) fn advance(&mut self, now_ns: u64, mut due: impl FnMut(usize)) {
        while self.next_ns().is_some_and(|next_ns| next_ns <= now_ns) {
            due(self.publishers[self.place].1);
            self.place += 1;
            if self.place == self.publishers.len() {
                self.place = 0;
                self.ordinal += 1;
            }
        }
    }
}

/// Wakes an epoll loop at a time.
#[derive(Debug)]
pub(crate) struct Timer {
    timer: OwnedFd,
    armed_ns: Option<u64>,
}

impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Timer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Timer {
            timer,
            armed_ns: None,
        })
    }

    /// Wakes the loop at this time; a time that has been asked for already costs nothing.
    pub(crate) fn wake_at(&mut self, at_ns: u64, clock: &Clock) -> io::Result<()> {
        if self.armed_ns.replace(at_ns) == Some(at_ns) {
            return Ok(());
        }
        // Zero would disarm it.
        let wait = Duration::from_nanos(at_ns.saturating_sub(clock.now_ns()).max(1));
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let at = Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: wait.subsec_nanos().into(),
        };
        let setting = Itimerspec {
            it_interval: none,
            it_value: at,
        };
        // Arming anew forgets an expiry nobody has read, so nobody ever needs to read one.
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        Ok(())
    }

    /// It has gone off.
    pub(crate) fn gone_off(&mut self) {
        self.armed_ns = None;
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers of a test"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The threads of a run together send message `m` at `begin + m / rate`, whoever has which publisher.
        #[test]
        fn threads_share_one_even_schedule(publishers in 1_u32..20, threads in 1_u32..5, rate in 1_000.0_f64..1e6) {
            let schedule = Schedule::new(500, rate, publishers);
            let until_ns = 500 + 50_000_000;
            let mut times = Vec::new();
            for thread in 0..threads {
                let own: Vec<_> = (thread..publishers).step_by(threads as usize).map(|p| (p, p as usize)).collect();
                let mut pacer = Pacer::new(schedule, own);
                let mut ordinals = vec![0; publishers as usize];
                // In two steps, as a loop would.
                for now_ns in [until_ns / 3, until_ns] {
                    pacer.advance(now_ns, |publisher| {
                        times.push(schedule.intended_ns(publisher as u32, ordinals[publisher]));
                        ordinals[publisher] += 1;
                    });
                }
            }
            times.sort_unstable();
            let expected: Vec<u64> = (0..)
                .map(|m| 500 + (f64::from(m) * 1e9 / rate) as u64)
                .take_while(|&time| time <= until_ns)
                .collect();
            prop_assert_eq!(times.len(), expected.len());
            for (found, meant) in times.iter().zip(&expected) {
                prop_assert!(found.abs_diff(*meant) <= 1);
            }
        }
    }

    #[test]
    fn a_thread_without_publishers_has_nothing_due() {
        let mut pacer = Pacer::new(Schedule::new(0, 10.0, 3), Vec::new());
        assert_eq!(pacer.next_ns(), None);
        pacer.advance(u64::MAX, |_| panic!("nobody is here"));
    }
}
