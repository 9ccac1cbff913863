//! The ledger against the plain way: write down everything that came, and look at the list.

use proptest::prelude::*;

use super::*;

/// What a list of arrivals means for a receiver that should get `0..sent` in order.
fn naive(arrivals: &[u32], sent: u32) -> Verdict {
    let mut seen = std::collections::BTreeSet::new();
    let mut verdict = Verdict::default();
    for &sequence in arrivals {
        if !seen.insert(sequence) {
            verdict.duplicated += 1;
        } else if seen.range(sequence + 1..).next().is_some() {
            verdict.disordered += 1;
        }
    }
    verdict.lost = (0..sent)
        .filter(|sequence| !seen.contains(sequence))
        .count() as u64;
    verdict
}

#[derive(Debug, Clone)]
enum Mishap {
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index),
}

fn mishaps() -> impl Strategy<Value = Vec<Mishap>> {
    let one = prop_oneof![
        any::<prop::sample::Index>().prop_map(Mishap::Drop),
        any::<prop::sample::Index>().prop_map(Mishap::Double),
        any::<prop::sample::Index>().prop_map(Mishap::Swap),
    ];
    prop::collection::vec(one, 0..12)
}

fn arrivals(sent: u32, mishaps: &[Mishap]) -> Vec<u32> {
    let mut arrivals: Vec<u32> = (0..sent).collect();
    for mishap in mishaps {
        if arrivals.len() < 2 {
            break;
        }
        match mishap {
            Mishap::Drop(place) => drop(arrivals.remove(place.index(arrivals.len()))),
            Mishap::Double(place) => {
                let place = place.index(arrivals.len());
                arrivals.push(arrivals[place]);
            }
            Mishap::Swap(place) => {
                let place = place.index(arrivals.len() - 1);
                arrivals.swap(place, place + 1);
            }
        }
    }
    arrivals
}

proptest! {
    #[test]
    fn a_track_says_what_the_list_says(sent in 2_u32..60, mishaps in mishaps()) {
        let arrivals = arrivals(sent, &mishaps);
        let mut track = Track::default();
        for &sequence in &arrivals {
            track.note(sequence);
        }
        prop_assert_eq!(track.settle(u64::from(sent), true), naive(&arrivals, sent), "{:?}", arrivals);
    }

    #[test]
    fn members_of_a_group_add_up(sent in 2_u32..60, mishaps in mishaps(), members in 1_usize..5, seed: u64) {
        let arrivals = arrivals(sent, &mishaps);
        let mut dice = crate::dice::Dice::new(seed);
        let mut shares = vec![Share::default(); members];
        for &sequence in &arrivals {
            shares[usize::try_from(dice.number() % members as u64).expect("few")].note(sequence);
        }
        let mut whole = Share::default();
        shares.iter().for_each(|share| whole.add(share));
        let (found, true_one) = (whole.settle(u64::from(sent), true), naive(&arrivals, sent));
        prop_assert_eq!(found.lost > 0 || found.duplicated > 0, true_one.lost > 0 || true_one.duplicated > 0);
        if true_one.lost == 0 || true_one.duplicated == 0 {
            prop_assert_eq!((found.lost, found.duplicated), (true_one.lost, true_one.duplicated));
        }
        prop_assert!(found.lost <= true_one.lost && found.duplicated <= true_one.duplicated);
    }

    #[test]
    fn open_requests_agree_with_a_set(answers in prop::collection::vec(0_u32..40, 0..80), asked in 1_u32..30) {
        let mut open = Open::default();
        let mut waiting: std::collections::BTreeSet<u32> = (0..asked).collect();
        (0..asked).for_each(|_| open.ask());
        let (mut again, mut never) = (0, 0);
        for sequence in answers {
            let is_first = waiting.remove(&sequence);
            prop_assert_eq!(open.answer(sequence), is_first);
            match sequence < asked {
                true => again += u64::from(!is_first),
                false => never += 1,
            }
        }
        prop_assert_eq!(open.count(), waiting.len() as u64);
        let verdict = open.settle(true);
        prop_assert_eq!(verdict.unanswered, waiting.len() as u64);
        prop_assert_eq!((verdict.duplicated, verdict.unexpected), (again, never));
    }
}

#[test]
fn one_lost_and_another_doubled_do_not_cancel_out_in_a_group() {
    let mut share = Share::default();
    for sequence in [0, 1, 1, 3] {
        share.note(sequence);
    }
    let verdict = share.settle(4, true);
    assert_eq!(
        (verdict.lost, verdict.duplicated, verdict.disordered),
        (1, 1, 0)
    );
}

#[test]
fn sequences_wrap() {
    let mut track = Track {
        next: u64::from(u32::MAX) - 1,
        trouble: None,
    };
    let mut share = Share {
        above: u64::from(u32::MAX) - 1,
        ..Share::default()
    };
    for sequence in [u32::MAX - 1, u32::MAX, 0, 1] {
        track.note(sequence);
        share.note(sequence);
    }
    let sent = u64::from(u32::MAX) + 3;
    assert_eq!(track.settle(sent, true), Verdict::default());
    assert_eq!((share.above, share.late), (sent, 0));
}

#[test]
fn what_was_never_sent_is_unexpected_and_leaves_no_loss() {
    let mut track = Track::default();
    for sequence in [0, 1, 7] {
        track.note(sequence);
    }
    let verdict = track.settle(2, true);
    assert_eq!((verdict.lost, verdict.unexpected), (0, 1));
}

#[test]
fn nobody_waited_so_nothing_at_the_end_is_lost() {
    let mut track = Track::default();
    for sequence in [0, 2] {
        track.note(sequence);
    }
    assert_eq!(
        track.settle(10, false).lost,
        1,
        "the gap is a loss all the same"
    );
    assert_eq!(track.settle(10, true).lost, 8);
}

#[test]
fn more_gaps_than_are_kept_are_still_lost() {
    let mut track = Track::default();
    let gaps = u32::try_from(GAPS_MAX).unwrap() + 10;
    for gap in 1..=gaps {
        track.note(2 * gap);
    }
    let verdict = track.settle(u64::from(gaps) * 2 + 1, true);
    // The first number is missing with the first gap.
    assert_eq!(verdict.lost, u64::from(gaps) + 1);
}
