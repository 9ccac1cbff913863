//! The index against a naive model: a list of wishes and the definition of a match, by random operations, in several
//! accounts between which streams are imported.

use super::*;
use crate::config;
use crate::config::account::{Export, ExportKind, Import, ImportKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const HERE: usize = 0;
const SHARDS: usize = 3;
const ACCOUNTS: u16 = 3;
const GLOBAL: Scope = Scope::published(AccountId::GLOBAL);

/// The naive thirty lines: every wish in a list; a subject is compared with all of them, token by token.
#[derive(Default)]
struct Model {
    wishes: Vec<Asked>,
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    shard: usize,
    account: u16,
    /// For a shadow: the account that imports, and the import.
    imported: Option<(u16, usize)>,
    pattern: String,
    queue: String,
    /// The subscription of this shard's client; a shadow's is its parent's.
    id: SubscriptionId,
    sid: String,
}

/// Every second subscription belongs to a connection from which these subjects are kept, some in a queue group only.
const SHY: u32 = 8;
const HIDDEN: [(&str, &str); 5] = [
    ("a.b", ""),
    ("x.>", ""),
    ("c.*", ""),
    ("b", "q"),
    ("a.*.c", "r"),
];

fn connection_of(sid: &str) -> u32 {
    7 + u32::from(sid.ends_with(['1', '3', '5', '7', '9']))
}

fn hidden_from_the_shy() -> Arc<PatternSet> {
    let mut hidden = PatternSet::default();
    for (text, queue) in HIDDEN {
        hidden.insert(pattern(text), queue.as_bytes());
    }
    Arc::new(hidden)
}

/// What each account imports from which: the pattern there and the one here.
const IMPORTS: [(u16, u16, &str, &str); 5] = [
    (0, 1, "a.>", "a.>"),
    (0, 1, "b.*.*", "x.$2.$1"),
    (0, 2, "c", "b"),
    (1, 2, "a.*", "z.a.*"),
    (2, 0, "*", "c.*"),
];

/// The accounts that tests of this room share.
fn accounts() -> Arc<Accounts> {
    let mut list = config::account::predefined();
    list.push(config::Account {
        name: "C".to_owned(),
        ..config::Account::default()
    });
    for account in &mut list {
        account.exports.push(Export {
            subject: ">".to_owned(),
            accounts: None,
            account_token_position: 0,
            kind: ExportKind::Stream,
            allow_trace: false,
        });
    }
    for (to, from, there, here) in IMPORTS {
        list[usize::from(to)].imports.push(Import {
            from: AccountId(from),
            subject: there.to_owned(),
            kind: ImportKind::Stream {
                to: Some(here.to_owned()),
            },
            allow_trace: false,
        });
    }
    Arc::new(Accounts::compile(&list, AccountId::SYSTEM).expect("valid"))
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

    /// The wish of a client, and those that the imports of its account make of it. Imports are understood by hand here.
    fn ask(&mut self, asked: &Asked) {
        self.wishes.push(asked.clone());
        for (index, (to, from, there, here)) in IMPORTS.into_iter().enumerate() {
            if to != asked.account {
                continue;
            }
            let here_pattern = here.replace("$1", "*").replace("$2", "*");
            let Some(common) = common(&asked.pattern, &here_pattern) else {
                continue;
            };
            let words: Vec<&str> = common.split('.').collect();
            let pattern = match there {
                "b.*.*" => format!("b.{}.{}", words[2], words[1]),
                "a.*" => format!("a.{}", words[2]),
                "*" => words[1].to_owned(),
                same if same == here => common,
                literal => literal.to_owned(),
            };
            let import = IMPORTS[..index].iter().filter(|(other, ..)| *other == to);
            self.wishes.push(Asked {
                account: from,
                imported: Some((to, import.count())),
                pattern,
                ..asked.clone()
            });
        }
    }

    /// What a message to `subject` in an account is called for this wish.
    fn called(asked: &Asked, subject: &str) -> String {
        let Some((to, index)) = asked.imported else {
            return subject.to_owned();
        };
        let mut imports = IMPORTS.iter().filter(|(other, ..)| *other == to);
        let (_, _, there, here) = imports.nth(index).expect("one of these");
        let words: Vec<&str> = subject.split('.').collect();
        match *there {
            "b.*.*" => format!("x.{}.{}", words[2], words[1]),
            "a.*" => format!("z.a.{}", words[1]),
            "*" => format!("c.{}", words[0]),
            same if same == *here => subject.to_owned(),
            _ => (*here).to_owned(),
        }
    }

    fn expected(&self, scope: Scope, subject: &str) -> Expected {
        let mut expected = Expected::default();
        for wish in self.wishes.iter().filter(|wish| {
            wish.account == scope.account().0
                && !(scope.is_served() && wish.imported.is_some())
                && Model::matches(&wish.pattern, subject)
        }) {
            let called = Model::called(wish, subject);
            let is_hidden = |(pattern, queue): &(&str, &str)| {
                Model::matches(pattern, &called) && (queue.is_empty() || *queue == wish.queue)
            };
            let is_shy = wish.shard == HERE && connection_of(&wish.sid) == SHY;
            if is_shy && HIDDEN.iter().any(is_hidden) {
                continue;
            }
            let head = format!("HMSG {called} {} ", wish.sid);
            match (wish.queue.as_str(), wish.shard) {
                ("", HERE) => expected.plain.push(head),
                ("", peer) => _ = expected.peers.insert(peer),
                (queue, HERE) => expected
                    .groups
                    .entry(queue.into())
                    .or_default()
                    .0
                    .push(head),
                (queue, peer) => {
                    let group = expected.groups.entry(queue.into()).or_default();
                    *group.1.entry(peer).or_default() += 1;
                }
            }
        }
        expected.sorted()
    }

    /// The subscriptions of one kind on one shard.
    fn weight(&self, like: &Asked) -> u32 {
        let same = |other: &&Asked| {
            other.shard == like.shard
                && other.account == like.account
                && other.imported.is_some() == like.imported.is_some()
                && other.pattern == like.pattern
                && other.queue == like.queue
        };
        u32::try_from(self.wishes.iter().filter(same).count()).expect("few")
    }

    /// Every kind of wish of a shard with its weight, as announcements have it.
    fn kinds(&self, shard: usize) -> BTreeMap<Kind, u32> {
        let of_shard = self.wishes.iter().filter(|wish| wish.shard == shard);
        let kinds = of_shard.map(|wish| {
            let weight = if wish.queue.is_empty() {
                1
            } else {
                self.weight(wish)
            };
            (wish.kind(), weight)
        });
        kinds.collect()
    }
}

/// What an announcement is about.
type Kind = (u32, String, String);

impl Asked {
    fn kind(&self) -> Kind {
        let account = AccountId(self.account);
        let layer = match self.imported {
            None => Layer::own(account),
            Some(_) => Layer::importers(account),
        };
        (layer.number(), self.pattern.clone(), self.queue.clone())
    }
}

/// The pattern of what is of both, word by word.
fn common(left: &str, right: &str) -> Option<String> {
    let (left, right): (Vec<_>, Vec<_>) = (left.split('.').collect(), right.split('.').collect());
    let mut words = Vec::new();
    for index in 0.. {
        match (left.get(index), right.get(index)) {
            (None, None) => break,
            (Some(&">"), Some(_)) => {
                words.extend(&right[index..]);
                break;
            }
            (Some(_), Some(&">")) => {
                words.extend(&left[index..]);
                break;
            }
            (Some(&"*"), Some(word)) | (Some(word), Some(&"*")) => words.push(*word),
            (Some(one), Some(other)) if one == other => words.push(*one),
            _ => return None,
        }
    }
    Some(words.join("."))
}

/// Deliveries by their heads: one subscription may be named twice, by two imports.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    plain: Vec<String>,
    peers: BTreeSet<usize>,
    groups: BTreeMap<String, (Vec<String>, BTreeMap<usize, u32>)>,
}

impl Expected {
    fn sorted(mut self) -> Expected {
        self.plain.sort();
        self.groups
            .values_mut()
            .for_each(|(members, _)| members.sort());
        self
    }
}

fn actual(interest: &mut Interest, scope: Scope, subject: &str, memo: &mut Memo) -> Expected {
    let mut found = Expected::default();
    let Some((answer, _)) = interest.answer(scope, subject.as_bytes(), memo) else {
        return found;
    };
    assert_eq!(answer.subject(), subject.as_bytes());
    let text = |head: &[u8]| String::from_utf8(head.to_vec()).expect("text");
    let mut claimed = Vec::new();
    match answer.route() {
        Route::Nobody => {}
        Route::One {
            connection,
            subscription,
        } => {
            claimed.push((*connection, *subscription));
            found.plain.push(text(answer.head_of_one()));
        }
        Route::Peers(peers) => found.peers = peers.iter().map(ShardId::index).collect(),
        Route::Many(fanout) => {
            assert_eq!(fanout.hops, None, "there are no services here");
            let mut claim = |target: &Target| {
                claimed.push((target.connection, target.subscription));
                text(fanout.head(target))
            };
            found.plain = fanout.targets.iter().map(&mut claim).collect();
            found.peers = fanout.peers.iter().map(ShardId::index).collect();
            for group in &fanout.groups {
                let name = text(&group.name);
                let members: Vec<_> = group.members.iter().map(&mut claim).collect();
                let peers: BTreeMap<_, _> = group
                    .peers
                    .iter()
                    .map(|(shard, weight)| (shard.index(), *weight))
                    .collect();
                let weight = members.len() + peers.values().sum::<u32>() as usize;
                assert_eq!(group.weight as usize, weight);
                let twice = found.groups.insert(name, (members, peers));
                assert!(twice.is_none(), "a group twice");
            }
        }
    }
    let count = claimed.len();
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), count, "a subscription is named twice");
    for (connection, id) in claimed {
        assert_eq!(interest.subscription(id).connection, connection);
    }
    found.sorted()
}

#[derive(Clone, Debug)]
enum Operation {
    Subscribe {
        shard: usize,
        account: u16,
        pattern: String,
        queue: String,
    },
    Unsubscribe(prop::sample::Index),
    Publish(Scope, String),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let token = prop::sample::select(vec!["a", "b", "c", "x", "z", "*", "*"]);
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
        3 => (0..SHARDS, 0..ACCOUNTS, pattern, queue).prop_map(|(shard, account, pattern, queue)| {
            Operation::Subscribe { shard, account, pattern, queue: queue.to_owned() }
        }),
        2 => any::<prop::sample::Index>().prop_map(Operation::Unsubscribe),
        4 => (0..ACCOUNTS, any::<bool>(), subject).prop_map(|(account, served, tokens)| {
            let account = AccountId(account);
            let scope = if served { Scope::served(account) } else { Scope::published(account) };
            Operation::Publish(scope, tokens.join("."))
        }),
    ];
    prop::collection::vec(operation, 1..120)
}

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::new(text.as_bytes()).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every answer is the model's, whatever came and went before and whatever the cache remembers; and announcements tell
    /// the other shards all there is to know.
    #[test]
    fn answers_are_the_naive_models(operations in operations()) {
        let mut interest = Interest::new(accounts(), 11);
        interest.hide(SHY, Some(hidden_from_the_shy()));
        let mut model = Model::default();
        let mut told = BTreeMap::new();
        let mut memo = Memo::default();
        let mut number = 0;
        for operation in operations {
            match operation {
                Operation::Subscribe { shard, account, pattern: text, queue } => {
                    number += 1;
                    let sid = number.to_string();
                    let mut asked = Asked { shard, account, imported: None, pattern: text, queue, id: 0, sid };
                    if shard == HERE {
                        asked.id = interest.subscribe(&wish(&asked), &mut |wants| tell(&mut told, wants));
                    }
                    let before = model.kinds(shard);
                    model.ask(&asked);
                    if shard != HERE {
                        hear(&mut interest, shard, &before, &model.kinds(shard));
                    }
                }
                Operation::Unsubscribe(index) if !model.wishes.is_empty() => {
                    let gone = model.wishes[index.index(model.wishes.len())].clone();
                    let before = model.kinds(gone.shard);
                    model.wishes.retain(|wish| (wish.shard, &wish.sid) != (gone.shard, &gone.sid));
                    if gone.shard == HERE {
                        interest.unsubscribe(gone.id, &mut |wants| tell(&mut told, wants));
                    } else {
                        hear(&mut interest, gone.shard, &before, &model.kinds(gone.shard));
                    }
                }
                Operation::Unsubscribe(_) => {}
                Operation::Publish(scope, subject) => {
                    let found = actual(&mut interest, scope, &subject, &mut memo);
                    prop_assert_eq!(found, model.expected(scope, &subject));
                }
            }
            prop_assert_eq!(&told, &model.kinds(HERE));
        }
        for shard in 1..SHARDS {
            hear(&mut interest, shard, &model.kinds(shard), &BTreeMap::new());
        }
        model.wishes.retain(|wish| wish.shard == HERE && wish.imported.is_none());
        prop_assert_eq!(interest.subscription_count(), model.wishes.len());
        for wish in model.wishes.drain(..) {
            interest.unsubscribe(wish.id, &mut |wants| tell(&mut told, wants));
        }
        prop_assert!(told.is_empty());
        prop_assert_eq!((interest.pattern_count(), interest.subscription_count()), (0, 0));
        prop_assert!(interest.wildcards.is_empty(), "a trie node has leaked");
        prop_assert!(interest.shadows.is_empty(), "a shadow has leaked");
    }
}

fn wish(asked: &Asked) -> Wish<'_> {
    Wish {
        account: AccountId(asked.account),
        connection: connection_of(&asked.sid),
        pattern: pattern(&asked.pattern),
        queue: asked.queue.as_bytes(),
        sid: asked.sid.as_bytes(),
    }
}

/// Notes an announcement as a peer would.
fn tell(told: &mut BTreeMap<Kind, u32>, wants: &Wants) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let kind = (
        wants.layer.number(),
        text(&wants.pattern),
        text(&wants.queue),
    );
    if wants.weight == 0 {
        told.remove(&kind)
            .expect("only what was told is taken back");
    } else {
        told.insert(kind, wants.weight);
    }
}

/// Brings what has changed for another shard.
fn hear(
    interest: &mut Interest,
    shard: usize,
    before: &BTreeMap<Kind, u32>,
    after: &BTreeMap<Kind, u32>,
) {
    let kinds: BTreeSet<&Kind> = before.keys().chain(after.keys()).collect();
    for kind in kinds {
        if before.get(kind) != after.get(kind) {
            let (layer, text, queue) = kind;
            let weight = after.get(kind).copied().unwrap_or(0);
            let layer = Layer::from_number(*layer);
            interest.peer_wants(
                shard_id(shard),
                layer,
                pattern(text),
                queue.as_bytes(),
                weight,
            );
        }
    }
}

fn shard_id(index: usize) -> ShardId {
    ShardId(u8::try_from(index).expect("few"))
}

fn subscribe(interest: &mut Interest, connection: u32, text: &str) -> SubscriptionId {
    let wish = Wish {
        account: AccountId::GLOBAL,
        connection,
        pattern: pattern(text),
        queue: b"",
        sid: &connection.to_string().into_bytes(),
    };
    interest.subscribe(&wish, &mut |_| {})
}

#[test]
fn nothing_is_hidden_any_more_from_the_next_tenant_of_a_slot() {
    let mut interest = Interest::new(accounts(), 3);
    interest.hide(SHY, Some(hidden_from_the_shy()));
    let id = subscribe(&mut interest, SHY, ">");
    let hears = |interest: &mut Interest| {
        !actual(interest, GLOBAL, "a.b", &mut Memo::default())
            .plain
            .is_empty()
    };
    assert!(!hears(&mut interest));
    interest.unsubscribe(id, &mut |_| {});
    interest.hide(SHY, None);
    subscribe(&mut interest, SHY, ">");
    assert!(hears(&mut interest));
}

#[test]
fn a_memo_of_another_account_gives_no_answer_of_its() {
    let mut interest = Interest::new(accounts(), 3);
    subscribe(&mut interest, 1, "a");
    let mut memo = Memo::default();
    for _ in 0..2 {
        // The memo points at the other account's answer each time.
        let there = actual(
            &mut interest,
            Scope::published(AccountId(1)),
            "a",
            &mut memo,
        );
        assert_eq!(there, Expected::default());
        let here = actual(&mut interest, GLOBAL, "a", &mut memo);
        assert_eq!(here.plain, ["HMSG a 1 "]);
    }
    assert_eq!(interest.cached_count(), 2);
}

#[test]
fn the_cache_stays_within_its_limit() {
    use crate::base::limits::CACHED_SUBJECTS_MAX;
    let mut interest = Interest::new(Arc::default(), 3);
    subscribe(&mut interest, 0, "load.>");
    let mut memo = Memo::default();
    for number in 0..CACHED_SUBJECTS_MAX + 1000 {
        let subject = format!("load.{number}");
        let found = actual(&mut interest, GLOBAL, &subject, &mut memo);
        assert_eq!(found.plain.len(), 1);
    }
    assert_eq!(interest.cached_count(), CACHED_SUBJECTS_MAX);
    let early = actual(&mut interest, GLOBAL, "load.0", &mut memo);
    assert_eq!(early.plain.len(), 1, "a forgotten answer is made again");
}

#[test]
fn remembered_targets_stay_within_their_limit() {
    use crate::base::limits::CACHED_TARGETS_MAX;
    let mut interest = Interest::new(Arc::default(), 3);
    let wide = 1000;
    for number in 0..wide {
        subscribe(&mut interest, number, "wide.*");
    }
    let mut memo = Memo::default();
    for number in 0..CACHED_TARGETS_MAX / wide as usize + 50 {
        let found = actual(&mut interest, GLOBAL, &format!("wide.{number}"), &mut memo);
        assert_eq!(found.plain.len(), wide as usize);
        assert!(interest.cache.targets() <= CACHED_TARGETS_MAX);
    }
}
