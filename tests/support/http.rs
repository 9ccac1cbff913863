//! A client for monitoring pages that is only a socket: one request, one connection, HTTP/1.0, so that the end of the
//! connection is the end of the page.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics when it is no JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

/// Asks for a page, written as in an address: `/connz?subs=1`.
pub(crate) fn get(address: SocketAddr, page: &str) -> io::Result<Reply> {
    ask(address, "GET", page)
}

/// Asks with any method.
pub(crate) fn ask(address: SocketAddr, method: &str, page: &str) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{method} {page} HTTP/1.0\r\nHost: monitor\r\n\r\n").as_bytes())?;
    receive(&mut stream)
}

/// Asks for a page with headers of one's own, each with its line end.
pub(crate) fn get_with(address: SocketAddr, page: &str, headers: &str) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!("GET {page} HTTP/1.0\r\nHost: monitor\r\n{headers}\r\n");
    stream.write_all(head.as_bytes())?;
    receive(&mut stream)
}

/// Asks for a page over TLS, of a server whose certificate is for `localhost`.
pub(crate) fn get_secured(
    address: SocketAddr,
    page: &str,
    client: &Arc<ClientConfig>,
) -> io::Result<Reply> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::clone(client), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(format!("GET {page} HTTP/1.0\r\nHost: monitor\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        // Not every server says goodbye before it closes.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    parse(&bytes).ok_or_else(|| io::Error::other("no HTTP reply"))
}

/// Reads a reply to its end, which is that of the connection.
pub(crate) fn receive(stream: &mut TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        io::Error::other(format!("no HTTP reply: {text:?}"))
    })
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Reply {
        status,
        headers: headers.collect(),
        body: bytes[end + 4..].to_vec(),
    })
}

/// Only a server that hangs takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
