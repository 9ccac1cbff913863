//! Opens connections: connect, shake hands, subscribe, and hear that the subscriptions stand. Many at a time, in batches
//! that a server's accept queue can hold.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use super::connection::{Connection, foreign};
use super::pacing::Clock;
use super::subscriber::Deaf;
use super::tally::Tally;
use super::{LoadError, Target};
use crate::wire::{Greeting, Shake, Wire};

/// A connection to be opened.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) patterns: Arc<Vec<String>>,
    pub(super) group: Option<String>,
    /// Where it comes from, if that matters.
    pub(super) source: Option<Ipv4Addr>,
}

/// All of them, in the order of their specs; and what the server said to the first that was ready.
#[derive(Debug)]
pub(super) struct Opened<W> {
    pub(super) connections: Vec<Connection<W>>,
    pub(super) greeting: Option<Greeting>,
}

/// The token of each connection is its place in the specs. Nothing, if it was told to stop.
pub(super) fn open_all<W: Wire>(
    poll: &mut Poll,
    target: &Target,
    specs: &[Spec],
    stop: &AtomicBool,
) -> Result<Option<Opened<W>>, LoadError> {
    let mut batch = Batch {
        poll,
        target,
        specs,
        opening: Vec::with_capacity(specs.len()),
        standing: 0,
        greeting: None,
        tally: Tally::new(false),
        buffer: vec![0; BUFFER_BYTES],
        clock: Clock::start(),
        progress_ns: 0,
    };
    let mut events = Events::with_capacity(AT_A_TIME);
    while batch.standing < specs.len() {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        batch.start_some()?;
        match batch.poll.poll(&mut events, Some(TICK)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(machine("wait for events")(error));
            }
            _ => {}
        }
        for event in &events {
            // The thread's own tokens lie above all connections.
            if event.token().0 < batch.opening.len() {
                batch.advance(event.token().0, event.is_read_closed())?;
            }
        }
        batch.look_at_the_clock()?;
    }
    let mut connections: Vec<_> = batch.opening.into_iter().map(|o| o.connection).collect();
    for connection in &mut connections {
        connection.out.shrink();
    }
    Ok(Some(Opened {
        connections,
        greeting: batch.greeting,
    }))
}

struct Batch<'a, W> {
    poll: &'a mut Poll,
    target: &'a Target,
    specs: &'a [Spec],
    opening: Vec<Opening<W>>,
    standing: usize,
    greeting: Option<Greeting>,
    tally: Tally,
    buffer: Vec<u8>,
    clock: Clock,
    progress_ns: u64,
}

struct Opening<W> {
    connection: Connection<W>,
    stage: Stage,
    /// Of the handshake, not consumed yet.
    held: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    /// What the server says before TLS begins.
    Greeting,
    Securing,
    Shaking,
    /// The pattern that comes next.
    Subscribing(usize),
    /// Everything is sent; the flush has to be answered.
    Waiting,
    Standing,
}

impl<W: Wire> Batch<'_, W> {
    fn start_some(&mut self) -> Result<(), LoadError> {
        while self.opening.len() < self.specs.len()
            && self.opening.len() - self.standing < AT_A_TIME
        {
            let place = self.opening.len();
            let spec = &self.specs[place];
            let address = self.target.address;
            let mut socket = connect_to(address, spec.source)
                .map_err(|source| LoadError::Unreachable { address, source })?;
            self.poll
                .registry()
                .register(
                    &mut socket,
                    Token(place),
                    Interest::READABLE | Interest::WRITABLE,
                )
                .map_err(machine("watch a socket"))?;
            let wire = W::new(&self.target.credentials, &spec.name);
            self.opening.push(Opening {
                connection: Connection::new(socket, address, wire),
                stage: Stage::Connecting,
                held: Vec::new(),
            });
        }
        Ok(())
    }

    /// Goes as far as it can with one connection.
    fn advance(&mut self, place: usize, is_ending: bool) -> Result<(), LoadError> {
        let connection = &mut self.opening[place].connection;
        connection.is_readable = true;
        connection.is_ending |= is_ending;
        loop {
            let before = self.opening[place].stage;
            match before {
                Stage::Connecting => self.connected(place)?,
                Stage::Greeting => self.greeted(place).map_err(unanswered::<W>)?,
                Stage::Securing => self.secure(place)?,
                Stage::Shaking => self.shake(place).map_err(unanswered::<W>)?,
                Stage::Subscribing(next) => self.subscribe(place, next)?,
                Stage::Waiting => self.wait(place)?,
                Stage::Standing => return Ok(()),
            }
            if self.opening[place].stage == before {
                return Ok(());
            }
            self.progress_ns = self.clock.now_ns();
        }
    }

    fn connected(&mut self, place: usize) -> Result<(), LoadError> {
        let opening = &mut self.opening[place];
        let socket = &opening.connection.pipe.socket;
        let address = self.target.address;
        if let Some(source) = socket.take_error().map_err(machine("look at a socket"))? {
            return Err(LoadError::Unreachable { address, source });
        }
        if socket.peer_addr().is_err() {
            return Ok(());
        }
        // A load's small messages must not wait for each other.
        socket
            .set_nodelay(true)
            .map_err(machine("set up a socket"))?;
        match &self.target.tls {
            None => self.open(place),
            Some(tls) if tls.is_first => self.begin_tls(place),
            Some(_) => {
                opening.stage = Stage::Greeting;
                Ok(())
            }
        }
    }

    /// The driver's first word.
    fn open(&mut self, place: usize) -> Result<(), LoadError> {
        let opening = &mut self.opening[place];
        opening
            .connection
            .wire
            .open(&mut opening.connection.out.bytes);
        opening.connection.send()?;
        opening.stage = Stage::Shaking;
        Ok(())
    }

    /// Waits for the server's greeting, a line: TLS begins after it.
    fn greeted(&mut self, place: usize) -> Result<(), LoadError> {
        let Opening {
            connection, held, ..
        } = &mut self.opening[place];
        while connection.is_readable && !held.ends_with(b"\n") {
            connection.receive_raw(held)?;
        }
        if held.ends_with(b"\n") {
            return self.begin_tls(place);
        }
        Ok(())
    }

    fn begin_tls(&mut self, place: usize) -> Result<(), LoadError> {
        let address = self.target.address;
        let opening = &mut self.opening[place];
        if let Some(tls) = &self.target.tls {
            let begun = opening.connection.pipe.secure(tls);
            begun.map_err(|source| LoadError::Insecure { address, source })?;
        }
        opening.connection.wire.secured();
        opening.stage = Stage::Securing;
        Ok(())
    }

    fn secure(&mut self, place: usize) -> Result<(), LoadError> {
        let address = self.target.address;
        let connection = &mut self.opening[place].connection;
        let is_over = connection
            .pipe
            .shake_hands()
            .map_err(|source| LoadError::Insecure { address, source })?;
        if is_over {
            return self.open(place);
        }
        Ok(())
    }

    fn shake(&mut self, place: usize) -> Result<(), LoadError> {
        let address = self.target.address;
        let Opening {
            connection,
            stage,
            held,
        } = &mut self.opening[place];
        connection.send()?;
        // What was said before TLS is here already.
        let mut has_more = !held.is_empty();
        while has_more || connection.is_readable && connection.receive_raw(held)? {
            has_more = false;
            let (consumed, state) = connection.wire.shake(held, &mut connection.out.bytes);
            match state {
                Shake::More => {
                    held.drain(..consumed);
                    connection.send()?;
                }
                Shake::Ready(greeting) => {
                    held.drain(..consumed);
                    connection.put_back(held);
                    held.clear();
                    self.greeting.get_or_insert(greeting);
                    *stage = Stage::Subscribing(0);
                    return Ok(());
                }
                Shake::Refused(said) => return Err(LoadError::Refused { address, said }),
                Shake::Foreign => return Err(foreign::<W>(address, &held[consumed..])),
                Shake::Unable(what) => return Err(LoadError::Unable { address, what }),
            }
        }
        Ok(())
    }

    fn subscribe(&mut self, place: usize, mut next: usize) -> Result<(), LoadError> {
        let spec = &self.specs[place];
        let opening = &mut self.opening[place];
        let connection = &mut opening.connection;
        while connection.send()? {
            let Some(pattern) = spec.patterns.get(next) else {
                connection.wire.flush(&mut connection.out.bytes);
                connection.send()?;
                opening.stage = Stage::Waiting;
                return Ok(());
            };
            let out = &mut connection.out.bytes;
            next += 1;
            connection
                .wire
                .subscribe(out, next as u64, pattern, spec.group.as_deref());
            for pattern in &spec.patterns[next..] {
                if out.len() > BUFFER_BYTES {
                    break;
                }
                next += 1;
                connection
                    .wire
                    .subscribe(out, next as u64, pattern, spec.group.as_deref());
            }
        }
        opening.stage = Stage::Subscribing(next);
        // The acknowledgements of some protocols have to be taken meanwhile, or both sides would wait for each other.
        self.receive(place)?;
        Ok(())
    }

    fn wait(&mut self, place: usize) -> Result<(), LoadError> {
        self.opening[place].connection.send()?;
        if self.receive(place)? {
            self.opening[place].stage = Stage::Standing;
            self.standing += 1;
        }
        Ok(())
    }

    /// Tells whether the flush was answered.
    fn receive(&mut self, place: usize) -> Result<bool, LoadError> {
        let connection = &mut self.opening[place].connection;
        let mut is_flushed = false;
        while connection.is_readable && !is_flushed {
            let flushed =
                connection.receive(&mut self.buffer, &self.clock, &mut self.tally, &mut Deaf)?;
            is_flushed = flushed > 0;
        }
        Ok(is_flushed)
    }

    /// Gives up when nothing has moved for long.
    fn look_at_the_clock(&self) -> Result<(), LoadError> {
        let waited_ns = self.clock.now_ns() - self.progress_ns;
        if waited_ns < PATIENCE_S * 1_000_000_000 {
            return Ok(());
        }
        let address = self.target.address;
        let is_connecting = self
            .opening
            .iter()
            .all(|opening| opening.stage == Stage::Connecting);
        Err(match is_connecting {
            true => LoadError::Unreachable {
                address,
                source: io::ErrorKind::TimedOut.into(),
            },
            false => LoadError::Silent {
                address,
                protocol: W::PROTOCOL,
                waited_s: PATIENCE_S,
            },
        })
    }
}

/// A server that ends the connection before it has answered may well be one of another kind.
fn unanswered<W: Wire>(error: LoadError) -> LoadError {
    match error {
        LoadError::Closed { address, source } => LoadError::Unanswered {
            address,
            protocol: W::PROTOCOL,
            source,
        },
        other => other,
    }
}

/// Begins to connect.
fn connect_to(address: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let (Some(source), SocketAddr::V4(address)) = (source, address) else {
        return TcpStream::connect(address);
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    match connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// The loopback network has many addresses and each its own ports: with them, more connections than one address has ports
/// fit. Elsewhere the kernel picks the address.
pub(super) fn source_of(connection: u32, target: SocketAddr) -> Option<Ipv4Addr> {
    let IpAddr::V4(address) = target.ip() else {
        return None;
    };
    let block = u8::try_from(connection / PORTS_PER_ADDRESS).ok()?;
    (address.is_loopback() && block > 0).then(|| Ipv4Addr::new(127, 0, 1, block))
}

pub(super) fn machine(what: &'static str) -> impl Fn(io::Error) -> LoadError {
    move |source| LoadError::Machine { what, source }
}

const AT_A_TIME: usize = 128;
const BUFFER_BYTES: usize = 64 << 10;
const TICK: Duration = Duration::from_millis(50);
const PATIENCE_S: u64 = 5;
/// Below what Linux has by default (28,232).
const PORTS_PER_ADDRESS: u32 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_on_the_loopback_come_from_many_addresses() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for (connection, expected) in [
            (0, [127, 0, 0, 1]),
            (20_000, [127, 0, 1, 1]),
            (59_999, [127, 0, 1, 2]),
        ] {
            let _socket = connect_to(address, source_of(connection, address)).unwrap();
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), IpAddr::from(expected));
        }
    }

    #[test]
    fn elsewhere_the_kernel_picks_the_address() {
        let address = "192.0.2.1:4222".parse().unwrap();
        assert_eq!(source_of(100_000, address), None);
        assert_eq!(source_of(100_000, "[::1]:4222".parse().unwrap()), None);
    }
}
