//! Whether the runs of a series may be believed, in a few words for a table.

use std::fmt;

use crate::record::{Record, Verdict};
use crate::report::quantity::{ABSENT, count};

#[derive(Debug, Default)]
pub(in crate::report) struct Standing {
    runs: usize,
    found: Verdict,
    interrupted: usize,
    generator_limited: usize,
    /// Deliveries were counted, but order and checksums were not looked at.
    unverified: usize,
}

impl Standing {
    pub(super) fn of(runs: &[&Record]) -> Standing {
        let mut standing = Standing {
            runs: runs.len(),
            ..Standing::default()
        };
        for run in runs {
            add(&mut standing.found, &run.verdict);
            standing.interrupted += usize::from(run.interrupted);
            standing.generator_limited += usize::from(run.generator_cost.was_bottleneck);
            standing.unverified += usize::from(!run.scenario.verify);
        }
        standing
    }

    pub(in crate::report) fn failed(&self) -> bool {
        self.found != Verdict::default()
    }

    /// Good, but with a reservation that a reader should see.
    pub(in crate::report) fn doubtful(&self) -> bool {
        !self.failed() && (self.runs == 0 || self.interrupted + self.generator_limited > 0)
    }

    /// `of 5`, where there is more than one.
    fn share(&self, words: &str, runs: usize) -> String {
        match self.runs {
            1 => words.to_owned(),
            total => format!("{words} {runs} of {total}"),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs == 0 {
            return out.write_str(ABSENT);
        }
        let mut parts = Vec::new();
        if self.failed() {
            parts.push(format!("FAILED: {}", faults(&self.found).join(", ")));
        } else if self.unverified == 0 {
            parts.push("ok".to_owned());
        } else {
            parts.push("ok (only counted)".to_owned());
        }
        if self.interrupted > 0 {
            parts.push(self.share("interrupted", self.interrupted));
        }
        if self.generator_limited > 0 {
            parts.push(self.share("generator was the limit", self.generator_limited));
        }
        out.write_str(&parts.join("; "))
    }
}

fn add(sum: &mut Verdict, one: &Verdict) {
    let Verdict {
        lost,
        duplicated,
        disordered,
        damaged,
        unexpected,
        unanswered,
    } = one;
    sum.lost = sum.lost.saturating_add(*lost);
    sum.duplicated = sum.duplicated.saturating_add(*duplicated);
    sum.disordered = sum.disordered.saturating_add(*disordered);
    sum.damaged = sum.damaged.saturating_add(*damaged);
    sum.unexpected = sum.unexpected.saturating_add(*unexpected);
    sum.unanswered = sum.unanswered.saturating_add(*unanswered);
}

fn faults(found: &Verdict) -> Vec<String> {
    [
        (found.lost, "lost"),
        (found.duplicated, "duplicated"),
        (found.disordered, "disordered"),
        (found.damaged, "damaged"),
        (found.unexpected, "unexpected"),
        (found.unanswered, "unanswered"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, word)| format!("{} {word}", count(number)))
    .collect()
}
