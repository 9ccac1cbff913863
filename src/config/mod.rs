//! The server's options: typed, checked, with nats-server's names and defaults.
//!
//! *Control path.* Pure: nothing here reads a file, a clock or the environment.
//!
//! - One table ([`table`]) drives spelling, parsing, default, help text, configuration key and reload class.
//! - An [`Options`] value that someone else holds has been checked; nobody checks it again.
//! - What nats-server would accept and we cannot do yet is refused by name, never ignored.

pub mod account;
pub mod authorization;
pub mod command_line;
mod draft;
pub mod duration;
pub mod file;
pub mod go_text;
mod help;
pub mod identity;
pub mod labels;
pub mod language;
pub mod log;
pub mod reference;
pub mod reload;
pub mod secret;
pub mod size;
pub mod system_names;
pub mod table;
pub mod tls;

use crate::base::ids::AccountId;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use account::Account;
pub use authorization::{Auth, Permissions, User};
pub use command_line::{
    Action, CommandLineError, SignalCommand, SignalRequest, parse_command_line,
};
pub use draft::{Draft, is_anybody};
pub use file::{Configured, FileRequest};
pub use identity::Identity;
pub use labels::Labels;
pub use log::{LogFormat, RemoteSyslog};
pub use secret::Secret;
pub use tls::Tls;

use authorization::Credentials;
use duration::GoDuration;
use go_text::go_quote;

/// The nats-server release whose behaviour is matched, and whose version a link called `nats-server` reports.
pub const NATS_SERVER_VERSION: &str = "2.15.1";

/// How the server runs. Made by [`parse_command_line`], or [`Options::default`] for nats-server's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file that they come from, if there is one.
    pub config_file: Option<ConfigFile>,
    /// Address or name to listen on. nats-server listens on both IP families for `0.0.0.0` and for `::`.
    pub host: String,
    /// Port for clients; 0 lets the kernel choose (written `-1`, as nats-server wants it).
    pub port: u16,
    /// Whether to listen there at all; not where `host` was written as `unix:…`.
    pub listens_on_tcp: bool,
    /// A Unix socket to listen on.
    pub unix_socket: Option<PathBuf>,
    /// Its permissions.
    pub unix_socket_mode: u32,
    /// Its group, by name or number; `None` is that of the process.
    pub unix_socket_group: Option<String>,
    /// The configured name; none means the server's id.
    pub server_name: Option<String>,
    /// `host[:port]` that INFO shows in place of the listening address.
    pub client_advertise: Option<HostPort>,
    pub pid_file: Option<PathBuf>,
    pub ports_file_dir: Option<PathBuf>,

    pub debug: bool,
    pub trace: bool,
    /// Trace the system account too. Never set without `trace`.
    pub trace_verbose: bool,
    /// Of messages, show the headers only. Never set without `trace`.
    pub trace_headers: bool,
    /// Stamp log lines with the time.
    pub logtime: bool,
    pub logtime_utc: bool,
    pub log_file: Option<PathBuf>,
    /// Size at which the log file is set aside and a new one begun; 0 is never.
    pub log_size_limit: u64,
    /// Log files to keep, the one in use included; 0 is all of them.
    pub log_files_max: u32,
    /// Log to the system's own syslog, unless there is a log file.
    pub syslog: bool,
    /// Log to this syslog server, unless there is a log file.
    pub remote_syslog: Option<RemoteSyslog>,
    pub log_format: LogFormat,
    /// Bytes of a message shown in a trace line; 0 is all of them.
    pub max_traced_msg_len: usize,

    /// Largest message, headers and payload together. At most `max_pending` and at most `i32::MAX`.
    pub max_payload: u32,
    /// Outbox bytes at which a client is closed as a slow consumer.
    pub max_pending: usize,
    /// Client connections at one time; 0 refuses every client, as a negative number does in nats-server.
    pub max_connections: u32,
    /// Longest protocol line without its payload.
    pub max_control_line: u32,
    /// Subscriptions of one connection; 0 is unlimited.
    pub max_subscriptions: u32,
    /// Tokens of a subscription's subject; 0 is unlimited.
    pub max_sub_tokens: u8,
    pub write_deadline: Duration,
    pub ping_interval: Duration,
    /// Unanswered PINGs at which a connection is stale.
    pub ping_max: u32,

    pub labels: Labels,

    pub auth: Auth,
    pub auth_timeout: Duration,
    /// The user that clients without credentials are; always one of [`Auth::Users`].
    pub no_auth_user: Option<String>,
    /// The public nkeys of proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// Whether the single user, or who knows the token, must come through a trusted proxy. Users have a field of their own.
    pub proxy_required: bool,
    /// By [`AccountId`]; `$G` and `$SYS` are always the first two.
    pub accounts: Vec<Account>,
    pub system_account: AccountId,
    /// The server has no events and services of its own.
    pub no_system_account: bool,
    /// `None` is plain connections only.
    pub tls: Option<Tls>,
    /// Plain connections beside those with TLS.
    pub allow_non_tls: bool,
    /// Connections begin with a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    pub no_header_support: bool,
    pub no_fast_producer_stall: bool,
    pub lame_duck_duration: Duration,
    /// Always shorter than `lame_duck_duration`.
    pub lame_duck_grace_period: Duration,

    /// Where to serve HTTP for monitoring; empty is `host`.
    pub monitor_host: String,
    /// `None` is no HTTP; 0 lets the kernel choose.
    pub monitor_port: Option<u16>,
    /// The same for HTTPS. Only one of the two can be served.
    pub monitor_https_port: Option<u16>,
    /// As it was written: with or without slashes at its ends.
    pub monitor_base_path: String,
    /// Closed connections that the monitor can show.
    pub max_closed_clients: usize,

    /// Shards to run; none means one per core of the affinity mask.
    pub shards: Option<u8>,
    /// Microseconds a shard spins before it parks; 0 turns spinning off.
    pub spin_us: u32,
    /// Microseconds that a shard in the middle of a stream sleeps without being woken by single messages; 0 turns it off.
    pub linger_us: u32,
}

impl Options {
    /// What an operator should hear about these options, each as one warning line for the log.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.max_payload > MAX_PAYLOAD_UNWARNED {
            warnings.push(
                "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance"
                    .to_owned(),
            );
        }
        match &self.auth {
            Auth::UserPassword { password, .. } if password.is_empty() => warnings.push(
                "The configured user has no password: the name alone lets a client in".to_owned(),
            ),
            auth if self.has_plain_password(auth) => {
                warnings.push("Plaintext passwords detected, use nkeys or bcrypt".to_owned());
            }
            _ => {}
        }
        if self.unix_socket.is_none() && self.has_processes() {
            warnings.push(
                "Users with peer_user or peer_group cannot connect: there is no unix_socket"
                    .to_owned(),
            );
        }
        if self.lame_duck_duration < LAME_DUCK_DURATION_MIN {
            warnings.push(format!(
                "lame_duck_duration of {} is below nats-server's minimum of {}",
                GoDuration(self.lame_duck_duration),
                GoDuration(LAME_DUCK_DURATION_MIN)
            ));
        }
        warnings
    }

    /// Whether anybody can look at the pages.
    pub fn is_monitored(&self) -> bool {
        self.monitor_port.is_some() || self.monitor_https_port.is_some()
    }

    /// Address of the monitoring port: that for clients, unless it has its own.
    pub fn monitor_host(&self) -> &str {
        if self.monitor_host.is_empty() {
            &self.host
        } else {
            &self.monitor_host
        }
    }

    /// Whether there are users who are proven by their processes.
    fn has_processes(&self) -> bool {
        let is_process = |user: &User| matches!(user.credentials, Credentials::Process { .. });
        matches!(&self.auth, Auth::Users(users) if users.iter().any(is_process))
    }

    /// Whether a password would be better as its bcrypt hash. Users whom their certificates name need none.
    fn has_plain_password(&self, auth: &Auth) -> bool {
        let by_certificate = self.tls.as_ref().is_some_and(|tls| tls.map);
        match auth {
            Auth::None | Auth::Token(_) => false,
            Auth::UserPassword { password, .. } => !password.looks_like_bcrypt(),
            Auth::Users(users) => users.iter().any(|user| match &user.credentials {
                Credentials::Nkey(_) | Credentials::Process { .. } => false,
                Credentials::Password { name, password } if password.is_empty() => {
                    !by_certificate && !is_anybody(name)
                }
                Credentials::Password { password, .. } => !password.looks_like_bcrypt(),
            }),
        }
    }

    /// The checks that look at two options at once, with nats-server's texts.
    fn check(&self) -> Result<(), Contradiction> {
        let contradiction = |keys, text| Err(Contradiction { keys, text });
        if self.lame_duck_grace_period >= self.lame_duck_duration {
            let (grace, whole) = (self.lame_duck_grace_period, self.lame_duck_duration);
            return contradiction(
                &["lame_duck_grace_period", "lame_duck_duration"],
                format!(
                    "lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
                    GoDuration(grace),
                    GoDuration(whole)
                ),
            );
        }
        if usize::try_from(self.max_payload).is_ok_and(|payload| payload > self.max_pending) {
            let (payload, pending) = (self.max_payload, self.max_pending);
            return contradiction(
                &["max_payload", "max_pending"],
                format!("max_payload ({payload}) cannot be higher than max_pending ({pending})"),
            );
        }
        if self
            .server_name
            .as_ref()
            .is_some_and(|name| name.contains(' '))
        {
            let text = "server name cannot contain spaces".to_owned();
            return contradiction(&["server_name"], text);
        }
        if let Some(path) = &self.unix_socket
            && let Err(why) = checked_unix_path(path)
        {
            return contradiction(&["unix_socket"], format!("unix_socket: {why}"));
        }
        if let Some(name) = &self.no_auth_user {
            let is_process = |user: &User| {
                user.is_called(name) && matches!(user.credentials, Credentials::Process { .. })
            };
            let text = match &self.auth {
                Auth::Users(users) if users.iter().any(is_process) => {
                    "is a user with peer_user or peer_group, whom nobody else can be"
                }
                Auth::Users(users) if users.iter().any(|user| user.is_called(name)) => {
                    return Ok(());
                }
                Auth::Users(_) => {
                    "not present as user or nkey in authorization block or account configuration"
                }
                _ => "present, but users/nkeys are not defined",
            };
            let text = format!("no_auth_user: {} {text}", go_quote(name));
            return contradiction(&["no_auth_user"], text);
        }
        Ok(())
    }

    /// Nothing set: what the table's defaults are written into. Not a valid configuration.
    fn blank() -> Options {
        Options {
            config_file: None,
            host: String::new(),
            port: 0,
            listens_on_tcp: true,
            unix_socket: None,
            unix_socket_mode: 0,
            unix_socket_group: None,
            server_name: None,
            client_advertise: None,
            pid_file: None,
            ports_file_dir: None,
            debug: false,
            trace: false,
            trace_headers: false,
            trace_verbose: false,
            logtime: false,
            logtime_utc: false,
            log_file: None,
            log_size_limit: 0,
            log_files_max: 0,
            syslog: false,
            remote_syslog: None,
            log_format: LogFormat::default(),
            max_traced_msg_len: 0,
            max_payload: 0,
            max_pending: 0,
            max_connections: 0,
            max_control_line: 0,
            max_subscriptions: 0,
            max_sub_tokens: 0,
            write_deadline: Duration::ZERO,
            ping_interval: Duration::ZERO,
            ping_max: 0,
            labels: Labels::default(),
            auth: Auth::None,
            auth_timeout: Duration::ZERO,
            no_auth_user: None,
            trusted_proxies: Vec::new(),
            proxy_required: false,
            accounts: account::predefined(),
            system_account: AccountId::SYSTEM,
            no_system_account: false,
            tls: None,
            allow_non_tls: false,
            proxy_protocol: false,
            no_header_support: false,
            no_fast_producer_stall: false,
            lame_duck_duration: Duration::ZERO,
            lame_duck_grace_period: Duration::ZERO,
            monitor_host: String::new(),
            monitor_port: None,
            monitor_https_port: None,
            monitor_base_path: String::new(),
            max_closed_clients: 0,
            shards: None,
            spin_us: 0,
            linger_us: 0,
        }
    }
}

impl Default for Options {
    /// The table's defaults.
    fn default() -> Options {
        Draft::default().options
    }
}

/// A configuration file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// As it was asked for.
    pub path: String,
    /// nats-server's digest of its values.
    pub digest: String,
}

/// Two options that do not go together, or one that is not possible by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The first key in files of each option that is part of it.
    pub keys: &'static [&'static str],
    pub text: String,
}

/// A host and perhaps a port, as in `client_advertise`. IPv6 hosts are kept without their brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    /// None where the text had no port, 0 or -1: the listening port is meant.
    pub port: Option<u16>,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_v6 = self.host.contains(':');
        match (self.port, is_v6) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl HostPort {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
    ///
    /// # Errors
    /// `None` when the host is empty, the port is no port, or a bare IPv6 address has no brackets.
    fn parse(text: &str) -> Option<HostPort> {
        let text = text.trim();
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (
                    host,
                    if after.is_empty() {
                        None
                    } else {
                        Some(after.strip_prefix(':')?)
                    },
                )
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port.map(str::trim) {
            None | Some("0" | "-1") => None,
            Some(port) => Some(port.parse().ok()?),
        };
        let host = host.trim().to_owned();
        (!host.is_empty()).then_some(HostPort { host, port })
    }
}

/// Below this nats-server's configuration file refuses `lame_duck_duration`. Its command line has no such flag;
/// ours has, and takes less with a warning, so that tests need not wait.
pub const LAME_DUCK_DURATION_MIN: Duration = Duration::from_secs(30);

/// What the kernel takes for the path of a socket.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Whether a Unix socket may be there, or why not.
fn checked_unix_path(path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.contains(&0) || bytes.starts_with(b"@") {
        let why = "an abstract socket has no permissions: it has to be a file";
        return Err(format!("{why} (one whose name begins with @ is ./@…)"));
    }
    if !(1..=UNIX_PATH_BYTES_MAX).contains(&bytes.len()) {
        let (most, length) = (UNIX_PATH_BYTES_MAX, bytes.len());
        return Err(format!(
            "expected a path of 1 to {most} bytes, not {length}"
        ));
    }
    Ok(())
}

/// Above this nats-server warns.
const MAX_PAYLOAD_UNWARNED: u32 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
