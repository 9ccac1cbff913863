//! `--signal`: finds running servers and sends them what was asked for.
//!
//! *Control path.* Texts are nats-server's. Stricter than nats-server in three ways: pid 0 and negative pids, which
//! the system takes for whole process groups, are no pids; a pid file may end with a line end; and a pid pattern that
//! fits nobody is an error.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "start, exit and --signal may wait for the file system: no shard runs here"
)]

use std::fmt;
use std::fs;
use std::io;

use rustix::process::{Pid, Signal, kill_process};

use crate::config::go_text::{go_error, go_quote};
use crate::config::{Identity, SignalCommand, SignalRequest};

/// Sends `request` to the process or processes it names. The caller exits with 0, or prints the error and exits with 1.
///
/// # Errors
/// When no or more than one process could be meant, the target is no pid, or the system refuses to deliver.
pub fn send_signal(identity: &Identity, request: &SignalRequest) -> Result<(), SignalError> {
    let program = &identity.program;
    let target = request.target.as_deref().map(read_pid_file);
    let pids = choose(program, target.as_deref().unwrap_or_default(), || {
        running(program)
    })?;
    let mut failures = String::new();
    for pid in pids {
        let delivered = match Pid::from_raw(pid) {
            Some(pid) => kill_process(pid, signal(request.command)).map_err(io::Error::from),
            None => Err(io::ErrorKind::InvalidInput.into()),
        };
        if let Err(error) = delivered {
            let command = go_quote(request.command.name());
            failures.push_str(&format!("\nsignal {command} {pid}: {}", go_error(&error)));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(SignalError(failures))
    }
}

/// Why nothing or not everything was signalled; to be printed after the program's name and `: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalError(String);

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SignalError {}

/// Which pids `target` means: itself, all that begin with what stands before its `*`, or the only one running.
fn choose(
    program: &str,
    target: &str,
    running: impl FnOnce() -> io::Result<Vec<i32>>,
) -> Result<Vec<i32>, SignalError> {
    let (digits, is_pattern) = match target.strip_suffix('*') {
        Some(digits) => (digits, true),
        None => (target, false),
    };
    let invalid = || SignalError(format!("invalid pid: {digits}"));
    if !digits.is_empty() {
        let pid: i32 = digits.parse().map_err(|_| invalid())?;
        if pid <= 0 || digits.starts_with('+') {
            return Err(invalid());
        }
        if !is_pattern {
            return Ok(vec![pid]);
        }
    }
    let mut pids = running()
        .map_err(|_| SignalError("unable to resolve pid, try providing one".to_owned()))?;
    pids.retain(|pid| pid.to_string().starts_with(digits));
    match pids.len() {
        0 => Err(SignalError(format!("no {program} processes running"))),
        1 => Ok(pids),
        _ if is_pattern => Ok(pids),
        _ => {
            let list: String = pids.iter().map(|pid| format!("\n{pid}")).collect();
            Err(SignalError(format!(
                "multiple {program} processes running:{list}"
            )))
        }
    }
}

/// The content of the file `target` if there is one, else `target` itself.
fn read_pid_file(target: &str) -> String {
    match fs::read_to_string(target) {
        Ok(content) => content.trim().to_owned(),
        Err(_) => target.to_owned(),
    }
}

/// The pids of other processes that run under the name `program`, in rising order.
///
/// nats-server asks `pgrep`, which finds any process whose name contains its own; here the name must be the same.
fn running(program: &str) -> io::Result<Vec<i32>> {
    let own = i32::try_from(std::process::id()).ok();
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may end while it is looked at: whatever cannot be read is not running.
        if Some(pid) != own && is_named(pid, program).unwrap_or(false) {
            pids.push(pid);
        }
    }
    pids.sort_unstable();
    Ok(pids)
}

fn is_named(pid: i32, program: &str) -> io::Result<bool> {
    let command_line = fs::read(format!("/proc/{pid}/cmdline"))?;
    let Some(first) = command_line
        .split(|byte| *byte == 0)
        .next()
        .filter(|first| !first.is_empty())
    else {
        return Ok(false); // A kernel thread, or a process that has ended and not been fetched.
    };
    let file_name = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
    if file_name == program.as_bytes() {
        return Ok(true);
    }
    let name = fs::read(format!("/proc/{pid}/comm"))?;
    let known = program
        .as_bytes()
        .get(..COMM_BYTES_MAX)
        .unwrap_or(program.as_bytes());
    Ok(name.trim_ascii_end() == known)
}

fn signal(command: SignalCommand) -> Signal {
    match command {
        SignalCommand::Stop => Signal::KILL,
        SignalCommand::Quit => Signal::INT,
        SignalCommand::Term => Signal::TERM,
        SignalCommand::Reopen => Signal::USR1,
        SignalCommand::Reload => Signal::HUP,
        SignalCommand::LameDuck => Signal::USR2,
    }
}

/// The kernel keeps this much of a process's name.
const COMM_BYTES_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(target: &str, running: &[i32]) -> Result<Vec<i32>, String> {
        choose("trunkline", target, || Ok(running.to_vec())).map_err(|error| error.to_string())
    }

    #[test]
    fn one_running_process_needs_no_pid() {
        assert_eq!(chosen("", &[7]), Ok(vec![7]));
        assert_eq!(
            chosen("", &[]),
            Err("no trunkline processes running".to_owned())
        );
        assert_eq!(
            chosen("", &[7, 12]),
            Err("multiple trunkline processes running:\n7\n12".to_owned())
        );
    }

    #[test]
    fn a_pattern_means_all_that_begin_so() {
        assert_eq!(chosen("*", &[7, 12]), Ok(vec![7, 12]));
        assert_eq!(chosen("1*", &[7, 12, 100]), Ok(vec![12, 100]));
        assert_eq!(
            chosen("3*", &[7, 12]),
            Err("no trunkline processes running".to_owned())
        );
    }

    #[test]
    fn a_pid_is_taken_as_it_is_and_must_be_one_process() {
        assert_eq!(chosen("99", &[7, 12]), Ok(vec![99]));
        for target in ["abc", "0", "-5", "+5", "1.5", "99999999999"] {
            assert_eq!(chosen(target, &[7]), Err(format!("invalid pid: {target}")));
        }
    }

    #[test]
    fn nobody_is_told_from_somebody() {
        let identity = Identity {
            program: "trunkline".to_owned(),
        };
        let request = SignalRequest {
            command: SignalCommand::Reload,
            target: Some(i32::MAX.to_string()),
        };
        let error = send_signal(&identity, &request).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\nsignal \"reload\" 2147483647: no such process"
        );
    }

    #[test]
    fn processes_are_found_by_their_name() {
        let own = i32::try_from(std::process::id()).unwrap();
        let name = std::env::current_exe().unwrap();
        let name = name.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(is_named(own, &name).unwrap());
        assert!(!is_named(own, "no-such-name").unwrap());
        assert!(!running(&name).unwrap().contains(&own));
    }
}
