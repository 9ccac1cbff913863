//! The one table of options: every flag's spellings, parser, default, help text, configuration keys and reload class.
//!
//! *Control path.* Pure. What stands inside blocks (users, accounts, TLS) has its rows in [`blocks`].
//!
//! - An option exists when it has a row; it is spelled nowhere else but in the row and in its field.
//! - Every default passes its own row's parser and range (tested).
//! - A zero means the default where nats-server says so ([`Zero::Default`]), and itself elsewhere.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use self::blocks::{ANY, BLOCKS, LIST, LIST_OR_MAP, MAP, TEXT, TEXTS};
use super::duration::{GoDuration, parse_duration};
use super::file::{Field, Reader, accounts, labels, mappings, permissions, proxies, tls, users};
use super::size::parse_size;
use super::{Draft, HostPort, LAME_DUCK_DURATION_MIN, LogFormat, RemoteSyslog, Secret};
use crate::base::limits::SHARDS_MAX;

pub mod blocks;

/// One option.
#[derive(Debug)]
pub struct Row {
    pub group: Group,
    /// Spellings on the command line without dashes, in the order the help text shows them.
    pub names: &'static [&'static str],
    /// What the help text shows for the value; empty for a switch.
    pub operand: &'static str,
    pub kind: Kind,
    /// What is set when nothing else is; in the form a person would write. Empty leaves the option unset.
    pub default: &'static str,
    pub help: &'static str,
    /// Keys in the configuration file, `section.key` inside a section; none for what only the command line can ask
    /// for. The first is the one that the documentation shows.
    pub config_keys: &'static [&'static str],
    pub reload: Reload,
    pub seconds: Seconds,
}

/// How an option's text is read, and where the value goes.
pub enum Kind {
    /// Any text; empty means unset. The setter may refuse it.
    Text(fn(&mut Draft, &str) -> Result<(), &'static str>),
    /// Go's booleans; a flag without a value means true.
    Switch(fn(&mut Draft, bool)),
    /// A whole number.
    Integer(RangeInclusive<i64>, Zero, fn(&mut Draft, i64)),
    /// A byte count, see [`parse_size`].
    Size(RangeInclusive<i64>, Zero, fn(&mut Draft, i64)),
    /// A time span, see [`parse_duration`]. Zero always means the default.
    Span(RangeInclusive<Duration>, fn(&mut Draft, Duration)),
    /// Where to listen, `host:port` or a port alone; of files only.
    Address(RangeInclusive<i64>, fn(&mut Draft, &str, i64)),
    /// Asks for something else than running; `command_line` knows what.
    Request(Request),
    /// nats-server has it, we do not yet.
    Unsupported { takes_value: bool },
    /// nats-server has it, and there is nothing here that it could change; of files only. The help text says why.
    Ignored(Expected),
    /// A value with parts of its own; of files only. The function of `file` that reads it finds its parts' rows in
    /// [`blocks::BLOCKS`].
    Block(Shape, for<'a> fn(&mut Reader<'a>, &Field<'a>)),
    /// A part of a block, which the block's reader takes.
    Part(Shape),
}

/// Which values a block or a part of one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub sorts: &'static [Sort],
    /// With its article, after "must be".
    pub shown: &'static str,
}

/// One type of values of the configuration language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Text,
    Boolean,
    Integer,
    Float,
    List,
    Map,
}

/// The type of an ignored option's value: a wrong one is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Boolean,
    Integer,
    Text,
}

/// What a number without a unit means for a time span in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seconds {
    /// Seconds, with a warning: nats-server's older form.
    Warned,
    /// Seconds, perhaps with a fraction. nats-server warns above a minute: it was likely meant as something else.
    Plain { unwarned_max: Duration },
    /// Nothing. Such an option has a minimum in files, below which flags may go.
    Refused { min: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    Default,
    Itself,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Help,
    TlsHelp,
    Version,
    Signal,
    Config,
    Check,
}

/// Headings of the help text, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Server,
    Logging,
    Authorization,
    Tls,
    Limits,
    Monitor,
    Shards,
    Common,
    Unsupported,
    Ignored,
    /// The parts of a block, under the block's heading in the documentation.
    Part(&'static str),
}

/// What a reload does with a changed option (nats-server's reload.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Takes effect at once or for new connections.
    Live,
    /// The reload is refused as a whole.
    Refused,
}

/// Why a value was not taken. The flag's name is added by whoever knows how it was spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    NotABoolean,
    /// The reason, to be shown after the value.
    Invalid(String),
    Unsupported,
}

impl Row {
    /// Reads `text` and writes the value into `draft`.
    ///
    /// # Errors
    /// When the text is no value of this option or lies outside of its range; `draft` is unchanged then.
    pub fn set(&self, draft: &mut Draft, text: &str) -> Result<(), ValueError> {
        let invalid = |reason: String| Err(ValueError::Invalid(reason));
        match &self.kind {
            Kind::Text(set) => set(draft, text).or_else(|reason| invalid(reason.to_owned())),
            Kind::Switch(set) => {
                set(draft, parse_switch(text).ok_or(ValueError::NotABoolean)?);
                Ok(())
            }
            Kind::Integer(range, zero, set) => match text.parse() {
                Ok(value) => self.set_number(draft, range, *zero, *set, value),
                Err(_) => invalid(format!("expected a whole number, {}", shown_range(range))),
            },
            Kind::Size(range, zero, set) => match parse_size(text) {
                Some(value) => self.set_number(draft, range, *zero, *set, value),
                None => invalid(format!(
                    "expected a size such as 512k or 8MB, {}",
                    shown_range(range)
                )),
            },
            Kind::Span(range, set) => match parse_duration(text) {
                Some(value) => self.set_span(draft, range, *set, value),
                None => invalid(format!(
                    "expected a duration such as 2m, 1h30m or 500ms, {}",
                    shown_span(range)
                )),
            },
            Kind::Request(_) => Ok(()),
            Kind::Unsupported { .. } => Err(ValueError::Unsupported),
            // Rows without a flag never get here.
            Kind::Address(..) | Kind::Ignored(_) | Kind::Block(..) | Kind::Part(_) => Ok(()),
        }
    }

    /// Takes a number if it is in the range, or zero if that means the default.
    ///
    /// # Errors
    /// When it is not; `draft` is unchanged then.
    pub(super) fn set_number(
        &self,
        draft: &mut Draft,
        range: &RangeInclusive<i64>,
        zero: Zero,
        set: fn(&mut Draft, i64),
        value: i64,
    ) -> Result<(), ValueError> {
        if value == 0 && zero == Zero::Default {
            return self.set(draft, self.default);
        }
        if !range.contains(&value) {
            return Err(ValueError::Invalid(format!(
                "must be {}",
                shown_range(range)
            )));
        }
        set(draft, value);
        Ok(())
    }

    /// Takes a time span if it is in the range; zero means the default.
    ///
    /// # Errors
    /// When it is not; `draft` is unchanged then.
    pub(super) fn set_span(
        &self,
        draft: &mut Draft,
        range: &RangeInclusive<Duration>,
        set: fn(&mut Draft, Duration),
        value: Duration,
    ) -> Result<(), ValueError> {
        if value.is_zero() {
            return self.set(draft, self.default);
        }
        if !range.contains(&value) {
            return Err(ValueError::Invalid(format!(
                "must be {}",
                shown_span(range)
            )));
        }
        set(draft, value);
        Ok(())
    }

    /// Writes the row's default into `draft`.
    ///
    /// # Panics
    /// When the default does not pass the row's own parser: the table is wrong.
    pub fn apply_default(&self, draft: &mut Draft) {
        if self.default.is_empty() {
            return;
        }
        let taken = self.set(draft, self.default);
        assert!(taken.is_ok(), "default of {}: {taken:?}", self.name());
    }

    /// The name to speak of it by.
    pub fn name(&self) -> &'static str {
        match (self.config_keys, self.names) {
            ([key, ..], _) | ([], [key, ..]) => key,
            ([], []) => "",
        }
    }

    /// Whether the flag may stand without a value.
    pub fn is_switch(&self) -> bool {
        match &self.kind {
            Kind::Switch(_) | Kind::Unsupported { takes_value: false } => true,
            Kind::Request(request) => !matches!(request, Request::Signal | Request::Config),
            _ => false,
        }
    }

    const fn default(mut self, default: &'static str) -> Row {
        self.default = default;
        self
    }

    const fn config(mut self, keys: &'static [&'static str], reload: Reload) -> Row {
        self.config_keys = keys;
        self.reload = reload;
        self
    }

    const fn seconds(mut self, seconds: Seconds) -> Row {
        self.seconds = seconds;
        self
    }
}

/// The row with the spelling `name`, which carries no dashes.
pub fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.names.contains(&name))
}

/// Every option, those inside blocks included.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(BLOCKS)
}

/// The row of a key in a file, `section.key` inside a section or block, in lower case.
pub fn find_key(path: &str) -> Option<&'static Row> {
    /// By key: a file may have a hundred thousand.
    static ROWS: LazyLock<BTreeMap<&str, &Row>> = LazyLock::new(|| {
        let keys_of = |row: &'static Row| row.config_keys.iter().map(move |key| (*key, row));
        rows().flat_map(keys_of).collect()
    });
    ROWS.get(path).copied()
}

/// Whether `path` is a map whose keys are options themselves. A block is none: it has a reader.
pub fn is_section(path: &str) -> bool {
    let keys = TABLE.iter().flat_map(|row| row.config_keys);
    keys.filter_map(|key| key.rsplit_once('.'))
        .any(|(section, _)| section == path)
}

/// Go's `strconv.ParseBool`.
pub fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

pub(super) fn shown_range(range: &RangeInclusive<i64>) -> String {
    match *range.end() {
        i64::MAX => format!("at least {}", range.start()),
        end => format!("{} to {end}", range.start()),
    }
}

pub(super) fn shown_span(range: &RangeInclusive<Duration>) -> String {
    format!(
        "{} to {}",
        GoDuration(*range.start()),
        GoDuration(*range.end())
    )
}

/// A value that its row's range has already brought into the field's type.
fn fit<T: TryFrom<i64>>(value: i64) -> T {
    T::try_from(value).unwrap_or_else(|_| unreachable!("{value} passed its row's range"))
}

/// None at all for 0, and a free one for -1, as nats-server has it.
fn monitor_port(value: i64) -> Option<u16> {
    (value != 0).then(|| fit(value.max(0)))
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

const fn row(
    group: Group,
    names: &'static [&'static str],
    operand: &'static str,
    kind: Kind,
    help: &'static str,
) -> Row {
    Row {
        group,
        names,
        operand,
        kind,
        default: "",
        help,
        config_keys: &[],
        reload: Reload::Refused,
        seconds: Seconds::Warned,
    }
}

const fn unsupported(names: &'static [&'static str], takes_value: bool) -> Row {
    row(
        Group::Unsupported,
        names,
        "",
        Kind::Unsupported { takes_value },
        "",
    )
}

/// An option of files that is refused by name, under `false` accepted if it is a switch.
const fn unsupported_key(keys: &'static [&'static str]) -> Row {
    unsupported(&[], true).config(keys, Reload::Refused)
}

const fn unsupported_switch(keys: &'static [&'static str]) -> Row {
    unsupported(&[], false).config(keys, Reload::Refused)
}

const fn ignored(keys: &'static [&'static str], expected: Expected, why: &'static str) -> Row {
    row(Group::Ignored, &[], "", Kind::Ignored(expected), why).config(keys, Reload::Live)
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Text(_) => "Text",
            Kind::Switch(_) => "Switch",
            Kind::Integer(..) => "Integer",
            Kind::Size(..) => "Size",
            Kind::Span(..) => "Span",
            Kind::Request(_) => "Request",
            Kind::Unsupported { .. } => "Unsupported",
            Kind::Address(..) => "Address",
            Kind::Ignored(_) => "Ignored",
            Kind::Block(..) => "Block",
            Kind::Part(_) => "Part",
        })
    }
}

/// nats-server keeps these in an `int32`.
const INT32_MAX: i64 = i32::MAX as i64;
const PORTS: RangeInclusive<i64> = -1..=65_535;
const COUNT_MAX: i64 = u32::MAX as i64;
/// A year: long enough for any timer, and far from overflow.
const SPAN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
/// The index and the lanes keep lengths of subjects and arguments in 16 bits (nats-server: 31).
const CONTROL_LINE_MAX: i64 = 65_535;

/// Of some 500 bytes each, if they are ever needed.
const CLOSED_MAX: i64 = 1_000_000;

/// Longer spinning is a busy core, not a short cut.
const SPIN_US_MAX: i64 = 10_000;
/// Measured, see docs on performance; as is [`LINGER_US_DEFAULT`].
const SPIN_US_DEFAULT: &str = "40";
const LINGER_US_DEFAULT: &str = "100";
/// Longer gathering fills the receive buffers.
const LINGER_US_MAX: i64 = 1_000;

/// Every option, in the order of the help text.
#[rustfmt::skip] // One option reads best as one or two lines.
pub static TABLE: &[Row] = &[
    row(Group::Server, &["a", "addr", "net"], "<host>",
        Kind::Text(|draft, text| {
            if !text.is_empty() {
                draft.options.host = text.to_owned();
            }
            Ok(())
        }), "Bind to host address").default("0.0.0.0").config(&["host", "net"], Reload::Refused),
    row(Group::Server, &["p", "port"], "<port>",
        Kind::Integer(PORTS, Zero::Default, |draft, value| draft.options.port = fit(value.max(0))),
        "Use port for clients, -1 for a free one").default("4222").config(&["port"], Reload::Refused),
    row(Group::Server, &[], "",
        Kind::Address(PORTS, |draft, host, port| {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            draft.options.host = host.to_owned();
            draft.options.port = fit(port.max(0));
        }), "Address and port for clients in one; or unix:/path, for a Unix socket alone").config(&["listen"], Reload::Refused),
    row(Group::Server, &["unix_socket"], "<path>",
        Kind::Text(|draft, text| { draft.options.unix_socket = some_text(text).map(Into::into); Ok(()) }),
        "Unix socket for clients, beside the port").config(&["unix_socket"], Reload::Refused),
    row(Group::Server, &["unix_socket_mode"], "<mode>",
        Kind::Text(|draft, text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            draft.options.unix_socket_mode = mode.ok_or("expected permissions such as 0660")?;
            Ok(())
        }), "Permissions of the Unix socket, in octal digits").default("0660")
        .config(&["unix_socket_mode"], Reload::Refused),
    row(Group::Server, &["unix_socket_group"], "<group>",
        Kind::Text(|draft, text| { draft.options.unix_socket_group = some_text(text); Ok(()) }),
        "Group of the Unix socket, by name or number (default: that of the process)")
        .config(&["unix_socket_group"], Reload::Refused),
    row(Group::Server, &["n", "name", "server_name"], "<server_name>",
        Kind::Text(|draft, text| { draft.options.server_name = some_text(text); Ok(()) }),
        "Server name (default: auto)").config(&["server_name"], Reload::Refused),
    row(Group::Server, &[], "", Kind::Block(TEXTS, labels::tags),
        "Words by which requests in the system account choose servers; lower case").config(&["server_tags"], Reload::Live),
    row(Group::Server, &[], "", Kind::Block(MAP, labels::metadata),
        "Names and texts that say more about the server to those who look after it")
        .config(&["server_metadata"], Reload::Live),
    row(Group::Server, &["P", "pid"], "<file>",
        Kind::Text(|draft, text| { draft.options.pid_file = some_text(text).map(Into::into); Ok(()) }),
        "File to store PID").config(&["pid_file", "pidfile"], Reload::Live),
    row(Group::Server, &["sl", "signal"], "<signal>[=<pid>]", Kind::Request(Request::Signal),
        "Send signal to a running process (ldm, stop, quit, term, reopen, reload);\n\
         <pid> is a PID, the path of a PID file, or the start of a PID and *"),
    row(Group::Server, &["client_advertise"], "<string>",
        Kind::Text(|draft, text| {
            draft.options.client_advertise = match text {
                "" => None,
                _ => Some(HostPort::parse(text).ok_or("expected host or host:port")?),
            };
            Ok(())
        }), "Client URL to advertise to other servers").config(&["client_advertise"], Reload::Live),
    row(Group::Server, &["ports_file_dir"], "<dir>",
        Kind::Text(|draft, text| { draft.options.ports_file_dir = some_text(text).map(Into::into); Ok(()) }),
        "Creates a ports file in the specified directory (<executable_name>_<pid>.ports)")
        .config(&["ports_file_dir"], Reload::Live),
    row(Group::Server, &["lame_duck_duration"], "<duration>",
        Kind::Span(MILLISECOND..=SPAN_MAX, |draft, value| draft.options.lame_duck_duration = value),
        "Time over which clients are sent away in lame duck mode").default("2m")
        .config(&["lame_duck_duration"], Reload::Refused)
        .seconds(Seconds::Refused { min: LAME_DUCK_DURATION_MIN }),
    row(Group::Server, &["lame_duck_grace_period"], "<duration>",
        Kind::Span(MILLISECOND..=SPAN_MAX, |draft, value| draft.options.lame_duck_grace_period = value),
        "Time before the first is sent away").default("10s").config(&["lame_duck_grace_period"], Reload::Refused)
        .seconds(Seconds::Refused { min: Duration::ZERO }),
    row(Group::Server, &["no_header_support"], "",
        Kind::Switch(|draft, on| draft.options.no_header_support = on),
        "Do not offer message headers").config(&["no_header_support"], Reload::Refused),
    row(Group::Server, &["no_fast_producer_stall"], "",
        Kind::Switch(|draft, on| draft.options.no_fast_producer_stall = on),
        "Do not slow down publishers that outrun their subscribers")
        .config(&["no_fast_producer_stall"], Reload::Live),

    row(Group::Logging, &["l", "log"], "<file>",
        Kind::Text(|draft, text| { draft.options.log_file = some_text(text).map(Into::into); Ok(()) }),
        "File to redirect log output").config(&["log_file", "logfile"], Reload::Live),
    row(Group::Logging, &["T", "logtime"], "",
        Kind::Switch(|draft, on| draft.options.logtime = on), "Timestamp log entries").default("true")
        .config(&["logtime"], Reload::Live),
    row(Group::Logging, &["logtime_utc"], "",
        Kind::Switch(|draft, on| draft.options.logtime_utc = on),
        "Timestamps in UTC instead of local time").config(&["logtime_utc"], Reload::Live),
    row(Group::Logging, &["D", "debug"], "",
        Kind::Switch(|draft, on| draft.options.debug = on),
        "Enable debugging output").config(&["debug"], Reload::Live),
    row(Group::Logging, &["V", "trace"], "",
        Kind::Switch(|draft, on| draft.options.trace = on),
        "Trace the raw protocol").config(&["trace"], Reload::Live),
    row(Group::Logging, &["VV"], "",
        Kind::Switch(|draft, on| { draft.options.trace = on; draft.options.trace_verbose = on; }),
        "Verbose trace (traces system account as well)").config(&["trace_verbose"], Reload::Live),
    row(Group::Logging, &["DV"], "",
        Kind::Switch(|draft, on| { draft.options.debug = on; draft.options.trace = on; }), "Debug and trace"),
    row(Group::Logging, &["DVV"], "",
        Kind::Switch(|draft, on| {
            draft.options.debug = on;
            draft.options.trace = on;
            draft.options.trace_verbose = on;
        }), "Debug and verbose trace (traces system account as well)"),
    row(Group::Logging, &["trace_headers"], "",
        Kind::Switch(|draft, on| { draft.options.trace = on; draft.options.trace_headers = on; }),
        "Trace the raw protocol, of messages the headers only").config(&["trace_headers"], Reload::Live),
    row(Group::Logging, &["log_size_limit"], "<limit>",
        Kind::Size(0..=i64::MAX, Zero::Itself, |draft, value| draft.options.log_size_limit = fit(value)),
        "Logfile size at which a new one is begun (default: never)")
        .config(&["log_size_limit", "logfile_size_limit"], Reload::Refused),
    row(Group::Logging, &[], "",
        Kind::Integer(-1..=INT32_MAX, Zero::Itself, |draft, value| draft.options.log_files_max = fit(value.max(0))),
        "Logfiles to keep, the one in use included (default: all)")
        .config(&["logfile_max_num", "log_max_num"], Reload::Refused),
    row(Group::Logging, &["s", "syslog"], "",
        Kind::Switch(|draft, on| draft.options.syslog = on), "Log to syslog").config(&["syslog"], Reload::Live),
    row(Group::Logging, &["r", "remote_syslog"], "<url>",
        Kind::Text(|draft, text| {
            draft.options.remote_syslog = match text {
                "" => None,
                _ => Some(RemoteSyslog::parse(text).ok_or("expected udp://host:port, tcp://host:port or unix:///path")?),
            };
            Ok(())
        }), "Syslog server to log to (udp://127.0.0.1:514)").config(&["remote_syslog"], Reload::Live),
    row(Group::Logging, &["log_format"], "<format>",
        Kind::Text(|draft, text| {
            draft.options.log_format = LogFormat::parse(text).ok_or("expected text or json")?;
            Ok(())
        }), "Log lines as text, or as JSON objects").default("text").config(&["log_format"], Reload::Live),
    row(Group::Logging, &["max_traced_msg_len"], "<len>",
        Kind::Integer(-1..=INT32_MAX, Zero::Itself,
            |draft, value| draft.options.max_traced_msg_len = fit(value.max(0))),
        "Maximum printable length for traced messages (default: unlimited)")
        .config(&["max_traced_msg_len"], Reload::Live),

    row(Group::Authorization, &["user"], "<user>",
        Kind::Text(|draft, text| { draft.user = text.to_owned(); Ok(()) }),
        "User required for connections").config(&["authorization.user", "authorization.username"], Reload::Live),
    row(Group::Authorization, &["pass"], "<password>",
        Kind::Text(|draft, text| { draft.password = Secret::new(text); Ok(()) }),
        "Password required for connections").config(&["authorization.password", "authorization.pass"], Reload::Live),
    row(Group::Authorization, &["auth"], "<token>",
        Kind::Text(|draft, text| { draft.token = Secret::new(text); Ok(()) }),
        "Authorization token required for connections").config(&["authorization.token"], Reload::Live),
    row(Group::Authorization, &["auth_timeout"], "<duration>",
        Kind::Span(MILLISECOND..=SPAN_MAX, |draft, value| draft.auth_timeout = Some(value)),
        "Time a client has to introduce itself").default("2s")
        .config(&["authorization.timeout"], Reload::Live).seconds(Seconds::Plain { unwarned_max: MINUTE }),
    row(Group::Authorization, &[], "", Kind::Block(LIST, users::of_authorization),
        "Users instead of a single one; their parts are below").config(&["authorization.users"], Reload::Live),
    row(Group::Authorization, &[], "", Kind::Block(MAP, permissions::of_authorization),
        "For users of this block that have none of their own")
        .config(&["authorization.default_permissions", "authorization.default_permission", "authorization.permissions"],
            Reload::Live),
    row(Group::Authorization, &[], "",
        Kind::Switch(|draft, on| draft.options.proxy_required = on),
        "Whether the single user, or who knows the token, must come through a trusted proxy")
        .config(&["authorization.proxy_required"], Reload::Refused),
    row(Group::Authorization, &[], "",
        Kind::Text(|draft, text| { draft.options.no_auth_user = some_text(text); Ok(()) }),
        "The user that clients without credentials are").config(&["no_auth_user"], Reload::Refused),
    row(Group::Authorization, &[], "", Kind::Block(LIST_OR_MAP, accounts::read),
        "Accounts: subject spaces of their own, by name; or a list of their names")
        .config(&["accounts"], Reload::Live),
    row(Group::Authorization, &[], "", Kind::Block(MAP, mappings::of_server),
        "From subjects to those that messages are routed by instead, for clients of no account; \
         a subject, or destinations with weights").config(&["mappings", "maps"], Reload::Live),
    row(Group::Authorization, &[], "", Kind::Block(TEXT, accounts::system_account),
        "The account of the server's own events and services (default: $SYS)")
        .config(&["system_account", "system"], Reload::Refused),
    row(Group::Authorization, &[], "",
        Kind::Switch(|draft, on| draft.options.no_system_account = on),
        "No system account, unless one is named").config(&["no_system_account", "no_system", "no_sys_acc"], Reload::Refused),
    row(Group::Authorization, &[], "", Kind::Block(MAP, proxies::read),
        "Proxies that are believed").config(&["proxies"], Reload::Live),

    row(Group::Tls, &["tls"], "", Kind::Switch(|draft, on| draft.tls_flags.on = Some(on)),
        "Enable TLS, do not verify clients"),
    row(Group::Tls, &["tlscert"], "<file>",
        Kind::Text(|draft, text| { draft.tls_flags.certificate = Some(text.into()); Ok(()) }),
        "Server certificate file"),
    row(Group::Tls, &["tlskey"], "<file>",
        Kind::Text(|draft, text| { draft.tls_flags.key = Some(text.into()); Ok(()) }),
        "Private key for server certificate"),
    row(Group::Tls, &["tlsverify"], "", Kind::Switch(|draft, on| draft.tls_flags.verify = Some(on)),
        "Enable TLS, verify client certificates"),
    row(Group::Tls, &["tlscacert"], "<file>",
        Kind::Text(|draft, text| { draft.tls_flags.ca_file = Some(text.into()); Ok(()) }),
        "Client certificate CA for verification"),
    row(Group::Tls, &[], "", Kind::Block(MAP, tls::of_clients), "TLS for clients; its parts are below")
        .config(&["tls"], Reload::Live),
    row(Group::Tls, &[], "", Kind::Switch(|draft, on| draft.options.allow_non_tls = on),
        "Plain connections beside those with TLS").config(&["allow_non_tls"], Reload::Refused),
    row(Group::Tls, &[], "", Kind::Switch(|draft, on| draft.options.proxy_protocol = on),
        "Connections begin with a header of the PROXY protocol, version 1 or 2")
        .config(&["proxy_protocol"], Reload::Refused),

    row(Group::Limits, &["max_payload"], "<size>",
        Kind::Size(1..=INT32_MAX, Zero::Default, |draft, value| draft.options.max_payload = fit(value)),
        "Largest message").default("1MB").config(&["max_payload"], Reload::Live),
    row(Group::Limits, &["max_pending"], "<size>",
        Kind::Size(1..=i64::MAX, Zero::Default, |draft, value| draft.options.max_pending = fit(value)),
        "Bytes waiting for a client at which it is closed as slow").default("64MB")
        .config(&["max_pending"], Reload::Refused),
    row(Group::Limits, &["max_connections"], "<number>",
        Kind::Integer(-1..=COUNT_MAX, Zero::Itself,
            |draft, value| draft.options.max_connections = fit(value.max(0))),
        "Clients at one time; 0 or -1 for none at all").default("65536")
        .config(&["max_connections", "max_conn"], Reload::Live),
    row(Group::Limits, &["max_control_line"], "<size>",
        Kind::Size(1..=CONTROL_LINE_MAX, Zero::Default, |draft, value| draft.options.max_control_line = fit(value)),
        "Longest protocol line").default("4096").config(&["max_control_line"], Reload::Live),
    row(Group::Limits, &["max_subscriptions", "max_subs"], "<number>",
        Kind::Integer(-1..=COUNT_MAX, Zero::Itself,
            |draft, value| draft.options.max_subscriptions = fit(value.max(0))),
        "Subscriptions of one client (default: unlimited)")
        .config(&["max_subscriptions", "max_subs"], Reload::Refused),
    row(Group::Limits, &["max_sub_tokens", "max_subscription_tokens"], "<number>",
        Kind::Integer(0..=255, Zero::Itself, |draft, value| draft.options.max_sub_tokens = fit(value)),
        "Tokens of a subscription's subject (default: unlimited)")
        .config(&["max_sub_tokens", "max_subscription_tokens"], Reload::Refused),
    row(Group::Limits, &["write_deadline"], "<duration>",
        Kind::Span(MILLISECOND..=SPAN_MAX, |draft, value| draft.options.write_deadline = value),
        "Time a send may be stuck before a client is closed as slow").default("10s")
        .config(&["write_deadline"], Reload::Live),
    row(Group::Limits, &[], "",
        Kind::Text(|_, text| match text {
            "default" | "close" => Ok(()),
            "retry" => Err("retry is not supported yet"),
            _ => Err("must be default, close or retry"),
        }), "What happens to a client whose send is stuck: default or close, it is closed").config(&["write_timeout"], Reload::Refused),
    row(Group::Limits, &["ping_interval"], "<duration>",
        Kind::Span(MILLISECOND..=SPAN_MAX, |draft, value| draft.options.ping_interval = value),
        "Time between PINGs to a quiet client").default("2m").config(&["ping_interval"], Reload::Live),
    row(Group::Limits, &["ping_max"], "<number>",
        Kind::Integer(1..=INT32_MAX, Zero::Default, |draft, value| draft.options.ping_max = fit(value)),
        "Unanswered PINGs before a client is closed as stale").default("2").config(&["ping_max"], Reload::Live),

    row(Group::Monitor, &["m", "http_port"], "<port>",
        Kind::Integer(PORTS, Zero::Itself, |draft, value| draft.options.monitor_port = monitor_port(value)),
        "HTTP port for monitoring, -1 for a free one (default: none)")
        .config(&["http_port", "monitor_port"], Reload::Refused),
    row(Group::Monitor, &[], "",
        Kind::Address(PORTS, |draft, host, port| {
            draft.options.monitor_host = host.to_owned();
            draft.options.monitor_port = monitor_port(port);
        }), "Address and port for HTTP monitoring in one; without an address, that for clients")
        .config(&["http"], Reload::Refused),
    row(Group::Monitor, &["ms", "https_port"], "<port>",
        Kind::Integer(PORTS, Zero::Itself, |draft, value| draft.options.monitor_https_port = monitor_port(value)),
        "HTTPS port for monitoring, certificate as in tls block (default: none)")
        .config(&["https_port"], Reload::Refused),
    row(Group::Monitor, &[], "",
        Kind::Address(PORTS, |draft, host, port| {
            draft.options.monitor_host = host.to_owned();
            draft.options.monitor_https_port = monitor_port(port);
        }), "Address and port for HTTPS monitoring in one").config(&["https"], Reload::Refused),
    row(Group::Monitor, &["http_base_path"], "<path>",
        Kind::Text(|draft, text| { draft.options.monitor_base_path = text.to_owned(); Ok(()) }),
        "Where the pages of the monitoring port begin (default: /)")
        .config(&["http_base_path"], Reload::Refused),
    row(Group::Monitor, &["max_closed_clients"], "<number>",
        Kind::Integer(1..=CLOSED_MAX, Zero::Default, |draft, value| draft.options.max_closed_clients = fit(value)),
        "Closed connections that the monitoring port can show").default("10000")
        .config(&["max_closed_clients"], Reload::Refused),

    row(Group::Shards, &["shards"], "<number>",
        Kind::Integer(1..=SHARDS_MAX as i64, Zero::Itself, |draft, value| draft.options.shards = Some(fit(value))),
        "Shards to run, each on a core of its own (default: one per core)").config(&["shards"], Reload::Refused),
    row(Group::Shards, &["spin_us"], "<number>",
        Kind::Integer(0..=SPIN_US_MAX, Zero::Itself, |draft, value| draft.options.spin_us = fit(value)),
        "Microseconds an idle shard spins before it sleeps, 0 for none").default(SPIN_US_DEFAULT)
        .config(&["spin_us"], Reload::Refused),
    row(Group::Shards, &["linger_us"], "<number>",
        Kind::Integer(0..=LINGER_US_MAX, Zero::Itself, |draft, value| draft.options.linger_us = fit(value)),
        "Microseconds a shard gathers messages of a stream, 0 for none").default(LINGER_US_DEFAULT)
        .config(&["linger_us"], Reload::Refused),

    row(Group::Server, &["c", "config"], "<file>", Kind::Request(Request::Config),
        "Configuration file; flags win over it"),
    row(Group::Server, &["t"], "", Kind::Request(Request::Check),
        "Test configuration and exit"),

    row(Group::Common, &["h", "help"], "", Kind::Request(Request::Help), "Show this message"),
    row(Group::Common, &["help_tls"], "", Kind::Request(Request::TlsHelp), "Show what TLS can be configured with"),
    row(Group::Common, &["v", "version"], "", Kind::Request(Request::Version), "Show version"),

    unsupported(&["js", "jetstream"], false),
    unsupported(&["sd", "store_dir"], true).config(&["store_dir", "storedir"], Reload::Refused),
    unsupported(&["routes"], true),
    unsupported(&["cluster"], true).config(&["cluster"], Reload::Refused),
    unsupported(&["cluster_name"], true),
    unsupported(&["no_advertise"], false),
    unsupported(&["cluster_advertise"], true),
    unsupported(&["connect_retries"], true),
    unsupported(&["cluster_listen"], true),
    unsupported(&["profile"], true).config(&["prof_port"], Reload::Refused),
    unsupported_key(&["authorization.auth_callout", "authorization.auth_hook"]),
    unsupported_key(&["default_js_domain"]),
    unsupported_key(&["default_sentinel"]),
    unsupported_key(&["feature_flags"]),
    unsupported_key(&["gateway"]),
    row(Group::Unsupported, &[], "", Kind::Block(ANY, accounts::jetstream), "").config(&["jetstream"], Reload::Refused),
    unsupported_key(&["leafnodes", "leaf"]),
    unsupported_key(&["mqtt"]),
    unsupported_switch(&["ocsp"]),
    unsupported_switch(&["ocsp_cache"]),
    unsupported_key(&["operator", "operators", "root", "roots", "root_operator", "root_operators"]),
    unsupported_key(&["resolver", "account_resolver", "accounts_resolver"]),
    unsupported_key(&["resolver_pinned_accounts"]),
    unsupported_key(&["resolver_preload"]),
    unsupported_key(&["resolver_tls"]),
    unsupported_key(&["trusted_keys", "trusted"]),
    unsupported_key(&["websocket", "ws"]),

    ignored(&["connect_error_reports"], Expected::Integer,
        "Spaces out log lines about failed connections to other servers, of which there are none"),
    ignored(&["reconnect_error_reports"], Expected::Integer,
        "Spaces out log lines about failed connections to other servers, of which there are none"),
    ignored(&["disable_sublist_cache", "no_sublist_cache"], Expected::Boolean,
        "Tunes a cache of nats-server's own; no answer depends on it"),
    ignored(&["prof_block_rate"], Expected::Integer,
        "Tunes the profiling port, which is refused by its own name"),
];
