//! What a run costs the server: its processor time, memory and context switches from `/proc`, and, when asked for and
//! permitted, its system calls (`calls`).
//!
//! - Three readings of a few small files each; nothing is done while messages are measured.
//! - Memory is counted from before the first connection of the load, everything else from the first measured message.
//! - What the kernel does not tell is absent.

mod calls;
mod listener;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use calls::{CallCounter, Calls};
pub use listener::process_listening_at;

use crate::record::ServerCost;

/// Looks at one process.
#[derive(Debug)]
pub struct Watch {
    directory: PathBuf,
    memory_before_bytes: u64,
    /// Whether the kernel's own note of the peak was set back, so that it speaks of this run only.
    is_peak_ours: bool,
    peak_bytes: u64,
    begun: Option<Usage>,
    ended: Option<Usage>,
}

impl Watch {
    /// Call it before the load connects.
    pub fn new(pid: u32) -> io::Result<Watch> {
        let directory = PathBuf::from(format!("/proc/{pid}"));
        // Proves that the process may be looked at, before a load is put on it for nothing.
        Usage::read(&directory)?;
        let memory_before_bytes = resident_bytes(&directory)?;
        let is_peak_ours = fs::write(directory.join("clear_refs"), "5").is_ok();
        Ok(Watch {
            directory,
            memory_before_bytes,
            is_peak_ours,
            peak_bytes: memory_before_bytes,
            begun: None,
            ended: None,
        })
    }

    pub fn measuring_begins(&mut self) {
        self.begun = Usage::read(&self.directory).ok();
    }

    /// Now and then during the run: needed only where the kernel's note of the peak is not ours.
    pub fn sample(&mut self) {
        if !self.is_peak_ours
            && let Ok(bytes) = resident_bytes(&self.directory)
        {
            self.peak_bytes = self.peak_bytes.max(bytes);
        }
    }

    pub fn measuring_ends(&mut self) {
        self.ended = Usage::read(&self.directory).ok();
        self.sample();
        if self.is_peak_ours
            && let Ok(bytes) = status_bytes(&self.directory, "VmHWM")
        {
            self.peak_bytes = self.peak_bytes.max(bytes);
        }
    }

    /// The cost of `messages`, with the system calls if they were counted.
    pub fn cost(&self, messages: u64, calls: Option<&Calls>) -> Option<ServerCost> {
        let (begun, ended) = (self.begun.as_ref()?, self.ended.as_ref()?);
        let spent = ended.since(begun);
        let total_ns = spent.user_ns + spent.system_ns;
        Some(ServerCost {
            user_ns: spent.user_ns,
            system_ns: spent.system_ns,
            ns_per_message: total_ns as f64 / messages.max(1) as f64,
            memory_before_bytes: self.memory_before_bytes,
            memory_peak_bytes: self.peak_bytes,
            voluntary_switches: spent.voluntary_switches,
            involuntary_switches: spent.involuntary_switches,
            system_calls_per_message: calls
                .map(|calls| calls.system_calls as f64 / messages.max(1) as f64),
            bytes_per_receive: calls.and_then(Calls::bytes_per_receive),
            bytes_per_send: calls.and_then(Calls::bytes_per_send),
        })
    }
}

/// What a process has used since it began.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Usage {
    /// Of the whole process, threads that have ended included, in clock ticks (of 10 ms nearly everywhere).
    user_ticks: u64,
    system_ticks: u64,
    threads: BTreeMap<u32, Thread>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Thread {
    /// On a processor, in nanoseconds, from `schedstat`. Absent on kernels without scheduler statistics.
    run_ns: Option<u64>,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

struct Spent {
    user_ns: u64,
    system_ns: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

impl Usage {
    fn read(directory: &Path) -> io::Result<Usage> {
        let stat = fs::read_to_string(directory.join("stat"))?;
        let (user_ticks, system_ticks) =
            ticks(&stat).ok_or_else(|| io::Error::other("/proc/PID/stat has an unknown form"))?;
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(directory.join("task"))? {
            let entry = entry?;
            let id = entry.file_name().to_string_lossy().parse();
            // A thread may end while it is looked at.
            if let (Ok(id), Ok(thread)) = (id, Thread::read(&entry.path())) {
                threads.insert(id, thread);
            }
        }
        Ok(Usage {
            user_ticks,
            system_ticks,
            threads,
        })
    }

    /// The sum is taken from the threads' own clocks, which are exact to the last switch, and split into user and system as
    /// the ticks are. If a thread ended meanwhile its clock is gone, and the ticks must do.
    fn since(&self, begun: &Usage) -> Spent {
        let user_ns = ticks_to_ns(self.user_ticks.saturating_sub(begun.user_ticks));
        let system_ns = ticks_to_ns(self.system_ticks.saturating_sub(begun.system_ticks));
        let sum = |of: fn(&Thread) -> u64| -> u64 {
            let before = |id| begun.threads.get(id).map_or(0, of);
            self.threads
                .iter()
                .map(|(id, thread)| of(thread).saturating_sub(before(id)))
                .sum()
        };
        let clocks_are_whole = begun.threads.keys().all(|id| self.threads.contains_key(id))
            && self.threads.values().all(|thread| thread.run_ns.is_some());
        let (user_ns, system_ns) = if clocks_are_whole {
            split(sum(|thread| thread.run_ns.unwrap_or(0)), user_ns, system_ns)
        } else {
            (user_ns, system_ns)
        };
        Spent {
            user_ns,
            system_ns,
            voluntary_switches: sum(|thread| thread.voluntary_switches),
            involuntary_switches: sum(|thread| thread.involuntary_switches),
        }
    }
}

impl Thread {
    fn read(directory: &Path) -> io::Result<Thread> {
        let status = fs::read_to_string(directory.join("status"))?;
        let number = |name| field(&status, name).and_then(|value| value.parse().ok());
        let run_ns = fs::read_to_string(directory.join("schedstat"))
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse().ok());
        Ok(Thread {
            run_ns,
            voluntary_switches: number("voluntary_ctxt_switches").unwrap_or(0),
            involuntary_switches: number("nonvoluntary_ctxt_switches").unwrap_or(0),
        })
    }
}

/// The 14th and 15th field of a `stat` file. The second is the program's name in brackets and may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn ticks_to_ns(ticks: u64) -> u64 {
    let per_s = rustix::param::clock_ticks_per_second().max(1);
    ticks * (1_000_000_000 / per_s)
}

/// Splits a total in the proportion of two other numbers; evenly, if both are zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a whole number of nanoseconds"
)]
fn split(total: u64, one: u64, other: u64) -> (u64, u64) {
    let share = match one + other {
        0 => 0.5,
        sum => one as f64 / sum as f64,
    };
    let first = (total as f64 * share) as u64;
    (first, total.saturating_sub(first))
}

/// Exact where the kernel offers it: the counters in `status` may lag by some pages for each processor.
fn resident_bytes(directory: &Path) -> io::Result<u64> {
    let exact = fs::read_to_string(directory.join("smaps_rollup")).ok();
    match exact.and_then(|text| kib_field(&text, "Rss")) {
        Some(bytes) => Ok(bytes),
        None => status_bytes(directory, "VmRSS"),
    }
}

fn status_bytes(directory: &Path, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(directory.join("status"))?;
    kib_field(&status, name)
        .ok_or_else(|| io::Error::other(format!("no {name} in /proc/PID/status")))
}

fn kib_field(text: &str, name: &str) -> Option<u64> {
    let kib: u64 = field(text, name)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(ticks: (u64, u64), threads: &[(u32, u64)]) -> Usage {
        let threads = threads.iter().map(|(id, run_ns)| {
            let thread = Thread {
                run_ns: Some(*run_ns),
                voluntary_switches: *run_ns / 100,
                involuntary_switches: 1,
            };
            (*id, thread)
        });
        Usage {
            user_ticks: ticks.0,
            system_ticks: ticks.1,
            threads: threads.collect(),
        }
    }

    #[test]
    fn the_sum_is_of_the_threads_clocks_and_the_split_of_the_ticks() {
        let begun = usage((10, 10), &[(1, 1_000)]);
        // The second thread was born meanwhile: all of its time counts.
        let ended = usage((13, 11), &[(1, 4_000), (2, 1_000)]);
        let spent = ended.since(&begun);
        assert_eq!((spent.user_ns, spent.system_ns), (3_000, 1_000));
        assert_eq!(spent.voluntary_switches, 40);
        assert_eq!(spent.involuntary_switches, 1);
    }

    #[test]
    fn when_a_thread_has_ended_the_ticks_must_do() {
        let begun = usage((10, 10), &[(1, 1_000), (2, 500)]);
        let ended = usage((13, 11), &[(1, 4_000)]);
        let spent = ended.since(&begun);
        let tick_ns = ticks_to_ns(1);
        assert_eq!((spent.user_ns, spent.system_ns), (3 * tick_ns, tick_ns));
    }

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 21 22 23";
        assert_eq!(ticks(stat), Some((21, 22)));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn our_own_process_costs_something() {
        let mut watch = Watch::new(std::process::id()).unwrap();
        watch.measuring_begins();
        let grown: Vec<u8> = (0..8 << 20)
            .map(|index: u32| index.to_le_bytes()[0])
            .collect();
        watch.measuring_ends();
        let cost = watch.cost(4, None).unwrap();
        let spent = cost.user_ns + cost.system_ns;
        assert!((cost.ns_per_message - spent as f64 / 4.0).abs() < 1.0);
        assert!(cost.memory_peak_bytes >= cost.memory_before_bytes);
        assert_eq!(grown.len(), 8 << 20);
        assert_eq!(cost.system_calls_per_message, None);
    }

    #[test]
    fn a_process_that_is_not_there_cannot_be_watched() {
        // Beyond the greatest process id that Linux gives out.
        assert!(Watch::new(1 << 30).is_err());
    }
}
