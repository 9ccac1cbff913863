//! What pure code hands out to be logged: a level, a text, and whom it is about. `runtime::logger` stamps and writes it.
//!
//! The texts are nats-server's where it has one, because tools and test suites wait for them.

mod repeats;

use crate::base::clock::Now;
use crate::base::ids::ClientNumber;
use crate::base::origin::Origin;
use repeats::Repeats;
use std::sync::Arc;

/// nats-server's levels. `Error` means that a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    /// The three letters between brackets in a log line.
    pub fn label(self) -> &'static str {
        match self {
            Level::Fatal => "FTL",
            Level::Error => "ERR",
            Level::Warn => "WRN",
            Level::Info => "INF",
            Level::Debug => "DBG",
            Level::Trace => "TRC",
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Fatal => "fatal",
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub level: Level,
    pub text: String,
    /// The connection that the text begins with, if it is about one.
    pub about: Option<Box<About>>,
}

impl Record {
    pub fn new(level: Level, line: impl Into<Line>) -> Record {
        let Line { text, about } = line.into();
        Record { level, text, about }
    }
}

/// What a line says: a text alone, or one that begins with the connection it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: String,
    about: Option<Box<About>>,
}

impl Line {
    /// A text of which the first `about.prefix` bytes name the connection.
    pub fn about(about: About, text: String) -> Line {
        assert!(
            text.is_char_boundary(about.prefix),
            "the prefix is a part of the text"
        );
        Line {
            text,
            about: Some(Box::new(about)),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for Line {
    fn from(text: String) -> Line {
        Line { text, about: None }
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Line {
        Line::from(text.to_owned())
    }
}

/// Which connection a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub number: ClientNumber,
    pub origin: Origin,
    /// `None` until it has said who it is, and been let in.
    pub party: Option<Arc<Party>>,
    /// Bytes at the beginning of the line's text that say no more than this here.
    pub prefix: usize,
}

/// Who is at the other end of a connection. Empty is what is not known; nothing of it is secret.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// As nats-server's lines show it, with quotes: `"v1.0:go:name" - "$G/user:bob"`.
    pub shown: String,
    /// `v1.0:go:name`
    pub program: String,
    pub account: String,
    /// A user's name, or the public key of an nkey.
    pub user: String,
}

/// Lines a shard has to log in this turn, and which levels are worth making a text for.
#[derive(Debug, Default)]
pub struct Log {
    pub debug: bool,
    pub trace: bool,
    records: Vec<Record>,
    repeats: Repeats,
}

impl Log {
    pub fn new(debug: bool, trace: bool) -> Log {
        Log {
            debug,
            trace,
            ..Log::default()
        }
    }

    pub fn add(&mut self, level: Level, line: impl Into<Line>) {
        self.records.push(Record::new(level, line));
    }

    /// Adds a line that may come a million times a second: of those with equal keys one a second, and then how many there
    /// were. The key is what that count is told with.
    pub fn add_seldom(&mut self, now: Now, level: Level, key: &str, line: impl Into<Line>) {
        self.tell_repeats(now);
        if self.repeats.admits(now, level, key) {
            self.add(level, line);
        }
    }

    /// The same for a line about what one client does: its text is the key, and a client has only so many.
    pub fn add_seldom_of_client(&mut self, now: Now, level: Level, line: Line) {
        self.tell_repeats(now);
        if self.repeats.admits_of_client(now, level, &line) {
            self.add(level, line);
        }
    }

    /// When [`Log::tell_repeats`] has something to tell, if it has.
    pub fn deadline(&self) -> Option<Now> {
        self.repeats.deadline()
    }

    /// Tells which lines were left out, if the second is over in which they were.
    pub fn tell_repeats(&mut self, now: Now) {
        self.repeats.end(now, &mut self.records);
    }

    pub fn debug<L: Into<Line>>(&mut self, line: impl FnOnce() -> L) {
        if self.debug {
            self.add(Level::Debug, line());
        }
    }

    pub fn trace<L: Into<Line>>(&mut self, line: impl FnOnce() -> L) {
        if self.trace {
            self.add(Level::Trace, line());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What has been added since the last call.
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }
}
