//! The findings of all threads, added up: what was lost, doubled, disordered, damaged or unexpected.
//!
//! - Who must have got what follows from the scenario (`scenario::subjects`) and from what each publisher sent.
//! - A damaged delivery does not say which it was; it stands for one that is missing.
//! - Without verification only numbers are compared, of all together.

use std::collections::BTreeMap;

use super::publisher::Sent;
use super::subscriber::{Books, Findings};
use super::tally::Reading;
use crate::ledger::{self, Share};
use crate::record::Verdict;
use crate::scenario::{Exchange, Scenario, subjects};

/// `is_waited_for`: deliveries had the time to come, so that what is not here is lost.
pub(super) fn of(
    scenario: &Scenario,
    reading: &Reading,
    sent: &[Sent],
    findings: Vec<Findings>,
    is_waited_for: bool,
) -> Verdict {
    let mut verdict = Verdict::default();
    for sent in sent {
        ledger::add(&mut verdict, &sent.verdict);
    }
    if matches!(scenario.exchange, Exchange::Request { .. }) {
        return verdict;
    }
    if !scenario.verify {
        let expected = reading.published * subjects::deliveries(scenario);
        if is_waited_for {
            verdict.lost = expected.saturating_sub(reading.delivered);
        }
        verdict.duplicated = reading.delivered.saturating_sub(expected);
        return verdict;
    }
    let sent = SentByClass::new(sent);
    let mut groups: BTreeMap<u32, Receiver> = BTreeMap::new();
    for findings in findings {
        match findings.books {
            Books::Whole(tracks) => {
                let mut own = Verdict::default();
                for (publisher, track) in tracks.iter().enumerate() {
                    let sent = sent.of(publisher, findings.class);
                    ledger::add(&mut own, &track.settle(sent, is_waited_for));
                }
                own.unexpected += findings.unexpected;
                ledger::add(&mut verdict, &with_damage(own, findings.damaged));
            }
            Books::Shared(shares) => {
                let group = groups.entry(findings.group.unwrap_or(0)).or_default();
                group.add(&shares, findings.damaged, findings.unexpected);
            }
        }
    }
    for group in groups.into_values() {
        ledger::add(&mut verdict, &group.settle(&sent, is_waited_for));
    }
    verdict
}

/// A queue group.
#[derive(Default)]
struct Receiver {
    shares: Vec<Share>,
    damaged: u64,
    unexpected: u64,
}

impl Receiver {
    fn add(&mut self, shares: &[Share], damaged: u64, unexpected: u64) {
        self.shares.resize(shares.len(), Share::default());
        for (own, share) in self.shares.iter_mut().zip(shares) {
            own.add(share);
        }
        self.damaged += damaged;
        self.unexpected += unexpected;
    }

    fn settle(&self, sent: &SentByClass, is_waited_for: bool) -> Verdict {
        let mut own = Verdict {
            unexpected: self.unexpected,
            ..Verdict::default()
        };
        for (publisher, share) in self.shares.iter().enumerate() {
            let sent = sent.of(publisher, 0);
            ledger::add(&mut own, &share.settle(sent, is_waited_for));
        }
        with_damage(own, self.damaged)
    }
}

fn with_damage(mut verdict: Verdict, damaged: u64) -> Verdict {
    verdict.lost = verdict.lost.saturating_sub(damaged);
    verdict.damaged += damaged;
    verdict
}

struct SentByClass {
    of_publisher: BTreeMap<usize, Vec<u64>>,
}

impl SentByClass {
    fn new(sent: &[Sent]) -> SentByClass {
        let pairs = sent
            .iter()
            .map(|sent| (usize::from(sent.publisher), sent.of_class.clone()));
        SentByClass {
            of_publisher: pairs.collect(),
        }
    }

    fn of(&self, publisher: usize, class: u32) -> u64 {
        let classes = self.of_publisher.get(&publisher);
        classes
            .and_then(|classes| classes.get(class as usize))
            .copied()
            .unwrap_or(0)
    }
}
