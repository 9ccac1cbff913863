//! The shard's own io_uring for sockets: multishot accept and receive, sends that leave with one system call. *Hot path.*
//!
//! Set up for one thread (`SINGLE_ISSUER | DEFER_TASKRUN | COOP_TASKRUN`): completions are made when this thread asks
//! for them, never in between. An idle thread sleeps in the ring itself; the shard's bell is one of the things it waits for.
//!
//! Why `unsafe`: submissions name memory and descriptors that the kernel uses later. What it buys is DESIGN §4's table:
//! an unbatched round trip costs 2 system calls instead of 10.
#![allow(unsafe_code)]

use super::buffers::{Buffers, Lent};
use crate::base::ids::ConnectionId;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 16 * 1024;
/// Completions looked at in one turn.
const REAPED_MAX: usize = 1024;
/// `IORING_ENTER_GETEVENTS`: run what was deferred.
const GET_EVENTS: u32 = 1;

/// What the kernel has done.
#[derive(Debug)]
pub(super) enum Event {
    Accepted {
        /// As it was armed.
        listener: u32,
        result: Result<OwnedFd, Errno>,
        is_last: bool,
    },
    /// Bytes have arrived; with `is_last` the receive must be armed anew.
    Received {
        id: ConnectionId,
        bytes: Lent,
        is_last: bool,
    },
    /// The receive has ended: end of stream, or an error.
    ReceiveEnded {
        id: ConnectionId,
        error: Option<Errno>,
    },
    Sent {
        id: ConnectionId,
        result: Result<usize, Errno>,
    },
    Writable {
        id: ConnectionId,
    },
    /// Somebody has rung the bell; with `is_last` it must be listened to anew.
    Rung {
        is_last: bool,
    },
}

/// The io_uring and its receive buffers. Field order matters: the io_uring must go before the memory it writes to.
pub(super) struct Ring {
    uring: IoUring,
    buffers: Buffers,
    /// How to enter the kernel in order to sleep.
    sleep_flags: EnterFlags,
    /// The kernel says that it has deferred something, but had nothing when it was asked. It queues first and raises its
    /// flag afterwards: who takes the work in between leaves the flag raised, until there is work again.
    is_flag_stale: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Writable = 4,
    Cancel = 5,
    Bell = 6,
}

impl Ring {
    /// # Errors
    /// When the kernel refuses; [`super::probe`] knows what to make of it.
    pub(super) fn new() -> io::Result<Ring> {
        let uring = builder().build(SUBMISSIONS)?;
        let buffers = Buffers::register(&uring)?;
        let mut sleep_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        // From Linux 6.15 on a sleeper may say that it waits for messages and not for a disk. Otherwise idle shards look like a
        // machine that is held up by its disks (`iowait`, `/proc/pressure/io`).
        if uring.params().is_feature_no_iowait() {
            sleep_flags |= EnterFlags::NO_IOWAIT;
        }
        Ok(Ring {
            uring,
            buffers,
            sleep_flags,
            is_flag_stale: false,
        })
    }

    /// Whether there is something to reap; no system call. While [`Ring::is_blind`], what comes is not seen.
    #[inline]
    pub(super) fn has_work(&mut self) -> bool {
        let submissions = self.uring.submission();
        let deferred = submissions.taskrun() && !self.is_flag_stale || submissions.cq_overflow();
        drop(submissions);
        deferred || !self.uring.completion().is_empty()
    }

    /// Whether only the kernel can tell if something has come: [`Ring::sleep`] asks it.
    pub(super) fn is_blind(&self) -> bool {
        self.is_flag_stale
    }

    /// Whether something waits to be submitted.
    #[inline]
    pub(super) fn has_queued(&mut self) -> bool {
        !self.uring.submission().is_empty()
    }

    /// Hears every ring of an eventfd from now on, asleep or awake. Nobody has to read it.
    pub(super) fn listen(&mut self, bell: BorrowedFd<'_>) {
        let interest = libc::POLLIN as u32;
        let entry = opcode::PollAdd::new(Fd(bell.as_raw_fd()), interest)
            .multi(true)
            .build();
        self.queue(entry.user_data(user_data(Kind::Bell, NOBODY)));
    }

    /// Submits what is queued and sleeps until so many `completions` are there, `at_most` that long.
    ///
    /// # Errors
    /// When the ring itself fails.
    pub(super) fn sleep(
        &mut self,
        completions: usize,
        at_most: Option<Duration>,
    ) -> io::Result<()> {
        let timespec = at_most.map(Timespec::from);
        let mut until = SubmitArgs::new();
        if let Some(timespec) = &timespec {
            until = until.timespec(timespec);
        }
        let queued = u32::try_from(self.uring.submission().len()).unwrap_or(SUBMISSIONS);
        let completions = u32::try_from(completions).unwrap_or(COMPLETIONS);
        // SAFETY: `until`, and the time it points to, are what the flags say and outlive the call; what the submissions name is
        // kept alive by those who queued them.
        let slept = unsafe {
            let submitter = self.uring.submitter();
            submitter.enter(queued, completions, self.sleep_flags.bits(), Some(&until))
        };
        tolerate(slept, &[libc::ETIME, libc::EBUSY, libc::EINTR])
    }

    /// Submits what is queued, runs what the kernel has deferred, and appends what has completed.
    ///
    /// # Errors
    /// When the ring itself fails, which leaves the shard nothing to live for.
    pub(super) fn submit_and_reap(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let submissions = self.uring.submission();
        let queued = submissions.len();
        let deferred = submissions.taskrun() || submissions.cq_overflow();
        drop(submissions);
        if queued > 0 || deferred {
            self.enter(queued)?;
        }
        let completions = self.uring.completion();
        let is_empty = completions.is_empty();
        for entry in completions.take(REAPED_MAX) {
            events.extend(event(&self.buffers, &entry));
        }
        self.is_flag_stale = is_empty && deferred && self.uring.submission().taskrun();
        Ok(())
    }

    fn enter(&mut self, queued: usize) -> io::Result<()> {
        let queued = u32::try_from(queued).unwrap_or(SUBMISSIONS);
        // SAFETY: no argument structure is passed; what the submissions name is kept alive by those who queued them.
        let entered = unsafe {
            self.uring
                .submitter()
                .enter::<libc::sigset_t>(queued, 0, GET_EVENTS, None)
        };
        tolerate(entered, &[libc::EBUSY, libc::EINTR])
    }

    /// Arms a multishot accept.
    pub(super) fn accept(&mut self, socket: BorrowedFd<'_>, listener: u32) {
        let entry = opcode::AcceptMulti::new(Fd(socket.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
            .build();
        let id = ConnectionId {
            slot: listener,
            reuse: 0,
        };
        self.queue(entry.user_data(user_data(Kind::Accept, id)));
    }

    pub(super) fn cancel_accept(&mut self, listener: u32) {
        self.cancel(user_data(
            Kind::Accept,
            ConnectionId {
                slot: listener,
                reuse: 0,
            },
        ));
    }

    /// Arms a multishot receive.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, id: ConnectionId) {
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), Buffers::GROUP).build();
        self.queue(entry.user_data(user_data(Kind::Receive, id)));
    }

    /// Ends a multishot receive; its last event is an [`Event::ReceiveEnded`] with `ECANCELED`.
    pub(super) fn cancel_receive(&mut self, id: ConnectionId) {
        self.cancel(user_data(Kind::Receive, id));
    }

    /// Asks to be told once when the socket takes bytes again.
    pub(super) fn watch_writable(&mut self, socket: BorrowedFd<'_>, id: ConnectionId) {
        let interest = libc::POLLOUT as u32;
        let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), interest).build();
        self.queue(entry.user_data(user_data(Kind::Writable, id)));
    }

    /// Queues a send.
    ///
    /// # Safety
    /// `bytes` must stay where it is, unchanged, until the [`Event::Sent`] of `id` has come.
    pub(super) unsafe fn send(&mut self, socket: BorrowedFd<'_>, id: ConnectionId, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("a batch is far smaller than 4 GiB");
        let entry = opcode::Send::new(Fd(socket.as_raw_fd()), bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.queue(entry.user_data(user_data(Kind::Send, id)));
    }

    #[inline]
    pub(super) fn bytes(&self, lent: &Lent) -> &[u8] {
        self.buffers.bytes(lent)
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self, lent: &mut Lent) -> &mut [u8] {
        self.buffers.bytes_mut(lent)
    }

    pub(super) fn give_back(&mut self, lent: Lent) {
        self.buffers.give_back(lent);
    }

    fn cancel(&mut self, what: u64) {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::user_data(what)).build();
        self.queue(entry.user_data(user_data(Kind::Cancel, NOBODY)));
    }

    #[inline]
    fn queue(&mut self, entry: Entry) {
        loop {
            // SAFETY: the descriptors are open until after the next submission: sockets are closed at the end of a turn
            // that has nothing of theirs queued. Memory named by sends is the caller's promise.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
            let queued = self.uring.submission().len();
            self.enter(queued).expect("the ring works");
        }
    }
}

/// What has no connection.
const NOBODY: ConnectionId = ConnectionId { slot: 0, reuse: 0 };

/// What is not an error: the completion queue is full, a signal came, or the time is over. What is there is reaped, the
/// rest is tried again.
fn tolerate(entered: io::Result<usize>, tolerable: &[i32]) -> io::Result<()> {
    match entered {
        Err(error)
            if !error
                .raw_os_error()
                .is_some_and(|code| tolerable.contains(&code)) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// The ring's flags; the probe asks the kernel for the same.
pub(super) fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag()
        .setup_cqsize(COMPLETIONS);
    builder
}

fn user_data(kind: Kind, id: ConnectionId) -> u64 {
    assert!(id.slot < 1 << 28, "connections are limited far below 2^28");
    (kind as u64) << 60 | u64::from(id.slot) << 32 | u64::from(id.reuse)
}

fn event(buffers: &Buffers, entry: &cqueue::Entry) -> Option<Event> {
    let data = entry.user_data();
    let slot = (data >> 32) as u32 & ((1 << 28) - 1);
    #[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    let id = ConnectionId {
        slot,
        reuse: data as u32,
    };
    let is_last = !cqueue::more(entry.flags());
    let result =
        usize::try_from(entry.result()).map_err(|_| Errno::from_raw_os_error(-entry.result()));
    Some(match data >> 60 {
        kind if kind == Kind::Receive as u64 => {
            match (result, cqueue::buffer_select(entry.flags())) {
                (Ok(len), Some(buffer)) if len > 0 => Event::Received {
                    id,
                    bytes: buffers.lend(buffer, len),
                    is_last,
                },
                (Ok(_), _) => Event::ReceiveEnded { id, error: None },
                (Err(error), _) => Event::ReceiveEnded {
                    id,
                    error: Some(error),
                },
            }
        }
        kind if kind == Kind::Send as u64 => Event::Sent { id, result },
        kind if kind == Kind::Writable as u64 => Event::Writable { id },
        kind if kind == Kind::Bell as u64 => Event::Rung { is_last },
        kind if kind == Kind::Accept as u64 => {
            let result = result.map(|_| {
                // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
                unsafe { OwnedFd::from_raw_fd(entry.result()) }
            });
            Event::Accepted {
                listener: id.slot,
                result,
                is_last,
            }
        }
        _ => return None,
    })
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}
