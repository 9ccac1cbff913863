//! What a shard asks of the kernel's scheduler. *Start-up.*
//!
//! A pinned thread cannot go elsewhere when a program that computes has its core. From Linux 6.12 on a thread may say how long its turns
//! on the core are; one with short turns interrupts one with long turns when it wakes. A shard's turns are short, so it says so: it
//! gets no more of the core for it, but gets it at once (docs/decisions/0006).
#![allow(unsafe_code)]

/// The shortest slice the kernel knows (`kernel/sched/syscalls.c`).
const SLICE_NS: u64 = 100_000;

/// Asks for short time slices, for the calling thread. Without effect before Linux 6.12, and under other policies than the normal one.
pub(super) fn ask_for_short_slices() {
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the structure is plain numbers, for which zeros are valid.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most `size` bytes, which is the structure's size.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    if got != 0 || attributes.sched_policy != libc::SCHED_OTHER.cast_unsigned() {
        return;
    }
    attributes.sched_runtime = SLICE_NS;
    // SAFETY: the structure tells its own size, and the kernel only reads it. That it may refuse harms nothing.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}
