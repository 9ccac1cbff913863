//! The account that a client is in: its limits, its mappings, and the services it imports.
//!
//! Invariant: a client is counted in at most one account, from [`Client::enter`] until [`Client::leave`].

use super::{Client, Handled, Turn};
use crate::account::Account;
use crate::auth::Name;
use crate::base::ids::AccountId;
use crate::base::log::Level;
use crate::interest::Memo;
use crate::protocol::client_info::{self, ClientInfo};
use crate::protocol::message::{Message, Run};
use crate::router::{Detail, Publisher, Sender};
use crate::session::close::CloseReason;
use crate::session::settings::Settings;
use crate::subject::Mapped;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A round trip that was too short to be measured is said to have taken this (nats-server `computeRTT`).
pub(super) const ROUND_TRIP_MIN: Duration = Duration::from_nanos(1);

/// What a client may do in the account it is in.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) account: AccountId,
    /// Whether it is counted there.
    is_counted: bool,
    pub(super) has_mappings: bool,
    /// Whether it wants to hear of messages with a trace context.
    pub(super) traces_contexts: bool,
    /// Bytes of headers and payload together.
    pub(super) payload_max: usize,
    /// Bytes of arguments on a control line.
    pub(super) control_line_max: usize,
    /// `None` is unlimited.
    pub(super) subscriptions_max: Option<usize>,
    /// Tokens of one subscription's subject; `None` is unlimited.
    pub(super) subscription_tokens_max: Option<usize>,
}

impl Place {
    /// Before a client has said who it is.
    pub(super) fn of_nobody(settings: &Settings) -> Place {
        Place::in_account(AccountId::GLOBAL, settings)
    }

    pub(super) fn in_account(account: AccountId, settings: &Settings) -> Place {
        let of = settings.accounts.get(account);
        let limits = of.map(|account| account.limits).unwrap_or_default();
        let lower = |limit: Option<u32>, of_server: usize| {
            limit.map_or(of_server, |limit| of_server.min(limit as usize))
        };
        let of_account = limits.subscriptions_max.map(|max| max as usize);
        let of_both = [of_account, settings.subscriptions_max];
        Place {
            account,
            is_counted: false,
            has_mappings: of.is_some_and(|account| !account.mappings.is_empty()),
            traces_contexts: of.is_some_and(|account| account.message_trace.is_some()),
            payload_max: lower(limits.payload_max, settings.payload_max),
            control_line_max: settings.control_line_max,
            subscriptions_max: of_both.into_iter().flatten().min(),
            subscription_tokens_max: settings.subscription_tokens_max,
        }
    }
}

impl Client {
    /// Moves the client to an account. Subscriptions that it has do not move: it may have some only where it is already.
    pub(super) fn enter(&mut self, account: AccountId, turn: &mut Turn<'_>) -> Handled {
        assert!(
            self.sids.is_empty() || account == self.place.account,
            "subscriptions stay in their account"
        );
        self.leave(turn);
        self.place = Place::in_account(account, turn.settings);
        let Some(entered) = turn.settings.accounts.get(account) else {
            return Ok(());
        };
        if !entered.admit() {
            self.complain_for_all("maximum account active connections exceeded", turn);
            return Err(CloseReason::MaximumAccountConnectionsExceeded);
        }
        self.place.is_counted = true;
        self.tell_account_changed(account, turn);
        Ok(())
    }

    /// The account, or the server, has other limits and mappings now.
    pub fn renew_place(&mut self, turn: &mut Turn<'_>) -> Handled {
        let is_counted = self.place.is_counted;
        self.place = Place::in_account(self.place.account, turn.settings);
        self.place.is_counted = is_counted;
        let account = turn.settings.accounts.get(self.place.account);
        if is_counted && account.is_some_and(Account::give_way) {
            self.place.is_counted = false;
            self.complain_for_all("maximum account active connections exceeded", turn);
            return Err(CloseReason::MaximumAccountConnectionsExceeded);
        }
        if self
            .place
            .subscriptions_max
            .is_some_and(|max| self.sids.len() > max)
        {
            let text = "maximum subscriptions exceeded";
            turn.log.add(Level::Error, self.labelled(text));
            return Err(CloseReason::MaximumSubscriptionsExceeded);
        }
        Ok(())
    }

    /// It is no longer counted where it was.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>) {
        if std::mem::take(&mut self.place.is_counted)
            && let Some(left) = turn.settings.accounts.get(self.place.account)
        {
            left.dismiss();
            self.tell_account_changed(self.place.account, turn);
        }
    }

    /// The account it is in.
    pub fn account(&self) -> AccountId {
        self.place.account
    }

    /// Publishes to what the account's mappings make of the subject.
    #[cold]
    pub(super) fn publish_mapped<const TRACED: bool>(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) {
        let accounts = Arc::clone(&turn.settings.accounts);
        let account = accounts.get(self.place.account);
        let Some(mapping) = account.and_then(|account| account.mappings.find(run.first.subject))
        else {
            return self.publish_unmapped::<TRACED>(run, shared, turn);
        };
        let mut map = |run: &Run<'_>| {
            let subject = match mapping.map(run.first.subject, &mut |below| turn.router.draw(below))
            {
                Mapped::To(subject) => subject,
                // nats-server publishes it to no subject at all, which nobody can want.
                Mapped::Nowhere => Vec::new(),
            };
            self.trace_mapping(run.first.subject, &subject, turn);
            turn.router.note_mapping(&subject);
            let first = Message {
                subject: &subject,
                ..run.first
            };
            self.publish_unmapped::<TRACED>(&run.with_first(first), shared, turn);
        };
        if mapping.depends_on_chance() {
            run.singly().for_each(|one| map(&one));
        } else {
            map(run);
        }
    }

    /// Takes a message through the service imports of the account. Says whether anybody got it.
    #[cold]
    pub(super) fn publish_abroad(
        &mut self,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut memo = self.memo;
        let publisher = self.publisher(&mut memo, turn);
        let settings = turn.settings;
        let describe = |detail| self.describe(detail, settings);
        turn.router
            .publish_abroad(publisher, run, shared, &describe)
    }

    /// What the router must know of it.
    pub(super) fn publisher<'m>(&self, memo: &'m mut Memo, turn: &Turn<'_>) -> Publisher<'m> {
        Publisher {
            sender: Sender {
                shard: turn.router.mesh.shard().0,
                connection: self.id,
            },
            account: self.place.account,
            echo: self.options.echo,
            memo,
        }
    }

    /// It answers a request whose answer is measured, perhaps on another shard.
    #[cold]
    pub(super) fn introduce_as_responder(&self, subject: &[u8], turn: &mut Turn<'_>) {
        let settings = turn.settings;
        let describe = |detail| self.describe(detail, settings);
        let account = self.place.account;
        turn.router.introduce_responder(account, subject, &describe);
    }

    /// What others may know of the client.
    pub(super) fn describe(&self, detail: Detail, settings: &Settings) -> ClientInfo {
        let nanos = self.round_trip.as_nanos();
        let little = ClientInfo {
            account: settings.accounts.name(self.place.account).to_owned(),
            round_trip_nanos: u64::try_from(nanos).unwrap_or(u64::MAX),
            ..ClientInfo::default()
        };
        if detail == Detail::Little {
            return little;
        }
        let options = &self.options;
        let issuer_key = match &self.identity.name {
            Some(Name::Nkey(_)) => little.account.clone(),
            _ => String::new(),
        };
        ClientInfo {
            start: client_info::rfc3339(settings.wall.at(self.started)),
            host: self.origin.host(),
            id: self.number.0,
            user: self.user().to_owned(),
            name: options.name.clone(),
            lang: options.lang.clone(),
            version: options.version.clone(),
            server: settings.info.server_name.clone(),
            issuer_key,
            kind: "Client".to_owned(),
            client_type: "nats".to_owned(),
            ..little
        }
    }

    /// The answer to a ping: the round trip is known again.
    pub(super) fn hear_pong(&mut self, turn: &Turn<'_>) {
        // One that was not asked for measures nothing.
        let was_asked = std::mem::take(&mut self.pings_out) > 0;
        if let Some(pinged_at) = self.pinged_at.filter(|_| was_asked) {
            self.round_trip = turn.now.since(pinged_at).max(ROUND_TRIP_MIN);
        }
    }
}
