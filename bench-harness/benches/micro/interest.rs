//! Who wants a subject, as one shard knows it.

use std::hint::black_box;
use std::sync::Arc;

use bench_harness::micro::OPERATIONS;
use gungraun::{library_benchmark, library_benchmark_group};
use trunkline::base::ids::AccountId;
use trunkline::interest::{Interest, Memo, Route, Scope, Wish};
use trunkline::subject::Pattern;

use crate::traffic;

const SEED: u64 = 7;
const SCOPE: Scope = Scope::published(AccountId::GLOBAL);
/// Asked before anything is counted, so that the tables do not grow while it is: they have room for 3,584 answers then.
const WARM_UP: usize = 2_500;

pub(crate) struct Asking {
    interest: Interest,
    subjects: Vec<String>,
}

fn wanting(patterns: impl Iterator<Item = String>) -> Interest {
    let mut interest = Interest::new(Arc::default(), SEED);
    for pattern in patterns {
        let pattern = Pattern::new(pattern.as_bytes()).expect("a pattern");
        interest.subscribe(&wish(pattern), &mut |_| {});
    }
    interest
}

fn wish(pattern: Pattern<'_>) -> Wish<'_> {
    Wish {
        account: AccountId::GLOBAL,
        connection: 0,
        pattern,
        queue: b"",
        sid: b"1",
    }
}

impl Asking {
    /// Asks once for subjects that are not counted, and takes the next ones for those that are.
    fn new(interest: Interest, subjects: impl Iterator<Item = String>) -> Asking {
        let mut all: Vec<String> = subjects.take(WARM_UP + OPERATIONS).collect();
        let subjects = all.split_off(WARM_UP);
        let mut asking = Asking {
            interest,
            subjects: all,
        };
        asking.ask();
        assert_eq!(asking.interest.cached_count(), WARM_UP);
        asking.subjects = subjects;
        asking
    }

    /// Asks for each subject once.
    fn ask(&mut self) {
        let mut memo = Memo::default();
        for subject in &self.subjects {
            let answer = self.interest.answer(SCOPE, subject.as_bytes(), &mut memo);
            let (answer, _) = answer.expect("a subject that can be wanted");
            assert!(!matches!(answer.route(), Route::Nobody));
            black_box(answer.route());
        }
    }
}

/// Each of 1,000 subjects in turn: never where the last answer was, always in the cache.
fn cached() -> Asking {
    let interest = wanting(traffic::subjects(WARM_UP + OPERATIONS));
    let mut asking = Asking::new(interest, traffic::subjects(WARM_UP + OPERATIONS));
    asking.ask();
    asking
}

/// Subjects never asked for, each wanted by one of 100,000 subscriptions.
fn uncached() -> Asking {
    Asking::new(
        wanting(traffic::subjects(100_000)),
        traffic::subjects(100_000),
    )
}

/// Subjects never asked for, matched against 10,000 patterns; each matches one or two.
fn wildcards() -> Asking {
    let patterns = (0..10_000).map(|number| match number % 4 {
        0 => format!("*.{number:06}.new"),
        1 => format!("orders.{:06}.>", number - 1),
        _ => format!("orders.{number:06}.*"),
    });
    let is_wanted = |number: &u32| number % 4 != 1;
    let subjects = (0..10_000).filter(is_wanted);
    Asking::new(
        wanting(patterns),
        subjects.map(|number| format!("orders.{number:06}.new")),
    )
}

#[library_benchmark]
#[bench::cached_literal(setup = cached)]
#[bench::uncached_literal_of_100k(setup = uncached)]
#[bench::uncached_wildcard_of_10k(setup = wildcards)]
fn answer(mut asking: Asking) -> Asking {
    asking.ask();
    asking
}

/// 10,000 subscriptions that stay, and subjects for those that come and go.
fn crowd() -> Asking {
    let mut all: Vec<String> = traffic::subjects(10_000 + OPERATIONS).collect();
    let subjects = all.split_off(10_000);
    let mut asking = Asking {
        interest: wanting(all.into_iter()),
        subjects,
    };
    asking.come_and_go();
    assert_eq!(asking.interest.subscription_count(), 10_000);
    asking
}

impl Asking {
    fn come_and_go(&mut self) {
        for subject in &self.subjects {
            let pattern = Pattern::new(subject.as_bytes()).expect("a pattern");
            let id = self.interest.subscribe(&wish(pattern), &mut |wants| {
                black_box(wants);
            });
            self.interest.unsubscribe(id, &mut |wants| {
                black_box(wants);
            });
        }
    }
}

#[library_benchmark]
#[bench::literal_come_and_gone(setup = crowd)]
fn churn(mut asking: Asking) -> Asking {
    asking.come_and_go();
    asking
}

library_benchmark_group!(name = lookup, benchmarks = [answer]);
library_benchmark_group!(name = subscription, benchmarks = [churn]);
