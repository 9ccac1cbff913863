//! The connections that ended last, for whoever asks what became of them. *Per closed connection.*
//!
//! Invariants
//! - Not more are kept than there is room for; the oldest give way (nats-server `ring.go`).
//! - Of all their subscriptions not more than [`CLOSED_SUBSCRIPTIONS_OF_ALL_MAX`] are kept: the oldest connections lose
//!   theirs first.

use super::Shard;
use crate::base::ids::ConnectionId;
use crate::base::limits::{CLOSED_SUBSCRIPTIONS_MAX, CLOSED_SUBSCRIPTIONS_OF_ALL_MAX};
use crate::session::close::CloseReason;
use crate::session::record::ClosedConnection;
use std::collections::VecDeque;
use std::sync::Arc;

/// Closed connections of one shard, oldest first.
#[derive(Debug)]
pub(super) struct Closed {
    room: usize,
    // Shared with those who have asked: an answer copies pointers only.
    connections: VecDeque<Arc<ClosedConnection>>,
    /// The number of the first of them, counted from the start of the shard.
    first: u64,
    /// The connections up to this number have no subscriptions.
    bare_until: u64,
    subscriptions: usize,
}

impl Closed {
    pub(super) fn new(room: usize) -> Closed {
        Closed {
            room,
            connections: VecDeque::new(),
            first: 0,
            bare_until: 0,
            subscriptions: 0,
        }
    }

    /// Whether any are kept at all.
    pub(super) fn has_room(&self) -> bool {
        self.room > 0
    }

    pub(super) fn add(&mut self, connection: ClosedConnection) {
        if self.connections.len() >= self.room
            && let Some(oldest) = self.connections.pop_front()
        {
            self.subscriptions -= oldest.subscriptions.len();
            self.first += 1;
        }
        self.subscriptions += connection.subscriptions.len();
        self.connections.push_back(Arc::new(connection));
        self.strip();
    }

    /// Those from number `from` on, `count` at most, and the number to go on with when there are more.
    pub(super) fn from(
        &self,
        from: u64,
        count: usize,
    ) -> (Vec<Arc<ClosedConnection>>, Option<u64>) {
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let listed: Vec<_> = self
            .connections
            .iter()
            .skip(skipped)
            .take(count)
            .cloned()
            .collect();
        let end = skipped.saturating_add(listed.len());
        let next = (end < self.connections.len()).then_some(self.first + end as u64);
        (listed, next)
    }

    fn strip(&mut self) {
        self.bare_until = self.bare_until.max(self.first);
        while self.subscriptions > CLOSED_SUBSCRIPTIONS_OF_ALL_MAX {
            let index = usize::try_from(self.bare_until - self.first).unwrap_or(usize::MAX);
            let Some(connection) = self.connections.get_mut(index) else {
                break;
            };
            self.bare_until += 1;
            self.subscriptions -= connection.subscriptions.len();
            if !connection.subscriptions.is_empty() {
                let bare = ClosedConnection {
                    subscriptions: Vec::new(),
                    ..ClosedConnection::clone(connection)
                };
                *connection = Arc::new(bare);
            }
        }
    }
}

impl Shard {
    /// Keeps what there is to say of a client that is about to go.
    pub(super) fn remember(&mut self, id: ConnectionId, reason: CloseReason) {
        let Some(client) = self.client(id) else {
            return;
        };
        let is_slow = reason.is_slowness();
        let (account, received) = (client.account(), client.received());
        let sent = self.router.outboxes.traffic(id.slot);
        self.ended.add(account, received, sent, is_slow);
        let Some(client) = self.client(id).filter(|_| self.closed.has_room()) else {
            return;
        };
        let kept = client
            .subscriptions()
            .take(CLOSED_SUBSCRIPTIONS_MAX)
            .collect();
        let connection = ClosedConnection {
            record: client.record(&self.router.outboxes),
            stopped_at: self.now,
            reason,
            subscriptions: self.describe(kept),
        };
        self.closed.add(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Now;
    use crate::base::ids::{AccountId, ClientNumber};
    use crate::router::Traffic;
    use crate::session::record::{ConnectionRecord, SubscriptionRecord};
    use std::net::SocketAddr;
    use std::time::Duration;

    fn ended(number: u64, subscriptions: usize) -> ClosedConnection {
        let subscription = SubscriptionRecord {
            client: ClientNumber(number),
            account: AccountId::GLOBAL,
            subject: (*b"s").into(),
            queue: Box::default(),
            sid: (*b"1").into(),
            delivered: 0,
            limit: None,
        };
        ClosedConnection {
            record: ConnectionRecord {
                id: ConnectionId { slot: 0, reuse: 0 },
                number: ClientNumber(number),
                origin: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
                account: AccountId::GLOBAL,
                user: "".into(),
                has_nkey: false,
                name: "".into(),
                language: "".into(),
                version: "".into(),
                started_at: Now::ZERO,
                active_at: Now::ZERO,
                rtt: Duration::ZERO,
                pending_bytes: 0,
                received: Traffic::default(),
                sent: Traffic::default(),
                stalls: 0,
                subscriptions,
                secured: None,
            },
            stopped_at: Now::ZERO,
            reason: CloseReason::ClientClosed,
            subscriptions: vec![subscription; subscriptions],
        }
    }

    fn numbers(closed: &Closed, piece: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        let mut from = Some(0);
        while let Some(next) = from {
            let (listed, rest) = closed.from(next, piece);
            numbers.extend(listed.iter().map(|closed| closed.record.number.0));
            from = rest;
        }
        numbers
    }

    #[test]
    fn the_oldest_give_way_at_the_limit_and_no_piece_misses_any() {
        let mut closed = Closed::new(5);
        for number in 1..=5 {
            closed.add(ended(number, 0));
        }
        assert_eq!(numbers(&closed, 2), [1, 2, 3, 4, 5]);
        closed.add(ended(6, 0));
        for piece in 1..7 {
            assert_eq!(
                numbers(&closed, piece),
                [2, 3, 4, 5, 6],
                "{piece} at a time"
            );
        }
    }

    #[test]
    fn what_gives_way_between_two_pieces_is_not_told_and_nothing_comes_twice() {
        let mut closed = Closed::new(4);
        for number in 1..=4 {
            closed.add(ended(number, 0));
        }
        let (first, next) = closed.from(0, 2);
        assert_eq!(first.len(), 2);
        for number in 5..=7 {
            closed.add(ended(number, 0));
        }
        let (rest, next) = closed.from(next.expect("two more"), 10);
        let rest: Vec<u64> = rest.iter().map(|closed| closed.record.number.0).collect();
        assert_eq!((rest, next), (vec![4, 5, 6, 7], None));
    }

    #[test]
    fn the_oldest_lose_their_subscriptions_when_there_are_too_many() {
        let full = CLOSED_SUBSCRIPTIONS_OF_ALL_MAX / CLOSED_SUBSCRIPTIONS_MAX;
        let mut closed = Closed::new(full * 2);
        for number in 0..full as u64 {
            closed.add(ended(number, CLOSED_SUBSCRIPTIONS_MAX));
        }
        let bare = |closed: &Closed| {
            let (all, _) = closed.from(0, usize::MAX);
            all.iter()
                .filter(|closed| closed.subscriptions.is_empty())
                .count()
        };
        assert_eq!(bare(&closed), 0, "the limit itself is allowed");
        closed.add(ended(1000, 1));
        assert_eq!(bare(&closed), 1);
        assert_eq!(
            closed.subscriptions,
            CLOSED_SUBSCRIPTIONS_OF_ALL_MAX - CLOSED_SUBSCRIPTIONS_MAX + 1
        );
    }
}
