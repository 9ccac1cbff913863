//! One line of the log: pid, time, level, text, as nats-server prints it, but that control characters are escaped; or a JSON
//! object.
//!
//! *Control path.* Run by the log thread only.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;

use super::output::Output;
use crate::base::ids::ShardId;
use crate::base::log::{Level, Record};
use crate::config::{LogFormat, Options};

/// A record on its way to be written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) when: SystemTime,
    /// Who has logged it; `None` is no shard.
    pub(super) shard: Option<ShardId>,
    pub(super) record: Record,
}

/// How entries become lines.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) pid: u32,
    /// None when lines carry no time.
    pub(super) stamp: Option<Stamp>,
    pub(super) coloured: bool,
    pub(super) format: LogFormat,
}

impl Form {
    /// The lines that `options` want on `output`.
    pub(super) fn new(output: &Output, options: &Options) -> Form {
        Form {
            pid: std::process::id(),
            stamp: options.logtime.then(|| Stamp::new(options.logtime_utc)),
            coloured: matches!(output, Output::Stderr) && std::io::stderr().is_terminal(),
            format: options.log_format,
        }
    }

    /// Appends one whole line. A text's own last line end is not doubled, as in Go's `log`.
    pub(super) fn push_line(&mut self, block: &mut String, entry: &Entry) {
        match self.format {
            LogFormat::Text => self.push_text(block, entry),
            LogFormat::Json => block.push_str(&self.object(entry)),
        }
        block.push('\n');
    }

    /// What syslog is told: it knows pid, time and level by itself.
    pub(super) fn message<'a>(&self, entry: &'a Entry) -> Cow<'a, str> {
        match self.format {
            LogFormat::Text => printable(ended(&entry.record.text)),
            LogFormat::Json => Cow::Owned(self.object(entry)),
        }
    }

    fn push_text(&mut self, block: &mut String, entry: &Entry) {
        let Record { level, text, .. } = &entry.record;
        let _ = write!(block, "[{}] ", self.pid);
        if let Some(stamp) = &mut self.stamp {
            stamp.push(block, entry.when);
        }
        let label = level.label();
        let _ = match self.coloured {
            true => write!(block, "[\x1b[{}m{label}\x1b[0m] ", colour(*level)),
            false => write!(block, "[{label}] "),
        };
        block.push_str(&printable(ended(text)));
    }

    /// The keys are documented in docs/operations.md, and stay as they are.
    fn object(&self, entry: &Entry) -> String {
        let Entry {
            when,
            shard,
            record,
        } = entry;
        let about = record.about.as_deref();
        let party = about.and_then(|about| about.party.as_deref());
        let object = Object {
            time: self.stamp.as_ref().map(|stamp| stamp.rfc_3339(*when)),
            level: record.level.name(),
            pid: self.pid,
            shard: shard.map(|shard| shard.0),
            kind: about.map(|_| "client"),
            cid: about.map(|about| about.number.0),
            address: about.map(|about| about.origin.to_string()),
            account: party.and_then(|party| known_text(&party.account)),
            user: party.and_then(|party| known_text(&party.user)),
            program: party.and_then(|party| known_text(&party.program)),
            message: ended(&record.text[about.map_or(0, |about| about.prefix)..]),
        };
        // Texts and numbers always become JSON.
        serde_json::to_string(&object).unwrap_or_default()
    }
}

/// A line as JSON shows it.
#[derive(Serialize)]
struct Object<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    level: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    message: &'a str,
}

fn known_text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A text that does nothing to the terminal of whoever reads it: trace lines show subjects as they come. Line ends are
/// ours: no client can put one into a text.
fn printable(text: &str) -> Cow<'_, str> {
    let does_something = |one: char| one.is_control() && one != '\n' && one != '\t';
    if !text.contains(does_something) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for one in text.chars() {
        if does_something(one) {
            let _ = write!(shown, "\\x{:02x}", u32::from(one));
        } else {
            shown.push(one);
        }
    }
    Cow::Owned(shown)
}

fn ended(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// nats-server's colours.
fn colour(level: Level) -> &'static str {
    match level {
        Level::Fatal | Level::Error => "31",
        Level::Warn => "0;93",
        Level::Info => "32",
        Level::Debug => "36",
        Level::Trace => "33",
    }
}

/// Writes times of day. The calendar is consulted once a second at most: it costs more than the line.
#[derive(Debug)]
pub(super) struct Stamp {
    zone: TimeZone,
    second: Option<i64>,
    /// `YYYY/MM/DD hh:mm:ss.` of that second.
    shown: String,
}

impl Stamp {
    pub(super) fn new(utc: bool) -> Stamp {
        let zone = if utc {
            TimeZone::UTC
        } else {
            TimeZone::system()
        };
        Stamp::in_zone(zone)
    }

    pub(super) fn in_zone(zone: TimeZone) -> Stamp {
        Stamp {
            zone,
            second: None,
            shown: String::new(),
        }
    }

    /// `2006-01-02T15:04:05.000000Z`, or with the zone's offset.
    pub(super) fn rfc_3339(&self, when: SystemTime) -> String {
        let when = Timestamp::try_from(when).unwrap_or(Timestamp::UNIX_EPOCH);
        match self.zone.to_offset(when) {
            Offset::UTC => format!("{when:.6}"),
            offset => format!("{:.6}", when.display_with_offset(offset)),
        }
    }

    fn push(&mut self, block: &mut String, when: SystemTime) {
        let when = Timestamp::try_from(when).unwrap_or(Timestamp::UNIX_EPOCH);
        if self.second != Some(when.as_second()) {
            self.second = Some(when.as_second());
            let day = self.zone.to_datetime(when);
            self.shown.clear();
            let _ = write!(
                self.shown,
                "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.",
                day.year(),
                day.month(),
                day.day(),
                day.hour(),
                day.minute(),
                day.second()
            );
        }
        block.push_str(&self.shown);
        let _ = write!(block, "{:06} ", when.subsec_microsecond().max(0));
    }
}
