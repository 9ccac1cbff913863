//! The index against a naive model: a list of wishes and the definition of a match, by random operations.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const HERE: usize = 0;
const SHARDS: usize = 3;

/// The naive thirty lines: every wish in a list; a subject is compared with all of them, token by token.
#[derive(Default)]
struct Model {
    wishes: Vec<Wish>,
}

#[derive(Clone, Debug, PartialEq)]
struct Wish {
    shard: usize,
    pattern: String,
    queue: String,
    /// The subscription for a wish of this shard.
    id: SubscriptionId,
}

impl Model {
    fn matches(pattern: &str, subject: &str) -> bool {
        let mut wanted = pattern.split('.');
        for token in subject.split('.') {
            match wanted.next() {
                Some(">") => return true,
                Some("*") => {}
                Some(literal) if literal == token => {}
                _ => return false,
            }
        }
        wanted.next().is_none()
    }

    fn expected(&self, subject: &str) -> Expected {
        let mut expected = Expected::default();
        for wish in self
            .wishes
            .iter()
            .filter(|wish| Model::matches(&wish.pattern, subject))
        {
            match (wish.queue.as_str(), wish.shard) {
                ("", HERE) => assert!(expected.plain.insert(wish.id)),
                ("", peer) => _ = expected.peers.insert(peer),
                (queue, HERE) => {
                    let group = expected.groups.entry(queue.into()).or_default();
                    assert!(group.0.insert(wish.id));
                }
                (queue, peer) => {
                    let group = expected.groups.entry(queue.into()).or_default();
                    *group.1.entry(peer).or_default() += 1;
                }
            }
        }
        expected
    }

    fn weight(&self, shard: usize, pattern: &str, queue: &str) -> u32 {
        let same = |w: &&Wish| w.shard == shard && w.pattern == pattern && w.queue == queue;
        u32::try_from(self.wishes.iter().filter(same).count()).expect("few")
    }
}

#[derive(Debug, Default, PartialEq)]
struct Expected {
    plain: BTreeSet<SubscriptionId>,
    peers: BTreeSet<usize>,
    groups: BTreeMap<String, (BTreeSet<SubscriptionId>, BTreeMap<usize, u32>)>,
}

fn actual(interest: &mut Interest, subject: &str, memo: &mut Memo) -> Expected {
    let mut found = Expected::default();
    let mut claimed = Vec::new();
    let Some((answer, _)) = interest.answer(subject.as_bytes(), memo) else {
        return found;
    };
    assert_eq!(answer.subject(), subject.as_bytes());
    match answer.route() {
        Route::Nobody => {}
        Route::One {
            connection,
            subscription,
        } => {
            claimed.push((*subscription, *connection, answer.head_of_one().to_vec()));
            found.plain.insert(*subscription);
        }
        Route::Peers(peers) => found.peers = peers.iter().map(ShardId::index).collect(),
        Route::Many(fanout) => {
            let mut claim = |target: &Target| {
                let head = fanout.head(target).to_vec();
                claimed.push((target.subscription, target.connection, head));
                target.subscription
            };
            for target in &fanout.targets {
                assert!(
                    found.plain.insert(claim(target)),
                    "a subscription is named twice"
                );
            }
            found.peers = fanout.peers.iter().map(ShardId::index).collect();
            for group in &fanout.groups {
                let name = String::from_utf8(group.name.to_vec()).expect("text");
                let members: BTreeSet<_> = group.members.iter().map(&mut claim).collect();
                let peers: BTreeMap<_, _> = group
                    .peers
                    .iter()
                    .map(|(shard, weight)| (shard.index(), *weight))
                    .collect();
                let weight = members.len() + peers.values().sum::<u32>() as usize;
                assert_eq!(group.weight as usize, weight);
                assert!(
                    found.groups.insert(name, (members, peers)).is_none(),
                    "a group twice"
                );
            }
        }
    }
    for (id, connection, head) in claimed {
        let subscription = interest.subscription(id);
        let sid = subscription.sid.as_slice();
        assert_eq!(subscription.connection, connection);
        assert_eq!(
            head,
            [b"HMSG ", subject.as_bytes(), b" ", sid, b" "].concat()
        );
    }
    found
}

#[derive(Clone, Debug)]
enum Operation {
    Subscribe {
        shard: usize,
        pattern: String,
        queue: String,
    },
    Unsubscribe(prop::sample::Index),
    Publish(String),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let token = prop_oneof![Just("a"), Just("b"), Just("c"), Just("*")];
    let pattern = (prop::collection::vec(token, 1..4), any::<bool>()).prop_map(|(tokens, open)| {
        let mut pattern = tokens.join(".");
        if open {
            pattern.push_str(".>");
        }
        pattern
    });
    let pattern = prop_oneof![9 => pattern, 1 => Just(">".to_owned())];
    let subject = prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..5);
    let queue = prop_oneof![3 => Just(""), 1 => Just("q"), 1 => Just("r")];
    let operation = prop_oneof![
        3 => (0..SHARDS, pattern, queue).prop_map(|(shard, pattern, queue)| {
            Operation::Subscribe { shard, pattern, queue: queue.to_owned() }
        }),
        2 => any::<prop::sample::Index>().prop_map(Operation::Unsubscribe),
        4 => subject.prop_map(|tokens| Operation::Publish(tokens.join("."))),
    ];
    prop::collection::vec(operation, 1..120)
}

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::new(text.as_bytes()).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every answer is the model's, whatever came and went before and whatever the cache remembers.
    #[test]
    fn answers_are_the_naive_models(operations in operations()) {
        let mut interest = Interest::new(11);
        let mut model = Model::default();
        let mut memo = Memo::default();
        for operation in operations {
            match operation {
                Operation::Subscribe { shard, pattern: text, queue } => {
                    let mut id = 0;
                    model.wishes.push(Wish { shard, pattern: text.clone(), queue: queue.clone(), id });
                    let count = model.weight(shard, &text, &queue);
                    if shard == HERE {
                        let sid = model.wishes.len().to_string();
                        let change;
                        (id, change) =
                            interest.subscribe(7, pattern(&text), queue.as_bytes(), sid.as_bytes());
                        let announced = !queue.is_empty() || count == 1;
                        prop_assert_eq!(change.map(|wants| wants.weight), announced.then_some(count));
                    } else {
                        let weight = if queue.is_empty() { 1 } else { count };
                        interest.peer_wants(shard_id(shard), pattern(&text), queue.as_bytes(), weight);
                    }
                    model.wishes.last_mut().expect("just pushed").id = id;
                }
                Operation::Unsubscribe(index) if !model.wishes.is_empty() => {
                    let gone = model.wishes.remove(index.index(model.wishes.len()));
                    let count = model.weight(gone.shard, &gone.pattern, &gone.queue);
                    let last = count == 0 || !gone.queue.is_empty();
                    if gone.shard == HERE {
                        let change = interest.unsubscribe(gone.id);
                        prop_assert_eq!(change.map(|wants| wants.weight), last.then_some(count));
                    } else if last {
                        let (text, queue) = (pattern(&gone.pattern), gone.queue.as_bytes());
                        interest.peer_wants(shard_id(gone.shard), text, queue, count);
                    }
                }
                Operation::Unsubscribe(_) => {}
                Operation::Publish(subject) => {
                    let found = actual(&mut interest, &subject, &mut memo);
                    prop_assert_eq!(found, model.expected(&subject));
                }
            }
        }
        for wish in model.wishes.drain(..) {
            if wish.shard == HERE {
                interest.unsubscribe(wish.id);
            } else {
                let shard = shard_id(wish.shard);
                interest.peer_wants(shard, pattern(&wish.pattern), wish.queue.as_bytes(), 0);
            }
        }
        prop_assert_eq!((interest.pattern_count(), interest.subscription_count()), (0, 0));
        prop_assert!(interest.wildcards.is_empty(), "a trie node has leaked");
    }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few"))
}

#[test]
fn the_cache_stays_within_its_limit() {
    use crate::base::limits::CACHED_SUBJECTS_MAX;
    let mut interest = Interest::new(3);
    interest.subscribe(0, pattern("load.>"), b"", b"1");
    let mut memo = Memo::default();
    for number in 0..CACHED_SUBJECTS_MAX + 1000 {
        let subject = format!("load.{number}");
        let found = actual(&mut interest, &subject, &mut memo);
        assert_eq!(found.plain.len(), 1);
    }
    assert_eq!(interest.cached_count(), CACHED_SUBJECTS_MAX);
    let early = actual(&mut interest, "load.0", &mut memo);
    assert_eq!(early.plain.len(), 1, "a forgotten answer is made again");
}

#[test]
fn remembered_targets_stay_within_their_limit() {
    use crate::base::limits::CACHED_TARGETS_MAX;
    let mut interest = Interest::new(3);
    let wide = 1000;
    for number in 0..wide {
        interest.subscribe(
            number,
            pattern("wide.*"),
            b"",
            number.to_string().as_bytes(),
        );
    }
    let mut memo = Memo::default();
    for number in 0..CACHED_TARGETS_MAX / wide as usize + 50 {
        let found = actual(&mut interest, &format!("wide.{number}"), &mut memo);
        assert_eq!(found.plain.len(), wide as usize);
        assert!(interest.cache.targets() <= CACHED_TARGETS_MAX);
    }
}
