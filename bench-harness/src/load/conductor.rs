//! The calling thread of a run: it starts the load threads, begins and ends the phases, waits, and adds up.
//!
//! - It puts no load on the server itself, and sleeps nearly all the time.
//! - A phase is over when everything published is delivered, or when nothing has come for a while.
//! - Whatever way it leaves, all load threads have ended.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use core_affinity::CoreId;
use mio::{Poll, Token, Waker};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::connect::{self, Spec, machine};
use super::pacing::Clock;
use super::plan::{self, Share};
use super::tally::{Gauge, Reading};
use super::worker::{Command, Harvest, Orders, Phase as Span, Report, Worker};
use super::{LoadError, Measurement, Observer, Phase, Progress, Settings, Target, verdict};
use crate::dice::Dice;
use crate::latency::Histograms;
use crate::record::{GeneratorCost, Traffic};
use crate::scenario::subjects::{self, Names};
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
    allow_files(plan::connections(scenario) + 8 * u64::from(threads) + 64)?;
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
            Until::Standing | Until::Flushed => reports == self.crew.hands.len(),
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

/// The load threads.
struct Crew {
    hands: Vec<Hand>,
    reports: Receiver<Report>,
    clock: Clock,
    /// For threads that still connect.
    stop: Arc<AtomicBool>,
    is_waited_for: Arc<AtomicBool>,
}

struct Hand {
    commands: Sender<Command>,
    waker: Waker,
    gauge: Arc<Gauge>,
    thread: Option<JoinHandle<Option<Harvest>>>,
}

impl Crew {
    fn start<W: Wire>(
        scenario: &Scenario,
        target: &Target,
        settings: &Settings,
        threads: u32,
    ) -> Result<Crew, LoadError> {
        let tag = tag();
        let orders = Orders {
            scenario: Arc::new(scenario.clone()),
            target: target.clone(),
            names: Names::new(scenario, &tag),
            clock: Clock::start(),
            spins: settings.pin.len() >= threads as usize,
            stop: Arc::default(),
            tag,
        };
        let shares = plan::shares(scenario, target, &orders.names, &orders.tag, threads);
        let (sender, reports) = mpsc::channel();
        let mut crew = Crew {
            hands: Vec::new(),
            reports,
            clock: orders.clock,
            stop: Arc::clone(&orders.stop),
            is_waited_for: Arc::default(),
        };
        for (index, share) in shares.into_iter().enumerate() {
            let core = match settings.pin.len() {
                0 => None,
                cores => Some(settings.pin[index % cores]),
            };
            crew.hire::<W>(index, core, orders.clone(), share, sender.clone())?;
        }
        Ok(crew)
    }

    fn hire<W: Wire>(
        &mut self,
        index: usize,
        core: Option<usize>,
        orders: Orders,
        share: Share,
        reports: Sender<Report>,
    ) -> Result<(), LoadError> {
        let poll = Poll::new().map_err(machine("make an epoll"))?;
        let waker = Waker::new(poll.registry(), Token(share.specs.len()))
            .map_err(machine("make a wake-up"))?;
        let (commands, orders_later) = mpsc::channel();
        let gauge = Arc::<Gauge>::default();
        let (own_gauge, is_waited_for) = (Arc::clone(&gauge), Arc::clone(&self.is_waited_for));
        let work = move || {
            if let Some(id) = core {
                core_affinity::set_for_current(CoreId { id });
            }
            let outcome = Worker::<W>::open(orders, &share, poll, own_gauge, reports.clone());
            let harvest = outcome.and_then(|worker| {
                worker
                    .map(|worker| worker.run(&orders_later, &is_waited_for))
                    .transpose()
            });
            harvest.unwrap_or_else(|error| {
                // Nobody listens any more if another thread has failed before.
                let _ = reports.send(Report::Failed(error));
                None
            })
        };
        let thread = thread::Builder::new()
            .name(format!("load-{index}"))
            .spawn(work)
            .map_err(machine("start a thread"))?;
        self.hands.push(Hand {
            commands,
            waker,
            gauge,
            thread: Some(thread),
        });
        Ok(())
    }

    /// A thread that has left is not told; its report says why.
    fn tell(&self, command: Command) {
        for hand in &self.hands {
            let _ = hand.commands.send(command);
            let _ = hand.waker.wake();
        }
    }

    fn reading(&self) -> Reading {
        Reading::of(self.hands.iter().map(|hand| &*hand.gauge))
    }

    fn harvest(&mut self, is_waited_for: bool) -> Result<Vec<Harvest>, LoadError> {
        self.is_waited_for.store(is_waited_for, Relaxed);
        let results = self.leave();
        // An end that came before the last thread's complaint must not hide it.
        match self.reports.try_iter().find_map(|report| match report {
            Report::Failed(error) => Some(error),
            Report::Standing | Report::Flushed => None,
        }) {
            Some(error) => Err(error),
            None => Ok(results.into_iter().filter_map(work_of).collect()),
        }
    }

    fn leave(&mut self) -> Vec<thread::Result<Option<Harvest>>> {
        self.stop.store(true, Relaxed);
        self.tell(Command::End);
        let threads = self.hands.iter_mut().filter_map(|hand| hand.thread.take());
        threads.map(JoinHandle::join).collect()
    }
}

/// A thread that panicked takes the run with it: half of the findings are none.
fn work_of(result: thread::Result<Option<Harvest>>) -> Option<Harvest> {
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Everything that a measurement is made of.
struct Summary<'a> {
    scenario: &'a Scenario,
    server_version: String,
    interrupted: bool,
    interval_ns: (u64, u64),
    base: Reading,
    end: Reading,
    stalled: bool,
}

impl Summary<'_> {
    fn measurement(self, harvests: Vec<Harvest>, is_measured: bool) -> Measurement {
        let base = if is_measured { self.base } else { self.end };
        let measured_s = seconds(self.interval_ns.1.saturating_sub(self.interval_ns.0));
        let published = traffic(
            self.end.published - base.published,
            self.end.published_bytes - base.published_bytes,
            measured_s,
        );
        let delivered = traffic(
            self.end.delivered - base.delivered,
            self.end.delivered_bytes - base.delivered_bytes,
            measured_s,
        );
        let latency = latency(&harvests).filter(|_| is_measured);
        let generator = self.generator(&harvests, &published, &delivered, latency.as_ref());
        let warnings = self.warnings(&harvests, &generator);
        let (mut sent, mut findings) = (Vec::new(), Vec::new());
        for harvest in harvests {
            sent.extend(harvest.sent);
            findings.extend(harvest.findings);
        }
        Measurement {
            verdict: verdict::of(self.scenario, &self.end, &sent, findings, !self.interrupted),
            server_version: self.server_version,
            interrupted: self.interrupted,
            measured_s,
            published,
            delivered,
            latency,
            generator,
            warnings,
        }
    }

    fn generator(
        &self,
        harvests: &[Harvest],
        published: &Traffic,
        delivered: &Traffic,
        latency: Option<&Histograms>,
    ) -> GeneratorCost {
        let user_ns = harvests
            .iter()
            .map(|harvest| harvest.spent.user_ns)
            .sum::<u64>();
        let system_ns = harvests
            .iter()
            .map(|harvest| harvest.spent.system_ns)
            .sum::<u64>();
        let messages = match self.scenario.exchange {
            Exchange::Publish => published.messages + delivered.messages,
            Exchange::Request { .. } => delivered.messages,
        };
        let busiest_thread = harvests
            .iter()
            .map(|harvest| harvest.busy)
            .fold(0.0, f64::max);
        let was_bottleneck = match self.scenario.rate {
            Rate::Saturate => busiest_thread > BUSY,
            Rate::PerSecond(_) => is_lag_material(lag_p99_ns(harvests), latency),
        };
        #[expect(clippy::cast_precision_loss, reason = "a cost to look at")]
        let ns_per_message = (user_ns + system_ns) as f64 / messages.max(1) as f64;
        GeneratorCost {
            threads: u32::try_from(harvests.len()).unwrap_or(u32::MAX),
            user_ns,
            system_ns,
            ns_per_message,
            busiest_thread,
            was_bottleneck,
        }
    }

    fn warnings(&self, harvests: &[Harvest], generator: &GeneratorCost) -> Vec<String> {
        let mut warnings = Vec::new();
        if generator.was_bottleneck {
            warnings.push(match self.scenario.rate {
                Rate::Saturate => format!(
                    "a load thread was busy {:.0} % of the time: the generator rather than the server may have set the \
                     pace. Give it more threads or cores",
                    generator.busiest_thread * 100.0
                ),
                Rate::PerSecond(_) => format!(
                    "1 in 100 messages was written {} us or more after its time although the server would have taken it: \
                     the corrected latency shows the generator as well. Give it more threads, or cores of its own (`--pin`)",
                    lag_p99_ns(harvests) / 1000
                ),
            });
        }
        let unsent: u64 = harvests.iter().map(|harvest| harvest.unsent).sum();
        if unsent > 0 {
            warnings.push(format!(
                "{unsent} messages were due and never sent: the server did not keep up with the offered rate. The latency \
                 lacks them; offer less"
            ));
        }
        let kept_up = harvests
            .iter()
            .map(|harvest| harvest.churn_kept_up)
            .fold(1.0, f64::min);
        if kept_up < KEPT_UP {
            warnings.push(format!(
                "only {:.0} % of the subscription churn was done: the server did not keep up with it",
                kept_up * 100.0
            ));
        }
        if self.stalled {
            warnings.push(format!(
                "nothing moved for {} s, and the run was ended: the server took and delivered nothing any more",
                STALL_NS / 1_000_000_000
            ));
        }
        warnings
    }
}

fn latency(harvests: &[Harvest]) -> Option<Histograms> {
    let mut parts = harvests
        .iter()
        .filter_map(|harvest| harvest.tally.latency.as_ref());
    let mut whole = parts.next()?.clone();
    parts.for_each(|part| whole.merge(part));
    (!whole.is_empty()).then_some(whole)
}

fn lag_p99_ns(harvests: &[Harvest]) -> u64 {
    let of = |harvest: &Harvest| harvest.tally.lag.value_at_quantile(0.99);
    harvests.iter().map(of).max().unwrap_or(0)
}

/// Late enough to be seen in the figures: a wake-up takes some ten microseconds on any machine.
fn is_lag_material(lag_ns: u64, latency: Option<&Histograms>) -> bool {
    let whole_ns = latency.map_or(0, |latency| latency.corrected.value_at_quantile(0.99));
    lag_ns > LAG_NS && lag_ns > whole_ns / 4
}

fn traffic(messages: u64, payload_bytes: u64, seconds: f64) -> Traffic {
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let messages_per_s = if seconds > 0.0 {
        messages as f64 / seconds
    } else {
        0.0
    };
    Traffic {
        messages,
        payload_bytes,
        messages_per_s,
    }
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

/// Takes what the hard limit allows.
fn allow_files(wanted: u64) -> Result<(), LoadError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if let Some(allowed) = limit.maximum.filter(|maximum| *maximum < wanted) {
        return Err(LoadError::TooManyConnections { wanted, allowed });
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

/// Letters that no other run has, so that runs at the same time on one server do not meet.
fn tag() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| u64::from(now.subsec_nanos()) ^ now.as_secs() << 30);
    let mut dice = Dice::new(nanoseconds ^ u64::from(std::process::id()) << 40);
    let letter = |_| char::from(b'a' + u8::try_from(dice.below(26)).unwrap_or(0));
    (0..6).map(letter).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a day is exact")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
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
const STALL_NS: u64 = 10_000_000_000;
/// After everything was taken, a delivery that has not come for so long is lost.
const DRAIN_NS: u64 = 2_000_000_000;
/// How long a backlog of due messages may still be sent, at least.
const GRACE_NS: u64 = 1_000_000_000;
const PROGRESS_NS: u64 = 250_000_000;
const TICK: Duration = Duration::from_millis(20);
const SHORT_TICK: Duration = Duration::from_millis(1);
/// Above this share of the time a thread is as good as always busy.
const BUSY: f64 = 0.95;
const KEPT_UP: f64 = 0.95;
const LAG_NS: u64 = 100_000;
