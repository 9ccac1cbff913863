//! Subjects: names, coverage and chances, each against the plain way to work it out.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::{Pick, Scenario, Sharing, Subjects};
use super::*;

fn scenario(sharing: Sharing, subscribers: u32, subjects: Subjects) -> Scenario {
    Scenario {
        subscribers,
        sharing,
        subjects,
        ..Scenario::default()
    }
}

fn name(names: &Names, subject: u32) -> String {
    let mut name = Vec::new();
    names.write(subject, &mut name);
    String::from_utf8(name).unwrap()
}

/// Token by token, as the protocol's rules read.
fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

proptest! {
    #[test]
    fn each_subject_has_one_subscription_of_its_class_and_none_of_another(
        count in 1_u32..400, depth in 2_u32..6, wildcard_share in 0.0_f64..=1.0, subscribers in 1_u32..12,
        is_dealt: bool,
    ) {
        let sharing = if is_dealt { Sharing::Dealt } else { Sharing::All };
        let subjects = Subjects { count, depth, wildcard_share, ..Subjects::default() };
        let scenario = scenario(sharing, subscribers, subjects);
        let names = Names::new(&scenario, "tag");
        let mut seen = BTreeSet::new();
        for class in 0..classes(&scenario) {
            let patterns = names.patterns(class);
            let front = String::from_utf8(names.front(class)).unwrap();
            for subject in 0..count {
                let name = name(&names, subject);
                prop_assert_eq!(name.split('.').count(), depth as usize, "{}", name);
                let covering = patterns.iter().filter(|pattern| matches(pattern, &name)).count();
                let is_own = names.class_of(subject) == class;
                prop_assert_eq!(covering, usize::from(is_own), "{} by {:?}", name, patterns);
                prop_assert_eq!(name.starts_with(&front), is_own);
                seen.insert(name);
            }
        }
        prop_assert_eq!(seen.len(), count as usize);
    }

    #[test]
    fn own_subjects_are_taken_by_one_publisher_only(count in 1_u32..60, publishers in 1_u32..60) {
        let mut scenario = scenario(Sharing::All, 1, Subjects { count, pick: Pick::Own, ..Subjects::default() });
        scenario.publishers = publishers;
        for publisher in 0..publishers {
            let mut picker = Picker::new(&scenario, publisher);
            for _ in 0..2 * count {
                prop_assert_eq!(picker.pick() % publishers % count, publisher % count % publishers);
            }
        }
    }
}

#[test]
fn the_wildcard_share_is_of_subscriptions() {
    for wanted in [0.0, 0.1, 0.5, 0.9, 1.0] {
        let subjects = Subjects {
            count: 10_000,
            depth: 4,
            wildcard_share: wanted,
            ..Subjects::default()
        };
        let patterns = Names::new(&scenario(Sharing::All, 1, subjects), "tag").patterns(0);
        let wild = patterns.iter().filter(|p| p.ends_with(['*', '>'])).count();
        let found = wild as f64 / patterns.len() as f64;
        assert!((found - wanted).abs() < 0.03, "{found} for {wanted}");
    }
}

#[test]
fn names_of_depth_one_are_distinct_and_of_one_token() {
    let subjects = Subjects {
        count: 50,
        depth: 1,
        ..Subjects::default()
    };
    let names = Names::new(&scenario(Sharing::Dealt, 3, subjects), "tag");
    let all: BTreeSet<String> = (0..50).map(|subject| name(&names, subject)).collect();
    assert_eq!(all.len(), 50);
    assert!(all.iter().all(|name| !name.contains('.')));
}

#[test]
fn zipf_follows_its_law() {
    for exponent in [0.5, 0.99, 1.0, 1.5, 3.0] {
        let pick = Pick::Zipf { exponent };
        let subjects = Subjects {
            count: 50,
            pick,
            ..Subjects::default()
        };
        let mut picker = Picker::new(&scenario(Sharing::All, 1, subjects), 0);
        let throws = 200_000;
        let mut counts = [0_u32; 50];
        for _ in 0..throws {
            counts[picker.pick() as usize] += 1;
        }
        let whole: f64 = (1..=50).map(|rank| f64::from(rank).powf(-exponent)).sum();
        for (rank, &count) in (1..).zip(&counts) {
            let expected = f64::from(throws) * f64::from(rank).powf(-exponent) / whole;
            // Five standard deviations: the seed is fixed, so it holds or it does not.
            let allowed = 5.0 * expected.sqrt() + 1.0;
            let off = (f64::from(count) - expected).abs();
            assert!(
                off < allowed,
                "rank {rank}, exponent {exponent}: {count} for {expected}"
            );
        }
    }
}

#[test]
fn uniform_takes_all_alike() {
    let subjects = Subjects {
        count: 10,
        pick: Pick::Uniform,
        ..Subjects::default()
    };
    let mut picker = Picker::new(&scenario(Sharing::All, 1, subjects), 3);
    let mut counts = [0; 10];
    for _ in 0..10_000 {
        counts[picker.pick() as usize] += 1;
    }
    assert!(
        counts.iter().all(|count| (850..1150).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn deliveries_follow_the_sharing() {
    let of =
        |sharing, subscribers| deliveries(&scenario(sharing, subscribers, Subjects::default()));
    assert_eq!(of(Sharing::All, 8), 8);
    assert_eq!(of(Sharing::Dealt, 8), 1);
    assert_eq!(of(Sharing::Groups(3), 8), 3);
    assert_eq!(of(Sharing::All, 0), 0);
}
