//! Can this machine run the broker? *Start-up, and `trunkline doctor`.*
//!
//! Asked before anything else is done, because glommio ends the process when the kernel is too old, and because
//! "Operation not permitted" does not tell an operator which of five things to change.

use super::doorbell::Doorbells;
use super::ring::{self, Ring};
use super::thread;
use rustix::process::{Resource, getrlimit};
use std::fmt;
use std::io;

/// What glommio asks of `RLIMIT_MEMLOCK`.
const MEMLOCK_MIN: u64 = 512 * 1024;
/// What suffices for every shard beyond that; some need less (docs/operations.md, sizing).
const MEMLOCK_OF_SHARD: u64 = 768 * 1024;
/// The kernel that has all the features.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// One thing that was looked at.
#[derive(Debug)]
pub struct Finding {
    pub what: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it, when it keeps the broker from running.
    pub remedy: Option<String>,
}

/// Looks at everything the broker needs; the findings without a remedy are fine.
pub fn examine() -> Vec<Finding> {
    vec![kernel(), memlock(), io_uring(), cores()]
}

/// The first thing that keeps the broker from running.
pub fn obstacle() -> Option<Finding> {
    examine()
        .into_iter()
        .find(|finding| finding.remedy.is_some())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.remedy.is_some() {
            "FAIL"
        } else {
            "ok  "
        };
        write!(f, "{mark}  {:<12} {}", self.what, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n      {:<12} {remedy}", "->"),
            None => Ok(()),
        }
    }
}

fn kernel() -> Finding {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let is_new_enough = version(&release).is_none_or(|version| version >= KERNEL_MIN);
    let (major, minor) = KERNEL_MIN;
    Finding {
        what: "kernel",
        remedy: (!is_new_enough).then(|| {
            format!(
                "Linux {major}.{minor} or newer is needed (multishot receive, deferred task work)"
            )
        }),
        found: format!("Linux {release}"),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn memlock() -> Finding {
    let limit = getrlimit(Resource::Memlock).current;
    let is_enough = limit.is_none_or(|limit| limit >= MEMLOCK_MIN);
    let found = limit.map_or_else(
        || "unlimited".to_owned(),
        |limit| {
            let enough_for = match limit.saturating_sub(MEMLOCK_MIN) / MEMLOCK_OF_SHARD {
                0 => "hardly enough for a shard".to_owned(),
                1 => "enough for 1 shard".to_owned(),
                shards => format!("enough for {shards} shards"),
            };
            format!("{} KiB, {enough_for}", limit / 1024)
        },
    );
    Finding {
        what: "memlock",
        found,
        remedy: (!is_enough).then(|| {
            format!(
                "locked memory is limited below {} KiB: raise it with `ulimit -l`, in limits.conf, \
                 with systemd's LimitMEMLOCK=, or with docker run --ulimit memlock=-1",
                MEMLOCK_MIN / 1024
            )
        }),
    }
}

fn io_uring() -> Finding {
    let (found, remedy) = match try_ring() {
        Ok(()) => ("available, with every feature needed".to_owned(), None),
        Err((step, error)) => (format!("{step}: {error}"), Some(remedy(&error))),
    };
    Finding {
        what: "io_uring",
        found,
        remedy,
    }
}

fn try_ring() -> Result<(), (&'static str, io::Error)> {
    ring::builder()
        .build(8)
        .map_err(|error| ("setting up a ring", error))?;
    Doorbells::new(1).map_err(|error| ("making an eventfd", error))?;
    Ring::new().map_err(|error| ("registering buffers", error))?;
    Ok(())
}

/// What to do about an error of io_uring's set-up.
pub fn remedy(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring, or a seccomp filter hides it: use Linux \
            6.1 or newer; in a container allow io_uring_setup, io_uring_enter and \
            io_uring_register in the seccomp profile (podman run --security-opt \
            seccomp=PROFILE.json; docs/operations.md says how to make one)"
            .to_owned(),
        Some(libc::EPERM | libc::EACCES) => match disabled_by_sysctl() {
            Some(level) => format!(
                "io_uring is switched off: kernel.io_uring_disabled is {level}. Set it to 0 with \
                 `sysctl kernel.io_uring_disabled=0`, or, at 1, run as a member of \
                 kernel.io_uring_group"
            ),
            None => "a seccomp filter or security module forbids io_uring: in a container, allow \
                io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile (docker \
                run --security-opt seccomp=PROFILE.json; \
                docs/operations.md says how to make one)"
                .to_owned(),
        },
        Some(libc::EINVAL) => "this kernel's io_uring lacks SINGLE_ISSUER, DEFER_TASKRUN or provided \
            buffer rings: use Linux 6.1 or newer"
            .to_owned(),
        Some(libc::ENOMEM) => "no more memory may be locked: run fewer shards, or raise what this \
            user may lock, in all that it runs, with `ulimit -l`, in limits.conf, with systemd's \
            LimitMEMLOCK=, or with docker run --ulimit memlock=-1"
            .to_owned(),
        Some(libc::EMFILE | libc::ENFILE) => "out of file descriptors: raise `ulimit -n`".to_owned(),
        _ => "this error is not known here; please report it".to_owned(),
    }
}

#[allow(clippy::disallowed_methods, reason = "start-up, not a shard")]
fn disabled_by_sysctl() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?;
    text.trim().parse().ok().filter(|level| *level > 0)
}

fn cores() -> Finding {
    let cores = thread::cores().len();
    let quota = if thread::has_quota() {
        let allowed = thread::cores_allowed();
        format!(", the cgroup's quota is that of {allowed}: shards are not pinned")
    } else {
        String::new()
    };
    Finding {
        what: "cores",
        found: format!("{cores} in the affinity mask{quota}"),
        remedy: (cores == 0).then(|| "no core may be used: look at taskset and cpusets".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_compared_as_numbers() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.9"), Some((5, 9)));
        assert!(version("5.10.0").expect("numbers") < KERNEL_MIN);
        assert!(version("10.0-rc1").expect("numbers") > KERNEL_MIN);
    }

    #[test]
    fn every_error_has_a_remedy_that_names_its_cause() {
        for (code, word) in [
            (libc::ENOSYS, "6.1"),
            (libc::EPERM, "io_uring"),
            (libc::EINVAL, "DEFER_TASKRUN"),
            (libc::ENOMEM, "MEMLOCK"),
            (libc::EMFILE, "ulimit -n"),
        ] {
            assert!(remedy(&io::Error::from_raw_os_error(code)).contains(word));
        }
    }

    #[test]
    fn this_machine_can_run_it() {
        let obstacle = obstacle();
        assert!(
            obstacle.is_none(),
            "{}",
            obstacle.map_or(String::new(), |o| o.to_string())
        );
    }
}
