//! One pinned thread and glommio executor per shard. *Start-up.*

use super::acceptor::Acceptor;
use super::account_changes::AccountChanges;
use super::clock::Clock;
use super::doorbell::Doorbells;
use super::logger::Logger;
use super::password_worker::PasswordWorkers;
use super::probe;
use super::pulse::Pulse;
use super::pump::Pump;
use super::scheduling;
use crate::base::ids::{ConnectionId, ShardId};
use crate::session::settings::Settings;
use crate::shard::Shard;
use crate::shard::errand::{Errand, Outcome};
use crate::shard::survey::{Piece, Question};
use crate::wire::opening::Entrance;
use core_affinity::CoreId;
use glommio::{LocalExecutorBuilder, Placement};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

pub use super::acceptor::Arrival;
pub use super::idle::Patience;

/// glommio's preemption timer, as good as off. When it has fired before the executor looks at its task queues, which a
/// short one does whenever the thread is descheduled at the wrong moment, glommio 0.9 parks with a runnable task in the
/// queue and nobody to wake it (docs/decisions/0002). The pump makes way for other tasks itself.
const PREEMPT_EVERY: Duration = Duration::from_secs(3600);
/// Memory that glommio registers for file I/O of its own; the broker has none yet.
const FILE_MEMORY: usize = 64 * 1024;

/// An order from the supervisor or the acceptor to a shard.
#[derive(Debug)]
pub enum Directive {
    /// Take this connection in.
    Adopt(Arrival),
    /// The password of this connection has been compared, and was right or not.
    PasswordChecked(ConnectionId, bool),
    /// Go on with another configuration, and report when everything that follows from it at once has been announced.
    Reload(Box<Reload>),
    /// There are too many clients: close the newest until so many are left.
    KeepAtMost(usize),
    /// Close the listening socket; for shard 0.
    StopAccepting,
    /// Tell clients that the server is about to go, and close them one by one after the grace period.
    LameDuck,
    /// Take the server's own connection in.
    Host(OwnedFd),
    /// Do this and say what came of it.
    Run(Commission),
    /// Answer this question.
    Answer(Inquiry),
    /// Report that it still turns.
    SignOfLife,
    /// End every session and stop.
    ShutDown,
}

/// An errand, and where to go with its outcome.
pub struct Commission {
    pub errand: Errand,
    /// Called on the shard's thread, between the steps of a turn: it must not wait.
    pub reply: Box<dyn FnOnce(Outcome) + Send>,
}

impl fmt::Debug for Commission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errand.fmt(f)
    }
}

/// A question, and where to go with the answer.
pub struct Inquiry {
    pub question: Question,
    /// Called on the shard's thread, between the steps of a turn: it must not wait.
    pub reply: Reply,
}

/// Takes an answer away.
pub type Reply = Box<dyn FnOnce(Piece, &Pulse) + Send>;

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question.fmt(f)
    }
}

/// What a shard must know of a new configuration.
#[derive(Clone, Debug)]
pub struct Reload {
    pub settings: Arc<Settings>,
    /// What connections that come from now on are asked for before their sessions begin.
    pub entrance: Option<Arc<Entrance>>,
    /// For shard 0.
    pub connections_max: u32,
}

/// What a shard tells the supervisor.
#[derive(Debug)]
pub enum Report {
    Ready(ShardId),
    /// It has taken a new configuration over.
    Reloaded(ShardId),
    /// It still turns.
    Alive(ShardId),
    /// In lame duck mode: the last client has gone.
    Deserted(ShardId),
    Stopped(ShardId),
    Failed(ShardId, String),
}

/// Takes reports to the supervisor.
#[derive(Clone)]
pub struct Reports(Arc<dyn Fn(Report) + Send + Sync>);

impl Reports {
    /// `take` is called on the shards' threads, between the steps of a turn: it must not wait.
    pub fn new(take: impl Fn(Report) + Send + Sync + 'static) -> Reports {
        Reports(Arc::new(take))
    }

    pub(super) fn send(&self, report: Report) {
        (self.0)(report);
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reports")
    }
}

/// Where the acceptor gets its connections from.
#[derive(Debug)]
pub struct Doorway {
    /// Listening sockets.
    pub network: Option<OwnedFd>,
    pub local: Option<OwnedFd>,
    pub connections_max: u32,
}

/// What all shard threads have in common.
#[derive(Clone, Debug)]
pub struct Common {
    pub bells: Doorbells,
    pub reports: Reports,
    pub logger: Logger,
    pub passwords: PasswordWorkers,
    pub clock: Clock,
    pub patience: Patience,
    pub account_changes: AccountChanges,
    /// What connections are asked for before their sessions begin; `None` is nothing.
    pub entrance: Option<Arc<Entrance>>,
}

/// The cores this process may use, in order.
pub fn cores() -> Vec<CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

/// Starts the clock that all shards share.
pub fn start_clock() -> Clock {
    Clock::start()
}

/// Starts the thread of a shard, pinned to `core` if there is one for it alone.
///
/// # Errors
/// When the thread cannot be made. What goes wrong inside it comes as a [`Report::Failed`].
pub fn spawn(
    shard: Shard,
    core: Option<CoreId>,
    directives: Receiver<Directive>,
    doorway: Option<Doorway>,
    common: Common,
) -> io::Result<JoinHandle<()>> {
    let id = shard.id();
    std::thread::Builder::new()
        .name(format!("shard-{id}"))
        .spawn(move || {
            let reports = common.reports.clone();
            if let Err(why) = run(shard, core, directives, doorway, common) {
                reports.send(Report::Failed(id, why));
            }
        })
}

fn run(
    shard: Shard,
    core: Option<CoreId>,
    directives: Receiver<Directive>,
    doorway: Option<Doorway>,
    common: Common,
) -> Result<(), String> {
    if let Some(core) = core
        && !core_affinity::set_for_current(core)
    {
        return Err(format!("could not be pinned to core {}", core.id));
    }
    scheduling::ask_for_short_slices();
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name(&format!("shard-{}", shard.id()))
        .io_memory(FILE_MEMORY)
        .preempt_timer(PREEMPT_EVERY)
        .make()
        .map_err(|error| error.to_string())?;
    executor.run(async move {
        let acceptor = doorway.map(|doorway| Acceptor::new(doorway, common.bells.clone()));
        let pump = Pump::new(shard, directives, acceptor, common)
            .map_err(|error| format!("has no ring: {error}; {}", probe::remedy(&error)))?;
        pump.run().await.map_err(|error| error.to_string())
    })
}
