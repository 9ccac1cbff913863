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

use super::imports::{Describe, Journey};
use super::{Publisher, Router};
use crate::account::Accounts;
use crate::base::ids::{AccountId, ShardId};
use crate::base::limits::TRACES_WAITING_MAX;
use crate::interest::{Interest, Memo, Scope, SubscriptionId};
use crate::mesh::{Carried, Mesh, Parcel, Report, Routing, Ticket};
use crate::protocol::client_info::rfc3339;
use crate::protocol::headers;
use crate::protocol::info::ServerInfo;
use crate::protocol::message::{Message, Run};
use crate::protocol::reply::ErrorReply;
use crate::protocol::trace_event::{self, ConnectionKind, EventServer, TraceStep};
use crate::protocol::trace_request::{DESTINATION, DISABLED, Encoding};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

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

/// What happened to one traced message on this shard.
#[derive(Debug)]
pub(super) struct Journal {
    home: ShardId,
    ticket: Ticket,
    at: Duration,
    /// The queue group that the next delivery is for.
    group: Vec<u8>,
    /// Deliveries whose subscription is not looked up yet.
    sightings: Vec<Sighting>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Sighting {
    connection: u32,
    subscription: SubscriptionId,
    group: Vec<u8>,
    miss: Option<Miss>,
}

/// Why somebody did not get a message that was meant for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    NoEcho,
    Spent,
    Closed,
}

#[derive(Debug)]
enum Entry {
    Mapping {
        to: String,
    },
    StreamExport {
        account: AccountId,
        to: String,
    },
    ServiceImport {
        account: AccountId,
        from: String,
        to: String,
    },
    Egress {
        connection: u32,
        account: AccountId,
        pattern: String,
        queue: String,
        miss: Option<Miss>,
    },
}

/// Looks at deliveries while they are made.
pub(super) trait Watch {
    /// Whether the message is to be delivered at all.
    fn delivers(&self) -> bool;

    /// Deliveries up to the next call are for that group.
    fn enter_group(&mut self, name: &[u8]);

    fn saw(&mut self, connection: u32, subscription: SubscriptionId, miss: Option<Miss>);

    /// Sends a copy to another shard.
    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    );

    /// Packs a copy that nobody is known for yet.
    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    );

    /// Looks up what was seen, now that all has been seen.
    fn conclude(&mut self, interest: &Interest, subject: &[u8]);

    fn journal(&mut self) -> Option<&mut Journal>;
}

/// Messages for a lane.
#[derive(Clone, Copy)]
pub(super) struct Copy<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) shared: Option<&'a Bytes>,
    pub(super) routing: Routing,
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn delivers(&self) -> bool {
        true
    }

    #[inline(always)]
    fn enter_group(&mut self, _: &[u8]) {}

    #[inline(always)]
    fn saw(&mut self, _: u32, _: SubscriptionId, _: Option<Miss>) {}

    #[inline(always)]
    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        mesh.send(to, copy.run, copy.shared, copy.routing, picks);
    }

    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        parcel.put_messages(copy.run, copy.shared, copy.routing, picks);
    }

    #[inline(always)]
    fn conclude(&mut self, _: &Interest, _: &[u8]) {}

    #[inline(always)]
    fn journal(&mut self) -> Option<&mut Journal> {
        None
    }
}

impl Watch for &mut Journal {
    fn delivers(&self) -> bool {
        !self.ticket.only
    }

    fn enter_group(&mut self, name: &[u8]) {
        self.group.clear();
        self.group.extend_from_slice(name);
    }

    fn saw(&mut self, connection: u32, subscription: SubscriptionId, miss: Option<Miss>) {
        self.sightings.push(Sighting {
            connection,
            subscription,
            group: self.group.clone(),
            miss,
        });
    }

    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        match self.share() {
            Some(ticket) => {
                mesh.send_traced(to, ticket, copy.run, copy.shared, copy.routing, picks);
            }
            // Its way is told no further.
            None if self.delivers() => {
                mesh.send(to, copy.run, copy.shared, copy.routing, picks);
            }
            None => {}
        }
    }

    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        match self.share() {
            Some(ticket) => parcel.put_traced(ticket, copy.run, copy.shared, copy.routing, picks),
            None if self.delivers() => {
                parcel.put_messages(copy.run, copy.shared, copy.routing, picks);
            }
            None => {}
        }
    }

    fn conclude(&mut self, interest: &Interest, subject: &[u8]) {
        for seen in std::mem::take(&mut self.sightings) {
            let (mut account, pattern) = interest.wish_of(seen.subscription);
            let pattern = text(pattern);
            let mut is_shown = true;
            if let Some((importer, import)) = interest.import_of(seen.subscription) {
                account = importer;
                is_shown = import.allow_trace;
                self.entries.push(Entry::StreamExport {
                    account,
                    to: text(&import.subject_here(subject)),
                });
            }
            if is_shown {
                self.entries.push(Entry::Egress {
                    connection: seen.connection,
                    account,
                    pattern,
                    queue: text(&seen.group),
                    miss: seen.miss,
                });
            }
        }
    }

    fn journal(&mut self) -> Option<&mut Journal> {
        Some(self)
    }
}

impl Router {
    /// Begins to trace the message that is published next. [`Router::end_trace`] follows.
    pub fn begin_trace(&mut self, traced: Traced) {
        // With the least weight there is nothing to give to other shards.
        let has_room = self.traces.len() < TRACES_WAITING_MAX;
        self.counters.traces_cut_short += u64::from(!has_room);
        let weight = if has_room { WHOLE } else { 1 };
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
    pub fn note_refusal(&mut self, error: &ErrorReply<'_>) {
        if let Some(journal) = &self.journal
            && let Some(trace) = self.traces.get_mut(journal.ticket.number)
        {
            trace.error = error.text();
        }
    }

    /// Notes what mappings have made of the message being traced, if one is.
    pub fn note_mapping(&mut self, subject: &[u8]) {
        if let Some(journal) = &mut self.journal {
            journal.entries.push(Entry::Mapping { to: text(subject) });
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
            let report = Report {
                number: journal.ticket.number,
                weight: journal.ticket.weight,
                steps: &steps,
            };
            if journal.home == self.mesh.shard() {
                self.hear_report(server, report);
            } else {
                self.mesh.report(journal.home, report);
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
        let server = EventServer {
            name: &server.server_name,
            host: &server.host,
            id: &server.server_id,
            version: &server.version,
            jetstream: false,
            flags: 0,
            sequence: self.events * shards + u64::from(self.mesh.shard().0),
            time: &time,
        };
        let traced = &trace.traced;
        let steps = trace.all_steps(self.interest.accounts());
        let mut event = trace_event::render(&server, &traced.headers, traced.size, &steps);
        let mut headers = Vec::new();
        if let Some(encoding) = traced.encoding {
            let used;
            (event, used) = encoding.apply(event);
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

/// How a traced message goes on into another account.
pub(super) struct Crossing<'a> {
    /// It does, at all.
    pub(super) goes_on: bool,
    /// It is delivered to somebody who may respond.
    pub(super) is_asked: bool,
    /// Nobody further on must trace it in the name of its publisher.
    pub(super) is_traced: bool,
    /// The journal, when it is not for what happens there.
    set_aside: Option<&'a mut Journal>,
}

impl<'a> Journey<'a> {
    /// Notes that the message goes to another account, as `to`, and decides whether its trace goes on there.
    pub(super) fn cross(
        &mut self,
        account: AccountId,
        from: &[u8],
        to: Option<&[u8]>,
        allows_trace: bool,
    ) -> Crossing<'a> {
        let Some(journal) = self.journal.take() else {
            return Crossing {
                goes_on: true,
                is_asked: true,
                is_traced: false,
                set_aside: None,
            };
        };
        journal.entries.push(Entry::ServiceImport {
            account,
            from: text(from),
            to: text(to.unwrap_or_default()),
        });
        let delivers = !journal.ticket.only;
        let mut crossing = Crossing {
            goes_on: delivers || allows_trace,
            is_asked: delivers,
            is_traced: true,
            set_aside: None,
        };
        if allows_trace {
            self.journal = Some(journal);
        } else {
            crossing.set_aside = Some(journal);
        }
        crossing
    }

    /// What happens from here on is noted again.
    pub(super) fn come_back(&mut self, crossing: Crossing<'a>) {
        if crossing.set_aside.is_some() {
            self.journal = crossing.set_aside;
        }
    }
}

impl Crossing<'_> {
    /// The headers of the message there. nats-server names a subject that leads back for a while, and is gone with the
    /// message when no other server has it; this says the same.
    pub(super) fn headers<'h>(&self, block: &'h [u8]) -> Cow<'h, [u8]> {
        if self.is_traced {
            Cow::Owned(headers::with(block, DESTINATION, DISABLED.as_bytes()))
        } else {
            Cow::Borrowed(block)
        }
    }
}

impl Journal {
    fn new(home: ShardId, ticket: Ticket, at: Duration) -> Journal {
        Journal {
            home,
            ticket,
            at,
            group: Vec::new(),
            sightings: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// A share of what the message weighs here, for a copy; `None` when nothing can be shared any more.
    fn share(&mut self) -> Option<Ticket> {
        let weight = match self.ticket.weight {
            0 | 1 => return None,
            weight => (weight / SHARES).max(1),
        };
        self.ticket.weight -= weight;
        Some(Ticket {
            weight,
            ..self.ticket
        })
    }

    fn write(
        &self,
        accounts: &Accounts,
        connection: &dyn Fn(u32) -> Connection,
        steps: &mut Vec<u8>,
    ) {
        let ts = &*rfc3339(self.at);
        for entry in &self.entries {
            match entry {
                Entry::Mapping { to } => TraceStep::Mapping { ts, to }.write(steps),
                Entry::StreamExport { account, to } => {
                    let account = accounts.name(*account);
                    TraceStep::StreamExport { ts, account, to }.write(steps);
                }
                Entry::ServiceImport { account, from, to } => {
                    let account = accounts.name(*account);
                    let step = TraceStep::ServiceImport {
                        ts,
                        account,
                        from,
                        to,
                    };
                    step.write(steps);
                }
                Entry::Egress {
                    connection: slot,
                    account,
                    pattern,
                    queue,
                    miss,
                } => {
                    let is_elsewhere = *account != self.ticket.account;
                    let Connection { number, name } = connection(*slot);
                    let step = TraceStep::Egress {
                        ts,
                        kind: ConnectionKind::Client,
                        cid: number,
                        name: &name,
                        account: if is_elsewhere {
                            accounts.name(*account)
                        } else {
                            ""
                        },
                        pattern,
                        queue,
                        error: miss.map_or("", Miss::text),
                    };
                    step.write(steps);
                }
            }
        }
    }
}

impl Miss {
    fn text(self) -> &'static str {
        match self {
            Miss::NoEcho => "Not delivered because of no echo",
            Miss::Spent => "Not delivered because auto-unsubscribe exceeded",
            Miss::Closed => "Not delivered because client is closed",
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const CONTENT_ENCODING: &str = "Content-Encoding";
/// What a message weighs. Copies take a 64th of what is there, so that there is enough for all shards and for those who
/// hand it on.
const WHOLE: u32 = 1 << 31;
const SHARES: u32 = 64;
