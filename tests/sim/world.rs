//! Shards, sockets and clients on one thread, under a scheduler that chooses who does what next.
//!
//! A shard's turn is cut into its phases, and others run between any two of them: that is how threads interleave where
//! it matters, because shards only meet on their lanes and through what clients read.

use super::chance::{Dice, chance, range};
use super::client::Client;
use super::geography::{self, ACCOUNTS};
use super::oracle::{Checked, Fate, Oracle, Promise, Totals, broken};
use super::reload::Reloads;
use super::{Closes, Knobs, Mutant};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use trunkline::auth::NonceKey;
use trunkline::base::clock::Now;
use trunkline::base::ids::{ClientNumber, ConnectionId};
use trunkline::config::Options;
use trunkline::mesh;
use trunkline::protocol::info::ServerInfo;
use trunkline::router::Batch;
use trunkline::session::close::CloseReason;
use trunkline::session::settings::Settings;
use trunkline::shard::{Effect, Shard};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) knobs: Knobs,
    pub(crate) mutant: Mutant,
    pub(crate) dice: Dice,
    now: Now,
    pub(crate) steps: u64,
    /// The last step in which a client read or the server took a byte.
    moved_at: u64,
    pub(crate) cores: Vec<Core>,
    pub(crate) reloads: Reloads,
    clients: Vec<Client>,
    /// By client.
    wires: Vec<Wire>,
    pub(crate) oracle: Oracle,
    totals: Totals,
    /// Clients whose connections were released in this round, and how many messages those have been given.
    ended: Vec<(usize, u64)>,
    pub(crate) work: Work,
}

/// What a run has seen of the rare things: a simulator that never meets them proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) steps: u64,
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) held_sends: u64,
    pub(crate) congested: u64,
    pub(crate) partial_sends: u64,
    pub(crate) handed_on: u64,
    pub(crate) group_gone: u64,
    pub(crate) slow_consumers: u64,
    pub(crate) pauses: u64,
    pub(crate) hang_ups: u64,
    pub(crate) crossed_streams: u64,
    pub(crate) crossed_requests: u64,
    pub(crate) crossed_responses: u64,
    pub(crate) reloads: u64,
}

/// A shard and its driver.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) shard: Shard,
    phase: Phase,
    connections: Vec<Connection>,
    /// Clients whose connection waits to be accepted.
    arrivals: Vec<usize>,
    /// It does not run before this step.
    stalled_until: u64,
    effects: Vec<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Reap,
    Drain,
    Ingest,
    Timers,
    Push,
    Send,
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    client: usize,
    /// Reaped and not yet handed in.
    reaped: VecDeque<Input>,
    in_flight: Option<(Batch, usize)>,
    is_reading: bool,
    saw_end: bool,
    /// Whether the session has been told of the end.
    told_end: bool,
    closing_since: Option<u64>,
}

#[derive(Debug)]
enum Input {
    Bytes(Vec<u8>),
    HangUp(CloseReason),
}

/// The two directions of a socket, as the kernel has them.
#[derive(Debug)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// Bytes the kernel keeps for a client that does not read.
    room: usize,
    closed_by_server: bool,
}

const PAYLOAD_MAX: usize = 16 * 1024;
/// Subject, identifiers, reply and lengths of one delivery.
const HEAD_MAX: usize = 1024;
/// Steps without a byte moving anywhere between clients and kernel after which nothing will move any more.
const IDLE_STEPS_MAX: u64 = 50_000;
const STEPS_MAX: u64 = 20_000_000;

impl World {
    pub(crate) fn new(seed: u64, mutant: Mutant) -> World {
        let mut dice = Dice::new(seed);
        let knobs = Knobs::new(&mut dice.faults, mutant);
        let lanes = mesh::build(knobs.shards, knobs.lane_parcels);
        let mut settings = settings(&knobs);
        if mutant == Mutant::NoLimit {
            settings.outbox.pending *= 64;
        }
        let reloads = Reloads::new(&settings, knobs.shards);
        let cores = lanes.into_iter().map(|mesh| Core {
            shard: Shard::new(settings.clone(), mesh, dice.faults.next_u64()),
            phase: Phase::Reap,
            connections: Vec::new(),
            arrivals: Vec::new(),
            stalled_until: 0,
            effects: Vec::new(),
        });
        World {
            cores: cores.collect(),
            reloads,
            knobs,
            mutant,
            dice,
            now: Now::ZERO,
            steps: 0,
            moved_at: 0,
            clients: Vec::new(),
            wires: Vec::new(),
            oracle: Oracle::default(),
            totals: Totals::default(),
            ended: Vec::new(),
            work: Work::default(),
        }
    }

    /// The whole run: rounds of operations, each brought to rest and judged; then everybody leaves.
    pub(crate) fn run(&mut self) -> Checked {
        for _ in 0..self.knobs.clients {
            self.join();
        }
        for _ in 0..self.knobs.rounds {
            let mut left = self.knobs.operations;
            while left > 0 {
                self.step(&mut left)?;
            }
            self.come_to_rest()?;
        }
        for client in 0..self.clients.len() {
            if self.clients[client].fate == Fate::Here {
                self.leave(client, Fate::CutOff);
            }
        }
        self.come_to_rest()?;
        self.check_nothing_leaks()
    }

    fn join(&mut self) {
        let index = self.clients.len();
        let rng = &mut self.dice.workload;
        let (client, says) = Client::new(index, &self.knobs, rng, &mut self.oracle);
        self.clients.push(client);
        self.wires.push(Wire {
            to_server: says.into(),
            to_client: VecDeque::new(),
            room: range(&mut self.dice.kernel, 512, 65_536) as usize,
            closed_by_server: false,
        });
        let shards = u32::from(self.knobs.shards);
        let core = self.dice.schedule.below(shards) as usize;
        self.cores[core].arrivals.push(index);
    }

    fn step(&mut self, operations: &mut u32) -> Checked {
        self.tick();
        self.perhaps_reload();
        match range(&mut self.dice.schedule, 0, 100) {
            0..55 => self.run_some_core(),
            55..80 => self.some_client_reads(),
            80..97 => {
                *operations -= 1;
                self.some_client_acts();
                Ok(())
            }
            _ => {
                self.something_breaks();
                Ok(())
            }
        }
    }

    /// Until nothing moves any more.
    fn come_to_rest(&mut self) -> Checked {
        for client in &mut self.clients {
            client.blocked_until = 0;
        }
        // Everybody asks once more, so that all that is open is confirmed.
        for index in 0..self.clients.len() {
            if self.clients[index].fate == Fate::Here {
                let mut says = Vec::new();
                self.clients[index].ping(&mut says);
                self.wires[index].to_server.extend(says);
            }
        }
        let started = self.steps;
        while !(self.steps.is_multiple_of(32) && self.is_at_rest()) {
            self.tick();
            if chance(&mut self.dice.schedule, 60) {
                self.run_some_core()?;
            } else {
                self.some_client_reads()?;
            }
            let idle = self.steps - started.max(self.moved_at);
            if idle > IDLE_STEPS_MAX || self.steps - started > STEPS_MAX {
                let steps = self.steps - started;
                let text = format!(
                    "still busy after {steps} steps, without a byte for {idle}{}",
                    self.who_is_busy()
                );
                return broken(Promise::ComesToRest, text);
            }
        }
        self.judge_round()
    }

    /// For the one who has to find out why.
    fn who_is_busy(&self) -> String {
        let mut text = String::new();
        for (index, core) in self.cores.iter().enumerate() {
            let shard = &core.shard;
            text += &format!(
                "\nshard {index} {:?}: arrivals {}, open parcels {}, dirty {}, congested {}, may send {}",
                core.phase,
                shard.has_arrivals(),
                shard.has_open_parcels(),
                shard.has_dirty(),
                shard.is_congested(),
                shard.may_send()
            );
            for connection in &core.connections {
                let wire = &self.wires[connection.client];
                text += &format!(
                    "\n  client {}: reaped {}, in flight {}, pending {}, reads {}, closing {:?}, on the wire {} in, {} out",
                    connection.client,
                    connection.reaped.len(),
                    connection.in_flight.is_some(),
                    shard.pending(connection.id),
                    connection.is_reading,
                    connection.closing_since,
                    wire.to_server.len(),
                    wire.to_client.len()
                );
            }
        }
        text
    }

    fn is_at_rest(&self) -> bool {
        let is_quiet = |core: &Core| {
            let shard = &core.shard;
            let is_open = |connection: &Connection| {
                !connection.reaped.is_empty()
                    || connection.in_flight.is_some()
                    || connection.closing_since.is_some()
                    || !connection.is_reading
                    || (self.clients[connection.client].fate != Fate::Here && !connection.saw_end)
            };
            core.arrivals.is_empty()
                && !shard.has_arrivals()
                && !shard.has_open_parcels()
                && !shard.has_dirty()
                && !shard.is_congested()
                && !core.connections.iter().any(is_open)
        };
        // A client whose connection was closed must have noticed: what it missed is not the broker's fault.
        let is_drained = |(wire, client): (&Wire, &Client)| {
            let is_empty = wire.to_server.is_empty() && wire.to_client.is_empty();
            client.fate != Fate::Here || (is_empty && !wire.closed_by_server)
        };
        self.reloads.are_over()
            && self.cores.iter().all(is_quiet)
            && self.wires.iter().zip(&self.clients).all(is_drained)
    }

    fn judge_round(&mut self) -> Checked {
        for (client, put_in) in self.ended.drain(..) {
            self.totals.lost_with_connections += put_in - self.clients[client].received;
        }
        let mut totals = Totals {
            // What has been released is in here already.
            into_outboxes: self.totals.into_outboxes,
            lost_with_connections: self.totals.lost_with_connections,
            ..Totals::default()
        };
        let mut pauses = 0;
        for core in &self.cores {
            let snapshot = core.shard.snapshot();
            let routed = snapshot.routed;
            totals.published += routed.published.messages;
            totals.delivered += routed.delivered.messages;
            totals.dropped_no_interest += routed.dropped_no_interest;
            totals.dropped_interest_gone += routed.dropped_interest_gone;
            totals.dropped_group_gone += routed.dropped_group_gone;
            totals.handed_on += routed.handed_on;
            if snapshot.traces_waiting > 0 {
                let text = format!("all has come to rest, traces wait: {snapshot:?}");
                return broken(Promise::ComesToRest, text);
            }
            let tally = snapshot.tally;
            totals.closed_by_server +=
                tally.slow_consumers_pending + tally.slow_consumers_deadline + tally.stale;
            pauses += tally.pauses;
            for connection in &core.connections {
                let traffic = core.shard.outboxes().traffic(connection.id.slot);
                totals.into_outboxes += traffic.messages;
            }
        }
        self.work = Work {
            steps: self.steps,
            messages: totals.published,
            deliveries: totals.delivered,
            handed_on: totals.handed_on,
            group_gone: totals.dropped_group_gone,
            slow_consumers: totals.closed_by_server,
            pauses,
            crossed_streams: self.oracle.crossed.streams,
            crossed_requests: self.oracle.crossed.requests,
            crossed_responses: self.oracle.crossed.responses,
            ..self.work
        };
        let cut = self.wires.iter().filter(|wire| wire.closed_by_server);
        let cut = cut.count() as u64;
        if cut > totals.closed_by_server || (cut > 0 && !self.knobs.is_slow) {
            let text = format!(
                "the server has closed {cut} connections, {} of them for a reason",
                totals.closed_by_server
            );
            return broken(Promise::Protocol, text);
        }
        self.oracle.end_round(totals)
    }

    fn check_nothing_leaks(&mut self) -> Checked {
        let much_later = self.now.after(Duration::from_secs(3600));
        let shards = self.cores.len();
        for (index, core) in self.cores.iter_mut().enumerate() {
            core.shard.set_now(much_later);
            core.shard.run_timers();
            let snapshot = core.shard.snapshot();
            // Where other shards wait for responses stays known.
            let patterns_max = if self.knobs.has_accounts {
                ACCOUNTS * (shards - 1)
            } else {
                0
            };
            let left = (
                snapshot.connections,
                snapshot.subscriptions,
                snapshot.responses_awaited,
            );
            if left != (0, 0, 0) || snapshot.patterns > patterns_max {
                let text = format!("all have left, shard {index} keeps {snapshot:?}");
                return broken(Promise::NothingLeaks, text);
            }
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.steps += 1;
        let rng = &mut self.dice.clock;
        let micros = match rng.below(4_000) {
            0 => 300_000,
            1..40 => range(rng, 500, 5_000),
            _ => rng.below(40),
        };
        self.now = self.now.after(Duration::from_micros(micros.into()));
    }

    // ---- clients ----

    fn some_client(&mut self) -> Option<usize> {
        let here = |index: &usize| self.clients[*index].fate == Fate::Here;
        let here: Vec<usize> = (0..self.clients.len()).filter(here).collect();
        let count = u32::try_from(here.len()).ok().filter(|count| *count > 0)?;
        Some(here[self.dice.schedule.below(count) as usize])
    }

    fn some_client_acts(&mut self) {
        let Some(index) = self.some_client() else {
            self.join();
            return;
        };
        let rng = &mut self.dice.workload;
        let says = self.clients[index].act(&self.knobs, rng, &mut self.oracle);
        self.wires[index].to_server.extend(says);
    }

    fn some_client_reads(&mut self) -> Checked {
        let Some(index) = self.some_client() else {
            return Ok(());
        };
        let (client, wire) = (&mut self.clients[index], &mut self.wires[index]);
        if client.blocked_until > self.steps {
            return Ok(());
        }
        let count = some_of(wire.to_client.len(), &mut self.dice.kernel);
        let bytes: Vec<u8> = wire.to_client.drain(..count).collect();
        if count > 0 {
            self.moved_at = self.steps;
        }
        let rng = &mut self.dice.workload;
        let says = client.hear(&bytes, &self.knobs, rng, &mut self.oracle, &mut self.mutant)?;
        wire.to_server.extend(says);
        if wire.closed_by_server && wire.to_client.is_empty() {
            client.fate = Fate::CutOff;
            self.oracle.gone(index, Fate::CutOff);
        }
        Ok(())
    }

    fn leave(&mut self, index: usize, fate: Fate) {
        let ends = |c: &Connection| c.client == index && c.closing_since.is_some();
        let mut connections = self.cores.iter().flat_map(|core| &core.connections);
        let is_late = self.wires[index].closed_by_server || connections.any(ends);
        let fate = if is_late { Fate::CutOff } else { fate };
        self.clients[index].fate = fate;
        self.oracle.gone(index, fate);
        if fate == Fate::CutOff {
            let wire = &mut self.wires[index];
            let kept = some_of(wire.to_server.len() + 1, &mut self.dice.kernel) - 1;
            wire.to_server.truncate(kept);
        }
        self.work.hang_ups += 1;
    }

    fn something_breaks(&mut self) {
        let rng = &mut self.dice.faults;
        match rng.below(10) {
            0..4 => {
                let core = rng.below(self.knobs.shards.into()) as usize;
                let steps = rng.below(self.knobs.stall_steps);
                self.cores[core].stalled_until = self.steps + u64::from(steps);
            }
            4..6 if self.knobs.is_slow => {
                let steps = range(rng, 100, 3_000);
                if let Some(index) = self.some_client() {
                    self.clients[index].blocked_until = self.steps + u64::from(steps);
                }
            }
            6..8 if self.knobs.closes != Closes::Never => {
                let fate = if self.knobs.closes == Closes::CutOff && chance(rng, 50) {
                    Fate::CutOff
                } else {
                    Fate::Left
                };
                if let Some(index) = self.some_client() {
                    self.leave(index, fate);
                    self.join();
                }
            }
            8 if self.clients.len() < 24 => self.join(),
            _ => {}
        }
    }

    // ---- shards ----

    fn run_some_core(&mut self) -> Checked {
        let shards = u32::from(self.knobs.shards);
        let index = self.dice.schedule.below(shards) as usize;
        if self.cores[index].stalled_until > self.steps {
            return Ok(());
        }
        // Mostly a few phases at once; a whole turn in one go is a rare and dull case.
        for _ in 0..range(&mut self.dice.schedule, 1, 5) {
            self.run_phase(index);
            self.check_memory(index)?;
        }
        Ok(())
    }

    fn run_phase(&mut self, index: usize) {
        let swapped = self.mutant == Mutant::DrainBeforeReap;
        let phase = self.cores[index].phase;
        let next = match phase {
            Phase::Reap => {
                self.cores[index].shard.set_now(self.now);
                if swapped {
                    self.cores[index].shard.drain_lanes();
                } else {
                    self.reap(index);
                }
                Phase::Drain
            }
            Phase::Drain => {
                if swapped {
                    self.reap(index);
                } else {
                    self.cores[index].shard.drain_lanes();
                }
                Phase::Ingest
            }
            Phase::Ingest => {
                self.follow_reloads(index);
                self.ingest(index);
                Phase::Timers
            }
            Phase::Timers => {
                self.cores[index].shard.run_timers();
                if self.mutant == Mutant::SendBeforePush {
                    self.send_one(index);
                }
                Phase::Push
            }
            Phase::Push => {
                self.cores[index].shard.push_parcels();
                Phase::Send
            }
            Phase::Send if self.send_one(index) => Phase::Send,
            Phase::Send => {
                self.release_closed(index);
                Phase::Reap
            }
        };
        self.cores[index].phase = next;
        self.obey(index);
    }

    /// Takes from the kernel what it has done; hands nothing in.
    fn reap(&mut self, index: usize) {
        // The kernel promises no order among sockets.
        self.cores[index].connections.reverse();
        let World {
            cores,
            clients,
            wires,
            dice,
            mutant,
            moved_at,
            steps,
            ..
        } = self;
        let Core {
            shard, connections, ..
        } = &mut cores[index];
        for connection in connections {
            let wire = &mut wires[connection.client];
            let fate = clients[connection.client].fate;
            if let Some((batch, done)) = connection.in_flight.take() {
                if fate == Fate::Here {
                    let done = transfer(shard, connection.id, &batch, done, wire, dice);
                    if done < batch.len() {
                        connection.in_flight = Some((batch, done));
                    } else {
                        shard.batch_finished(connection.id, batch);
                    }
                } else {
                    shard.batch_finished(connection.id, batch);
                    if !connection.saw_end {
                        // A broken pipe is heard of before the bytes that came earlier have been looked at.
                        let reason = CloseReason::WriteError;
                        if fate == Fate::CutOff {
                            connection.saw_end = true;
                            connection.reaped.push_back(Input::HangUp(reason));
                        }
                    }
                }
            }
            if !connection.is_reading || connection.closing_since.is_some() {
                continue;
            }
            let count = some_of(wire.to_server.len(), &mut dice.kernel);
            if count > 0 {
                *moved_at = *steps;
                let bytes = wire.to_server.drain(..count).collect();
                connection.reaped.push_back(Input::Bytes(bytes));
            }
            let is_end = fate != Fate::Here && wire.to_server.is_empty();
            if is_end && !connection.saw_end && *mutant != Mutant::ForgetHangUps {
                connection.saw_end = true;
                let reason = CloseReason::ClientClosed;
                connection.reaped.push_back(Input::HangUp(reason));
            }
        }
    }

    /// Hands in what was reaped, as long as the lanes have room for what may come of it.
    fn ingest(&mut self, index: usize) {
        for client in std::mem::take(&mut self.cores[index].arrivals) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
            let number = ClientNumber(client as u64 + 1);
            let core = &mut self.cores[index];
            let id = core.shard.connect(number, address);
            core.connections.push(Connection {
                id,
                client,
                reaped: VecDeque::new(),
                in_flight: None,
                is_reading: true,
                saw_end: false,
                told_end: false,
                closing_since: None,
            });
        }
        for place in 0..self.cores[index].connections.len() {
            loop {
                let Core {
                    shard, connections, ..
                } = &mut self.cores[index];
                let connection = &mut connections[place];
                let is_congested = shard.is_congested();
                let may_take = match connection.reaped.front() {
                    None => false,
                    Some(Input::HangUp(_)) => true,
                    Some(Input::Bytes(_)) => !is_congested,
                };
                self.work.congested += u64::from(is_congested);
                if !may_take {
                    break;
                }
                let id = connection.id;
                match connection.reaped.pop_front() {
                    Some(Input::Bytes(bytes)) => shard.receive(id, &bytes),
                    Some(Input::HangUp(reason)) => {
                        connection.told_end = true;
                        shard.hang_up(id, reason);
                    }
                    None => unreachable!("it was just there"),
                }
                self.obey(index);
                self.relieve(index);
            }
        }
    }

    /// In mid-turn: parcels and outboxes that are worth it leave, in the same order as at its end.
    fn relieve(&mut self, index: usize) {
        let core = &mut self.cores[index];
        if !chance(&mut self.dice.kernel, 50) {
            return;
        }
        if core.shard.has_heavy_parcel() {
            core.shard.push_parcels();
        }
        while let Some(id) = core.shard.next_heavy() {
            core.shard.push_parcels();
            if core.shard.may_send() {
                self.send(index, id);
                return;
            }
        }
    }

    fn send_one(&mut self, index: usize) -> bool {
        let core = &mut self.cores[index];
        if !core.shard.may_send() && self.mutant != Mutant::SendWhileAnnouncementsWait {
            self.work.held_sends += u64::from(core.shard.has_dirty());
            return false;
        }
        let Some(id) = core.shard.next_dirty() else {
            return false;
        };
        self.send(index, id);
        true
    }

    fn send(&mut self, index: usize, id: ConnectionId) {
        let Core {
            shard, connections, ..
        } = &mut self.cores[index];
        let Some(connection) = connections.iter_mut().find(|c| c.id == id) else {
            unreachable!("a shard names its own connections");
        };
        let Some(batch) = shard.take_batch(id) else {
            return;
        };
        assert!(connection.in_flight.is_none(), "one batch at a time");
        let wire = &mut self.wires[connection.client];
        let done = if self.clients[connection.client].fate == Fate::Here {
            transfer(shard, id, &batch, 0, wire, &mut self.dice)
        } else {
            0
        };
        if done == batch.len() {
            shard.batch_finished(id, batch);
        } else {
            self.work.partial_sends += 1;
            connection.in_flight = Some((batch, done));
            shard.batch_delayed();
        }
    }

    fn obey(&mut self, index: usize) {
        let core = &mut self.cores[index];
        core.shard.take_effects(&mut core.effects);
        for effect in core.effects.drain(..) {
            let (Effect::Close(id) | Effect::PauseReading(id) | Effect::ResumeReading(id)) = effect
            else {
                continue;
            };
            let Some(connection) = core.connections.iter_mut().find(|c| c.id == id) else {
                unreachable!("a shard names its own connections");
            };
            match effect {
                Effect::Close(_) => {
                    connection.closing_since = Some(self.steps);
                    if !connection.told_end && self.clients[connection.client].fate == Fate::Left {
                        // Too slow a consumer while it was leaving: the rest of its words is not read.
                        self.clients[connection.client].fate = Fate::CutOff;
                        self.oracle.gone(connection.client, Fate::CutOff);
                    }
                    connection.is_reading = true;
                    connection.reaped.clear();
                }
                Effect::PauseReading(_) => connection.is_reading = false,
                Effect::ResumeReading(_) => {
                    connection.is_reading = self.mutant != Mutant::ForgetResume;
                }
                Effect::CheckPassword(..) | Effect::Deserted | Effect::AccountChanged(_) => {}
            }
        }
        core.shard.take_log();
    }

    /// Closes the sockets of ended sessions that have sent their last.
    fn release_closed(&mut self, index: usize) {
        let Core {
            shard, connections, ..
        } = &mut self.cores[index];
        let mut place = 0;
        while place < connections.len() {
            let connection = &mut connections[place];
            let id = connection.id;
            // Who does not read its farewell is not waited for.
            let patience_ends = |since: u64| self.steps > since + 2_000;
            let is_done = match connection.closing_since {
                None => false,
                Some(_) if self.clients[connection.client].fate != Fate::Here => true,
                Some(since) => shard.pending(id) == 0 || patience_ends(since),
            };
            if !is_done {
                place += 1;
                continue;
            }
            if let Some((batch, _)) = connection.in_flight.take() {
                shard.batch_finished(id, batch);
            }
            let put_in = shard.outboxes().traffic(id.slot).messages;
            self.totals.into_outboxes += put_in;
            self.wires[connection.client].closed_by_server |=
                self.clients[connection.client].fate == Fate::Here;
            self.ended.push((connection.client, put_in));
            shard.release(id);
            // Nobody is at home under the old name any more.
            shard.receive(id, b"PUB a 1\r\nx\r\n");
            connections.swap_remove(place);
        }
    }

    fn check_memory(&self, index: usize) -> Checked {
        let core = &self.cores[index];
        for connection in &core.connections {
            let pending = core.shard.pending(connection.id);
            let max = self.knobs.pending_max + PAYLOAD_MAX + HEAD_MAX;
            if pending > max {
                let text = format!(
                    "shard {index} owes {pending} bytes to client {}",
                    connection.client
                );
                return broken(Promise::BoundedMemory, text);
            }
        }
        Ok(())
    }
}

/// Moves some of a batch into the socket; gives how much of it is done.
fn transfer(
    shard: &mut Shard,
    id: ConnectionId,
    batch: &Batch,
    done: usize,
    wire: &mut Wire,
    dice: &mut Dice,
) -> usize {
    let room = wire.room.saturating_sub(wire.to_client.len());
    let count = some_of(batch.len() - done, &mut dice.kernel).min(room);
    let bytes = batch.slices(done).flatten().take(count);
    wire.to_client.extend(bytes);
    if count > 0 {
        shard.batch_progressed(id, count);
    }
    done + count
}

/// All of it, mostly; else a part down to one byte.
fn some_of(len: usize, rng: &mut trunkline::base::rng::Rng) -> usize {
    match (u32::try_from(len).unwrap_or(u32::MAX), rng.below(10)) {
        (0 | 1, _) | (_, 0..5) => len,
        (_, 5) => 1,
        (_, 6) => len.min(1 + rng.below(30) as usize),
        (most, _) => 1 + rng.below(most) as usize,
    }
}

/// A server with nats-server's defaults.
pub(crate) fn plain_settings() -> Settings {
    settings_of(&Options::default())
}

pub(crate) fn settings_of(options: &Options) -> Settings {
    let info = ServerInfo::new(options, "SIM");
    Settings::new(options, info, NonceKey::new([0; 32]))
}

fn settings(knobs: &Knobs) -> Settings {
    let settings = if knobs.has_accounts {
        settings_of(&geography::options())
    } else {
        plain_settings()
    };
    adjusted(settings, knobs)
}

/// With the limits of the run.
pub(crate) fn adjusted(mut settings: Settings, knobs: &Knobs) -> Settings {
    settings.payload_max = PAYLOAD_MAX;
    settings.outbox.pending = knobs.pending_max;
    if knobs.is_slow {
        settings.write_deadline = Duration::from_millis(200);
    }
    settings
}
