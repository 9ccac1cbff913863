//! One line of the log: pid, time, level, text, exactly as nats-server prints it.
//!
//! *Control path.* Run by the log thread only.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::log::Level;

/// What stands before a text.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) pid: u32,
    /// None when lines carry no time.
    pub(super) stamp: Option<Stamp>,
    pub(super) coloured: bool,
}

impl Form {
    /// Appends one whole line. A text's own last line end is not doubled, as in Go's `log`.
    pub(super) fn push_line(
        &mut self,
        block: &mut String,
        when: SystemTime,
        level: Level,
        text: &str,
    ) {
        let _ = write!(block, "[{}] ", self.pid);
        if let Some(stamp) = &mut self.stamp {
            stamp.push(block, when);
        }
        let label = level.label();
        let _ = match self.coloured {
            true => write!(block, "[\x1b[{}m{label}\x1b[0m] ", colour(level)),
            false => write!(block, "[{label}] "),
        };
        block.push_str(text.strip_suffix('\n').unwrap_or(text));
        block.push('\n');
    }
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
        Stamp {
            zone,
            second: None,
            shown: String::new(),
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
