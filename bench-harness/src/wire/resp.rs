//! Redis publish and subscribe: RESP2, as much of it as a load needs. *Hot path* in `publish` and `parse`.
//!
//! - The client speaks first: AUTH if there is a password, then INFO, which tells the version and whether we are let in.
//! - Each PUBLISH is answered by a number. Whoever publishes must read those numbers, or the server stops reading.
//! - A connection that subscribes may only subscribe, unsubscribe and ping. The server answers its pings in another form.
//! - In Redis a wildcard crosses dots and says nothing about where it stops: `a.*` and `a.>` both become `a.*`, which takes
//!   `a.b.c` too. For a load that makes no difference: all of its subjects have one depth.
//! - Deliveries carry no subscription's id.
//! - `parse` compares all that stands before a payload with the delivery before: streams of one subject and size are the
//!   common load, and then nothing of it is looked at again.
//!
//! It does not look at how many receivers the server counted: `ledger` counts what arrived.

use std::ops::Range;

use super::{Credentials, Event, Greeting, Message, Parsed, Protocol, Shake, Stop, Wire, decimal};

/// A Redis client connection.
#[derive(Debug)]
pub struct Resp {
    credentials: Credentials,
    /// Whether the answer to AUTH has still to come.
    is_asking_in: bool,
    last: Head,
}

/// Everything of a delivery that stands before its payload.
#[derive(Debug, Default)]
struct Head {
    /// Empty when there has been none.
    text: Vec<u8>,
    subject: Range<usize>,
    payload_length: usize,
}

impl Wire for Resp {
    const PROTOCOL: Protocol = Protocol::Resp;
    const HAS_QUEUE_GROUPS: bool = false;
    const HAS_REQUESTS: bool = false;

    fn new(credentials: &Credentials, _name: &str) -> Resp {
        Resp {
            credentials: credentials.clone(),
            is_asking_in: false,
            last: Head::default(),
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let Credentials {
            user,
            password,
            token,
        } = &self.credentials;
        let secret = password.as_ref().or(token.as_ref());
        let words: Vec<&[u8]> = [user.as_ref(), secret]
            .into_iter()
            .flatten()
            .map(|word| word.as_bytes())
            .collect();
        match words[..] {
            [] => {}
            // A user without a password is the server's to refuse.
            [user] if secret.is_none() => write_command(out, &[b"AUTH", user, b""]),
            [secret] => write_command(out, &[b"AUTH", secret]),
            [user, secret, ..] => write_command(out, &[b"AUTH", user, secret]),
        }
        self.is_asking_in = !words.is_empty();
        write_command(out, &[b"INFO", b"server"]);
    }

    fn shake(&mut self, received: &[u8], _out: &mut Vec<u8>) -> (usize, Shake) {
        let mut consumed = 0;
        loop {
            let mut reader = Reader::new(&received[consumed..]);
            let state = match self.shake_answer(&mut reader) {
                Ok(state) => {
                    consumed += reader.place;
                    state
                }
                Err(Stop::Incomplete) => return (consumed, Shake::More),
                Err(Stop::Broken) => Shake::Foreign,
            };
            if state != Shake::More {
                return (consumed, state);
            }
        }
    }

    fn subscribe(&mut self, out: &mut Vec<u8>, _id: u64, pattern: &str, _group: Option<&str>) {
        match has_wildcard(pattern) {
            true => write_command(out, &[b"PSUBSCRIBE", &glob(pattern)]),
            false => write_command(out, &[b"SUBSCRIBE", pattern.as_bytes()]),
        }
    }

    fn unsubscribe(&mut self, out: &mut Vec<u8>, _id: u64, pattern: &str) {
        match has_wildcard(pattern) {
            true => write_command(out, &[b"PUNSUBSCRIBE", &glob(pattern)]),
            false => write_command(out, &[b"UNSUBSCRIBE", pattern.as_bytes()]),
        }
    }

    fn publish(
        &self,
        out: &mut Vec<u8>,
        subject: &[u8],
        _reply: Option<&[u8]>,
        payload: &[u8],
    ) -> usize {
        write_command(out, &[b"PUBLISH", subject, payload]);
        out.len() - 2 - payload.len()
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        write_command(out, &[b"PING"]);
    }

    #[inline]
    fn parse<'a>(&mut self, received: &'a [u8]) -> Parsed<'a> {
        if !self.last.text.is_empty() && received.starts_with(&self.last.text) {
            return self.last.delivery(received);
        }
        self.parse_answer(received).unwrap_or_else(Parsed::from)
    }
}

impl Resp {
    /// Takes the answer to AUTH, then that to INFO.
    fn shake_answer(&mut self, reader: &mut Reader<'_>) -> Result<Shake, Stop> {
        let line = reader.peek()?;
        if let Some(error) = line.strip_prefix(b"-") {
            reader.line()?;
            return Ok(match is_version_denied(error) && !self.is_asking_in {
                true => ready(None),
                false => Shake::Refused(String::from_utf8_lossy(error).into_owned()),
            });
        }
        if self.is_asking_in {
            self.is_asking_in = false;
            return match reader.line()? {
                b"+OK" => Ok(Shake::More),
                _ => Err(Stop::Broken),
            };
        }
        let info = reader.bulk(INFO_LENGTH_MAX)?.ok_or(Stop::Broken)?;
        Ok(ready(version(info)))
    }

    fn parse_answer<'a>(&mut self, received: &'a [u8]) -> Result<Parsed<'a>, Stop> {
        let mut reader = Reader::new(received);
        let line = reader.line()?;
        let event = match line {
            b"+PONG" => Event::Flushed,
            [b'+', ..] => Event::Other,
            [b'-', error @ ..] => Event::Error(error),
            [b':', number @ ..] if decimal::read(number).is_some() => Event::Other,
            [b'*', count @ ..] => match decimal::read(count) {
                Some(count) => return self.parse_push(reader, count),
                None => return Err(Stop::Broken),
            },
            _ => return Err(Stop::Broken),
        };
        Ok(Parsed::Event(reader.place, event))
    }

    /// What a connection that subscribes is sent: deliveries, acknowledgements, and its own form of a pong.
    fn parse_push<'a>(&mut self, mut reader: Reader<'a>, count: u64) -> Result<Parsed<'a>, Stop> {
        let kind = reader.bulk(WORD_LENGTH_MAX)?.ok_or(Stop::Broken)?;
        match (kind, count) {
            (b"message", 3) => self.parse_delivery(reader),
            (b"pmessage", 4) => {
                reader.bulk(WORD_LENGTH_MAX)?;
                self.parse_delivery(reader)
            }
            (b"subscribe" | b"psubscribe" | b"unsubscribe" | b"punsubscribe", 3) => {
                reader.bulk(WORD_LENGTH_MAX)?;
                match reader.line()? {
                    [b':', ..] => Ok(Parsed::Event(reader.place, Event::Other)),
                    _ => Err(Stop::Broken),
                }
            }
            (b"pong", 2) => {
                reader.bulk(WORD_LENGTH_MAX)?;
                Ok(Parsed::Event(reader.place, Event::Flushed))
            }
            _ => Err(Stop::Broken),
        }
    }

    fn parse_delivery<'a>(&mut self, mut reader: Reader<'a>) -> Result<Parsed<'a>, Stop> {
        let received = reader.received;
        let subject = reader.bulk(WORD_LENGTH_MAX)?.ok_or(Stop::Broken)?;
        let subject_end = reader.place - 2;
        let payload_length = reader
            .bulk_length(PAYLOAD_LENGTH_MAX)?
            .ok_or(Stop::Broken)?;
        self.last.text.clear();
        self.last.text.extend_from_slice(&received[..reader.place]);
        self.last.subject = subject_end - subject.len()..subject_end;
        self.last.payload_length = payload_length;
        Ok(self.last.delivery(received))
    }
}

impl Head {
    /// The delivery that begins with this head.
    #[inline]
    fn delivery<'a>(&self, received: &'a [u8]) -> Parsed<'a> {
        let (begin, length) = (self.text.len(), self.payload_length);
        let Some(body) = received.get(begin..begin + length + 2) else {
            return Parsed::Incomplete;
        };
        if body[length..] != *b"\r\n" {
            return Parsed::Broken;
        }
        let message = Message {
            subscription: None,
            subject: &received[self.subject.clone()],
            reply: None,
            payload: &body[..length],
            is_nobody_there: false,
        };
        Parsed::Event(begin + length + 2, Event::Message(message))
    }
}

/// Takes one part of an answer after another.
#[derive(Debug)]
struct Reader<'a> {
    received: &'a [u8],
    place: usize,
}

impl<'a> Reader<'a> {
    fn new(received: &'a [u8]) -> Reader<'a> {
        Reader { received, place: 0 }
    }

    /// The line that comes next, without its end.
    fn peek(&self) -> Result<&'a [u8], Stop> {
        let rest = &self.received[self.place..];
        // Every line of the protocol says by its first byte what it is; what says nothing need not be waited for.
        if rest.first().is_some_and(|kind| !b"+-:$*".contains(kind)) {
            return Err(Stop::Broken);
        }
        match memchr::memchr(b'\n', &rest[..rest.len().min(LINE_LENGTH_MAX)]) {
            Some(end) => rest[..end].strip_suffix(b"\r").ok_or(Stop::Broken),
            None if rest.len() < LINE_LENGTH_MAX => Err(Stop::Incomplete),
            None => Err(Stop::Broken),
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let line = self.peek()?;
        self.place += line.len() + 2;
        Ok(line)
    }

    /// The length of a string that comes next; nothing for the null string.
    fn bulk_length(&mut self, length_max: usize) -> Result<Option<usize>, Stop> {
        match self.line()? {
            b"$-1" => Ok(None),
            [b'$', digits @ ..] => decimal::read(digits)
                .and_then(|length| usize::try_from(length).ok())
                .filter(|length| *length <= length_max)
                .map(Some)
                .ok_or(Stop::Broken),
            _ => Err(Stop::Broken),
        }
    }

    fn bulk(&mut self, length_max: usize) -> Result<Option<&'a [u8]>, Stop> {
        let Some(length) = self.bulk_length(length_max)? else {
            return Ok(None);
        };
        let end = self.place + length;
        let bytes = self.received.get(self.place..end + 2);
        let (text, line_end) = bytes.ok_or(Stop::Incomplete)?.split_at(length);
        self.place = end + 2;
        match line_end {
            b"\r\n" => Ok(Some(text)),
            _ => Err(Stop::Broken),
        }
    }
}

fn ready(version: Option<String>) -> Shake {
    Shake::Ready(Greeting {
        version: version.unwrap_or_else(|| "Redis server of unknown version".to_owned()),
        payload_bytes_max: Some(PAYLOAD_LENGTH_MAX as u64),
    })
}

/// Some servers and some users do not have INFO; that keeps nobody from publishing.
fn is_version_denied(error: &[u8]) -> bool {
    error.starts_with(b"NOPERM") || error.starts_with(b"ERR unknown command")
}

/// A server that stands in for Redis gives that one's version and its own beside it.
fn version(info: &[u8]) -> Option<String> {
    let info = String::from_utf8_lossy(info);
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    field("valkey_version")
        .map(|version| format!("valkey {version}"))
        .or_else(|| field("redis_version").map(|version| format!("redis {version}")))
}

fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.push(b'*');
    decimal::write(out, words.len() as u64);
    out.extend_from_slice(b"\r\n");
    for word in words {
        out.push(b'$');
        decimal::write(out, word.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn has_wildcard(pattern: &str) -> bool {
    pattern.split('.').any(|token| token == "*" || token == ">")
}

/// The pattern as Redis spells it. What would be a wildcard there and is none here is taken literally.
fn glob(pattern: &str) -> Vec<u8> {
    let mut glob = Vec::with_capacity(pattern.len());
    for (place, token) in pattern.split('.').enumerate() {
        if place > 0 {
            glob.push(b'.');
        }
        if token == "*" || token == ">" {
            glob.push(b'*');
            continue;
        }
        for byte in token.bytes() {
            if b"*?[]\\^".contains(&byte) {
                glob.push(b'\\');
            }
            glob.push(byte);
        }
    }
    glob
}

/// A line that is longer has lost its end.
const LINE_LENGTH_MAX: usize = 64 << 10;
/// Subjects and patterns are much shorter.
const WORD_LENGTH_MAX: usize = 64 << 10;
const INFO_LENGTH_MAX: usize = 1 << 20;
/// What Redis takes unless its `proto-max-bulk-len` says otherwise.
const PAYLOAD_LENGTH_MAX: usize = 512 << 20;

#[cfg(test)]
#[path = "resp_tests.rs"]
mod tests;
