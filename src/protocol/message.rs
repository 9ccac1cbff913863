//! A message between publisher and subscriber. *Hot path.*
//!
//! What a publisher sends and what a subscriber gets end alike:
//!
//! ```text
//! PUB  orders.new        _INBOX.7 5\r\nhello\r\n
//! MSG  orders.new 12     _INBOX.7 5\r\nhello\r\n
//!                        └───────── tail ──────┘
//! ```
//!
//! So the tail is never rendered again: it is copied as it came, behind a head that the index keeps rendered.

use std::ops::Range;

/// A message whose tail is in the one spelling that can be forwarded: single blanks, CRLF, as every client writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub subject: &'a [u8],
    /// `[reply ][header_len ]total_len\r\n<headers><payload>\r\n`.
    pub tail: &'a [u8],
    /// How much of the tail comes before the headers and the payload.
    pub line_len: u32,
    /// 0 when there is no reply subject.
    pub reply_len: u32,
    /// `Some` for `HPUB`, whatever the length.
    pub header_len: Option<u32>,
}

/// Messages that differ in nothing but their payloads: one publisher's, with the same subject and lengths and without a
/// reply, one right behind the other. What is decided for the first holds for all. Most messages are a run of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    pub first: Message<'a>,
    pub count: usize,
    /// From the beginning of the first tail to the end of the last.
    tails: &'a [u8],
    /// From the beginning of one tail to the beginning of the next.
    stride: usize,
}

const CRLF: &[u8] = b"\r\n";

impl<'a> Run<'a> {
    #[inline]
    pub fn of_one(message: Message<'a>) -> Run<'a> {
        Run {
            first: message,
            count: 1,
            tails: message.tail,
            stride: message.tail.len(),
        }
    }

    /// A run whose tails lie in `tails`, `stride` bytes from one to the next.
    #[inline]
    pub fn new(first: Message<'a>, count: usize, tails: &'a [u8], stride: usize) -> Run<'a> {
        debug_assert_eq!(tails.len(), (count - 1) * stride + first.tail.len());
        Run {
            first,
            count,
            tails,
            stride,
        }
    }

    #[inline]
    pub fn tails(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let len = self.first.tail.len();
        self.tails.chunks(self.stride).map(move |tail| &tail[..len])
    }

    /// The same messages with another subject: that of `first`, which is the same in all else.
    pub fn with_first<'b>(&self, first: Message<'b>) -> Run<'b>
    where
        'a: 'b,
    {
        Run {
            first,
            count: self.count,
            tails: self.tails,
            stride: self.stride,
        }
    }

    /// The same messages in runs of at most `count`.
    pub fn parts(&self, count: usize) -> impl Iterator<Item = Run<'a>> + use<'a> {
        let Run { first, stride, .. } = *self;
        let len = first.tail.len();
        self.tails.chunks(stride * count).map(move |tails| {
            // What is between two tails is not part of a run's end.
            let count = tails.len().div_ceil(stride);
            let tails = &tails[..(count - 1) * stride + len];
            let tail = &tails[..len];
            Run::new(Message { tail, ..first }, count, tails, stride)
        })
    }

    /// One message after the other, each as a run of one.
    pub fn singly(&self) -> impl Iterator<Item = Run<'a>> + use<'a> {
        let first = self.first;
        self.tails()
            .map(move |tail| Run::of_one(Message { tail, ..first }))
    }
}

impl<'a> Message<'a> {
    /// The reply subject; empty when there is none.
    #[inline]
    pub fn reply(&self) -> &'a [u8] {
        &self.tail[..self.reply_len as usize]
    }

    /// Reply and lengths up to and with the CRLF.
    #[inline]
    pub fn line(&self) -> &'a [u8] {
        &self.tail[..self.line_len as usize]
    }

    /// Headers, payload and the closing CRLF.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.tail[self.line_len as usize..]
    }

    /// Headers and payload in bytes: what counts as the size of the message.
    #[inline]
    pub fn size(&self) -> usize {
        self.tail.len() - self.line_len as usize - CRLF.len()
    }

    /// The header block; empty when there is none.
    pub fn headers(&self) -> &'a [u8] {
        &self.body()[..self.header_len.unwrap_or(0) as usize]
    }

    /// The payload without the closing CRLF.
    pub fn payload(&self) -> &'a [u8] {
        let body = self.body();
        &body[self.header_len.unwrap_or(0) as usize..body.len() - CRLF.len()]
    }

    /// The tail for a receiver that does not understand headers: they are left out (nats-server `client.go`).
    pub fn write_tail_without_headers(&self, into: &mut Vec<u8>) {
        let payload = self.payload();
        write_line(into, self.reply(), &[payload.len()]);
        into.extend_from_slice(payload);
        into.extend_from_slice(CRLF);
    }
}

/// A message in a spelling of its own; its tail must be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LooseMessage<'a> {
    pub subject: &'a [u8],
    pub reply: &'a [u8],
    pub header_len: Option<u32>,
    /// The length arguments as the publisher wrote them: nats-server passes them on digit by digit.
    pub lengths: [&'a [u8]; 2],
    /// Headers, payload, CRLF.
    pub body: &'a [u8],
}

impl<'a> LooseMessage<'a> {
    /// Writes the tail into `scratch` and gives the message over it.
    pub fn tighten<'b>(&self, scratch: &'b mut Vec<u8>) -> Message<'b>
    where
        'a: 'b,
    {
        scratch.clear();
        for argument in [self.reply, self.lengths[0]] {
            if !argument.is_empty() {
                scratch.extend_from_slice(argument);
                scratch.push(b' ');
            }
        }
        scratch.extend_from_slice(self.lengths[1]);
        scratch.extend_from_slice(CRLF);
        let line_len = narrow(scratch.len());
        scratch.extend_from_slice(self.body);
        Message {
            subject: self.subject,
            tail: scratch,
            line_len,
            reply_len: narrow(self.reply.len()),
            header_len: self.header_len,
        }
    }
}

/// Builds a message that no client sent; the broker's own voice.
pub fn write_tail(
    into: &mut Vec<u8>,
    reply: &[u8],
    headers: &[u8],
    payload: &[u8],
) -> Range<usize> {
    let start = into.len();
    let total = headers.len() + payload.len();
    if headers.is_empty() {
        write_line(into, reply, &[total]);
    } else {
        write_line(into, reply, &[headers.len(), total]);
    }
    let line = start..into.len();
    into.extend_from_slice(headers);
    into.extend_from_slice(payload);
    into.extend_from_slice(CRLF);
    line
}

fn write_line(into: &mut Vec<u8>, reply: &[u8], lengths: &[usize]) {
    if !reply.is_empty() {
        into.extend_from_slice(reply);
        into.push(b' ');
    }
    for (index, length) in lengths.iter().enumerate() {
        if index > 0 {
            into.push(b' ');
        }
        into.extend_from_slice(length.to_string().as_bytes());
    }
    into.extend_from_slice(CRLF);
}

/// Lengths on the wire have at most nine digits, so they fit.
pub(super) fn narrow(len: usize) -> u32 {
    u32::try_from(len).expect("wire lengths fit 32 bits")
}
