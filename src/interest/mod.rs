//! Who wants what, as one shard knows it. *Hot path: [`Interest::answer`]; the rest is per subscription.*
//!
//! Two kinds of origin: subscriptions of this shard's own connections, one by one, and for every other shard the
//! patterns it has subscriptions for, with a weight per queue group. A peer shard is to this room what a routed server
//! is to a cluster.
//!
//! Every account has a subject space of its own (`space`); they share the tables, so that an account that nobody uses
//! costs nothing. A subscription that a stream import concerns has *shadows* in the exporting accounts: subscriptions of
//! the same connection and sid, that end with it.
//!
//! Invariants
//! - A pattern is here exactly while somebody wants it; an answer is made from patterns only, never from other answers.
//! - [`Wants`] is handed out for the first local wish for a pattern, for the last one gone, and for every change in the
//!   number of members of a queue group: with these, a peer's picture is complete.
//! - An answer names subscriptions of its account, shadows in its account, and nothing else.
//! - It does not know what a socket, a session or a message is.

mod cache;
mod epochs;
mod fanout;
mod groups;
mod listing;
mod reload;
mod scouted;
mod shadows;
mod space;
mod tallies;
mod trie;

#[cfg(test)]
mod tests;

use crate::account::{Accounts, StreamImport};
use crate::base::ids::{AccountId, ShardId, ShardSet};
use crate::base::slab::Slab;
use crate::base::small_bytes::SmallBytes;
use crate::subject::{Pattern, PatternSet, Subject};
use cache::{Cache, Found};
use epochs::Epochs;
use fanout::Prefix;
use foldhash::fast::FixedState;
use groups::Groups;
use hashbrown::{HashMap, HashTable};
use shadows::Shadows;
use std::hash::BuildHasher;
use std::sync::Arc;
use trie::Trie;

pub use cache::Memo;
pub use fanout::{Answer, Fanout, GroupFanout, Hop, Route, Target};
pub use listing::{Listed, Usage};
pub use scouted::Scouted;
pub use space::{Layer, Scope};
pub use tallies::Tallies;

/// Names a subscription of this shard while it lives.
pub type SubscriptionId = u32;
type PatternId = u32;

const NONE: u32 = u32::MAX;

/// The interest of one shard, its own and its peers'.
#[derive(Debug)]
pub struct Interest {
    accounts: Arc<Accounts>,
    patterns: Slab<Wanted>,
    literals: HashTable<PatternId>,
    wildcards: Trie,
    subscriptions: Slab<Subscription>,
    groups: Groups,
    shadows: Shadows,
    tallies: Tallies,
    epochs: Epochs,
    cache: Cache,
    usage: Usage,
    /// Subscriptions of clients, by account.
    by_account: Vec<usize>,
    /// What the subjects begin with that this shard waits for responses on; empty before the first.
    responses: Box<[u8]>,
    /// Subjects that are not delivered to a connection, by its slot; few connections have any.
    hidden: HashMap<u32, Arc<PatternSet>, FixedState>,
    scratch: Scratch,
    hasher: FixedState,
}

/// One subscription of a connection of this shard.
#[derive(Debug)]
pub struct Subscription {
    /// The slot of the connection that made it.
    pub connection: u32,
    /// The identifier its client gave it.
    pub sid: SmallBytes<14>,
    pattern: PatternId,
    /// Its neighbours among the plain subscriptions of its pattern, or `NONE`.
    next: u32,
    previous: u32,
    in_group: bool,
}

/// A change that the other shards must learn: this shard now has `weight` subscriptions of that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    pub layer: Layer,
    pub pattern: Box<[u8]>,
    /// Empty for plain subscriptions; their weight is 0 or 1.
    pub queue: Box<[u8]>,
    pub weight: u32,
}

/// A pattern and everyone who wants it.
#[derive(Debug)]
struct Wanted {
    pattern: SmallBytes<22>,
    peers: ShardSet,
    /// The plain subscriptions of this shard, as a list through [`Subscription`].
    plain: u32,
    layer: Layer,
}

// There may be millions of either, and of patterns as many on every shard.
const _: () = assert!(size_of::<Wanted>() <= 40 && size_of::<Subscription>() <= 40);

/// Lists that [`Interest::resolve`] fills anew each time, kept for their memory.
#[derive(Debug, Default)]
struct Scratch {
    patterns: Vec<PatternId>,
    plain: Vec<SubscriptionId>,
}

/// What a connection of this shard asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub account: AccountId,
    /// The connection's slot.
    pub connection: u32,
    pub pattern: Pattern<'a>,
    /// Empty for a plain subscription.
    pub queue: &'a [u8],
    pub sid: &'a [u8],
}

impl Interest {
    /// `seed` keeps others from choosing subjects that share a hash bucket.
    pub fn new(accounts: Arc<Accounts>, seed: u64) -> Interest {
        Interest {
            accounts,
            patterns: Slab::new(),
            literals: HashTable::new(),
            wildcards: Trie::new(seed),
            subscriptions: Slab::new(),
            groups: Groups::new(seed),
            shadows: Shadows::new(seed),
            tallies: Tallies::default(),
            epochs: Epochs::new(seed),
            cache: Cache::new(seed),
            usage: Usage::default(),
            by_account: Vec::new(),
            responses: Box::default(),
            hidden: HashMap::with_hasher(FixedState::with_seed(seed)),
            scratch: Scratch::default(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Who gets messages of `subject`, and the subscriptions to count the deliveries on. `None` for a subject with an
    /// empty token, which nobody can want. `memo` is where the caller found its last answer.
    #[inline(always)]
    pub fn answer(
        &mut self,
        scope: Scope,
        subject: &[u8],
        memo: &mut Memo,
    ) -> Option<(&Answer, &mut Tallies)> {
        match self.cache.look_up(scope, subject, *memo, &self.epochs) {
            Found::Current(found) => *memo = found,
            Found::Stale(found) => {
                *memo = found;
                self.make_again(scope, subject, found)?;
            }
            Found::Absent => *memo = self.make(scope, subject)?,
        }
        Some((self.cache.answer(*memo), &mut self.tallies))
    }

    #[cold]
    #[inline(never)]
    fn make_again(&mut self, scope: Scope, subject: &[u8], memo: Memo) -> Option<()> {
        self.usage.misses += 1;
        let answer = self.resolve(scope, Subject::new(subject)?);
        self.cache.refresh(memo, answer, &self.epochs);
        Some(())
    }

    #[inline(never)]
    fn make(&mut self, scope: Scope, subject: &[u8]) -> Option<Memo> {
        self.usage.misses += 1;
        let answer = self.resolve(scope, Subject::new(subject)?);
        Some(self.cache.remember(scope, answer, &self.epochs))
    }

    /// The accounts and what crosses between them.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    /// Adds a subscription of this shard; gives what the other shards must learn to `announce`.
    pub fn subscribe(
        &mut self,
        wish: &Wish<'_>,
        announce: &mut impl FnMut(&Wants),
    ) -> SubscriptionId {
        let id = self.add(Layer::own(wish.account), wish, announce);
        self.add_shadows(id, wish, announce);
        self.count_subscribed(wish.account);
        id
    }

    /// Ends a subscription of this shard, and its shadows.
    pub fn unsubscribe(&mut self, id: SubscriptionId, announce: &mut impl FnMut(&Wants)) {
        for shadow in self.shadows.take_of(id) {
            self.remove(shadow, announce);
        }
        self.count_unsubscribed(id);
        self.remove(id, announce);
    }

    /// Notes what another shard wants from now on; the newest word on a pattern and queue holds.
    pub fn peer_wants(
        &mut self,
        peer: ShardId,
        layer: Layer,
        pattern: Pattern<'_>,
        queue: &[u8],
        weight: u32,
    ) {
        let id = match self.find_pattern(layer, pattern) {
            Some(id) => id,
            None if weight == 0 => return,
            None => self.pattern_entry(layer, pattern),
        };
        if queue.is_empty() {
            let wanted = &mut self.patterns[id];
            if weight > 0 {
                wanted.peers.insert(peer);
            } else {
                wanted.peers.remove(peer);
            }
        } else {
            let group = self.groups.named(id, queue);
            group.peers.retain(|(shard, _)| *shard != peer);
            if weight > 0 {
                group.peers.push((peer, weight));
            }
        }
        self.changed(id, layer, pattern.as_bytes());
    }

    /// From now on messages whose subject begins with `prefix` are for whoever waits for a response on this shard.
    /// In every account: who waits for which, and in which account, is not this room's to know.
    pub fn expect_responses(&mut self, prefix: &[u8]) {
        self.responses = prefix.into();
    }

    /// From now on answers leave a connection out for these subjects. Answers that are remembered do not change: of one that
    /// has subscriptions, whoever calls this calls [`Interest::distrust_all`] too.
    pub fn hide(&mut self, connection: u32, hidden: Option<Arc<PatternSet>>) {
        match hidden {
            Some(hidden) => self.hidden.insert(connection, hidden),
            None => self.hidden.remove(&connection),
        };
    }

    pub fn subscription(&self, id: SubscriptionId) -> &Subscription {
        &self.subscriptions[id]
    }

    /// What a subscription asks for, and in which account.
    pub fn wish_of(&self, id: SubscriptionId) -> (AccountId, &[u8]) {
        let wanted = &self.patterns[self.subscriptions[id].pattern];
        (wanted.layer.account(), wanted.pattern.as_slice())
    }

    /// For a subscription that a stream import made: the importing account, and the import.
    pub fn import_of(&self, id: SubscriptionId) -> Option<(AccountId, &StreamImport)> {
        self.shadows.import_of(id, &self.accounts)
    }

    /// Messages given to a subscription of this shard since it was made. What comes through a stream import is not
    /// among them (nor is it in nats-server, where each shadow counts for itself).
    pub fn delivered(&self, id: SubscriptionId) -> u64 {
        self.tallies.delivered(id)
    }

    /// Lets a subscription end once it has had `max` deliveries in all; `max` is more than it has had.
    pub fn limit_deliveries(&mut self, id: SubscriptionId, max: u64) {
        self.tallies.limit(id, max);
    }

    /// Subscriptions of this shard, without shadows.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len() - self.shadows.len()
    }

    /// Patterns wanted here or elsewhere.
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// Subjects whose answer is remembered.
    pub fn cached_count(&self) -> usize {
        self.cache.len()
    }

    fn add(
        &mut self,
        layer: Layer,
        wish: &Wish<'_>,
        announce: &mut impl FnMut(&Wants),
    ) -> SubscriptionId {
        let Wish { pattern, queue, .. } = *wish;
        let wanted_id = self.pattern_entry(layer, pattern);
        let id = self.subscriptions.insert(Subscription {
            connection: wish.connection,
            sid: SmallBytes::new(wish.sid),
            pattern: wanted_id,
            next: NONE,
            previous: NONE,
            in_group: !queue.is_empty(),
        });
        self.tallies.begin(id);
        let weight = if queue.is_empty() {
            let wanted = &mut self.patterns[wanted_id];
            let first = std::mem::replace(&mut wanted.plain, id);
            self.subscriptions[id].next = first;
            if first != NONE {
                self.subscriptions[first].previous = id;
            }
            (first == NONE).then_some(1)
        } else {
            let group = self.groups.named(wanted_id, queue);
            group.members.push(id);
            Some(group.weight())
        };
        self.distrust(layer, pattern);
        if let Some(weight) = weight {
            announce(&Wants {
                layer,
                pattern: pattern.as_bytes().into(),
                queue: queue.into(),
                weight,
            });
        }
        id
    }

    /// Lets a subscription hear what stream imports of its account bring.
    fn add_shadows(
        &mut self,
        id: SubscriptionId,
        wish: &Wish<'_>,
        announce: &mut impl FnMut(&Wants),
    ) {
        let account = self.accounts.get(wish.account);
        if account.is_none_or(|account| account.streams.is_empty()) {
            return;
        }
        let accounts = Arc::clone(&self.accounts);
        let Some(account) = accounts.get(wish.account) else {
            return;
        };
        for (index, import) in account.streams.iter().enumerate() {
            let Some(theirs) = import.pattern_there(wish.pattern) else {
                continue;
            };
            let Some(pattern) = Pattern::new(&theirs) else {
                continue;
            };
            let layer = Layer::importers(import.from);
            let shadow = self.add(layer, &Wish { pattern, ..*wish }, announce);
            self.shadows.add(id, shadow, wish.account, index);
        }
    }

    fn remove(&mut self, id: SubscriptionId, announce: &mut impl FnMut(&Wants)) {
        let Some(gone) = self.subscriptions.remove(id) else {
            return;
        };
        self.tallies.end(id);
        let wanted = &mut self.patterns[gone.pattern];
        let mut queue = Box::<[u8]>::default();
        let weight = if gone.in_group {
            let group = self.groups.of_member(gone.pattern, id);
            group.members.retain(|member| *member != id);
            queue = group.name.clone();
            Some(group.weight())
        } else {
            match gone.previous {
                NONE => wanted.plain = gone.next,
                previous => self.subscriptions[previous].next = gone.next,
            }
            if gone.next != NONE {
                self.subscriptions[gone.next].previous = gone.previous;
            }
            (wanted.plain == NONE).then_some(0)
        };
        let pattern: Box<[u8]> = wanted.pattern.as_slice().into();
        let layer = wanted.layer;
        self.changed(gone.pattern, layer, &pattern);
        if let Some(weight) = weight {
            announce(&Wants {
                layer,
                pattern,
                queue,
                weight,
            });
        }
    }

    /// Drops a pattern that nobody wants any more, and makes the answers it was part of suspect.
    fn changed(&mut self, id: PatternId, layer: Layer, bytes: &[u8]) {
        let pattern = Pattern::new(bytes).expect("patterns are checked when they come in");
        self.distrust(layer, pattern);
        self.groups.drop_empty(id);
        let wanted = &self.patterns[id];
        if wanted.plain != NONE || !wanted.peers.is_empty() || !self.groups.of(id).is_empty() {
            return;
        }
        self.patterns.remove(id);
        if layer.is_importers() {
            self.shadows.pattern_gone(layer.account());
        }
        if pattern.is_literal() {
            let hash = self.literal_hash(layer, bytes);
            if let Ok(entry) = self.literals.find_entry(hash, |key| *key == id) {
                entry.remove();
            }
        } else {
            self.wildcards.remove(layer, pattern);
        }
    }

    fn distrust(&mut self, layer: Layer, pattern: Pattern<'_>) {
        if pattern.is_literal() {
            self.cache.distrust(layer.account(), pattern.as_bytes());
        } else {
            self.epochs.move_on(layer.account(), pattern);
        }
    }

    fn find_pattern(&self, layer: Layer, pattern: Pattern<'_>) -> Option<PatternId> {
        if pattern.is_literal() {
            self.find_literal(layer, pattern.as_bytes())
        } else {
            self.wildcards.find(layer, pattern)
        }
    }

    fn literal_hash(&self, layer: Layer, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes) ^ layer.salt()
    }

    fn find_literal(&self, layer: Layer, bytes: &[u8]) -> Option<PatternId> {
        let is_it = |key: &u32| {
            let wanted = &self.patterns[*key];
            wanted.layer == layer && wanted.pattern.as_slice() == bytes
        };
        self.literals
            .find(self.literal_hash(layer, bytes), is_it)
            .copied()
    }

    fn pattern_entry(&mut self, layer: Layer, pattern: Pattern<'_>) -> PatternId {
        if let Some(id) = self.find_pattern(layer, pattern) {
            return id;
        }
        let id = self.patterns.insert(Wanted {
            pattern: SmallBytes::new(pattern.as_bytes()),
            peers: ShardSet::EMPTY,
            plain: NONE,
            layer,
        });
        if layer.is_importers() {
            self.shadows.pattern_made(layer.account());
        }
        if pattern.is_literal() {
            let hash = self.literal_hash(layer, pattern.as_bytes());
            let Interest {
                literals,
                patterns,
                hasher,
                ..
            } = self;
            let rehash = |key: &u32| {
                let wanted = &patterns[*key];
                hasher.hash_one(wanted.pattern.as_slice()) ^ wanted.layer.salt()
            };
            literals.insert_unique(hash, id, rehash);
        } else {
            self.wildcards.insert(layer, pattern, id);
        }
        id
    }

    /// Makes the answer for a subject from the patterns that match it.
    fn resolve(&mut self, scope: Scope, subject: Subject<'_>) -> Answer {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.match_patterns(scope, subject, &mut scratch.patterns);
        scratch.plain.clear();
        let mut peers = ShardSet::EMPTY;
        let mut has_groups = false;
        for id in &scratch.patterns {
            let wanted = &self.patterns[*id];
            peers = peers.union(wanted.peers);
            has_groups |= !self.groups.of(*id).is_empty();
            let mut at = wanted.plain;
            while at != NONE {
                scratch.plain.push(at);
                at = self.subscriptions[at].next;
            }
        }
        let bytes = subject.as_bytes();
        if !self.hidden.is_empty() {
            let is_shown = |id: &SubscriptionId| !self.is_hidden(*id, bytes, b"");
            scratch.plain.retain(is_shown);
        }
        let hops = self.hops(scope.account(), bytes);
        let alone = peers.is_empty() && !has_groups;
        let answer = match scratch.plain.as_slice() {
            _ if hops.is_some() => {
                let mut fanout = self.fan_out(bytes, &scratch, peers);
                fanout.hops = hops;
                Answer::new(bytes, Prefix::NoSid, Route::Many(Box::new(fanout)))
            }
            [] if alone => Answer::new(bytes, Prefix::NoSid, Route::Nobody),
            [only] if alone && !self.shadows.contains(*only) => {
                let subscription = &self.subscriptions[*only];
                let route = Route::One {
                    connection: subscription.connection,
                    subscription: *only,
                };
                Answer::new(bytes, Prefix::Sid(subscription.sid.as_slice()), route)
            }
            [] if !has_groups => Answer::new(bytes, Prefix::NoSid, Route::Peers(peers)),
            _ => {
                let fanout = self.fan_out(bytes, &scratch, peers);
                Answer::new(bytes, Prefix::NoSid, Route::Many(Box::new(fanout)))
            }
        };
        self.scratch = scratch;
        answer
    }

    /// Whether messages of a subject are kept from a subscription. What counts is the subject as its client would see it.
    fn is_hidden(&self, id: SubscriptionId, subject: &[u8], queue: &[u8]) -> bool {
        let Some(hidden) = self.hidden.get(&self.subscriptions[id].connection) else {
            return false;
        };
        match self.shadows.import_of(id, &self.accounts) {
            None => hidden.matches(subject, queue),
            Some((_, import)) => hidden.matches(&import.subject_here(subject), queue),
        }
    }

    fn match_patterns(&self, scope: Scope, subject: Subject<'_>, found: &mut Vec<PatternId>) {
        found.clear();
        let account = scope.account();
        self.match_layer(Layer::own(account), subject, found);
        if !scope.is_served() && self.shadows.has_importers(account) {
            self.match_layer(Layer::importers(account), subject, found);
        }
    }

    #[inline]
    fn match_layer(&self, layer: Layer, subject: Subject<'_>, found: &mut Vec<PatternId>) {
        found.extend(self.find_literal(layer, subject.as_bytes()));
        self.wildcards
            .matches(layer, subject, &mut |id| found.push(id));
    }

    /// The ways out of the account for messages of `subject`.
    fn hops(&self, account: AccountId, subject: &[u8]) -> Option<Arc<[Hop]>> {
        let is_response = !self.responses.is_empty() && subject.starts_with(&self.responses);
        let mut hops = Vec::new();
        self.accounts
            .services_for(account, subject, &mut |import, subject| {
                hops.push(Hop::Request {
                    import,
                    subject: subject.into(),
                });
            });
        if is_response {
            hops.push(Hop::Response);
        }
        (!hops.is_empty()).then(|| hops.into())
    }

    fn fan_out(&self, subject: &[u8], scratch: &Scratch, peers: ShardSet) -> Fanout {
        let mut fanout = Fanout {
            peers,
            ..Fanout::default()
        };
        let render = |fanout: &mut Fanout, id: SubscriptionId| {
            let subscription = &self.subscriptions[id];
            let sid = subscription.sid.as_slice();
            match self.shadows.import_of(id, &self.accounts) {
                None => fanout.target(subject, sid, subscription.connection, id),
                Some((_, import)) => {
                    let here = import.subject_here(subject);
                    fanout.target(&here, sid, subscription.connection, id)
                }
            }
        };
        for id in &scratch.plain {
            let target = render(&mut fanout, *id);
            fanout.targets.push(target);
        }
        let groups = scratch.patterns.iter().map(|id| self.groups.of(*id));
        for group in groups.flatten() {
            // Groups of one name are one group, whichever pattern their members asked with (nats-server `sublist.go`).
            let mut merged = match fanout
                .groups
                .iter()
                .position(|other| other.name == group.name)
            {
                Some(index) => fanout.groups.swap_remove(index),
                None => GroupFanout {
                    name: group.name.clone(),
                    members: Vec::with_capacity(group.members.len()),
                    peers: Vec::new(),
                    weight: 0,
                },
            };
            let mut weight = 0;
            for id in &group.members {
                if self.hidden.is_empty() || !self.is_hidden(*id, subject, &group.name) {
                    merged.members.push(render(&mut fanout, *id));
                    weight += 1;
                }
            }
            for (shard, weight) in &group.peers {
                match merged.peers.iter_mut().find(|(other, _)| other == shard) {
                    Some((_, sum)) => *sum = sum.saturating_add(*weight),
                    None => merged.peers.push((*shard, *weight)),
                }
                merged.weight = merged.weight.saturating_add(*weight);
            }
            merged.weight = merged.weight.saturating_add(weight);
            if merged.weight > 0 {
                fanout.groups.push(merged);
            }
        }
        fanout
    }
}
