//! Threads that compare passwords with bcrypt hashes, so that shards need not.
//!
//! - The queue is bounded. A check for which there is no room is given back at once: it would come too late anyway.
//! - A check whose client has gone is not done; so clients that come back again and again do not make the queue longer.
//! - The threads are polite: whoever routes messages goes first on their core.
#![allow(
    clippy::disallowed_methods,
    reason = "this thread may wait; nobody waits for it but those who log in"
)]

use super::doorbell::Doorbells;
use super::thread::Directive;
use crate::auth::PasswordCheck;
use crate::base::ids::{ConnectionId, ShardId};
use crate::base::limits::PASSWORD_CHECKS_MAX;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

/// How much less than a shard a worker gets of a core that both want: a tenth.
const NICENESS: i32 = 10;
/// How long a worker waits for room in a shard's mailbox, and how often it looks. A shard that takes nothing for so long
/// has stopped.
const MAILBOX_WAIT: Duration = Duration::from_millis(1);
const MAILBOX_TRIES: u32 = 5000;

/// A handle to the workers. Clones share them.
#[derive(Clone, Debug)]
pub struct PasswordWorkers {
    queues: Arc<[SyncSender<Job>]>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Job {
    shard: ShardId,
    connection: ConnectionId,
    check: PasswordCheck,
}

impl PasswordWorkers {
    /// Starts `count` workers, at least one. They inherit the affinity of their creator.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(count: usize, bells: &Doorbells) -> io::Result<PasswordWorkers> {
        let mut queues = Vec::new();
        for index in 0..count.max(1) {
            let (queue, jobs) = sync_channel(PASSWORD_CHECKS_MAX);
            queues.push(queue);
            let bells = bells.clone();
            thread::Builder::new()
                .name(format!("passwords-{index}"))
                .spawn(move || {
                    // Not being allowed to be polite is no reason not to work.
                    let _ = rustix::process::nice(NICENESS);
                    work(&jobs, |job, is_right| report(&bells, &job, is_right));
                })?;
        }
        Ok(PasswordWorkers {
            queues: queues.into(),
            next: Arc::default(),
        })
    }

    /// Has a password compared; the shard hears of it by [`Directive::PasswordChecked`]. Says whether there was room.
    pub(super) fn submit(
        &self,
        shard: ShardId,
        connection: ConnectionId,
        check: PasswordCheck,
    ) -> bool {
        let mut job = Job {
            shard,
            connection,
            check,
        };
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.queues.len() {
            let queue = &self.queues[(first.wrapping_add(step)) % self.queues.len()];
            match queue.try_send(job) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back,
            }
        }
        false
    }
}

/// Works until nobody can bring any more.
fn work(jobs: &Receiver<Job>, mut done: impl FnMut(Job, bool)) {
    for job in jobs {
        if job.check.is_wanted() {
            let is_right = job.check.run();
            done(job, is_right);
        }
    }
}

fn report(bells: &Doorbells, job: &Job, is_right: bool) {
    let mut waiting = Some(Directive::PasswordChecked(job.connection, is_right));
    for _ in 0..MAILBOX_TRIES {
        let Some(directive) = waiting.take() else {
            return;
        };
        waiting = bells.tell(job.shard, directive);
        if waiting.is_some() {
            thread::sleep(MAILBOX_WAIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Claim, Claimant, Directory, NonceKey, Verdict};
    use crate::config::authorization::ConnectionType;
    use crate::config::{Auth, Options, Secret};
    use crate::protocol::connect::ConnectOptions;

    fn check(given: &str) -> (PasswordCheck, Arc<Claimant>) {
        let hash = bcrypt::hash("secret", 4).expect("a hash");
        let options = Options {
            auth: Auth::Token(Secret::new(hash)),
            ..Options::default()
        };
        let directory = Directory::new(&options, NonceKey::new([0; 32]));
        let connect = ConnectOptions {
            token: Secret::new(given),
            ..ConnectOptions::default()
        };
        let verdict = directory.examine(&Claim {
            connect: &connect,
            nonce: None,
            connection_type: ConnectionType::Standard,
            certificate: None,
            peer: None,
        });
        let Verdict::Check(mut check, _) = verdict else {
            panic!("a hash is compared later");
        };
        let claimant = check.claim();
        (check, claimant)
    }

    fn connection(slot: u32) -> ConnectionId {
        ConnectionId { slot, reuse: 0 }
    }

    #[test]
    fn a_full_queue_gives_the_check_back_and_the_unwanted_are_not_done() {
        let (queue, jobs) = sync_channel(2);
        let workers = PasswordWorkers {
            queues: [queue].into(),
            next: Arc::default(),
        };
        let (right, waits) = check("secret");
        let (wrong, waits_too) = check("guess");
        let (unwanted, gone) = check("secret");
        assert!(workers.submit(ShardId(0), connection(1), right));
        assert!(workers.submit(ShardId(0), connection(2), unwanted));
        assert!(!workers.submit(ShardId(0), connection(3), wrong));
        drop(gone);
        drop(workers);
        let mut answers = Vec::new();
        work(&jobs, |job, is_right| {
            answers.push((job.connection.slot, is_right))
        });
        assert_eq!(answers, [(1, true)]);
        drop((waits, waits_too));
    }

    #[test]
    fn the_answer_comes_as_a_directive() {
        let (bells, mailboxes) = Doorbells::new(2).expect("bells");
        let workers = PasswordWorkers::start(2, &bells).expect("threads");
        let (right, _waits) = check("secret");
        assert!(workers.submit(ShardId(1), connection(7), right));
        let answer = mailboxes[1].recv_timeout(Duration::from_secs(30));
        assert!(matches!(
            answer,
            Ok(Directive::PasswordChecked(
                ConnectionId { slot: 7, .. },
                true
            ))
        ));
    }
}
