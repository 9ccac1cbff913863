//! The log: a thread of its own that stamps and writes what shards and supervisor hand over.
//!
//! *Control path*, with one foot on the hot path: [`Logger::log`] is called by shards and never waits.
//!
//! - A slow pipe or disk costs lines, not time: the queue is bounded in lines and in bytes, what does not fit is
//!   dropped and counted, and the count is written as soon as there is room again.
//! - A line carries the time at which it was logged, not the time at which it was written.
//! - Lines of one thread are written in their order.
//! - Lines look like nats-server's to the byte, unless JSON is asked for; labels are coloured on a terminal only.
//!
//! The thread inherits its creator's affinity: start it before anything is pinned.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files and clocks are what this thread is for"
)]

mod line;
mod log_file;
mod output;
mod syslog;
mod writer;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::base::ids::ShardId;
use crate::base::log::{Level, Record};
use crate::config::Options;
use crate::config::go_text::{go_error, go_quote};
use line::{Entry, Form};
use output::Output;
use writer::Writer;

/// A handle to the log. Clones share one queue and one thread.
#[derive(Clone, Debug)]
pub struct Logger {
    queue: SyncSender<Order>,
    shared: Arc<Shared>,
    /// Whose lines it takes.
    shard: Option<ShardId>,
}

impl Logger {
    /// Opens the log that `options` describe and starts its thread.
    ///
    /// # Errors
    /// When the log file or syslog cannot be opened, with nats-server's text, or the thread cannot be started.
    pub fn start(options: &Options) -> Result<Logger, LogStartError> {
        Logger::start_on(Output::open(options)?, options)
    }

    fn start_on(output: Output, options: &Options) -> Result<Logger, LogStartError> {
        let (queue, orders) = sync_channel(QUEUE_LINES_MAX);
        let shared = Arc::new(Shared::default());
        let logger = Logger {
            queue,
            shared: Arc::clone(&shared),
            shard: None,
        };
        logger.set_levels(options.debug, options.trace);
        let form = Form::new(&output, options);
        let writer = Writer::new(orders, shared, output, form);
        let spawned = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run());
        spawned.map(|_| logger).map_err(LogStartError::Thread)
    }

    /// The same log, for the lines of one shard.
    pub fn of_shard(&self, shard: ShardId) -> Logger {
        Logger {
            shard: Some(shard),
            ..self.clone()
        }
    }

    /// Whether a line of `level` would be written. One relaxed load: ask before formatting a text.
    pub fn enabled(&self, level: Level) -> bool {
        match level {
            Level::Debug => self.shared.debug.load(Ordering::Relaxed),
            Level::Trace => self.shared.trace.load(Ordering::Relaxed),
            _ => true,
        }
    }

    /// Changes what [`Logger::enabled`] says, for all clones.
    pub fn set_levels(&self, debug: bool, trace: bool) {
        self.shared.debug.store(debug, Ordering::Relaxed);
        self.shared.trace.store(trace, Ordering::Relaxed);
    }

    /// Hands a record over to be written, if its level is enabled. Never waits; drops and counts what does not fit.
    pub fn log(&self, record: Record) {
        if !self.enabled(record.level) {
            return;
        }
        let length = record.text.len();
        let queued = self
            .shared
            .queued_bytes
            .fetch_add(length, Ordering::Relaxed);
        let fits = queued.saturating_add(length) <= QUEUE_BYTES_MAX;
        let entry = Entry {
            when: SystemTime::now(),
            shard: self.shard,
            record,
        };
        if !fits || self.queue.try_send(Order::Line(entry)).is_err() {
            self.shared
                .queued_bytes
                .fetch_sub(length, Ordering::Relaxed);
            self.shared.dropped_lines.fetch_add(1, Ordering::Relaxed);
            // So that the loss is told even if this was the last line. A full queue needs no wake-up.
            let _ = self.queue.try_send(Order::Wake);
        }
    }

    /// Opens the log file again under its name, after it was moved aside. Lines still queued go to the new one.
    ///
    /// As in nats-server a line says that it happened, or that there is no log file. If it fails, the old file stays in
    /// use and an error says so, where nats-server exits.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // A full queue needs no wake-up here either: the thread looks at the flag after the next line.
        let _ = self.queue.try_send(Order::Wake);
    }

    /// Opens the log that other options describe, for [`Logger::change`]. Until then nothing is different.
    ///
    /// # Errors
    /// When the log file or syslog cannot be opened, with nats-server's text.
    pub fn prepare(options: &Options) -> Result<LogChange, LogStartError> {
        let output = Output::open(options)?;
        let form = Form::new(&output, options);
        Ok(LogChange {
            to: Box::new((output, form)),
            debug: options.debug,
            trace: options.trace,
        })
    }

    /// Lines that are logged from now on go where, and look as, it was prepared; those logged before go where they would
    /// have gone.
    ///
    /// If the thread takes nothing for a while, because whoever reads the log does not, the log stays as it is.
    pub fn change(&self, change: LogChange) {
        self.set_levels(change.debug, change.trace);
        let deadline = Instant::now() + CHANGE_WAIT_MAX;
        let mut order = Order::Change(change.to);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(order) {
            if Instant::now() >= deadline {
                return;
            }
            order = back;
            thread::sleep(STOP_RETRY);
        }
    }

    /// Waits until everything logged so far is written, and ends the thread. What is logged later is lost.
    ///
    /// Gives up after [`STOP_WAIT_MAX`]: a stuck pipe must not keep the process from exiting.
    pub fn flush_and_stop(&self) {
        let deadline = Instant::now() + STOP_WAIT_MAX;
        let (written, done) = sync_channel(1);
        let mut order = Order::Stop(written);
        loop {
            match self.queue.try_send(order) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => order = back,
                Err(_) => return,
            }
            thread::sleep(STOP_RETRY);
        }
        let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// A log that is open and not in use yet.
#[derive(Debug)]
pub struct LogChange {
    to: Box<(Output, Form)>,
    debug: bool,
    trace: bool,
}

/// What all handles and the thread look at.
#[derive(Debug, Default)]
struct Shared {
    debug: AtomicBool,
    trace: AtomicBool,
    reopen: AtomicBool,
    queued_bytes: AtomicUsize,
    dropped_lines: AtomicU64,
}

#[derive(Debug)]
enum Order {
    Line(Entry),
    /// Look at the flags.
    Wake,
    /// Write what comes next elsewhere, or in another form.
    Change(Box<(Output, Form)>),
    /// Write what came before, answer, end.
    Stop(SyncSender<()>),
}

/// Why the log could not be started.
#[derive(Debug)]
pub enum LogStartError {
    Open(PathBuf, io::Error),
    Thread(io::Error),
    /// There is no syslog there; why, in Go's words.
    Syslog(String),
}

impl fmt::Display for LogStartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogStartError::Open(path, error) => {
                write!(
                    f,
                    "error opening file: open {}: {}",
                    path.display(),
                    go_error(error)
                )
            }
            LogStartError::Thread(error) => {
                write!(f, "error starting the log thread: {}", go_error(error))
            }
            LogStartError::Syslog(why) => {
                write!(f, "error connecting to syslog: {}", go_quote(why))
            }
        }
    }
}

impl std::error::Error for LogStartError {}

/// Lines that may wait. At 100 bytes each this is a second of a very talkative server.
const QUEUE_LINES_MAX: usize = 8192;
/// Bytes that may wait: trace lines carry payloads, and lines alone would let them fill the memory.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes gathered for one write.
const BLOCK_BYTES_MAX: usize = 64 * 1024;
/// How long an exit waits for the log.
pub const STOP_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long a reload waits for room in the queue.
const CHANGE_WAIT_MAX: Duration = Duration::from_secs(2);
const STOP_RETRY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
