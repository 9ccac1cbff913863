//! Request targets as people write them: `curl 'localhost:8222/connz?filter_subject=orders.>'`. nats-server takes a `>` there,
//! and so do curl and scripts; hyper, which keeps to RFC 9112, would refuse the request. So what it refuses is escaped before it
//! sees it.
//!
//! Only request lines are touched. Where a body follows a head, nothing is touched from there on: a body is as long as it says.

use bytes::BytesMut;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// What a client says, with its request targets escaped.
#[derive(Debug)]
pub(super) struct Escaped<R> {
    reader: R,
    escaper: Escaper,
    /// Escaped, and not yet taken.
    waiting: BytesMut,
}

impl<R> Escaped<R> {
    pub(super) fn new(reader: R) -> Escaped<R> {
        Escaped {
            reader,
            escaper: Escaper::default(),
            waiting: BytesMut::new(),
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Escaped<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.waiting.is_empty() {
            let mut chunk = [0; CHUNK_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.reader).poll_read(context, &mut chunk))?;
            this.escaper.escape(chunk.filled(), &mut this.waiting);
        }
        let length = into.remaining().min(this.waiting.len());
        into.put_slice(&this.waiting.split_to(length));
        Poll::Ready(Ok(()))
    }
}

/// Follows requests, as far as it must to know their first lines.
#[derive(Debug, Default)]
struct Escaper {
    place: Place,
    /// The beginning of the line, without its end.
    line: Vec<u8>,
    /// A request line has come to its target; a head has announced a body.
    has_target: bool,
    has_body: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    RequestLine,
    Fields,
    /// Nobody looks any more.
    Body,
}

impl Escaper {
    fn escape(&mut self, bytes: &[u8], into: &mut BytesMut) {
        for (at, byte) in bytes.iter().enumerate() {
            match self.place {
                Place::Body => {
                    into.extend_from_slice(&bytes[at..]);
                    return;
                }
                Place::RequestLine if self.has_target && REFUSED.contains(byte) => {
                    into.extend_from_slice(format!("%{byte:02X}").as_bytes());
                    continue;
                }
                Place::RequestLine => self.has_target |= *byte == b' ',
                Place::Fields => {}
            }
            into.extend_from_slice(&[*byte]);
            match byte {
                b'\n' => self.end_line(),
                b'\r' => {}
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(byte.to_ascii_lowercase()),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let is_empty = self.line.is_empty();
        self.place = match self.place {
            // Before a request there may be empty lines.
            Place::RequestLine if is_empty => Place::RequestLine,
            Place::Fields if is_empty && self.has_body => Place::Body,
            Place::Fields if is_empty => Place::RequestLine,
            Place::RequestLine | Place::Fields => Place::Fields,
            Place::Body => Place::Body,
        };
        let begins_with = |name: &&[u8]| self.line.starts_with(name);
        self.has_body |= BODY_FIELDS.iter().any(begins_with);
        self.has_target = false;
        self.line.clear();
    }
}

const CHUNK_BYTES: usize = 4096;
/// hyper refuses them in a target, or cuts it off there. nats-server takes them as they are.
const REFUSED: &[u8] = b"<>\"#";
/// Fields that announce a body, and how much of a line has to be known to see them.
const BODY_FIELDS: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
const LINE_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same whatever pieces it comes in.
    fn escaped(text: &str) -> String {
        let mut whole = BytesMut::new();
        Escaper::default().escape(text.as_bytes(), &mut whole);
        for size in [1, 2, 7] {
            let (mut escaper, mut parts) = (Escaper::default(), BytesMut::new());
            for part in text.as_bytes().chunks(size) {
                escaper.escape(part, &mut parts);
            }
            assert_eq!(whole, parts, "in pieces of {size}");
        }
        String::from_utf8(whole.to_vec()).expect("text")
    }

    #[test]
    fn targets_are_escaped_and_nothing_else() {
        for (text, wanted) in [
            (
                "GET /connz?a=b.>&c=\"<#\" HTTP/1.1\r\nX: a>b\r\n\r\nGET /> HTTP/1.1\n\n\r\nGET /d> HTTP/1.0\r\n\r\n",
                "GET /connz?a=b.%3E&c=%22%3C%23%22 HTTP/1.1\r\nX: a>b\r\n\r\nGET /%3E HTTP/1.1\n\n\r\nGET /d%3E HTTP/1.0\r\n\r\n",
            ),
            ("G>T /a HTTP/1.1\r\n\r\n", "G>T /a HTTP/1.1\r\n\r\n"),
            (
                "POST /> HTTP/1.1\r\nA: b\r\nCONTENT-Length: 9\r\nB: c\r\n\r\nGET /> \r\n",
                "POST /%3E HTTP/1.1\r\nA: b\r\nCONTENT-Length: 9\r\nB: c\r\n\r\nGET /> \r\n",
            ),
            (
                "POST /> HTTP/1.1\nTransfer-Encoding: chunked\n\n7\r\nGET /> \r\n0\r\n\r\n",
                "POST /%3E HTTP/1.1\nTransfer-Encoding: chunked\n\n7\r\nGET /> \r\n0\r\n\r\n",
            ),
        ] {
            assert_eq!(escaped(text), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_has_nothing_to_escape_stays_as_it_is(text in "[A-Za-z0-9 :/?=&\r\n]{0,200}") {
            prop_assert_eq!(escaped(&text), text);
        }
    }
}
