//! A server that drops, doubles, swaps, damages or misdirects one message is told exactly that.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod engine;

use bench_harness::Scenario;
use bench_harness::record::Verdict;
use bench_harness::scenario::{Exchange, Length, Rate, Sharing};
use engine::fake::{Mistake, start};
use engine::{few, run};

fn verdict(scenario: &Scenario, mistake: Mistake) -> Verdict {
    run(scenario, start(mistake)).unwrap().verdict
}

const SOUND: Verdict = Verdict {
    lost: 0,
    duplicated: 0,
    disordered: 0,
    damaged: 0,
    unexpected: 0,
    unanswered: 0,
};
const LOST: Verdict = Verdict { lost: 1, ..SOUND };
const DUPLICATED: Verdict = Verdict {
    duplicated: 1,
    ..SOUND
};
const DISORDERED: Verdict = Verdict {
    disordered: 1,
    ..SOUND
};
const DAMAGED: Verdict = Verdict {
    damaged: 1,
    ..SOUND
};

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let scenario = Scenario {
        subscribers: 3,
        ..few(500)
    };
    assert_eq!(verdict(&scenario, Mistake::None), SOUND);
}

#[test]
fn one_of_two_subscribers_misses_a_message() {
    let scenario = Scenario {
        subscribers: 2,
        ..few(500)
    };
    // In the middle, where the next one tells; and the last, which only waiting tells.
    assert_eq!(verdict(&scenario, Mistake::Drop(250)), LOST);
    assert_eq!(verdict(&scenario, Mistake::Drop(499)), LOST);
    assert_eq!(verdict(&scenario, Mistake::Drop(0)), LOST);
}

#[test]
fn a_message_comes_twice() {
    assert_eq!(verdict(&few(500), Mistake::Double(250)), DUPLICATED);
    assert_eq!(
        verdict(&few(500), Mistake::Double(499)),
        DUPLICATED,
        "the last"
    );
}

#[test]
fn two_messages_change_places() {
    assert_eq!(verdict(&few(500), Mistake::Swap(250)), DISORDERED);
}

#[test]
fn a_byte_changes() {
    assert_eq!(verdict(&few(500), Mistake::Damage(250)), DAMAGED);
}

#[test]
fn a_message_comes_under_a_subject_that_nobody_asked_for() {
    let expected = Verdict {
        lost: 1,
        unexpected: 1,
        ..SOUND
    };
    assert_eq!(verdict(&few(500), Mistake::Rename(250)), expected);
}

#[test]
fn a_queue_group_is_looked_at_as_a_whole() {
    let scenario = Scenario {
        subscribers: 5,
        sharing: Sharing::Groups(1),
        ..few(500)
    };
    assert_eq!(verdict(&scenario, Mistake::None), SOUND);
    assert_eq!(verdict(&scenario, Mistake::Drop(250)), LOST);
    assert_eq!(verdict(&scenario, Mistake::Double(250)), DUPLICATED);
    assert_eq!(verdict(&scenario, Mistake::Damage(250)), DAMAGED);
}

#[test]
fn numbers_are_compared_even_without_verification() {
    let scenario = Scenario {
        verify: false,
        ..few(500)
    };
    assert_eq!(verdict(&scenario, Mistake::None), SOUND);
    assert_eq!(verdict(&scenario, Mistake::Drop(250)), LOST);
    assert_eq!(verdict(&scenario, Mistake::Double(250)), DUPLICATED);
    assert_eq!(
        verdict(&scenario, Mistake::Swap(250)),
        SOUND,
        "order is not looked at"
    );
}

#[test]
fn a_loss_in_the_warm_up_fails_the_run_but_is_not_counted_as_measured() {
    let scenario = Scenario {
        warm_up_s: 0.1,
        rate: Rate::PerSecond(1000.0),
        length: Length::Messages(50),
        ..Scenario::default()
    };
    let measurement = run(&scenario, start(Mistake::Drop(10))).unwrap();
    assert_eq!(measurement.verdict, LOST);
    assert_eq!(measurement.published.messages, 50);
    assert_eq!(measurement.delivered.messages, 50);
}

fn requests(rate: Rate) -> Scenario {
    Scenario {
        exchange: Exchange::Request { in_flight: 4 },
        rate,
        ..few(300)
    }
}

#[test]
fn every_request_is_followed_to_its_answer() {
    for rate in [Rate::Saturate, Rate::PerSecond(5000.0)] {
        let scenario = requests(rate);
        let measurement = run(&scenario, start(Mistake::None)).unwrap();
        assert_eq!(measurement.verdict, SOUND);
        assert_eq!(measurement.delivered.messages, 300);
        assert_eq!(measurement.latency.unwrap().corrected.len(), 300);
        let unanswered = Verdict {
            unanswered: 1,
            ..SOUND
        };
        assert_eq!(
            verdict(&scenario, Mistake::Drop(150)),
            unanswered,
            "{rate:?}"
        );
        assert_eq!(
            verdict(&scenario, Mistake::Nobody(150)),
            unanswered,
            "{rate:?}"
        );
        assert_eq!(
            verdict(&scenario, Mistake::Double(150)),
            DUPLICATED,
            "{rate:?}"
        );
        assert_eq!(
            verdict(&scenario, Mistake::Damage(150)),
            DAMAGED,
            "{rate:?}"
        );
    }
}

#[test]
fn requests_are_counted_even_without_verification() {
    let scenario = Scenario {
        verify: false,
        ..requests(Rate::Saturate)
    };
    let unanswered = Verdict {
        unanswered: 1,
        ..SOUND
    };
    assert_eq!(verdict(&scenario, Mistake::None), SOUND);
    assert_eq!(verdict(&scenario, Mistake::Nobody(150)), unanswered);
    assert_eq!(verdict(&scenario, Mistake::Double(150)), DUPLICATED);
}
