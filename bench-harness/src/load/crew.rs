//! The load threads of a run, seen from the thread that started them: told, asked, and waited for.
//!
//! Dropped, they are told to leave and have ended: whatever way a run ends, no load goes on.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use core_affinity::CoreId;
use mio::{Poll, Token, Waker};

use super::connect::machine;
use super::pacing::Clock;
use super::plan::{self, Share};
use super::tally::{Gauge, Reading};
use super::worker::{Command, Harvest, Orders, Report, Worker};
use super::{LoadError, Settings, Target};
use crate::dice::Dice;
use crate::scenario::Scenario;
use crate::scenario::subjects::Names;
use crate::wire::Wire;

/// The load threads.
pub(super) struct Crew {
    hands: Vec<Hand>,
    pub(super) reports: Receiver<Report>,
    pub(super) clock: Clock,
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
    pub(super) fn start<W: Wire>(
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

    /// How many threads there are.
    pub(super) fn length(&self) -> usize {
        self.hands.len()
    }

    /// A thread that has left is not told; its report says why.
    pub(super) fn tell(&self, command: Command) {
        for hand in &self.hands {
            let _ = hand.commands.send(command);
            let _ = hand.waker.wake();
        }
    }

    pub(super) fn reading(&self) -> Reading {
        Reading::of(self.hands.iter().map(|hand| &*hand.gauge))
    }

    pub(super) fn harvest(&mut self, is_waited_for: bool) -> Result<Vec<Harvest>, LoadError> {
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

/// Letters that no other run has, so that runs at the same time on one server do not meet.
fn tag() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| u64::from(now.subsec_nanos()) ^ now.as_secs() << 30);
    let mut dice = Dice::new(nanoseconds ^ u64::from(std::process::id()) << 40);
    let letter = |_| char::from(b'a' + u8::try_from(dice.below(26)).unwrap_or(0));
    (0..6).map(letter).collect()
}
