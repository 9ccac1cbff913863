//! A run of `benches/micro` under callgrind, and the instructions it found. One line of JSON comes for each benchmark;
//! what cargo and the benchmarks have to say besides goes to standard error as it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;

use super::checkout::Checkout;
use super::toolbox::Toolbox;
use super::{MicroError, OPERATIONS};

/// Instructions of one benchmark.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Count {
    /// `group/what`, such as `publish/one-to-one-16`.
    pub(super) name: String,
    pub(super) per_operation: f64,
    /// Where callgrind has put its files.
    pub(super) folder: PathBuf,
}

/// As much of gungraun's summary of one benchmark as matters here.
#[derive(Deserialize)]
struct Summary {
    group: String,
    id: Option<String>,
    output_dir: PathBuf,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Metric {
    values: Values,
}

#[derive(Deserialize)]
struct Values {
    new: Option<f64>,
}

/// What callgrind calls executed instructions.
const INSTRUCTIONS: &str = "Ir";

/// Builds and runs the benchmarks; those that `only` names, if it does.
pub(super) fn run(
    toolbox: &Toolbox,
    checkout: &Checkout,
    only: Option<&str>,
) -> Result<Vec<Count>, MicroError> {
    let mut command = toolbox.cargo(checkout);
    command.args(["bench", "--locked", "--package", "bench-harness"]);
    command.args(["--bench", "micro", "--", "--output-format=json"]);
    if let Some(only) = only {
        command.arg(pattern(only));
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| MicroError::new(format!("cargo bench cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(MicroError::new(format!(
            "cargo bench failed ({}); what it said is above",
            output.status
        )));
    }
    let counts = read(&String::from_utf8_lossy(&output.stdout))?;
    if counts.is_empty() {
        let all = "the benchmarks printed no counts".to_owned();
        let text = only.map_or(all, |only| {
            format!("no benchmark is called `{only}`; `trunkline-bench micro` lists all")
        });
        return Err(MicroError::new(text));
    }
    Ok(counts)
}

/// How gungraun names benchmarks: `micro::GROUP::FUNCTION::ID`.
fn pattern(only: &str) -> String {
    let only = only.replace('-', "_");
    match only.split_once('/') {
        Some((group, id)) => format!("micro::{group}::*::{id}"),
        None => format!("micro::{only}::*"),
    }
}

fn read(output: &str) -> Result<Vec<Count>, MicroError> {
    let mut counts: Vec<Count> = Vec::new();
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let summary: Summary = serde_json::from_str(line).map_err(|error| {
            MicroError::new(format!(
                "a line of gungraun's summary is not understood: {error}\n{line}"
            ))
        })?;
        let count = counted(summary)?;
        if counts.iter().any(|other| other.name == count.name) {
            return Err(MicroError::new(format!(
                "two benchmarks are called {}: give one of them another id",
                count.name
            )));
        }
        counts.push(count);
    }
    Ok(counts)
}

fn counted(summary: Summary) -> Result<Count, MicroError> {
    let Summary {
        group,
        id,
        output_dir,
        profiles,
    } = summary;
    let id = id.ok_or_else(|| {
        MicroError::new(format!(
            "a benchmark of the group {group} has no id: give it one with #[bench::…]"
        ))
    })?;
    let name = format!("{group}/{id}").replace('_', "-");
    let total = profiles.first().map(|profile| &profile.data.total);
    let metric = total.and_then(|total| total.metrics.get(INSTRUCTIONS));
    let instructions = metric.and_then(|metric| metric.values.new).ok_or_else(|| {
        MicroError::new(format!("callgrind has counted no instructions for {name}"))
    })?;
    Ok(Count {
        name,
        per_operation: instructions / OPERATIONS as f64,
        folder: output_dir,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(group: &str, id: &str, values: &str) -> String {
        format!(
            r#"{{"group":"{group}","id":"{id}","output_dir":"out","profiles":[{{"data":{{"total":{{"metrics":
            {{"Ir":{{"values":{values}}}}},"regressions":[]}}}},"tool":"Callgrind"}}],"version":"7"}}"#
        )
        .replace('\n', "")
    }

    #[test]
    fn counts_are_per_operation_and_of_this_run() {
        let text = format!(
            "{}\nsomething else\n{}\n",
            summary("parse", "pub_16", r#"{"new":88186}"#),
            summary("lane", "cross_16", r#"{"new":225554,"old":1}"#)
        );
        let counts = read(&text).expect("two counts");
        let found: Vec<(&str, f64)> = counts
            .iter()
            .map(|count| (count.name.as_str(), count.per_operation))
            .collect();
        assert_eq!(
            found,
            [("parse/pub-16", 88.186), ("lane/cross-16", 225.554)]
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let bad = [
            (
                summary("parse", "a", r#"{"old":1}"#),
                "no instructions for parse/a",
            ),
            (
                summary("parse", "a", "{}").replace("Ir", "Dr"),
                "no instructions",
            ),
            (summary("parse", "a", "{").to_owned(), "not understood"),
            (
                summary("parse", "a", "{}").replace(r#""a""#, "null"),
                "no id",
            ),
        ];
        for (text, expected) in bad {
            let error = read(&text).expect_err("nothing to read").to_string();
            assert!(error.contains(expected), "{error}");
        }
        let twice = format!("{0}\n{0}", summary("parse", "a", r#"{"new":1}"#));
        let error = read(&twice).expect_err("one name, two counts").to_string();
        assert!(
            error.contains("two benchmarks are called parse/a"),
            "{error}"
        );
    }

    #[test]
    fn names_become_gungraun_s() {
        assert_eq!(pattern("publish"), "micro::publish::*");
        assert_eq!(pattern("publish/one-*"), "micro::publish::*::one_*");
    }
}
