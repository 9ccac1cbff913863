//! The part of a turn that is about connections with stages: openings, TLS. *Hot path:* receiving and sending over TLS.
//!
//! Handshakes cost a hundred times what a full buffer of messages costs. They wait in a queue of their own, and a turn
//! gives them a slice of time after everything else that has come: a storm of logins makes logins wait, not messages
//! (docs/decisions/0007).
//!
//! Invariants
//! - What a session said before its opening was over (`INFO`) leaves as it is, everything later leaves sealed.
//! - A load that was sealed is sent whole, in the order of sealing; at most one load of a connection is in flight.
//! - What came with the end of an opening is handed in before anything that comes later.

use super::Pump;
use crate::base::clock::Now;
use crate::base::ids::ConnectionId;
use crate::base::log::{Level, Record};
use crate::router::Batch;
use crate::runtime::buffers::Lent;
use crate::runtime::socket::{Load, Socket};
use crate::runtime::stages::{Stage, Stages};
use crate::session::close::CloseReason;
use crate::wire::opening::{Entrance, Greeting, Opened, Opening, Refusal, Step};
use crate::wire::tls::stream::Ending;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What one turn spends on openings before it goes on with everything else; the one that has begun is finished.
const OPENINGS_SLICE: Duration = Duration::from_micros(250);
/// An opening with more than this waiting is not made to wait: it would only grow.
const WAITING_BYTES_MAX: usize = 256 * 1024;
/// How often the log tells of handshakes that were refused.
const REFUSED_EVERY: Duration = Duration::from_secs(1);
/// Emptied buffers for sealed bytes that a shard keeps, and how large they may be.
const SPARE: usize = 16;
const SPARE_BYTES_MAX: usize = 256 * 1024;

/// What the pump knows of connections with stages.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) entrance: Option<Arc<Entrance>>,
    /// Openings that have something to do, in the order in which it came.
    ready: VecDeque<ConnectionId>,
    /// When openings have something to do though nothing came; an entry may be out of date.
    deadlines: BinaryHeap<Reverse<(Now, u32, u32)>>,
    /// Connections whose stages have something to send.
    pub(super) to_send: Vec<ConnectionId>,
    spare: Vec<Vec<u8>>,
    tell_refused_at: Option<Now>,
}

impl Staged {
    pub(super) fn new(entrance: Option<Arc<Entrance>>) -> Staged {
        Staged {
            entrance,
            ready: VecDeque::new(),
            deadlines: BinaryHeap::new(),
            to_send: Vec::new(),
            spare: Vec::new(),
            tell_refused_at: None,
        }
    }

    /// How a client is greeted that is turned away unheard.
    pub(super) fn farewell_greeting(&self) -> Option<Greeting> {
        self.entrance
            .as_ref()
            .map_or(Some(Greeting::PLAIN), |entrance| {
                entrance.farewell_greeting()
            })
    }

    /// Puts an opening between a new socket and its session, if one is needed.
    pub(super) fn begin(&mut self, socket: &mut Socket) {
        if let Some(entrance) = &self.entrance {
            let mut stages = Stages::new(Opening::new(Arc::clone(entrance)));
            stages.is_queued = true;
            socket.stages = Some(Box::new(stages));
            self.ready.push_back(socket.id);
        }
    }

    /// When something is due though nothing comes.
    pub(super) fn deadline(&self) -> Option<Now> {
        let opening = self.deadlines.peek().map(|Reverse((at, ..))| *at);
        [opening, self.tell_refused_at].into_iter().flatten().min()
    }
}

impl Pump {
    /// Takes in what came over a connection with stages.
    pub(super) fn receive_staged(&mut self, id: ConnectionId, lent: &mut Lent) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let is_over = socket.lingers_until.is_some();
        let Some(stages) = socket.stages.as_mut().filter(|_| !is_over) else {
            return;
        };
        match &mut stages.now {
            Stage::Opening(opening) => {
                opening.receive(self.ring.bytes(lent));
                let is_full = opening.waiting_bytes() > WAITING_BYTES_MAX;
                if !std::mem::replace(&mut stages.is_queued, true) {
                    self.staged.ready.push_back(id);
                }
                if is_full {
                    self.advance(id);
                }
            }
            Stage::Secure(_) => {
                let bytes = self.ring.bytes_mut(lent);
                open(&mut self.shard, stages, id, bytes);
                if !stages.outgoing.is_empty() {
                    self.staged.to_send.push(id);
                }
            }
        }
    }

    /// The peer has gone; what it has left is looked at first.
    pub(super) fn cut_off(&mut self, id: ConnectionId) {
        let opening = |stages: &Stages| match &stages.now {
            Stage::Opening(opening) => Some((stages.is_queued, opening.cut_off())),
            Stage::Secure(_) => None,
        };
        if self
            .look(id, opening)
            .is_some_and(|(is_queued, _)| is_queued)
        {
            self.advance(id);
        }
        if let Some((_, Some(refusal))) = self.look(id, opening) {
            self.refuse(id, refusal);
        }
    }

    fn look<T>(&mut self, id: ConnectionId, at: impl Fn(&Stages) -> Option<T>) -> Option<T> {
        let socket = self.sockets.get(id)?;
        socket.stages.as_deref().and_then(at)
    }

    /// Goes on with openings for a slice of time. Says whether there are more that could go on at once.
    #[inline]
    pub(super) fn run_openings(&mut self) -> bool {
        if self.staged.ready.is_empty() && self.staged.deadline().is_none_or(|at| at > self.now) {
            return false;
        }
        self.run_ready_openings()
    }

    #[inline(never)]
    fn run_ready_openings(&mut self) -> bool {
        self.wake_openings();
        if self.staged.tell_refused_at.is_some_and(|at| at <= self.now) {
            self.tell_refused();
        }
        let began = self.clock.now();
        // What comes with the end of an opening may be messages: they wait, as others do, while the lanes are full.
        while !self.shard.is_congested() {
            let Some(id) = self.staged.ready.pop_front() else {
                return false;
            };
            self.advance(id);
            if self.clock.now().since(began) >= OPENINGS_SLICE {
                return !self.staged.ready.is_empty();
            }
        }
        false
    }

    /// Queues the openings whose time has come.
    fn wake_openings(&mut self) {
        while let Some(Reverse((at, slot, reuse))) = self.staged.deadlines.peek().copied() {
            if at > self.now {
                return;
            }
            self.staged.deadlines.pop();
            let id = ConnectionId { slot, reuse };
            let stages = self
                .sockets
                .get(id)
                .and_then(|socket| socket.stages.as_mut());
            if let Some(stages) = stages
                && matches!(stages.now, Stage::Opening(_))
                && !std::mem::replace(&mut stages.is_queued, true)
            {
                self.staged.ready.push_back(id);
            }
        }
    }

    /// Does what an opening says, as far as it goes.
    fn advance(&mut self, id: ConnectionId) {
        loop {
            let Some(socket) = self.sockets.get(id) else {
                return;
            };
            let is_over = socket.lingers_until.is_some();
            let Some(stages) = socket.stages.as_mut().filter(|_| !is_over) else {
                return;
            };
            stages.is_queued = false;
            let Stage::Opening(opening) = &mut stages.now else {
                return;
            };
            let step = opening.advance(self.now, &mut stages.outgoing);
            let deadline = opening.deadline();
            if !stages.outgoing.is_empty() {
                self.staged.to_send.push(id);
            }
            match step {
                None => {
                    if deadline > self.now && stages.armed_for != deadline {
                        stages.armed_for = deadline;
                        let due = Reverse((deadline, id.slot, id.reuse));
                        self.staged.deadlines.push(due);
                    }
                    return;
                }
                Some(Step::Greet(how)) => self.shard.greet(id, how),
                Some(Step::Source(address)) => self.shard.relocate(id, address),
                Some(Step::HandshakeBegins) => {
                    let text = "Starting TLS client connection handshake";
                    self.shard.note(id, Level::Debug, text);
                }
                Some(Step::Open(opened)) => return self.open_session(id, opened),
                Some(Step::Refuse(refusal)) => return self.refuse(id, refusal),
            }
        }
    }

    fn open_session(&mut self, id: ConnectionId, opened: Opened) {
        let Opened { secure, greeting } = opened;
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Some(mut stages) = socket.stages.take() else {
            return;
        };
        let mut rest = match &mut stages.now {
            Stage::Opening(opening) => opening.take_rest(),
            Stage::Secure(_) => Vec::new(),
        };
        let Some((stream, secured)) = secure else {
            self.shard.open(id, None);
            self.shard.receive(id, &rest);
            return;
        };
        if let Some(how) = greeting {
            self.shard.greet(id, how);
        }
        self.shard.open(id, Some(secured));
        stages.now = Stage::Secure(stream);
        open(&mut self.shard, &mut stages, id, &mut rest);
        self.staged.to_send.push(id);
        socket.stages = Some(stages);
    }

    fn refuse(&mut self, id: ConnectionId, refusal: Refusal) {
        let reason = match refusal {
            Refusal::ProxyHeader(text) => {
                if let Some(address) = self.shard.address(id) {
                    let text =
                        format!("Error reading PROXY protocol header from {address}: {text}");
                    self.log.push(Record::new(Level::Warn, text));
                }
                CloseReason::ProtocolViolation
            }
            Refusal::Throttled => {
                let at = self.now.after(REFUSED_EVERY);
                self.staged.tell_refused_at.get_or_insert(at);
                CloseReason::ConnectionThrottled
            }
            Refusal::HandshakeTimeout => {
                self.shard.note(id, Level::Debug, "TLS handshake timeout");
                CloseReason::TlsHandshakeFailure
            }
            Refusal::Handshake(failure) => {
                if let Some(note) = &failure.note {
                    self.shard.note(id, Level::Debug, note);
                }
                let level = if failure.is_probe {
                    Level::Debug
                } else {
                    Level::Error
                };
                let text = format!("TLS handshake error: {}", failure.text);
                self.shard.note(id, level, &text);
                CloseReason::TlsHandshakeFailure
            }
        };
        self.shard.hang_up(id, reason);
    }

    fn tell_refused(&mut self) {
        self.staged.tell_refused_at = None;
        let entrance = self.staged.entrance.as_ref();
        let tls = entrance.and_then(|entrance| entrance.tls.as_ref());
        let refused = tls.map_or(0, |tls| tls.take_refused());
        if refused > 0 {
            let text = format!("Rejected {refused} connections due to TLS rate limiting");
            self.log.push(Record::new(Level::Warn, text));
        }
    }

    /// Sends the next load of a connection with stages, unless one is in flight.
    pub(super) fn send_staged(&mut self, id: ConnectionId, may_defer: bool) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Some(stages) = &mut socket.stages else {
            return self.send(id, may_defer);
        };
        stages.wants_send = socket.in_flight.is_some();
        if stages.wants_send {
            return;
        }
        let batch = self.shard.take_batch(id);
        self.moved += batch.as_ref().map_or(0, Batch::len);
        let load = match (&mut stages.now, batch) {
            (Stage::Opening(_), Some(batch)) => Load::Staged {
                bytes: batch.slices(0).collect::<Vec<_>>().concat(),
                batch: Some(batch),
            },
            (_, None) if stages.outgoing.is_empty() => return,
            (_, None) => Load::Staged {
                bytes: std::mem::take(&mut stages.outgoing),
                batch: None,
            },
            (Stage::Secure(stream), Some(batch)) => {
                let mut bytes = self.staged.spare.pop().unwrap_or_default();
                bytes.append(&mut stages.outgoing);
                if stream
                    .seal(batch.slices(0), batch.len(), &mut bytes)
                    .is_err()
                {
                    stages.outgoing = bytes;
                    self.shard.batch_finished(id, batch);
                    self.shard.note(id, Level::Error, "TLS keys are worn out");
                    return self.shard.hang_up(id, CloseReason::WriteError);
                }
                Load::Staged {
                    bytes,
                    batch: Some(batch),
                }
            }
        };
        if load.len() == 0 {
            // The stream is over; what the session still said is for nobody.
            return self.finished(id, load);
        }
        self.send_load(id, load, may_defer);
    }

    /// A staged load has been sent, or never will be.
    pub(super) fn finished_staged(
        &mut self,
        id: ConnectionId,
        mut bytes: Vec<u8>,
        batch: Option<Batch>,
    ) {
        if let Some(batch) = batch {
            self.shard.batch_finished(id, batch);
        }
        if self.staged.spare.len() < SPARE && bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            self.staged.spare.push(bytes);
        }
        self.send_what_waited(id);
    }

    /// After a load has gone: what had to wait for it.
    pub(super) fn send_what_waited(&mut self, id: ConnectionId) {
        let waits =
            |stages: &Stages| (stages.wants_send || !stages.outgoing.is_empty()).then_some(());
        if self.look(id, waits).is_some() {
            self.staged.to_send.push(id);
        }
    }

    /// Says goodbye on a connection whose session is over. Whether there is still something to be sent.
    #[inline]
    pub(super) fn says_goodbye(&mut self, id: ConnectionId) -> bool {
        let is_staged = self
            .sockets
            .get(id)
            .is_some_and(|socket| socket.stages.is_some());
        is_staged && self.says_sealed_goodbye(id)
    }

    fn says_sealed_goodbye(&mut self, id: ConnectionId) -> bool {
        let Some(socket) = self.sockets.get(id) else {
            return false;
        };
        if socket.has_ended {
            return false;
        }
        let is_idle = socket.in_flight.is_none();
        let Some(stages) = &mut socket.stages else {
            return false;
        };
        if let Stage::Secure(stream) = &mut stages.now {
            stream.close_notify(&mut stages.outgoing);
        }
        if is_idle && !stages.outgoing.is_empty() {
            self.send_staged(id, false);
        }
        let owes = |stages: &Stages| (!stages.outgoing.is_empty()).then_some(());
        self.look(id, owes).is_some()
            || self
                .sockets
                .get(id)
                .is_some_and(|socket| socket.in_flight.is_some())
    }
}

/// Opens what came and hands it to the session.
fn open(shard: &mut crate::shard::Shard, stages: &mut Stages, id: ConnectionId, bytes: &mut [u8]) {
    let Stage::Secure(stream) = &mut stages.now else {
        return;
    };
    let opened = stream.open(bytes, &mut stages.outgoing, |plain| {
        shard.receive(id, plain)
    });
    match opened {
        Ok(()) => {}
        Err(Ending::Closed) => shard.hang_up(id, CloseReason::ClientClosed),
        Err(Ending::Broken(text)) => {
            shard.note(id, Level::Debug, &format!("TLS error: {text}"));
            shard.hang_up(id, CloseReason::ReadError);
        }
    }
}
