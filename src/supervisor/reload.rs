//! The configuration file, read again while the server runs. *Control path*, on the main thread.
//!
//! 1. Everything that can fail comes first: reading, comparing, compiling accounts, opening the log, loading certificates.
//!    A reload that fails anywhere here has changed nothing, and says why.
//! 2. What the main thread has is changed: files, the log.
//! 3. Shard 0 gets the new settings, and tells the others to close clients if there are too many. When it has done so the
//!    others get them too. When the last one has announced what follows from them, the log says that it is done.
//!
//! Invariants
//! - One reload at a time: signals that come meanwhile are one more reload, afterwards.
//! - Flags win over the file, as at the start.
//! - The port that the kernel has chosen at the start is the one that was asked for.

use super::config_file::ProcessSurroundings;
use super::listening::Reach;
use super::process_files::{self, PortsFile};
use super::{Broker, entrance, server_info};
use crate::auth::NonceKey;
use crate::base::ids::ShardId;
use crate::base::log::Level;
use crate::config::language::Fault;
use crate::config::reload::changes;
use crate::config::{FileRequest, Identity, Options};
use crate::runtime::logger::{LogChange, Logger};
use crate::runtime::thread::{Directive, Reload};
use crate::session::settings::Settings;
use crate::system::ReloadReply;
use crate::wire::tls::Acceptor;
use std::net::SocketAddr;
use std::sync::Arc;

/// How the server runs, and where that comes from.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) options: Options,
    /// `None` when flags are all there is.
    pub(super) request: Option<FileRequest>,
    pub(super) identity: Identity,
    pub(super) address: Option<SocketAddr>,
    /// Scheme and address of the monitoring port.
    pub(super) monitored: Option<(&'static str, SocketAddr)>,
    /// Makes nonces for as long as the process lives.
    pub(super) key: NonceKey,
    pub(super) settings: Arc<Settings>,
}

/// A reload that shards are being told of.
#[derive(Debug)]
pub(super) struct Reloading {
    reload: Reload,
    /// Shards that have not said that they have it.
    waiting: usize,
    /// Somebody has asked for another one.
    again: bool,
    /// Who waits to hear what has come of it, and of the next one.
    askers: Vec<ReloadReply>,
    askers_of_next: Vec<ReloadReply>,
}

/// A configuration that can be taken over.
struct Prepared {
    options: Options,
    reload: Reload,
    log: Option<LogChange>,
    /// What has changed, for the log.
    lines: Vec<String>,
    warnings: Vec<Fault>,
}

impl Broker<'_> {
    /// Reads the file again, and takes over what has changed.
    pub(super) fn reload(&mut self, asker: Option<ReloadReply>) {
        self.reload_for(asker.into_iter().collect());
    }

    /// The same; all of `askers` hear what comes of it.
    fn reload_for(&mut self, askers: Vec<ReloadReply>) {
        if let Some(reloading) = &mut self.reloading {
            reloading.again = true;
            reloading.askers_of_next.extend(askers);
            return;
        }
        self.service_manager.reloading();
        match self.prepare() {
            Ok(prepared) => self.take_over(prepared, askers),
            Err(why) => {
                let text = format!("Failed to reload server configuration: {why}");
                self.log(Level::Error, text);
                self.service_manager.reload_refused();
                answer(askers, &Err(why));
            }
        }
    }

    /// A shard goes on with the new configuration.
    pub(super) fn hear_reloaded(&mut self, shard: ShardId) {
        let Some(reloading) = &mut self.reloading else {
            return;
        };
        reloading.waiting -= 1;
        if reloading.waiting > 0 {
            if shard == ShardId(0) {
                let reload = reloading.reload.clone();
                let others = self.shards().skip(1);
                self.tell(others, || Directive::Reload(Box::new(reload.clone())));
            }
            return;
        }
        let is_asked_again = reloading.again;
        let askers = std::mem::take(&mut reloading.askers);
        let askers_of_next = std::mem::take(&mut reloading.askers_of_next);
        let entrance = reloading.reload.entrance.as_ref();
        let tls = entrance.and_then(|entrance| entrance.tls.clone());
        self.reloading = None;
        self.tell_monitor(tls);
        let file = self.running.options.config_file.as_ref();
        let digest = file.map(|file| format!("({})", file.digest));
        let digest = digest.unwrap_or_default();
        self.info(format!("Reloaded server configuration {digest}"));
        answer(askers, &Ok(()));
        self.service_manager.ready();
        if is_asked_again {
            self.reload_for(askers_of_next);
        }
    }

    /// Lets the pages show the new configuration, which now holds everywhere.
    fn tell_monitor(&self, tls: Option<Arc<Acceptor>>) {
        let Some(monitor) = &self.monitor else {
            return;
        };
        let options = self.running.options.clone();
        let info = self.running.settings.info.clone();
        let accounts = Arc::clone(&self.running.settings.accounts);
        if let Err(why) = monitor.reload(options, info, accounts, tls) {
            self.log(
                Level::Error,
                format!("Monitoring keeps its certificate: {why}"),
            );
        }
    }

    /// Does all that can fail, and changes nothing.
    fn prepare(&self) -> Result<Prepared, String> {
        let Running {
            options: old,
            request,
            address,
            key,
            settings,
            ..
        } = &self.running;
        let no_file = "can only reload config when a file is provided using -c or --config";
        let request = request.as_ref().ok_or(no_file)?;
        let configured = request.configure_again(&ProcessSurroundings, &old.accounts);
        let configured = configured.map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            faults.join("\n")
        })?;
        let mut options = configured.options;
        if options.port == 0 {
            options.port = old.port;
        }
        let lines = changes(old, &options)?;
        let info = server_info(&options, &settings.info.server_id, *address);
        let settings = settings.renewed(&options, info, *key);
        let settings = settings.map_err(|error| error.to_string())?;
        let log = if logs_alike(old, &options) {
            None
        } else {
            Some(Logger::prepare(&options).map_err(|error| error.to_string())?)
        };
        let reload = Reload {
            settings: Arc::new(settings),
            entrance: entrance(&options, self.logger)?,
            connections_max: options.max_connections,
        };
        Ok(Prepared {
            options,
            reload,
            log,
            lines,
            warnings: configured.warnings,
        })
    }

    fn take_over(&mut self, prepared: Prepared, askers: Vec<ReloadReply>) {
        let Prepared {
            options,
            reload,
            log,
            lines,
            warnings,
        } = prepared;
        for warning in warnings {
            self.log(Level::Warn, warning.to_string());
        }
        let old = std::mem::replace(&mut self.running.options, options);
        self.running.settings = Arc::clone(&reload.settings);
        self.move_files(&old);
        for line in lines {
            self.info(line);
        }
        if let Some(change) = log {
            self.logger.change(change);
        }
        self.reloading = Some(Reloading {
            reload: reload.clone(),
            waiting: self.shards.len(),
            again: false,
            askers,
            askers_of_next: Vec::new(),
        });
        let first = std::iter::once(ShardId(0));
        self.tell(first, || Directive::Reload(Box::new(reload.clone())));
    }

    /// Writes the pid file and the ports file where they belong now. The old pid file stays, as in nats-server.
    fn move_files(&mut self, old: &Options) {
        let options = &self.running.options;
        if let Some(path) = options
            .pid_file
            .as_ref()
            .filter(|path| old.pid_file.as_ref() != Some(path))
            && let Err(error) = process_files::write_pid_file(path)
        {
            // Go's name for what went wrong comes behind nats-server's for what was tried.
            let text = error.to_string();
            let why = text.strip_prefix("Could not write pidfile: ");
            let text = format!("Failed to write pidfile: {}", why.unwrap_or(&text));
            self.log(Level::Error, text);
        }
        if self.running.options.ports_file_dir == old.ports_file_dir {
            return;
        }
        if let Some(file) = self.ports_file.take()
            && let Err(error) = file.remove()
        {
            self.log(Level::Error, error.to_string());
        }
        self.write_ports_file();
    }

    /// Writes the ports file, if one is wanted.
    pub(super) fn write_ports_file(&mut self) {
        let Running {
            options,
            identity,
            address,
            monitored,
            settings,
            ..
        } = &self.running;
        let Some(folder) = &options.ports_file_dir else {
            return;
        };
        let scheme = if settings.info.tls_required {
            "tls"
        } else {
            "nats"
        };
        let reach = Reach {
            clients: address.map(|address| (scheme, address)),
            monitor: *monitored,
            unix_socket: options.unix_socket.as_deref(),
        };
        match PortsFile::write(folder, identity, reach) {
            Ok(file) => self.ports_file = Some(file),
            Err(error) => self.log(Level::Error, error.to_string()),
        }
    }
}

fn answer(askers: Vec<ReloadReply>, outcome: &Result<(), String>) {
    for asker in askers {
        // It may have stopped waiting.
        let _ = asker.send(outcome.clone());
    }
}

/// Whether the log is the same under both.
fn logs_alike(old: &Options, new: &Options) -> bool {
    let of = |options: &Options| {
        (
            (options.log_file.clone(), options.log_format),
            (options.syslog, options.remote_syslog.clone()),
            (options.logtime, options.logtime_utc),
            (options.debug, options.trace),
        )
    };
    of(old) == of(new)
}
