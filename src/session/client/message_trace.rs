//! Messages that ask to be traced. *Off the hot path: it is reached by messages with headers that look like it.*
//!
//! The order of checks and what becomes of a message that cannot be traced are nats-server's (`msgtrace.go`).

use super::{Client, Turn};
use crate::protocol::headers;
use crate::protocol::message::{Message, Run, write_tail};
use crate::protocol::reply::{ErrorReply, quoted};
use crate::protocol::trace_request::{DESTINATION, DISABLED, TraceRequest};
use crate::router::{Connection, Traced};
use crate::subject;
use bytes::Bytes;

/// What to do with a message that asks.
enum Way {
    /// It does not ask for anything that counts.
    AsItIs,
    /// Delivered, and marked so that nobody further on traces it either.
    Marked,
    /// Not at all.
    Nowhere,
    Traced(Box<Traced>),
}

impl Client {
    /// Whether a message of the run may ask to be traced.
    #[inline]
    pub(super) fn may_ask_for_trace(&self, run: &Run<'_>) -> bool {
        let first = &run.first;
        let (start, len) = (
            first.line_len as usize,
            first.header_len.unwrap_or(0) as usize,
        );
        let context = self.place.traces_contexts;
        run.tails()
            .any(|tail| TraceRequest::may_be_in(&tail[start..start + len], context))
    }

    /// Publishes messages one by one, those that ask for it with a trace.
    #[cold]
    pub(super) fn publish_perhaps_traced(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) {
        for one in run.singly() {
            let message = &one.first;
            match self.way_of(message.headers(), message.subject, message.size(), turn) {
                Way::Nowhere => {}
                Way::AsItIs => self.publish_further::<false>(&one, shared, turn),
                Way::Marked => {
                    let block =
                        headers::with(one.first.headers(), DESTINATION, DISABLED.as_bytes());
                    let mut tail = Vec::new();
                    let message = with_headers(&one.first, &block, &mut tail);
                    self.publish_further::<false>(&Run::of_one(message), None, turn);
                }
                Way::Traced(traced) => {
                    turn.router.begin_trace(*traced);
                    self.publish_further::<true>(&one, shared, turn);
                    turn.router.end_trace();
                }
            }
        }
    }

    /// Tells of a message that is too large, as far as its headers have come with its line. The connection ends for it.
    #[cold]
    pub(super) fn trace_oversized(&mut self, bytes: &[u8], turn: &mut Turn<'_>) {
        let Some(feed) = memchr::memchr(b'\n', bytes) else {
            return;
        };
        let (line, rest) = bytes.split_at(feed + 1);
        let words = line.split(u8::is_ascii_whitespace);
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        let ([verb, subject, header_len, size] | [verb, subject, _, header_len, size]) = words[..]
        else {
            return;
        };
        let number = |word| std::str::from_utf8(word).ok()?.parse::<usize>().ok();
        let (Some(header_len), Some(size)) = (number(header_len), number(size)) else {
            return;
        };
        // `PUB` with a reply has as many words less one.
        if !verb.eq_ignore_ascii_case(b"HPUB") {
            return;
        }
        let block = &rest[..header_len.min(rest.len())];
        if let Way::Traced(traced) = self.way_of(block, subject, size, turn) {
            turn.router.begin_trace(*traced);
            turn.router.note_refusal("maximum payload exceeded");
            turn.router.end_trace();
        }
    }

    /// Routes a message with its trace; says whether anybody got it.
    #[cold]
    pub(super) fn publish_traced(
        &mut self,
        message: &Message<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut memo = self.memo;
        let publisher = self.publisher(&mut memo, turn);
        let settings = turn.settings;
        let describe = |detail| self.describe(detail, settings);
        turn.router
            .publish_traced(publisher, message, shared, &describe)
    }

    /// What a traced message's event says of this connection.
    pub fn as_traced(&self) -> Connection {
        Connection {
            number: self.number.0,
            name: self.options.name.clone(),
        }
    }

    fn way_of(&mut self, block: &[u8], subject: &[u8], size: usize, turn: &mut Turn<'_>) -> Way {
        let Some(request) = TraceRequest::read(block) else {
            return Way::AsItIs;
        };
        let only = request.is_only();
        let untraced = if only { Way::Nowhere } else { Way::AsItIs };
        if let Some(account) = request.origin_account() {
            let text = format!(
                "Message tracing disabled because of header \"Nats-Trace-Origin-Account\" with value={}",
                quoted(account.as_bytes())
            );
            self.complain_seldom(&text, turn);
            return if only { Way::Nowhere } else { Way::Marked };
        }
        let destination = match &request.destination {
            Some(destination) => destination.clone(),
            None => match self.destination_of_account(turn) {
                None => return Way::AsItIs,
                Some((destination, sampled)) if sampled => destination,
                Some(_) => return Way::Marked,
            },
        };
        if !is_publishable(&destination) {
            let text = format!(
                "Destination {} is not valid, won't be able to trace events",
                quoted(&destination)
            );
            self.complain_seldom(&text, turn);
            return untraced;
        }
        if !self.may_tell(&destination, turn) {
            self.say_error(&ErrorReply::PublishRefused(&destination), turn);
            let text = format!("Publish Violation - Subject {}", quoted(&destination));
            self.complain_seldom(&text, turn);
            return Way::Nowhere;
        }
        Way::Traced(Box::new(Traced {
            account: self.place.account,
            destination,
            encoding: request.encoding(),
            headers: request.headers,
            size,
            only,
            connection: self.as_traced(),
            subject: String::from_utf8_lossy(subject).into_owned(),
        }))
    }

    /// Where the account wants to hear of trace contexts, and whether it does this time.
    fn destination_of_account(&self, turn: &mut Turn<'_>) -> Option<(Vec<u8>, bool)> {
        let account = turn.settings.accounts.get(self.place.account)?;
        let trace = account.message_trace.as_ref()?;
        // nats-server draws from 0 to 99 and compares with "less or equal".
        let sampled = trace.sampling >= 100 || turn.router.draw(100) <= u32::from(trace.sampling);
        Some((trace.destination.clone().into_bytes(), sampled))
    }

    /// Whether the client may publish there, directly.
    fn may_tell(&mut self, destination: &[u8], turn: &Turn<'_>) -> bool {
        if self.is_of_the_server(destination, turn) {
            return false;
        }
        let granted = self.granted.as_mut();
        granted.is_none_or(|granted| granted.may_always_publish(destination))
    }
}

/// What may be published to by anybody: no wildcards, no white space.
fn is_publishable(subject: &[u8]) -> bool {
    subject::is_pedantic_publish(subject) && !subject.iter().any(u8::is_ascii_whitespace)
}

/// The message with other headers, in `tail`.
fn with_headers<'m>(message: &Message<'m>, block: &[u8], tail: &'m mut Vec<u8>) -> Message<'m> {
    let line = write_tail(tail, message.reply(), block, message.payload());
    let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    Message {
        subject: message.subject,
        tail,
        line_len: narrow(line.len()),
        reply_len: message.reply_len,
        header_len: Some(narrow(block.len())),
    }
}
