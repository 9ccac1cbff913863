//! Bytes to operations. *Hot path.*
//!
//! Stateless: it looks at the bytes from the start of an operation and either takes all of it, asks for more, or says
//! what is wrong. A session keeps the unfinished tail. `PUB` and `HPUB` in the spelling of every client take a short
//! way; everything else is split at blanks and tabs as nats-server does (`parser.go`).
//!
//! Invariants
//! - What is wrong is said as soon as it shows, also inside an unfinished line; more bytes never turn a wrong
//!   beginning into a right operation.
//! - No byte from outside can make it panic or wait for more than the limits allow.

use super::message::{LooseMessage, Message, Run, narrow};
use super::op::Op;
use crate::base::bytes::same;
use crate::base::limits::SHARED_TAIL_BYTES;

/// What a connection may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of arguments on a control line (`max_control_line`).
    pub control_line: usize,
    /// Bytes of headers and payload together (`max_payload`).
    pub payload: usize,
    /// Whether headers were agreed on in `CONNECT`.
    pub headers: bool,
}

/// What the bytes amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// An operation, and how many bytes it took.
    Op(Op<'a>, usize),
    /// Not all of it is here; asking again is worth while with this many bytes in all.
    More(usize),
}

/// The peer is wrong; every one of these ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A verb that is none, or a payload that does not end where its length says.
    UnknownOperation,
    /// More bytes of arguments than [`Limits::control_line`].
    ControlLineTooLong,
    /// Too few or too many arguments, or a length that is none; nats-server closes without a word.
    BadArguments(&'static str),
    /// A payload of this size is over [`Limits::payload`].
    PayloadTooLarge(usize),
    /// `HPUB` without headers agreed on.
    HeadersNotSupported,
}

type Parsed<'a> = Result<Step<'a>, ParseError>;

/// Parses the operation that `bytes` begin with. `bytes` must not be empty.
#[inline]
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Parsed<'a> {
    match next_publish(bytes, limits, &mut LineMemo::default()) {
        Some((message, len)) => Ok(Step::Op(Op::Publish(message), len)),
        None => parse_any(bytes, limits),
    }
}

/// The message that `bytes` begin with, if it is one in the usual spelling, complete and within the limits, and how many
/// bytes it took. Everything else, also what is wrong, is for [`parse`] to sort out.
///
/// Always inlined, with what it calls: returned through memory, the message is stored field by field and loaded in wider
/// pieces right away, and each of those loads waits for the stores to retire.
#[inline(always)]
pub fn next_publish<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    memo: &mut LineMemo<'a>,
) -> Option<(Message<'a>, usize)> {
    if !memo.is_repeated_by(bytes) {
        let line = match bytes.first_chunk::<4>()? {
            b"PUB " => Line::find(bytes, 4, false)?,
            b"HPUB" if limits.headers && bytes.get(4) == Some(&b' ') => Line::find(bytes, 5, true)?,
            _ => return None,
        };
        let is_allowed = line.body - 2 - line.subject <= limits.control_line
            && line.size <= limits.payload
            && line.header_len <= line.size;
        if !is_allowed {
            return None;
        }
        *memo = LineMemo {
            text: &bytes[..line.body],
            line,
        };
    }
    let line = memo.line;
    let end = line.body + line.size;
    if bytes.get(end..end + 2)? != b"\r\n" {
        return None;
    }
    let message = Message {
        subject: &bytes[line.subject..line.subject_end],
        tail: &bytes[line.subject_end + 1..end + 2],
        line_len: narrow(line.body - line.subject_end - 1),
        reply_len: narrow(line.reply_len),
        header_len: (line.header_len > 0).then_some(narrow(line.header_len)),
    };
    Some((message, end + 2))
}

/// Like [`next_publish`]; if `more`, with the messages behind it that begin with the same control line, byte for byte. Only
/// messages without a reply, and of a size that is copied rather than shared, come as more than one.
#[inline(always)]
pub fn next_run<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    memo: &mut LineMemo<'a>,
    more: bool,
) -> Option<(Run<'a>, usize)> {
    let (first, len) = next_publish(bytes, limits, memo)?;
    let (mut count, mut end) = (1, len);
    if more && first.reply_len == 0 && first.tail.len() < SHARED_TAIL_BYTES {
        while let Some(next) = bytes.get(end..end + len)
            && memo.is_repeated_by(next)
            && next.ends_with(b"\r\n")
        {
            count += 1;
            end += len;
        }
    }
    let tails = &bytes[memo.line.subject_end + 1..end];
    Some((Run::new(first, count, tails, len), end))
}

/// The subjects of the messages that `bytes` begin with, up to the first operation that [`next_publish`] does not take.
pub fn subjects<'a>(bytes: &'a [u8], limits: &Limits) -> impl Iterator<Item = &'a [u8]> {
    let mut memo = LineMemo::default();
    let mut left = bytes;
    std::iter::from_fn(move || {
        let (message, len) = next_publish(left, limits, &mut memo)?;
        left = &left[len..];
        Some(message.subject)
    })
}

/// The control line of the last publish: publishers repeat themselves, and a line that is the same byte for byte means
/// the same. It points into the receive buffer, so it costs no memory and ends with the buffer.
///
/// It holds under the limits it was made with: when those change, begin with a fresh one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineMemo<'a> {
    text: &'a [u8],
    line: Line,
}

impl LineMemo<'_> {
    #[inline(always)]
    fn is_repeated_by(&self, bytes: &[u8]) -> bool {
        let len = self.text.len();
        len > 0 && bytes.get(..len).is_some_and(|start| same(start, self.text))
    }
}

/// The control line of a publish in the usual spelling, as offsets into the operation.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    subject: usize,
    subject_end: usize,
    reply_len: usize,
    /// 0 for `PUB`.
    header_len: usize,
    size: usize,
    body: usize,
}

impl Line {
    /// `None` when the line is unfinished, unusual or wrong.
    #[inline(always)]
    fn find(bytes: &[u8], subject: usize, with_headers: bool) -> Option<Line> {
        let subject_end = blank_from(bytes, subject)?;
        let mut reply_end = subject_end;
        let mut header_len = 0;
        let mut number = number_from(bytes, subject_end + 1);
        if number.is_none() {
            reply_end = blank_from(bytes, subject_end + 1)?;
            number = number_from(bytes, reply_end + 1);
        }
        let (mut size, mut end) = number?;
        if with_headers {
            // Without a single byte of headers it is no usual message.
            header_len = Some(size).filter(|len| *len > 0)?;
            if bytes.get(end) != Some(&b' ') {
                return None;
            }
            (size, end) = number_from(bytes, end + 1)?;
        }
        let is_usual = subject_end > subject
            && bytes[subject_end] == b' '
            && (reply_end == subject_end
                || reply_end > subject_end + 1 && bytes[reply_end] == b' ')
            && bytes.get(end..end + 2)? == b"\r\n";
        let reply_len = reply_end.saturating_sub(subject_end + 1);
        is_usual.then_some(Line {
            subject,
            subject_end,
            reply_len,
            header_len,
            size,
            body: end + 2,
        })
    }
}

/// Where the first byte that is no printable character lies, from `start` on: where an argument ends. Eight at a time.
#[inline(always)]
fn blank_from(bytes: &[u8], start: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut at = start;
    while let Some(eight) = bytes.get(at..).and_then(|left| left.first_chunk::<8>()) {
        let eight = u64::from_le_bytes(*eight);
        // The high bit of every byte below b'!'; a byte behind the first such one may be marked wrongly, which is why
        // only the first counts.
        let found = eight.wrapping_sub(ONES * 0x21) & !eight & (ONES * 0x80);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter()
        .position(|byte| *byte < b'!')
        .map(|found| at + found)
}

/// A number of one to nine digits at `start`, and where it ends; `None` if it is followed by more of the same argument.
#[inline(always)]
fn number_from(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    let mut at = start;
    loop {
        let byte = *bytes.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (at > start && at - start <= 9 && byte < b'!').then_some((number, at));
        }
        if at - start >= 9 {
            return None;
        }
        number = number * 10 + usize::from(digit);
        at += 1;
    }
}

#[inline]
fn check_publish(
    args_len: usize,
    header_len: Option<u32>,
    size: usize,
    limits: &Limits,
) -> Result<(), ParseError> {
    if args_len > limits.control_line {
        return Err(ParseError::ControlLineTooLong);
    }
    if header_len.is_some_and(|len| len as usize > size) {
        return Err(ParseError::BadArguments(
            "header size is larger than the total size",
        ));
    }
    if size > limits.payload {
        return Err(ParseError::PayloadTooLarge(size));
    }
    Ok(())
}

/// The length of the whole operation if its body of `size` bytes and the CRLF are there.
#[inline]
fn complete(bytes: &[u8], body: usize, size: usize) -> Result<Option<usize>, ParseError> {
    let end = body + size;
    match bytes.get(end..end + 2) {
        Some(b"\r\n") => Ok(Some(end + 2)),
        Some(_) => Err(ParseError::UnknownOperation),
        None if bytes.get(end).is_some_and(|byte| *byte != b'\r') => {
            Err(ParseError::UnknownOperation)
        }
        None => Ok(None),
    }
}

/// What of an unfinished operation must be kept. nats-server skips whatever follows `PING`, `PONG` and `+OK` up to the
/// line end, and blanks before arguments, both at any length: none of it need be carried about.
pub fn essential(unfinished: &[u8]) -> &[u8] {
    match verb(unfinished) {
        Ok(Some((Verb::Ping | Verb::Pong | Verb::Ok, len))) => &unfinished[..len],
        Ok(Some((_, len))) if unfinished[len..].iter().all(|byte| is_blank(*byte)) => {
            &unfinished[..len]
        }
        _ => unfinished,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Pub,
    Hpub,
    Sub,
    Unsub,
    Connect,
    Ping,
    Pong,
    Ok,
    Err,
    Info,
}

/// Verbs in upper case, and whether a blank must follow.
const VERBS: [(&[u8], Verb, bool); 10] = [
    (b"PUB", Verb::Pub, true),
    (b"HPUB", Verb::Hpub, true),
    (b"SUB", Verb::Sub, true),
    (b"UNSUB", Verb::Unsub, true),
    (b"CONNECT", Verb::Connect, false),
    (b"PING", Verb::Ping, false),
    (b"PONG", Verb::Pong, false),
    (b"+OK", Verb::Ok, false),
    (b"-ERR", Verb::Err, true),
    (b"INFO", Verb::Info, true),
];

#[inline(never)]
fn parse_any<'a>(bytes: &'a [u8], limits: &Limits) -> Parsed<'a> {
    let Some((verb, verb_len)) = verb(bytes)? else {
        return Ok(Step::More(bytes.len() + 1));
    };
    let after = &bytes[verb_len..];
    let blanks = after.iter().take_while(|byte| is_blank(**byte)).count();
    let start = verb_len + blanks;
    // The first byte of the arguments is taken as it is, even a line feed; verbs without arguments have no such byte.
    let has_args = !matches!(verb, Verb::Ping | Verb::Pong | Verb::Ok);
    let search = (start + usize::from(has_args)).min(bytes.len());
    let feed = memchr::memchr(b'\n', &bytes[search..]).map(|feed| search + feed);
    let text = &bytes[start..feed.unwrap_or(bytes.len())];
    let args = text.strip_suffix(b"\r").unwrap_or(text);
    if args.len() > limits.control_line && has_args {
        return Err(ParseError::ControlLineTooLong);
    }
    let Some(feed) = feed else {
        return Ok(Step::More(bytes.len() + 1));
    };
    let end = feed + 1;
    let op = match verb {
        Verb::Pub => return publish_loose(bytes, args, end, false, limits),
        Verb::Hpub if !limits.headers => return Err(ParseError::HeadersNotSupported),
        Verb::Hpub => return publish_loose(bytes, args, end, true, limits),
        Verb::Sub => subscribe(args)?,
        Verb::Unsub => unsubscribe(args)?,
        Verb::Connect => Op::Connect(args),
        Verb::Ping => Op::Ping,
        Verb::Pong => Op::Pong,
        Verb::Ok => Op::Ok,
        Verb::Err => Op::Err(args),
        Verb::Info => Op::Info(args),
    };
    Ok(Step::Op(op, end))
}

/// The verb, and the length of it and of the blank that must follow it; `None` while it is unfinished.
fn verb(bytes: &[u8]) -> Result<Option<(Verb, usize)>, ParseError> {
    for (name, verb, wants_blank) in VERBS {
        let common = name.len().min(bytes.len());
        if !bytes[..common].eq_ignore_ascii_case(&name[..common]) {
            continue;
        }
        if common < name.len() {
            return Ok(None);
        }
        return match bytes.get(name.len()) {
            _ if !wants_blank => Ok(Some((verb, name.len()))),
            None => Ok(None),
            Some(byte) if is_blank(*byte) => Ok(Some((verb, name.len() + 1))),
            Some(_) => Err(ParseError::UnknownOperation),
        };
    }
    Err(ParseError::UnknownOperation)
}

fn publish_loose<'a>(
    bytes: &'a [u8],
    args: &'a [u8],
    end: usize,
    with_headers: bool,
    limits: &Limits,
) -> Parsed<'a> {
    let bad = ParseError::BadArguments;
    let (found, count) = split(args, is_blank);
    let numbers = 1 + usize::from(with_headers);
    let (subject, reply, lengths) = match count.checked_sub(numbers) {
        Some(1) => (found[0], &b""[..], &found[1..]),
        Some(2) => (found[0], found[1], &found[2..]),
        _ => return Err(bad("wrong number of arguments")),
    };
    let mut header_len = None;
    let mut digits = [&b""[..], lengths[0]];
    if with_headers {
        let number = parse_number(lengths[0]).ok_or_else(|| bad("bad or missing header size"))?;
        digits = [&b""[..], lengths[1]];
        // Without a single byte of headers it is a plain message (nats-server delivers MSG).
        if number > 0 {
            header_len = Some(narrow(number));
            digits[0] = lengths[0];
        }
    }
    let size = parse_number(digits[1]).ok_or_else(|| bad("bad or missing size"))?;
    check_publish(args.len(), header_len, size, limits)?;
    let Some(op_len) = complete(bytes, end, size)? else {
        return Ok(Step::More(end + size + 2));
    };
    let body = &bytes[end..op_len];
    let message = LooseMessage {
        subject,
        reply,
        header_len,
        lengths: digits,
        body,
    };
    Ok(Step::Op(Op::PublishLoose(message), op_len))
}

fn subscribe(args: &[u8]) -> Result<Op<'_>, ParseError> {
    match split(args, is_white) {
        ([subject, sid, ..], 2) => Ok(Op::Subscribe {
            subject,
            queue: b"",
            sid,
        }),
        ([subject, queue, sid, ..], 3) => Ok(Op::Subscribe {
            subject,
            queue,
            sid,
        }),
        _ => Err(ParseError::BadArguments("wrong number of arguments")),
    }
}

fn unsubscribe(args: &[u8]) -> Result<Op<'_>, ParseError> {
    match split(args, is_white) {
        ([sid, ..], 1) => Ok(Op::Unsubscribe { sid, max: None }),
        ([sid, max, ..], 2) => Ok(Op::Unsubscribe {
            sid,
            max: parse_number(max).map(|max| max as u64),
        }),
        _ => Err(ParseError::BadArguments("wrong number of arguments")),
    }
}

/// The most arguments an operation has.
const ARGS_MAX: usize = 4;

/// The arguments of a line, and how many there are; those after the fourth are counted only.
fn split(line: &[u8], is_separator: impl Fn(u8) -> bool) -> ([&[u8]; ARGS_MAX], usize) {
    let mut found = [&b""[..]; ARGS_MAX];
    let mut count = 0;
    for argument in line
        .split(|byte| is_separator(*byte))
        .filter(|part| !part.is_empty())
    {
        if let Some(place) = found.get_mut(count) {
            *place = argument;
        }
        count += 1;
    }
    (found, count)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// One to nine digits and nothing else: nats-server's `parseSize`.
fn parse_number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        text.iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0')),
    )
}

#[cfg(test)]
mod tests;
