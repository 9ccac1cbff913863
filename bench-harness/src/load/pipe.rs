//! A socket that never blocks, with or without TLS. *Hot path.*
//!
//! Over TLS a read gives what one record holds, so that only a read that would block shows that nothing is left; and what
//! was written may still have to be sent ([`Pipe::finish`]).

use std::io::{self, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// How a server is spoken to over TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    pub config: Arc<ClientConfig>,
    /// Who the server has to be.
    pub name: ServerName<'static>,
    /// Before the server has said anything, as with its option `handshake_first`.
    pub is_first: bool,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Pipe {
    pub(super) fn new(socket: TcpStream) -> Pipe {
        Pipe { socket, tls: None }
    }

    /// Whether a read that does not fill its buffer shows that nothing is left.
    pub(super) fn tells_by_length(&self) -> bool {
        self.tls.is_none()
    }

    /// Speaks TLS from now on, beginning with a handshake.
    pub(super) fn secure(&mut self, tls: &Tls) -> io::Result<()> {
        let connection = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone());
        self.tls = Some(Box::new(connection.map_err(io::Error::other)?));
        Ok(())
    }

    /// Goes as far with the handshake as it can. Tells whether it is over.
    pub(super) fn shake_hands(&mut self) -> io::Result<bool> {
        loop {
            self.finish()?;
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else {
                return self.finish();
            };
            match take_in(tls, &mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends what is sealed and not sent yet. Tells whether nothing is left.
    pub(super) fn finish(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
            if take_in(tls, &mut self.socket)? == 0 {
                return Ok(0);
            }
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.finish()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(tls) = &mut self.tls else {
            return self.socket.write(bytes);
        };
        let taken = tls.writer().write(bytes)?;
        self.finish()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

fn take_in(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<usize> {
    let read = tls.read_tls(socket)?;
    tls.process_new_packets().map_err(io::Error::other)?;
    Ok(read)
}
