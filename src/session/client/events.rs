//! What the system account is told of a client: that it has come, gone, or was not let in; and how many an account has.
//!
//! Invariants
//! - Nothing is made that nobody would hear: a storm of connections costs one look at a remembered answer each.
//! - The shard says it itself, so that what happens to one client is told in the order in which it happens.
//! - Secrets are not part of it.

use super::{Client, Turn};
use crate::base::ids::AccountId;
use crate::protocol::client_info::rfc3339;
use crate::protocol::event::{Amount, ClientEvent, EventKind, EventServer, Farewell, Heading};
use crate::router::{Detail, Traffic};
use crate::session::close::CloseReason;

/// In the account that the client is in, for whoever looks after that one.
const REFUSED_IN_ACCOUNT: &str = "$SYS.ACCOUNT.CLIENT.AUTH.ERR";

impl Client {
    /// It has been let in.
    pub(super) fn tell_connected(&self, turn: &mut Turn<'_>) {
        let account = turn.settings.accounts.name(self.place.account);
        let subject = format!("$SYS.ACCOUNT.{account}.CONNECT");
        self.tell_system(&subject, None, turn);
    }

    /// It has gone, or has never been let in.
    pub(super) fn tell_disconnected(&self, reason: CloseReason, turn: &mut Turn<'_>) {
        let account = turn.settings.accounts.name(self.place.account);
        let subject = format!("$SYS.ACCOUNT.{account}.DISCONNECT");
        self.tell_system(&subject, Some(reason), turn);
    }

    /// It is not let in.
    pub(super) fn tell_refused(&self, reason: CloseReason, turn: &mut Turn<'_>) {
        let server = &turn.settings.info.server_id;
        let subject = format!("$SYS.SERVER.{server}.CLIENT.AUTH.ERR");
        self.tell_system(&subject, Some(reason), turn);
    }

    /// It has said who it is, and that is not true.
    pub(super) fn tell_refused_in_account(&self, reason: CloseReason, turn: &mut Turn<'_>) {
        if turn.settings.system.is_some() {
            self.tell(self.place.account, REFUSED_IN_ACCOUNT, Some(reason), turn);
        }
    }

    fn tell_system(&self, subject: &str, farewell: Option<CloseReason>, turn: &mut Turn<'_>) {
        if let Some(system) = turn.settings.system {
            self.tell(system, subject, farewell, turn);
        }
    }

    fn tell(
        &self,
        account: AccountId,
        subject: &str,
        farewell: Option<CloseReason>,
        turn: &mut Turn<'_>,
    ) {
        if self.is_resident() || !turn.router.is_wanted(account, subject.as_bytes()) {
            return;
        }
        let event = self.event(farewell, turn);
        turn.router.say(account, subject.as_bytes(), b"", &event);
    }

    fn event(&self, farewell: Option<CloseReason>, turn: &mut Turn<'_>) -> Vec<u8> {
        let settings = turn.settings;
        let time = rfc3339(settings.wall.at(turn.now));
        let mut client = self.describe(Detail::Full, settings);
        client.server.clear();
        client.name_tag.clone_from(&client.account);
        if farewell.is_some() {
            client.stop.clone_from(&time);
        } else {
            client.round_trip_nanos = 0;
        }
        let reason = farewell.map(|reason| reason.to_string());
        let sent = turn.router.outboxes.traffic(self.id.slot);
        let id = turn.router.event_id();
        let event = ClientEvent {
            heading: Heading {
                kind: match farewell {
                    None => EventKind::Connect,
                    Some(_) => EventKind::Disconnect,
                },
                id: &id,
                timestamp: &time,
            },
            server: EventServer::new(&settings.info, settings.events.next_number(), &time),
            client: &client,
            farewell: reason.as_deref().map(|reason| Farewell {
                sent: amount(self.received),
                received: amount(sent),
                reason,
            }),
        };
        event.to_json()
    }

    /// The account has one client more or less. Nobody counts those of `$G`, as in nats-server.
    pub(super) fn tell_account_changed(&self, account: AccountId, turn: &mut Turn<'_>) {
        let Some(system) = turn.settings.system else {
            return;
        };
        if account == AccountId::GLOBAL || self.is_resident() {
            return;
        }
        let name = turn.settings.accounts.name(account);
        let subjects = [
            format!("$SYS.ACCOUNT.{name}.SERVER.CONNS"),
            format!("$SYS.SERVER.ACCOUNT.{name}.CONNS"),
        ];
        let mut subjects = subjects.iter();
        if subjects.any(|subject| turn.router.is_wanted(system, subject.as_bytes())) {
            turn.changed_accounts.push(account);
        }
    }
}

fn amount(traffic: Traffic) -> Amount {
    Amount {
        messages: traffic.messages,
        bytes: traffic.bytes,
    }
}
