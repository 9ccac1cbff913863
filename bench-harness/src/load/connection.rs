//! One connection: a socket that never blocks, its driver, and the bytes under way in both directions. *Hot path.*
//!
//! - Received bytes go into a buffer that all connections of a thread share; only the piece of a frame that is left over at the
//!   end is kept here. So ten thousand idle connections need no ten thousand buffers.
//! - epoll reports edges. A read that does not fill the buffer has drained the socket, as has one that would block.
//! - One look at the clock per read: all messages of one read arrived at that time, as far as a program can tell.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;

use super::LoadError;
use super::pacing::Clock;
use super::pipe::Pipe;
use super::tally::Tally;
use crate::wire::{Event, Message, Parsed, Wire};

#[derive(Debug)]
pub(super) struct Connection<W> {
    pub(super) pipe: Pipe,
    pub(super) wire: W,
    pub(super) out: Outbox,
    /// The beginning of a frame whose end has not come yet.
    rest: Rest,
    peer: SocketAddr,
    pub(super) is_readable: bool,
    /// The other side has said that it will send no more.
    pub(super) is_ending: bool,
}

/// What a connection's owner does with what comes.
pub(super) trait Listener<W> {
    fn message(
        &mut self,
        message: &Message<'_>,
        now_ns: u64,
        tally: &mut Tally,
        wire: &W,
        out: &mut Vec<u8>,
    );
}

impl<W: Wire> Connection<W> {
    pub(super) fn new(socket: TcpStream, peer: SocketAddr, wire: W) -> Connection<W> {
        Connection {
            pipe: Pipe::new(socket),
            wire,
            out: Outbox::default(),
            rest: Rest::default(),
            peer,
            is_readable: false,
            is_ending: false,
        }
    }

    /// Reads once and hands on what came. Tells how many flushes were answered.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        clock: &Clock,
        tally: &mut Tally,
        listener: &mut impl Listener<W>,
    ) -> Result<u32, LoadError> {
        let (kept, room) = self.rest.room(buffer);
        let read = match self.pipe.read(&mut room[kept..]) {
            Ok(0) => return Err(self.closed(None)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                return Ok(0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(self.closed(Some(error))),
        };
        let now_ns = clock.now_ns();
        if kept + read < room.len() && !self.is_ending && self.pipe.tells_by_length() {
            self.is_readable = false;
        }
        let (received, peer) = (&room[..kept + read], self.peer);
        let (wire, out) = (&mut self.wire, &mut self.out.bytes);
        let (mut taken, mut flushed) = (0, 0);
        loop {
            let frame = &received[taken..];
            if frame.is_empty() {
                break;
            }
            // By reference: moved, a message would be stored in words and loaded in pairs of them, which stalls.
            let parsed = wire.parse(frame);
            let (length, event) = match &parsed {
                Parsed::Event(length, event) => (*length, event),
                Parsed::Incomplete => break,
                Parsed::Broken => return Err(foreign::<W>(peer, frame)),
            };
            taken += length;
            match event {
                Event::Message(message) => listener.message(message, now_ns, tally, wire, out),
                Event::Flushed => flushed += 1,
                Event::Answer(bytes) => out.extend_from_slice(bytes),
                Event::Error(said) => {
                    let said = String::from_utf8_lossy(said).into_owned();
                    return Err(LoadError::Complained {
                        address: peer,
                        said,
                    });
                }
                Event::Other => {}
            }
        }
        self.rest.keep(buffer, kept + read, taken);
        Ok(flushed)
    }

    /// Reads once while the handshake is under way, and shows the driver everything that it has not consumed.
    pub(super) fn receive_raw(&mut self, held: &mut Vec<u8>) -> Result<bool, LoadError> {
        let mut piece = [0; 4096];
        match self.pipe.read(&mut piece) {
            Ok(0) => Err(self.closed(None)),
            Ok(read) => {
                held.extend_from_slice(&piece[..read]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.is_readable = false;
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(self.closed(Some(error))),
        }
    }

    /// Bytes that came behind the handshake's end.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.rest.bytes.clear();
        self.rest.bytes.extend_from_slice(bytes);
        self.rest.filled = bytes.len();
    }

    /// Writes what it can. Tells whether nothing is left.
    pub(super) fn send(&mut self) -> Result<bool, LoadError> {
        loop {
            if self.out.is_empty() {
                return match self.pipe.finish() {
                    Ok(is_finished) => Ok(is_finished),
                    Err(error) => Err(self.refused_write(error)),
                };
            }
            match self.pipe.write(&self.out.bytes[self.out.written..]) {
                Ok(written) => self.out.note_written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused_write(error)),
            }
        }
    }

    /// A server that complains and closes makes the write fail first; what it said is still there to be read.
    fn refused_write(&mut self, error: io::Error) -> LoadError {
        let mut piece = [0; 4096];
        if let Ok(read) = self.pipe.read(&mut piece)
            && let Parsed::Event(_, Event::Error(said)) = self.wire.parse(&piece[..read])
        {
            let said = String::from_utf8_lossy(said).into_owned();
            return LoadError::Complained {
                address: self.peer,
                said,
            };
        }
        self.closed(Some(error))
    }

    fn closed(&self, source: Option<io::Error>) -> LoadError {
        LoadError::Closed {
            address: self.peer,
            source,
        }
    }
}

pub(super) fn foreign<W: Wire>(address: SocketAddr, said: &[u8]) -> LoadError {
    let beginning = &said[..said.len().min(60)];
    LoadError::Foreign {
        address,
        protocol: W::PROTOCOL,
        said: String::from_utf8_lossy(beginning).into_owned(),
    }
}

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(super) fn length(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Gives memory back that only the beginning needed.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
            self.written = 0;
        }
    }

    fn note_written(&mut self, written: usize) {
        self.written += written;
        if self.is_empty() {
            self.bytes.clear();
            self.written = 0;
        }
    }
}

/// A frame's beginning. Short ones are copied in front of the next read; a long one stays, and is read on to, because copying
/// a mebibyte at every read of it would cost more than receiving it.
#[derive(Debug, Default)]
struct Rest {
    /// May be longer than what is filled.
    bytes: Vec<u8>,
    filled: usize,
}

impl Rest {
    /// Where to read to: what is there already, and the bytes with it in front.
    fn room<'a>(&'a mut self, buffer: &'a mut [u8]) -> (usize, &'a mut [u8]) {
        if self.filled > SHORT {
            if self.bytes.len() < self.filled + buffer.len() {
                self.bytes.resize(self.filled + 2 * buffer.len(), 0);
            }
            return (self.filled, &mut self.bytes);
        }
        buffer[..self.filled].copy_from_slice(&self.bytes[..self.filled]);
        (self.filled, buffer)
    }

    /// Keeps what was not taken of what [`room`](Self::room) gave, which is now filled so far.
    fn keep(&mut self, buffer: &[u8], filled: usize, taken: usize) {
        if self.filled > SHORT {
            self.bytes.copy_within(taken..filled, 0);
            self.filled = filled - taken;
            return;
        }
        self.filled = filled - taken;
        if self.filled > 0 {
            self.bytes.clear();
            self.bytes.extend_from_slice(&buffer[taken..filled]);
        }
    }
}

/// Below this a rest is copied. The shared buffer is much larger.
const SHORT: usize = 16 << 10;
