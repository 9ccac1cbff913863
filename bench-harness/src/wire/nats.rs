//! The NATS client protocol, as much of it as a load needs. *Hot path* in `publish` and `parse`.
//!
//! - The server speaks first (INFO), so a server of another kind is noticed by its first bytes.
//! - `parse` compares a frame's first line with the one before: streams of one subject and size are the common load, and
//!   then nothing of the line is looked at again.
//!
//! It sends no headers, and reads of them only whether nobody is there to answer.

use std::ops::Range;

use serde_json::Value;

use super::{Credentials, Event, Greeting, Message, Parsed, Protocol, Shake, Wire, decimal};

/// A NATS client connection.
#[derive(Debug)]
pub struct Nats {
    credentials: Credentials,
    name: String,
    greeting: Option<Greeting>,
    is_secure: bool,
    last: Line,
}

/// The first line of a message, taken apart. Places are counted from the frame's beginning.
#[derive(Debug, Default)]
struct Line {
    /// With its line end; empty when there has been none worth keeping.
    text: Vec<u8>,
    fields: Fields,
}

#[derive(Debug, Clone, Default)]
struct Fields {
    subscription: u64,
    subject: Range<usize>,
    reply: Option<Range<usize>>,
    header_length: usize,
    /// Header and payload.
    length: usize,
}

impl Wire for Nats {
    const PROTOCOL: Protocol = Protocol::Nats;
    const HAS_QUEUE_GROUPS: bool = true;
    const HAS_REQUESTS: bool = true;

    fn new(credentials: &Credentials, name: &str) -> Nats {
        Nats {
            credentials: credentials.clone(),
            name: name.to_owned(),
            greeting: None,
            is_secure: false,
            last: Line::default(),
        }
    }

    fn open(&mut self, _out: &mut Vec<u8>) {}

    fn shake(&mut self, received: &[u8], out: &mut Vec<u8>) -> (usize, Shake) {
        let mut consumed = 0;
        loop {
            let rest = &received[consumed..];
            let state = match line_of(rest) {
                Some(line) => match self.shake_line(line, out) {
                    Shake::Foreign => Shake::Foreign,
                    state => {
                        consumed += line.len() + 2;
                        state
                    }
                },
                None if could_begin(rest) => return (consumed, Shake::More),
                None => Shake::Foreign,
            };
            if state != Shake::More {
                return (consumed, state);
            }
        }
    }

    fn subscribe(&mut self, out: &mut Vec<u8>, id: u64, pattern: &str, group: Option<&str>) {
        out.extend_from_slice(b"SUB ");
        out.extend_from_slice(pattern.as_bytes());
        if let Some(group) = group {
            out.push(b' ');
            out.extend_from_slice(group.as_bytes());
        }
        out.push(b' ');
        decimal::write(out, id);
        out.extend_from_slice(b"\r\n");
    }

    fn unsubscribe(&mut self, out: &mut Vec<u8>, id: u64, _pattern: &str) {
        out.extend_from_slice(b"UNSUB ");
        decimal::write(out, id);
        out.extend_from_slice(b"\r\n");
    }

    fn publish(
        &self,
        out: &mut Vec<u8>,
        subject: &[u8],
        reply: Option<&[u8]>,
        payload: &[u8],
    ) -> usize {
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(subject);
        out.push(b' ');
        if let Some(reply) = reply {
            out.extend_from_slice(reply);
            out.push(b' ');
        }
        decimal::write(out, payload.len() as u64);
        out.extend_from_slice(b"\r\n");
        let place = out.len();
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
        place
    }

    fn secured(&mut self) {
        self.is_secure = true;
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PING\r\n");
    }

    // Inlined, what the caller does not look at is not even worked out.
    #[inline(always)]
    fn parse<'a>(&mut self, received: &'a [u8]) -> Parsed<'a> {
        if !self.last.text.is_empty() && received.starts_with(&self.last.text) {
            return message(received, self.last.text.len(), &self.last.fields);
        }
        self.parse_line(received)
    }
}

impl Nats {
    fn shake_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Shake {
        if let Some(info) = line.strip_prefix(b"INFO ") {
            return self.shake_info(info, out);
        }
        if let Some(error) = line.strip_prefix(b"-ERR") {
            return Shake::Refused(unquoted(error));
        }
        match (line, self.greeting.take()) {
            (b"PONG", Some(greeting)) => Shake::Ready(greeting),
            (b"+OK" | b"PING", greeting) => {
                self.greeting = greeting;
                Shake::More
            }
            _ => Shake::Foreign,
        }
    }

    fn shake_info(&mut self, info: &[u8], out: &mut Vec<u8>) -> Shake {
        let Ok(info) = serde_json::from_slice::<Value>(info) else {
            return Shake::Foreign;
        };
        if info["tls_required"].as_bool() == Some(true) && !self.is_secure {
            let need = "requires TLS. Say --tls, and --tlsca with its authority if this machine does not know it";
            return Shake::Unable(need.to_owned());
        }
        if self.greeting.is_none() {
            self.connect(out);
        }
        self.greeting = Some(Greeting {
            version: version(&info),
            payload_bytes_max: info["max_payload"].as_u64(),
        });
        Shake::More
    }

    fn connect(&self, out: &mut Vec<u8>) {
        let mut options = serde_json::json!({
            "verbose": false,
            "pedantic": false,
            "lang": "trunkline-bench",
            "version": env!("CARGO_PKG_VERSION"),
            "name": self.name,
            "protocol": 1,
            "headers": true,
            "no_responders": true,
        });
        let secrets = [
            ("user", &self.credentials.user),
            ("pass", &self.credentials.password),
            ("auth_token", &self.credentials.token),
        ];
        for (key, secret) in secrets {
            if let Some(secret) = secret {
                options[key] = Value::from(secret.as_str());
            }
        }
        out.extend_from_slice(b"CONNECT ");
        out.extend_from_slice(options.to_string().as_bytes());
        out.extend_from_slice(b"\r\nPING\r\n");
    }

    fn parse_line<'a>(&mut self, received: &'a [u8]) -> Parsed<'a> {
        let Some(line) = line_of(received) else {
            return match received.len() < LINE_LENGTH_MAX && could_begin(received) {
                true => Parsed::Incomplete,
                false => Parsed::Broken,
            };
        };
        let taken = line.len() + 2;
        let event = match line {
            [b'M', b'S', b'G', b' ', ..] => return self.parse_message(received, taken, false),
            [b'H', b'M', b'S', b'G', b' ', ..] => return self.parse_message(received, taken, true),
            b"PONG" => Event::Flushed,
            b"PING" => Event::Answer(b"PONG\r\n"),
            b"+OK" => Event::Other,
            _ if line.starts_with(b"INFO ") => Event::Other,
            _ if line.starts_with(b"-ERR") => {
                Event::Error(line.strip_prefix(b"-ERR ").unwrap_or(line))
            }
            _ => return Parsed::Broken,
        };
        Parsed::Event(taken, event)
    }

    fn parse_message<'a>(
        &mut self,
        received: &'a [u8],
        taken: usize,
        has_header: bool,
    ) -> Parsed<'a> {
        let Some(fields) = fields(&received[..taken], has_header) else {
            return Parsed::Broken;
        };
        // A reply subject is another one each time.
        if fields.reply.is_none() && fields.header_length == 0 {
            self.last.text.clear();
            self.last.text.extend_from_slice(&received[..taken]);
            self.last.fields = fields;
            return message(received, taken, &self.last.fields);
        }
        message(received, taken, &fields)
    }
}

#[inline(always)]
fn message<'a>(received: &'a [u8], taken: usize, fields: &Fields) -> Parsed<'a> {
    let end = taken + fields.length;
    let Some(body) = received.get(taken..end + 2) else {
        return Parsed::Incomplete;
    };
    if body[fields.length..] != *b"\r\n" {
        return Parsed::Broken;
    }
    let header = &body[..fields.header_length];
    let message = Message {
        subscription: Some(fields.subscription),
        subject: &received[fields.subject.clone()],
        reply: fields.reply.clone().map(|place| &received[place]),
        payload: &body[fields.header_length..fields.length],
        is_nobody_there: header.starts_with(b"NATS/1.0 503"),
    };
    Parsed::Event(end + 2, Event::Message(message))
}

/// Takes `MSG subject sid [reply] length` apart, or `HMSG` with the header's length before the whole length.
fn fields(line: &[u8], has_header: bool) -> Option<Fields> {
    let text = line.strip_suffix(b"\r\n")?;
    let mut places = [const { 0..0 }; 6];
    let mut count = 0;
    let mut begin = 0;
    for end in memchr::memchr_iter(b' ', text).chain([text.len()]) {
        *places.get_mut(count)? = begin..end;
        count += 1;
        begin = end + 1;
    }
    let number = |place: &Range<usize>| decimal::read(&text[place.clone()]);
    let last = number(&places[count.checked_sub(1)?])?;
    let (header_length, least) = match has_header {
        true => (number(&places[count.checked_sub(2)?])?, 5),
        false => (0, 4),
    };
    let reply = match count.checked_sub(least)? {
        0 => None,
        1 => Some(places[3].clone()),
        _ => return None,
    };
    let length = usize::try_from(last).ok()?;
    let header_length = usize::try_from(header_length).ok()?;
    (header_length <= length && length <= PAYLOAD_LENGTH_MAX).then_some(Fields {
        subscription: number(&places[2])?,
        subject: places[1].clone(),
        reply,
        header_length,
        length,
    })
}

/// The first line, without its end.
fn line_of(received: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', received)?;
    received[..end].strip_suffix(b"\r")
}

/// Whether this can become a line of the protocol; what is certainly none need not be waited for.
fn could_begin(received: &[u8]) -> bool {
    let operations: [&[u8]; 7] = [
        b"INFO ",
        b"MSG ",
        b"HMSG ",
        b"PING\r\n",
        b"PONG\r\n",
        b"+OK\r\n",
        b"-ERR",
    ];
    operations.iter().any(|operation| {
        let common = operation.len().min(received.len());
        operation[..common] == received[..common]
    }) && memchr::memchr(b'\n', received).is_none()
}

fn unquoted(error: &[u8]) -> String {
    let text = String::from_utf8_lossy(error);
    text.trim().trim_matches('\'').to_owned()
}

/// A server that stands in for `nats-server` gives that one's version and its own name and version beside it.
fn version(info: &Value) -> String {
    if let Some(own) = info["trunkline"].as_str() {
        return format!("trunkline {own}");
    }
    match info["version"].as_str() {
        Some(version) => format!("nats-server {version}"),
        None => "NATS server of unknown version".to_owned(),
    }
}

/// A line that is longer has lost its end.
const LINE_LENGTH_MAX: usize = 1 << 20;
/// Far above what any server takes; keeps the sums of lengths from overflowing.
const PAYLOAD_LENGTH_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn nats() -> Nats {
        Nats::new(&Credentials::default(), "test")
    }

    #[test]
    fn shakes_hands_in_pieces_of_any_length() {
        let said = b"INFO {\"version\":\"2.15.1\",\"max_payload\":100}\r\n+OK\r\nPONG\r\n";
        for piece in 1..said.len() {
            let mut driver = nats();
            let mut out = Vec::new();
            let (mut held, mut state) = (Vec::new(), Shake::More);
            for bytes in said.chunks(piece) {
                held.extend_from_slice(bytes);
                let (consumed, now) = driver.shake(&held, &mut out);
                held.drain(..consumed);
                state = now;
            }
            let greeting = Greeting {
                version: "nats-server 2.15.1".to_owned(),
                payload_bytes_max: Some(100),
            };
            assert_eq!(state, Shake::Ready(greeting), "pieces of {piece}");
            assert!(out.starts_with(b"CONNECT {") && out.ends_with(b"}\r\nPING\r\n"));
        }
    }

    #[test]
    fn tells_another_kind_of_server_from_its_first_bytes() {
        for said in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"-DENIED",
            b"\x20\x02\0\0",
            b"INFO me\r\n",
        ] {
            let (_, state) = nats().shake(said, &mut Vec::new());
            assert_eq!(state, Shake::Foreign, "{said:?}");
        }
    }

    #[test]
    fn passes_on_what_a_refusing_server_says() {
        let said = b"INFO {}\r\n-ERR 'Authorization Violation'\r\n";
        let (_, state) = nats().shake(said, &mut Vec::new());
        assert_eq!(state, Shake::Refused("Authorization Violation".to_owned()));
    }

    #[test]
    fn sends_the_credentials_it_was_given_and_no_others() {
        let credentials = Credentials {
            token: Some("a\"b".to_owned()),
            ..Credentials::default()
        };
        let mut out = Vec::new();
        Nats::new(&credentials, "n").shake(b"INFO {}\r\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(r#""auth_token":"a\"b""#), "{text}");
        assert!(!text.contains("user"), "{text}");
    }

    #[test]
    fn parses_each_kind_of_frame() {
        let frames: [(&[u8], Event<'_>); 7] = [
            (
                b"MSG a.b 7 3\r\nxyz\r\n",
                delivery(7, b"a.b", None, b"xyz", false),
            ),
            (
                b"MSG a.b 7 0\r\n\r\n",
                delivery(7, b"a.b", None, b"", false),
            ),
            (
                b"MSG a 1 re.ply 1\r\nx\r\n",
                delivery(1, b"a", Some(b"re.ply"), b"x", false),
            ),
            (
                b"HMSG a 1 12 13\r\nNATS/1.0\r\n\r\nx\r\n",
                delivery(1, b"a", None, b"x", false),
            ),
            (
                b"HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
                delivery(1, b"a", None, b"", true),
            ),
            (b"PING\r\n", Event::Answer(b"PONG\r\n")),
            (
                b"-ERR 'Slow Consumer'\r\n",
                Event::Error(b"'Slow Consumer'"),
            ),
        ];
        let mut driver = nats();
        for (frame, event) in frames {
            // Twice, because the second time the line is known.
            for _ in 0..2 {
                for length in 0..frame.len() {
                    assert_eq!(
                        driver.parse(&frame[..length]),
                        Parsed::Incomplete,
                        "{length} of {frame:?}"
                    );
                }
                assert_eq!(driver.parse(frame), Parsed::Event(frame.len(), event));
            }
        }
    }

    #[test]
    fn notices_what_cannot_be_a_frame() {
        let broken: [&[u8]; 9] = [
            b"MSG a 1 3\r\nxyzXX",
            b"MSG a 1 3\nxyz\r\n",
            b"MSG a 1\r\n",
            b"MSG a x 1\r\nx\r\n",
            b"MSG a 1 b c 1\r\nx\r\n",
            b"HMSG a 1 9 3\r\nxyz\r\n",
            b"MSG a 1 99999999999999999999\r\n",
            b"WHAT\r\n",
            b"\0",
        ];
        for bytes in broken {
            assert_eq!(nats().parse(bytes), Parsed::Broken, "{bytes:?}");
        }
    }

    #[test]
    fn says_where_a_payload_stands() {
        let mut out = b"before".to_vec();
        let place = nats().publish(&mut out, b"a.b", Some(b"r"), b"payload");
        assert_eq!(out, b"beforePUB a.b r 7\r\npayload\r\n");
        assert_eq!(&out[place..place + 7], b"payload");
    }

    fn delivery<'a>(
        subscription: u64,
        subject: &'a [u8],
        reply: Option<&'a [u8]>,
        payload: &'a [u8],
        is_nobody_there: bool,
    ) -> Event<'a> {
        Event::Message(Message {
            subscription: Some(subscription),
            subject,
            reply,
            payload,
            is_nobody_there,
        })
    }
}
