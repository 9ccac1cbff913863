//! The awaited responses against a list in which everything is searched.

use super::*;
use crate::base::rng::Rng;
use proptest::prelude::*;

fn awaited(importer: u16, reply: &str, threshold: u64) -> Awaited {
    Awaited {
        exporter: AccountId(9),
        importer: AccountId(importer),
        reply: reply.as_bytes().into(),
        export: ExportId::first_of(AccountId(9)),
        kind: ResponseKind::Stream,
        threshold: Duration::from_secs(threshold),
        measured: None,
    }
}

fn at(second: u64) -> Now {
    Now::ZERO.after(Duration::from_secs(second))
}

#[derive(Clone, Debug)]
enum Operation {
    Wait {
        importer: u16,
        reply: usize,
        threshold: u64,
    },
    Answer {
        which: prop::sample::Index,
        is_last: bool,
    },
    Pass(u64),
    Search {
        importer: u16,
        pattern: usize,
    },
}

const REPLIES: [&str; 4] = ["i.a", "i.b", "j", "i.a.b"];
const PATTERNS: [&str; 5] = ["i.a", "i.*", "i.>", "j", "none"];

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0u16..2, 0..REPLIES.len(), prop::sample::select(vec![1u64, 5, 120]))
            .prop_map(|(importer, reply, threshold)| Operation::Wait { importer, reply, threshold }),
        3 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, is_last)| Operation::Answer { which, is_last }),
        1 => (0u64..4).prop_map(Operation::Pass),
        1 => (0u16..2, 0..PATTERNS.len())
            .prop_map(|(importer, pattern)| Operation::Search { importer, pattern }),
    ]
}

/// What the model knows of an entry.
#[derive(Clone, Debug)]
struct Known {
    key: u32,
    subject: Vec<u8>,
    importer: u16,
    reply: &'static str,
    expires: u64,
    threshold: u64,
}

proptest! {
    #[test]
    fn they_are_what_a_list_would_be(operations in prop::collection::vec(operation(), 0..120)) {
        let mut replies = Replies::new(Rng::from_seed(3));
        replies.max = 8;
        let mut known: Vec<Known> = Vec::new();
        let mut now = 0;
        for operation in operations {
            match operation {
                Operation::Wait { importer, reply, threshold } => {
                    let reply = REPLIES[reply];
                    let (key, given_up) = replies.wait_for(awaited(importer, reply, threshold), at(now));
                    if known.len() == 8 {
                        let earliest = known.iter().map(|entry| entry.expires).min();
                        let given_up = given_up.expect("somebody makes room");
                        let gone = known.iter().position(|entry| {
                            Some(entry.expires) == earliest
                                && entry.importer == given_up.importer.0
                                && entry.reply.as_bytes() == &*given_up.reply
                                && replies.find(AccountId(9), &entry.subject).is_none()
                        });
                        known.remove(gone.expect("the one that would have expired first"));
                    } else {
                        prop_assert!(given_up.is_none());
                    }
                    let subject = replies.subject(key);
                    prop_assert!(known.iter().all(|entry| entry.subject != subject && entry.key != key));
                    known.push(Known { key, subject, importer, reply, expires: now + threshold, threshold });
                }
                Operation::Answer { which, is_last } if !known.is_empty() => {
                    let index = which.index(known.len());
                    let entry = &mut known[index];
                    prop_assert_eq!(replies.find(AccountId(9), &entry.subject), Some(entry.key));
                    prop_assert_eq!(replies.find(AccountId(8), &entry.subject), None);
                    let home = replies.get(entry.key).map(Awaited::home);
                    prop_assert_eq!(home, Some((AccountId(entry.importer), entry.reply.as_bytes())));
                    if is_last {
                        prop_assert!(replies.remove(entry.key).is_some());
                        prop_assert!(replies.remove(entry.key).is_none());
                        known.remove(index);
                    } else {
                        replies.refresh(entry.key, at(now));
                        entry.expires = now + entry.threshold;
                    }
                }
                Operation::Answer { .. } => {}
                Operation::Pass(seconds) => {
                    now += seconds;
                    let mut expired = 0;
                    while let Some(gone) = replies.expired(at(now)) {
                        prop_assert_eq!(gone.exporter, AccountId(9));
                        expired += 1;
                    }
                    let before = known.len();
                    known.retain(|entry| entry.expires > now);
                    prop_assert_eq!(expired, before - known.len());
                }
                Operation::Search { importer, pattern } => {
                    let pattern = PATTERNS[pattern];
                    let of = |entry: &&Known| {
                        entry.importer == importer && matches(pattern.as_bytes(), entry.reply.as_bytes())
                    };
                    let mut wanted: Vec<u32> = known.iter().filter(of).map(|entry| entry.key).collect();
                    let pattern = Pattern::new(pattern.as_bytes()).expect("valid");
                    let mut found = replies.of(AccountId(importer), pattern);
                    wanted.sort_unstable();
                    found.sort_unstable();
                    prop_assert_eq!(found, wanted);
                }
            }
            prop_assert_eq!(replies.len(), known.len());
            prop_assert_eq!(replies.deadline(), known.iter().map(|entry| at(entry.expires)).min());
        }
    }
}

#[test]
fn a_subject_that_was_not_handed_out_finds_nothing() {
    let mut replies = Replies::new(Rng::from_seed(3));
    let (key, _) = replies.wait_for(awaited(1, "i", 120), Now::ZERO);
    let subject = replies.subject(key);
    assert_eq!(subject.len(), "_R_.123456.".len() + NUMBER_LEN);
    assert_eq!(replies.find(AccountId(9), &subject), Some(key));
    for index in 0..subject.len() {
        for digit in [b'0', b'z', b'.', b' ', 0xff] {
            let mut other = subject.clone();
            if std::mem::replace(&mut other[index], digit) != digit {
                assert_eq!(replies.find(AccountId(9), &other), None);
            }
        }
        assert_eq!(replies.find(AccountId(9), &subject[..index]), None);
    }
    let longer = [&subject[..], b"0"].concat();
    assert_eq!(replies.find(AccountId(9), &longer), None);
}

#[test]
fn among_too_many_none_is_looked_for_by_a_wildcard() {
    let mut replies = Replies::new(Rng::from_seed(3));
    let pattern = Pattern::new(b"i.*").expect("valid");
    for number in 0..=RESPONSES_SEARCHED_MAX {
        assert_eq!(replies.of(AccountId(1), pattern).len(), number);
        replies.wait_for(awaited(1, &format!("i.{number}"), 120), Now::ZERO);
    }
    assert_eq!(replies.of(AccountId(1), pattern).len(), 0);
    let literal = Pattern::new(b"i.7").expect("valid");
    assert_eq!(replies.of(AccountId(1), literal).len(), 1);
}
