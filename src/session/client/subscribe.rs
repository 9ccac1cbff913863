//! What a client subscribes to, by the identifiers that it gives.

use super::{Client, Turn};
use crate::interest::{SubscriptionId, Wish};
use crate::protocol::reply::{self, ErrorReply, quoted};
use crate::router::Router;
use crate::subject::{self, Pattern};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// The queue group of the server's own subscriptions.
const SYSTEM_QUEUE: &[u8] = b"_sys_";

impl Client {
    pub(super) fn subscribe(
        &mut self,
        subject: &[u8],
        queue: &[u8],
        sid: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let sid_text = String::from_utf8_lossy(sid);
        let granted = self.granted.as_ref().map(|granted| granted.permissions());
        if queue == SYSTEM_QUEUE
            || granted.is_some_and(|permissions| !permissions.may_subscribe(subject, queue))
        {
            return self.refuse_subscription(subject, queue, &sid_text, turn);
        }
        let tokens = subject::tokens(subject).count();
        if self
            .place
            .subscription_tokens_max
            .is_some_and(|max| tokens > max)
        {
            let text = format!(
                "Subscription Violation Too Many Tokens - Subject {}, SID {sid_text}",
                quoted(subject)
            );
            self.complain_seldom(&text, turn);
            return self.say_error(&ErrorReply::SubscriptionTooDeep(subject), turn);
        }
        if self
            .place
            .subscriptions_max
            .is_some_and(|max| self.sids.len() >= max)
        {
            self.complain_for_all("maximum subscriptions exceeded", turn);
            return self.say_error(&ErrorReply::SubscriptionsExceeded, turn);
        }
        if self.find_sid(sid, turn.router).is_none() {
            let Some(pattern) = Pattern::new(subject) else {
                return self.say_error(&ErrorReply::InvalidSubject, turn);
            };
            let id = turn.router.subscribe(&Wish {
                account: self.place.account,
                connection: self.id.slot,
                pattern,
                queue,
                sid,
            });
            let interest = turn.router.interest();
            let rehash = |id: &u32| sid_hash(interest.subscription(*id).sid.as_slice());
            self.sids.insert_unique(sid_hash(sid), id, rehash);
        }
        if self.options.verbose {
            self.say(reply::OK, turn);
        }
    }

    #[cold]
    fn refuse_subscription(&self, subject: &[u8], queue: &[u8], sid: &str, turn: &mut Turn<'_>) {
        self.say_error(&ErrorReply::SubscriptionRefused { subject, queue }, turn);
        let queue = match queue {
            b"" => String::new(),
            queue => format!(", Queue: {}", quoted(queue)),
        };
        let subject = quoted(subject);
        let text = format!("Subscription Violation - Subject {subject}{queue}, SID {sid}");
        self.complain_seldom(&text, turn);
    }

    pub(super) fn unsubscribe(&mut self, sid: &[u8], max: Option<u64>, turn: &mut Turn<'_>) {
        if self.options.verbose {
            self.say(reply::OK, turn);
        }
        let Some(id) = self.find_sid(sid, turn.router) else {
            return;
        };
        let delivered = turn.router.interest().delivered(id);
        match max {
            Some(max) if max > delivered => turn.router.limit_deliveries(id, max),
            _ => self.end_subscription(id, turn),
        }
    }

    /// Forgets a subscription and ends it.
    pub fn end_subscription(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let sid = turn.router.interest().subscription(id).sid.clone();
        self.trace_end(sid.as_slice(), turn);
        let hash = sid_hash(sid.as_slice());
        if let Ok(found) = self.sids.find_entry(hash, |other| *other == id) {
            found.remove();
        }
        turn.router.unsubscribe(id);
    }

    pub(super) fn end_all_subscriptions(&mut self, turn: &mut Turn<'_>) {
        for id in std::mem::take(&mut self.sids) {
            if turn.log.trace {
                let sid = turn.router.interest().subscription(id).sid.clone();
                self.trace_end(sid.as_slice(), turn);
            }
            turn.router.unsubscribe(id);
        }
    }

    pub(super) fn find_sid(&self, sid: &[u8], router: &Router) -> Option<SubscriptionId> {
        let is_it = |id: &u32| router.interest().subscription(*id).sid.as_slice() == sid;
        self.sids.find(sid_hash(sid), is_it).copied()
    }
}

fn sid_hash(sid: &[u8]) -> u64 {
    // A client can only collide with itself here.
    FixedState::with_seed(0).hash_one(sid)
}
