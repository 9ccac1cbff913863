//! System calls of a process, and how many bytes each receive and each send of it moved: counted by the kernel's
//! tracepoints through `perf stat`, which sees operations of an io_uring as well as plain calls.
//!
//! It costs the server some hundred nanoseconds a call and needs root, so it is done only when asked for. The bytes are
//! those that `ss` tells of the server's connections: headers of the protocol included, those of TCP not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use rustix::process::{Pid, Signal, kill_process};

use crate::temporary::TemporaryDirectory;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const SYSTEM_CALLS: &str = "raw_syscalls:sys_enter";
const RECEIVES: &str = "sock:sock_recv_length";
const SENDS: &str = "sock:sock_send_length";
/// Tries that found nothing or no room do not count: they moved no bytes.
const MOVED_BYTES: &str = "ret > 0";

/// What was counted during the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    pub system_calls: u64,
    pub receives: u64,
    pub sends: u64,
    /// Absent where `ss` is not to be had.
    pub bytes: Option<Bytes>,
}

/// What went over the server's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub received: u64,
    pub sent: u64,
}

impl Calls {
    pub fn bytes_per_receive(&self) -> Option<f64> {
        ratio(self.bytes?.received, self.receives)
    }

    pub fn bytes_per_send(&self) -> Option<f64> {
        ratio(self.bytes?.sent, self.sends)
    }
}

fn ratio(bytes: u64, operations: u64) -> Option<f64> {
    (operations > 0).then(|| bytes as f64 / operations as f64)
}

/// Counts the calls of one process while it is switched on.
#[derive(Debug)]
pub struct CallCounter {
    perf: Child,
    control: File,
    answers: File,
    directory: TemporaryDirectory,
    port: u16,
    bytes_before: Option<Bytes>,
    bytes: Option<Bytes>,
}

impl CallCounter {
    /// Prepares counting, switched off. The error is a sentence about what is missing.
    pub fn new(pid: u32, port: u16) -> Result<CallCounter, String> {
        let directory = TemporaryDirectory::create().map_err(|error| error.to_string())?;
        let pipe = |name: &str| make_pipe(&directory.path().join(name));
        let control = pipe("control").map_err(|error| error.to_string())?;
        let answers = pipe("answers").map_err(|error| error.to_string())?;
        let perf = spawn(pid, directory.path()).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                "`perf` is not installed (Debian: `apt-get install linux-perf`)".to_owned()
            }
            _ => format!("cannot run `perf`: {error}"),
        })?;
        let mut counter = CallCounter {
            perf,
            control,
            answers,
            directory,
            port,
            bytes_before: None,
            bytes: None,
        };
        counter.tell("ping").map_err(|_| counter.complaint())?;
        Ok(counter)
    }

    pub fn measuring_begins(&mut self) -> io::Result<()> {
        self.bytes_before = connection_bytes(self.port);
        self.tell("enable")
    }

    pub fn measuring_ends(&mut self) -> io::Result<()> {
        self.tell("disable")?;
        self.bytes = connection_bytes(self.port);
        Ok(())
    }

    /// Ends counting and says what was counted.
    pub fn finish(mut self) -> Result<Calls, String> {
        self.interrupt();
        self.perf.wait().map_err(|error| error.to_string())?;
        let text = fs::read_to_string(self.directory.path().join("counts"))
            .map_err(|error| error.to_string())?;
        let count = |event| {
            count_of(&text, event).ok_or_else(|| format!("`perf stat` did not count {event}"))
        };
        let bytes = self.bytes_before.zip(self.bytes);
        Ok(Calls {
            system_calls: count(SYSTEM_CALLS)?,
            receives: count(RECEIVES)?,
            sends: count(SENDS)?,
            bytes: bytes.map(|(before, after)| Bytes {
                received: after.received.saturating_sub(before.received),
                sent: after.sent.saturating_sub(before.sent),
            }),
        })
    }

    /// Sends a command and waits until it is done.
    fn tell(&mut self, command: &str) -> io::Result<()> {
        self.control.write_all(command.as_bytes())?;
        self.control.write_all(b"\n")?;
        let begun = Instant::now();
        let mut answer = [0; 16];
        loop {
            match self.answers.read(&mut answer) {
                Ok(length) if answer[..length].starts_with(b"ack") => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            if self.perf.try_wait()?.is_some() || begun.elapsed() > ANSWER_WITHIN {
                return Err(io::Error::other("`perf stat` does not answer"));
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    fn complaint(&mut self) -> String {
        let said = fs::read_to_string(self.directory.path().join("complaints")).unwrap_or_default();
        let first = said
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or("it said nothing")
            .to_owned();
        format!(
            "`perf stat` may not count here ({first}); it needs root and tracefs \
             (`mount -t tracefs tracefs /sys/kernel/tracing`)"
        )
    }

    fn interrupt(&self) {
        let id = i32::try_from(self.perf.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::INT);
        }
    }
}

impl Drop for CallCounter {
    fn drop(&mut self) {
        if matches!(self.perf.try_wait(), Ok(None)) {
            let _ = self.perf.kill();
            let _ = self.perf.wait();
        }
    }
}

/// Opened both ways, so that neither side waits for the other, and without blocking, so that we can give up.
fn make_pipe(path: &Path) -> io::Result<File> {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

fn spawn(pid: u32, directory: &Path) -> io::Result<Child> {
    Command::new("perf")
        .current_dir(directory)
        .env("LC_ALL", "C")
        .args(["stat", "-x", ",", "-o", "counts", "-e", SYSTEM_CALLS])
        .args(["-e", RECEIVES, "--filter", MOVED_BYTES])
        .args(["-e", SENDS, "--filter", MOVED_BYTES])
        .args(["-p", &pid.to_string()])
        .args(["--delay", "-1", "--control", "fifo:control,answers"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(directory.join("complaints"))?)
        .spawn()
}

/// The count of one event in what `perf stat -x ,` writes.
fn count_of(text: &str, event: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        (*fields.get(2)? == event).then(|| fields[0].parse().ok())?
    })
}

fn connection_bytes(port: u16) -> Option<Bytes> {
    let output = Command::new("ss")
        .args([
            "-tinHO",
            "state",
            "established",
            "sport",
            "=",
            &format!(":{port}"),
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(Bytes {
        received: sum_of(&text, "bytes_received:"),
        sent: sum_of(&text, "bytes_acked:"),
    })
}

/// Connections that have not moved a byte lack the field.
fn sum_of(text: &str, name: &str) -> u64 {
    text.split_whitespace()
        .filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_perf_is_read() {
        let text = "# started on Sat Nov 21 06:54:08 2026\n\n\
                    351,,raw_syscalls:sys_enter,3328535,100.00,,\n\
                    <not counted>,,sock:sock_recv_length,0,0.00,,\n";
        assert_eq!(count_of(text, SYSTEM_CALLS), Some(351));
        assert_eq!(count_of(text, RECEIVES), None);
        assert_eq!(count_of(text, SENDS), None);
    }

    #[test]
    fn the_output_of_ss_is_added_up() {
        let text = "0 0 127.0.0.1:4222 127.0.0.1:5000 cubic bytes_acked:7 bytes_received:10\n\
                    0 0 127.0.0.1:4222 127.0.0.1:5001 cubic bytes_received:5 segs_out:1\n";
        assert_eq!(sum_of(text, "bytes_received:"), 15);
        assert_eq!(sum_of(text, "bytes_acked:"), 7);
    }

    #[test]
    fn bytes_for_each_call_need_both_numbers() {
        let mut calls = Calls {
            system_calls: 9,
            receives: 4,
            sends: 0,
            bytes: Some(Bytes {
                received: 100,
                sent: 100,
            }),
        };
        assert_eq!(calls.bytes_per_receive(), Some(25.0));
        assert_eq!(calls.bytes_per_send(), None);
        calls.bytes = None;
        assert_eq!(calls.bytes_per_receive(), None);
    }
}
