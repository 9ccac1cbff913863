//! Who wants what, as one shard knows it. *Hot path: [`Interest::answer`]; the rest is per subscription.*
//!
//! Two kinds of origin: subscriptions of this shard's own connections, one by one, and for every other shard the
//! patterns it has subscriptions for, with a weight per queue group. A peer shard is to this room what a routed server
//! is to a cluster.
//!
//! Invariants
//! - A pattern is here exactly while somebody wants it; an answer is made from patterns only, never from other answers.
//! - [`Wants`] is handed out for the first local wish for a pattern, for the last one gone, and for every change in the
//!   number of members of a queue group: with these, a peer's picture is complete.
//! - It does not know what a socket, a session or a message is.

mod cache;
mod epochs;
mod fanout;
mod groups;
mod listing;
mod scouted;
mod tallies;
mod trie;

#[cfg(test)]
mod tests;

use crate::base::ids::{ShardId, ShardSet};
use crate::base::slab::Slab;
use crate::base::small_bytes::SmallBytes;
use crate::subject::{Pattern, Subject};
use cache::{Cache, Found};
use epochs::Epochs;
use fanout::Prefix;
use foldhash::fast::FixedState;
use groups::Groups;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use trie::Trie;

pub use cache::Memo;
pub use fanout::{Answer, Fanout, GroupFanout, Route, Target};
pub use listing::{Listed, Usage};
pub use scouted::Scouted;
pub use tallies::Tallies;

/// Names a subscription of this shard while it lives.
pub type SubscriptionId = u32;
type PatternId = u32;

const NONE: u32 = u32::MAX;

/// The interest of one shard, its own and its peers'.
#[derive(Debug)]
pub struct Interest {
    patterns: Slab<Wanted>,
    literals: HashTable<PatternId>,
    wildcards: Trie,
    subscriptions: Slab<Subscription>,
    groups: Groups,
    tallies: Tallies,
    epochs: Epochs,
    cache: Cache,
    usage: Usage,
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
}

// There may be millions of either, and of patterns as many on every shard.
const _: () = assert!(size_of::<Wanted>() <= 40 && size_of::<Subscription>() <= 40);

/// Lists that [`Interest::resolve`] fills anew each time, kept for their memory.
#[derive(Debug, Default)]
struct Scratch {
    patterns: Vec<PatternId>,
    plain: Vec<SubscriptionId>,
}

impl Interest {
    /// `seed` keeps others from choosing subjects that share a hash bucket.
    pub fn new(seed: u64) -> Interest {
        Interest {
            patterns: Slab::new(),
            literals: HashTable::new(),
            wildcards: Trie::new(seed),
            subscriptions: Slab::new(),
            groups: Groups::new(seed),
            tallies: Tallies::default(),
            epochs: Epochs::new(seed),
            cache: Cache::new(seed),
            usage: Usage::default(),
            scratch: Scratch::default(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Who gets messages of `subject`, and the subscriptions to count the deliveries on. `None` for a subject with an
    /// empty token, which nobody can want. `memo` is where the caller found its last answer.
    #[inline(always)]
    pub fn answer(&mut self, subject: &[u8], memo: &mut Memo) -> Option<(&Answer, &mut Tallies)> {
        match self.cache.look_up(subject, *memo, &self.epochs) {
            Found::Current(found) => *memo = found,
            Found::Stale(found) => {
                *memo = found;
                self.make_again(subject, found)?;
            }
            Found::Absent => *memo = self.make(subject)?,
        }
        Some((self.cache.answer(*memo), &mut self.tallies))
    }

    #[cold]
    #[inline(never)]
    fn make_again(&mut self, subject: &[u8], memo: Memo) -> Option<()> {
        self.usage.misses += 1;
        let answer = self.resolve(Subject::new(subject)?);
        self.cache.refresh(memo, answer, &self.epochs);
        Some(())
    }

    #[inline(never)]
    fn make(&mut self, subject: &[u8]) -> Option<Memo> {
        self.usage.misses += 1;
        let answer = self.resolve(Subject::new(subject)?);
        Some(self.cache.remember(answer, &self.epochs))
    }

    /// Adds a subscription of this shard. `queue` is empty for a plain one.
    pub fn subscribe(
        &mut self,
        connection: u32,
        pattern: Pattern<'_>,
        queue: &[u8],
        sid: &[u8],
    ) -> (SubscriptionId, Option<Wants>) {
        let wanted_id = self.pattern_entry(pattern);
        let id = self.subscriptions.insert(Subscription {
            connection,
            sid: SmallBytes::new(sid),
            pattern: wanted_id,
            next: NONE,
            previous: NONE,
            in_group: !queue.is_empty(),
        });
        self.tallies.begin(id);
        self.usage.inserts += 1;
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
        self.distrust(pattern);
        let change = weight.map(|weight| Wants {
            pattern: pattern.as_bytes().into(),
            queue: queue.into(),
            weight,
        });
        (id, change)
    }

    /// Ends a subscription of this shard.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> Option<Wants> {
        let gone = self.subscriptions.remove(id)?;
        self.tallies.end(id);
        self.usage.removes += 1;
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
        self.changed(gone.pattern, &pattern);
        weight.map(|weight| Wants {
            pattern,
            queue,
            weight,
        })
    }

    /// Notes what another shard wants from now on; the newest word on a pattern and queue holds.
    pub fn peer_wants(&mut self, peer: ShardId, pattern: Pattern<'_>, queue: &[u8], weight: u32) {
        let id = match self.find_pattern(pattern) {
            Some(id) => id,
            None if weight == 0 => return,
            None => self.pattern_entry(pattern),
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
        self.changed(id, pattern.as_bytes());
    }

    pub fn subscription(&self, id: SubscriptionId) -> &Subscription {
        &self.subscriptions[id]
    }

    /// Messages given to a subscription of this shard since it was made.
    pub fn delivered(&self, id: SubscriptionId) -> u64 {
        self.tallies.delivered(id)
    }

    /// Lets a subscription end once it has had `max` deliveries in all; `max` is more than it has had.
    pub fn limit_deliveries(&mut self, id: SubscriptionId, max: u64) {
        self.tallies.limit(id, max);
    }

    /// Subscriptions of this shard.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Patterns wanted here or elsewhere.
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }

    /// Subjects whose answer is remembered.
    pub fn cached_count(&self) -> usize {
        self.cache.len()
    }

    /// Drops a pattern that nobody wants any more, and makes the answers it was part of suspect.
    fn changed(&mut self, id: PatternId, bytes: &[u8]) {
        let pattern = Pattern::new(bytes).expect("patterns are checked when they come in");
        self.distrust(pattern);
        self.groups.drop_empty(id);
        let wanted = &self.patterns[id];
        if wanted.plain != NONE || !wanted.peers.is_empty() || !self.groups.of(id).is_empty() {
            return;
        }
        self.patterns.remove(id);
        if pattern.is_literal() {
            let hash = self.hasher.hash_one(bytes);
            if let Ok(entry) = self.literals.find_entry(hash, |key| *key == id) {
                entry.remove();
            }
        } else {
            self.wildcards.remove(pattern);
        }
    }

    fn distrust(&mut self, pattern: Pattern<'_>) {
        if pattern.is_literal() {
            self.cache.distrust(pattern.as_bytes());
        } else {
            self.epochs.move_on(pattern);
        }
    }

    fn find_pattern(&self, pattern: Pattern<'_>) -> Option<PatternId> {
        if pattern.is_literal() {
            self.find_literal(pattern.as_bytes())
        } else {
            self.wildcards.find(pattern)
        }
    }

    fn find_literal(&self, bytes: &[u8]) -> Option<PatternId> {
        let is_it = |key: &u32| self.patterns[*key].pattern.as_slice() == bytes;
        self.literals
            .find(self.hasher.hash_one(bytes), is_it)
            .copied()
    }

    fn pattern_entry(&mut self, pattern: Pattern<'_>) -> PatternId {
        if let Some(id) = self.find_pattern(pattern) {
            return id;
        }
        let id = self.patterns.insert(Wanted {
            pattern: SmallBytes::new(pattern.as_bytes()),
            peers: ShardSet::EMPTY,
            plain: NONE,
        });
        if pattern.is_literal() {
            let Interest {
                literals,
                patterns,
                hasher,
                ..
            } = self;
            let rehash = |key: &u32| hasher.hash_one(patterns[*key].pattern.as_slice());
            literals.insert_unique(hasher.hash_one(pattern.as_bytes()), id, rehash);
        } else {
            self.wildcards.insert(pattern, id);
        }
        id
    }

    /// Makes the answer for a subject from the patterns that match it.
    fn resolve(&mut self, subject: Subject<'_>) -> Answer {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.patterns.clear();
        scratch
            .patterns
            .extend(self.find_literal(subject.as_bytes()));
        self.wildcards
            .matches(subject, &mut |id| scratch.patterns.push(id));
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
        let alone = peers.is_empty() && !has_groups;
        let answer = match scratch.plain.as_slice() {
            [] if alone => Answer::new(bytes, Prefix::NoSid, Route::Nobody),
            [only] if alone => {
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

    fn fan_out(&self, subject: &[u8], scratch: &Scratch, peers: ShardSet) -> Fanout {
        let mut fanout = Fanout {
            peers,
            ..Fanout::default()
        };
        let render = |fanout: &mut Fanout, id: SubscriptionId| {
            let subscription = &self.subscriptions[id];
            fanout.target(
                subject,
                subscription.sid.as_slice(),
                subscription.connection,
                id,
            )
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
            for id in &group.members {
                merged.members.push(render(&mut fanout, *id));
            }
            for (shard, weight) in &group.peers {
                match merged.peers.iter_mut().find(|(other, _)| other == shard) {
                    Some((_, sum)) => *sum = sum.saturating_add(*weight),
                    None => merged.peers.push((*shard, *weight)),
                }
                merged.weight = merged.weight.saturating_add(*weight);
            }
            merged.weight = merged.weight.saturating_add(group.weight());
            fanout.groups.push(merged);
        }
        fanout
    }
}
