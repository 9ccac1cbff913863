//! What a client publishes. *Hot path.*
//!
//! In nats-server's order: what the account makes of the subject, whether the client may publish there, whether subject
//! and reply are the server's own.

use super::{Client, Turn};
use crate::protocol::message::{Message, Run, write_tail};
use crate::protocol::reply::{self, ErrorReply, quoted};
use crate::router::{self, Published, Publisher, Sender};
use crate::subject;
use bytes::Bytes;

impl Client {
    #[inline]
    pub(super) fn publish(&mut self, run: &Run<'_>, shared: Option<&Bytes>, turn: &mut Turn<'_>) {
        let message = &run.first;
        if self.options.pedantic && !subject::is_pedantic_publish(message.subject) {
            self.say_error(&ErrorReply::InvalidPublishSubject, turn);
        }
        if message.header_len.is_some() && self.may_ask_for_trace(run) {
            return self.publish_perhaps_traced(run, shared, turn);
        }
        self.publish_further::<false>(run, shared, turn);
    }

    #[inline]
    pub(super) fn publish_further<const TRACED: bool>(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) {
        if self.place.has_mappings {
            return self.publish_mapped::<TRACED>(run, shared, turn);
        }
        self.publish_unmapped::<TRACED>(run, shared, turn);
    }

    #[inline]
    pub(super) fn publish_unmapped<const TRACED: bool>(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) {
        let message = &run.first;
        if self.granted.is_some() && self.is_refused(run, shared, turn) {
            return;
        }
        if self.is_reserved(message, turn) {
            return;
        }
        if self.options.verbose {
            self.say(reply::OK, turn);
        }
        let reached = if TRACED {
            self.publish_traced(message, shared, turn)
        } else {
            self.route(run, shared, turn)
        };
        if !reached && message.reply_len > 0 && self.options.no_responders {
            self.say_no_responders(message, turn);
        }
    }

    #[inline]
    pub(super) fn route(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let publisher = Publisher {
            sender: Sender {
                shard: turn.router.mesh.shard().0,
                connection: self.id,
            },
            account: self.place.account,
            echo: self.options.echo,
            memo: &mut self.memo,
        };
        match turn.router.publish(publisher, run, shared) {
            Published::Somebody => true,
            Published::Nobody => false,
            Published::Abroad => self.publish_abroad(run, shared, turn),
        }
    }

    /// Refuses what the client may not publish. A run of responses is published message by message.
    #[inline(never)]
    fn is_refused(&mut self, run: &Run<'_>, shared: Option<&Bytes>, turn: &mut Turn<'_>) -> bool {
        let Some(granted) = &mut self.granted else {
            return false;
        };
        let subject = run.first.subject;
        if granted.may_always_publish(subject) {
            return false;
        }
        if run.count > 1 && granted.may_respond() {
            for one in run.singly() {
                self.publish_unmapped::<false>(&one, shared, turn);
            }
            return true;
        }
        if granted.may_publish(subject, turn.now) {
            return false;
        }
        let error = ErrorReply::PublishRefused(subject);
        turn.router.note_refusal(&error.text());
        for _ in 0..run.count {
            self.say_error(&error, turn);
            let text = format!("Publish Violation - Subject {}", quoted(subject));
            self.complain_seldom(&text, turn);
        }
        true
    }

    /// Refuses subjects and replies that are the server's own.
    #[inline]
    fn is_reserved(&self, message: &Message<'_>, turn: &mut Turn<'_>) -> bool {
        let may_be = |subject: &[u8]| matches!(subject.first(), Some(b'$' | b'_'));
        if !may_be(message.subject) && !may_be(message.reply()) {
            return false;
        }
        self.refuse_reserved(message, turn)
    }

    #[inline(never)]
    fn refuse_reserved(&self, message: &Message<'_>, turn: &mut Turn<'_>) -> bool {
        let subject = message.subject;
        if self.is_of_the_server(subject, turn) {
            let text = format!("Publish Violation - Subject {}", quoted(subject));
            self.complain_seldom(&text, turn);
            let error = ErrorReply::PublishRefused(subject);
            turn.router.note_refusal(&error.text());
            self.say_error(&error, turn);
            return true;
        }
        let reply = message.reply();
        let is_reserved =
            reply.starts_with(b"_R_.") || reply.starts_with(b"$JS.ACK.") || is_gateway_reply(reply);
        if is_reserved {
            let text = format!("Publish Violation - Reply {}", quoted(reply));
            self.complain_seldom(&text, turn);
            let error = ErrorReply::ReplyReserved(reply);
            turn.router.note_refusal(&error.text());
            self.say_error(&error, turn);
        } else if router::is_measured(subject) {
            self.introduce_as_responder(subject, turn);
        }
        is_reserved
    }

    /// Whether a subject is the server's own, to publish to.
    pub(super) fn is_of_the_server(&self, subject: &[u8], turn: &Turn<'_>) -> bool {
        let is_system = self.place.account == turn.settings.accounts.system();
        is_gateway_reply(subject) || subject.starts_with(b"$NRG.") && !is_system
    }

    /// Tells a requester that nobody serves its subject, if it can hear that.
    #[cold]
    fn say_no_responders(&self, message: &Message<'_>, turn: &mut Turn<'_>) {
        let reply = message.reply();
        let Some(id) = turn
            .router
            .subscription_for(self.place.account, self.id.slot, reply)
        else {
            return;
        };
        let sid = turn.router.interest().subscription(id).sid.clone();
        let headers = reply::no_responders_headers(message.subject);
        turn.router.outboxes.write(self.id.slot, |into| {
            for part in [b"HMSG ", reply, b" ", sid.as_slice(), b" "] {
                into.extend_from_slice(part);
            }
            write_tail(into, b"", &headers, b"");
        });
    }
}

pub(super) fn is_gateway_reply(subject: &[u8]) -> bool {
    subject.starts_with(b"_GR_.")
}
