//! The server's own connection to this shard ([`Client::reside`]). *Control path.*
//!
//! Invariants
//! - There is at most one, and whoever counts, lists or closes clients does not see it.
//! - What it has said and heard is in no figure, and what happens on it in no log.

use super::{Seat, Shard};
use crate::base::ids::{AccountId, ConnectionId};
use crate::base::log::Level;
use crate::router::{Counters, Traffic};
use crate::session::client::{Client, Turn};
use crate::session::close::CloseReason;

impl Shard {
    /// Takes the server's own connection in, if the server has a system account and no such connection yet.
    pub fn host(&mut self) -> Option<ConnectionId> {
        let account = self.settings.system?;
        if self.resident.is_some() {
            return None;
        }
        let id = self.open_slot();
        let mut turn = Turn {
            router: &mut self.router,
            settings: &self.settings,
            log: &mut self.mute,
            checks: &mut self.checks,
            changed_accounts: &mut self.changed_accounts,
            now: self.now,
        };
        let client = Client::reside(id, account, &mut turn);
        self.mute.take();
        self.seats.insert(Seat::Resident(Box::new(client)));
        self.resident = Some(id);
        Some(id)
    }

    /// It is no more: it could not keep up, or the other end has gone. Whoever hosts it may do so again.
    pub(super) fn forget_resident(&mut self, client: &Client, reason: CloseReason) {
        let sent = self.router.outboxes.traffic(client.id().slot);
        self.resident = None;
        self.residents_past.received.add(client.received());
        self.residents_past.sent.add(sent);
        let is_plain = matches!(
            reason,
            CloseReason::ServerShutdown | CloseReason::ClientClosed | CloseReason::ReadError
        );
        if !is_plain {
            let text = format!("The connection of the system services was closed: {reason}");
            self.log.add(Level::Warn, text);
        }
    }

    /// Whether a connection is the server's own.
    pub(super) fn is_resident(&self, slot: u32) -> bool {
        matches!(self.seats.get(slot), Some(Seat::Resident(_)))
    }

    /// How many subscriptions of `account` are its own.
    pub(super) fn resident_subscriptions(&self, account: AccountId) -> usize {
        let seat = self.resident.and_then(|id| self.seats.get(id.slot));
        match seat {
            Some(Seat::Resident(client)) if client.account() == account => {
                client.subscription_count()
            }
            _ => 0,
        }
    }

    /// What clients have said and heard.
    pub(super) fn counters_of_clients(&self) -> Counters {
        let Spoken {
            mut received,
            mut sent,
        } = self.residents_past;
        if let Some(id) = self.resident
            && let Some(Seat::Resident(client)) = self.seats.get(id.slot)
        {
            received.add(client.received());
            sent.add(self.router.outboxes.traffic(id.slot));
        }
        let mut counters = self.router.counters;
        leave_out(&mut counters.published, received);
        leave_out(&mut counters.delivered, sent);
        counters
    }
}

/// What the server's own connections of the past have said and heard. The counters of the shard keep it: they only grow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spoken {
    received: Traffic,
    sent: Traffic,
}

fn leave_out(all: &mut Traffic, part: Traffic) {
    all.messages = all.messages.saturating_sub(part.messages);
    all.bytes = all.bytes.saturating_sub(part.bytes);
}
