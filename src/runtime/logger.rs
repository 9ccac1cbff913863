//! The log: a thread of its own that stamps and writes what shards and supervisor hand over.
//!
//! *Control path*, with one foot on the hot path: [`Logger::log`] is called by shards and never waits.
//!
//! - A slow pipe or disk costs lines, not time: the queue is bounded in lines and in bytes, what does not fit is
//!   dropped and counted, and the count is written as soon as there is room again.
//! - A line carries the time at which it was logged, not the time at which it was written.
//! - Lines of one thread are written in their order.
//! - Lines look like nats-server's to the byte; labels are coloured on a terminal only.
//!
//! The thread inherits its creator's affinity: start it before anything is pinned.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files and clocks are what this thread is for"
)]

mod line;
mod log_file;

use std::fmt;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::base::log::{Level, Record};
use crate::config::Options;
use crate::config::go_text::go_error;
use line::{Form, Stamp};
use log_file::LogFile;

/// A handle to the log. Clones share one queue and one thread.
#[derive(Clone, Debug)]
pub struct Logger {
    queue: SyncSender<Order>,
    shared: Arc<Shared>,
}

impl Logger {
    /// Opens the log that `options` describe and starts its thread.
    ///
    /// # Errors
    /// When the log file cannot be opened, with nats-server's text, or the thread cannot be started.
    pub fn start(options: &Options) -> Result<Logger, LogStartError> {
        Logger::start_on(Output::open(options)?, options)
    }

    fn start_on(output: Output, options: &Options) -> Result<Logger, LogStartError> {
        let (queue, orders) = sync_channel(QUEUE_LINES_MAX);
        let shared = Arc::new(Shared::default());
        let logger = Logger {
            queue,
            shared: Arc::clone(&shared),
        };
        logger.set_levels(options.debug, options.trace);
        let form = form(&output, options);
        let writer = Writer {
            orders,
            shared,
            output,
            form,
            block: String::new(),
        };
        let spawned = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run());
        spawned.map(|_| logger).map_err(LogStartError::Thread)
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
        if !fits
            || self
                .queue
                .try_send(Order::Line(SystemTime::now(), record))
                .is_err()
        {
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
    /// When the log file cannot be opened, with nats-server's text.
    pub fn prepare(options: &Options) -> Result<LogChange, LogStartError> {
        let output = Output::open(options)?;
        let form = form(&output, options);
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
    Line(SystemTime, Record),
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
        }
    }
}

impl std::error::Error for LogStartError {}

/// The thread's side.
struct Writer {
    orders: Receiver<Order>,
    shared: Arc<Shared>,
    output: Output,
    form: Form,
    /// Lines that go out with the next write.
    block: String,
}

impl Writer {
    fn run(mut self) {
        while let Ok(order) = self.orders.recv() {
            let mut next = Ok(order);
            let mut lines = 0;
            let stop = loop {
                match next {
                    Ok(Order::Line(when, record)) => {
                        self.shared
                            .queued_bytes
                            .fetch_sub(record.text.len(), Ordering::Relaxed);
                        self.form
                            .push_line(&mut self.block, when, record.level, &record.text);
                        lines += 1;
                    }
                    Ok(Order::Wake) => {}
                    Ok(Order::Change(to)) => {
                        self.write_block(lines);
                        lines = 0;
                        (self.output, self.form) = *to;
                    }
                    Ok(Order::Stop(written)) => break Some(written),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break None,
                }
                let reopen = self.shared.reopen.swap(false, Ordering::Acquire);
                if reopen || self.block.len() >= self.output.block_bytes_max() {
                    self.write_block(lines);
                    lines = 0;
                }
                if reopen {
                    self.reopen();
                }
                next = self.orders.try_recv();
            };
            self.write_block(lines);
            self.report_dropped();
            if let Some(written) = stop {
                let _ = written.try_send(());
                return;
            }
        }
    }

    /// Writes the block. Lines that the world does not take are counted as dropped.
    fn write_block(&mut self, lines: u64) {
        if self.block.is_empty() {
            return;
        }
        match self.output.write(self.block.as_bytes()) {
            Ok(()) => self.report_dropped(),
            Err(_) => {
                self.shared
                    .dropped_lines
                    .fetch_add(lines, Ordering::Relaxed);
            }
        }
        self.block.clear();
        if self.block.capacity() > 4 * BLOCK_BYTES_MAX {
            self.block = String::new();
        }
        match self.output.rotate_if_due() {
            Ok(None) => {}
            Ok(Some(aside)) => self.say(
                Level::Info,
                &format!("Rotated log, backup saved as {aside}"),
            ),
            Err(error) => self.say(
                Level::Error,
                &format!(
                    "Unable to rotate logfile ({}), will attempt at twice the size",
                    go_error(&error)
                ),
            ),
        }
    }

    fn report_dropped(&mut self) {
        let dropped = self.shared.dropped_lines.load(Ordering::Relaxed);
        if dropped == 0 {
            return;
        }
        let mut line = String::new();
        let text = format!("Log could not keep up: {dropped} lines dropped");
        self.form
            .push_line(&mut line, SystemTime::now(), Level::Warn, &text);
        if self.output.write(line.as_bytes()).is_ok() {
            self.shared
                .dropped_lines
                .fetch_sub(dropped, Ordering::Relaxed);
        }
    }

    fn reopen(&mut self) {
        let Output::File(file) = &mut self.output else {
            self.say(Level::Info, "File log re-open ignored, not a file logger");
            return;
        };
        match LogFile::open(&file.path, file.size_limit) {
            Ok(opened) => {
                *file = opened;
                self.say(Level::Info, "File log re-opened");
            }
            Err(error) => self.say(Level::Error, &format!("File log not re-opened: {error}")),
        }
    }

    /// A line of the thread's own.
    fn say(&mut self, level: Level, text: &str) {
        let mut line = String::new();
        self.form
            .push_line(&mut line, SystemTime::now(), level, text);
        let _ = self.output.write(line.as_bytes());
    }
}

/// Where lines go.
#[derive(Debug)]
enum Output {
    Stderr,
    File(LogFile),
}

impl Output {
    fn open(options: &Options) -> Result<Output, LogStartError> {
        Ok(match &options.log_file {
            Some(path) => Output::File(LogFile::open(path, options.log_size_limit)?),
            None => Output::Stderr,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Stderr => io::stderr().lock().write_all(bytes),
            Output::File(log) => {
                log.file.write_all(bytes)?;
                log.size_bytes += bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// How many bytes may be gathered before they must be written: no more than the file has room for.
    fn block_bytes_max(&self) -> usize {
        match self {
            Output::File(log) if log.size_limit > 0 => {
                let room = log.rotate_above.saturating_sub(log.size_bytes);
                usize::try_from(room)
                    .unwrap_or(BLOCK_BYTES_MAX)
                    .min(BLOCK_BYTES_MAX)
            }
            _ => BLOCK_BYTES_MAX,
        }
    }

    fn rotate_if_due(&mut self) -> io::Result<Option<String>> {
        match self {
            Output::File(log) if log.size_limit > 0 && log.size_bytes > log.rotate_above => {
                let rotated = log.rotate();
                if rotated.is_err() {
                    log.rotate_above = log.rotate_above.saturating_mul(2);
                }
                rotated.map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn form(output: &Output, options: &Options) -> Form {
    Form {
        pid: std::process::id(),
        stamp: options.logtime.then(|| Stamp::new(options.logtime_utc)),
        coloured: matches!(output, Output::Stderr) && io::stderr().is_terminal(),
    }
}

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
