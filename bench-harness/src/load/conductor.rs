//! The calling thread of a run: it starts the load threads, begins and ends the phases, waits, and adds up.
//!
//! - It puts no load on the server itself, and sleeps nearly all the time.
//! - A phase is over when everything published is delivered, or when nothing has come for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use mio::Poll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::connect::{self, Spec, machine};
use super::crew::Crew;
use super::plan;
use super::summary::{Summary, seconds};
use super::tally::Reading;
use super::worker::{Command, Phase as Span, Report};
use super::{LoadError, Measurement, Observer, Phase, Progress, Settings, Target};
use crate::scenario::subjects;
use crate::scenario::{Exchange, Length, Rate, Scenario, Sharing};
use crate::wire::{Greeting, Wire};

pub(super) fn run<W: Wire>(
    scenario: &Scenario,
    target: &Target,
    settings: &Settings,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Measurement, LoadError> {
    check_protocol::<W>(scenario)?;
    let threads = plan::threads(scenario, settings)?;
    plan::check_cores(&settings.pin)?;
    allow_files(plan::connections(scenario), 8 * u64::from(threads) + 64)?;
    let greeting = greet::<W>(target)?;
    check_payloads(scenario, target, &greeting)?;
    let crew = Crew::start::<W>(scenario, target, settings, threads)?;
    let conductor = Conductor {
        scenario,
        crew,
        observer,
        stop,
        phase: Phase::Connecting,
        phase_began_ns: 0,
        base: Reading::default(),
        shown: (0, Reading::default()),
        stalled: false,
    };
    conductor.conduct(greeting.version)
}

struct Conductor<'a> {
    scenario: &'a Scenario,
    crew: Crew,
    observer: &'a mut dyn Observer,
    stop: &'a AtomicBool,
    phase: Phase,
    phase_began_ns: u64,
    /// When the phase began.
    base: Reading,
    /// At the last progress.
    shown: (u64, Reading),
    /// The server took and gave nothing any more.
    stalled: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Fulfilled,
    Stopped,
    /// Nothing has moved for this wait's patience.
    Stalled,
}

impl Conductor<'_> {
    fn conduct(mut self, server_version: String) -> Result<Measurement, LoadError> {
        let mut is_stopped = self.wait(Until::Standing, FOREVER)? == Waited::Stopped;
        if !is_stopped && self.scenario.warm_up_s > 0.0 {
            let length = Length::Seconds(self.scenario.warm_up_s);
            is_stopped = self.pass(Phase::WarmUp, length)? == Waited::Stopped;
            // Before anybody begins to publish: a thread that heard of the beginning late would forget what has come since.
            self.crew.tell(Command::Forget);
            is_stopped |= self.wait(Until::Flushed, DRAIN_NS)? == Waited::Stopped;
        }
        let mut interval_ns = (0, 0);
        if !is_stopped {
            self.observer.measuring_begins();
            is_stopped = self.pass(Phase::Measuring, self.scenario.length)? == Waited::Stopped;
            self.observer.measuring_ends();
            interval_ns = (self.phase_began_ns, self.last_ns());
        }
        let is_measured = interval_ns.1 > 0;
        let harvests = self.crew.harvest(!is_stopped)?;
        let summary = Summary {
            scenario: self.scenario,
            server_version,
            interrupted: is_stopped,
            interval_ns,
            base: self.base,
            end: self.crew.reading(),
            stalled: self.stalled,
        };
        Ok(summary.measurement(harvests, is_measured))
    }

    /// One phase, from its first publish to its last delivery.
    fn pass(&mut self, phase: Phase, length: Length) -> Result<Waited, LoadError> {
        self.base = self.crew.reading();
        let span = self.span(length);
        self.enter(phase, span.begin_ns);
        self.crew.tell(Command::Begin(span));
        let patience_ns = match span.rate_per_s {
            // Between two messages of a slow schedule nothing moves, and that is as it should be.
            Some(_) => span
                .give_up_ns
                .saturating_sub(span.begin_ns)
                .saturating_add(STALL_NS),
            None => STALL_NS,
        };
        match self.wait(Until::Flushed, patience_ns)? {
            Waited::Stopped => return Ok(Waited::Stopped),
            Waited::Stalled => self.stalled = true,
            Waited::Fulfilled => {}
        }
        if phase == Phase::Measuring {
            self.phase = Phase::Draining;
        }
        if self.wait(Until::Delivered, DRAIN_NS)? == Waited::Stopped {
            return Ok(Waited::Stopped);
        }
        if self.stalled {
            return Ok(Waited::Stalled);
        }
        // A delivery too many comes before the answer to a flush.
        self.crew.tell(Command::Flush);
        self.wait(Until::Flushed, DRAIN_NS)
    }

    fn span(&self, length: Length) -> Span {
        let begin_ns = self.crew.clock.now_ns() + LEAD_NS;
        let rate_per_s = match self.scenario.rate {
            Rate::Saturate => None,
            Rate::PerSecond(rate) => Some(rate),
        };
        let length_ns = match (length, rate_per_s) {
            (Length::Seconds(seconds), _) => nanoseconds(seconds),
            #[expect(clippy::cast_precision_loss, reason = "up to 10^12")]
            (Length::Messages(messages), Some(rate)) => nanoseconds(messages as f64 / rate),
            (Length::Messages(_), None) => u64::MAX,
        };
        let end_ns = begin_ns.saturating_add(length_ns);
        let grace_ns = match rate_per_s {
            Some(_) => (length_ns / 2).max(GRACE_NS),
            None => 0,
        };
        Span {
            begin_ns,
            end_ns,
            give_up_ns: end_ns.saturating_add(grace_ns),
            quota: match length {
                Length::Seconds(_) => u64::MAX,
                Length::Messages(messages) => messages,
            },
            rate_per_s,
        }
    }

    fn enter(&mut self, phase: Phase, begin_ns: u64) {
        self.phase = phase;
        self.phase_began_ns = begin_ns;
        self.shown = (begin_ns, self.base);
    }

    fn last_ns(&self) -> u64 {
        let reading = self.crew.reading();
        match reading.delivered > self.base.delivered {
            true => reading.last_delivery_ns,
            false => self.crew.clock.now_ns(),
        }
    }

    fn wait(&mut self, until: Until, patience_ns: u64) -> Result<Waited, LoadError> {
        let mut reports = 0;
        let mut moved = (self.crew.clock.now_ns(), self.crew.reading());
        loop {
            let reading = self.crew.reading();
            let now_ns = self.crew.clock.now_ns();
            if self.is_reached(until, reports, &reading) {
                return Ok(Waited::Fulfilled);
            }
            if self.stop.load(Relaxed) {
                return Ok(Waited::Stopped);
            }
            if reading != moved.1 {
                moved = (now_ns, reading);
            }
            if now_ns.saturating_sub(moved.0) > patience_ns {
                return Ok(Waited::Stalled);
            }
            self.show(now_ns, &reading);
            let tick = if until == Until::Delivered {
                SHORT_TICK
            } else {
                TICK
            };
            match self.crew.reports.recv_timeout(tick) {
                Ok(Report::Standing | Report::Flushed) => reports += 1,
                Ok(Report::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Waited::Stopped),
            }
        }
    }

    fn is_reached(&self, until: Until, reports: usize, reading: &Reading) -> bool {
        match until {
            Until::Standing | Until::Flushed => reports == self.crew.length(),
            Until::Delivered => match self.scenario.exchange {
                Exchange::Request { .. } => {
                    reading.delivered + reading.nobody_there >= reading.published
                }
                Exchange::Publish => {
                    reading.delivered >= reading.published * subjects::deliveries(self.scenario)
                }
            },
        }
    }

    fn show(&mut self, now_ns: u64, reading: &Reading) {
        let (before_ns, before) = &self.shown;
        if now_ns < before_ns + PROGRESS_NS {
            return;
        }
        let seconds = seconds(now_ns - before_ns);
        #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let progress = Progress {
            phase: self.phase,
            elapsed_s: self::seconds(now_ns.saturating_sub(self.phase_began_ns)),
            published: reading.published - self.base.published,
            delivered: reading.delivered - self.base.delivered,
            published_per_s: rate(reading.published, before.published),
            delivered_per_s: rate(reading.delivered, before.delivered),
            p99_ns: (reading.p99_ns > 0).then_some(reading.p99_ns),
        };
        self.shown = (now_ns, *reading);
        self.observer.progress(progress);
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Standing,
    Flushed,
    Delivered,
}

fn check_protocol<W: Wire>(scenario: &Scenario) -> Result<(), LoadError> {
    let lacks = |what| {
        Err(LoadError::Unsupported {
            protocol: W::PROTOCOL,
            what,
        })
    };
    match (scenario.exchange, scenario.sharing) {
        (Exchange::Request { .. }, _) if !W::HAS_REQUESTS => lacks("requests"),
        (_, Sharing::Groups(_)) if !W::HAS_QUEUE_GROUPS => lacks("queue groups"),
        _ => Ok(()),
    }
}

/// Opens one connection, so that whatever is wrong with the server is said before any load is made.
fn greet<W: Wire>(target: &Target) -> Result<Greeting, LoadError> {
    let mut poll = Poll::new().map_err(machine("make an epoll"))?;
    let spec = Spec {
        name: "trunkline-bench-greeting".to_owned(),
        patterns: Arc::default(),
        group: None,
        source: None,
    };
    let never = AtomicBool::new(false);
    let opened = connect::open_all::<W>(&mut poll, target, &[spec], &never)?;
    Ok(opened
        .and_then(|opened| opened.greeting)
        .unwrap_or(Greeting {
            version: String::new(),
            payload_bytes_max: None,
        }))
}

fn check_payloads(
    scenario: &Scenario,
    target: &Target,
    greeting: &Greeting,
) -> Result<(), LoadError> {
    let bytes = u64::from(scenario.size.greatest());
    match greeting.payload_bytes_max {
        Some(bytes_max) if bytes > bytes_max => Err(LoadError::PayloadTooLong {
            address: target.address,
            bytes,
            bytes_max,
        }),
        _ => Ok(()),
    }
}

/// Takes what the hard limit allows, which must be enough for these connections and some files beside them.
fn allow_files(connections: u64, beside: u64) -> Result<(), LoadError> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = connections + beside;
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(allowed) = limit.maximum.filter(|maximum| *maximum < wanted) {
        return Err(LoadError::TooManyConnections {
            wanted: connections,
            allowed: allowed.saturating_sub(beside),
        });
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).map_err(|error| LoadError::Machine {
        what: "open more files",
        source: error.into(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length of at most some days; more is cut off"
)]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

const FOREVER: u64 = u64::MAX;
/// For the threads to wake up before the first message is due.
const LEAD_NS: u64 = 1_000_000;
/// Nothing taken and nothing delivered for so long: the server hangs.
pub(super) const STALL_NS: u64 = 10_000_000_000;
/// After everything was taken, a delivery that has not come for so long is lost.
const DRAIN_NS: u64 = 2_000_000_000;
/// How long a backlog of due messages may still be sent, at least.
const GRACE_NS: u64 = 1_000_000_000;
const PROGRESS_NS: u64 = 250_000_000;
const TICK: Duration = Duration::from_millis(20);
const SHORT_TICK: Duration = Duration::from_millis(1);
