//! Listening sockets. *Start-up.*

#![allow(clippy::disallowed_methods, reason = "start-up, not a shard")]

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, ipproto, listen, socket_with,
    sockopt,
};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;
/// How long a port or a Unix socket may be in use before that is an error, and how often it is tried.
const IN_USE_WAIT_MAX: Duration = Duration::from_secs(1);
const IN_USE_EVERY: Duration = Duration::from_millis(2);

/// Binds to `host` and `port` (0 is a free one) and listens; gives the address it got.
///
/// Like nats-server's, the wildcard address takes IPv6 and IPv4 on one socket where the machine has IPv6.
///
/// # Errors
/// When the host name does not resolve, or the address cannot be had: in use, not ours, not allowed.
pub fn open(host: &str, port: u16) -> io::Result<(OwnedFd, SocketAddr)> {
    let wants_all = matches!(host, "0.0.0.0" | "::" | "[::]" | "");
    if wants_all {
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        match open_address(everywhere, true) {
            Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            opened => return opened,
        }
    }
    let host = if wants_all {
        "0.0.0.0"
    } else {
        host.trim_matches(['[', ']'])
    };
    let address = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => (host, port).to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("lookup {host}: no such host"),
            )
        })?,
    };
    open_address(address, false)
}

fn open_address(address: SocketAddr, dual: bool) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !dual)?;
    }
    // A restarted broker takes its port back at once, whatever lingers of the old connections.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    while_in_use(|| Ok(bind(&socket, &address)?))?;
    listen(&socket, BACKLOG)?;
    let got = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, got))
}

/// Tries again while the place is in use, but not for long.
///
/// The kernel takes the rings of a process that was killed apart behind its death, and with them its listening socket: some
/// milliseconds long, longer on a busy machine, whoever starts it anew finds its place still taken.
pub(super) fn while_in_use(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let deadline = Instant::now() + IN_USE_WAIT_MAX;
    loop {
        match attempt() {
            Err(error) if is_in_use(&error) && Instant::now() < deadline => {
                thread::sleep(IN_USE_EVERY);
            }
            done => return done,
        }
    }
}

fn is_in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}
