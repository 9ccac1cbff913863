//! Message tracing: a message that asks for it tells where it went. *Off the hot path: untraced messages pass by.*
//!
//! What happens to such a message is noted in a [`Journal`] wherever it comes; the shard of its publisher puts the pages
//! together and publishes one event, when all of them are there.
//!
//! ```text
//! publisher's shard                             another shard
//!   begin_trace ─ Trace, weight 2^31
//!   publish_traced ─ Journal ─── Ticket ──────►  receive_traced ─ Journal
//!   write_up ─ steps into the Trace  ◄─ Report ─ write_up
//!   weight back at 2^31: the event
//! ```
//!
//! Invariants
//! - A copy of the message carries a share of its weight, and its report brings that back, whoever handed it on in
//!   between and in whatever order reports come: the event is complete when the weight is.
//! - A journal is written up in the turn in which it was begun, before any connection it names can be gone.
//! - At most [`TRACES_WAITING_MAX`] traces of a shard wait for reports; the messages of further ones are delivered, but
//!   their ways through other shards are not told, and they are counted.

mod journal;
#[cfg(test)]
mod tests;
mod watch;

use super::imports::{Describe, Journey};
use super::{Publisher, Router};
use crate::account::Accounts;
use crate::base::ids::{AccountId, ShardId};
use crate::base::limits::{TRACE_COMPRESSED_BYTES_MAX, TRACES_WAITING_MAX};
use crate::interest::{Memo, Scope};
use crate::mesh::{Carried, Report, Ticket};
use crate::protocol::client_info::rfc3339;
use crate::protocol::encoding::{CONTENT_ENCODING, Encoding};
use crate::protocol::event::EventServer;
use crate::protocol::headers;
use crate::protocol::info::ServerInfo;
use crate::protocol::message::Message;
use crate::protocol::trace_event::{self, ConnectionKind, TraceStep};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use journal::{Journal, Miss};
pub(super) use watch::{Copy, Unwatched, Watch};

/// A message that is to be traced, and who published it.
#[derive(Debug)]
pub struct Traced {
    pub account: AccountId,
    /// Where the event goes, in that account.
    pub destination: Vec<u8>,
    pub encoding: Option<Encoding>,
    pub headers: BTreeMap<String, Vec<String>>,
    /// Bytes of headers and payload.
    pub size: usize,
    /// It is not delivered.
    pub only: bool,
    pub connection: Connection,
    pub subject: String,
}

/// What an event says of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    pub number: u64,
    pub name: String,
}

/// A trace that waits for reports.
#[derive(Debug)]
pub(super) struct Trace {
    traced: Traced,
    began: Duration,
    error: String,
    /// As far as they have been reported, rendered.
    steps: Vec<u8>,
    /// Of copies not reported yet.
    weight: u32,
}

impl Router {
    /// Begins to trace the message that is published next. [`Router::end_trace`] follows.
    pub fn begin_trace(&mut self, traced: Traced) {
        let has_room = self.traces.len() < TRACES_WAITING_MAX;
        self.counters.traces_cut_short += u64::from(!has_room);
        let weight = if has_room {
            journal::WHOLE
        } else {
            journal::LEAST
        };
        let (account, only) = (traced.account, traced.only);
        let began = self.wall.at(self.now);
        let number = self.traces.insert(Trace {
            traced,
            began,
            error: String::new(),
            steps: Vec::new(),
            weight,
        });
        let ticket = Ticket {
            number,
            weight,
            account,
            only,
        };
        self.journal = Some(Journal::new(self.mesh.shard(), ticket, began));
    }

    /// Notes that the message being traced is refused, if one is.
    pub fn note_refusal(&mut self, error: &str) {
        if let Some(journal) = &self.journal
            && let Some(trace) = self.traces.get_mut(journal.number())
        {
            error.clone_into(&mut trace.error);
        }
    }

    /// Notes what mappings have made of the message being traced, if one is.
    pub fn note_mapping(&mut self, subject: &[u8]) {
        if let Some(journal) = &mut self.journal {
            journal.map(subject);
        }
    }

    /// Routes the message being traced, through its account and out of it. Says whether anybody got it, or would have.
    pub fn publish_traced(
        &mut self,
        publisher: Publisher<'_>,
        message: &Message<'_>,
        shared: Option<&Bytes>,
        describe: Describe<'_>,
    ) -> bool {
        let mut journal = self.journal.take();
        let scope = Scope::published(publisher.account);
        let mut journey = Journey::new(publisher.sender, publisher.echo, describe);
        journey.journal = journal.as_mut();
        let reached = self.travel(scope, message, shared, &mut journey);
        self.counters.dropped_no_interest += u64::from(!reached);
        self.journal = journal;
        reached
    }

    /// The message being traced has been handled.
    pub fn end_trace(&mut self) {
        self.journals.extend(self.journal.take());
    }

    /// Delivers a message that another shard sent, and keeps a journal for that one.
    pub fn receive_traced(
        &mut self,
        from: ShardId,
        ticket: Ticket,
        carried: &Carried<'_>,
        is_last_word: bool,
    ) {
        let home = ShardId(carried.publisher.shard);
        let mut journal = Journal::new(home, ticket, self.wall.at(self.now));
        let mut memo = Memo::default();
        self.receive_watched(from, carried, &mut memo, is_last_word, &mut journal);
        self.journals.push(journal);
    }

    /// Traces that wait for reports.
    pub fn traces_waiting(&self) -> usize {
        self.traces.len()
    }

    /// Whether [`Router::write_up`] has something to do.
    #[inline]
    pub fn has_journals(&self) -> bool {
        !self.journals.is_empty()
    }

    /// Renders what was noted, and brings it to where the events are made. `connection` tells of the one in a slot.
    #[cold]
    pub fn write_up(&mut self, server: &ServerInfo, connection: &dyn Fn(u32) -> Connection) {
        for journal in std::mem::take(&mut self.journals) {
            let accounts = self.interest.accounts();
            let mut steps = Vec::new();
            journal.write(accounts, connection, &mut steps);
            let report = journal.report(&steps);
            if journal.home() == self.mesh.shard() {
                self.hear_report(server, report);
            } else {
                self.mesh.report(journal.home(), report);
            }
        }
    }

    /// Takes in what became of a traced message; publishes the event if that was the last of it.
    #[cold]
    pub fn hear_report(&mut self, server: &ServerInfo, report: Report<'_>) {
        let Some(trace) = self.traces.get_mut(report.number) else {
            unreachable!("a trace waits until its whole weight has come back");
        };
        trace.weight -= report.weight;
        if !trace.steps.is_empty() && !report.steps.is_empty() {
            trace.steps.push(b',');
        }
        trace.steps.extend_from_slice(report.steps);
        if trace.weight == 0
            && let Some(trace) = self.traces.remove(report.number)
        {
            self.publish_event(server, &trace);
        }
    }

    fn publish_event(&mut self, server: &ServerInfo, trace: &Trace) {
        self.events += 1;
        // Every shard counts by itself; no number is said twice.
        let shards = self.mesh.peers().count() as u64 + 1;
        let time = rfc3339(self.wall.at(self.now));
        let sequence = self.events * shards + u64::from(self.mesh.shard().0);
        let server = EventServer::new(server, sequence, &time);
        let traced = &trace.traced;
        let steps = trace.all_steps(self.interest.accounts());
        let mut event = trace_event::render(&server, &traced.headers, traced.size, &steps);
        let mut headers = Vec::new();
        if let Some(encoding) = traced.encoding {
            let used;
            (event, used) = encoding.apply(event, TRACE_COMPRESSED_BYTES_MAX);
            headers = headers::with(b"", CONTENT_ENCODING, used.name().as_bytes());
        }
        self.say(traced.account, &traced.destination, &headers, &event);
    }
}

impl Trace {
    fn all_steps(&self, accounts: &Accounts) -> Vec<u8> {
        let mut steps = Vec::with_capacity(self.steps.len() + 256);
        let Traced {
            account,
            connection,
            subject,
            ..
        } = &self.traced;
        let ingress = TraceStep::Ingress {
            ts: &rfc3339(self.began),
            kind: ConnectionKind::Client,
            cid: connection.number,
            name: &connection.name,
            account: accounts.name(*account),
            subject,
            error: &self.error,
        };
        ingress.write(&mut steps);
        if !self.steps.is_empty() {
            steps.push(b',');
            steps.extend_from_slice(&self.steps);
        }
        steps
    }
}
