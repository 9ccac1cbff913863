//! What a service manager is told (systemd's protocol of `sd_notify`): ready, reloading, well, stopping.
//!
//! *Control path.* Does nothing where there is no service manager (`NOTIFY_SOCKET` is not set, or empty). What cannot be told is a line in
//! the log and harms nobody but the service manager.

use crate::base::log::{Level, Record};
use crate::runtime::logger::Logger;
use sd_notify::NotifyState;
use std::time::Duration;

/// Time beyond what lame duck mode should take, before the service manager may lose its patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub(super) struct ServiceManager<'a> {
    logger: &'a Logger,
}

impl<'a> ServiceManager<'a> {
    pub(super) fn new(logger: &'a Logger) -> Self {
        ServiceManager { logger }
    }

    /// How often it wants to be told that all is well.
    pub(super) fn watchdog_interval() -> Option<Duration> {
        if !is_there() {
            return None;
        }
        // Twice in the time it allows, as its manual asks.
        let half = sd_notify::watchdog_enabled()? / 2;
        (!half.is_zero()).then_some(half)
    }

    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready, NotifyState::Status("Running")]);
    }

    pub(super) fn reloading(&self) {
        // It wants to know what it has asked for before this.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    /// A reload is over, and nothing has changed.
    pub(super) fn reload_refused(&self) {
        let status = "Running; the last reload was refused, see the log";
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    pub(super) fn all_is_well(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// Clients are sent away, which takes this long.
    pub(super) fn lame_duck(&self, duration: Duration) {
        let patience = duration.saturating_add(PATIENCE).as_micros();
        let patience = u64::try_from(patience).unwrap_or(u64::MAX);
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::Status("Lame duck mode: clients are sent away"),
            // The crate's own has room for an hour only.
            NotifyState::Custom(&format!("EXTEND_TIMEOUT_USEC={patience}")),
        ]);
    }

    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("Stopping")]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if !is_there() {
            return;
        }
        if let Err(error) = sd_notify::notify(states) {
            let text = format!("The service manager could not be told: {error}");
            self.logger.log(Record::new(Level::Warn, text));
        }
    }
}

fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty())
}
