//! The threads of a broker at their start: one per shard, and those that tell the main thread something. *Control path.*

use super::service_manager::ServiceManager;
use super::watchdog::Ticker;
use super::{Message, process};
use crate::base::limits::{LANE_PARCELS, SHARDS_MAX};
use crate::base::log::{Level, Record};
use crate::config::Options;
use crate::mesh;
use crate::runtime::account_changes::AccountChanges;
use crate::runtime::clock::Clock;
use crate::runtime::doorbell::Doorbells;
use crate::runtime::logger::Logger;
use crate::runtime::password_worker::PasswordWorkers;
use crate::runtime::thread::{self, Common, Doorway, Patience, Reports};
use crate::session::settings::Settings;
use crate::shard::Shard;
use crate::wire::opening::Entrance;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The shards at work, and the ways to them and from them.
pub(super) struct Spawned {
    pub(super) bells: Doorbells,
    pub(super) messages: Receiver<Message>,
    pub(super) sender: Sender<Message>,
    pub(super) account_changes: AccountChanges,
    pub(super) shards: Vec<JoinHandle<()>>,
    pub(super) ticker: Option<Ticker>,
}

/// Starts the threads of a broker: its shards, and those that tell the main thread something.
///
/// # Errors
/// Which part could not be started.
pub(super) fn spawn(
    options: &Options,
    settings: &Settings,
    entrance: Option<Arc<Entrance>>,
    doorway: Doorway,
    logger: &Logger,
    clock: Clock,
) -> Result<Spawned, String> {
    let count = shard_count(options);
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let (bells, mailboxes) = Doorbells::new(count).map_err(failed("Could not make doorbells"))?;
    let (sender, messages) = channel();
    forward_signals(sender.clone()).map_err(failed("Could not listen to signals"))?;
    let ticker = tick(sender.clone()).map_err(failed("Could not start a thread"))?;
    let reporting = sender.clone();
    let reports = Reports::new(move |report| {
        // Nobody listens any more when the process is about to exit.
        let _ = reporting.send(Message::Report(report));
    });
    // Before anything is pinned: a thread inherits where it may run.
    let workers = thread::cores().len() / 2;
    let passwords =
        PasswordWorkers::start(workers, &bells).map_err(failed("Could not start a thread"))?;
    let account_changes = AccountChanges::default();
    let common = Common {
        bells: bells.clone(),
        passwords,
        reports,
        logger: logger.clone(),
        clock,
        patience: Patience {
            spin: Duration::from_micros(u64::from(options.spin_us)),
            linger: Duration::from_micros(u64::from(options.linger_us)),
        },
        account_changes: account_changes.clone(),
        entrance,
    };
    let mut cores = thread::cores();
    if cores.len() < usize::from(count) {
        let have = cores.len();
        let text = format!("{count} shards on {have} cores: the shards are not pinned");
        logger.log(Record::new(Level::Warn, text));
        cores.clear();
    }
    let mut doorway = Some(doorway);
    let mut shards = Vec::new();
    for (index, (mesh, mailbox)) in mesh::build(count, LANE_PARCELS)
        .into_iter()
        .zip(mailboxes)
        .enumerate()
    {
        let mut shard = Shard::new(settings.clone(), mesh, process::seed());
        shard.set_wall_clock(common.clock.wall());
        let core = cores.get(index).copied();
        let spawned = thread::spawn(shard, core, mailbox, doorway.take(), common.clone());
        shards.push(spawned.map_err(failed("Could not start a shard"))?);
    }
    Ok(Spawned {
        bells,
        messages,
        sender,
        account_changes,
        shards,
        ticker,
    })
}

/// One shard per core that the process may use, within its cgroup's quota, unless told otherwise.
fn shard_count(options: &Options) -> u8 {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let count = options
        .shards
        .map_or(available, usize::from)
        .clamp(1, SHARDS_MAX);
    u8::try_from(count).unwrap_or(1)
}

fn forward_signals(to: Sender<Message>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if to.send(Message::Signal(signal)).is_err() {
                    break;
                }
            }
        })?;
    Ok(())
}

fn tick(to: Sender<Message>) -> std::io::Result<Option<Ticker>> {
    let interval = ServiceManager::watchdog_interval();
    let ring = move || to.send(Message::Tick).is_ok();
    interval.map(|every| Ticker::start(every, ring)).transpose()
}
