//! The protocol, spoken from the client's end: what the services say to shard 0 and hear from it, over a pair of sockets
//! that nobody outside the process has.
//!
//! Invariants
//! - A message that does not fit the protocol ends the conversation: it could only be our own mistake.
//! - [`Conversation::hear`] may be given up at any time and loses nothing.

use crate::protocol::message::write_tail;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;

/// Our end.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: UnixStream,
    incoming: Vec<u8>,
    /// How much of it has been heard.
    heard: usize,
    /// Subscriptions made so far.
    sids: usize,
}

/// Something said by the shard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Message(Asked),
    /// Everything that we have said before our last `PING` has been taken in.
    Pong,
}

/// A message to one of the subscriptions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Which subscription, counted from zero.
    pub(super) subscription: usize,
    pub(super) subject: String,
    /// Empty for none.
    pub(super) reply: String,
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Conversation {
    /// A new pair: our end, and the shard's.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn open() -> io::Result<(Conversation, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let conversation = Conversation {
            stream: UnixStream::from_std(ours.into())?,
            incoming: Vec::new(),
            heard: 0,
            sids: 0,
        };
        Ok((conversation, theirs))
    }

    /// Subscribes to all of these. Their numbers go on from those before.
    pub(super) async fn subscribe(&mut self, subjects: &[String]) -> io::Result<()> {
        let mut lines = String::new();
        for subject in subjects {
            lines.push_str(&format!("SUB {subject} {}\r\n", self.sids));
            self.sids += 1;
        }
        self.say(lines.as_bytes()).await
    }

    pub(super) async fn publish(
        &mut self,
        subject: &str,
        headers: &[u8],
        body: &[u8],
    ) -> io::Result<()> {
        let verb: &[u8] = if headers.is_empty() {
            b"PUB "
        } else {
            b"HPUB "
        };
        let mut line = Vec::with_capacity(subject.len() + headers.len() + body.len() + 64);
        line.extend_from_slice(verb);
        line.extend_from_slice(subject.as_bytes());
        line.push(b' ');
        write_tail(&mut line, b"", headers, body);
        self.say(&line).await
    }

    /// Asks for a [`Heard::Pong`].
    pub(super) async fn ping(&mut self) -> io::Result<()> {
        self.say(b"PING\r\n").await
    }

    async fn say(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(said) => bytes = &bytes[said..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the shard says next.
    ///
    /// # Errors
    /// When it is no more, or cannot be understood.
    pub(super) async fn hear(&mut self) -> io::Result<Heard> {
        loop {
            if let Some((heard, len)) = next(&self.incoming[self.heard..])? {
                self.heard += len;
                if let Some(heard) = heard {
                    return Ok(heard);
                }
                continue;
            }
            self.incoming.drain(..self.heard);
            self.heard = 0;
            if self.incoming.is_empty() {
                // A large one may have made it large.
                self.incoming.shrink_to(READ_AT_ONCE);
            }
            self.stream.readable().await?;
            let mut piece = [0; READ_AT_ONCE];
            match self.stream.try_read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.incoming.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bytes taken from the socket with one call.
const READ_AT_ONCE: usize = 16 * 1024;

type Next = Option<(Option<Heard>, usize)>;

/// The first operation in `bytes` if it is whole, and how long it is. Some mean nothing to us.
fn next(bytes: &[u8]) -> io::Result<Next> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return Ok(None);
    };
    let line = bytes[..end].trim_ascii_end();
    let len = end + 1;
    let (verb, arguments) = match memchr::memchr(b' ', line) {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &line[line.len()..]),
    };
    match verb {
        b"MSG" | b"HMSG" => {
            let (mut asked, header_len, total) =
                announced(verb, arguments).ok_or_else(|| misunderstood(line))?;
            let Some(tail) = bytes.get(len..len + total + 2) else {
                return Ok(None);
            };
            asked.headers = tail[..header_len].to_vec();
            asked.body = tail[header_len..total].to_vec();
            Ok(Some((Some(Heard::Message(asked)), len + total + 2)))
        }
        b"PONG" => Ok(Some((Some(Heard::Pong), len))),
        b"-ERR" => Err(misunderstood(line)),
        _ => Ok(Some((None, len))),
    }
}

/// What the line of a message says: the message without its tail, the size of its headers, and the size of all.
fn announced(verb: &[u8], arguments: &[u8]) -> Option<(Asked, usize, usize)> {
    let words: Vec<&str> = std::str::from_utf8(arguments).ok()?.split(' ').collect();
    let sizes = if verb == b"HMSG" { 2 } else { 1 };
    let (named, sizes) = words.split_at(words.len().checked_sub(sizes)?);
    let (subject, sid, reply) = match named {
        [subject, sid] => (subject, sid, ""),
        [subject, sid, reply] => (subject, sid, *reply),
        _ => return None,
    };
    let total: usize = sizes.last()?.parse().ok()?;
    let header_len = match sizes {
        [headers, _] => headers.parse().ok().filter(|len| *len <= total)?,
        _ => 0,
    };
    let asked = Asked {
        subscription: sid.parse().ok()?,
        subject: (*subject).to_owned(),
        reply: reply.to_owned(),
        ..Asked::default()
    };
    Some((asked, header_len, total))
}

fn misunderstood(line: &[u8]) -> io::Error {
    let text = format!("the shard said {:?}", String::from_utf8_lossy(line));
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Option<(Asked, usize)> {
        match next(text.as_bytes()).expect("understood")? {
            (Some(Heard::Message(asked)), len) => Some((asked, len)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_heard_when_they_are_whole() {
        let plain = "MSG a.b 3 5\r\nhello\r\n";
        let asked = Asked {
            subscription: 3,
            subject: "a.b".to_owned(),
            body: b"hello".to_vec(),
            ..Asked::default()
        };
        for cut in 0..plain.len() {
            assert_eq!(message(&plain[..cut]), None, "{cut}");
        }
        assert_eq!(message(&format!("{plain}MSG")), Some((asked, plain.len())));
        let with_headers = "HMSG a 0 _I.1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
        let asked = Asked {
            subject: "a".to_owned(),
            reply: "_I.1".to_owned(),
            headers: b"NATS/1.0\r\n\r\n".to_vec(),
            body: b"hi".to_vec(),
            ..Asked::default()
        };
        assert_eq!(message(with_headers), Some((asked, with_headers.len())));
    }

    #[test]
    fn what_is_no_message_is_passed_over_or_ends_it() {
        let pong = next(b"PONG\r\nMSG").expect("understood");
        assert_eq!(pong, Some((Some(Heard::Pong), 6)));
        for nothing in ["+OK\r\n", "INFO {}\r\n", "PING\r\n"] {
            let heard = next(nothing.as_bytes()).expect("understood");
            assert_eq!(heard, Some((None, nothing.len())), "{nothing}");
        }
        for wrong in [
            "-ERR 'x'\r\n",
            "MSG a 1\r\n",
            "MSG a x 5\r\n",
            "MSG a 1 x\r\n",
            "HMSG a 1 9 5\r\n",
            "MSG a 1 b c 5\r\n",
        ] {
            assert!(next(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
