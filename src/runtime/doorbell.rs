//! Waking a shard that sleeps: one eventfd each, which its ring writes to as well. *Hot path, once per turn and peer.*
//!
//! Invariant: a shard that went to sleep wakes for whatever was put on its lanes or into its mailbox, before or after.
//! The sleeper says so first and looks once more; who brings something puts it there first and looks at the sign then;
//! both have a full fence in between, so at least one of the two sees the other.

use super::thread::Directive;
use crate::base::ids::{ShardId, ShardSet};
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Directives that may wait for one shard. A burst of accepted connections is what comes closest to it.
const DIRECTIVES_MAX: usize = 4096;

/// What all threads know of each shard.
#[derive(Clone, Debug)]
pub struct Doorbells {
    shards: Arc<[Bell]>,
}

// A cache line of its own for each: a shard going to sleep must not disturb its neighbours.
#[derive(Debug)]
#[repr(align(128))]
struct Bell {
    eventfd: OwnedFd,
    is_asleep: AtomicBool,
    has_mail: AtomicBool,
    mailbox: SyncSender<Directive>,
    /// Connections that have ended there, ever.
    departed: AtomicU64,
}

impl Doorbells {
    /// Bells and mailboxes for `count` shards.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn new(count: u8) -> io::Result<(Doorbells, Vec<Receiver<Directive>>)> {
        let mut bells = Vec::new();
        let mut mailboxes = Vec::new();
        for _ in 0..count {
            let (mailbox, directives) = sync_channel(DIRECTIVES_MAX);
            mailboxes.push(directives);
            bells.push(Bell {
                eventfd: eventfd(0, EventfdFlags::CLOEXEC)?,
                is_asleep: AtomicBool::new(false),
                has_mail: AtomicBool::new(false),
                mailbox,
                departed: AtomicU64::new(0),
            });
        }
        Ok((
            Doorbells {
                shards: bells.into(),
            },
            mailboxes,
        ))
    }

    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Gives a directive to a shard; gives it back when the mailbox is full or the shard is gone.
    pub fn tell(&self, shard: ShardId, directive: Directive) -> Option<Directive> {
        let bell = &self.shards[shard.index()];
        match bell.mailbox.try_send(directive) {
            Ok(()) => {
                bell.has_mail.store(true, Ordering::Release);
                fence(Ordering::SeqCst);
                bell.ring_if_asleep();
                None
            }
            Err(TrySendError::Full(directive) | TrySendError::Disconnected(directive)) => {
                Some(directive)
            }
        }
    }

    /// Wakes those of `shards` that sleep, after something was put on their lanes.
    #[inline]
    pub(super) fn wake(&self, shards: ShardSet) {
        if shards.is_empty() {
            return;
        }
        fence(Ordering::SeqCst);
        for shard in shards.iter() {
            self.shards[shard.index()].ring_if_asleep();
        }
    }

    /// Connections that have ended on a shard so far.
    pub(super) fn departed(&self, shard: ShardId) -> u64 {
        self.shards[shard.index()].departed.load(Ordering::Relaxed)
    }

    pub(super) fn count_departure(&self, shard: ShardId) {
        // Only the shard itself writes it, so this needs no read-modify-write across cores.
        let counter = &self.shards[shard.index()].departed;
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(super) fn eventfd(&self, shard: ShardId) -> BorrowedFd<'_> {
        self.shards[shard.index()].eventfd.as_fd()
    }

    /// Whether a directive waits, since the last time this was asked.
    #[inline]
    pub(super) fn has_mail(&self, shard: ShardId) -> bool {
        self.shards[shard.index()].has_mail.load(Ordering::Acquire)
    }

    pub(super) fn clear_mail(&self, shard: ShardId) {
        self.shards[shard.index()]
            .has_mail
            .store(false, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// The shard is about to sleep; it must look for work once more after this.
    pub(super) fn fall_asleep(&self, shard: ShardId) {
        self.shards[shard.index()]
            .is_asleep
            .store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) fn wake_up(&self, shard: ShardId) {
        self.shards[shard.index()]
            .is_asleep
            .store(false, Ordering::Relaxed);
    }
}

impl Bell {
    #[inline]
    fn ring_if_asleep(&self) {
        if self.is_asleep.load(Ordering::Relaxed) && self.is_asleep.swap(false, Ordering::AcqRel) {
            // A full counter would only mean that it rings already.
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }
}
