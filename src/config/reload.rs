//! What differs between the options of a running server and those of its file, read again, and which of it may change
//! while it runs.
//!
//! *Control path.* Pure.
//!
//! - `COMPARED` has one entry for each option, in the order of nats-server's own list: in that order it tells what has
//!   changed, and finds the first change that it refuses.
//! - Whether an option may change is said by the table ([`super::table::Reload`]); a test holds the two together.
//! - No text shows a secret.

use std::path::PathBuf;

use super::authorization::{Auth, Credentials, User};
use super::duration::GoDuration;
use super::go_text::go_quote;
use super::tls::HandshakeFirst;
use super::{HostPort, Options, is_anybody};
use crate::base::ids::AccountId;

/// What has changed, a line for the log each; or why the options cannot become the new ones while the server runs.
///
/// # Errors
/// nats-server's text about the first option that would have to stay as it is.
pub fn changes(old: &Options, new: &Options) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for Compared(_, change) in COMPARED {
        match change {
            Change::Never(field, shown) => {
                let (old, new) = (shown(old), shown(new));
                if old != new {
                    return Err(not_supported(field, &old, &new));
                }
            }
            Change::Live(line) => lines.extend(line(old, new)),
            Change::Lists(of_change) => lines.extend(of_change(old, new)),
            Change::Rarely(judge) => judge(old, new)?,
        }
    }
    Ok(lines)
}

/// An option by its row's name, and what a change of it means.
struct Compared(
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "it is how a test finds the row")
    )]
    &'static str,
    Change,
);

enum Change {
    /// nats-server's name for it, and how Go prints its value.
    Never(&'static str, fn(&Options) -> String),
    /// The line for the log, if it has changed.
    Live(fn(&Options, &Options) -> Option<String>),
    /// As above, with more than one line perhaps.
    Lists(fn(&Options, &Options) -> Vec<String>),
    /// Some changes are refused, and none is told.
    Rarely(fn(&Options, &Options) -> Result<(), String>),
}

use Change::{Lists, Live, Never, Rarely};

#[rustfmt::skip] // One option reads best as one or two lines.
static COMPARED: &[Compared] = &[
    Compared("server_name", Never("ServerName", |o| o.server_name.clone().unwrap_or_default())),
    Compared("host", Never("Host", |o| match (&o.unix_socket, o.listens_on_tcp) {
        (Some(path), false) => format!("unix:{}", path.display()),
        _ => o.host.clone(),
    })),
    Compared("port", Never("Port", |o| o.port.to_string())),
    Compared("client_advertise", Live(|old, new| {
        let shown = new.client_advertise.as_ref().map(HostPort::to_string);
        changed(&old.client_advertise, &new.client_advertise,
            // Without the last letter in nats-server too.
            || format!("Reload: client_advertise = {}", shown.unwrap_or_default()))
    })),
    Compared("trace", Live(|old, new| told("trace", old.trace, new.trace))),
    Compared("debug", Live(|old, new| told("debug", old.debug, new.debug))),
    Compared("trace_verbose", Live(|old, new| told("trace_verbose", old.trace_verbose, new.trace_verbose))),
    Compared("trace_headers", Live(|old, new| told("trace_headers", old.trace_headers, new.trace_headers))),
    Compared("no_header_support", Never("NoHeaderSupport", |o| o.no_header_support.to_string())),
    Compared("logtime", Live(|old, new| told("logtime", old.logtime, new.logtime))),
    Compared("logtime_utc", Live(|old, new| told("logtime_utc", old.logtime_utc, new.logtime_utc))),
    Compared("max_connections", Live(|old, new| told("max_connections", old.max_connections, new.max_connections))),
    Compared("max_subscriptions", Never("MaxSubs", |o| o.max_subscriptions.to_string())),
    Compared("max_sub_tokens", Never("MaxSubTokens", |o| o.max_sub_tokens.to_string())),
    Compared("authorization.users", Lists(users)),
    Compared("accounts", Live(|old, new| {
        changed(&old.accounts, &new.accounts, || "Reloaded: accounts".to_owned())
    })),
    Compared("no_auth_user", Rarely(no_auth_user)),
    Compared("system_account", Never("SystemAccount", system_account)),
    Compared("no_system_account", Never("NoSystemAccount", |o| o.no_system_account.to_string())),
    Compared("authorization.user", Live(|old, new| {
        changed(&single(old).0, &single(new).0, || "Reloaded: authorization username".to_owned())
    })),
    Compared("authorization.password", Live(|old, new| {
        changed(&single(old).1, &single(new).1, || "Reloaded: authorization password".to_owned())
    })),
    Compared("authorization.proxy_required", Never("ProxyRequired", |o| o.proxy_required.to_string())),
    Compared("proxy_protocol", Never("ProxyProtocol", |o| o.proxy_protocol.to_string())),
    Compared("authorization.token", Live(|old, new| {
        changed(&token(old), &token(new), || "Reloaded: authorization token".to_owned())
    })),
    Compared("ping_interval", Live(|old, new| {
        told_as("ping_interval", old.ping_interval, new.ping_interval, |span| GoDuration(span).to_string())
    })),
    Compared("ping_max", Live(|old, new| told("ping_max", old.ping_max, new.ping_max))),
    Compared("http", Never("HTTPHost", |o| o.monitor_host().to_owned())),
    Compared("http_port", Never("HTTPPort", |o| asked_port(o.monitor_port))),
    Compared("http_base_path", Never("HTTPBasePath", |o| o.monitor_base_path.clone())),
    Compared("https_port", Never("HTTPSPort", |o| asked_port(o.monitor_https_port))),
    Compared("authorization.timeout", Live(|old, new| {
        told_as("authorization timeout", old.auth_timeout, new.auth_timeout, |span| span.as_secs_f64().to_string())
    })),
    Compared("max_control_line", Live(|old, new| told("max_control_line", old.max_control_line, new.max_control_line))),
    Compared("max_payload", Live(|old, new| told("max_payload", old.max_payload, new.max_payload))),
    Compared("max_pending", Never("MaxPending", |o| o.max_pending.to_string())),
    Compared("no_fast_producer_stall", Live(|old, new| {
        let not = if new.no_fast_producer_stall { "not " } else { "" };
        changed(&old.no_fast_producer_stall, &new.no_fast_producer_stall,
            || format!("Reloaded: fast producers will {not}be stalled"))
    })),
    Compared("pid_file", Live(|old, new| {
        // nats-server leaves the old file where it is, and has nothing to say about it.
        told_path("pid_file", &old.pid_file, &new.pid_file).filter(|_| new.pid_file.is_some())
    })),
    Compared("ports_file_dir", Live(|old, new| told_path("ports_file_dir", &old.ports_file_dir, &new.ports_file_dir))),
    Compared("log_file", Live(|old, new| told_path("log_file", &old.log_file, &new.log_file))),
    Compared("log_size_limit", Never("LogSizeLimit", |o| o.log_size_limit.to_string())),
    Compared("logfile_max_num", Never("LogMaxFiles", |o| o.log_files_max.to_string())),
    Compared("syslog", Live(|old, new| told("syslog", old.syslog, new.syslog))),
    Compared("remote_syslog", Live(|old, new| {
        changed(&old.remote_syslog, &new.remote_syslog, || {
            let server = new.remote_syslog.as_ref().map(ToString::to_string);
            format!("Reloaded: remote_syslog = {}", server.unwrap_or_default())
        })
    })),
    Compared("tls", Rarely(tls_that_stays)),
    Compared("tls", Lists(tls)),
    Compared("allow_non_tls", Never("AllowNonTLS", |o| o.allow_non_tls.to_string())),
    Compared("write_deadline", Live(|old, new| {
        told_as("write_deadline", old.write_deadline, new.write_deadline, |span| GoDuration(span).to_string())
    })),
    Compared("max_closed_clients", Never("MaxClosedClients", |o| o.max_closed_clients.to_string())),
    Compared("lame_duck_duration", Never("LameDuckDuration", |o| GoDuration(o.lame_duck_duration).to_string())),
    Compared("lame_duck_grace_period",
        Never("LameDuckGracePeriod", |o| GoDuration(o.lame_duck_grace_period).to_string())),
    Compared("max_traced_msg_len", Live(|old, new| told("max_traced_msg_len", old.max_traced_msg_len, new.max_traced_msg_len))),
    Compared("proxies", Lists(proxies)),
    Compared("server_tags", Live(|old, new| {
        changed(&old.labels.tags(), &new.labels.tags(), || "Reloaded: tags".to_owned())
    })),
    Compared("server_metadata", Live(|old, new| {
        changed(&old.labels.metadata, &new.labels.metadata, || "Reloaded: metadata".to_owned())
    })),
    // nats-server has none of these.
    Compared("unix_socket", Never("UnixSocket", |o| {
        o.unix_socket.as_ref().map_or_else(String::new, |path| path.display().to_string())
    })),
    Compared("unix_socket_mode", Never("UnixSocketMode", |o| format!("{:04o}", o.unix_socket_mode))),
    Compared("unix_socket_group", Never("UnixSocketGroup", |o| o.unix_socket_group.clone().unwrap_or_default())),
    Compared("log_format", Live(|old, new| told("log_format", old.log_format, new.log_format))),
    Compared("shards", Never("Shards", |o| o.shards.map_or_else(|| "auto".to_owned(), |count| count.to_string()))),
    Compared("spin_us", Never("SpinUs", |o| o.spin_us.to_string())),
    Compared("linger_us", Never("LingerUs", |o| o.linger_us.to_string())),
];

/// Rows whose changes are told by another one.
#[cfg(test)]
const TOLD_ELSEWHERE: &[(&str, &str)] = &[
    ("https", "http"),
    ("listen", "host"),
    ("authorization.default_permissions", "authorization.users"),
    ("mappings", "accounts"),
];

/// A port of the monitor as nats-server keeps it: none is 0, any is -1.
fn asked_port(port: Option<u16>) -> String {
    match port {
        None => "0".to_owned(),
        Some(0) => "-1".to_owned(),
        Some(port) => port.to_string(),
    }
}

fn not_supported(field: &str, old: &str, new: &str) -> String {
    format!("config reload not supported for {field}: old={old}, new={new}")
}

fn changed<T: PartialEq>(old: &T, new: &T, line: impl FnOnce() -> String) -> Option<String> {
    (old != new).then(line)
}

fn told<T: PartialEq + ToString>(name: &str, old: T, new: T) -> Option<String> {
    told_as(name, old, new, |value| value.to_string())
}

fn told_as<T: PartialEq>(
    name: &str,
    old: T,
    new: T,
    shown: impl FnOnce(T) -> String,
) -> Option<String> {
    (old != new).then(|| format!("Reloaded: {name} = {}", shown(new)))
}

fn told_path(name: &str, old: &Option<PathBuf>, new: &Option<PathBuf>) -> Option<String> {
    told_as(name, old, new, |path| {
        let path = path.as_ref().map(|path| path.display().to_string());
        path.unwrap_or_default()
    })
}

/// The single user and the password.
fn single(options: &Options) -> (&str, &str) {
    match &options.auth {
        Auth::UserPassword { user, password } => (user, password.expose()),
        _ => ("", ""),
    }
}

fn token(options: &Options) -> &str {
    match &options.auth {
        Auth::Token(token) => token.expose(),
        _ => "",
    }
}

fn users(old: &Options, new: &Options) -> Vec<String> {
    let of_kind = |options: &Options, by_key: bool| -> Vec<User> {
        let Auth::Users(users) = &options.auth else {
            return Vec::new();
        };
        let is_keyed = |user: &&User| matches!(user.credentials, Credentials::Nkey(_));
        let mut users: Vec<User> = users
            .iter()
            .filter(|user| is_keyed(user) == by_key)
            .cloned()
            .collect();
        // In which order they stand in the file makes no difference.
        users.sort_by(|one, other| one.name().cmp(other.name()));
        users
    };
    [(true, "nkey users"), (false, "users")]
        .into_iter()
        .filter(|(by_key, _)| of_kind(old, *by_key) != of_kind(new, *by_key))
        .map(|(_, what)| format!("Reloaded: authorization {what}"))
        .collect()
}

/// It may be taken away together with the user that it names. One that was made for clients without credentials is none.
fn no_auth_user(old: &Options, new: &Options) -> Result<(), String> {
    let named = |options: &Options| {
        let name = options
            .no_auth_user
            .clone()
            .filter(|name| !is_anybody(name));
        name.unwrap_or_default()
    };
    let (was, is) = (named(old), named(new));
    let is_user = |name: &str| match &new.auth {
        Auth::Users(users) => users.iter().any(|user| user.is_called(name)),
        _ => false,
    };
    if was == is || is.is_empty() && !is_user(&was) {
        return Ok(());
    }
    Err(not_supported("NoAuthUser", &was, &is))
}

fn system_account(options: &Options) -> String {
    let id = options.system_account;
    let account = options.accounts.get(id.index());
    // nats-server has no name for the one that it makes itself.
    let account = account.filter(|_| id != AccountId::SYSTEM);
    account.map_or_else(String::new, |account| account.name.clone())
}

fn proxies(old: &Options, new: &Options) -> Vec<String> {
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        let of = of.iter().filter(|key| !from.contains(key));
        of.map(|key| go_quote(key)).collect()
    };
    let (before, after) = (&old.trusted_proxies, &new.trusted_proxies);
    [
        (missing(after, before), "removed"),
        (missing(before, after), "added"),
    ]
    .into_iter()
    .filter(|(keys, _)| !keys.is_empty())
    .map(|(keys, what)| {
        let keys = keys.join(" ");
        format!("Reloaded: proxies trusted keys [{keys}] were {what}")
    })
    .collect()
}

fn tls_that_stays(old: &Options, new: &Options) -> Result<(), String> {
    let map = |options: &Options| options.tls.as_ref().is_some_and(|tls| tls.map).to_string();
    let rate = |options: &Options| {
        let limit = options
            .tls
            .as_ref()
            .and_then(|tls| tls.connection_rate_limit);
        limit.unwrap_or_default().to_string()
    };
    for (field, was, is) in [
        ("TLSMap", map(old), map(new)),
        ("TLSRateLimit", rate(old), rate(new)),
    ] {
        if was != is {
            return Err(not_supported(field, &was, &is));
        }
    }
    Ok(())
}

/// What certificates say may have changed although the names of their files have not: they are always read again.
fn tls(old: &Options, new: &Options) -> Vec<String> {
    let (before, Some(after)) = (old.tls.as_ref(), new.tls.as_ref()) else {
        let gone = old
            .tls
            .as_ref()
            .map(|_| "Reloaded: tls = disabled".to_owned());
        return gone.into_iter().collect();
    };
    let timeout = before.map_or_else(Default::default, |tls| tls.timeout);
    let pins = before.and_then(|tls| tls.pinned_certs.as_ref());
    let first = before.map_or_else(Default::default, |tls| tls.handshake_first);
    let is_first = |first| first != HandshakeFirst::No;
    let fallback = |first| match first {
        HandshakeFirst::Within(delay) => delay,
        HandshakeFirst::No | HandshakeFirst::Always => Default::default(),
    };
    let pinned = after.pinned_certs.as_ref().map_or(0, |pins| pins.len());
    let (first_before, first_after) = (is_first(first), is_first(after.handshake_first));
    let (wait_before, wait_after) = (fallback(first), fallback(after.handshake_first));
    [
        told_as("tls timeout", timeout, after.timeout, |span| {
            span.as_secs_f64().to_string()
        }),
        Some("Reloaded: tls = enabled".to_owned()),
        (pins != after.pinned_certs.as_ref()).then(|| format!("Reloaded: {pinned} pinned_certs")),
        (first_before != first_after)
            .then(|| format!("Reloaded: Client TLS handshake first: {first_after}")),
        (wait_before != wait_after).then(|| {
            let wait = GoDuration(wait_after);
            format!("Reloaded: Client TLS handshake first fallback delay: {wait}")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
