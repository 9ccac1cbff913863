//! The turn, as one glommio task per shard: it moves bytes between the ring and the shard. *Hot path.*
//!
//! The order of a turn is the shard's (`crate::shard`); what belongs to this file is when to sleep. An idle shard looks
//! around for a moment, if that has paid off the last time, and then sleeps in its ring, where completions, other shards and
//! directives all wake it (docs/decisions/0006).
//!
//! Invariants
//! - A received buffer is given back to the kernel as soon as the session has seen it; while the shard is congested
//!   received bytes stay where they are, the kernel runs out of buffers, and TCP slows the publishers.
//! - A socket is closed only when nothing of it is queued or in flight.
#![allow(unsafe_code)]

mod staged;

use super::acceptor::{Acceptor, Arrival};
use super::account_changes::AccountChanges;
use super::buffers::{BUFFERS, Lent};
use super::clock::Clock;
use super::doorbell::Doorbells;
use super::idle::{Activity, Idle, LINGER_COMPLETIONS};
use super::logger::Logger;
use super::password_worker::PasswordWorkers;
use super::pulse::Pulse;
use super::ring::{Event, Ring};
use super::socket::{InFlight, Load, Socket, Sockets};
use super::thread::{Common, Directive, Reload, Report, Reports};
use crate::base::clock::Now;
use crate::base::ids::{ConnectionId, ShardId};
use crate::base::log::{Level, Record};
use crate::session::close::CloseReason;
use crate::shard::{Effect, Shard};
use crate::wire::opening::Greeting;
use glommio::timer::Timer;
use rustix::io::Errno;
use staged::Staged;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Up to this size a batch is sent through the ring, together with those of the same turn: one system call for all of
/// them. Larger ones are sent at once, while they are in the cache.
const RING_SEND_MAX: usize = 8 * 1024;
/// How long glommio's own timers and files wait at most on a busy shard. Making way costs some 10 µs.
const MAKE_WAY_EVERY: Duration = Duration::from_millis(10);
/// More than this received and sent between two idle moments is a stream rather than an exchange of messages.
const STREAM_BYTES: usize = 4 * 1024;
/// How long a closed connection may take to swallow what it is still owed.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// Messages taken in and delivered in a turn after which a shard in the middle of a stream lingers.
const SMALL_TURN: u64 = 256;

/// Drives one shard.
#[derive(Debug)]
pub(super) struct Pump {
    shard: Shard,
    ring: Ring,
    bells: Doorbells,
    directives: Receiver<Directive>,
    reports: Reports,
    logger: Logger,
    passwords: PasswordWorkers,
    account_changes: AccountChanges,
    clock: Clock,
    idle: Idle,
    arrivals: u64,
    talks: u64,
    acceptor: Option<Acceptor>,
    sockets: Sockets,
    events: Vec<Event>,
    inbox: VecDeque<Inbound>,
    effects: Vec<Effect>,
    /// Receives that ended for want of a buffer, or to be armed anew.
    rearm: Vec<ConnectionId>,
    /// Connections whose session is over and whose socket is still open.
    closing: Vec<ConnectionId>,
    log: Vec<Record>,
    staged: Staged,
    /// The time of this turn.
    now: Now,
    pulse: Pulse,
    made_way_at: Now,
    /// Bytes received and sent since the shard last had nothing to do.
    moved: usize,
    /// Configurations taken over that the supervisor has not been told of.
    owed_reports: u32,
    is_stopping: bool,
}

/// What a socket has brought, in order.
#[derive(Debug)]
enum Inbound {
    Bytes(ConnectionId, Lent),
    End(ConnectionId, CloseReason),
}

impl Pump {
    /// # Errors
    /// When the ring cannot be set up.
    pub(super) fn new(
        shard: Shard,
        directives: Receiver<Directive>,
        acceptor: Option<Acceptor>,
        common: Common,
    ) -> io::Result<Pump> {
        let Common {
            bells,
            reports,
            logger,
            passwords,
            clock,
            patience,
            account_changes,
            entrance,
        } = common;
        let ring = Ring::new()?;
        let logger = logger.of_shard(shard.id());
        Ok(Pump {
            shard,
            ring,
            bells,
            directives,
            reports,
            logger,
            passwords,
            account_changes,
            clock,
            idle: Idle::new(patience),
            arrivals: 0,
            talks: 0,
            acceptor,
            sockets: Sockets::default(),
            events: Vec::new(),
            inbox: VecDeque::new(),
            effects: Vec::new(),
            rearm: Vec::new(),
            closing: Vec::new(),
            log: Vec::new(),
            staged: Staged::new(entrance),
            now: Now::ZERO,
            pulse: Pulse::default(),
            made_way_at: Now::ZERO,
            moved: 0,
            owed_reports: 0,
            is_stopping: false,
        })
    }

    /// Turns until the shard has shut down.
    ///
    /// # Errors
    /// When the ring fails.
    pub(super) async fn run(mut self) -> io::Result<()> {
        self.ring.listen(self.bells.eventfd(self.shard.id()));
        if let Some(acceptor) = &mut self.acceptor {
            acceptor.arm(&mut self.ring);
        }
        self.report(Report::Ready);
        while !(self.is_stopping && self.sockets.are_all_closed()) {
            let before = self.shard.messages();
            let was_busy = self.turn()?;
            let messages = self.shard.messages() - before;
            if was_busy {
                self.make_way().await;
            }
            let may_linger = !was_busy || self.is_small(messages);
            if may_linger && let Some(at_most) = self.linger() {
                self.pulse.lingers += 1;
                self.ring.sleep(LINGER_COMPLETIONS, Some(at_most))?;
            } else if !was_busy && !self.spin() {
                self.park()?;
            }
        }
        self.report(Report::Stopped);
        Ok(())
    }

    /// Lets glommio look at its own rings now and then on a busy shard. Only a task that waits for something gets it to;
    /// one that yields is run again at once.
    #[inline]
    async fn make_way(&mut self) {
        if self.now.since(self.made_way_at) >= MAKE_WAY_EVERY {
            self.made_way_at = self.now;
            Timer::new(Duration::ZERO).await;
        }
    }

    fn id(&self) -> ShardId {
        self.shard.id()
    }

    fn report(&self, what: fn(ShardId) -> Report) {
        self.reports.send(what(self.id()));
    }

    /// One turn; says whether anything happened.
    fn turn(&mut self) -> io::Result<bool> {
        let now = self.clock.now();
        self.now = now;
        self.pulse.turn_begins(now);
        self.shard.set_now(now);
        self.ring.submit_and_reap(&mut self.events)?;
        let mut busy = !self.events.is_empty() || self.shard.has_arrivals();
        self.sort_events(now);
        self.drain_lanes();
        busy |= self.follow_directives();
        busy |= self.ingest();
        if self
            .shard
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.shard.run_timers();
        }
        busy |= self.run_openings();
        self.retry_accept(now);
        self.flush();
        self.perform_effects(now);
        if self.shard.has_dirty() || self.shard.has_open_parcels() {
            self.flush();
        }
        self.rearm_receives();
        self.close_sockets(now);
        self.write_log();
        self.report_reloads();
        // What is queued reaches the kernel at the start of the next turn: there must be one.
        let has_more = busy || self.ring.has_queued();
        self.pulse.turn_ends(now, has_more);
        Ok(has_more)
    }

    /// Handles what has completed, except received bytes: those wait until the lanes are drained.
    fn sort_events(&mut self, now: Now) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::Received { id, bytes, is_last } => {
                    let turn = self.pulse.turns;
                    self.arrivals += 1;
                    if let Some(socket) = self.sockets.get(id) {
                        socket.heard_in_turn = turn;
                        self.talks += u64::from(std::mem::take(&mut socket.was_told));
                    }
                    self.inbox.push_back(Inbound::Bytes(id, bytes));
                    if is_last {
                        self.receive_ended(id);
                    }
                }
                Event::ReceiveEnded { id, error: None } => {
                    self.inbox
                        .push_back(Inbound::End(id, CloseReason::ClientClosed));
                }
                Event::ReceiveEnded {
                    id,
                    error: Some(Errno::NOBUFS | Errno::CANCELED),
                } => {
                    self.receive_ended(id);
                }
                Event::ReceiveEnded { id, error: Some(_) } => {
                    self.inbox
                        .push_back(Inbound::End(id, CloseReason::ReadError));
                }
                Event::Sent { id, result } => self.sent(id, result),
                Event::Writable { id } => self.send_rest(id),
                Event::Rung { is_last: true } => {
                    self.ring.listen(self.bells.eventfd(self.shard.id()));
                }
                Event::Rung { is_last: false } => {}
                Event::Accepted {
                    listener,
                    result,
                    is_last,
                } => {
                    let Some(acceptor) = &mut self.acceptor else {
                        continue;
                    };
                    let (ring, log) = (&mut self.ring, &mut self.log);
                    let arrival = acceptor.accepted(listener, result, now, log);
                    if is_last {
                        acceptor.ended(listener, ring);
                    }
                    if let Some(arrival) = arrival {
                        self.adopt(arrival);
                    }
                }
            }
        }
        self.events = events;
    }

    fn receive_ended(&mut self, id: ConnectionId) {
        if let Some(socket) = self.sockets.get(id) {
            socket.is_receiving = false;
            self.rearm.push(id);
        }
    }

    fn drain_lanes(&mut self) {
        self.shard.begin_drain();
        while self.shard.drain_next() {
            self.flush_heavy();
        }
    }

    /// Hands received bytes to their sessions, in order. Stops when the lanes are full.
    fn ingest(&mut self) -> bool {
        let mut busy = false;
        while !self.shard.is_congested() {
            let Some(inbound) = self.inbox.pop_front() else {
                break;
            };
            busy = true;
            match inbound {
                Inbound::Bytes(id, mut lent) => {
                    self.pulse.reads += 1;
                    self.moved += self.ring.bytes(&lent).len();
                    match self.sockets.get(id) {
                        None => {}
                        Some(socket) if socket.has_ended => {}
                        Some(socket) if socket.stages.is_none() => {
                            self.shard.receive(id, self.ring.bytes(&lent));
                        }
                        Some(_) => self.receive_staged(id, &mut lent),
                    }
                    self.ring.give_back(lent);
                    self.flush_heavy();
                }
                Inbound::End(id, reason) => {
                    let Some(socket) = self.sockets.get(id) else {
                        continue;
                    };
                    let is_staged = socket.stages.is_some();
                    if is_staged {
                        self.cut_off(id);
                    }
                    if let Some(socket) = self.sockets.get(id) {
                        socket.has_ended = true;
                    }
                    self.shard.hang_up(id, reason);
                }
            }
        }
        busy
    }

    fn follow_directives(&mut self) -> bool {
        if !self.bells.has_mail(self.id()) {
            return false;
        }
        self.bells.clear_mail(self.id());
        while let Ok(directive) = self.directives.try_recv() {
            match directive {
                Directive::Adopt(arrival) => self.adopt(arrival),
                Directive::PasswordChecked(id, is_right) => {
                    self.shard.password_checked(id, is_right);
                }
                Directive::Reload(reload) => self.reload(&reload),
                Directive::KeepAtMost(most) => self.shard.keep_at_most(most),
                Directive::StopAccepting => {
                    if let Some(acceptor) = &mut self.acceptor {
                        acceptor.stop(&mut self.ring);
                    }
                }
                Directive::Host(socket) => self.host(socket),
                Directive::Run(commission) => {
                    (commission.reply)(self.shard.run(&commission.errand));
                }
                Directive::Answer(inquiry) => {
                    (inquiry.reply)(self.shard.answer(&inquiry.question), &self.pulse);
                }
                Directive::SignOfLife => self.report(Report::Alive),
                Directive::LameDuck => self.shard.enter_lame_duck(),
                Directive::ShutDown => {
                    self.is_stopping = true;
                    // What was said before on another shard is for those who go now, too.
                    self.drain_lanes();
                    self.shard.shut_down();
                }
            }
        }
        true
    }

    fn reload(&mut self, reload: &Reload) {
        self.staged.entrance = reload.entrance.clone();
        self.shard.reload(&reload.settings);
        self.owed_reports += 1;
        if let Some(acceptor) = &mut self.acceptor {
            let own = acceptor.limit_connections(reload.connections_max, &mut self.log);
            if let Some(most) = own {
                self.shard.keep_at_most(most);
            }
        }
    }

    /// Reports a reload once the other shards can have heard of all that came of it.
    fn report_reloads(&mut self) {
        if self.owed_reports > 0 && self.shard.may_send() && !self.shard.has_open_parcels() {
            for _ in 0..std::mem::take(&mut self.owed_reports) {
                self.report(Report::Reloaded);
            }
        }
    }

    fn adopt(&mut self, arrival: Arrival) {
        if self.is_stopping {
            self.bells.count_departure(self.id());
            return;
        }
        let Arrival {
            socket,
            number,
            origin,
            is_welcome,
        } = arrival;
        // Unix sockets have no stages.
        let is_staged = self.staged.entrance.is_some() && origin.peer().is_none();
        let id = match (is_welcome, is_staged) {
            (true, false) => self.shard.connect(number, origin),
            (true, true) => self.shard.admit(number, origin),
            (false, true) => {
                let greeting = self.staged.farewell_greeting();
                self.shard.turn_away(number, origin, greeting)
            }
            (false, false) => self.shard.turn_away(number, origin, Some(Greeting::PLAIN)),
        };
        let socket = self.sockets.insert(Socket::new(socket, id));
        if is_welcome {
            socket.is_receiving = true;
            self.ring.receive(socket.fd(), id);
            if is_staged {
                self.staged.begin(socket);
            }
        }
    }

    /// Takes the server's own connection in. The acceptor has not seen it, so it does not count there.
    fn host(&mut self, socket: OwnedFd) {
        if self.is_stopping {
            return;
        }
        if let Some(id) = self.shard.host() {
            let socket = self.sockets.insert(Socket::new(socket, id));
            socket.is_counted = false;
            socket.is_receiving = true;
            self.ring.receive(socket.fd(), id);
        }
    }

    fn retry_accept(&mut self, now: Now) {
        if let Some(acceptor) = &mut self.acceptor
            && acceptor.retry_at().is_some_and(|at| at <= now)
        {
            acceptor.arm(&mut self.ring);
        }
    }

    /// Sends in mid-turn what is worth it, while it is in the cache.
    #[inline]
    fn flush_heavy(&mut self) {
        if self.shard.has_heavy_parcel() {
            let woken = self.shard.push_parcels();
            self.bells.wake(woken);
        }
        while let Some(id) = self.shard.next_heavy() {
            // Announcements first, always: what this send says may rest on them.
            let woken = self.shard.push_parcels();
            self.bells.wake(woken);
            if !self.shard.may_send() {
                break;
            }
            self.send(id, false);
        }
    }

    /// Parcels first, then sends: an answer must not be ahead of what it is based on.
    fn flush(&mut self) {
        let woken = self.shard.push_parcels();
        self.bells.wake(woken);
        if !self.shard.may_send() {
            return;
        }
        while let Some(id) = self.shard.next_dirty() {
            self.send(id, true);
        }
        while let Some(id) = self.staged.to_send.pop() {
            self.send(id, true);
        }
    }

    fn send(&mut self, id: ConnectionId, may_defer: bool) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        if socket.stages.is_some() {
            return self.send_staged(id, may_defer);
        }
        let Some(batch) = self.shard.take_batch(id) else {
            return;
        };
        self.moved += batch.len();
        self.send_load(id, Load::Plain(batch), may_defer);
    }

    #[inline]
    fn send_load(&mut self, id: ConnectionId, load: Load, may_defer: bool) {
        self.pulse.sends += 1;
        let Some(socket) = self.sockets.get(id) else {
            unreachable!("who sends has a socket");
        };
        assert!(
            socket.in_flight.is_none(),
            "at most one load of a connection is in flight"
        );
        socket.was_told = true;
        let deferred = load
            .as_one_slice()
            .filter(|bytes| may_defer && bytes.len() <= RING_SEND_MAX);
        match deferred {
            Some(bytes) => {
                // SAFETY: the load is owned by `in_flight` until the send has completed, and its heap memory stays
                // where it is when the load moves.
                unsafe { self.ring.send(socket.fd(), id, bytes) };
                socket.in_flight = Some(InFlight {
                    load,
                    sent: 0,
                    in_kernel: true,
                });
                self.shard.batch_delayed();
            }
            None => self.send_now(id, load, 0),
        }
    }

    /// Sends what the socket takes; waits for room for the rest.
    fn send_now(&mut self, id: ConnectionId, load: Load, skip: usize) {
        let Some(socket) = self.sockets.get(id) else {
            unreachable!("who sends has a socket");
        };
        let Ok(sent) = socket.send_now(&load, skip) else {
            self.finished(id, load);
            self.shard.hang_up(id, CloseReason::WriteError);
            return;
        };
        let sent = skip + sent;
        if sent > skip {
            let progress = load.of_batch(sent) - load.of_batch(skip);
            self.shard.batch_progressed(id, progress);
        }
        if sent == load.len() {
            self.finished(id, load);
            return;
        }
        socket.in_flight = Some(InFlight {
            load,
            sent,
            in_kernel: false,
        });
        self.ring.watch_writable(socket.fd(), id);
        self.shard.batch_delayed();
    }

    fn send_rest(&mut self, id: ConnectionId) {
        let waiting = |in_flight: &mut InFlight| !in_flight.in_kernel;
        let in_flight = self
            .sockets
            .get(id)
            .and_then(|socket| socket.in_flight.take_if(waiting));
        if let Some(InFlight { load, sent, .. }) = in_flight {
            self.send_now(id, load, sent);
        }
    }

    /// A load has been sent, or never will be.
    #[inline]
    fn finished(&mut self, id: ConnectionId, load: Load) {
        match load {
            Load::Plain(batch) => self.shard.batch_finished(id, batch),
            Load::Staged { bytes, batch } => self.finished_staged(id, bytes, batch),
        }
    }

    /// A send through the ring has completed.
    fn sent(&mut self, id: ConnectionId, result: Result<usize, Errno>) {
        let Some(in_flight) = self
            .sockets
            .get(id)
            .and_then(|socket| socket.in_flight.take())
        else {
            unreachable!("a socket outlives its sends");
        };
        let InFlight { load, sent, .. } = in_flight;
        match result {
            Ok(taken) => {
                let progress = load.of_batch(sent + taken) - load.of_batch(sent);
                self.shard.batch_progressed(id, progress);
                let sent = sent + taken;
                if sent == load.len() {
                    self.finished(id, load);
                } else {
                    self.send_now(id, load, sent);
                }
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => self.send_now(id, load, sent),
            Err(_) => {
                self.finished(id, load);
                self.shard.hang_up(id, CloseReason::WriteError);
            }
        }
    }

    fn perform_effects(&mut self, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        self.shard.take_effects(&mut effects);
        // One may lead to another, and nothing must be left undone: the shard may go to sleep after this.
        while !effects.is_empty() {
            for effect in effects.drain(..) {
                self.perform(effect, now);
            }
            self.shard.take_effects(&mut effects);
        }
        self.effects = effects;
    }

    fn perform(&mut self, effect: Effect, now: Now) {
        match effect {
            Effect::Close(id) => {
                if let Some(socket) = self.sockets.get(id) {
                    socket.lingers_until = Some(now.after(FAREWELL_MAX));
                    self.closing.push(id);
                }
            }
            Effect::PauseReading(id) => {
                if let Some(socket) = self.sockets.get(id) {
                    socket.wants_bytes = false;
                    if socket.is_receiving {
                        self.ring.cancel_receive(id);
                    }
                }
            }
            Effect::ResumeReading(id) => {
                if let Some(socket) = self.sockets.get(id) {
                    socket.wants_bytes = true;
                    self.rearm.push(id);
                }
            }
            Effect::CheckPassword(id, check) => {
                if !self.passwords.submit(self.shard.id(), id, check) {
                    self.shard.password_unchecked(id);
                }
            }
            Effect::Deserted => self.report(Report::Deserted),
            Effect::AccountChanged(account) => self.account_changes.note(account),
        }
    }

    fn rearm_receives(&mut self) {
        // While the lanes are full what comes is only kept. But as long as a buffer is free, somebody who has not been
        // heard gets it: at the end of a turn the lanes may be full for seconds on end.
        if self.shard.is_congested() && self.inbox.len() >= usize::from(BUFFERS) {
            return;
        }
        let mut rearm = std::mem::take(&mut self.rearm);
        // The first to be armed may take all the buffers there are: those who got nothing in this turn go first, or
        // floods would keep everybody else from being heard.
        let turn = self.pulse.turns;
        rearm.sort_by_key(|id| {
            self.sockets
                .get(*id)
                .is_some_and(|socket| socket.heard_in_turn == turn)
        });
        for id in rearm.drain(..) {
            let Some(socket) = self.sockets.get(id) else {
                continue;
            };
            let is_open = !socket.has_ended && socket.lingers_until.is_none();
            if is_open && socket.wants_bytes && !socket.is_receiving {
                socket.is_receiving = true;
                self.ring.receive(socket.fd(), id);
            }
        }
    }

    /// Closes sockets whose session is over once they have nothing left to send, or have had their time.
    fn close_sockets(&mut self, now: Now) {
        let mut index = 0;
        while let Some(id) = self.closing.get(index).copied() {
            let owed = self.shard.pending(id) > 0 || self.says_goodbye(id);
            let Some(socket) = self.sockets.get(id) else {
                unreachable!("a socket stays until it is closed here");
            };
            let is_late = socket.lingers_until.is_some_and(|until| until <= now);
            let is_counted = socket.is_counted;
            let in_kernel = socket.in_flight.as_ref().is_some_and(|load| load.in_kernel);
            if owed && !is_late && !socket.has_ended {
                index += 1;
            } else if in_kernel {
                // The kernel still reads the batch. Without a connection it will soon let go of it.
                socket.shut_down();
                index += 1;
            } else {
                socket.shut_down();
                self.sockets.remove(id);
                self.shard.release(id);
                if is_counted {
                    self.bells.count_departure(self.id());
                }
                self.closing.swap_remove(index);
            }
        }
    }

    fn write_log(&mut self) {
        for record in self.log.drain(..) {
            self.logger.log(record);
        }
        if self.shard.has_log() {
            for record in self.shard.take_log() {
                self.logger.log(record);
            }
        }
    }

    /// A turn for so few messages costs more than they do, and nothing is left over from it: it counts as an idle moment.
    fn is_small(&self, messages: u64) -> bool {
        (1..=SMALL_TURN).contains(&messages) && self.inbox.is_empty()
    }

    /// How long to sleep without being woken by single arrivals, if at all.
    fn linger(&mut self) -> Option<Duration> {
        let activity = Activity {
            messages: self.shard.messages(),
            arrivals: self.arrivals,
            talks: self.talks,
        };
        self.idle.linger(self.now, activity)
    }

    /// Looks around for a moment before going to sleep; says whether something came.
    ///
    /// Not in the middle of a stream: there a sleep only makes the next batch larger, and a spin, even a polite one, costs
    /// the client at the other end its turn on the core. It is for the single messages that somebody waits for.
    fn spin(&mut self) -> bool {
        let is_stream = std::mem::take(&mut self.moved) > STREAM_BYTES;
        if is_stream || self.ring.is_blind() {
            return false;
        }
        let Pump {
            idle,
            clock,
            ring,
            shard,
            bells,
            pulse,
            ..
        } = self;
        let spun = idle.spin(*clock, || has_work(ring, shard, bells));
        pulse.spins += u64::from(spun.is_some());
        pulse.spins_paid += u64::from(spun == Some(true));
        spun == Some(true)
    }

    /// Sleeps until there is something to do.
    fn park(&mut self) -> io::Result<()> {
        let slept_at = self.clock.now();
        self.pulse.parks += 1;
        self.bells.fall_asleep(self.id());
        if !has_work(&mut self.ring, &self.shard, &self.bells) {
            let at_most = self.wake_at().map(|at| at.since(slept_at));
            self.ring.sleep(1, at_most)?;
        }
        self.bells.wake_up(self.id());
        self.idle.slept(self.clock.now().since(slept_at));
        Ok(())
    }

    fn wake_at(&self) -> Option<Now> {
        let lingering = self
            .closing
            .first()
            .map(|_| self.clock.now().after(FAREWELL_MAX / 10));
        let retry = self.acceptor.as_ref().and_then(Acceptor::retry_at);
        // A full lane rings no bell when it empties.
        let congested = self
            .shard
            .is_congested()
            .then(|| self.clock.now().after(CONGESTION_POLL));
        let opening = self.staged.deadline();
        [self.shard.deadline(), retry, lingering, congested, opening]
            .into_iter()
            .flatten()
            .min()
    }
}

#[inline]
fn has_work(ring: &mut Ring, shard: &Shard, bells: &Doorbells) -> bool {
    ring.has_work() || shard.has_arrivals() || bells.has_mail(shard.id())
}

/// How often a shard that waits for room on a lane looks again.
const CONGESTION_POLL: Duration = Duration::from_micros(100);

impl Drop for Pump {
    fn drop(&mut self) {
        for socket in self.sockets.drain() {
            if let Some(in_flight) = socket.in_flight.filter(|load| load.in_kernel) {
                // The kernel may read it until the process ends.
                std::mem::forget(in_flight.load);
            }
        }
        if std::thread::panicking() {
            self.logger
                .log(Record::new(Level::Fatal, "A shard has panicked"));
        }
    }
}
