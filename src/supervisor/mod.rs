//! Start, signals, reload, lame duck, stop. *Control path*, on the main thread: it waits for signals and reports and gives the
//! shards their directives. No message ever passes through here.

pub mod config_file;
pub mod listening;
mod process;
pub mod process_files;
mod reload;
mod service_manager;
pub mod signal_command;
mod threads;
mod watchdog;

use crate::account::Accounts;
use crate::base::ids::ShardId;
use crate::base::log::{Level, Record};
use crate::config::tls::HandshakeFirst;
use crate::config::{FileRequest, Identity, NATS_SERVER_VERSION, Options};
use crate::monitor;
use crate::protocol::info::ServerInfo;
use crate::runtime::account_changes::AccountChanges;
use crate::runtime::doorbell::Doorbells;
use crate::runtime::logger::Logger;
use crate::runtime::thread::{self, Directive, Report};
use crate::runtime::unix_listener::SocketFile;
use crate::runtime::{probe, tls_files};
use crate::session::settings::Settings;
use crate::system::{self, Departure, ReloadReply};
use crate::wire::opening::Entrance;
use crate::wire::tls::Acceptor;
use listening::{Listening, ShownSocket, host_port, shown_host};
use process_files::PortsFile;
use reload::{Reloading, Running};
use service_manager::ServiceManager;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;
use threads::Spawned;
use watchdog::{Ticker, Watchdog};

/// How long shards may take to close their connections when the server stops.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Runs a broker until a signal ends it; gives the process's exit code. `request` is where the options come from, if that
/// is a file; a reload asks it again.
pub fn run(options: &Options, request: Option<&FileRequest>, identity: &Identity) -> u8 {
    let logger = match Logger::start(options) {
        Ok(logger) => logger,
        Err(error) => {
            eprintln!("{}: {error}", identity.program);
            return 1;
        }
    };
    process::abort_on_panic();
    process::spare_locked_memory();
    let code = match Broker::start(options, request, identity, &logger) {
        Ok(broker) => broker.watch(),
        Err(why) => {
            logger.log(Record::new(Level::Fatal, why));
            1
        }
    };
    logger.flush_and_stop();
    code
}

/// A broker at work.
struct Broker<'a> {
    logger: &'a Logger,
    bells: Doorbells,
    shards: Vec<JoinHandle<()>>,
    messages: Receiver<Message>,
    running: Running,
    reloading: Option<Reloading>,
    ports_file: Option<PortsFile>,
    monitor: Option<monitor::Running>,
    services: Option<system::Services>,
    /// While the server listens on a Unix socket.
    socket_file: Option<SocketFile>,
    service_manager: ServiceManager<'a>,
    watchdog: Watchdog,
    /// Where the service manager wants to know that all is well.
    ticker: Option<Ticker>,
    in_lame_duck: bool,
    deserted: usize,
}

/// What the main thread waits for.
enum Message {
    Signal(i32),
    Report(Report),
    /// Somebody in the system account wants the configuration to be read again.
    ReloadAsked(ReloadReply),
    /// It is time to see whether every shard still turns.
    Tick,
}

impl<'a> Broker<'a> {
    fn start(
        options: &Options,
        request: Option<&FileRequest>,
        identity: &Identity,
        logger: &'a Logger,
    ) -> Result<Self, String> {
        let server_id = nkeys::KeyPair::new_server().public_key();
        let server_name = options
            .server_name
            .clone()
            .unwrap_or_else(|| server_id.clone());
        announce(logger, identity, &server_id, &server_name);
        if let Some(file) = &options.config_file {
            let text = format!("Using configuration file: {} ({})", file.path, file.digest);
            logger.log(Record::new(Level::Info, text));
        }
        for warning in options.warnings() {
            logger.log(Record::new(Level::Warn, warning));
        }
        if let Some(obstacle) = probe::obstacle() {
            let remedy = obstacle.remedy.unwrap_or_default();
            return Err(format!(
                "{} cannot be used: {}; {remedy}",
                obstacle.what, obstacle.found
            ));
        }
        let entrance = entrance(options, logger)?;
        process::raise_descriptor_limit(logger);
        let tls = entrance.as_ref().and_then(|entrance| entrance.tls.clone());
        let monitor = open_monitor(options, tls.as_deref(), logger)?;
        let Listening {
            doorway,
            address,
            socket_file,
        } = Listening::open(options)?;
        let info = server_info(options, &server_id, address);
        Accounts::compile(&options.accounts, options.system_account)
            .map_err(|error| error.to_string())?;
        let key = process::nonce_key()?;
        let settings = Settings::new(options, info, key);
        let clock = thread::start_clock();
        let Spawned {
            bells,
            messages,
            sender,
            account_changes,
            shards,
            ticker,
        } = threads::spawn(options, &settings, entrance, doorway, logger, clock)?;
        let mut broker = Broker {
            logger,
            bells,
            shards,
            messages,
            running: Running {
                options: Options {
                    port: address.map_or(options.port, |address| address.port()),
                    ..options.clone()
                },
                request: request.cloned(),
                identity: identity.clone(),
                address,
                monitored: None,
                key,
                settings: Arc::new(settings),
            },
            reloading: None,
            ports_file: None,
            monitor: None,
            services: None,
            socket_file,
            service_manager: ServiceManager::new(logger),
            watchdog: Watchdog::default(),
            ticker,
            in_lame_duck: false,
            deserted: 0,
        };
        broker.wait_until_ready()?;
        if let Some(address) = address {
            let shown = host_port(&shown_host(&options.host), address.port());
            broker.info(format!("Listening for client connections on {shown}"));
        }
        if let Some(file) = &broker.socket_file {
            let shown = ShownSocket(file.path());
            broker.info(format!("Listening for client connections on {shown}"));
        }
        broker.tell_of_entrance(options);
        broker.running.monitored = monitor.as_ref().map(|port| (port.scheme(), port.address));
        let facts = monitor::Facts {
            options: options.clone(),
            info: broker.running.settings.info.clone(),
            accounts: Arc::clone(&broker.running.settings.accounts),
            configured_at: clock.now(),
            accounts_at: clock.now(),
            bells: broker.bells.clone(),
            clock,
            logger: logger.clone(),
            tls,
        };
        broker.attend(monitor, facts, sender, account_changes)?;
        broker.write_files(options)?;
        broker.info("Server is ready");
        broker.service_manager.ready();
        Ok(broker)
    }

    /// Starts the pages, if there is a port for them, and the services of the system account, if there is one.
    fn attend(
        &mut self,
        port: Option<monitor::Port>,
        facts: monitor::Facts,
        sender: Sender<Message>,
        account_changes: AccountChanges,
    ) -> Result<(), String> {
        let settings = &self.running.settings;
        let services = settings.system.map(|_| {
            system::services(system::Means {
                bells: self.bells.clone(),
                events: settings.events.clone(),
                seed: process::seed(),
                account_changes,
                reload: system::AskReload(Box::new(move |reply| {
                    // Nobody listens any more when the server is about to stop.
                    let _ = sender.send(Message::ReloadAsked(reply));
                })),
            })
        });
        let (services, beside) = services.unzip();
        if port.is_none() && beside.is_none() {
            return Ok(());
        }
        self.monitor = Some(monitor::start(port, facts, beside)?);
        self.services = services;
        match &self.services {
            Some(services) if !services.wait_until_ready() => {
                Err("The system services did not begin".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Tells in the system account what is about to happen.
    fn announce_departure(&self, departure: Departure) {
        if let Some(services) = &self.services {
            services.tell(departure);
        }
    }

    /// What clients have to know to get in.
    fn tell_of_entrance(&self, options: &Options) {
        if let Some(tls) = &options.tls {
            self.info("TLS required for client connections");
            if tls.handshake_first == HandshakeFirst::Always {
                let text = "Clients that are not using \"TLS Handshake First\" option will fail to connect";
                self.log(Level::Warn, text);
            }
        }
        if options.proxy_protocol {
            self.info("PROXY protocol enabled for client connections");
        }
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let mut waiting = self.shards.len();
        while waiting > 0 {
            match self.messages.recv() {
                Ok(Message::Report(Report::Ready(_))) => waiting -= 1,
                Ok(Message::Report(Report::Failed(shard, why))) => {
                    return Err(format!("Shard {shard} {why}"));
                }
                Ok(_) => {}
                Err(_) => return Err("The shards have gone".to_owned()),
            }
        }
        Ok(())
    }

    fn write_files(&mut self, options: &Options) -> Result<(), String> {
        if let Some(path) = &options.pid_file {
            process_files::write_pid_file(path).map_err(|error| error.to_string())?;
        }
        self.write_ports_file();
        Ok(())
    }

    /// Waits for signals and reports until it is time to go.
    fn watch(mut self) -> u8 {
        let code = loop {
            match self.messages.recv() {
                Ok(Message::Signal(signal)) => {
                    self.info(format!("Trapped {:?} signal", signal_text(signal)));
                    match signal {
                        SIGINT => break 0,
                        // nats-server, once it has begun to leave gently, goes on doing so.
                        SIGTERM if self.in_lame_duck => {}
                        SIGTERM => break 0,
                        SIGUSR1 => self.logger.reopen(),
                        SIGUSR2 => self.enter_lame_duck(),
                        SIGHUP => self.reload(None),
                        _ => {}
                    }
                }
                Ok(Message::ReloadAsked(reply)) => self.reload(Some(reply)),
                Ok(Message::Tick) => self.ask_for_signs_of_life(),
                Ok(Message::Report(Report::Alive(shard))) => {
                    if self.watchdog.heard(shard) {
                        self.service_manager.all_is_well();
                    }
                }
                Ok(Message::Report(Report::Reloaded(shard))) => self.hear_reloaded(shard),
                Ok(Message::Report(Report::Deserted(_))) => {
                    self.deserted += 1;
                    if self.deserted >= self.shards.len() {
                        break 0;
                    }
                }
                Ok(Message::Report(Report::Failed(shard, why))) => {
                    self.log(Level::Fatal, format!("Shard {shard} has failed: {why}"));
                    break 1;
                }
                Ok(Message::Report(Report::Ready(_) | Report::Stopped(_))) => {}
                Err(_) => break 1,
            }
        };
        self.stop();
        code
    }

    fn enter_lame_duck(&mut self) {
        if std::mem::replace(&mut self.in_lame_duck, true) {
            return;
        }
        self.info("Entering lame duck mode, stop accepting new clients");
        self.announce_departure(Departure::LameDuck);
        // A successor may want the name.
        self.socket_file = None;
        let duration = self.running.options.lame_duck_duration;
        self.service_manager.lame_duck(duration);
        self.tell_all(|| Directive::StopAccepting);
        self.tell_all(|| Directive::LameDuck);
    }

    fn ask_for_signs_of_life(&mut self) {
        if self.watchdog.may_ask() {
            self.shards().for_each(|shard| self.watchdog.asked(shard));
            self.tell_all(|| Directive::SignOfLife);
        }
    }

    fn stop(mut self) {
        self.info("Initiating Shutdown...");
        self.announce_departure(Departure::Shutdown);
        self.services = None;
        self.monitor = None;
        self.socket_file = None;
        self.service_manager.stopping();
        // From here on only the wait below decides how long this may take.
        self.ticker = None;
        self.tell_all(|| Directive::StopAccepting);
        self.tell_all(|| Directive::ShutDown);
        let mut running = self.shards.len();
        while running > 0 {
            match self.messages.recv_timeout(STOP_WAIT_MAX) {
                Ok(Message::Report(Report::Stopped(_) | Report::Failed(..))) => running -= 1,
                Ok(_) => {}
                Err(_) => {
                    self.log(Level::Warn, "Not all connections could be closed in time");
                    break;
                }
            }
        }
        if let Some(file) = self.ports_file.take()
            && let Err(error) = file.remove()
        {
            self.log(Level::Error, error.to_string());
        }
        self.info("Server Exiting..");
    }

    fn tell_all(&self, directive: impl Fn() -> Directive) {
        self.tell(self.shards(), directive);
    }

    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let count = u8::try_from(self.bells.shards()).unwrap_or(u8::MAX);
        (0..count).map(ShardId)
    }

    fn tell(&self, shards: impl Iterator<Item = ShardId>, directive: impl Fn() -> Directive) {
        for shard in shards {
            let mut waiting = Some(directive());
            // A full mailbox is being emptied; only a dead shard never takes it, and then the process is going anyway.
            while let Some(directive) = waiting.take() {
                waiting = self.bells.tell(shard, directive);
                if self.shards[shard.index()].is_finished() {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }

    fn info(&self, text: impl Into<String>) {
        self.log(Level::Info, text);
    }

    fn log(&self, level: Level, text: impl Into<String>) {
        self.logger.log(Record::new(level, text.into()));
    }
}

/// What connections are asked for before their sessions begin.
fn entrance(options: &Options, logger: &Logger) -> Result<Option<Arc<Entrance>>, String> {
    let mut acceptor = None;
    if let Some(tls) = &options.tls {
        let (loaded, warnings) = tls_files::load(tls)?;
        for warning in warnings {
            logger.log(Record::new(Level::Warn, warning));
        }
        acceptor = Some(loaded);
    }
    Ok(Entrance::new(options, acceptor).map(Arc::new))
}

fn announce(logger: &Logger, identity: &Identity, server_id: &str, server_name: &str) {
    let own = env!("CARGO_PKG_VERSION");
    let lines = [
        format!("Starting {}", identity.program),
        format!("  Version:  {NATS_SERVER_VERSION}"),
        format!("  Broker:   trunkline {own}"),
        format!("  Name:     {server_name}"),
        format!("  ID:       {server_id}"),
    ];
    for line in lines {
        logger.log(Record::new(Level::Info, line));
    }
}

fn open_monitor(
    options: &Options,
    tls: Option<&Acceptor>,
    logger: &Logger,
) -> Result<Option<monitor::Port>, String> {
    let port = monitor::Port::open(options, tls)?;
    if let Some(port) = &port {
        let shown = host_port(options.monitor_host(), port.address.port());
        let text = format!("Starting {} monitor on {shown}", port.scheme());
        logger.log(Record::new(Level::Info, text));
    }
    Ok(port)
}

fn server_info(options: &Options, server_id: &str, address: Option<SocketAddr>) -> ServerInfo {
    let advertised = options.client_advertise.as_ref();
    let own = || match &options.unix_socket {
        Some(path) if address.is_none() => ShownSocket(path).to_string(),
        _ => shown_host(&options.host),
    };
    let host = advertised.map_or_else(own, |at| at.host.clone());
    let port = advertised
        .and_then(|at| at.port)
        .or_else(|| address.map(|address| address.port()))
        .unwrap_or_default();
    ServerInfo {
        host,
        port,
        ..ServerInfo::new(options, server_id)
    }
}

fn signal_text(signal: i32) -> &'static str {
    match signal {
        SIGINT => "interrupt",
        SIGTERM => "terminated",
        SIGHUP => "hangup",
        SIGUSR1 => "user defined signal 1",
        SIGUSR2 => "user defined signal 2",
        _ => "unknown",
    }
}
