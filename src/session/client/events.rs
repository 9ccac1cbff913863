//! What the system account is told of a client: that it has come, gone, or was not let in; and how many an account has.
//!
//! Invariants
//! - Nothing is made that nobody would hear: a storm of connections costs one look at a remembered answer each.
//! - The shard says it itself, so that what happens to one client is told in the order in which it happens.
//! - Secrets are not part of it.
//! - Of a client that did not keep up the event also says what was too much, which nats-server's does not.

use super::{Client, Turn};
use crate::base::ids::AccountId;
use crate::protocol::client_info::rfc3339;
use crate::protocol::event::{Amount, ClientEvent, EventKind, EventServer, Farewell, Heading};
use crate::router::{Detail, Traffic};
use crate::session::close::CloseReason;
use crate::session::slow_consumer::SlowConsumer;

/// In the account that the client is in, for whoever looks after that one.
const REFUSED_IN_ACCOUNT: &str = "$SYS.ACCOUNT.CLIENT.AUTH.ERR";

/// Why a client goes, or does not come in.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    pub reason: CloseReason,
    /// Of a client that did not keep up: what was too much for it.
    pub slow: Option<&'a SlowConsumer>,
}

impl From<CloseReason> for Ending<'_> {
    fn from(reason: CloseReason) -> Self {
        Ending { reason, slow: None }
    }
}

impl Client {
    /// It has been let in.
    pub(super) fn tell_connected(&self, turn: &mut Turn<'_>) {
        let account = turn.settings.accounts.name(self.place.account);
        let subject = format!("$SYS.ACCOUNT.{account}.CONNECT");
        self.tell_system(&subject, None, turn);
    }

    /// It has gone, or has never been let in.
    pub(super) fn tell_disconnected(&self, ending: Ending<'_>, turn: &mut Turn<'_>) {
        let account = turn.settings.accounts.name(self.place.account);
        let subject = format!("$SYS.ACCOUNT.{account}.DISCONNECT");
        self.tell_system(&subject, Some(ending), turn);
    }

    /// It is not let in.
    pub(super) fn tell_refused(&self, reason: CloseReason, turn: &mut Turn<'_>) {
        let server = &turn.settings.info.server_id;
        let subject = format!("$SYS.SERVER.{server}.CLIENT.AUTH.ERR");
        self.tell_system(&subject, Some(reason.into()), turn);
    }

    /// It has said who it is, and that is not true.
    pub(super) fn tell_refused_in_account(&self, reason: CloseReason, turn: &mut Turn<'_>) {
        if turn.settings.system.is_some() {
            let ending = Some(reason.into());
            self.tell(self.place.account, REFUSED_IN_ACCOUNT, ending, turn);
        }
    }

    fn tell_system(&self, subject: &str, ending: Option<Ending<'_>>, turn: &mut Turn<'_>) {
        if let Some(system) = turn.settings.system {
            self.tell(system, subject, ending, turn);
        }
    }

    fn tell(
        &self,
        account: AccountId,
        subject: &str,
        ending: Option<Ending<'_>>,
        turn: &mut Turn<'_>,
    ) {
        if self.is_resident() || !turn.router.is_wanted(account, subject.as_bytes()) {
            return;
        }
        let event = self.event(ending, turn);
        turn.router.say(account, subject.as_bytes(), b"", &event);
    }

    fn event(&self, ending: Option<Ending<'_>>, turn: &mut Turn<'_>) -> Vec<u8> {
        let settings = turn.settings;
        let time = rfc3339(settings.wall.at(turn.now));
        let mut client = self.describe(Detail::Full, settings);
        client.server.clear();
        client.name_tag.clone_from(&client.account);
        if ending.is_some() {
            client.stop.clone_from(&time);
        } else {
            client.round_trip_nanos = 0;
        }
        let reason = ending.map(|ending| ending.reason.to_string());
        let slow = ending.and_then(|ending| ending.slow);
        let slow = slow.map(SlowConsumer::report);
        let sent = turn.router.outboxes.traffic(self.id.slot);
        let id = turn.router.event_id();
        let event = ClientEvent {
            heading: Heading {
                kind: match ending {
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
                slow_consumer: slow.as_ref(),
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
