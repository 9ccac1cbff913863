//! One connection's socket as the pump sees it: bytes, not meaning.

use super::stages::Stages;
use crate::base::clock::Now;
use crate::base::ids::ConnectionId;
use crate::router::Batch;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Slices that one send names at most (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    pub(super) id: ConnectionId,
    /// The acceptor has counted it, and wants to hear when it goes.
    pub(super) is_counted: bool,
    /// A multishot receive is armed.
    pub(super) is_receiving: bool,
    /// The last turn in which it brought bytes.
    pub(super) heard_in_turn: u64,
    /// It has been sent something since it last brought bytes.
    pub(super) was_told: bool,
    /// Bytes are welcome; not while the publisher is paused.
    pub(super) wants_bytes: bool,
    /// The peer has closed its side, or the session is over.
    pub(super) has_ended: bool,
    pub(super) in_flight: Option<InFlight>,
    /// What is between it and its session; `None` is nothing.
    pub(super) stages: Option<Box<Stages>>,
    /// The session is over: until when what is left may still be sent.
    pub(super) lingers_until: Option<Now>,
}

/// The sockets of a shard, by the slots of their connections.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    by_slot: Vec<Option<Socket>>,
}

impl Sockets {
    /// Keeps a socket under its connection's slot, which is free.
    pub(super) fn insert(&mut self, socket: Socket) -> &mut Socket {
        let index = socket.id.slot as usize;
        if self.by_slot.len() <= index {
            self.by_slot.resize_with(index + 1, || None);
        }
        self.by_slot[index].insert(socket)
    }

    /// The socket of a connection; `None` when that is gone, even if the slot has a new tenant.
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Socket> {
        let socket = self.by_slot.get_mut(id.slot as usize)?.as_mut()?;
        (socket.id == id).then_some(socket)
    }

    /// Closes a socket.
    pub(super) fn remove(&mut self, id: ConnectionId) {
        self.by_slot[id.slot as usize] = None;
    }

    pub(super) fn are_all_closed(&self) -> bool {
        self.by_slot.iter().all(Option::is_none)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Socket> {
        self.by_slot.drain(..).flatten()
    }
}

/// A load that the kernel has not taken whole yet.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) load: Load,
    pub(super) sent: usize,
    /// The ring holds a pointer into the load; it must not be touched before the send completes.
    pub(super) in_kernel: bool,
}

/// What one send takes.
#[derive(Debug)]
pub(super) enum Load {
    Plain(Batch),
    /// What stages have made of a batch, and what they have to say themselves.
    Staged {
        bytes: Vec<u8>,
        batch: Option<Batch>,
    },
}

impl Load {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Load::Plain(batch) => batch.len(),
            Load::Staged { bytes, .. } => bytes.len(),
        }
    }

    pub(super) fn as_one_slice(&self) -> Option<&[u8]> {
        match self {
            Load::Plain(batch) => batch.as_one_slice(),
            Load::Staged { bytes, .. } => Some(bytes),
        }
    }

    /// How many bytes of its batch are among the first `sent`; of a staged one, as many as its share.
    #[inline]
    pub(super) fn of_batch(&self, sent: usize) -> usize {
        match self {
            Load::Plain(_) => sent,
            Load::Staged { bytes, batch } => {
                let batch = batch.as_ref().map_or(0, Batch::len);
                if sent == bytes.len() {
                    batch
                } else {
                    batch * sent / bytes.len()
                }
            }
        }
    }
}

impl Socket {
    pub(super) fn new(fd: OwnedFd, id: ConnectionId) -> Socket {
        Socket {
            fd,
            id,
            is_counted: true,
            is_receiving: false,
            heard_in_turn: 0,
            was_told: false,
            wants_bytes: true,
            has_ended: false,
            in_flight: None,
            stages: None,
            lingers_until: None,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends what the socket takes right now of the load, from `skip` on. Gives how much that was.
    pub(super) fn send_now(&self, load: &Load, skip: usize) -> Result<usize, Errno> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = match load {
            Load::Staged { bytes, .. } => rustix::net::send(&self.fd, &bytes[skip..], flags),
            Load::Plain(batch) => {
                if let Some(bytes) = batch.as_one_slice() {
                    return Socket::tolerate(rustix::net::send(&self.fd, &bytes[skip..], flags));
                }
                let slices: Vec<IoSlice<'_>> = batch
                    .slices(skip)
                    .take(SLICES_MAX)
                    .map(IoSlice::new)
                    .collect();
                sendmsg(
                    &self.fd,
                    &slices,
                    &mut SendAncillaryBuffer::default(),
                    flags,
                )
            }
        };
        Socket::tolerate(sent)
    }

    /// That there is no room right now is no error.
    fn tolerate(sent: Result<usize, Errno>) -> Result<usize, Errno> {
        match sent {
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(0),
            other => other,
        }
    }

    /// Says goodbye to the peer; a receive that is armed ends.
    pub(super) fn shut_down(&self) {
        // It may be gone already, which is just as well.
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }
}
