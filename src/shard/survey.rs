//! What a shard tells the monitor: questions, answered a piece at a time. *Control path, between the steps of a turn.*
//!
//! Invariants
//! - A piece costs some 100 µs at most, however many connections and subscriptions there are: who wants more asks again,
//!   with the cursor that came with the piece. The shard remembers nothing in between.
//! - A connection and a subscription have the same place from their beginning to their end: one that lives all the while
//!   is in exactly one piece.
//! - Nothing here is counted for the monitor's sake while a message passes.

mod subjects;

pub use subjects::{Below, Branch};

use super::ended::Ended;
use super::{Seat, Shard, Snapshot};
use crate::base::histogram::Histogram;
use crate::base::ids::{AccountId, ClientNumber, ConnectionId, ShardId};
use crate::base::limits::{
    SURVEYED_ACCOUNTS, SURVEYED_CONNECTIONS, SURVEYED_RECORDS, SURVEYED_SUBSCRIPTION_RECORDS,
    SURVEYED_SUBSCRIPTIONS,
};
use crate::interest::{Interest, Listed, SubscriptionId};
use crate::router::Traffic;
use crate::session::client::Client;
use crate::session::record::{ClosedConnection, ConnectionRecord, SubscriptionRecord, mentions};
use crate::session::slow_consumer::SlowConsumer;
use crate::subject::{Pattern, Subject, covers, intersection};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What somebody wants to know of a shard. `from` is where to begin: zero, or what came with the last piece.
#[derive(Clone, Debug)]
pub enum Question {
    /// What it has counted.
    Counts,
    /// Sums over its connections.
    Sums { from: u32 },
    /// What it has counted of each account.
    Accounts { from: u16 },
    /// Its connections with the figure they are to be sorted by.
    Connections {
        from: u32,
        wanted: Arc<WantedConnections>,
    },
    /// These connections in full, [`SURVEYED_RECORDS`] at most.
    Records { of: Vec<ConnectionId> },
    /// Connections that have ended, oldest first.
    Closed { from: u64 },
    /// Its subscriptions: those that match, after the first `skip` of them.
    Subscriptions {
        from: SubscriptionId,
        wanted: Arc<WantedSubscriptions>,
        skip: usize,
        take: usize,
    },
    /// How the subjects of its subscriptions go on below a beginning.
    Subjects {
        from: SubscriptionId,
        below: Arc<Below>,
    },
    /// The consumers that were too slow lately.
    SlowConsumers,
}

/// The answer, or a part of it. `next` is where the following piece begins.
#[derive(Debug)]
pub enum Piece {
    Counts(Box<Counts>),
    Sums {
        sums: BTreeMap<AccountId, Sums>,
        next: Option<u32>,
    },
    Accounts {
        counts: Vec<AccountCounts>,
        next: Option<u16>,
    },
    Connections {
        ranked: Vec<Ranked>,
        of_account: usize,
        next: Option<u32>,
    },
    Records(Vec<ConnectionRecord>),
    Closed {
        connections: Vec<Arc<ClosedConnection>>,
        next: Option<u64>,
    },
    Subscriptions {
        matching: usize,
        records: Vec<SubscriptionRecord>,
        next: Option<SubscriptionId>,
    },
    Subjects {
        branches: Vec<Branch>,
        /// Some of the subscriptions to the beginning itself, and how many there are.
        here: Vec<SubscriptionRecord>,
        ending_here: usize,
        next: Option<SubscriptionId>,
    },
    /// The last one at the end.
    SlowConsumers(Vec<SlowConsumer>),
}

/// What a shard has counted, and how full its lanes are.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub snapshot: Snapshot,
    pub lanes: Vec<LaneDepth>,
    /// How long parcels were on their way here.
    pub lane_times: Histogram,
    pub in_lame_duck: bool,
}

/// One lane, seen from the shard that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneDepth {
    /// Who writes it.
    pub peer: ShardId,
    /// Parcels on it.
    pub arrived: usize,
    /// Parcels that wait for room on the lane in the other direction.
    pub waiting: usize,
}

/// What a shard knows of an account without looking at its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountCounts {
    pub account: AccountId,
    pub subscriptions: usize,
    pub ended: Ended,
}

/// Sums over connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub connections: u64,
    pub subscriptions: u64,
    pub pending_bytes: u64,
    pub received: Traffic,
    pub sent: Traffic,
    /// Connections with at most so many pending bytes, and those with more.
    pub pending: [u64; PENDING_STEPS.len() + 1],
}

/// The upper ends of the classes in [`Sums::pending`].
pub const PENDING_STEPS: [usize; 7] = [0, 1 << 10, 16 << 10, 128 << 10, 1 << 20, 8 << 20, 64 << 20];

/// Which connections are wanted: those of which everything here holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedConnections {
    pub number: Option<ClientNumber>,
    pub account: Option<AccountId>,
    pub user: Option<Box<str>>,
    /// That somebody means who looks for this ([`mentions`]).
    pub mentioning: Option<Box<str>>,
    pub rank: Rank,
}

/// What connections can be sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    #[default]
    Number,
    Subscriptions,
    Pending,
    MessagesTo,
    MessagesFrom,
    BytesTo,
    BytesFrom,
    ActiveAt,
    StartedAt,
    RoundTrip,
}

impl Rank {
    /// The figure of a connection that is known in full.
    pub fn of(self, record: &ConnectionRecord) -> u64 {
        match self {
            Rank::Number => record.number.0,
            Rank::Subscriptions => record.subscriptions as u64,
            Rank::Pending => record.pending_bytes as u64,
            Rank::MessagesTo => record.sent.messages,
            Rank::MessagesFrom => record.received.messages,
            Rank::BytesTo => record.sent.bytes,
            Rank::BytesFrom => record.received.bytes,
            Rank::ActiveAt => record.active_at.nanos(),
            Rank::StartedAt => record.started_at.nanos(),
            Rank::RoundTrip => u64::try_from(record.rtt.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// A connection that is wanted, and the figure it is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    pub id: ConnectionId,
    pub number: ClientNumber,
    pub figure: u64,
}

/// Which subscriptions are wanted: those of which everything here holds.
#[derive(Clone, Debug, Default)]
pub struct WantedSubscriptions {
    /// Of a connection in one of these slots.
    pub slots: Option<HashSet<u32>>,
    pub account: Option<AccountId>,
    /// Those that messages of this subject reach.
    pub subject: Option<Box<[u8]>>,
    /// Those that hear nothing but what this pattern hears.
    pub within: Option<Box<[u8]>>,
    /// Those that hear something that this pattern hears.
    pub meeting: Option<Box<[u8]>>,
    /// Members of this queue group.
    pub queue: Option<Box<[u8]>>,
}

impl Shard {
    /// Answers a question, or the next part of it.
    pub fn answer(&self, question: &Question) -> Piece {
        match question {
            Question::Counts => Piece::Counts(Box::new(self.counts())),
            Question::Sums { from } => self.sums(*from),
            Question::Accounts { from } => self.account_counts(*from),
            Question::Connections { from, wanted } => self.ranked(*from, wanted),
            Question::Records { of } => {
                let clients = of
                    .iter()
                    .take(SURVEYED_RECORDS)
                    .filter_map(|id| self.client(*id));
                Piece::Records(
                    clients
                        .map(|client| client.record(self.outboxes()))
                        .collect(),
                )
            }
            Question::Closed { from } => {
                let (connections, next) = self.closed.from(*from, SURVEYED_CONNECTIONS as usize);
                Piece::Closed { connections, next }
            }
            Question::Subscriptions {
                from,
                wanted,
                skip,
                take,
            } => self.subscriptions(*from, wanted, *skip, *take),
            Question::Subjects { from, below } => self.subjects(*from, below),
            Question::SlowConsumers => {
                Piece::SlowConsumers(self.slow_consumers().cloned().collect())
            }
        }
    }

    fn counts(&self) -> Counts {
        let mesh = &self.router.mesh;
        let lane = |peer| LaneDepth {
            peer,
            arrived: mesh.arrived(peer),
            waiting: mesh.waiting_for(peer),
        };
        Counts {
            snapshot: self.snapshot(),
            lanes: mesh.peers().map(lane).collect(),
            lane_times: self.lane_times,
            in_lame_duck: self.lame_duck.is_some(),
        }
    }

    fn sums(&self, from: u32) -> Piece {
        let mut by_account: BTreeMap<AccountId, Sums> = BTreeMap::new();
        let (clients, next) = self.clients_from(from);
        for client in clients {
            let slot = client.id().slot;
            let pending = self.router.outboxes.pending(slot);
            let sums = by_account.entry(client.account()).or_default();
            sums.connections += 1;
            sums.subscriptions += client.subscription_count() as u64;
            sums.pending_bytes += pending as u64;
            sums.received.add(client.received());
            sums.sent.add(self.router.outboxes.traffic(slot));
            sums.pending[PENDING_STEPS.partition_point(|step| *step < pending)] += 1;
        }
        Piece::Sums {
            sums: by_account,
            next,
        }
    }

    fn account_counts(&self, from: u16) -> Piece {
        let accounts = self.settings.accounts.iter().skip(usize::from(from));
        let ids = accounts.map(|(account, _)| account);
        let counts = ids.take(SURVEYED_ACCOUNTS).map(|account| AccountCounts {
            account,
            subscriptions: self.router.interest().subscriptions_of(account)
                - self.resident_subscriptions(account),
            ended: self.ended.of(account),
        });
        let counts: Vec<AccountCounts> = counts.collect();
        let is_full = counts.len() == SURVEYED_ACCOUNTS;
        let last = counts.last().filter(|_| is_full);
        let next = last.and_then(|last| last.account.0.checked_add(1));
        Piece::Accounts { counts, next }
    }

    fn ranked(&self, from: u32, wanted: &WantedConnections) -> Piece {
        let mut of_account = 0;
        let mut ranked = Vec::new();
        let (clients, next) = self.clients_from(from);
        for client in clients {
            if wanted
                .account
                .is_some_and(|account| account != client.account())
            {
                continue;
            }
            of_account += 1;
            let is_number = wanted.number.is_none_or(|number| number == client.number());
            let is_user = wanted
                .user
                .as_deref()
                .is_none_or(|user| user == client.user());
            let is_meant = wanted.mentioning.as_deref().is_none_or(|text| {
                let names = [client.name(), client.user()];
                mentions(text, client.number(), &names, client.origin())
            });
            if is_number && is_user && is_meant {
                ranked.push(Ranked {
                    id: client.id(),
                    number: client.number(),
                    figure: self.figure(client, wanted.rank),
                });
            }
        }
        Piece::Connections {
            ranked,
            of_account,
            next,
        }
    }

    fn figure(&self, client: &Client, rank: Rank) -> u64 {
        let outboxes = &self.router.outboxes;
        let slot = client.id().slot;
        match rank {
            Rank::Number => client.number().0,
            Rank::Subscriptions => client.subscription_count() as u64,
            Rank::Pending => outboxes.pending(slot) as u64,
            Rank::MessagesTo => outboxes.traffic(slot).messages,
            Rank::MessagesFrom => client.received().messages,
            Rank::BytesTo => outboxes.traffic(slot).bytes,
            Rank::BytesFrom => client.received().bytes,
            Rank::ActiveAt => client.active_at(outboxes).nanos(),
            Rank::StartedAt => client.started_at().nanos(),
            Rank::RoundTrip => u64::try_from(client.rtt().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The clients in the next slots, and the slot to go on with.
    fn clients_from(&self, from: u32) -> (impl Iterator<Item = &Client>, Option<u32>) {
        let end = from.saturating_add(SURVEYED_CONNECTIONS);
        let bound = self.seats.bound();
        let clients = (from..end.min(bound)).filter_map(|slot| match self.seats.get(slot) {
            Some(Seat::Serving(client)) => Some(&**client),
            Some(Seat::Resident(_) | Seat::Leaving) | None => None,
        });
        (clients, (end < bound).then_some(end))
    }

    fn subscriptions(
        &self,
        from: SubscriptionId,
        wanted: &WantedSubscriptions,
        skip: usize,
        take: usize,
    ) -> Piece {
        let interest = self.router.interest();
        let bound = interest.subscription_bound();
        let end = from.saturating_add(SURVEYED_SUBSCRIPTIONS).min(bound);
        let mut matching = 0;
        let mut found = Vec::new();
        let mut next = (end < bound).then_some(end);
        for (id, slot) in interest.subscriptions_in(from..end) {
            if !self.is_wanted(id, slot, wanted) {
                continue;
            }
            matching += 1;
            if matching <= skip || matching - skip > take {
                continue;
            }
            found.push(id);
            if found.len() == SURVEYED_SUBSCRIPTION_RECORDS {
                next = (id + 1 < bound).then_some(id + 1);
                break;
            }
        }
        Piece::Subscriptions {
            matching,
            records: self.describe(found),
            next,
        }
    }

    fn is_wanted(&self, id: SubscriptionId, slot: u32, wanted: &WantedSubscriptions) -> bool {
        wanted
            .slots
            .as_ref()
            .is_none_or(|slots| slots.contains(&slot))
            && match wanted.account {
                Some(account) => {
                    let owner = self.owner(slot);
                    owner.is_some_and(|owner| owner.account() == account)
                }
                // The server's own are for those who look into the system account.
                None => !self.is_resident(slot),
            }
            && wanted
                .subject
                .as_ref()
                .is_none_or(|subject| reaches(self.router.interest(), id, subject))
            && self.is_related(id, wanted)
    }

    /// Whether what a subscription says is what is wanted, apart from who has it.
    fn is_related(&self, id: SubscriptionId, wanted: &WantedSubscriptions) -> bool {
        let interest = self.router.interest();
        let pattern = interest.wish_of(id).1;
        let holds = |wanted: &Option<Box<[u8]>>, relation: &dyn Fn(&[u8]) -> bool| {
            wanted.as_ref().is_none_or(|wanted| relation(wanted))
        };
        holds(&wanted.within, &|outer| covers(outer, pattern))
            && holds(&wanted.meeting, &|other| {
                intersection(other, pattern).is_some()
            })
            && holds(&wanted.queue, &|queue| *interest.queue_of(id) == *queue)
    }

    /// Subscriptions as the monitor shows them.
    pub(super) fn describe(&self, ids: Vec<SubscriptionId>) -> Vec<SubscriptionRecord> {
        let listed = self.router.interest().list(ids);
        let described = listed.iter().filter_map(|listed| {
            let owner = self.owner(listed.connection)?;
            Some(record_of(listed, owner))
        });
        described.collect()
    }

    fn owner(&self, slot: u32) -> Option<&Client> {
        match self.seats.get(slot) {
            Some(Seat::Serving(client)) => Some(client),
            Some(Seat::Resident(_) | Seat::Leaving) | None => None,
        }
    }
}

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.connections += other.connections;
        self.subscriptions += other.subscriptions;
        self.pending_bytes += other.pending_bytes;
        self.received.add(other.received);
        self.sent.add(other.sent);
        for (sum, more) in self.pending.iter_mut().zip(other.pending) {
            *sum += more;
        }
    }
}

fn reaches(interest: &Interest, id: SubscriptionId, subject: &[u8]) -> bool {
    match (Pattern::new(interest.wish_of(id).1), Subject::new(subject)) {
        (Some(pattern), Some(subject)) => pattern.matches(subject),
        _ => false,
    }
}

fn record_of(listed: &Listed<'_>, owner: &Client) -> SubscriptionRecord {
    SubscriptionRecord {
        client: owner.number(),
        account: owner.account(),
        subject: listed.subject.into(),
        queue: listed.queue.into(),
        sid: listed.sid.into(),
        delivered: listed.delivered,
        limit: listed.limit,
    }
}

#[cfg(test)]
mod tests;
