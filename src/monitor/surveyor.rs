//! Asks the shards, and puts their pieces together.
//!
//! Invariants
//! - At most one question per shard is out for all the pages that need many pieces: they queue here, not at the shards.
//! - Whoever stops waiting leaves nothing behind: a shard keeps no cursor, and its answer goes nowhere.

mod subjects;

use super::reply::Refusal;
use crate::base::ids::{AccountId, ConnectionId, ShardId};
use crate::base::limits::SURVEYED_RECORDS;
use crate::router::Traffic;
use crate::runtime::doorbell::Doorbells;
use crate::runtime::pulse::Pulse;
use crate::runtime::thread::{Commission, Directive, Inquiry};
use crate::session::record::{ClosedConnection, ConnectionRecord, SubscriptionRecord};
use crate::session::slow_consumer::SlowConsumer;
use crate::shard::ended::Ended;
use crate::shard::errand::{Errand, Outcome};
use crate::shard::survey::{
    AccountCounts, Counts, Piece, Question, Ranked, Sums, WantedConnections, WantedSubscriptions,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::{sleep, timeout};

/// How long a shard may take for a piece. One that takes longer is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait before a directive is offered again to a full mailbox.
const MAILBOX_WAIT: Duration = Duration::from_millis(1);

/// Knows the way to the shards.
#[derive(Debug)]
pub(super) struct Surveyor {
    bells: Doorbells,
    scans: Semaphore,
}

/// What one shard has counted.
#[derive(Debug)]
pub(super) struct ShardCounts {
    pub(super) shard: ShardId,
    pub(super) counts: Counts,
    pub(super) pulse: Pulse,
}

type Answer = (Piece, Pulse);

impl Surveyor {
    pub(super) fn new(bells: Doorbells) -> Surveyor {
        Surveyor {
            bells,
            scans: Semaphore::new(1),
        }
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let count = u8::try_from(self.bells.shards()).unwrap_or(u8::MAX);
        (0..count).map(ShardId)
    }

    /// What each shard has counted: one small question to each, at the same time.
    pub(super) async fn counts(&self) -> Result<Vec<ShardCounts>, Refusal> {
        let mut asked = Vec::new();
        for shard in self.shards() {
            asked.push((shard, self.send(shard, Question::Counts).await?));
        }
        let mut all = Vec::new();
        for (shard, answer) in asked {
            let (piece, pulse) = receive(shard, answer).await?;
            if let Piece::Counts(counts) = piece {
                all.push(ShardCounts {
                    shard,
                    counts: *counts,
                    pulse,
                });
            }
        }
        Ok(all)
    }

    /// The right to ask for many pieces.
    pub(super) async fn scan(&self) -> Result<Scan<'_>, Refusal> {
        match self.scans.acquire().await {
            Ok(permit) => Ok(Scan {
                surveyor: self,
                _permit: permit,
            }),
            Err(_) => Err(Refusal::Unavailable("the server is going".to_owned())),
        }
    }

    /// Has a shard run an errand.
    pub(super) async fn run(&self, shard: ShardId, errand: Errand) -> Result<Outcome, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let commission = Commission {
            errand,
            reply: Box::new(move |outcome| {
                let _ = sender.send(outcome);
            }),
        };
        self.tell(shard, Directive::Run(commission)).await?;
        receive(shard, receiver).await
    }

    /// Gives a directive to a shard, whose mailbox may be full for a while.
    pub(super) async fn tell(&self, shard: ShardId, directive: Directive) -> Result<(), Refusal> {
        let mut waiting = Some(directive);
        let offer = async {
            while let Some(directive) = waiting.take() {
                waiting = self.bells.tell(shard, directive);
                if waiting.is_some() {
                    sleep(MAILBOX_WAIT).await;
                }
            }
        };
        match timeout(ANSWER_WITHIN, offer).await {
            Ok(()) => Ok(()),
            Err(_) => Err(silent(shard)),
        }
    }

    async fn ask(&self, shard: ShardId, question: Question) -> Result<Piece, Refusal> {
        let answer = self.send(shard, question).await?;
        receive(shard, answer).await.map(|(piece, _)| piece)
    }

    async fn send(
        &self,
        shard: ShardId,
        question: Question,
    ) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let inquiry = Inquiry {
            question,
            reply: Box::new(move |piece, pulse| {
                // Nobody waits any more when the page was given up.
                let _ = sender.send((piece, pulse.clone()));
            }),
        };
        self.tell(shard, Directive::Answer(inquiry)).await?;
        Ok(receiver)
    }
}

async fn receive<T>(shard: ShardId, answer: oneshot::Receiver<T>) -> Result<T, Refusal> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(silent(shard)),
    }
}

fn silent(shard: ShardId) -> Refusal {
    Refusal::Unavailable(format!("shard {shard} does not answer"))
}

/// Asks for many pieces; while it lives, nobody else does.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    surveyor: &'a Surveyor,
    _permit: SemaphorePermit<'a>,
}

/// Connections of all shards that are wanted, and how many there are in the account that is wanted.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) ranked: Vec<(ShardId, Ranked)>,
    pub(super) of_account: usize,
}

/// What goes on in accounts.
#[derive(Debug, Default)]
pub(super) struct PerAccount(BTreeMap<AccountId, InAccount>);

/// What goes on in one account.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InAccount {
    /// Over its connections.
    pub(super) sums: Sums,
    pub(super) subscriptions: usize,
    /// Its connections that are no more.
    pub(super) ended: Ended,
}

impl PerAccount {
    pub(super) fn of(&self, account: AccountId) -> InAccount {
        self.0.get(&account).copied().unwrap_or_default()
    }

    /// Over all accounts.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for account in self.0.values() {
            sums.add(&account.sums);
        }
        sums
    }

    fn entry(&mut self, account: AccountId) -> &mut InAccount {
        self.0.entry(account).or_default()
    }
}

impl InAccount {
    fn add(&mut self, counts: &AccountCounts) {
        self.subscriptions += counts.subscriptions;
        self.ended.received.add(counts.ended.received);
        self.ended.sent.add(counts.ended.sent);
        self.ended.slow_consumers += counts.ended.slow_consumers;
    }

    /// Messages that its clients have published, ever.
    pub(super) fn received(&self) -> Traffic {
        let mut received = self.sums.received;
        received.add(self.ended.received);
        received
    }

    /// Messages that its clients were delivered, ever.
    pub(super) fn sent(&self) -> Traffic {
        let mut sent = self.sums.sent;
        sent.add(self.ended.sent);
        sent
    }
}

impl Scan<'_> {
    /// What goes on in each account that anything goes on in.
    pub(super) async fn accounts(&self) -> Result<PerAccount, Refusal> {
        let mut accounts = PerAccount::default();
        for shard in self.surveyor.shards() {
            let mut from = Some(0);
            while let Some(next) = from.take() {
                if let Piece::Sums { sums: more, next } = self
                    .surveyor
                    .ask(shard, Question::Sums { from: next })
                    .await?
                {
                    for (account, sums) in more {
                        accounts.entry(account).sums.add(&sums);
                    }
                    from = next;
                }
            }
            let mut from = Some(0);
            while let Some(next) = from.take() {
                let question = Question::Accounts { from: next };
                if let Piece::Accounts { counts, next } = self.surveyor.ask(shard, question).await?
                {
                    for counts in counts {
                        accounts.entry(counts.account).add(&counts);
                    }
                    from = next;
                }
            }
        }
        Ok(accounts)
    }

    pub(super) async fn connections(&self, wanted: WantedConnections) -> Result<Open, Refusal> {
        let wanted = Arc::new(wanted);
        let mut open = Open::default();
        for shard in self.surveyor.shards() {
            let mut from = Some(0);
            while let Some(next) = from.take() {
                let wanted = Arc::clone(&wanted);
                let question = Question::Connections { from: next, wanted };
                if let Piece::Connections {
                    ranked,
                    of_account,
                    next,
                } = self.surveyor.ask(shard, question).await?
                {
                    open.ranked
                        .extend(ranked.into_iter().map(|one| (shard, one)));
                    open.of_account += of_account;
                    from = next;
                }
            }
        }
        Ok(open)
    }

    /// The connections of one shard in full, in any order, without those that have gone meanwhile.
    pub(super) async fn records(
        &self,
        shard: ShardId,
        of: &[ConnectionId],
    ) -> Result<Vec<ConnectionRecord>, Refusal> {
        let mut all = Vec::with_capacity(of.len());
        for piece in of.chunks(SURVEYED_RECORDS) {
            let question = Question::Records { of: piece.to_vec() };
            if let Piece::Records(records) = self.surveyor.ask(shard, question).await? {
                all.extend(records);
            }
        }
        Ok(all)
    }

    /// The consumers of all shards that were too slow lately, in no order.
    pub(super) async fn slow_consumers(&self) -> Result<Vec<SlowConsumer>, Refusal> {
        let mut all = Vec::new();
        for shard in self.surveyor.shards() {
            let question = Question::SlowConsumers;
            if let Piece::SlowConsumers(some) = self.surveyor.ask(shard, question).await? {
                all.extend(some);
            }
        }
        Ok(all)
    }

    /// The closed connections that all shards remember, in no order.
    pub(super) async fn closed(&self) -> Result<Vec<Arc<ClosedConnection>>, Refusal> {
        let mut all = Vec::new();
        for shard in self.surveyor.shards() {
            let mut from = Some(0);
            while let Some(next) = from.take() {
                if let Piece::Closed { connections, next } = self
                    .surveyor
                    .ask(shard, Question::Closed { from: next })
                    .await?
                {
                    all.extend(connections);
                    from = next;
                }
            }
        }
        Ok(all)
    }

    /// Subscriptions of one shard that match, after the first `skip` of them and not more than `take`; and how many
    /// there are.
    pub(super) async fn subscriptions(
        &self,
        shard: ShardId,
        wanted: &Arc<WantedSubscriptions>,
        skip: usize,
        take: usize,
    ) -> Result<(Vec<SubscriptionRecord>, usize), Refusal> {
        let (mut all, mut matching) = (Vec::new(), 0_usize);
        let mut from = Some(0);
        while let Some(next) = from.take() {
            let question = Question::Subscriptions {
                from: next,
                wanted: Arc::clone(wanted),
                skip: skip.saturating_sub(matching),
                take: take - all.len(),
            };
            if let Piece::Subscriptions {
                matching: more,
                records,
                next,
            } = self.surveyor.ask(shard, question).await?
            {
                matching += more;
                all.extend(records);
                from = next;
            }
        }
        Ok((all, matching))
    }
}
