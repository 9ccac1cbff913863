//! Which process is at the other end of a Unix socket, as the kernel says. *Once per connection.*
//!
//! Why `unsafe`: `getsockopt` with structures. rustix has the first question, but its pid cannot be 0, which the kernel says of
//! processes that this one cannot see (another pid namespace); and it does not have the second one.
#![allow(unsafe_code)]

use crate::base::origin::Peer;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Groups for which there is room at once. Few processes are in more.
const GROUPS_AT_ONCE: usize = 32;
/// The kernel's own limit.
const GROUPS_MAX: usize = 65_536;

/// The process that has connected. What it became later (other users, other groups) does not count.
///
/// # Errors
/// When the kernel does not say, as for a socket that is no connected Unix socket.
pub(super) fn of(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut found = MaybeUninit::<libc::ucred>::uninit();
    let mut len = length(size_of::<libc::ucred>());
    // SAFETY: the kernel writes at most `len` bytes to `found`, which has that size.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            found.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    if len != length(size_of::<libc::ucred>()) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel has written all of it, and it is plain numbers.
    let found = unsafe { found.assume_init() };
    Ok(Peer {
        pid: u32::try_from(found.pid).unwrap_or_default(),
        user: found.uid,
        group: found.gid,
        groups: groups(socket)?,
    })
}

fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; GROUPS_AT_ONCE];
    loop {
        let mut len = length(size_of_val(&*groups));
        // SAFETY: the kernel writes at most `len` bytes to `groups`, which has that size, and any numbers are groups.
        let got = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = len as usize / size_of::<libc::gid_t>();
        if got == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // There are more: the kernel says how many.
        if error.raw_os_error() != Some(libc::ERANGE)
            || !(groups.len()..=GROUPS_MAX).contains(&count)
        {
            return Err(error);
        }
        groups.resize(count.max(groups.len() + 1), 0);
    }
}

fn length(bytes: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(bytes).unwrap_or(libc::socklen_t::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn this_process_is_itself() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let peer = of(one.as_fd()).expect("the kernel knows");
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.user, rustix::process::getuid().as_raw());
        assert_eq!(peer.group, rustix::process::getgid().as_raw());
        let mut groups: Vec<u32> = rustix::process::getgroups()
            .expect("its groups")
            .into_iter()
            .map(|group| group.as_raw())
            .collect();
        let mut found = peer.groups;
        groups.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, groups);
    }

    #[test]
    fn the_network_has_no_processes() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // The kernel has no answer, or one that is nobody.
        if let Ok(peer) = of(socket.as_fd()) {
            assert_eq!((peer.pid, peer.user), (0, u32::MAX));
        }
    }
}
