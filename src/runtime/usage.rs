//! What the process takes of the machine, as the kernel counts it. *Control path: it reads files.*
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "called on the monitor's thread, where a short wait harms nobody"
)]

use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write;
use std::fs;
use std::time::Duration;

/// Resident memory of the process in bytes; zero where the kernel does not tell.
pub fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// A line of `/proc/self/status` that holds a size, in bytes.
pub fn status_bytes(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Processor time of all threads since the start of the process.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// The name by which the program was called.
pub fn program() -> String {
    std::env::args_os()
        .next()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// One paragraph per thread: what it is called, what it is doing, and what it has taken so far.
pub fn threads() -> String {
    let mut text = String::new();
    let mut tasks: Vec<_> = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    tasks.sort_by_key(fs::DirEntry::file_name);
    for task in tasks {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let number = task.file_name();
        let _ = writeln!(
            text,
            "thread {} [{}]:",
            number.to_string_lossy(),
            read("comm").trim_end()
        );
        for line in read("status").lines() {
            let is_shown = [
                "State:",
                "Cpus_allowed_list:",
                "voluntary_ctxt_switches:",
                "nonvoluntary_ctxt_switches:",
            ]
            .iter()
            .any(|field| line.starts_with(field));
            if is_shown {
                let _ = writeln!(text, "\t{}", line.replace('\t', " "));
            }
        }
        let times = read("schedstat");
        if let [run, waited, _] = times.split_whitespace().collect::<Vec<_>>()[..] {
            let _ = writeln!(text, "\trun_ns: {run}\n\twaited_for_core_ns: {waited}");
        }
        let _ = writeln!(text, "\twaits_in: {}\n", read("wchan"));
    }
    text
}
