//! Counts beside the baseline: a Markdown table, and below it what is to be done, if anything.

use std::fmt;
use std::path::PathBuf;

use super::CHANGE_MAX;
use super::baseline::{Baseline, change};
use super::circumstances::Circumstances;
use super::count::Count;

/// A run, judged.
#[derive(Debug)]
pub(super) struct Judgement {
    lines: Vec<Line>,
    /// Why there are no verdicts; empty when there are.
    differences: Vec<String>,
}

#[derive(Debug)]
struct Line {
    name: String,
    new: Option<f64>,
    old: Option<f64>,
    verdict: Verdict,
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Within 3 %.
    Same,
    Better,
    Worse,
    /// Counted, and not in the baseline.
    New,
    /// In the baseline, and not counted.
    Gone,
    /// Other circumstances.
    NotComparable,
}

impl Verdict {
    fn of(old: Option<f64>, new: Option<f64>) -> Verdict {
        let Some(new) = new else {
            return Verdict::Gone;
        };
        match change(old, new) {
            None => Verdict::New,
            Some(change) if change > CHANGE_MAX => Verdict::Worse,
            Some(change) if change < -CHANGE_MAX => Verdict::Better,
            Some(_) => Verdict::Same,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::New => "NO BASELINE",
            Verdict::Gone => "GONE",
            Verdict::NotComparable => "not comparable",
        }
    }
}

impl Judgement {
    /// `is_whole` says that all benchmarks were counted, so that one that is missing is gone.
    pub(super) fn new(
        counts: &[Count],
        baseline: Option<&Baseline>,
        here: &Circumstances,
        is_whole: bool,
    ) -> Judgement {
        let old = |name: &str| baseline?.instructions.get(name).copied();
        let mut lines: Vec<Line> = counts
            .iter()
            .map(|count| Line {
                name: count.name.clone(),
                new: Some(count.per_operation),
                old: old(&count.name),
                verdict: Verdict::of(old(&count.name), Some(count.per_operation)),
                folder: count.folder.clone(),
            })
            .collect();
        let names = baseline
            .into_iter()
            .flat_map(|baseline| baseline.instructions.keys());
        for name in names.filter(|_| is_whole) {
            if !counts.iter().any(|count| count.name == *name) {
                lines.push(Line {
                    name: name.clone(),
                    new: None,
                    old: old(name),
                    verdict: Verdict::Gone,
                    folder: PathBuf::new(),
                });
            }
        }
        let differences = baseline
            .map(|baseline| here.differences(&baseline.circumstances))
            .unwrap_or_default();
        if !differences.is_empty() {
            for line in &mut lines {
                line.verdict = Verdict::NotComparable;
            }
        }
        Judgement { lines, differences }
    }

    /// Whether nothing is worse, and the baseline is complete.
    pub(super) fn is_good(&self) -> bool {
        let is_bad =
            |line: &Line| matches!(line.verdict, Verdict::Worse | Verdict::New | Verdict::Gone);
        !self.lines.iter().any(is_bad)
    }

    /// The figures without the words below.
    pub(super) fn table(&self) -> String {
        let width = self
            .lines
            .iter()
            .map(|line| line.name.len())
            .max()
            .unwrap_or(0);
        let width = width.max("benchmark".len());
        let mut table = format!(
            "| {:<width$} | instructions | baseline |   change | verdict        |\n\
             |:{:-<width$}-|-------------:|---------:|---------:|:---------------|\n",
            "benchmark", ""
        );
        for line in &self.lines {
            let figure =
                |count: Option<f64>| count.map_or_else(String::new, |count| format!("{count:.1}"));
            let change = line.new.and_then(|new| change(line.old, new));
            let change =
                change.map_or_else(String::new, |change| format!("{:+.2} %", change * 100.0));
            table += &format!(
                "| {:<width$} | {:>12} | {:>8} | {change:>8} | {:<14} |\n",
                line.name,
                figure(line.new),
                figure(line.old),
                line.verdict.word()
            );
        }
        table
    }

    fn with(&self, verdict: Verdict) -> Vec<&Line> {
        let has = |line: &&Line| line.verdict == verdict;
        self.lines.iter().filter(has).collect()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.table())?;
        if !self.differences.is_empty() {
            return writeln!(
                f,
                "No verdict: the baseline is of other circumstances ({}). `--update` counts it anew; to judge a change \
                 here, write a baseline before it with `--update --baseline FILE` and compare with `--baseline FILE`.",
                self.differences.join("; ")
            );
        }
        let worse = self.with(Verdict::Worse);
        if let Some(first) = worse.first() {
            writeln!(
                f,
                "{} over 3 % more expensive than the baseline. Where the instructions of {} go:\n  \
                 callgrind_annotate --auto=yes {}/*.out\nIf it is worth it, say why, and commit the baseline:\n  \
                 trunkline-bench micro --update --because \"a sentence\"",
                are(worse.len()),
                first.name,
                first.folder.display()
            )?;
        }
        let unknown = self.with(Verdict::New).len() + self.with(Verdict::Gone).len();
        if unknown > 0 {
            writeln!(
                f,
                "{} in the benchmarks or in the baseline, but not in both: `trunkline-bench micro --update`, and commit it.",
                are(unknown)
            )?;
        }
        let better = self.with(Verdict::Better).len();
        if better > 0 {
            writeln!(
                f,
                "{} over 3 % cheaper than the baseline. To hold on to that: `trunkline-bench micro --update`.",
                are(better)
            )?;
        }
        if self.is_good() && better == 0 {
            writeln!(f, "All {} within 3 % of the baseline.", self.lines.len())?;
        }
        Ok(())
    }
}

fn are(count: usize) -> String {
    if count == 1 {
        "1 is".to_owned()
    } else {
        format!("{count} are")
    }
}
