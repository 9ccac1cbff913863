//! A client that is only a socket: it sends the bytes it is told to send and says what came back.
//!
//! Every read waits at most [`RawClient::patience`]; a broker that hangs fails its test instead of
//! hanging it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

/// One connection to a broker, with the bytes that have come and were not yet asked for.
#[derive(Debug)]
pub(crate) struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
    ended: bool,
    patience: Duration,
    tls: Option<Box<ClientConnection>>,
}

/// A delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) sid: String,
    /// Empty when there was none.
    pub(crate) reply: String,
    /// Headers, if any, and payload.
    pub(crate) body: Vec<u8>,
}

impl RawClient {
    /// Connects; the greeting (`INFO`) is left for the first [`RawClient::line`].
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        // What the test writes as one piece should arrive as one piece, and at once.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_PATIENCE))?;
        Ok(Self {
            stream,
            unread: Vec::new(),
            ended: false,
            patience: Duration::from_secs(5),
            tls: None,
        })
    }

    /// Begins TLS: all that is sent and read from now on goes through it. Fails when the handshake does.
    pub(crate) fn secure(
        &mut self,
        config: &Arc<ClientConfig>,
        name: &'static str,
    ) -> io::Result<()> {
        let name = ServerName::try_from(name).expect("a server name");
        let connection = ClientConnection::new(Arc::clone(config), name);
        let mut connection = Box::new(connection.map_err(io::Error::other)?);
        connection.set_buffer_limit(None);
        self.tls = Some(connection);
        let deadline = Instant::now() + self.patience;
        self.send_sealed()?;
        while self.tls().is_handshaking() {
            self.fill(deadline)?;
            self.send_sealed()?;
        }
        Ok(())
    }

    /// The TLS connection, for what has no method here.
    pub(crate) fn tls(&mut self) -> &mut ClientConnection {
        self.tls.as_deref_mut().expect("TLS was begun")
    }

    /// Seals `bytes` without sending them.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> Vec<u8> {
        let tls = self.tls();
        tls.writer().write_all(bytes).expect("there is no limit");
        let mut sealed = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut sealed).expect("memory takes it");
        }
        sealed
    }

    /// Sends what TLS has to send.
    pub(crate) fn send_sealed(&mut self) -> io::Result<()> {
        let sealed = self.seal(b"");
        self.stream.write_all(&sealed)
    }

    /// Connects, reads the greeting, says `CONNECT <options>` and waits until the broker has taken
    /// it in. Panics when that fails: for tests that are about something else. `verbose` must be
    /// off in `options`.
    pub(crate) fn join(address: SocketAddr, options: &str) -> Self {
        let mut client = Self::connect(address).expect("the broker accepts connections");
        let greeting = client.line().expect("the broker greets");
        assert!(greeting.starts_with(b"INFO {"), "greeting is {greeting:?}");
        client
            .send(format!("CONNECT {options}\r\n").as_bytes())
            .expect("CONNECT is sent");
        client.sync().expect("the broker answers CONNECT and PING");
        client
    }

    /// The next message: its `MSG` or `HMSG` line and as many bytes as that says. Answers `PING`s that come first,
    /// and passes over `INFO`; fails when anything else comes.
    pub(crate) fn message(&mut self) -> io::Result<Message> {
        loop {
            let line = self.line()?;
            if line == b"PING\r\n" {
                self.send(b"PONG\r\n")?;
            } else if !line.starts_with(b"INFO ") {
                return self.body_of(&line);
            }
        }
    }

    fn body_of(&mut self, line: &[u8]) -> io::Result<Message> {
        let text = std::str::from_utf8(line).map_err(|_| unexpected("a message", line))?;
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (subject, sid, reply, size) = match words[..] {
            ["MSG", subject, sid, size] | ["HMSG", subject, sid, _, size] => {
                (subject, sid, "", size)
            }
            ["MSG", subject, sid, reply, size] | ["HMSG", subject, sid, reply, _, size] => {
                (subject, sid, reply, size)
            }
            _ => return Err(unexpected("a message", line)),
        };
        let size: usize = size.parse().map_err(|_| unexpected("a message", line))?;
        let mut body = self.exactly(size + 2)?;
        if !body.ends_with(b"\r\n") {
            return Err(unexpected("CRLF behind the payload", &body[size..]));
        }
        body.truncate(size);
        Ok(Message {
            subject: subject.to_owned(),
            sid: sid.to_owned(),
            reply: reply.to_owned(),
            body,
        })
    }

    /// The socket, for what has no method here.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// How long a read waits for bytes before it fails with `TimedOut`.
    pub(crate) fn patience(&mut self, patience: Duration) -> &mut Self {
        self.patience = patience;
        self
    }

    /// The address the broker sees this client under.
    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Sends all of `bytes` in one write.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.tls.is_some() {
            let sealed = self.seal(bytes);
            return self.stream.write_all(&sealed);
        }
        self.stream.write_all(bytes)
    }

    /// Sends `bytes` one at a time, far enough apart that the broker reads them one at a time.
    pub(crate) fn trickle(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.stream.write_all(std::slice::from_ref(byte))?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Sends `PING` and waits for `PONG`: everything sent before has been processed. Fails when
    /// anything else comes first, except the `INFO` that a client of protocol 1 is sent on its own
    /// account, and the broker's own `PING`, which comes two seconds after the start.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.send(b"PING\r\n")?;
        loop {
            let line = self.line()?;
            if line == b"PONG\r\n" {
                return Ok(());
            }
            if line == PING {
                self.send(b"PONG\r\n")?;
            } else if !line.starts_with(b"INFO ") {
                return Err(unexpected("PONG", &line));
            }
        }
    }

    /// The next line, up to and with its `\n`.
    pub(crate) fn line(&mut self) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + self.patience;
        let mut seen = 0;
        loop {
            if let Some(at) = self.unread[seen..].iter().position(|byte| *byte == b'\n') {
                return Ok(self.unread.drain(..=seen + at).collect());
            }
            seen = self.unread.len();
            self.fill(deadline)?;
        }
    }

    /// The next `length` bytes.
    pub(crate) fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + self.patience;
        while self.unread.len() < length {
            self.fill(deadline)?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Waits until the broker closes the connection; fails when it sends something instead.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + self.patience;
        while self.unread.is_empty() {
            match self.fill(deadline) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(unexpected("the end of the connection", &self.unread))
    }

    /// Watches for `span`; fails when anything comes, also the end of the connection.
    pub(crate) fn silence(&mut self, span: Duration) -> io::Result<()> {
        let deadline = Instant::now() + span;
        if self.unread.is_empty() {
            match self.fill(deadline) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(unexpected("silence", &self.unread))
    }

    /// Whether the broker has closed the connection, as far as reads have noticed.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells the broker that nothing more will be sent, and leaves the reading side open.
    pub(crate) fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Panics unless the next line is `expected` (written without its CRLF). The broker's own `PING`, which comes two
    /// seconds after the start, is answered unless it is what is expected.
    pub(crate) fn expect_line(&mut self, expected: &str) {
        let next = |client: &mut RawClient| {
            client
                .line()
                .unwrap_or_else(|error| panic!("expected {expected:?}: {error}"))
        };
        let mut line = next(self);
        if line == PING && expected != "PING" {
            self.send(b"PONG\r\n").expect("the broker reads");
            line = next(self);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        assert_eq!(
            line.strip_suffix("\r\n"),
            Some(expected),
            "whole line: {line:?}"
        );
    }

    fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time-out of zero would mean "for ever" to the socket.
        self.stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block) {
            Ok(0) => self.ended(),
            Ok(count) => self.take_in(&block[..count]),
            // A broker that closes with our bytes unread resets the connection: for a peer that is
            // an end too.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.ended(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    self.so_far("nothing more came in time"),
                ))
            }
            Err(error) => Err(error),
        }
    }

    fn take_in(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            self.unread.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            tls.process_new_packets().map_err(io::Error::other)?;
            // Fails when there is nothing yet, which is no failure here.
            drop(tls.reader().read_to_end(&mut self.unread));
        }
        Ok(())
    }

    fn ended(&mut self) -> io::Result<()> {
        self.ended = true;
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            self.so_far("the broker closed the connection"),
        ))
    }

    fn so_far(&self, what: &str) -> String {
        if self.unread.is_empty() {
            return what.to_owned();
        }
        format!("{what}, after {:?}", String::from_utf8_lossy(&self.unread))
    }
}

/// How long a write waits for a broker that does not read before it fails.
const PING: &[u8] = b"PING\r\n";
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

fn unexpected(wanted: &str, found: &[u8]) -> io::Error {
    let found = String::from_utf8_lossy(found);
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("wanted {wanted}, got {found:?}"),
    )
}
