//! Lines for syslog, the system's own or that of another machine, in the form in which Go's `log/syslog` sends them.
//!
//! *Control path.* Run by the log thread only, and once at the start.
//!
//! - A line is one datagram, or one line of a stream; line ends inside it become spaces there, so that nobody can make up a line.
//! - A line that cannot be sent is tried once more on a new connection, then it is lost, and the writer counts it.
//! - While there is no server, lines are lost without a try: one a second asks whether it is back. No socket is waited for
//!   longer than [`WAIT_MAX`].
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "sockets and clocks are what this is about"
)]

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::LogStartError;
use super::line::Entry;
use crate::base::log::Level;
use crate::config::RemoteSyslog;
use crate::config::go_text::go_error;

/// How long connecting or sending may take.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// How long no new connection is tried after one could not be made.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What is longer is cut: no datagram can carry it.
const DATAGRAM_BYTES_MAX: usize = 65_000;
/// Where Go looks for the system's own syslog.
const LOCAL_PATHS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// Facilities, shifted to their place: nats-server's choice for its machine, and, perhaps by mistake, for others.
const DAEMON: u8 = 3 << 3;
const KERNEL: u8 = 0;

/// A connection to syslog.
#[derive(Debug)]
pub(super) struct Syslog {
    target: Target,
    /// The process's name, as it was called.
    tag: String,
    host: String,
    zone: TimeZone,
    connection: Option<Connection>,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Target {
    /// `None` is this machine.
    server: Option<RemoteSyslog>,
    local_paths: Vec<PathBuf>,
}

#[derive(Debug)]
enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    UnixDatagrams(UnixDatagram),
    UnixStream(UnixStream),
}

impl Syslog {
    /// Connects to `server`, or to the system's own syslog.
    ///
    /// # Errors
    /// When there is none, with Go's text.
    pub(super) fn connect(server: Option<&RemoteSyslog>) -> Result<Syslog, LogStartError> {
        let local_paths = LOCAL_PATHS.iter().map(PathBuf::from).collect();
        Syslog::connect_to(Target {
            server: server.cloned(),
            local_paths,
        })
    }

    fn connect_to(target: Target) -> Result<Syslog, LogStartError> {
        let connection = target
            .connect()
            .map_err(|(_, why)| LogStartError::Syslog(why))?;
        let program = std::env::args_os().next().unwrap_or_default();
        let program = Path::new(&program).file_name().unwrap_or_default();
        Ok(Syslog {
            target,
            tag: program.to_string_lossy().into_owned(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            zone: TimeZone::system(),
            connection: Some(connection),
            retry_at: None,
        })
    }

    /// Sends one line.
    pub(super) fn send(&mut self, entry: &Entry, message: &str) -> io::Result<()> {
        let frame = self.frame(entry, message);
        if let Some(connection) = &mut self.connection {
            match connection.send(&frame) {
                Ok(()) => return Ok(()),
                Err(_) => self.connection = None,
            }
        }
        self.connect_again()?.send(&frame)
    }

    fn connect_again(&mut self) -> io::Result<&mut Connection> {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| now < at) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match self.target.connect() {
            Ok(connection) => {
                self.retry_at = None;
                Ok(self.connection.insert(connection))
            }
            Err((error, _)) => {
                self.retry_at = Some(now + RETRY_AFTER);
                Err(error)
            }
        }
    }

    fn frame(&self, entry: &Entry, message: &str) -> String {
        let when = Timestamp::try_from(entry.when).unwrap_or(Timestamp::UNIX_EPOCH);
        let (tag, pid) = (&self.tag, std::process::id());
        let severity = severity(entry.record.level);
        let head = match self.target.server {
            None => {
                let when = self.zone.to_datetime(when).strftime("%b %e %H:%M:%S");
                format!("<{}>{when} {tag}[{pid}]: ", DAEMON | severity)
            }
            Some(_) => {
                let when = self.rfc_3339(when);
                let host = &self.host;
                format!("<{}>{when} {host} {tag}[{pid}]: ", KERNEL | severity)
            }
        };
        let mut end = message.len();
        if !self.target.is_stream() {
            end = end.min(DATAGRAM_BYTES_MAX.saturating_sub(head.len()));
            while !message.is_char_boundary(end) {
                end -= 1;
            }
        }
        let message = &message[..end];
        if message.contains('\n') {
            return format!("{head}{}\n", message.replace('\n', " "));
        }
        format!("{head}{message}\n")
    }

    fn rfc_3339(&self, when: Timestamp) -> String {
        match self.zone.to_offset(when) {
            Offset::UTC => format!("{when:.0}"),
            offset => format!("{:.0}", when.display_with_offset(offset)),
        }
    }
}

impl Target {
    /// A new connection; or the error, and what it is called.
    fn connect(&self) -> Result<Connection, (io::Error, String)> {
        match &self.server {
            None => {
                let mut paths = self.local_paths.iter();
                let found = paths.find_map(|path| connect_unix(path).ok());
                found.ok_or_else(|| {
                    let error = io::ErrorKind::NotFound.into();
                    (error, "Unix syslog delivery error".to_owned())
                })
            }
            Some(RemoteSyslog::Unix(path)) => {
                let connected = UnixStream::connect(path).and_then(with_deadline);
                connected.map_err(|error| failed("unix", path.display(), error))
            }
            Some(RemoteSyslog::Udp(address)) => {
                let connected = connect_any(address, connect_udp).map(Connection::Udp);
                connected.map_err(|error| failed("udp", address, error))
            }
            Some(RemoteSyslog::Tcp(address)) => {
                let connected = connect_any(address, connect_tcp).map(Connection::Tcp);
                connected.map_err(|error| failed("tcp", address, error))
            }
        }
    }

    fn is_stream(&self) -> bool {
        matches!(
            self.server,
            Some(RemoteSyslog::Tcp(_) | RemoteSyslog::Unix(_))
        )
    }
}

impl Connection {
    fn send(&mut self, frame: &str) -> io::Result<()> {
        let frame = frame.as_bytes();
        match self {
            Connection::Udp(socket) => socket.send(frame).map(|_| ()),
            Connection::UnixDatagrams(socket) => socket.send(frame).map(|_| ()),
            Connection::Tcp(stream) => stream.write_all(frame),
            Connection::UnixStream(stream) => stream.write_all(frame),
        }
    }
}

/// The system's syslog takes datagrams, or else a stream.
fn connect_unix(path: &Path) -> io::Result<Connection> {
    let socket = UnixDatagram::unbound()?;
    if socket.connect(path).is_ok() {
        socket.set_write_timeout(Some(WAIT_MAX))?;
        return Ok(Connection::UnixDatagrams(socket));
    }
    UnixStream::connect(path).and_then(with_deadline)
}

fn with_deadline(stream: UnixStream) -> io::Result<Connection> {
    stream.set_write_timeout(Some(WAIT_MAX))?;
    Ok(Connection::UnixStream(stream))
}

fn connect_udp(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_write_timeout(Some(WAIT_MAX))?;
    socket.connect(server)?;
    Ok(socket)
}

fn connect_tcp(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, WAIT_MAX)?;
    stream.set_write_timeout(Some(WAIT_MAX))?;
    Ok(stream)
}

/// Connects to the first of a name's addresses where that works.
fn connect_any<T>(address: &str, connect: fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for server in address.to_socket_addrs()? {
        match connect(server) {
            Ok(connected) => return Ok(connected),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn failed(network: &str, address: impl Display, error: io::Error) -> (io::Error, String) {
    let why = format!("dial {network} {address}: connect: {}", go_error(&error));
    (error, why)
}

/// nats-server's choice.
fn severity(level: Level) -> u8 {
    match level {
        Level::Fatal => 2,
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info | Level::Trace => 5,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests;
