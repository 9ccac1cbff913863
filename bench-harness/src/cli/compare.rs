//! `compare`: several servers in turns, each started anew for every run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

use super::choice::Choice;
use super::progress::ProgressLine;
use super::run::{Generator, with_log};
use super::{FAILED, Failure, INTERRUPTED, failure, listing, open_draft, print, publish, signals};
use crate::compare::{At, PAIRS_MIN, Place, Plan, Runner, compare, text};
use crate::load::{Credentials, Settings, Target};
use crate::record::{Record, ServerIdentity};
use crate::run::{Run, now};
use crate::scenario::file::explained;
use crate::scenario::form::Form;
use crate::scenario::quantity::{Seconds, Written};
use crate::scenario::{Rate, Scenario};
use crate::server::table::TRUNKLINE;
use crate::server::{Server, Started};

/// What `--quick` runs, in about two minutes for two servers.
const QUICK: [&str; 4] = [
    "one-to-one-16",
    "one-to-one-128",
    "fan-out-8",
    "ping-pong-64",
];
const QUICK_DURATION_S: f64 = 1.0;
const QUICK_WARM_UP_S: f64 = 0.3;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The servers to compare with, such as nats-server or nats-server,redis
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    against: Vec<String>,
    /// The server that the others are compared with
    #[arg(long, value_name = "NAME", default_value = TRUNKLINE)]
    first: String,
    /// Only these scenarios [default: all of the file]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// A file of named scenarios instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Four short scenarios of 1 s each
    #[arg(long, conflicts_with_all = ["scenarios", "file"])]
    quick: bool,
    /// How often each server takes its turn; fewer than 5 say little
    #[arg(long, value_name = "COUNT", default_value_t = PAIRS_MIN)]
    pairs: usize,
    /// Under which load: as fast as each goes, and at half of what the slowest takes
    #[arg(
        long,
        value_name = "LOADS",
        value_delimiter = ',',
        default_value = "saturation,rate"
    )]
    at: Vec<Load>,
    /// How long to measure each run, instead of what the scenarios say
    #[arg(long, value_name = "TIME")]
    duration: Option<Written<Seconds>>,
    /// Warm-up of each run, instead of what the scenarios say
    #[arg(long, value_name = "TIME")]
    warm_up: Option<Written<Seconds>>,
    /// Count the servers' system calls; needs root and `perf`, and slows them down
    #[arg(long)]
    count_calls: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    generator: Generator,
    /// Write the whole comparison as JSON; - for standard output
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    json: Option<PathBuf>,
    /// Tell every second how far it is, even where no terminal listens
    #[arg(long, help_heading = "Results")]
    progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Load {
    Saturation,
    Rate,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let plan = arguments.plan()?;
    let is_printed = arguments.json.as_deref() == Some(Path::new("-"));
    let draft = match &arguments.json {
        Some(path) if !is_printed => Some(open_draft(path)?),
        _ => None,
    };
    let stop = signals::stop_flag()?;
    let mut runner = Fresh {
        settings: arguments.generator.settings(),
        cores: &arguments.choice.pin_server,
        is_counting_calls: arguments.count_calls,
        line: ProgressLine::new(arguments.progress),
        stop: &stop,
    };
    let compared = compare(&plan, now(), &mut runner, &stop);
    runner.line.clear();
    let json = serde_json::to_string_pretty(&compared.comparison)? + "\n";
    if is_printed {
        eprint!("{}", text(&compared.comparison));
        print(&json)?;
    } else {
        print(&text(&compared.comparison))?;
    }
    if let Some(draft) = draft {
        publish(draft, json.as_bytes())?;
    }
    Ok(if !compared.is_sound {
        ExitCode::from(FAILED)
    } else if stop.load(Ordering::Relaxed) {
        ExitCode::from(INTERRUPTED)
    } else if compared.comparison.cases.is_empty() {
        return Err(failure("nothing was compared; the warnings say why"));
    } else {
        ExitCode::SUCCESS
    })
}

impl Arguments {
    fn plan(&self) -> Result<Plan, Failure> {
        if self.pairs == 0 {
            return Err(failure("--pairs 0: at least one pair is needed"));
        }
        let mut at: Vec<At> = Vec::new();
        for load in &self.at {
            let wanted = match load {
                Load::Saturation => At::Saturation,
                Load::Rate => At::Rate,
            };
            if !at.contains(&wanted) {
                at.push(wanted);
            }
        }
        Ok(Plan {
            servers: self.servers()?,
            scenarios: self.scenarios()?,
            rounds: self.pairs,
            at,
        })
    }

    /// All of them are looked for before anything is run.
    fn servers(&self) -> Result<Vec<Server>, Failure> {
        let table = self.choice.table()?;
        let mut servers: Vec<Server> = Vec::new();
        for name in std::iter::once(&self.first).chain(&self.against) {
            if servers.iter().any(|server| server.name == *name) {
                return Err(failure(format!(
                    "{name} is named twice: a server is not compared with itself (two builds of one can be: name \
                     them in a file for --servers)"
                )));
            }
            let server = table.named(name)?;
            server.program()?;
            servers.push(server.clone());
        }
        Ok(servers)
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, Failure> {
        let file = listing::read(self.file.as_ref())?;
        let quick: Vec<String> = QUICK.iter().map(|name| (*name).to_owned()).collect();
        let names = if self.quick { &quick } else { &self.scenarios };
        let mut scenarios = if names.is_empty() {
            file.scenarios().to_vec()
        } else {
            let named = names.iter().map(|name| file.named(name).cloned());
            named.collect::<Result<Vec<_>, _>>()?
        };
        let form = self.form();
        for scenario in &mut scenarios {
            form.apply(scenario).map_err(failure)?;
            scenario
                .check()
                .map_err(|error| failure(explained(&error)))?;
        }
        Ok(scenarios)
    }

    fn form(&self) -> Form {
        let quick = |seconds| self.quick.then_some(Written(Seconds(seconds)));
        Form {
            duration: self.duration.clone().or_else(|| quick(QUICK_DURATION_S)),
            warm_up: self.warm_up.clone().or_else(|| quick(QUICK_WARM_UP_S)),
            ..Form::default()
        }
    }
}

/// Starts a new process for each run: what one run left behind must not weigh on the next.
struct Fresh<'a> {
    settings: Settings,
    cores: &'a [usize],
    is_counting_calls: bool,
    line: ProgressLine,
    stop: &'a AtomicBool,
}

impl Runner for Fresh<'_> {
    fn run(
        &mut self,
        server: &Server,
        scenario: &Scenario,
        place: Place,
    ) -> Result<Record, String> {
        self.line.begin(prefix(server, scenario, place));
        let started = Started::start(server, self.cores).map_err(|error| error.to_string())?;
        let run = Run {
            scenario,
            server: ServerIdentity {
                name: server.name.clone(),
                version: String::new(),
                address: started.address.to_string(),
                command: started.command.clone(),
            },
            target: Target {
                address: started.address,
                protocol: server.wire(),
                credentials: Credentials::default(),
                tls: started.tls.clone(),
            },
            pid: Some(started.pid()),
            is_counting_calls: self.is_counting_calls,
            settings: &self.settings,
        };
        let line = &mut self.line;
        run.measure(&mut |progress| line.show(progress), self.stop)
            .map(|outcome| outcome.record)
            .map_err(|error| with_log(&Failure::from(error), Some(&started)).text)
    }
}

fn prefix(server: &Server, scenario: &Scenario, place: Place) -> String {
    let load = match scenario.rate {
        Rate::Saturate => "saturation".to_owned(),
        Rate::PerSecond(rate) => format!("{rate} msgs/s"),
    };
    let round = match place.round {
        0 => "looking for a rate".to_owned(),
        round => format!("{round}/{}", place.rounds),
    };
    format!("{} {load} {round} {}: ", scenario.name, server.name)
}
