//! What the monitor is shown of a connection and its subscriptions: values that have left their shard. *Control path.*
//!
//! Times are points of the shards' clock, accounts are numbers; what they are called is the monitor's to know. What other
//! parts want to show of a connection becomes a field of [`ConnectionRecord`].

use super::close::CloseReason;
use crate::base::clock::Now;
use crate::base::ids::{AccountId, ClientNumber, ConnectionId};
use crate::base::origin::Origin;
use crate::router::Traffic;
use crate::wire::tls::Secured;
use std::time::Duration;

/// One connection at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRecord {
    pub id: ConnectionId,
    pub number: ClientNumber,
    pub origin: Origin,
    pub account: AccountId,
    /// Who it said it is in nats-server's words for it; empty for nobody.
    pub user: Box<str>,
    /// It has proved that with an nkey of the configuration.
    pub has_nkey: bool,
    pub name: Box<str>,
    pub language: Box<str>,
    pub version: Box<str>,
    pub started_at: Now,
    /// When messages, subscriptions or `CONNECT` last came or messages last went.
    pub active_at: Now,
    /// Zero while it is not known.
    pub rtt: Duration,
    pub pending_bytes: usize,
    /// What it has published.
    pub received: Traffic,
    /// What it was delivered.
    pub sent: Traffic,
    pub stalls: u64,
    pub subscriptions: usize,
    /// What its TLS handshake came to, if there was one.
    pub secured: Option<Box<Secured>>,
}

impl ConnectionRecord {
    /// Whether somebody who looks for `text` means this connection.
    pub fn mentions(&self, text: &str) -> bool {
        mentions(text, self.number, &[&self.name, &self.user], &self.origin)
    }
}

/// Whether somebody who looks for `text` means a connection: it is its number, or in one of its names or in where it
/// comes from, in capital or small letters.
pub fn mentions(text: &str, number: ClientNumber, names: &[&str], origin: &Origin) -> bool {
    let is_in = |name: &str| {
        let mut parts = name.as_bytes().windows(text.len().max(1));
        text.is_empty() || parts.any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
    };
    names.iter().any(|name| is_in(name))
        || text.parse() == Ok(number.0)
        || is_in(&origin.to_string())
}

/// One connection that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedConnection {
    /// As it was at its end.
    pub record: ConnectionRecord,
    pub stopped_at: Now,
    pub reason: CloseReason,
    /// Not more than are remembered of one connection; empty when there was no more room.
    pub subscriptions: Vec<SubscriptionRecord>,
}

/// One subscription at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// The connection it belongs to.
    pub client: ClientNumber,
    pub account: AccountId,
    pub subject: Box<[u8]>,
    /// Empty for none.
    pub queue: Box<[u8]>,
    pub sid: Box<[u8]>,
    pub delivered: u64,
    /// Deliveries after which it ends.
    pub limit: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_by_what_people_know_of_it() {
        let origin = Origin::Network(([10, 0, 0, 7], 4321).into());
        let found = |text| mentions(text, ClientNumber(12), &["Billing", "ann"], &origin);
        for text in ["", "bill", "LING", "ann", "12", "10.0.0.7:43", "7:4321"] {
            assert!(found(text), "{text}");
        }
        for text in ["billings", "13", "bob", "10.0.0.8", "12 "] {
            assert!(!found(text), "{text}");
        }
    }
}
