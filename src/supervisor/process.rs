//! What concerns the process as a whole: its limits, its memory, what a panic does, and its randomness. *Start-up.*

use crate::auth::NonceKey;
use crate::base::log::{Level, Record};
use crate::runtime::logger::Logger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::disable_transparent_huge_pages;

/// As many descriptors as allowed: every connection is one (Go programs do the same at start).
pub(super) fn raise_descriptor_limit(logger: &Logger) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if setrlimit(Resource::Nofile, raised).is_err() {
        let text = "The limit of open files could not be raised; see `ulimit -n`";
        logger.log(Record::new(Level::Warn, text));
    }
}

/// Where memory may hardly be locked, does without huge pages: the kernel counts the whole huge page as locked for
/// every few KiB that glommio registers from it, three times per shard.
pub(super) fn spare_locked_memory() {
    const PLENTY: u64 = 256 << 20;
    if getrlimit(Resource::Memlock)
        .current
        .is_some_and(|limit| limit < PLENTY)
    {
        // Where the kernel has no huge pages there is nothing to do without.
        let _ = disable_transparent_huge_pages(true);
    }
}

/// A dead shard is a dead process (DESIGN §2.8), in debug builds too.
pub(super) fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        default(info);
        std::process::abort();
    }));
}

/// From the kernel: nobody else must be able to guess it.
pub(super) fn nonce_key() -> Result<NonceKey, String> {
    let mut random = [0; 32];
    // The kernel gives this little whole, or says why not.
    match getrandom(&mut random, GetRandomFlags::empty()) {
        Ok(len) if len == random.len() => Ok(NonceKey::new(random)),
        Ok(_) => Err("The kernel gave too few random bytes".to_owned()),
        Err(error) => Err(format!("The kernel gave no random bytes: {error}")),
    }
}

pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
