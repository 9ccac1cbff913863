//! Messages that go on into another account: requests through service imports, and their responses. *Off the hot path*: a
//! message comes here only when its answer has [`Hop`]s.
//!
//! ```text
//! importing account       exporting account
//!   PUB ask inbox  ──────►  MSG help _R_.<shard>.<number>     request: published there under another name and reply
//!   MSG inbox      ◄──────  PUB _R_.<shard>.<number>          response: heard by the requester's shard, published here
//! ```
//!
//! Invariants
//! - The publisher's shard takes a request all the way, through every account of a chain; other shards deliver only.
//! - A response is published by the requester's shard, to which its subject leads from anywhere. When the reply is wanted
//!   on yet another shard it goes over a second lane: the one case in which a shard passes on what came over a lane. When
//!   too much waits on full lanes such a response is dropped and counted ([`RELAYED_PARCELS_MAX`]).
//! - The shard wants its response subjects in an account before the first request leaves for it: the announcement is
//!   on every lane before any message, so that no responder can be quicker.
//! - Nobody gets a message twice through one export: a chain that comes to it again ends there.

use super::latency::{self, Failure, Outcome};
use super::message_trace::{Journal, Unwatched};
use super::replies::Awaited;
use super::{Publisher, Router, hops_of};
use crate::account::{ExportId, ServiceImport};
use crate::base::clock::Now;
use crate::base::ids::{AccountId, ConnectionId, ShardId};
use crate::base::limits::{IMPORT_CHAIN_MAX, RELAYED_PARCELS_MAX, SHARED_TAIL_BYTES};
use crate::config::account::ResponseKind;
use crate::interest::{Hop, Layer, Memo, Route, Scope, SubscriptionId, Wants};
use crate::mesh::{Carried, Sender};
use crate::protocol::client_info::ClientInfo;
use crate::protocol::headers;
use crate::protocol::message::{Message, Run, write_tail};
use crate::subject::{Mapped, Pattern};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// Tells of the client that publishes: all of it, or as much as everybody may know.
pub type Describe<'a> = &'a dyn Fn(Detail) -> ClientInfo;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Full,
    /// Its account and its distance.
    Little,
}

/// A message and where it has been.
pub(super) struct Journey<'a> {
    sender: Sender,
    echo: bool,
    describe: Describe<'a>,
    /// The exports it has come through.
    passed: Vec<ExportId>,
    /// What services are told of the requester, since the first was.
    told: Option<ClientInfo>,
    share: bool,
    /// What happens to it is noted there.
    pub(super) journal: Option<&'a mut Journal>,
}

impl<'a> Journey<'a> {
    pub(super) fn new(sender: Sender, echo: bool, describe: Describe<'a>) -> Journey<'a> {
        Journey {
            sender,
            echo,
            describe,
            passed: Vec::new(),
            told: None,
            share: false,
            journal: None,
        }
    }

    /// Of a message that the server says itself.
    pub(super) fn of_the_server(shard: ShardId, describe: Describe<'a>) -> Journey<'a> {
        // No connection has this name: nobody is paused for it.
        let connection = ConnectionId {
            slot: u32::MAX,
            reuse: u32::MAX,
        };
        let shard = shard.0;
        Journey::new(Sender { shard, connection }, true, describe)
    }
}

/// Carries the requester to services.
const REQUEST_INFO: &str = "Nats-Request-Info";
/// A subject longer than this does not fit a lane.
const SUBJECT_MAX: usize = 60_000;

impl Router {
    /// Routes messages for which [`Router::publish`] said that there are ways out of the account. Says whether anybody got
    /// any.
    #[cold]
    pub fn publish_abroad(
        &mut self,
        publisher: Publisher<'_>,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        describe: Describe<'_>,
    ) -> bool {
        let mut reached_any = false;
        for one in run.singly() {
            let mut journey = Journey::new(publisher.sender, publisher.echo, describe);
            let scope = Scope::published(publisher.account);
            let reached = self.travel(scope, &one.first, shared, &mut journey);
            self.counters.dropped_no_interest += u64::from(!reached);
            reached_any |= reached;
        }
        reached_any
    }

    /// A response has come over a lane; of who sent it the account is known.
    #[cold]
    pub(super) fn respond_from_afar(
        &mut self,
        carried: &Carried<'_>,
        journal: Option<&mut Journal>,
    ) {
        let account = carried.scope.account();
        let name = self.interest.accounts().name(account).to_owned();
        let describe = |_| ClientInfo {
            account: name.clone(),
            ..ClientInfo::default()
        };
        let mut journey = Journey::new(carried.publisher, carried.echo, &describe);
        journey.journal = journal;
        self.hear_response(account, &carried.run.first, carried.shared, &mut journey);
    }

    /// Passes a response on, or counts why not.
    fn hear_response(
        &mut self,
        account: AccountId,
        message: &Message<'_>,
        shared: Option<&Bytes>,
        journey: &mut Journey<'_>,
    ) {
        let congested = self.counters.dropped_responses_congested;
        let reached = self.respond(account, message, shared, journey);
        if !reached && self.counters.dropped_responses_congested == congested {
            self.counters.dropped_interest_gone += 1;
        }
    }

    /// Tells the shards that a response to a measured request goes to who publishes it.
    #[cold]
    pub fn introduce_responder(
        &mut self,
        account: AccountId,
        subject: &[u8],
        describe: Describe<'_>,
    ) {
        let scope = Scope::published(account);
        let answer = self.interest.answer(scope, subject, &mut Memo::default());
        let peers = match answer.map(|(answer, _)| answer.route()) {
            Some(Route::Peers(peers)) => *peers,
            Some(Route::Many(fanout)) => fanout.peers,
            Some(Route::Nobody | Route::One { .. }) | None => return,
        };
        let info = serde_json::to_vec(&describe(Detail::Full)).expect("plain data turns into JSON");
        for peer in peers.iter() {
            self.mesh.introduce(peer, account, subject, &info);
        }
    }

    /// Another shard says who publishes the response that comes next.
    pub fn note_responder(&mut self, account: AccountId, subject: &[u8], info: &[u8]) {
        let key = self.replies.find(account, subject);
        let measured = key.and_then(|key| self.replies.get_mut(key)?.measured.as_mut());
        if let Some(measured) = measured {
            measured.responder = serde_json::from_slice(info).ok();
        }
    }

    /// Publishes a message where it is now, and takes it on to where it is wanted from there.
    pub(super) fn travel(
        &mut self,
        scope: Scope,
        message: &Message<'_>,
        shared: Option<&Bytes>,
        journey: &mut Journey<'_>,
    ) -> bool {
        let mut memo = Memo::default();
        let hops = match self.interest.answer(scope, message.subject, &mut memo) {
            None => return false,
            Some((answer, _)) => hops_of(answer).map(<[Hop]>::to_vec),
        };
        let publisher = Publisher {
            sender: journey.sender,
            account: scope.account(),
            // Who has sent it has no subscriptions in another account; and it may be a connection of another shard.
            echo: journey.echo || scope.is_served(),
            memo: &mut memo,
        };
        let mut reached = match &mut journey.journal {
            None => self.publish_here(scope, publisher, *message, shared, Unwatched),
            Some(journal) => self.publish_here(scope, publisher, *message, shared, &mut **journal),
        };
        for hop in hops.iter().flatten() {
            reached |= match hop {
                Hop::Request { import, subject } => {
                    self.request(scope.account(), *import, subject, message, journey)
                }
                Hop::Response => {
                    self.hear_response(scope.account(), message, shared, journey);
                    // As in nats-server, a response has reached somebody, wanted or not.
                    true
                }
            };
        }
        reached
    }

    /// Takes a request through a service import of `importer`, as `subject` of the exporting account.
    fn request(
        &mut self,
        importer: AccountId,
        import: usize,
        subject: &[u8],
        message: &Message<'_>,
        journey: &mut Journey<'_>,
    ) -> bool {
        let accounts = Arc::clone(self.interest.accounts());
        let Some(import) = accounts.service(importer, import) else {
            return false;
        };
        if journey.passed.contains(&import.export) || journey.passed.len() >= IMPORT_CHAIN_MAX {
            return false;
        }
        let awaited = self.await_response(importer, import, message, journey);
        let reply = awaited
            .map(|key| self.replies.subject(key))
            .unwrap_or_default();
        let before = (journey.told.clone(), journey.share);
        let told = self.introduce(importer, import, journey);
        let subject = self.mapped(import.from, subject);
        let allows_trace = accounts
            .export(import.export)
            .is_some_and(|export| export.allow_trace);
        let crossing = journey.cross(
            import.from,
            message.subject,
            subject.as_deref(),
            allows_trace,
        );
        let headers = headers::with(message.headers(), REQUEST_INFO, told.as_bytes());
        let headers = crossing.headers(&headers);
        let mut tail = Vec::with_capacity(reply.len() + headers.len() + message.tail.len());
        let line = write_tail(&mut tail, &reply, &headers, message.payload());
        let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let tail = Bytes::from(tail);
        let shared = (tail.len() >= SHARED_TAIL_BYTES).then_some(&tail);
        let reached = subject.filter(|_| crossing.goes_on).is_some_and(|subject| {
            let message = Message {
                subject: &subject,
                tail: &tail,
                line_len: narrow(line.len()),
                reply_len: narrow(reply.len()),
                header_len: Some(narrow(headers.len())),
            };
            journey.passed.push(import.export);
            let reached = self.travel(Scope::served(import.from), &message, shared, journey);
            journey.passed.pop();
            reached
        });
        (journey.told, journey.share) = before;
        let is_asked = crossing.is_asked;
        journey.come_back(crossing);
        if (!reached || !is_asked)
            && let Some(awaited) = self.replies.take(import.from, &reply)
            && !reached
        {
            self.report_failure(&awaited, Failure::Unavailable);
        }
        reached
    }

    /// A message to a response subject of this shard: gives it to the one who waits for it, if it does.
    fn respond(
        &mut self,
        exporter: AccountId,
        message: &Message<'_>,
        shared: Option<&Bytes>,
        journey: &mut Journey<'_>,
    ) -> bool {
        let Some(key) = self.replies.find(exporter, message.subject) else {
            return false;
        };
        let Some(awaited) = self.replies.get_mut(key) else {
            return false;
        };
        let (importer, kind, export) = (awaited.importer, awaited.kind, awaited.export);
        if journey.passed.contains(&export) {
            return false;
        }
        let (reply, threshold) = (awaited.reply.clone(), awaited.threshold);
        let measured = awaited.measured.take();
        // A response that wants an answer itself: the requester answers in the same way.
        let answer = (message.reply_len > 0).then(|| {
            self.wait_for(Awaited {
                exporter: importer,
                importer: exporter,
                reply: message.reply().into(),
                export,
                kind,
                threshold,
                measured: None,
            })
        });
        if let Some(mut measured) = measured {
            let introduced = measured.responder.take();
            let responder = introduced.unwrap_or_else(|| (journey.describe)(Detail::Full));
            self.report(exporter, &measured, &Outcome::Answered(Box::new(responder)));
        }
        let to = self
            .may_relay()
            .then(|| self.mapped(importer, &reply))
            .flatten();
        let crossing = journey.cross(importer, message.subject, to.as_deref(), false);
        let mut tail = Vec::new();
        let (mut moved, mut shared) = (*message, shared);
        let answer = answer.map(|key| self.replies.subject(key));
        if answer.is_some() || crossing.is_traced {
            let subject = answer.as_deref().unwrap_or_default();
            let headers = crossing.headers(message.headers());
            let line = write_tail(&mut tail, subject, &headers, message.payload());
            let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            (moved.line_len, moved.reply_len) = (narrow(line.len()), narrow(subject.len()));
            moved.header_len = (!headers.is_empty()).then(|| narrow(headers.len()));
            moved.tail = &tail;
            shared = None;
        }
        let reached = to.filter(|_| crossing.goes_on).is_some_and(|subject| {
            let moved = Message {
                subject: &subject,
                ..moved
            };
            journey.passed.push(export);
            let reached = self.travel(Scope::served(importer), &moved, shared, journey);
            journey.passed.pop();
            reached
        });
        journey.come_back(crossing);
        let is_last = kind == ResponseKind::Singleton || message.size() == 0;
        // By its subject: what has happened meanwhile may have made its slot another's.
        if !reached || is_last {
            self.replies.take(exporter, message.subject);
        } else if let Some(key) = self.replies.find(exporter, message.subject) {
            self.replies.refresh(key, self.now);
        }
        if !reached && let Some(subject) = answer {
            self.replies.take(importer, &subject);
        }
        reached
    }

    /// Gives up the responses whose time is over.
    pub fn expire_responses(&mut self) {
        while let Some(awaited) = self.replies.expired(self.now) {
            self.report_failure(&awaited, Failure::Timeout);
        }
    }

    /// When [`Router::expire_responses`] has something to do.
    pub fn responses_deadline(&self) -> Option<Now> {
        self.replies.deadline()
    }

    /// Responses that requests of this shard wait for.
    pub fn responses_awaited(&self) -> usize {
        self.replies.len()
    }

    /// The responses that a subscription might be for.
    pub(super) fn awaited_by(&self, id: SubscriptionId) -> Vec<u32> {
        if self.replies.len() == 0 {
            return Vec::new();
        }
        let (account, pattern) = self.interest.wish_of(id);
        Pattern::new(pattern).map_or_else(Vec::new, |pattern| self.replies.of(account, pattern))
    }

    /// Does not wait any longer for those responses that nobody would get.
    pub(super) fn forget_unwanted(&mut self, awaited: Vec<u32>) {
        for key in awaited {
            let Some((importer, reply)) = self.replies.get(key).map(Awaited::home) else {
                continue;
            };
            let reply = reply.to_vec();
            let mut memo = Memo::default();
            let answer = self
                .interest
                .answer(Scope::published(importer), &reply, &mut memo);
            let is_wanted =
                answer.is_some_and(|(answer, _)| !matches!(answer.route(), Route::Nobody));
            if !is_wanted && let Some(awaited) = self.replies.remove(key) {
                self.report_failure(&awaited, Failure::InterestLost);
            }
        }
    }

    /// Whether a message that came over a lane may go over another one.
    fn may_relay(&mut self) -> bool {
        let may = self.mesh.waiting() <= RELAYED_PARCELS_MAX;
        self.counters.dropped_responses_congested += u64::from(!may);
        may
    }

    /// What the mappings of an account make of a subject; `None` when the message is to be lost.
    fn mapped<'s>(&mut self, account: AccountId, subject: &'s [u8]) -> Option<Cow<'s, [u8]>> {
        let accounts = Arc::clone(self.interest.accounts());
        let mapping = accounts
            .get(account)
            .and_then(|account| account.mappings.find(subject));
        let subject =
            match mapping.map(|mapping| mapping.map(subject, &mut |below| self.rng.below(below))) {
                None => Cow::Borrowed(subject),
                Some(Mapped::To(mapped)) => Cow::Owned(mapped),
                Some(Mapped::Nowhere) => return None,
            };
        (subject.len() <= SUBJECT_MAX).then_some(subject)
    }

    /// Begins to wait for what will be said to a request, if it wants an answer.
    fn await_response(
        &mut self,
        importer: AccountId,
        import: &ServiceImport,
        message: &Message<'_>,
        journey: &Journey<'_>,
    ) -> Option<u32> {
        let accounts = Arc::clone(self.interest.accounts());
        let export = accounts.export(import.export)?;
        let requester = (journey.describe, import.share);
        let measured = latency::begin(
            export,
            requester,
            message.headers(),
            &mut self.rng,
            self.now,
        );
        if message.reply_len == 0 {
            if let Some(measured) = measured {
                self.report(
                    import.from,
                    &measured,
                    &Outcome::Failed(Failure::BadRequest),
                );
            }
            return None;
        }
        let measured = measured.filter(|_| export.responses == ResponseKind::Singleton);
        Some(self.wait_for(Awaited {
            exporter: import.from,
            importer,
            reply: message.reply().into(),
            export: import.export,
            kind: export.responses,
            threshold: export.response_threshold,
            measured: measured.map(Box::new),
        }))
    }

    fn wait_for(&mut self, awaited: Awaited) -> u32 {
        self.expect_responses_in(awaited.exporter);
        let (key, given_up) = self.replies.wait_for(awaited, self.now);
        if let Some(given_up) = given_up {
            self.counters.responses_given_up += 1;
            self.report_failure(&given_up, Failure::Timeout);
        }
        key
    }

    /// Lets the other shards know, once, that responses of this account belong here.
    fn expect_responses_in(&mut self, exporter: AccountId) {
        if !self.answering.insert(exporter) {
            return;
        }
        let prefix = self.replies.prefix().to_vec();
        self.interest.expect_responses(&prefix);
        self.mesh.announce(&Wants {
            layer: Layer::own(exporter),
            pattern: [&prefix, &b">"[..]].concat().into(),
            queue: Box::default(),
            weight: 1,
        });
    }

    /// What a service is told of who asks it, as JSON.
    fn introduce(
        &self,
        importer: AccountId,
        import: &ServiceImport,
        journey: &mut Journey<'_>,
    ) -> String {
        let accounts = self.interest.accounts();
        let for_system = import.from == accounts.system();
        let (share, is_first) = match journey.passed.is_empty() {
            true => (import.share, true),
            false => (journey.share, false),
        };
        if is_first {
            let detail = if share { Detail::Full } else { Detail::Little };
            journey.told = Some((journey.describe)(detail));
        }
        let told = journey.told.get_or_insert_default();
        if !is_first {
            // A further step is taken in the name of the one who took the first.
            accounts.name(importer).clone_into(&mut told.service);
        }
        if !share && (for_system || !is_first && import.share) {
            told.server = (journey.describe)(Detail::Full).server;
        }
        journey.share = import.share;
        serde_json::to_string(told).expect("plain data turns into JSON")
    }
}

#[cfg(test)]
mod tests;
