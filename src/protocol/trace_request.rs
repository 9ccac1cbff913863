//! What the headers of a message ask of message tracing. *[`TraceRequest::may_be_in`] is on the hot path of messages with
//! headers; the rest is for those that are traced.*
//!
//! | header | meaning |
//! |---|---|
//! | `Nats-Trace-Dest` | tell this subject where the message went |
//! | `Nats-Trace-Only` | and do not deliver it |
//! | `traceparent` | W3C trace context: if it says "sampled", the account may want to be told |
//! | `Accept-Encoding` | how the event may be compressed |
//!
//! Which of them count, and their letter case, are nats-server's (`msgtrace.go`).

use super::encoding::{ACCEPT_ENCODING, Encoding};
use memchr::memmem::Finder;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A request to trace a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRequest {
    /// Where the event goes; `None` leaves that to the account.
    pub destination: Option<Vec<u8>>,
    /// All headers, as they are shown in the event.
    pub headers: BTreeMap<String, Vec<String>>,
}

pub const DESTINATION: &str = "Nats-Trace-Dest";
/// No subject: who finds it there does not trace.
pub const DISABLED: &str = "trace disabled";
const ONLY: &str = "Nats-Trace-Only";
const ORIGIN_ACCOUNT: &str = "Nats-Trace-Origin-Account";
const CONTEXT: &[u8] = b"traceparent";
const FIRST_LINE: &[u8] = b"NATS/1.0\r\n";

impl TraceRequest {
    /// Whether a block of headers is worth reading: a quick look that may be wrong in this direction only.
    /// `has_context` if the account wants to know of trace contexts.
    #[inline]
    pub fn may_be_in(block: &[u8], has_context: bool) -> bool {
        static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DESTINATION));
        block.len() > FIRST_LINE.len() + DESTINATION.len() && FINDER.find(block).is_some()
            || has_context && may_have_context(block)
    }

    /// What is asked for, if anything is.
    pub fn read(block: &[u8]) -> Option<TraceRequest> {
        let mut destination = None;
        let mut has_context = false;
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in entries(block.strip_prefix(FIRST_LINE)?) {
            if name.eq_ignore_ascii_case(CONTEXT) {
                has_context |= is_sampled(value);
            } else if name == DESTINATION.as_bytes() && destination.is_none() {
                if value == DISABLED.as_bytes() {
                    return None;
                }
                destination = Some(value.to_vec());
            }
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            headers.entry(text(name)).or_default().push(text(value));
        }
        (destination.is_some() || has_context).then_some(TraceRequest {
            destination,
            headers,
        })
    }

    /// Whether the message is not to be delivered. Who asks with a trace context only cannot ask for that.
    pub fn is_only(&self) -> bool {
        let asked = self.first(ONLY).map(str::to_ascii_lowercase);
        self.destination.is_some() && matches!(asked.as_deref(), Some("1" | "true" | "on"))
    }

    /// A header of early versions; where it is, nothing is traced.
    pub fn origin_account(&self) -> Option<&str> {
        self.first(ORIGIN_ACCOUNT)
    }

    /// What the event may be compressed with; `None` is not at all.
    pub fn encoding(&self) -> Option<Encoding> {
        self.first(ACCEPT_ENCODING).map(Encoding::accepted)
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }
}

#[cold]
fn may_have_context(block: &[u8]) -> bool {
    let mut lines = block.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let name = line.get(..CONTEXT.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(CONTEXT))
    })
}

/// Names and values that are not empty, up to what is no header.
fn entries(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let next = move || {
        let colon = memchr::memchr(b':', rest)?;
        let (name, behind) = (&rest[..colon], &rest[colon + 1..]);
        let start = behind.iter().position(|byte| !is_blank(*byte))?;
        let behind = &behind[start..];
        let len = memchr::memmem::find(behind, b"\r\n")?;
        rest = &behind[len + 2..];
        let end = behind[..len].iter().rposition(|byte| !is_blank(*byte));
        Some((name, &behind[..end.map_or(0, |last| last + 1)]))
    };
    std::iter::from_fn(next).filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `version-trace-parent-flags`, with the lowest bit of the flags set.
fn is_sampled(context: &[u8]) -> bool {
    let mut parts = context.split(|byte| *byte == b'-');
    let (Some(flags), None) = (parts.nth(3), parts.next()) else {
        return false;
    };
    let flags = std::str::from_utf8(flags)
        .ok()
        .filter(|text| text.len() == 2);
    let number = flags.and_then(|text| i8::from_str_radix(text, 16).ok());
    number.is_some_and(|flags| flags & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(headers: &str) -> Vec<u8> {
        let lines: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        format!("NATS/1.0\r\n{lines}\r\n").into_bytes()
    }

    fn read(headers: &str) -> Option<TraceRequest> {
        let block = block(headers);
        let request = TraceRequest::read(&block);
        assert!(request.is_none() || TraceRequest::may_be_in(&block, true));
        request
    }

    #[test]
    fn a_destination_asks_and_a_sampled_context_does() {
        let asked = |headers: &str| read(headers).map(|request| request.destination);
        let to = |subject: &str| Some(Some(subject.as_bytes().to_vec()));
        assert_eq!(asked("A: 1"), None);
        assert_eq!(asked("Nats-Trace-Dest:  there \t"), to("there"));
        assert_eq!(
            asked("A:1\nNats-Trace-Dest: first\nNats-Trace-Dest: second"),
            to("first")
        );
        assert_eq!(asked("nats-trace-dest: there"), None);
        assert_eq!(asked("Nats-Trace-Dest:"), None);
        assert_eq!(
            asked("Nats-Trace-Dest: trace disabled\ntraceparent: 0-0-0-01"),
            None
        );
        assert_eq!(asked("no header\nNats-Trace-Dest: there"), None);
        for (context, sampled) in [
            ("00-a-b-01", true),
            ("00-a-b-7f", true),
            ("00-a-b-00", false),
            ("00-a-b-ff", false),
            ("00-a-b-1", false),
            ("00-a-b-01-x", false),
            ("00-a-01", false),
        ] {
            for name in ["traceparent", "TraceParent"] {
                let found = asked(&format!("{name}: {context}"));
                assert_eq!(found, sampled.then_some(None), "{context}");
            }
        }
        let both = asked("traceparent: 00-a-b-01\nNats-Trace-Dest: there");
        assert_eq!(both, to("there"));
    }

    #[test]
    fn a_status_is_not_traced() {
        let block = b"NATS/1.0 503\r\nNats-Trace-Dest: there\r\n\r\n";
        assert_eq!(TraceRequest::read(block), None);
    }

    #[test]
    fn all_headers_are_shown() {
        let request = read("b: 1\nNats-Trace-Dest: t\nA:\t2 \nb: 3\nempty: ").expect("asked");
        let shown: Vec<(&str, usize)> = request
            .headers
            .iter()
            .map(|(name, values)| (name.as_str(), values.len()))
            .collect();
        assert_eq!(shown, [("A", 1), ("Nats-Trace-Dest", 1), ("b", 2)]);
    }

    #[test]
    fn what_else_is_asked_counts_in_its_exact_spelling() {
        let is_only = |line: &str| {
            let request = read(&format!("Nats-Trace-Dest: t\n{line}"));
            request.expect("asked").is_only()
        };
        for line in [
            "Nats-Trace-Only: 1",
            "Nats-Trace-Only: True",
            "Nats-Trace-Only: ON",
        ] {
            assert!(is_only(line), "{line}");
        }
        for line in [
            "Nats-Trace-Only: 0",
            "Nats-Trace-Only: yes",
            "nats-trace-only: 1",
        ] {
            assert!(!is_only(line), "{line}");
        }
        let context = read("traceparent: 0-0-0-01\nNats-Trace-Only: 1").expect("asked");
        assert!(!context.is_only());
        let encoding = |value: &str| {
            let request = read(&format!("Nats-Trace-Dest: t\nAccept-Encoding: {value}"));
            request.expect("asked").encoding()
        };
        assert_eq!(encoding("GZIP, br"), Some(Encoding::Gzip));
        assert_eq!(encoding("gzip, s2"), Some(Encoding::Snappy));
        assert_eq!(encoding("br"), Some(Encoding::Identity));
        assert_eq!(read("Nats-Trace-Dest: t").expect("asked").encoding(), None);
    }
}
