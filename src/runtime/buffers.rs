//! Receive buffers that the kernel picks from when bytes arrive (a provided-buffer ring): idle connections own none.
//!
//! Invariants
//! - A buffer is the kernel's, or it is out as exactly one [`Lent`]; only [`Buffers::give_back`] returns it.
//! - The memory lives as long as the ring may write to it: [`super::ring::Ring`] drops its io_uring first.
//!
//! Why `unsafe`: the kernel reads the descriptor ring and writes the buffers behind the compiler's back; there is no
//! safe face for that in `io-uring` or the standard library. What it buys: one system call may bring bytes of any
//! number of connections, and 10,000 idle connections hold no receive memory (DESIGN §4 has the figures).
#![allow(unsafe_code)]

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers of one shard. A power of two. Together they should fit the L2 cache: a ring of them is used in turn.
pub(super) const BUFFERS: u16 = 32;
/// Bytes per buffer; one receive brings at most this much.
pub(super) const BUFFER_BYTES: u32 = 64 * 1024;

const PAGE: usize = 4096;
const GROUP: u16 = 0;

/// The buffers of one ring.
#[derive(Debug)]
pub(super) struct Buffers {
    descriptors: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
}

/// A buffer with received bytes in it.
#[derive(Debug)]
pub(super) struct Lent {
    id: u16,
    len: usize,
}

impl Buffers {
    /// The group to name in a receive.
    pub(super) const GROUP: u16 = GROUP;

    /// Makes the buffers and registers them with `uring`.
    ///
    /// # Errors
    /// When the kernel refuses: it is older than 5.19, or memory may not be locked.
    pub(super) fn register(uring: &IoUring) -> io::Result<Buffers> {
        let mut buffers = Buffers {
            descriptors: allocate(descriptors_layout()).cast(),
            memory: allocate(memory_layout()),
            tail: 0,
        };
        let address = buffers.descriptors.as_ptr() as u64;
        // SAFETY: the descriptor ring is page-aligned, zeroed, has BUFFERS entries, and outlives the registration
        // (see the invariants).
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(address, BUFFERS, GROUP, 0)?
        };
        for id in 0..BUFFERS {
            buffers.offer(id);
        }
        Ok(buffers)
    }

    /// Takes hold of the buffer that a completion names.
    pub(super) fn lend(&self, id: u16, len: usize) -> Lent {
        assert!(
            id < BUFFERS && len <= BUFFER_BYTES as usize,
            "the kernel names one of its buffers"
        );
        Lent { id, len }
    }

    /// The received bytes.
    #[inline]
    pub(super) fn bytes(&self, lent: &Lent) -> &[u8] {
        // SAFETY: `lent` lies inside the allocation (checked in `lend`), the kernel has written it and will not touch
        // it again before `give_back`, which consumes `lent`.
        unsafe {
            let start = self
                .memory
                .as_ptr()
                .add(usize::from(lent.id) * BUFFER_BYTES as usize);
            std::slice::from_raw_parts(start, lent.len)
        }
    }

    /// The received bytes, to be opened where they lie.
    #[inline]
    pub(super) fn bytes_mut(&mut self, lent: &mut Lent) -> &mut [u8] {
        // SAFETY: as in `bytes`; nobody else has a reference, because both `self` and `lent` are borrowed mutably.
        unsafe {
            let start = self
                .memory
                .as_ptr()
                .add(usize::from(lent.id) * BUFFER_BYTES as usize);
            std::slice::from_raw_parts_mut(start, lent.len)
        }
    }

    pub(super) fn give_back(&mut self, lent: Lent) {
        self.offer(lent.id);
    }

    fn offer(&mut self, id: u16) {
        let index = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: `index` is within the descriptor ring; the kernel reads an entry only once the tail has passed it,
        // and the tail passes it with the release store below. The tail field is the `resv` of the first entry.
        unsafe {
            let entry = &mut *self.descriptors.as_ptr().add(index);
            entry.set_addr(
                self.memory
                    .as_ptr()
                    .add(usize::from(id) * BUFFER_BYTES as usize) as u64,
            );
            entry.set_len(BUFFER_BYTES);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.descriptors.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts; the io_uring that knew them is gone.
        unsafe {
            dealloc(self.descriptors.as_ptr().cast(), descriptors_layout());
            dealloc(self.memory.as_ptr(), memory_layout());
        }
    }
}

fn descriptors_layout() -> Layout {
    pages(usize::from(BUFFERS) * size_of::<BufRingEntry>())
}

fn memory_layout() -> Layout {
    pages(usize::from(BUFFERS) * BUFFER_BYTES as usize)
}

fn pages(size: usize) -> Layout {
    Layout::from_size_align(size, PAGE).expect("constants make a valid layout")
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts are not empty.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}
