//! Publish → fanout → deliveries, for one shard. *Hot path.*
//!
//! Owns what a delivery touches: the interest of the shard, the outboxes of its connections, its lane ends.
//!
//! Invariants
//! - A message goes to every plain subscription once, and to one member of each queue group in the whole server; the
//!   publisher's shard picks the member's shard, that shard picks the member.
//! - A peer gets one copy, whatever it wants it for. It never forwards, but hands on a message picked for a group that
//!   has no member left there, [`QUEUE_HOPS_MAX`] times at most.
//! - A message for which its account imports services goes on into other accounts, and comes here by another door
//!   (`imports`): the way of all others knows one account only.
//! - What is dropped is counted by reason ([`Counters`]).

mod batch;
mod imports;
mod latency;
mod message_trace;
mod observed;
mod outbox;
mod replies;

use crate::account::Accounts;
use crate::base::clock::{Now, WallClock};
use crate::base::ids::{AccountId, ShardId, ShardSet};
use crate::base::limits::{QUEUE_HOPS_MAX, SHARED_TAIL_BYTES};
use crate::base::rng::Rng;
use crate::base::slab::Slab;
use crate::interest::{
    Answer, Fanout, GroupFanout, Hop, Interest, Layer, Memo, Route, Scope, SubscriptionId, Tallies,
    Wish,
};
use crate::mesh::{Carried, Mesh, Parcel, Routing};
use crate::protocol::message::{Message, Run};
use crate::subject::{Pattern, PatternSet};
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use message_trace::{Copy, Journal, Miss, Trace, Unwatched, Watch};
use replies::Replies;
use std::sync::Arc;

pub use crate::mesh::Sender;
pub use batch::Batch;
pub use imports::{Describe, Detail};
pub use message_trace::{Connection, Traced};
use observed::Observed;
pub use observed::{Asked, Delivery};
use outbox::Delivered;
pub use outbox::{Filler, OutboxLimits, Outboxes, Traffic};
pub use replies::is_measured;

/// Routing for one shard.
#[derive(Debug)]
pub struct Router {
    interest: Interest,
    pub outboxes: Outboxes,
    pub mesh: Mesh,
    pub counters: Counters,
    rng: Rng,
    /// Subscriptions that have had their last delivery, to be ended by their sessions.
    spent: Vec<SubscriptionId>,
    /// Deliveries that somebody looks at; mostly nobody.
    observed: Option<Observed>,
    /// Messages picked for groups that seem to be empty, one a parcel, and who sent them.
    homeless: Vec<(ShardId, Parcel)>,
    /// Scratch: which shards a message's queue groups were picked on.
    picks: Vec<(ShardId, usize)>,
    /// Scratch: a tail with its headers left out.
    bare: Vec<u8>,
    now: Now,
    wall: WallClock,
    /// Responses that requests to other accounts wait for.
    replies: Replies,
    /// The accounts in which the other shards know where responses for this one go.
    answering: HashSet<AccountId, FixedState>,
    /// Messages of this shard whose way is traced, until all has been heard of them.
    traces: Slab<Trace>,
    /// Of the one that is being published.
    journal: Option<Journal>,
    /// Of this turn, to be written up.
    journals: Vec<Journal>,
    /// Events published.
    events: u64,
}

/// What this shard has routed, and what it has dropped and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that clients of this shard published.
    pub published: Traffic,
    /// Messages put into outboxes of this shard.
    pub delivered: Traffic,
    /// Messages nobody wanted.
    pub dropped_no_interest: u64,
    /// Messages that came over a lane for plain subscriptions that had gone meanwhile, and responses that nobody waits for.
    pub dropped_interest_gone: u64,
    /// Messages picked for a queue group that nobody is in any more.
    pub dropped_group_gone: u64,
    /// Messages handed on because the picked group had no member left.
    pub handed_on: u64,
    /// Requests to other accounts whose response is no longer waited for, because too many others were.
    pub responses_given_up: u64,
    /// Responses from other accounts that would have had to wait behind too much on a full lane.
    pub dropped_responses_congested: u64,
    /// Messages whose way through other shards was not traced, because too many others were.
    pub traces_cut_short: u64,
}

/// Who publishes, as far as routing cares.
#[derive(Debug)]
pub struct Publisher<'a> {
    pub sender: Sender,
    pub account: AccountId,
    /// Whether its own subscriptions get its messages.
    pub echo: bool,
    pub memo: &'a mut Memo,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    Nobody,
    Somebody,
    /// Nothing yet: its account imports services for it. [`Router::publish_abroad`] is to be asked.
    Abroad,
}

impl Router {
    pub fn new(
        mesh: Mesh,
        accounts: Arc<Accounts>,
        limits: OutboxLimits,
        trace: bool,
        seed: u64,
    ) -> Router {
        let mut rng = Rng::from_seed(seed);
        Router {
            interest: Interest::new(accounts, rng.next_u64()),
            outboxes: Outboxes::new(limits),
            mesh,
            counters: Counters::default(),
            now: Now::ZERO,
            wall: WallClock::default(),
            replies: Replies::new(Rng::from_seed(rng.next_u64())),
            answering: HashSet::with_hasher(FixedState::with_seed(rng.next_u64())),
            rng,
            spent: Vec::new(),
            observed: Observed::traces(trace),
            homeless: Vec::new(),
            picks: Vec::new(),
            bare: Vec::new(),
            traces: Slab::new(),
            journal: None,
            journals: Vec::new(),
            events: 0,
        }
    }

    /// Goes on with other accounts and options. What crosses between accounts is as it is now for every message that comes
    /// next; responses that are on their way still find whoever waits for them.
    pub fn reload(&mut self, accounts: &Arc<Accounts>, limits: OutboxLimits, trace: bool) {
        let Router { interest, mesh, .. } = self;
        interest.reload(accounts, &mut |wants| mesh.announce(wants));
        self.outboxes.set_limits(limits);
        Observed::watch_all(&mut self.observed, trace);
    }

    pub fn set_now(&mut self, now: Now) {
        self.now = now;
        self.outboxes.set_now(now);
    }

    /// For what is said in the server's own name.
    pub fn set_wall_clock(&mut self, wall: WallClock) {
        self.wall = wall;
    }

    /// A number below `below`, by chance.
    pub fn draw(&mut self, below: u32) -> u32 {
        self.rng.below(below)
    }

    pub fn interest(&self) -> &Interest {
        &self.interest
    }

    /// Adds a subscription and tells the other shards what they must know of it.
    pub fn subscribe(&mut self, wish: &Wish<'_>) -> SubscriptionId {
        let Router { interest, mesh, .. } = self;
        interest.subscribe(wish, &mut |wants| mesh.announce(wants))
    }

    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        // It may have had its last delivery a moment ago, in the same run of operations.
        self.spent.retain(|spent| *spent != id);
        let awaited = self.awaited_by(id);
        let Router { interest, mesh, .. } = self;
        interest.unsubscribe(id, &mut |wants| mesh.announce(wants));
        self.forget_unwanted(awaited);
    }

    /// Lets a subscription end once it has had `max` deliveries in all. `max` is more than it has had.
    pub fn limit_deliveries(&mut self, id: SubscriptionId, max: u64) {
        self.interest.limit_deliveries(id, max);
    }

    /// Subscriptions that have had their last delivery; their sessions end them.
    pub fn next_spent(&mut self) -> Option<SubscriptionId> {
        self.spent.pop()
    }

    /// Deliveries since the last call, when they are traced.
    pub fn take_traced(&mut self) -> Vec<Delivery> {
        let observed = self.observed.as_mut();
        observed.map(Observed::take_traced).unwrap_or_default()
    }

    /// Changes whether a connection learns the reply subjects of what is delivered to it.
    pub fn watch_replies(&mut self, connection: u32, watch: bool) {
        Observed::watch_replies(&mut self.observed, connection, watch);
    }

    /// Messages since the last call that clients may answer.
    pub fn take_asked(&mut self) -> Vec<Asked> {
        let observed = self.observed.as_mut();
        observed.map(Observed::take_asked).unwrap_or_default()
    }

    /// Whether there are deliveries for [`Router::take_traced`] or [`Router::take_asked`].
    #[inline]
    pub fn has_observed(&self) -> bool {
        self.observed
            .as_ref()
            .is_some_and(|observed| !observed.is_empty())
    }

    /// Makes all answers anew: somebody may hear of other subjects now.
    pub fn distrust_answers(&mut self) {
        self.interest.distrust_all();
    }

    /// From now on messages of these subjects are not delivered to a connection. If it has subscriptions,
    /// [`Router::distrust_answers`] is to be called too.
    pub fn hide(&mut self, connection: u32, hidden: Option<Arc<PatternSet>>) {
        self.interest.hide(connection, hidden);
    }

    /// Routes messages of a client of this shard. `shared` is the tail as a shared buffer, if it is in one already; then
    /// there is one message.
    ///
    /// Always inlined: it is called from one place, for every run that comes in.
    #[inline(always)]
    pub fn publish(
        &mut self,
        publisher: Publisher<'_>,
        run: &Run<'_>,
        shared: Option<&Bytes>,
    ) -> Published {
        let scope = Scope::published(publisher.account);
        let published = self.publish_in::<true, _>(scope, publisher, run, shared, Unwatched);
        if published == Published::Nobody {
            self.counters.dropped_no_interest += run.count as u64;
        }
        published
    }

    /// Routes one message within an account, whatever other ways it has.
    #[inline(never)]
    fn publish_here(
        &mut self,
        scope: Scope,
        publisher: Publisher<'_>,
        message: Message<'_>,
        shared: Option<&Bytes>,
        watch: impl Watch,
    ) -> bool {
        let run = Run::of_one(message);
        self.publish_in::<false, _>(scope, publisher, &run, shared, watch) == Published::Somebody
    }

    #[inline(always)]
    fn publish_in<const MAY_LEAVE: bool, W: Watch>(
        &mut self,
        scope: Scope,
        publisher: Publisher<'_>,
        run: &Run<'_>,
        shared: Option<&Bytes>,
        watch: W,
    ) -> Published {
        let message = &run.first;
        let answer = self.interest.answer(scope, message.subject, publisher.memo);
        let Some((answer, tallies)) = answer else {
            return Published::Nobody;
        };
        if matches!(answer.route(), Route::Nobody) {
            return Published::Nobody;
        }
        let deaf = (!publisher.echo).then_some(publisher.sender.connection.slot);
        if run.count > 1 && !goes_smoothly(run, answer, &self.outboxes, tallies, deaf) {
            let reached = self.publish_each(scope, publisher, run, None);
            // Somebody it is also when some of them found nobody; those are counted here.
            self.counters.dropped_no_interest += (run.count - reached) as u64;
            return Published::Somebody;
        }
        let copy;
        let mut delivering = Delivering {
            outboxes: &mut self.outboxes,
            tallies,
            counters: &mut self.counters,
            spent: &mut self.spent,
            bare: &mut self.bare,
            observed: self.observed.as_mut(),
            run,
            shared,
            size: message.size(),
            sender: publisher.sender,
            deaf,
            watch,
        };
        let routing = Routing {
            scope,
            publisher: publisher.sender,
            plain: true,
            echo: publisher.echo,
            hops: 0,
        };
        let reached = match answer.route() {
            Route::Nobody => false,
            Route::One {
                connection,
                subscription,
            } => delivering.deliver(*connection, *subscription, answer.head_of_one()),
            Route::Peers(peers) => {
                let copy = worth_sharing(message, shared, holders_over_lanes(*peers));
                let copy = Copy {
                    run,
                    shared: shared.or(copy.as_ref()),
                    routing,
                };
                for peer in peers.iter() {
                    let picks = std::iter::empty();
                    delivering.watch.send(&mut self.mesh, peer, copy, picks);
                }
                true
            }
            Route::Many(fanout) if MAY_LEAVE && fanout.hops.is_some() => return Published::Abroad,
            Route::Many(fanout) => {
                let local = fanout.targets.len() + fanout.groups.len();
                let holders = local + holders_over_lanes(fanout.peers);
                copy = worth_sharing(message, shared, holders);
                delivering.shared = shared.or(copy.as_ref());
                fan_out(
                    fanout,
                    &mut delivering,
                    &mut self.mesh,
                    &mut self.rng,
                    &mut self.picks,
                    routing,
                )
            }
        };
        delivering.watch.conclude(&self.interest, message.subject);
        if reached {
            Published::Somebody
        } else {
            Published::Nobody
        }
    }

    /// Routes messages one by one, within an account, whatever other ways they have. Says how many reached anybody.
    #[inline(never)]
    fn publish_each(
        &mut self,
        scope: Scope,
        publisher: Publisher<'_>,
        run: &Run<'_>,
        shared: Option<&Bytes>,
    ) -> usize {
        let mut reached = 0;
        for one in run.singly() {
            let publisher = Publisher {
                memo: &mut *publisher.memo,
                ..publisher
            };
            let published = self.publish_in::<false, _>(scope, publisher, &one, shared, Unwatched);
            reached += usize::from(published == Published::Somebody);
        }
        reached
    }

    /// Delivers messages that another shard sent to subscriptions of this one.
    #[inline]
    pub fn receive(
        &mut self,
        from: ShardId,
        carried: &Carried<'_>,
        memo: &mut Memo,
        is_last_word: bool,
    ) {
        self.receive_watched(from, carried, memo, is_last_word, Unwatched);
    }

    #[inline]
    fn receive_watched(
        &mut self,
        from: ShardId,
        carried: &Carried<'_>,
        memo: &mut Memo,
        is_last_word: bool,
        watch: impl Watch,
    ) {
        let (run, message) = (&carried.run, &carried.run.first);
        let answer = self.interest.answer(carried.scope, message.subject, memo);
        let Some((answer, tallies)) = answer else {
            unreachable!("a subject nobody can want is not sent to anybody");
        };
        // Handed on, it may come home.
        let deaf = (!carried.echo && carried.publisher.shard == self.mesh.shard().0)
            .then_some(carried.publisher.connection.slot);
        let hops = hops_of(answer);
        if run.count > 1
            && (hops.is_some() || !goes_smoothly(run, answer, &self.outboxes, tallies, deaf))
        {
            for one in carried.singly() {
                self.receive(from, &one, memo, is_last_word);
            }
            return;
        }
        let mut delivering = Delivering {
            outboxes: &mut self.outboxes,
            tallies,
            counters: &mut self.counters,
            spent: &mut self.spent,
            bare: &mut self.bare,
            observed: self.observed.as_mut(),
            run,
            shared: carried.shared,
            size: message.size(),
            sender: carried.publisher,
            deaf,
            watch,
        };
        let mut reached = false;
        let fanout = match answer.route() {
            Route::Nobody | Route::Peers(_) => None,
            Route::One {
                connection,
                subscription,
            } => {
                if carried.plain {
                    reached = delivering.deliver(*connection, *subscription, answer.head_of_one());
                }
                None
            }
            Route::Many(fanout) => {
                if carried.plain {
                    reached = delivering.deliver_to_all(fanout);
                }
                Some(fanout)
            }
        };
        let is_response = carried.plain && hops.is_some_and(|hops| hops.contains(&Hop::Response));
        if carried.plain && !reached && !is_response {
            delivering.counters.dropped_interest_gone += run.count as u64;
        }
        for name in carried.picks() {
            let group = fanout.and_then(|f| f.groups.iter().find(|group| *group.name == *name));
            let mut next = None;
            if let (Some(fanout), Some(group)) = (fanout, group) {
                let start = self.rng.below(u32::MAX) as usize;
                if delivering.deliver_to_member(fanout, group, start) {
                    continue;
                }
                // The member has left while the message was on its way. Somebody else in the group must get it.
                next = peer_of(group, &mut self.rng);
            }
            let routing = Routing {
                scope: carried.scope,
                publisher: carried.publisher,
                plain: false,
                echo: carried.echo,
                hops: carried.hops + 1,
            };
            let copy = Copy {
                run,
                shared: carried.shared,
                routing,
            };
            let name = std::iter::once(name);
            if carried.hops >= QUEUE_HOPS_MAX || (next.is_none() && is_last_word) {
                delivering.counters.dropped_group_gone += 1;
            } else if let Some(next) = next {
                delivering.counters.handed_on += 1;
                delivering.watch.send(&mut self.mesh, next, copy, name);
            } else {
                let mut parcel = Parcel::default();
                delivering.watch.put(&mut parcel, copy, name);
                self.homeless.push((from, parcel));
            }
        }
        let Delivering { mut watch, .. } = delivering;
        watch.conclude(&self.interest, message.subject);
        if is_response {
            self.respond_from_afar(carried, watch.journal());
        }
    }

    /// Messages that found no member of their group. A member that was there before they were published may be
    /// announced on a lane not drained yet: only after all lanes have been drained once more is the group really empty.
    pub fn take_homeless(&mut self) -> Vec<(ShardId, Parcel)> {
        std::mem::take(&mut self.homeless)
    }

    /// Notes what another shard wants.
    pub fn peer_wants(
        &mut self,
        peer: ShardId,
        layer: Layer,
        pattern: &[u8],
        queue: &[u8],
        weight: u32,
    ) {
        let pattern = Pattern::new(pattern).expect("shards announce patterns they have checked");
        self.interest
            .peer_wants(peer, layer, pattern, queue, weight);
    }

    /// The plain subscription of a connection that would get messages of `subject` in its account, for its sid.
    pub fn subscription_for(
        &mut self,
        account: AccountId,
        connection: u32,
        subject: &[u8],
    ) -> Option<SubscriptionId> {
        let scope = Scope::published(account);
        let (answer, _) = self.interest.answer(scope, subject, &mut Memo::default())?;
        match answer.route() {
            Route::One {
                connection: owner,
                subscription,
            } if *owner == connection => Some(*subscription),
            Route::Nobody | Route::One { .. } | Route::Peers(_) => None,
            Route::Many(fanout) => {
                let mine = fanout
                    .targets
                    .iter()
                    .find(|target| target.connection == connection);
                mine.map(|target| target.subscription)
            }
        }
    }
}

/// Gives each plain subscription and each group its copy, here and elsewhere.
fn fan_out<W: Watch>(
    fanout: &Fanout,
    delivering: &mut Delivering<'_, W>,
    mesh: &mut Mesh,
    rng: &mut Rng,
    picks: &mut Vec<(ShardId, usize)>,
    routing: Routing,
) -> bool {
    let mut reached = delivering.deliver_to_all(fanout);
    let mut peers = fanout.peers;
    picks.clear();
    for (index, group) in fanout.groups.iter().enumerate() {
        let drawn = rng.below(group.weight) as usize;
        let is_local = drawn < group.members.len();
        if is_local && delivering.deliver_to_member(fanout, group, drawn) {
            reached = true;
        } else if let Some(peer) = peer_of(group, rng) {
            peers.insert(peer);
            picks.push((peer, index));
        }
    }
    reached |= !peers.is_empty();
    send_to_peers(fanout, delivering, mesh, picks, peers, routing);
    reached
}

#[inline]
fn send_to_peers<W: Watch>(
    fanout: &Fanout,
    delivering: &mut Delivering<'_, W>,
    mesh: &mut Mesh,
    picks: &[(ShardId, usize)],
    peers: ShardSet,
    routing: Routing,
) {
    for peer in peers.iter() {
        let here = picks.iter().filter(|(shard, _)| *shard == peer);
        let names = here.map(|(_, index)| &*fanout.groups[*index].name);
        let routing = Routing {
            plain: fanout.peers.contains(peer),
            ..routing
        };
        let copy = Copy {
            run: delivering.run,
            shared: delivering.shared,
            routing,
        };
        delivering.watch.send(mesh, peer, copy, names);
    }
}

/// Draws one of the other shards that have members, by their number.
fn peer_of(group: &GroupFanout, rng: &mut Rng) -> Option<ShardId> {
    let sum = group
        .peers
        .iter()
        .fold(0u32, |sum, (_, weight)| sum.saturating_add(*weight));
    if sum == 0 {
        return None;
    }
    let mut left = rng.below(sum);
    for (shard, weight) in &group.peers {
        if left < *weight {
            return Some(*shard);
        }
        left -= weight;
    }
    None
}

/// The ways out of the account that an answer knows.
#[inline]
fn hops_of(answer: &Answer) -> Option<&[Hop]> {
    match answer.route() {
        Route::Many(fanout) => fanout.hops.as_deref(),
        Route::Nobody | Route::One { .. } | Route::Peers(_) => None,
    }
}

/// Whether a run can be delivered, or sent abroad, as one: nobody in its way has a limit that it might reach, wants something else than the
/// messages as they are, or is picked anew for each.
fn goes_smoothly(
    run: &Run<'_>,
    answer: &Answer,
    outboxes: &Outboxes,
    tallies: &Tallies,
    deaf: Option<u32>,
) -> bool {
    let takes_all = |connection: u32, id: SubscriptionId, head: &[u8]| {
        deaf != Some(connection)
            && !tallies.is_limited(id)
            && outboxes.has_room(connection, run.count * (head.len() + run.first.tail.len()))
            && (run.first.header_len.is_none() || outboxes.understands_headers(connection))
    };
    match answer.route() {
        Route::Nobody | Route::Peers(_) => true,
        Route::One {
            connection,
            subscription,
        } => takes_all(*connection, *subscription, answer.head_of_one()),
        Route::Many(fanout) => {
            let mut targets = fanout.targets.iter();
            fanout.hops.is_some()
                || fanout.groups.is_empty()
                    && targets.all(|target| {
                        takes_all(target.connection, target.subscription, fanout.head(target))
                    })
        }
    }
}

/// On its way to another shard a tail that is not shared is copied twice.
fn holders_over_lanes(peers: ShardSet) -> usize {
    2 * peers.len() as usize
}

/// A shared copy of a large tail that more than one will hold.
#[inline]
fn worth_sharing(message: &Message<'_>, shared: Option<&Bytes>, holders: usize) -> Option<Bytes> {
    let worth = shared.is_none() && message.tail.len() >= SHARED_TAIL_BYTES && holders > 1;
    worth.then(|| Bytes::copy_from_slice(message.tail))
}

/// Messages on their way into outboxes of this shard.
struct Delivering<'a, W> {
    outboxes: &'a mut Outboxes,
    tallies: &'a mut Tallies,
    counters: &'a mut Counters,
    spent: &'a mut Vec<SubscriptionId>,
    bare: &'a mut Vec<u8>,
    observed: Option<&'a mut Observed>,
    run: &'a Run<'a>,
    shared: Option<&'a Bytes>,
    /// What each of them counts for.
    size: usize,
    sender: Sender,
    /// The connection that does not want to hear itself.
    deaf: Option<u32>,
    watch: W,
}

impl<W: Watch> Delivering<'_, W> {
    /// Delivers to one subscription; says whether it took the message. A run is taken whole ([`goes_smoothly`]).
    #[inline]
    fn deliver(&mut self, connection: u32, id: SubscriptionId, head: &[u8]) -> bool {
        if self.run.count > 1 {
            self.deliver_run(connection, id, head);
            return true;
        }
        if self.tallies.is_spent(id) || self.deaf == Some(connection) {
            return self.miss(connection, id);
        }
        if !self.watch.delivers() {
            self.watch.saw(connection, id, None);
            return true;
        }
        let message = &self.run.first;
        let mut head = head;
        let (mut tail, mut shared, mut size) = (message.tail, self.shared, self.size);
        if message.header_len.is_none() {
            head = &head[b"H".len()..];
        } else if !self.outboxes.understands_headers(connection) {
            self.bare.clear();
            message.write_tail_without_headers(self.bare);
            head = &head[b"H".len()..];
            (tail, shared, size) = (&*self.bare, None, message.payload().len());
        }
        let delivered = self.outboxes.deliver(connection, head, tail, shared, size);
        if delivered == Delivered::No {
            self.watch.saw(connection, id, Some(Miss::Closed));
            return false;
        }
        self.watch.saw(connection, id, None);
        if let Some(observed) = &mut self.observed {
            observed.note_delivery(connection, head, tail);
            observed.note_reply(connection, message.reply());
        }
        if self.tallies.count(id) {
            self.spent.push(id);
        }
        self.counters.delivered.count(self.size);
        if delivered == Delivered::OverShare {
            self.outboxes.over_share(connection, self.sender);
        }
        true
    }

    #[inline]
    fn miss(&mut self, connection: u32, id: SubscriptionId) -> bool {
        let is_deaf = self.deaf == Some(connection);
        let miss = if is_deaf { Miss::NoEcho } else { Miss::Spent };
        self.watch.saw(connection, id, Some(miss));
        false
    }

    /// Delivers a run whole. It is never traced: with tracing messages come one by one.
    #[inline(never)]
    fn deliver_run(&mut self, connection: u32, id: SubscriptionId, head: &[u8]) {
        let is_plain = self.run.first.header_len.is_none();
        let head = &head[usize::from(is_plain) * b"H".len()..];
        let delivered = self.outboxes.deliver_run(connection, head, self.run);
        if let Some(observed) = &mut self.observed {
            observed.note_reply(connection, self.run.first.reply());
        }
        self.tallies.count_run(id, self.run.count);
        self.counters.delivered.count_run(self.run.count, self.size);
        if delivered == Delivered::OverShare {
            self.outboxes.over_share(connection, self.sender);
        }
    }

    #[inline]
    fn deliver_to_all(&mut self, fanout: &Fanout) -> bool {
        let mut reached = false;
        for target in &fanout.targets {
            reached |= self.deliver(target.connection, target.subscription, fanout.head(target));
        }
        reached
    }

    /// Delivers to one member of a group: the one at `start`, or the next that can take it.
    fn deliver_to_member(&mut self, fanout: &Fanout, group: &GroupFanout, start: usize) -> bool {
        let count = group.members.len();
        self.watch.enter_group(&group.name);
        let reached = (0..count).any(|step| {
            let member = &group.members[(start % count + step) % count];
            self.deliver(member.connection, member.subscription, fanout.head(member))
        });
        self.watch.enter_group(b"");
        reached
    }
}
