//! What the pages show of the inputs: parts (one for each comparison, one for all single runs), their cases, and in each case
//! one series a server with its medians.
//!
//! Medians are taken over the runs of a series; histograms of its runs are added up. Ratios are those of the file.

mod histogram;
mod load;
mod standing;

use hdrhistogram::Histogram;

pub(super) use histogram::latency_curve;
pub(super) use standing::Standing;

use super::quantity::counted;
use super::{Content, Input, ReportError};
use crate::record::{Comparison, Machine, Ratios, Record, ServerIdentity, Spread};
use crate::scenario::Scenario;

/// What belongs under one heading.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub heading: String,
    /// The server that the others are compared with; none for single runs.
    pub reference: Option<&'a str>,
    pub started: Vec<&'a str>,
    pub machines: Vec<&'a Machine>,
    pub servers: Vec<&'a ServerIdentity>,
    pub cases: Vec<Case<'a>>,
    pub warnings: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Case<'a> {
    pub scenario: &'a Scenario,
    pub series: Vec<Series<'a>>,
}

/// One server in one case.
#[derive(Debug)]
pub(super) struct Series<'a> {
    pub label: String,
    /// Place among the servers, which decides on its colour and mark.
    pub slot: usize,
    /// Empty when the server has no run in this case.
    pub runs: Vec<&'a Record>,
    pub ratios: Option<&'a Ratios>,
    pub corrected: Option<Histogram<u64>>,
    pub service: Option<Histogram<u64>>,
}

/// Comparisons in the order given, then the single runs together.
pub(super) fn parts(inputs: &[Input]) -> Result<Vec<Part<'_>>, ReportError> {
    let mut parts = Vec::new();
    let mut runs = Vec::new();
    for input in inputs {
        match &input.content {
            Content::Comparison(comparison) => parts.push(Part::of_comparison(input, comparison)?),
            Content::Run(record) => runs.push((input, &**record)),
        }
    }
    if !runs.is_empty() {
        parts.push(Part::of_runs(&runs)?);
    }
    Ok(parts)
}

impl<'a> Part<'a> {
    fn of_comparison(input: &Input, comparison: &'a Comparison) -> Result<Part<'a>, ReportError> {
        let (reference, others) = match comparison.servers.split_first() {
            Some((first, others)) => (Some(first.as_str()), others),
            None => (None, &[][..]),
        };
        let heading = match reference {
            Some(first) if !others.is_empty() => format!("{first} against {}", enumerate(others)),
            Some(first) => first.to_owned(),
            None => "Empty comparison".to_owned(),
        };
        let mut part = Part {
            heading,
            reference,
            started: vec![&comparison.started],
            machines: vec![&comparison.machine],
            servers: Vec::new(),
            cases: Vec::new(),
            warnings: comparison.warnings.clone(),
        };
        for case in &comparison.cases {
            let mut series = Vec::new();
            for (slot, server) in comparison.servers.iter().enumerate() {
                let records = case.rounds.iter().flat_map(|round| &round.records);
                let runs = records.filter(|record| record.server.name == *server);
                let mut one = Series::of(input, server.clone(), slot, runs.collect())?;
                one.ratios = case.ratios.get(server);
                series.push(one);
            }
            part.add_case(&case.scenario, series);
        }
        Ok(part)
    }

    fn of_runs(runs: &[(&Input, &'a Record)]) -> Result<Part<'a>, ReportError> {
        let mut part = Part {
            heading: match runs {
                [(_, only)] => format!("{} with {}", only.scenario.name, only.server.name),
                _ => counted(runs.len(), "single run"),
            },
            reference: None,
            started: Vec::new(),
            machines: Vec::new(),
            servers: Vec::new(),
            cases: Vec::new(),
            warnings: Vec::new(),
        };
        let mut scenarios: Vec<&Scenario> = Vec::new();
        for (_, record) in runs {
            push_new(&mut scenarios, &record.scenario);
            push_new(&mut part.machines, &record.machine);
            push_new(&mut part.started, record.started.as_str());
        }
        for scenario in scenarios {
            let same: Vec<_> = runs
                .iter()
                .filter(|(_, record)| record.scenario == *scenario)
                .collect();
            let mut series = Vec::new();
            for (slot, (input, record)) in same.iter().enumerate() {
                let name = &record.server.name;
                let alone = same
                    .iter()
                    .filter(|(_, other)| other.server.name == *name)
                    .count()
                    == 1;
                let label = match input.path.file_stem() {
                    Some(stem) if !alone => format!("{name} ({})", stem.to_string_lossy()),
                    _ => name.clone(),
                };
                series.push(Series::of(input, label, slot, vec![record])?);
            }
            part.add_case(scenario, series);
        }
        Ok(part)
    }

    fn add_case(&mut self, scenario: &'a Scenario, series: Vec<Series<'a>>) {
        let case = Case { scenario, series };
        for one in &case.series {
            for run in &one.runs {
                let is_same = |known: &&ServerIdentity| is_same_but_for_port(known, &run.server);
                if !self.servers.iter().any(is_same) {
                    self.servers.push(&run.server);
                }
            }
            let origin = format!("{}, {}", case.title(), one.label);
            self.warnings.extend(one.warnings(&origin));
        }
        self.cases.push(case);
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &'a Record> + '_ {
        let series = self.cases.iter().flat_map(|case| &case.series);
        series.flat_map(|series| series.runs.iter().copied())
    }

    /// The one sentence to read when there is time for no more, and whether it is a good one.
    pub(super) fn outcome(&self) -> (bool, String) {
        let runs = self.runs().count();
        let failed = self
            .runs()
            .filter(|run| Standing::of(&[run]).failed())
            .count();
        let unmeasured = self
            .series()
            .filter(|series| series.runs.is_empty())
            .count();
        if runs == 0 {
            return (false, "Nothing was measured.".to_owned());
        }
        if failed > 0 {
            let sentence = format!(
                "{failed} of {} failed: the verdicts say what went wrong.",
                counted(runs, "run")
            );
            return (false, sentence);
        }
        let mut sentence = match runs {
            1 => "The run passed".to_owned(),
            _ => format!("All {runs} runs passed"),
        };
        sentence.push_str(match self.runs().all(|run| run.scenario.verify) {
            true => ": no message was lost, doubled, disordered or damaged.",
            false => ": no message was lost or doubled.",
        });
        let interrupted = self.runs().filter(|run| run.interrupted).count();
        if interrupted > 0 {
            sentence.push_str(&format!(" {} ended early.", counted(interrupted, "run")));
        }
        if unmeasured > 0 {
            let missing = counted(unmeasured, "server");
            sentence.push_str(&format!(" Missing: {missing} in some cases."));
        }
        (interrupted + unmeasured == 0, sentence)
    }

    fn series(&self) -> impl Iterator<Item = &Series<'a>> {
        self.cases.iter().flat_map(|case| &case.series)
    }

    /// How many rounds a series has, as words.
    fn rounds(&self) -> String {
        let measured = || self.series().filter(|series| !series.runs.is_empty());
        let lengths = || measured().map(|series| series.runs.len());
        match (lengths().min(), lengths().max()) {
            (Some(least), Some(most)) if least != most => {
                format!("{least} to {most} rounds a case")
            }
            (_, most) => format!("{} a case", counted(most.unwrap_or(0), "round")),
        }
    }

    /// What the figures mean.
    pub(super) fn method(&self) -> Option<String> {
        self.runs().next()?;
        let delays = "Delays count from the time when a message was meant to be sent, and at saturation are those of full buffers; \
             CPU is the server's, divided by messages in and out (for requests, by round trips).";
        Some(match self.reference {
            Some(first) => format!(
                "The servers ran in turns on the same machine, {}; figures are medians of the rounds, \
                 ratios are medians (least–greatest) of each round's ratio, above 1 where {first} is better. {delays}",
                self.rounds()
            ),
            None => format!("Each figure is that of one run. {delays}"),
        })
    }
}

impl Case<'_> {
    /// Whether there are medians and ranges to speak of.
    pub(super) fn has_rounds(&self) -> bool {
        self.series.iter().any(|series| series.runs.len() > 1)
    }
}

impl<'a> Series<'a> {
    fn of(
        input: &Input,
        label: String,
        slot: usize,
        runs: Vec<&'a Record>,
    ) -> Result<Series<'a>, ReportError> {
        let sum = |which: fn(&crate::record::Latency) -> &crate::record::Distribution| {
            let distributions = runs
                .iter()
                .filter_map(|run| run.latency.as_ref())
                .map(which);
            histogram::sum(distributions).map_err(|error| ReportError::Histogram {
                path: input.path.clone(),
                scenario: runs
                    .first()
                    .map(|run| run.scenario.name.clone())
                    .unwrap_or_default(),
                server: label.clone(),
                error,
            })
        };
        Ok(Series {
            corrected: sum(|latency| &latency.corrected)?,
            service: sum(|latency| &latency.service)?,
            label,
            slot,
            runs,
            ratios: None,
        })
    }

    /// Over the runs that have the figure.
    pub(super) fn spread(&self, figure: impl Fn(&Record) -> Option<f64>) -> Option<Spread> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(|run| figure(run)).collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Some(Spread {
            median,
            least,
            greatest,
        })
    }

    pub(super) fn delivered_per_s(&self) -> Option<Spread> {
        self.spread(|run| Some(run.delivered.messages_per_s))
    }

    pub(super) fn server_ns_per_message(&self) -> Option<Spread> {
        self.spread(|run| Some(run.server_cost?.ns_per_message))
    }

    pub(super) fn p50_ns(&self) -> Option<Spread> {
        self.spread(|run| Some(run.latency.as_ref()?.corrected.p50_ns as f64))
    }

    pub(super) fn p99_ns(&self) -> Option<Spread> {
        self.spread(|run| Some(run.latency.as_ref()?.corrected.p99_ns as f64))
    }

    /// What the server's memory grew by, shared out over the idle connections; none without those.
    pub(super) fn memory_per_connection_bytes(&self) -> Option<Spread> {
        self.spread(|run| {
            let cost = run.server_cost?;
            let connections = run.scenario.idle_connections;
            let growth = cost
                .memory_peak_bytes
                .saturating_sub(cost.memory_before_bytes);
            (connections > 0).then(|| growth as f64 / f64::from(connections))
        })
    }

    pub(super) fn standing(&self) -> Standing {
        Standing::of(&self.runs)
    }

    /// Each sentence once, with how many of the runs say it. Where they differ in a figure, the greatest is told.
    fn warnings(&self, origin: &str) -> Vec<String> {
        let mut sentences: Vec<(&str, usize)> = Vec::new();
        for sentence in self.runs.iter().flat_map(|run| &run.warnings) {
            let is_same = |(known, _): &&mut (&str, usize)| words(known) == words(sentence);
            match sentences.iter_mut().find(is_same) {
                Some((known, times)) => {
                    *times += 1;
                    if figures(sentence) > figures(known) {
                        *known = sentence;
                    }
                }
                None => sentences.push((sentence, 1)),
            }
        }
        let total = self.runs.len();
        sentences
            .into_iter()
            .map(|(sentence, times)| match total {
                1 => format!("{origin}: {sentence}"),
                _ => format!("{origin}, {times} of {total} runs: {sentence}"),
            })
            .collect()
    }
}

/// Every run has a port of its own.
fn is_same_but_for_port(one: &ServerIdentity, other: &ServerIdentity) -> bool {
    if one.command.is_empty() || other.command.is_empty() {
        return one == other;
    }
    let command = |server: &ServerIdentity| -> Vec<String> {
        let port = server.address.rsplit(':').next().unwrap_or_default();
        let words = server.command.iter();
        words.map(|word| word.replace(port, "PORT")).collect()
    };
    (&one.name, &one.version, command(one)) == (&other.name, &other.version, command(other))
}

/// What a sentence says without its figures.
fn words(sentence: &str) -> String {
    sentence
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect()
}

fn figures(sentence: &str) -> Vec<u64> {
    let parts = sentence.split(|letter: char| !letter.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// `one`, `one and two`, `one, two and three`.
fn enumerate(names: &[String]) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
