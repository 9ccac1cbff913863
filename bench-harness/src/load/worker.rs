//! A load thread: an epoll loop over its connections. *Hot path.*
//!
//! - A turn: look for events, read once from each connection that has something, write one batch for each publisher that has
//!   something to send. So no connection waits longer than one read or batch of each other one.
//! - A publisher whose socket takes no more waits for the socket; the rest go on.
//! - The thread does not know what the other threads do: the conductor tells it when a phase begins and when the run is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use std::{io, mem};

use mio::{Events, Poll, Token};

use super::churn::Churn;
use super::connect::{self, machine};
use super::connection::Connection;
use super::cost::{Spent, ThreadTime};
use super::frames::Frames;
use super::pacing::{Clock, Pacer, Schedule, Timer};
use super::plan::{self, Duty, Share};
use super::publisher::{Publisher, Sent};
use super::subscriber::{Deaf, Findings, Responder, Subscriber};
use super::tally::{Gauge, Tally};
use super::{LoadError, Target};
use crate::scenario::subjects::Names;
use crate::scenario::{Exchange, Scenario};
use crate::wire::Wire;

/// What every load thread is told at its beginning.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) scenario: Arc<Scenario>,
    pub(super) target: Target,
    pub(super) names: Names,
    pub(super) tag: String,
    pub(super) clock: Clock,
    /// Has a core of its own, and may keep it while it waits.
    pub(super) spins: bool,
    pub(super) stop: Arc<AtomicBool>,
}

/// What the conductor tells a thread.
#[derive(Debug, Clone, Copy)]
pub(super) enum Command {
    Begin(Phase),
    /// Flush all connections that get messages.
    Flush,
    /// What has come so far was the warm-up.
    Forget,
    /// Leave; with everything delivered that will be, or in the middle.
    End,
}

/// A time of publishing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phase {
    pub(super) begin_ns: u64,
    /// When the last message is meant to be sent at the latest.
    pub(super) end_ns: u64,
    /// When messages that were due before the end are given up.
    pub(super) give_up_ns: u64,
    /// Messages of all publishers.
    pub(super) quota: u64,
    /// In an open loop.
    pub(super) rate_per_s: Option<f64>,
}

/// What a thread tells the conductor.
#[derive(Debug)]
pub(super) enum Report {
    /// All connections stand and have subscribed.
    Standing,
    /// Everything of this phase is published and flushed, or a [`Command::Flush`] or [`Command::Forget`] is answered.
    Flushed,
    /// The thread has left.
    Failed(LoadError),
}

/// What a thread brings home.
#[derive(Debug)]
pub(super) struct Harvest {
    pub(super) tally: Tally,
    pub(super) sent: Vec<Sent>,
    pub(super) findings: Vec<Findings>,
    /// Messages that were due in time but not sent.
    pub(super) unsent: u64,
    /// Since the last phase began.
    pub(super) spent: Spent,
    /// Share of the time from the phase's beginning to its last delivery.
    pub(super) busy: f64,
    pub(super) churn_kept_up: f64,
}

pub(super) struct Worker<W> {
    orders: Orders,
    poll: Poll,
    timer: Timer,
    timer_token: Token,
    seats: Vec<Seat<W>>,
    tally: Tally,
    gauge: Arc<Gauge>,
    buffer: Vec<u8>,
    /// Seats whose sockets have something to read, and publishers that may have something to send.
    readable: Vec<usize>,
    runnable: Vec<usize>,
    /// The seat of the connection whose subscriptions come and go.
    churn: Option<usize>,
    phase: Option<Running>,
    /// Flushes whose answers are to come.
    awaited: usize,
    reports: Sender<Report>,
    began: (u64, ThreadTime),
    ended: Option<(f64, f64)>,
}

struct Seat<W> {
    connection: Connection<W>,
    role: Role,
    is_readable_listed: bool,
    is_runnable_listed: bool,
    /// The socket takes no more for now.
    is_blocked: bool,
    is_flushing: bool,
    /// A publisher that has flushed the phase's last message.
    is_done: bool,
}

#[derive(Debug)]
enum Role {
    Publisher(Box<Publisher>),
    Subscriber(Subscriber),
    Responder,
    Churn(Churn),
    Idle,
}

/// A phase, seen from one thread.
struct Running {
    phase: Phase,
    pacer: Option<Pacer>,
    is_closed: bool,
    is_given_up: bool,
    unsent: u64,
}

impl<W: Wire> Worker<W> {
    /// Opens this thread's connections. Nothing, if it was told to stop meanwhile.
    pub(super) fn open(
        orders: Orders,
        share: &Share,
        mut poll: Poll,
        gauge: Arc<Gauge>,
        reports: Sender<Report>,
    ) -> Result<Option<Worker<W>>, LoadError> {
        let timer_token = Token(share.specs.len() + 1);
        let timer = Timer::new(poll.registry(), timer_token).map_err(machine("make a timer"))?;
        let opened = connect::open_all::<W>(&mut poll, &orders.target, &share.specs, &orders.stop)?;
        let Some(opened) = opened else {
            return Ok(None);
        };
        let roles = roles(&orders, share, &W::new(&orders.target.credentials, ""));
        let seats = opened.connections.into_iter().zip(roles);
        let seats: Vec<_> = seats
            .map(|(connection, role)| Seat::new(connection, role))
            .collect();
        let churn = seats
            .iter()
            .position(|seat| matches!(seat.role, Role::Churn(_)));
        let mut worker = Worker {
            churn,
            tally: Tally::new(orders.scenario.latency),
            began: (orders.clock.now_ns(), ThreadTime::now()),
            orders,
            poll,
            timer,
            timer_token,
            readable: Vec::with_capacity(seats.len()),
            runnable: Vec::with_capacity(seats.len()),
            seats,
            gauge,
            buffer: vec![0; BUFFER_BYTES],
            phase: None,
            awaited: 0,
            reports,
            ended: None,
        };
        for place in 0..worker.seats.len() {
            if worker.seats[place].connection.is_readable {
                worker.list_readable(place);
            }
        }
        worker.report(Report::Standing);
        Ok(Some(worker))
    }

    /// Works until it is told to end.
    pub(super) fn run(
        mut self,
        commands: &Receiver<Command>,
        is_waited_for: &AtomicBool,
    ) -> Result<Harvest, LoadError> {
        let mut events = Events::with_capacity(1024);
        loop {
            while let Ok(command) = commands.try_recv() {
                match command {
                    Command::Begin(phase) => self.begin(phase),
                    Command::Flush => self.flush_receivers()?,
                    Command::Forget => {
                        self.tally.forget_delays();
                        self.report(Report::Flushed);
                    }
                    Command::End => {
                        return Ok(self.harvest(is_waited_for.load(Relaxed)));
                    }
                }
            }
            self.turn(&mut events)?;
        }
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), LoadError> {
        let wait = self.wait()?;
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other.map_err(machine("wait for events"))?,
        }
        for event in events.iter() {
            let place = event.token().0;
            if event.token() == self.timer_token {
                self.timer.gone_off();
            } else if place < self.seats.len() {
                self.note(
                    place,
                    event.is_readable() || event.is_read_closed() || event.is_error(),
                    event.is_writable(),
                    event.is_read_closed(),
                );
            }
        }
        self.receive()?;
        self.send()?;
        let now_ns = self.orders.clock.now_ns();
        self.tally.show(&self.gauge, now_ns);
        Ok(())
    }

    fn note(&mut self, place: usize, is_readable: bool, is_writable: bool, is_ending: bool) {
        let seat = &mut self.seats[place];
        if is_readable {
            seat.connection.is_readable = true;
            seat.connection.is_ending |= is_ending;
        }
        if is_writable && mem::take(&mut seat.is_blocked) {
            self.list_runnable(place);
        }
        if self.seats[place].connection.is_readable {
            self.list_readable(place);
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Reading.

    fn receive(&mut self) -> Result<(), LoadError> {
        let mut kept = 0;
        for index in 0..self.readable.len() {
            let place = self.readable[index];
            if self.receive_at(place)? {
                self.readable[kept] = place;
                kept += 1;
            } else {
                self.seats[place].is_readable_listed = false;
            }
        }
        self.readable.truncate(kept);
        Ok(())
    }

    /// Reads once. Tells whether there is more.
    fn receive_at(&mut self, place: usize) -> Result<bool, LoadError> {
        let seat = &mut self.seats[place];
        // Whoever does not take the answers does not get to ask more.
        if seat.is_blocked && seat.connection.out.length() > OUTBOX_BYTES_MAX {
            return Ok(false);
        }
        let connection = &mut seat.connection;
        let (buffer, clock, tally) = (&mut self.buffer[..], &self.orders.clock, &mut self.tally);
        let flushed = match &mut seat.role {
            Role::Subscriber(subscriber) => connection.receive(buffer, clock, tally, subscriber)?,
            Role::Publisher(publisher) => {
                connection.receive(buffer, clock, tally, publisher.as_mut())?
            }
            Role::Responder => connection.receive(buffer, clock, tally, &mut Responder)?,
            Role::Churn(_) | Role::Idle => connection.receive(buffer, clock, tally, &mut Deaf)?,
        };
        if !seat.is_blocked && !connection.out.is_empty() {
            seat.is_blocked = !connection.send()?;
        }
        let is_readable = connection.is_readable;
        let may_go_on = matches!(&seat.role, Role::Publisher(publisher) if publisher.budget() > 0);
        if flushed > 0 && mem::take(&mut seat.is_flushing) {
            self.flush_answered();
        }
        if may_go_on {
            self.list_runnable(place);
        }
        Ok(is_readable)
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Writing.

    fn send(&mut self) -> Result<(), LoadError> {
        self.let_time_pass();
        let runnable = mem::take(&mut self.runnable);
        for &place in &runnable {
            self.seats[place].is_runnable_listed = false;
        }
        for place in runnable {
            if self.send_at(place)? {
                self.list_runnable(place);
            }
        }
        Ok(())
    }

    /// What is due by now may be sent; what is due no more is not.
    fn let_time_pass(&mut self) {
        let now_ns = self.orders.clock.now_ns();
        let Some(running) = &mut self.phase else {
            return;
        };
        let phase = running.phase;
        if let Some(pacer) = &mut running.pacer {
            let (seats, runnable) = (&mut self.seats, &mut self.runnable);
            pacer.advance(now_ns.min(phase.end_ns.saturating_sub(1)), |place| {
                let seat = &mut seats[place];
                if let Role::Publisher(publisher) = &mut seat.role {
                    publisher.fall_due();
                }
                if !mem::replace(&mut seat.is_runnable_listed, true) {
                    runnable.push(place);
                }
            });
        }
        let is_closing = now_ns >= phase.end_ns && !mem::replace(&mut running.is_closed, true);
        let is_giving_up =
            now_ns >= phase.give_up_ns && !mem::replace(&mut running.is_given_up, true);
        if is_closing || is_giving_up {
            self.close(is_giving_up);
        }
    }

    /// The phase's time is over: everyone looks whether there is anything left to send.
    fn close(&mut self, is_giving_up: bool) {
        let mut unsent = 0;
        for place in 0..self.seats.len() {
            let seat = &mut self.seats[place];
            let Role::Publisher(publisher) = &mut seat.role else {
                continue;
            };
            if seat.is_done {
                continue;
            }
            let is_open_loop = self
                .phase
                .as_ref()
                .is_some_and(|running| running.pacer.is_some());
            match is_open_loop && !is_giving_up {
                true => publisher.close_schedule(),
                false => unsent += publisher.cut_off(),
            }
            self.list_runnable(place);
        }
        if let Some(running) = &mut self.phase {
            running.unsent += unsent;
        }
    }

    /// Sends one batch. Tells whether there may be more at once.
    fn send_at(&mut self, place: usize) -> Result<bool, LoadError> {
        let now_ns = self.orders.clock.now_ns();
        let is_over = self.phase.as_ref().is_none_or(|running| running.is_closed);
        let seat = &mut self.seats[place];
        if seat.is_blocked {
            if let Role::Publisher(publisher) = &mut seat.role {
                publisher.was_blocked = true;
            }
            return Ok(false);
        }
        let connection = &mut seat.connection;
        if connection.out.is_empty() {
            let out = &mut connection.out.bytes;
            match &mut seat.role {
                Role::Publisher(publisher) => {
                    publisher.render(&connection.wire, out, now_ns, &mut self.tally);
                }
                Role::Churn(churn) if !is_over => churn.render(&mut connection.wire, out, now_ns),
                _ => {}
            }
        }
        seat.is_blocked = !connection.send()?;
        // What was read less of because nothing could be written may be read again.
        let is_readable = connection.is_readable;
        let is_sending = self.phase.is_some();
        let mut more = false;
        if let Role::Publisher(publisher) = &mut seat.role {
            publisher.was_blocked |= seat.is_blocked;
            more = publisher.budget() > 0 && !seat.is_blocked;
            if is_sending && publisher.is_finished() && !seat.is_blocked && !seat.is_done {
                seat.is_done = true;
                seat.is_flushing = true;
                connection.wire.flush(&mut connection.out.bytes);
                seat.is_blocked = !connection.send()?;
            }
        }
        if is_readable {
            self.list_readable(place);
        }
        Ok(more)
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Phases.

    fn begin(&mut self, phase: Phase) {
        self.began = (phase.begin_ns, ThreadTime::now());
        self.ended = None;
        let publishers = self.orders.scenario.publishers;
        let schedule = phase
            .rate_per_s
            .map(|rate| Schedule::new(phase.begin_ns, rate, publishers));
        let mut own = Vec::new();
        let mut starters = Vec::new();
        for (place, seat) in self.seats.iter_mut().enumerate() {
            match &mut seat.role {
                Role::Publisher(publisher) => {
                    let quota = part(phase.quota, publisher.id(), publishers);
                    publisher.begin(schedule, quota);
                    seat.is_done = false;
                    own.push((u32::from(publisher.id()), place));
                    starters.push(place);
                }
                Role::Churn(churn) => churn.begin(phase.begin_ns),
                _ => {}
            }
        }
        self.awaited = own.len();
        self.phase = Some(Running {
            phase,
            pacer: schedule.map(|schedule| Pacer::new(schedule, own)),
            is_closed: false,
            is_given_up: false,
            unsent: 0,
        });
        starters
            .into_iter()
            .for_each(|place| self.list_runnable(place));
        if self.awaited == 0 {
            self.report(Report::Flushed);
        }
    }

    fn flush_receivers(&mut self) -> Result<(), LoadError> {
        self.note_end();
        self.awaited = 0;
        for seat in &mut self.seats {
            if matches!(seat.role, Role::Churn(_) | Role::Idle) || seat.is_flushing {
                continue;
            }
            self.awaited += 1;
            seat.is_flushing = true;
            let connection = &mut seat.connection;
            connection.wire.flush(&mut connection.out.bytes);
            if !seat.is_blocked {
                seat.is_blocked = !connection.send()?;
            }
        }
        if self.awaited == 0 {
            self.report(Report::Flushed);
        }
        Ok(())
    }

    fn flush_answered(&mut self) {
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 {
            let now_ns = self.orders.clock.now_ns();
            self.tally.show(&self.gauge, now_ns);
            self.report(Report::Flushed);
        }
    }

    /// Everything is delivered: what comes now is waiting.
    fn note_end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let now_ns = self.orders.clock.now_ns();
        let (began_ns, time) = &self.began;
        let spent_ns = ThreadTime::now().since(time).sum_ns();
        let kept_up = self.seats.iter().find_map(|seat| match &seat.role {
            Role::Churn(churn) => {
                let end_ns = self
                    .phase
                    .as_ref()
                    .map_or(now_ns, |running| running.phase.end_ns);
                Some(churn.kept_up(now_ns.min(end_ns)))
            }
            _ => None,
        });
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let busy = spent_ns as f64 / now_ns.saturating_sub(*began_ns).max(1) as f64;
        self.ended = Some((busy.min(1.0), kept_up.unwrap_or(1.0)));
    }

    fn harvest(mut self, is_waited_for: bool) -> Harvest {
        self.note_end();
        let (busy, churn_kept_up) = self.ended.unwrap_or((0.0, 1.0));
        let spent = ThreadTime::now().since(&self.began.1);
        let (mut sent, mut findings) = (Vec::new(), Vec::new());
        for seat in self.seats {
            match seat.role {
                Role::Publisher(publisher) => sent.push(publisher.settle(is_waited_for)),
                Role::Subscriber(subscriber) => findings.extend(subscriber.settle()),
                Role::Responder | Role::Churn(_) | Role::Idle => {}
            }
        }
        self.tally.show(&self.gauge, self.orders.clock.now_ns());
        Harvest {
            tally: self.tally,
            sent,
            findings,
            unsent: self.phase.map_or(0, |running| running.unsent),
            spent,
            busy,
            churn_kept_up,
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Lists, waiting, reports.

    fn list_readable(&mut self, place: usize) {
        if !mem::replace(&mut self.seats[place].is_readable_listed, true) {
            self.readable.push(place);
        }
    }

    fn list_runnable(&mut self, place: usize) {
        if !mem::replace(&mut self.seats[place].is_runnable_listed, true) {
            self.runnable.push(place);
        }
    }

    /// How long the loop may sleep if no event comes. What has to be exact is left to the timer.
    fn wait(&mut self) -> Result<Duration, LoadError> {
        if !self.readable.is_empty() || !self.runnable.is_empty() {
            return Ok(Duration::ZERO);
        }
        let Some(next_ns) = self.next_ns() else {
            return Ok(IDLE_WAIT);
        };
        let left_ns = next_ns.saturating_sub(self.orders.clock.now_ns());
        if left_ns == 0 || (self.orders.spins && left_ns < SPIN_NS) {
            return Ok(Duration::ZERO);
        }
        let at_ns = if self.orders.spins {
            next_ns - SPIN_NS
        } else {
            next_ns
        };
        self.timer
            .wake_at(at_ns, &self.orders.clock)
            .map_err(machine("set a timer"))?;
        Ok(IDLE_WAIT)
    }

    /// When there is something to do even if no event comes.
    fn next_ns(&mut self) -> Option<u64> {
        let running = self.phase.as_ref()?;
        let phase = &running.phase;
        match (running.is_closed, running.is_given_up) {
            (false, _) => {}
            (true, false) => return Some(phase.give_up_ns),
            (true, true) => return None,
        }
        let end_ns = phase.end_ns;
        let due_ns = running.pacer.as_ref().and_then(Pacer::next_ns);
        let mut next_ns = due_ns.map_or(end_ns, |due_ns| due_ns.min(end_ns));
        if let Some((place, churn_ns)) = self.next_churn_ns() {
            next_ns = next_ns.min(churn_ns);
            if churn_ns <= self.orders.clock.now_ns() {
                self.list_runnable(place);
            }
        }
        Some(next_ns)
    }

    fn next_churn_ns(&self) -> Option<(usize, u64)> {
        let place = self.churn?;
        let seat = &self.seats[place];
        match &seat.role {
            Role::Churn(churn) if !seat.is_blocked => Some((place, churn.next_ns())),
            _ => None,
        }
    }

    /// The conductor may have left already; then nobody needs to know.
    fn report(&self, report: Report) {
        let _ = self.reports.send(report);
    }
}

impl<W> Seat<W> {
    fn new(connection: Connection<W>, role: Role) -> Seat<W> {
        Seat {
            connection,
            role,
            is_readable_listed: false,
            is_runnable_listed: false,
            is_blocked: false,
            is_flushing: false,
            is_done: true,
        }
    }
}

fn roles<W: Wire>(orders: &Orders, share: &Share, wire: &W) -> Vec<Role> {
    let scenario = &*orders.scenario;
    let is_publisher = |duty: &&Duty| matches!(duty, Duty::Publish(_));
    let publishers = share.duties.iter().filter(is_publisher).count();
    let frames =
        (publishers > 0).then(|| Arc::new(Frames::new(scenario, orders.names.clone(), wire)));
    let role = |(duty, spec): (&Duty, &connect::Spec)| match (*duty, &frames) {
        (Duty::Publish(id), Some(frames)) => {
            let inbox = plan::inbox(&orders.tag, id);
            let batch = batch_bytes(scenario, publishers);
            let publisher = Publisher::new(scenario, id, Arc::clone(frames), inbox, batch);
            Role::Publisher(Box::new(publisher))
        }
        (Duty::Subscribe(index), _) => match scenario.exchange {
            Exchange::Publish => {
                let subscriptions = spec.patterns.len() as u64;
                Role::Subscriber(Subscriber::new::<W>(
                    scenario,
                    index,
                    &orders.names,
                    subscriptions,
                ))
            }
            Exchange::Request { .. } => Role::Responder,
        },
        (Duty::Churn, _) => Role::Churn(Churn::new(&orders.tag, scenario.churn_per_s)),
        (Duty::Idle | Duty::Publish(_), _) => Role::Idle,
    };
    share.duties.iter().zip(&share.specs).map(role).collect()
}

/// How much one publisher writes at once. Stamps of a batch carry one time of writing, so stamped batches are smaller.
fn batch_bytes(scenario: &Scenario, publishers: usize) -> usize {
    let most = match scenario.verify || scenario.latency {
        true => 32 << 10,
        false => 128 << 10,
    };
    (BATCHES_BYTES_MAX / publishers.max(1)).clamp(4 << 10, most)
}

/// A publisher's part of the whole quota; without a quota, no limit.
fn part(quota: u64, publisher: u16, publishers: u32) -> u64 {
    if quota == u64::MAX {
        return u64::MAX;
    }
    let publishers = u64::from(publishers);
    quota / publishers + u64::from(u64::from(publisher) < quota % publishers)
}

const BUFFER_BYTES: usize = 256 << 10;
/// All publishers of a thread together.
const BATCHES_BYTES_MAX: usize = 4 << 20;
/// Above this, answers wait for the asker to take some.
const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Only so that a missed wake-up would not be for ever.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// A core of one's own is kept for the last bit before an intended time.
const SPIN_NS: u64 = 60_000;
