//! Several servers under the same scenarios, in turns, on one machine: the ratios mean something even where the figures
//! do not.
//!
//! | module | what is in it |
//! |---|---|
//! | `schedule` | whose turn it is, and the rate that all can sustain |
//! | `ratios` | what comes of the rounds |
//! | `table` | the result as text |
//!
//! - A round has every server once; the order turns round from one round to the next. A round that was not finished is left
//!   out as a whole.
//! - A server that cannot do a scenario, fails in it, or loses messages in it has no ratio there; a warning says why.
//! - Who runs a server is somebody else's matter ([`Runner`]): nothing here starts a process or reads a clock.

pub(crate) mod ratios;
mod schedule;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::record::{Case, Comparison, Machine, Record, Round, SCHEMA, Spread};
use crate::scenario::{Rate, Scenario};
use crate::server::Server;

pub use table::text;

/// Below this the range of the ratios says little.
pub const PAIRS_MIN: usize = 5;

/// What is compared.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first is the one that the others are compared with.
    pub servers: Vec<Server>,
    pub scenarios: Vec<Scenario>,
    pub rounds: usize,
    pub at: Vec<At>,
}

/// Under which load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// As fast as each server goes.
    Saturation,
    /// At a rate that all of them can sustain.
    Rate,
}

/// Does one run with a fresh process of a server.
pub trait Runner {
    fn run(&mut self, server: &Server, scenario: &Scenario, place: Place)
    -> Result<Record, String>;
}

/// Where in the comparison a run stands, for the progress line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From 1; 0 for a run that only finds a rate.
    pub round: usize,
    pub rounds: usize,
}

/// What came of it, and whether the first server was correct throughout.
#[derive(Debug)]
pub struct Compared {
    pub comparison: Comparison,
    pub is_sound: bool,
}

/// Runs the plan. When `stop` is set the cases and rounds that are complete come back.
pub fn compare(
    plan: &Plan,
    started: String,
    runner: &mut dyn Runner,
    stop: &AtomicBool,
) -> Compared {
    let mut work = Work {
        plan,
        runner,
        stop,
        cases: Vec::new(),
        warnings: Vec::new(),
        is_sound: true,
    };
    if plan.rounds < PAIRS_MIN {
        work.warnings.push(format!(
            "fewer than {PAIRS_MIN} pairs: the ranges of the ratios say little"
        ));
    }
    for scenario in &plan.scenarios {
        work.scenario(scenario);
    }
    if work.is_stopped() {
        work.warnings
            .push("interrupted: only complete rounds are shown".to_owned());
    }
    Compared {
        comparison: Comparison {
            schema: SCHEMA,
            started,
            machine: Machine::here(),
            servers: plan
                .servers
                .iter()
                .map(|server| server.name.clone())
                .collect(),
            cases: work.cases,
            warnings: work.warnings,
        },
        is_sound: work.is_sound,
    }
}

struct Work<'a> {
    plan: &'a Plan,
    runner: &'a mut dyn Runner,
    stop: &'a AtomicBool,
    cases: Vec<Case>,
    warnings: Vec<String>,
    is_sound: bool,
}

impl Work<'_> {
    fn scenario(&mut self, scenario: &Scenario) {
        let able = self.able(scenario);
        if able.len() < 2 {
            return;
        }
        // A scenario with a rate of its own is meant to be run at that.
        if let Rate::PerSecond(_) = scenario.rate {
            self.case(scenario, &able);
            return;
        }
        let saturation = if self.plan.at.contains(&At::Saturation) {
            self.case(scenario, &able)
        } else {
            self.probe(scenario, &able)
        };
        if !self.plan.at.contains(&At::Rate) || self.is_stopped() {
            return;
        }
        let able: Vec<usize> = saturation.keys().copied().collect();
        if able.len() < 2 || able.first() != Some(&0) {
            return;
        }
        match schedule::shared_rate(saturation.into_values()) {
            Some(rate) => {
                let scenario = Scenario {
                    rate: Rate::PerSecond(rate),
                    ..scenario.clone()
                };
                self.case(&scenario, &able);
            }
            None => self.warnings.push(format!(
                "{}: too slow for a common rate: only saturation is shown",
                scenario.name
            )),
        }
    }

    /// The servers that offer what the scenario asks for; none without the first.
    fn able(&mut self, scenario: &Scenario) -> Vec<usize> {
        let mut able = Vec::new();
        for (index, server) in self.plan.servers.iter().enumerate() {
            match server.lacks(scenario) {
                None => able.push(index),
                Some(lacking) => self.warnings.push(format!(
                    "{}: {} has no {lacking} and is left out",
                    scenario.name, server.name
                )),
            }
        }
        if able.first() != Some(&0) {
            able.clear();
        }
        able
    }

    /// All rounds of one case. Gives each server's published messages a second.
    fn case(&mut self, scenario: &Scenario, able: &[usize]) -> BTreeMap<usize, f64> {
        let mut able = able.to_vec();
        let mut rounds = Vec::new();
        for round in 0..self.plan.rounds {
            let place = Place {
                round: round + 1,
                rounds: self.plan.rounds,
            };
            let turns = schedule::turns(round, &able);
            let records = self.round(scenario, &turns, place, &mut able);
            if self.is_stopped() || able.len() < 2 || able.first() != Some(&0) {
                break;
            }
            rounds.push(Round { records });
        }
        if rounds.is_empty() {
            return BTreeMap::new();
        }
        let published = self.published(&rounds, &able);
        let ratios = self.ratios(scenario, &rounds, &able);
        self.cases.push(Case {
            scenario: scenario.clone(),
            rounds,
            ratios,
        });
        published
    }

    /// Every server in its turn. One that fails is taken out of `able`; when it is the first, nothing is left to compare.
    fn round(
        &mut self,
        scenario: &Scenario,
        turns: &[usize],
        place: Place,
        able: &mut Vec<usize>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        for &index in turns {
            if self.is_stopped() {
                break;
            }
            let server = &self.plan.servers[index];
            match self.runner.run(server, scenario, place) {
                Ok(record) => records.push(record),
                Err(reason) => {
                    self.warnings.push(format!(
                        "{}: {} failed and is left out: {reason}",
                        scenario.name, server.name
                    ));
                    able.retain(|other| *other != index);
                    if index == 0 {
                        self.is_sound = false;
                        break;
                    }
                }
            }
        }
        records
    }

    /// One saturating run of each server, only to know what it can do.
    fn probe(&mut self, scenario: &Scenario, able: &[usize]) -> BTreeMap<usize, f64> {
        let mut able = able.to_vec();
        let place = Place {
            round: 0,
            rounds: self.plan.rounds,
        };
        let turns = able.clone();
        let records = self.round(scenario, &turns, place, &mut able);
        self.published(&[Round { records }], &able)
    }

    fn published(&self, rounds: &[Round], able: &[usize]) -> BTreeMap<usize, f64> {
        let of = |index: usize| {
            let name = &self.plan.servers[index].name;
            let each: Vec<f64> = rounds
                .iter()
                .flat_map(|round| &round.records)
                .filter(|record| record.server.name == *name)
                .map(|record| record.published.messages_per_s)
                .collect();
            Some((index, Spread::of(&each)?.median))
        };
        able.iter().filter_map(|&index| of(index)).collect()
    }

    fn ratios(
        &mut self,
        scenario: &Scenario,
        rounds: &[Round],
        able: &[usize],
    ) -> BTreeMap<String, crate::record::Ratios> {
        let first = &self.plan.servers[0].name;
        let is_first_sound = self.check(scenario, rounds, first);
        self.is_sound &= is_first_sound;
        let mut ratios = BTreeMap::new();
        for &index in able.iter().filter(|index| **index != 0) {
            let other = &self.plan.servers[index].name;
            if self.check(scenario, rounds, other) && is_first_sound {
                ratios.insert(other.clone(), ratios::ratios(rounds, first, other));
            }
        }
        ratios
    }

    /// Whether a server delivered everything once, in order and undamaged, in all rounds; a warning if not.
    fn check(&mut self, scenario: &Scenario, rounds: &[Round], name: &str) -> bool {
        let wrong = rounds
            .iter()
            .flat_map(|round| &round.records)
            .find(|record| record.server.name == *name && !record.verdict.is_clean());
        if let Some(record) = wrong {
            self.warnings.push(format!(
                "{}: {name} failed verification and has no ratio: {}",
                scenario.name, record.verdict
            ));
        }
        wrong.is_none()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            At::Saturation => "saturation",
            At::Rate => "rate",
        })
    }
}

#[cfg(test)]
mod tests;
