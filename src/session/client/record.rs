//! What the monitor may know of a client. *Control path.*

use super::Client;
use crate::auth::Name;
use crate::base::clock::Now;
use crate::interest::SubscriptionId;
use crate::router::Outboxes;
use crate::session::record::ConnectionRecord;
use std::time::Duration;

impl Client {
    /// A picture of the client and its outbox.
    pub fn record(&self, outboxes: &Outboxes) -> ConnectionRecord {
        ConnectionRecord {
            id: self.id,
            number: self.number,
            origin: self.origin.clone(),
            account: self.account(),
            user: self.user().into(),
            has_nkey: matches!(self.identity.name, Some(Name::Nkey(_))),
            name: self.options.name.as_str().into(),
            language: self.options.lang.as_str().into(),
            version: self.options.version.as_str().into(),
            started_at: self.started,
            active_at: self.active_at(outboxes),
            rtt: self.round_trip,
            pending_bytes: outboxes.pending(self.id.slot),
            received: self.received,
            sent: outboxes.traffic(self.id.slot),
            stalls: self.stalls,
            subscriptions: self.sids.len(),
            secured: self.secured.clone(),
        }
    }

    /// Who it is, or says it is, without what proves it (nats-server `getRawAuthUser`).
    pub fn user(&self) -> &str {
        if let Some(Name::User(name) | Name::Nkey(name)) = &self.identity.name {
            return name;
        }
        if !self.options.nkey.is_empty() {
            return &self.options.nkey;
        }
        match (self.options.user.as_str(), self.options.token.is_empty()) {
            ("", true) => "",
            ("", false) => "[REDACTED]",
            (user, _) => user,
        }
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    pub fn started_at(&self) -> Now {
        self.started
    }

    /// When anything but keeping the connection alive last happened on it.
    pub fn active_at(&self, outboxes: &Outboxes) -> Now {
        outboxes
            .delivered_at(self.id.slot)
            .map_or(self.active_at, |at| at.max(self.active_at))
    }

    pub fn rtt(&self) -> Duration {
        self.round_trip
    }

    /// Its subscriptions, in no order.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionId> {
        self.sids.iter().copied()
    }
}
