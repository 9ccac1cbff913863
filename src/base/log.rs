//! What pure code hands out to be logged: a level and a text. `runtime::logger` stamps and writes it.
//!
//! The texts are nats-server's where it has one, because tools and test suites wait for them.

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
}

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub level: Level,
    pub text: String,
}

impl Record {
    pub fn new(level: Level, text: impl Into<String>) -> Record {
        Record {
            level,
            text: text.into(),
        }
    }
}

/// Lines a shard has to log in this turn, and which levels are worth making a text for.
#[derive(Debug, Default)]
pub struct Log {
    pub debug: bool,
    pub trace: bool,
    records: Vec<Record>,
}

impl Log {
    pub fn new(debug: bool, trace: bool) -> Log {
        Log {
            debug,
            trace,
            records: Vec::new(),
        }
    }

    pub fn add(&mut self, level: Level, text: impl Into<String>) {
        self.records.push(Record::new(level, text));
    }

    pub fn debug(&mut self, text: impl FnOnce() -> String) {
        if self.debug {
            self.add(Level::Debug, text());
        }
    }

    pub fn trace(&mut self, text: impl FnOnce() -> String) {
        if self.trace {
            self.add(Level::Trace, text());
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
