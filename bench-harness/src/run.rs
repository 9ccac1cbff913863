//! One run: a scenario's load on one server, watched, and put down as a [`Record`].
//!
//! It neither starts servers nor prints: the command line and the comparison do.

use std::fmt;
use std::sync::atomic::AtomicBool;

use jiff::{Timestamp, Unit};

use crate::cost::{CallCounter, Calls, Watch};
use crate::latency::Histograms;
use crate::load::{self, LoadError, Measurement, Observer, Progress, Settings, Target};
use crate::record::{Machine, Record, SCHEMA, ServerCost, ServerIdentity, Verdict};
use crate::scenario::{Exchange, Scenario};

/// Everything that one run needs to know.
#[derive(Debug)]
pub struct Run<'a> {
    pub scenario: &'a Scenario,
    /// Its version is filled in from what the server says.
    pub server: ServerIdentity,
    pub target: Target,
    /// The server's process, if it is known and on this machine.
    pub pid: Option<u32>,
    /// Count system calls too, although that costs the server something.
    pub is_counting_calls: bool,
    pub settings: &'a Settings,
}

/// What came of it. The record holds the histograms too, but packed.
#[derive(Debug)]
pub struct Outcome {
    pub record: Record,
    pub histograms: Option<Histograms>,
}

impl Run<'_> {
    /// Puts the load on the server. `show` is called from time to time with how far it is.
    pub fn measure(
        self,
        show: &mut dyn FnMut(&Progress),
        stop: &AtomicBool,
    ) -> Result<Outcome, LoadError> {
        let started = now();
        let mut watcher = Watcher::new(&self, show);
        let measurement = load::run(
            self.scenario,
            &self.target,
            self.settings,
            &mut watcher,
            stop,
        )?;
        let (server_cost, complaints) = watcher.finish(messages(self.scenario, &measurement));
        let mut warnings = measurement.warnings;
        warnings.extend(complaints);
        let record = Record {
            schema: SCHEMA,
            started,
            machine: Machine::here(),
            server: ServerIdentity {
                version: measurement.server_version,
                ..self.server
            },
            scenario: self.scenario.clone(),
            interrupted: measurement.interrupted,
            measured_s: measurement.measured_s,
            published: measurement.published,
            delivered: measurement.delivered,
            latency: measurement.latency.as_ref().map(Histograms::latency),
            verdict: measurement.verdict,
            server_cost,
            generator_cost: measurement.generator,
            warnings,
        };
        Ok(Outcome {
            record,
            histograms: measurement.latency,
        })
    }
}

/// The time of day as records have it.
pub(crate) fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// What the server's cost is divided by: messages in and out, or round trips.
fn messages(scenario: &Scenario, measurement: &Measurement) -> u64 {
    match scenario.exchange {
        Exchange::Publish => measurement.published.messages + measurement.delivered.messages,
        Exchange::Request { .. } => measurement.delivered.messages,
    }
}

/// Looks at the server when the load tells that it is time to.
struct Watcher<'a> {
    watch: Option<Watch>,
    calls: Option<CallCounter>,
    /// Why something was not measured.
    complaints: Vec<String>,
    show: &'a mut dyn FnMut(&Progress),
}

impl<'a> Watcher<'a> {
    fn new(run: &Run<'_>, show: &'a mut dyn FnMut(&Progress)) -> Watcher<'a> {
        let mut watcher = Watcher {
            watch: None,
            calls: None,
            complaints: Vec::new(),
            show,
        };
        let Some(pid) = run.pid else {
            watcher.complaints.push(
                "the server's process is not known or not on this machine, so its cost is not shown; --pid names it"
                    .to_owned(),
            );
            return watcher;
        };
        match Watch::new(pid) {
            Ok(watch) => watcher.watch = Some(watch),
            Err(error) => watcher.complaints.push(format!(
                "the server's cost is not shown: /proc/{pid} cannot be read: {error}"
            )),
        }
        if run.is_counting_calls {
            match CallCounter::new(pid, run.target.address.port()) {
                Ok(counter) => watcher.calls = Some(counter),
                Err(reason) => watcher.refuse_calls(&reason),
            }
        }
        watcher
    }

    fn refuse_calls(&mut self, reason: &str) {
        self.complaints
            .push(format!("system calls are not counted: {reason}"));
    }

    fn finish(mut self, messages: u64) -> (Option<ServerCost>, Vec<String>) {
        let calls: Option<Calls> = match self.calls.take().map(CallCounter::finish) {
            None => None,
            Some(Ok(calls)) => Some(calls),
            Some(Err(reason)) => {
                self.refuse_calls(&reason);
                None
            }
        };
        let cost = self
            .watch
            .as_ref()
            .and_then(|watch| watch.cost(messages, calls.as_ref()));
        if self.watch.is_some() && cost.is_none() {
            self.complaints.push(
                "the server's cost is not shown: its process ended, or nothing was measured"
                    .to_owned(),
            );
        }
        (cost, self.complaints)
    }
}

impl Observer for Watcher<'_> {
    fn measuring_begins(&mut self) {
        if let Some(counter) = &mut self.calls
            && let Err(error) = counter.measuring_begins()
        {
            self.calls = None;
            self.refuse_calls(&error.to_string());
        }
        if let Some(watch) = &mut self.watch {
            watch.measuring_begins();
        }
    }

    fn progress(&mut self, progress: Progress) {
        if let Some(watch) = &mut self.watch {
            watch.sample();
        }
        (self.show)(&progress);
    }

    fn measuring_ends(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.measuring_ends();
        }
        if let Some(counter) = &mut self.calls
            && let Err(error) = counter.measuring_ends()
        {
            self.calls = None;
            self.refuse_calls(&error.to_string());
        }
    }
}

impl Verdict {
    /// Nothing lost, doubled, disordered, damaged, unexpected or unanswered.
    pub fn is_clean(&self) -> bool {
        *self == Verdict::default()
    }
}

/// What is wrong, such as `12 lost, 3 disordered`.
impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.lost, "lost"),
            (self.duplicated, "duplicated"),
            (self.disordered, "disordered"),
            (self.damaged, "damaged"),
            (self.unexpected, "unexpected"),
            (self.unanswered, "unanswered"),
        ];
        let wrong: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if wrong.is_empty() {
            return formatter.write_str("nothing wrong");
        }
        formatter.write_str(&wrong.join(", "))
    }
}
