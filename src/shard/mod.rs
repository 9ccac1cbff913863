//! The state machine of one core. *Hot path.* Sans-IO: the runtime drives it, and so does the simulator.
//!
//! A turn, in this order (DESIGN §5):
//! 1. the driver reaps what the kernel has done, without looking at received bytes;
//! 2. [`Shard::drain_lanes`]: announcements and messages of the other shards;
//! 3. [`Shard::receive`] for the reaped bytes, unless [`Shard::is_congested`];
//! 4. [`Shard::run_timers`];
//! 5. [`Shard::push_parcels`], and then, only while [`Shard::may_send`], each outbox of [`Shard::next_dirty`] once.
//!
//! Invariants
//! - Reap before drain, drain before ingest, parcels before sends: this is what makes a subscription count everywhere
//!   before the `PONG` behind it is on the wire. A driver that swaps two of these breaks DESIGN §2.1.
//! - Nothing here awaits, reads a clock or knows what a socket is.
//! - A slot belongs to its connection until the driver says [`Shard::release`]; what comes late under an old `reuse`
//!   finds nobody.

mod closed;
pub mod ended;
pub mod errand;
mod lame_duck;
mod lanes;
mod reload;
mod resident;
mod sends;
mod slow;
pub mod survey;

use crate::auth::{CertificateFacts, PasswordCheck};
use crate::base::clock::{Now, WallClock};
use crate::base::histogram::Histogram;
use crate::base::ids::{AccountId, ClientNumber, ConnectionId, ShardId};
use crate::base::limits::PAUSE;
use crate::base::log::{Level, Log, Record};
use crate::base::origin::Origin;
use crate::base::rng::Rng;
use crate::base::slab::Slab;
use crate::interest::{Memo, Usage};
use crate::mesh::{Mesh, Parcel};
use crate::router::{Connection, Counters, Outboxes, Router, Sender};
use crate::session::client::{Client, Ending, Turn};
use crate::session::close::CloseReason;
use crate::session::settings::Settings;
use crate::wire::opening::Greeting;
use crate::wire::tls::Secured;
use closed::Closed;
use ended::EndedByAccount;
use lame_duck::LameDuck;
use slow::SlowConsumers;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What the shard asks its driver to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send what the outbox still holds, close the socket, and say [`Shard::release`].
    Close(ConnectionId),
    /// Take nothing more from the socket; what has arrived already may still be handed in.
    PauseReading(ConnectionId),
    ResumeReading(ConnectionId),
    /// Compare this password, which takes long, and say [`Shard::password_checked`], or [`Shard::password_unchecked`].
    CheckPassword(ConnectionId, PasswordCheck),
    /// In lame duck mode: the last client has gone.
    Deserted,
    /// The account has more or fewer clients now, and somebody wants to hear that.
    AccountChanged(AccountId),
}

/// One core's part of the broker.
#[derive(Debug)]
pub struct Shard {
    settings: Settings,
    router: Router,
    seats: Slab<Seat>,
    /// How often each slot has been used.
    reuses: Vec<u32>,
    timers: BinaryHeap<Reverse<(Now, u32, u32)>>,
    /// By slot: which of its timers counts.
    armed: Vec<Now>,
    /// Paused publishers, with the end of their pause; few, and not for long.
    paused: Vec<(Now, ConnectionId)>,
    /// How long parcels were on their way here.
    lane_times: Histogram,
    /// Parcels of each peer that this turn still takes in.
    to_drain: Vec<(ShardId, usize)>,
    /// Where the last answers for each peer's messages were found.
    lane_memos: Vec<Memo>,
    /// Messages whose queue group seemed empty; looked at again when every lane has been drained once more.
    second_look: Vec<(ShardId, Parcel)>,
    effects: Vec<Effect>,
    /// Passwords to be compared; they become effects.
    checks: Vec<(ConnectionId, PasswordCheck)>,
    /// They become effects.
    changed_accounts: Vec<AccountId>,
    /// The server's own connection, if it is here.
    resident: Option<ConnectionId>,
    residents_past: resident::Spoken,
    log: Log,
    /// Takes what nobody reads.
    mute: Log,
    now: Now,
    rng: Rng,
    /// When to look for stuck sends next; `None` while nothing is in flight.
    stuck_check_at: Option<Now>,
    lame_duck: Option<LameDuck>,
    tally: Tally,
    closed: Closed,
    ended: EndedByAccount,
    slow_consumers: SlowConsumers,
}

/// A slot's tenant.
#[derive(Debug)]
enum Seat {
    Serving(Box<Client>),
    /// The server's own connection.
    Resident(Box<Client>),
    /// Its session is over; the driver still has the socket.
    Leaving,
}

/// What has become of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub connected: u64,
    pub slow_consumers_pending: u64,
    pub slow_consumers_deadline: u64,
    pub stale: u64,
    pub pauses: u64,
    /// Connections whose session is over.
    pub ended: u64,
    /// Parcels taken in from the other shards, and runs of messages in them.
    pub parcels: u64,
    pub runs_from_lanes: u64,
}

/// A read-only picture of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub connections: usize,
    pub subscriptions: usize,
    pub patterns: usize,
    pub cached_subjects: usize,
    pub usage: Usage,
    /// Requests to other accounts that wait for a response.
    pub responses_awaited: usize,
    /// Traced messages of which other shards have not told everything yet.
    pub traces_waiting: usize,
    pub routed: Counters,
    pub tally: Tally,
}

impl Shard {
    /// A shard on its ends of the lanes. `seed` decides every choice it will make.
    pub fn new(settings: Settings, mesh: Mesh, seed: u64) -> Shard {
        let mut rng = Rng::from_seed(seed);
        let shards = mesh
            .peers()
            .map(ShardId::index)
            .max()
            .map_or(0, |last| last + 1);
        Shard {
            router: Router::new(
                mesh,
                Arc::clone(&settings.accounts),
                settings.outbox,
                settings.trace,
                rng.next_u64(),
            ),
            seats: Slab::new(),
            reuses: Vec::new(),
            timers: BinaryHeap::new(),
            armed: Vec::new(),
            paused: Vec::new(),
            lane_times: Histogram::default(),
            to_drain: Vec::new(),
            lane_memos: vec![Memo::default(); shards],
            second_look: Vec::new(),
            effects: Vec::new(),
            checks: Vec::new(),
            changed_accounts: Vec::new(),
            resident: None,
            residents_past: resident::Spoken::default(),
            mute: Log::default(),
            log: Log::new(settings.debug, settings.trace),
            now: Now::ZERO,
            rng,
            stuck_check_at: None,
            lame_duck: None,
            tally: Tally::default(),
            closed: Closed::new(settings.closed_connections_max),
            ended: EndedByAccount::default(),
            slow_consumers: SlowConsumers::default(),
            settings,
        }
    }

    pub fn id(&self) -> ShardId {
        self.router.mesh.shard()
    }

    /// Sets what the calendar says.
    pub fn set_wall_clock(&mut self, wall: WallClock) {
        self.router.set_wall_clock(wall);
        self.settings.wall = wall;
    }

    /// Sets the time for all that follows, until the next call.
    pub fn set_now(&mut self, now: Now) {
        self.now = now;
        self.router.set_now(now);
    }

    /// Takes a new connection in and greets it.
    pub fn connect(&mut self, number: ClientNumber, origin: impl Into<Origin>) -> ConnectionId {
        self.seat(number, origin.into(), Client::start)
    }

    /// Takes a new connection in that has stages before its session: [`Shard::greet`] and [`Shard::open`] follow.
    pub fn admit(&mut self, number: ClientNumber, origin: impl Into<Origin>) -> ConnectionId {
        self.seat(number, origin.into(), Client::arrive)
    }

    /// Says the first `INFO` to a connection that was admitted.
    pub fn greet(&mut self, id: ConnectionId, how: Greeting) {
        self.with_client(id, |client, turn| {
            client.greet(how, turn);
            Ok(())
        });
    }

    /// The client is there, says its proxy.
    pub fn relocate(&mut self, id: ConnectionId, address: SocketAddr) {
        if let Some(client) = self.client_mut(id) {
            client.relocate(address);
        }
    }

    /// Begins the session of a connection that was admitted.
    pub fn open(&mut self, id: ConnectionId, secured: Option<Box<Secured>>) {
        self.with_client(id, |client, turn| {
            client.open(secured, turn);
            // A reload may have come between the handshake's beginning and its end.
            client.compare_key(turn)
        });
        if let Some(client) = self.client(id) {
            let deadline = client.deadline();
            self.arm(id, deadline);
        }
    }

    /// Where the connection comes from.
    pub fn address(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.client(id).map(Client::address)
    }

    /// Logs something about a connection.
    pub fn note(&mut self, id: ConnectionId, level: Level, text: &str) {
        if level == Level::Debug && !self.log.debug {
            return;
        }
        if let Some(client) = self.client(id) {
            let text = client.labelled(text);
            self.log.add(level, text);
        }
    }

    fn seat(
        &mut self,
        number: ClientNumber,
        origin: Origin,
        start: fn(ConnectionId, ClientNumber, Origin, &mut Turn<'_>) -> Client,
    ) -> ConnectionId {
        let id = self.open_slot();
        self.tally.connected += 1;
        let client = start(id, number, origin, &mut self.turn());
        self.arm(id, client.deadline());
        let seated = self.seats.insert(Seat::Serving(Box::new(client)));
        assert_eq!(seated, id.slot, "the slab keeps its word");
        id
    }

    /// The name of the connection that is seated next; its outbox is open.
    fn open_slot(&mut self) -> ConnectionId {
        let slot = self.seats.next_key();
        if self.reuses.len() <= slot as usize {
            self.reuses.resize(slot as usize + 1, 0);
            self.armed.resize(slot as usize + 1, Now::ZERO);
        }
        let id = ConnectionId {
            slot,
            reuse: self.reuses[slot as usize],
        };
        self.router.outboxes.open(slot);
        id
    }

    /// Takes a connection in only to tell it that there are too many.
    pub fn turn_away(
        &mut self,
        number: ClientNumber,
        origin: impl Into<Origin>,
        greeting: Option<Greeting>,
    ) -> ConnectionId {
        let id = self.admit(number, origin);
        if let Some(how) = greeting {
            self.greet(id, how);
        }
        if let Some(client) = self.client(id) {
            let text = "maximum connections exceeded";
            let line = client.labelled(text);
            self.log.add_seldom(self.now, Level::Error, text, line);
        }
        self.close(id, CloseReason::MaximumConnectionsExceeded);
        id
    }

    /// Notes the certificate that a connection has shown before its first byte.
    pub fn show_certificate(&mut self, id: ConnectionId, facts: CertificateFacts) {
        if let Some(client) = self.client_mut(id) {
            client.show_certificate(facts);
        }
    }

    /// Takes in bytes that a connection has sent.
    pub fn receive(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.with_client(id, |client, turn| client.receive(bytes, turn));
        self.settle();
    }

    /// The connection is gone: the peer has closed it, or the kernel reports an error.
    pub fn hang_up(&mut self, id: ConnectionId, reason: CloseReason) {
        if reason == CloseReason::ClientClosed {
            // It was told that it may leave its bytes here; a pause must not make them disappear.
            self.resume(id);
            if let Some(client) = self.client_mut(id)
                && client.is_being_checked()
            {
                return client.hang_up_later(reason);
            }
        }
        self.close(id, reason);
        self.settle();
    }

    /// The password of a connection has been compared.
    pub fn password_checked(&mut self, id: ConnectionId, is_right: bool) {
        self.with_client(id, |client, turn| client.password_checked(is_right, turn));
        if self
            .client(id)
            .is_some_and(|client| !client.is_being_checked())
        {
            self.effects.push(Effect::ResumeReading(id));
        }
        self.settle();
    }

    /// So many passwords wait to be compared that this one's turn would not come in time.
    pub fn password_unchecked(&mut self, id: ConnectionId) {
        self.close(id, CloseReason::AuthenticationTimeout);
        self.settle();
    }

    /// Does what is due.
    pub fn run_timers(&mut self) {
        while let Some(Reverse((at, slot, reuse))) = self.timers.peek().copied() {
            if at > self.now {
                break;
            }
            self.timers.pop();
            let id = ConnectionId { slot, reuse };
            if self.armed[slot as usize] != at {
                continue;
            }
            self.with_client(id, Client::on_timer);
            if let Some(client) = self.client(id) {
                let deadline = client.deadline();
                self.arm(id, deadline);
            }
        }
        for (until, id) in self.paused.clone() {
            if until <= self.now {
                self.resume(id);
            }
        }
        if self.stuck_check_at.is_some_and(|at| at <= self.now) {
            self.close_stuck();
        }
        self.router.expire_responses();
        self.log.tell_repeats(self.now);
        self.run_lame_duck();
        self.settle();
    }

    fn arm(&mut self, id: ConnectionId, at: Now) {
        self.armed[id.slot as usize] = at;
        if at < Now::NEVER {
            self.timers.push(Reverse((at, id.slot, id.reuse)));
        }
    }

    /// When [`Shard::run_timers`] has something to do next.
    pub fn deadline(&self) -> Option<Now> {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let stuck = self.stuck_check_at;
        let duck = self.lame_duck.as_ref().map(LameDuck::next_at);
        let pause = self.paused.iter().map(|(until, _)| *until).min();
        let resume = self.router.outboxes.has_resumes().then_some(self.now);
        let response = self.router.responses_deadline();
        let repeats = self.log.deadline();
        [timer, stuck, duck, pause, resume, response, repeats]
            .into_iter()
            .flatten()
            .min()
    }

    /// The driver has closed the socket and holds nothing of the connection any more.
    pub fn release(&mut self, id: ConnectionId) {
        assert!(self.is_current(id), "a slot is released once");
        let seat = self.seats.remove(id.slot);
        assert!(
            matches!(seat, Some(Seat::Leaving)),
            "a session ends before its socket is closed"
        );
        self.router.outboxes.close(id.slot);
        self.reuses[id.slot as usize] = id.reuse.wrapping_add(1);
        self.settle();
    }

    /// What the driver has to do, oldest first.
    pub fn take_effects(&mut self, into: &mut Vec<Effect>) {
        for (id, check) in self.checks.drain(..) {
            self.effects.push(Effect::PauseReading(id));
            self.effects.push(Effect::CheckPassword(id, check));
        }
        for account in self.changed_accounts.drain(..) {
            self.effects.push(Effect::AccountChanged(account));
        }
        into.append(&mut self.effects);
    }

    /// Lines for the log.
    pub fn take_log(&mut self) -> Vec<Record> {
        self.log.take()
    }

    pub fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// Messages that have come from clients or gone to them, in all.
    pub fn messages(&self) -> u64 {
        let counters = &self.router.counters;
        counters.published.messages + counters.delivered.messages
    }

    pub fn snapshot(&self) -> Snapshot {
        let of_server = self.resident_subscriptions(self.settings.accounts.system());
        let serving = self.tally.connected - self.tally.ended;
        Snapshot {
            connections: usize::try_from(serving).unwrap_or(usize::MAX),
            subscriptions: self.router.interest().subscription_count() - of_server,
            patterns: self.router.interest().pattern_count(),
            cached_subjects: self.router.interest().cached_count(),
            usage: self.router.interest().usage(),
            responses_awaited: self.router.responses_awaited(),
            traces_waiting: self.router.traces_waiting(),
            routed: self.counters_of_clients(),
            tally: self.tally,
        }
    }

    /// Tells every client that the server is about to go, and begins to close them after the grace period.
    pub fn enter_lame_duck(&mut self) {
        if self.lame_duck.is_some() {
            return;
        }
        self.settings.info.ldm = true;
        let serving = self.serving();
        for id in &serving {
            self.with_client(*id, |client, turn| {
                if client.wants_updates() {
                    client.update(turn);
                }
                Ok(())
            });
        }
        let clients = u32::try_from(serving.len()).unwrap_or(u32::MAX);
        let (duration, grace) = (
            self.settings.lame_duck_duration,
            self.settings.lame_duck_grace,
        );
        self.lame_duck = Some(LameDuck::new(self.now, duration, grace, clients));
        if clients == 0 {
            self.effects.push(Effect::Deserted);
        }
        self.settle();
    }

    /// Ends every session.
    pub fn shut_down(&mut self) {
        for id in self.serving().into_iter().chain(self.resident) {
            self.close(id, CloseReason::ServerShutdown);
        }
        self.log.tell_repeats(Now::NEVER);
        self.settle();
    }

    fn run_lame_duck(&mut self) {
        let Some(duck) = &mut self.lame_duck else {
            return;
        };
        let count = duck.due(self.now, &mut self.rng);
        if count == 0 {
            return;
        }
        let serving = self.serving();
        for id in serving.iter().take(count as usize) {
            self.close(*id, CloseReason::ServerShutdown);
        }
        if serving.len() <= count as usize {
            self.effects.push(Effect::Deserted);
        }
    }

    /// Deals with what operations and deliveries have left behind. Called after each of them.
    #[inline]
    fn settle(&mut self) {
        if self.router.has_journals() {
            self.write_up_traces();
        }
        if self.router.has_observed() {
            self.tell_observed();
        }
        while let Some(id) = self.router.next_spent() {
            self.end_spent(id);
        }
        // Who is told of a closing may be too slow for that.
        while self.router.outboxes.has_overflowed() {
            self.close_overflowed();
        }
        while let Some(publisher) = self.router.outboxes.next_pause() {
            self.pass_on(publisher, Shard::pause, Mesh::pause);
        }
        while let Some(publisher) = self.router.outboxes.next_resume() {
            self.pass_on(publisher, Shard::resume, Mesh::resume);
        }
    }

    fn pass_on(
        &mut self,
        publisher: Sender,
        here: fn(&mut Shard, ConnectionId),
        there: fn(&mut Mesh, ShardId, ConnectionId),
    ) {
        if publisher.shard == self.id().0 {
            here(self, publisher.connection);
        } else {
            there(
                &mut self.router.mesh,
                ShardId(publisher.shard),
                publisher.connection,
            );
        }
    }

    fn pause(&mut self, id: ConnectionId) {
        let until = self.now.after(PAUSE);
        if let Some(client) = self.client_mut(id)
            && client.pause()
        {
            self.paused.push((until, id));
            self.tally.pauses += 1;
            self.effects.push(Effect::PauseReading(id));
        }
    }

    fn resume(&mut self, id: ConnectionId) {
        let Some(index) = self.paused.iter().position(|(_, other)| *other == id) else {
            return;
        };
        self.paused.swap_remove(index);
        self.with_client(id, Client::resume);
        let waits = Client::is_being_checked;
        if self.client(id).is_some_and(|client| !waits(client)) {
            self.effects.push(Effect::ResumeReading(id));
        }
    }

    /// Tells of traced messages while the connections they came to are still there.
    #[cold]
    fn write_up_traces(&mut self) {
        let seats = &self.seats;
        let connection = |slot| match seats.get(slot) {
            Some(Seat::Serving(client)) => client.as_traced(),
            Some(Seat::Resident(_) | Seat::Leaving) | None => Connection::default(),
        };
        self.router.write_up(&self.settings.info, &connection);
    }

    #[cold]
    fn tell_observed(&mut self) {
        for asked in self.router.take_asked() {
            self.with_client(self.id_of(asked.connection), |client, turn| {
                client.may_answer(&asked.reply, turn.now);
                Ok(())
            });
        }
        for delivery in self.router.take_traced() {
            self.with_client(self.id_of(delivery.connection), |client, turn| {
                client.trace_delivery(&delivery, turn);
                Ok(())
            });
        }
    }

    fn end_spent(&mut self, id: u32) {
        let slot = self.router.interest().subscription(id).connection;
        self.with_client(self.id_of(slot), |client, turn| {
            client.end_subscription(id, turn);
            Ok(())
        });
    }

    /// Ends a session; its socket follows once the outbox is empty.
    fn close(&mut self, id: ConnectionId, reason: CloseReason) {
        self.close_with(id, reason.into());
    }

    fn close_with(&mut self, id: ConnectionId, ending: Ending<'_>) {
        let reason = ending.reason;
        if !self.is_current(id) || matches!(self.seats.get(id.slot), Some(Seat::Leaving)) {
            return;
        }
        if self.router.has_journals() {
            self.write_up_traces();
        }
        self.remember(id, reason);
        let seat = self.seats.get_mut(id.slot);
        let mut client = match seat.map(|seat| std::mem::replace(seat, Seat::Leaving)) {
            Some(Seat::Serving(client)) => {
                self.tally.ended += 1;
                client
            }
            Some(Seat::Resident(client)) => {
                self.forget_resident(&client, reason);
                client
            }
            Some(Seat::Leaving) | None => unreachable!("the client was just there"),
        };
        if reason == CloseReason::StaleConnection {
            self.tally.stale += 1;
        }
        client.end(ending, &mut self.turn());
        if reason.is_beyond_sending() {
            self.router.outboxes.discard(id.slot);
        } else {
            self.router.outboxes.seal(id.slot);
        }
        self.paused.retain(|(_, other)| *other != id);
        self.effects.push(Effect::Close(id));
    }

    fn with_client(
        &mut self,
        id: ConnectionId,
        act: impl FnOnce(&mut Client, &mut Turn<'_>) -> Result<(), CloseReason>,
    ) {
        if self.reuses.get(id.slot as usize) != Some(&id.reuse) {
            return;
        }
        let (client, log) = match self.seats.get_mut(id.slot) {
            Some(Seat::Serving(client)) => (client, &mut self.log),
            Some(Seat::Resident(client)) => (client, &mut self.mute),
            Some(Seat::Leaving) | None => return,
        };
        let mut turn = Turn {
            router: &mut self.router,
            settings: &self.settings,
            log,
            checks: &mut self.checks,
            changed_accounts: &mut self.changed_accounts,
            now: self.now,
        };
        if let Err(reason) = act(client, &mut turn) {
            self.close(id, reason);
        }
    }

    fn turn(&mut self) -> Turn<'_> {
        Turn {
            router: &mut self.router,
            settings: &self.settings,
            log: &mut self.log,
            checks: &mut self.checks,
            changed_accounts: &mut self.changed_accounts,
            now: self.now,
        }
    }

    fn client(&self, id: ConnectionId) -> Option<&Client> {
        match self.seats.get(id.slot) {
            Some(Seat::Serving(client)) if client.id() == id => Some(client),
            _ => None,
        }
    }

    fn client_mut(&mut self, id: ConnectionId) -> Option<&mut Client> {
        match self.seats.get_mut(id.slot) {
            Some(Seat::Serving(client)) if client.id() == id => Some(client),
            _ => None,
        }
    }

    fn serving(&self) -> Vec<ConnectionId> {
        let serving = self.seats.iter().filter_map(|(_, seat)| match seat {
            Seat::Serving(client) => Some(client.id()),
            Seat::Resident(_) | Seat::Leaving => None,
        });
        serving.collect()
    }

    fn id_of(&self, slot: u32) -> ConnectionId {
        ConnectionId {
            slot,
            reuse: self.reuses[slot as usize],
        }
    }

    fn is_current(&self, id: ConnectionId) -> bool {
        self.reuses.get(id.slot as usize) == Some(&id.reuse) && self.seats.get(id.slot).is_some()
    }

    /// The outboxes, for whoever looks at the shard from outside.
    pub fn outboxes(&self) -> &Outboxes {
        &self.router.outboxes
    }
}
