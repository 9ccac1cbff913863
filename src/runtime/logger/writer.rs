//! The log's thread: takes lines from the queue and writes them.
//!
//! *Control path.* It may block for as long as the disk, the pipe or the syslog server likes; nobody waits for it.
//!
//! - What the world does not take is counted as dropped, and told in a line as soon as the world takes one.
//! - Lines of a file or a pipe are gathered into blocks; syslog gets each by itself.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "clocks are what stamps lines"
)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::SystemTime;

use super::line::{Entry, Form};
use super::log_file::Rotation;
use super::output::Output;
use super::{BLOCK_BYTES_MAX, Order, Shared};
use crate::base::log::{Level, Record};
use crate::config::go_text::go_error;

/// The thread's side.
pub(super) struct Writer {
    orders: Receiver<Order>,
    shared: Arc<Shared>,
    output: Output,
    form: Form,
    /// Lines that go out with the next write.
    block: String,
}

impl Writer {
    pub(super) fn new(
        orders: Receiver<Order>,
        shared: Arc<Shared>,
        output: Output,
        form: Form,
    ) -> Writer {
        Writer {
            orders,
            shared,
            output,
            form,
            block: String::new(),
        }
    }

    pub(super) fn run(mut self) {
        self.greet_file();
        while let Ok(order) = self.orders.recv() {
            let mut next = Ok(order);
            let stop = loop {
                match next {
                    Ok(Order::Line(entry)) => {
                        self.shared
                            .queued_bytes
                            .fetch_sub(entry.record.text.len(), Ordering::Relaxed);
                        self.take(&entry);
                    }
                    Ok(Order::Wake) => {}
                    Ok(Order::Change(to)) => {
                        self.write_block();
                        (self.output, self.form) = *to;
                        self.greet_file();
                    }
                    Ok(Order::Stop(written)) => break Some(written),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break None,
                }
                let reopen = self.shared.reopen.swap(false, Ordering::Acquire);
                if reopen || self.block.len() >= self.output.block_bytes_max() {
                    self.write_block();
                }
                if reopen {
                    self.reopen();
                }
                next = self.orders.try_recv();
            };
            self.write_block();
            self.report_dropped();
            if let Some(written) = stop {
                let _ = written.try_send(());
                return;
            }
        }
    }

    /// Adds a line to the block, or gives it to syslog.
    fn take(&mut self, entry: &Entry) {
        let Output::Syslog(syslog) = &mut self.output else {
            self.form.push_line(&mut self.block, entry);
            return;
        };
        if syslog.send(entry, &self.form.message(entry)).is_err() {
            self.shared.dropped_lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the block. Lines that the world does not take are counted as dropped.
    fn write_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let written = self.output.write(self.block.as_bytes());
        let lost = &self.block.as_bytes()[written..];
        if lost.is_empty() {
            self.report_dropped();
        } else {
            let lines = memchr::memchr_iter(b'\n', lost).count() as u64;
            self.shared
                .dropped_lines
                .fetch_add(lines, Ordering::Relaxed);
        }
        self.block.clear();
        if self.block.capacity() > 4 * BLOCK_BYTES_MAX {
            self.block = String::new();
        }
        let Output::File(file) = &mut self.output else {
            return;
        };
        match file.rotate_if_due() {
            Rotation::NotDue => {}
            Rotation::Done(aside) => {
                let outcome = file.purge();
                let text = format!("Rotated log, backup saved as {aside}");
                self.say(Level::Info, text);
                for (level, text) in outcome {
                    self.say(level, text);
                }
            }
            Rotation::Failed(error) => {
                let why = go_error(&error);
                let text =
                    format!("Unable to rotate logfile ({why}), will attempt at twice the size");
                self.say(Level::Error, text);
            }
        }
    }

    fn report_dropped(&mut self) {
        let dropped = self.shared.dropped_lines.load(Ordering::Relaxed);
        if dropped == 0 {
            return;
        }
        let text = format!("Log could not keep up: {dropped} lines dropped");
        if self.say(Level::Warn, text) {
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
        match file.opened_anew() {
            Ok(opened) => {
                *file = opened;
                self.greet_file();
                self.say(Level::Info, "File log re-opened");
            }
            Err(error) => {
                self.say(Level::Error, format!("File log not re-opened: {error}"));
            }
        }
    }

    /// Says that a file which is over its limit already will be set aside by the next line.
    fn greet_file(&mut self) {
        if matches!(&self.output, Output::File(file) if file.is_due()) {
            self.say(Level::Info, "Rotating logfile...");
        }
    }

    /// Writes a line of the thread's own; says whether the world has taken it.
    fn say(&mut self, level: Level, text: impl Into<String>) -> bool {
        let entry = Entry {
            when: SystemTime::now(),
            shard: None,
            record: Record::new(level, text.into()),
        };
        if let Output::Syslog(syslog) = &mut self.output {
            return syslog.send(&entry, &self.form.message(&entry)).is_ok();
        }
        let mut line = String::new();
        self.form.push_line(&mut line, &entry);
        self.output.write(line.as_bytes()) == line.len()
    }
}
