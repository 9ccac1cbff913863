//! The server itself as a client of its system account: it answers requests there (`system`), over a connection that has
//! never left the process.
//!
//! To the message path it is a client like any other: its subscriptions, its order and its backpressure are everybody's.
//! What is different is that nobody counts it, asks it who it is, pings it, or logs what it does.

use super::account::Place;
use super::{Client, Stage, Turn};
use crate::base::ids::{AccountId, ClientNumber, ConnectionId};
use crate::base::origin::Origin;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// No connection from outside has it.
const NUMBER: ClientNumber = ClientNumber(0);
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// What it says may be longer than what clients may say: a page about all of them.
const PAYLOAD_MAX: usize = 1 << 30;
/// Nor does it answer to a limit on their lines: it must be able to subscribe, and to answer whatever could be asked.
const CONTROL_LINE_MAX: usize = 1 << 20;

impl Client {
    /// Takes the server in as a client of `account`. Its outbox is open.
    pub fn reside(id: ConnectionId, account: AccountId, turn: &mut Turn<'_>) -> Client {
        let mut client = Client::arrive(id, NUMBER, Origin::Network(NOWHERE), turn);
        client.stage = Stage::Connected;
        client.options.headers = true;
        client.options.echo = false;
        client.place = Place::in_account(account, turn.settings);
        client.place.payload_max = PAYLOAD_MAX;
        client.place.control_line_max = CONTROL_LINE_MAX;
        client.place.subscriptions_max = None;
        client.place.subscription_tokens_max = None;
        turn.router.outboxes.set_headers(id.slot, true);
        client
    }

    /// Whether it is the server itself.
    pub fn is_resident(&self) -> bool {
        self.number == NUMBER
    }
}
