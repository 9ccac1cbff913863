//! The counts that others are judged by, as a TOML file in the repository.
//!
//! - A count rises in it only together with a sentence that says why ([`Update`]). Rises of 3 % and less are not taken
//!   over: they would add up, each too small to be asked about.
//! - A fall is taken over always.
//! - Under other circumstances everything is counted anew: then nobody can say what rose.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::circumstances::Circumstances;
use super::count::Count;
use super::{CHANGE_MAX, MicroError};

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    pub(super) circumstances: Circumstances,
    /// Per operation, by the benchmark's name.
    pub(super) instructions: BTreeMap<String, f64>,
    /// Why a count has last risen, by the benchmark's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) why: BTreeMap<String, String>,
}

const HEADER: &str = "\
# Instructions per operation, counted by `trunkline-bench micro` and written by `trunkline-bench micro --update`.
# A count that rises by more than 3 % needs `--because \"a sentence\"`, which is kept under [why].

";

impl Baseline {
    /// `None` when there is no such file.
    pub(super) fn read(file: &Path) -> Result<Option<Baseline>, MicroError> {
        let in_file =
            |what: &dyn std::fmt::Display| MicroError::new(format!("{}: {what}", file.display()));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(in_file(&error)),
        };
        let baseline: Baseline = toml::from_str(&text).map_err(|error| in_file(&error))?;
        let bad = baseline
            .instructions
            .iter()
            .find(|(_, count)| !count.is_finite() || **count <= 0.0);
        match bad {
            Some((name, count)) => Err(in_file(&format!(
                "{count} is no count of instructions for {name}"
            ))),
            None => Ok(Some(baseline)),
        }
    }

    /// Replaces the file as a whole: nobody finds half of one.
    pub(super) fn write(&self, file: &Path) -> Result<(), MicroError> {
        let failed = |error: &dyn std::fmt::Display| {
            MicroError::new(format!("{} cannot be written: {error}", file.display()))
        };
        let text = toml::to_string(self).map_err(|error| failed(&error))?;
        let fresh = file.with_extension("toml.new");
        let written = fs::write(&fresh, format!("{HEADER}{text}"));
        let replaced = written.and_then(|()| fs::rename(&fresh, file));
        replaced.map_err(|error| {
            // It may not even exist; the first error is the one worth telling.
            _ = fs::remove_file(&fresh);
            failed(&error)
        })
    }
}

/// What a run with `--update` brings to the baseline.
#[derive(Debug)]
pub(super) struct Update<'a> {
    pub(super) counts: &'a [Count],
    pub(super) here: Circumstances,
    /// Whether all benchmarks were counted: those that were not are gone.
    pub(super) is_whole: bool,
    pub(super) because: Option<String>,
}

impl Update<'_> {
    /// The new baseline; an error when a rise is not explained.
    pub(super) fn apply(self, old: Option<Baseline>) -> Result<Baseline, MicroError> {
        let mut baseline = self.ground(old)?;
        let mut unexplained = Vec::new();
        for count in self.counts {
            let new = count.per_operation;
            let old = baseline.instructions.get(&count.name).copied();
            match (change(old, new), &self.because) {
                (Some(change), None) if change > CHANGE_MAX => {
                    unexplained.push(format!("  {}: {:+.1} %", count.name, change * 100.0));
                }
                (Some(change), Some(because)) if change > CHANGE_MAX => {
                    baseline.instructions.insert(count.name.clone(), new);
                    baseline.why.insert(count.name.clone(), because.clone());
                }
                (Some(change), _) if change >= 0.0 => {}
                (fallen, _) => {
                    if fallen.is_some_and(|change| change < -CHANGE_MAX) {
                        // The reason was for a count that is history.
                        baseline.why.remove(&count.name);
                    }
                    baseline.instructions.insert(count.name.clone(), new);
                }
            }
        }
        if unexplained.is_empty() {
            return Ok(baseline);
        }
        Err(MicroError::new(format!(
            "nothing was written: these have risen by more than 3 %, and nobody says why:\n{}\n\
             If it is worth it: --update --because \"a sentence for the reader of the baseline\"",
            unexplained.join("\n")
        )))
    }

    /// The baseline to start from: the old one as far as it still holds.
    fn ground(&self, old: Option<Baseline>) -> Result<Baseline, MicroError> {
        let fresh = Baseline {
            circumstances: self.here.clone(),
            instructions: BTreeMap::new(),
            why: BTreeMap::new(),
        };
        let Some(mut old) = old else {
            return Ok(fresh);
        };
        let differences = self.here.differences(&old.circumstances);
        if !differences.is_empty() {
            if !self.is_whole {
                return Err(MicroError::new(format!(
                    "nothing was written: the baseline is of other circumstances ({}), so that it can only be replaced \
                     as a whole: leave out the names of benchmarks",
                    differences.join("; ")
                )));
            }
            return Ok(fresh);
        }
        if self.is_whole {
            let is_counted = |name: &String| self.counts.iter().any(|count| count.name == *name);
            old.instructions.retain(|name, _| is_counted(name));
            old.why.retain(|name, _| is_counted(name));
        }
        Ok(old)
    }
}

/// By what part a count has changed; `None` when there was none.
pub(super) fn change(old: Option<f64>, new: f64) -> Option<f64> {
    old.map(|old| new / old - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn here() -> Circumstances {
        Circumstances {
            compiler: "rustc 1.95.0".to_owned(),
            target: "t".to_owned(),
            c_library: "c".to_owned(),
            vectors: "v".to_owned(),
            valgrind: "w".to_owned(),
        }
    }

    fn baseline(counts: &[(&str, f64)]) -> Baseline {
        let named = counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        Baseline {
            circumstances: here(),
            instructions: named.collect(),
            why: BTreeMap::new(),
        }
    }

    fn counts(counts: &[(&str, f64)]) -> Vec<Count> {
        let count = |(name, per_operation): &(&str, f64)| Count {
            name: (*name).to_owned(),
            per_operation: *per_operation,
            folder: PathBuf::new(),
        };
        counts.iter().map(count).collect()
    }

    fn update(
        old: &Baseline,
        new: &[(&str, f64)],
        is_whole: bool,
        because: Option<&str>,
    ) -> Result<Baseline, MicroError> {
        let update = Update {
            counts: &counts(new),
            here: here(),
            is_whole,
            because: because.map(str::to_owned),
        };
        update.apply(Some(old.clone()))
    }

    #[test]
    fn small_rises_do_not_add_up() {
        let old = baseline(&[("a", 100.0)]);
        let once = update(&old, &[("a", 102.9)], true, None).expect("within bounds");
        assert_eq!(once, old);
        let error = update(&once, &[("a", 105.0)], true, None).expect_err("5 % in two steps");
        assert!(error.to_string().contains("a: +5.0 %"), "{error}");
    }

    #[test]
    fn a_rise_keeps_its_reason_until_it_is_undone() {
        let old = baseline(&[("a", 100.0), ("b", 100.0)]);
        let raised = update(
            &old,
            &[("a", 110.0), ("b", 100.0)],
            true,
            Some("a does more now"),
        );
        let raised = raised.expect("explained");
        assert_eq!(raised.instructions["a"], 110.0);
        assert_eq!(
            raised.why,
            BTreeMap::from([("a".to_owned(), "a does more now".to_owned())])
        );
        let polished = update(&raised, &[("a", 109.0), ("b", 100.0)], true, None).expect("less");
        assert_eq!((polished.instructions["a"], polished.why.len()), (109.0, 1));
        let undone = update(&polished, &[("a", 99.0), ("b", 100.0)], true, None).expect("less");
        assert_eq!((undone.instructions["a"], undone.why.len()), (99.0, 0));
    }

    #[test]
    fn only_a_whole_run_drops_benchmarks() {
        let old = baseline(&[("a", 1.0), ("b", 1.0)]);
        let part = update(&old, &[("a", 0.5), ("c", 2.0)], false, None).expect("less and new");
        assert_eq!(part.instructions.len(), 3);
        let whole = update(&old, &[("a", 0.5)], true, None).expect("less");
        assert_eq!(whole, baseline(&[("a", 0.5)]));
    }

    #[test]
    fn other_circumstances_begin_anew() {
        let mut old = baseline(&[("a", 1.0)]);
        old.circumstances.compiler = "rustc 1.0.0".to_owned();
        let anew = update(&old, &[("a", 9.0)], true, None).expect("nothing to compare with");
        assert_eq!(anew, baseline(&[("a", 9.0)]));
        let error = update(&old, &[("a", 9.0)], false, None).expect_err("half old, half new");
        assert!(error.to_string().contains("as a whole"), "{error}");
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("micro.toml");
        assert_eq!(Baseline::read(&file), Ok(None));
        let mut written = baseline(&[("publish/one-to-one-16", 545.073), ("parse/pub", 88.0)]);
        written
            .why
            .insert("parse/pub".to_owned(), "a \"quoted\" reason".to_owned());
        written.write(&file).expect("written");
        assert_eq!(Baseline::read(&file), Ok(Some(written)));
        let others = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(others, 1, "nothing is left beside it");
    }

    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("micro.toml");
        let good = format!(
            "{HEADER}{}",
            toml::to_string(&baseline(&[("a", 7.5)])).expect("text")
        );
        for (from, to, expected) in [
            ("7.5", "0.0", "0 is no count"),
            ("7.5", "nan", "NaN is no count"),
            ("7.5", "\"many\"", "expected f64"),
            ("target", "traget", "unknown field `traget`"),
        ] {
            fs::write(&file, good.replace(from, to)).expect("written");
            let error = Baseline::read(&file).expect_err("a bad file").to_string();
            assert!(
                error.contains(expected) && error.contains("micro.toml"),
                "{error}"
            );
        }
    }
}
