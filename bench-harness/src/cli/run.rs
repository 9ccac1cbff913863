//! `run`: one scenario against a server that is there, or that is started for it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use super::choice::Choice;
use super::endpoint::Endpoint;
use super::progress::ProgressLine;
use super::{
    FAILED, Failure, INTERRUPTED, failure, listing, open_draft, outcome, print, publish, signals,
};
use crate::cost::process_listening_at;
use crate::draft::Draft;
use crate::latency::write_hgrm;
use crate::load::{Settings, Target};
use crate::record::{Record, ServerIdentity};
use crate::run::{Outcome, Run};
use crate::scenario::Scenario;
use crate::scenario::file::explained;
use crate::scenario::form::Form;
use crate::server::Started;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A named scenario (see `trunkline-bench scenarios`); without one it is one publisher and one subscriber
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// A file of named scenarios instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    endpoint: Endpoint,
    /// Start this server on a free port and end it afterwards (see `trunkline-bench servers`)
    #[arg(long, value_name = "NAME", conflicts_with_all = ["server", "protocol", "pid"], help_heading = "The server")]
    start: Option<String>,
    /// The server's process, for its cost [default: the one that listens, if it may be seen]
    #[arg(long, value_name = "PID", help_heading = "The server")]
    pid: Option<u32>,
    /// Count the server's system calls and the bytes of each; needs root and `perf`, and slows the server down
    #[arg(long, help_heading = "The server")]
    count_calls: bool,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    generator: Generator,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The load")]
struct Load {
    #[command(flatten)]
    form: Form,
    /// Requests that a subscriber answers, instead of messages one way
    #[arg(long)]
    request: bool,
    /// Each subject equally likely: the same as --pick uniform
    #[arg(long)]
    uniform: bool,
    /// Do not look at the order and the checksum of deliveries; they are still counted
    #[arg(long)]
    no_verify: bool,
    /// Do not record delays
    #[arg(long)]
    no_latency: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The generator")]
pub(super) struct Generator {
    /// Load threads
    #[arg(long, value_name = "COUNT")]
    threads: Option<u32>,
    /// Connections of one load thread
    #[arg(long, value_name = "COUNT")]
    connections_per_thread: Option<u32>,
    /// Cores of the load threads, such as 1 or 1,2
    #[arg(
        long,
        value_name = "CORES",
        value_delimiter = ',',
        visible_alias = "pin-load"
    )]
    pin: Vec<usize>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Results")]
struct Output {
    /// Write the whole result as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the corrected latencies as an HdrHistogram percentile file
    #[arg(long, value_name = "FILE", conflicts_with = "no_latency")]
    hgrm: Option<PathBuf>,
    /// Write corrected and service latencies as an HdrHistogram interval log
    #[arg(long, value_name = "FILE", conflicts_with = "no_latency")]
    hlog: Option<PathBuf>,
    /// Tell every second how far it is, even where no terminal listens
    #[arg(long)]
    progress: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let scenario = arguments.scenario()?;
    let settings = arguments.generator.settings();
    let target_wanted = arguments.endpoint.target()?;
    let drafts = Drafts::open(&arguments.output)?;
    let stop = signals::stop_flag()?;
    let (started, server, target) = arguments.server(target_wanted)?;
    let pid = match &started {
        Some(started) => Some(started.pid()),
        None => arguments
            .pid
            .or_else(|| process_listening_at(target.address)),
    };
    let run = Run {
        scenario: &scenario,
        server,
        target,
        pid,
        is_counting_calls: arguments.count_calls,
        settings: &settings,
    };
    let began = SystemTime::now();
    let outcome = measure(run, arguments.output.progress, &stop)
        .map_err(|error| with_log(&error, started.as_ref()))?;
    drop(started);
    let text = outcome::text(&outcome.record, pid);
    if drafts.is_json_printed() {
        eprint!("{text}");
    } else {
        print(&text)?;
    }
    drafts.publish(&outcome, began)?;
    Ok(exit_code(&outcome.record))
}

fn measure(run: Run<'_>, is_progress_wanted: bool, stop: &AtomicBool) -> Result<Outcome, Failure> {
    let mut line = ProgressLine::new(is_progress_wanted);
    Ok(run.measure(&mut |progress| line.show(progress), stop)?)
}

/// A server of ours that fails has usually said why.
pub(super) fn with_log(error: &Failure, started: Option<&Started>) -> Failure {
    let log = started.map(Started::log).unwrap_or_default();
    if log.is_empty() {
        return failure(error.text.clone());
    }
    failure(format!("{}\nThe server said:\n{log}", error.text))
}

fn exit_code(record: &Record) -> ExitCode {
    if !record.verdict.is_clean() {
        ExitCode::from(FAILED)
    } else if record.interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    }
}

impl Arguments {
    fn scenario(&self) -> Result<Scenario, Failure> {
        let form = self.load.form()?;
        // How long it takes does not make it another load.
        let shape = Form {
            duration: None,
            messages: None,
            warm_up: None,
            ..form.clone()
        };
        let mut scenario = self.named_scenario(shape != Form::default())?;
        form.apply(&mut scenario).map_err(failure)?;
        scenario
            .check()
            .map_err(|error| failure(explained(&error)))?;
        Ok(scenario)
    }

    fn named_scenario(&self, is_changed: bool) -> Result<Scenario, Failure> {
        if let Some(name) = &self.scenario {
            return Ok(listing::read(self.file.as_ref())?.named(name)?.clone());
        }
        let Some(file) = &self.file else {
            let mut scenario = Scenario::default();
            if is_changed {
                "custom".clone_into(&mut scenario.name);
            }
            return Ok(scenario);
        };
        let file = listing::read(Some(file))?;
        match file.scenarios() {
            [only] => Ok(only.clone()),
            _ => Err(failure(format!(
                "which scenario? The file has: {}",
                file.names().collect::<Vec<_>>().join(", ")
            ))),
        }
    }

    fn server(&self, given: Target) -> Result<(Option<Started>, ServerIdentity, Target), Failure> {
        let Some(name) = &self.start else {
            let identity = ServerIdentity {
                name: "given".to_owned(),
                version: String::new(),
                address: given.address.to_string(),
                command: Vec::new(),
            };
            return Ok((None, identity, given));
        };
        let table = self.choice.table()?;
        let server = table.named(name)?;
        let started = Started::start(server, &self.choice.pin_server)?;
        let identity = ServerIdentity {
            name: name.clone(),
            version: String::new(),
            address: started.address.to_string(),
            command: started.command.clone(),
        };
        let target = Target {
            address: started.address,
            protocol: server.wire(),
            credentials: given.credentials,
            tls: started.tls.clone(),
        };
        Ok((Some(started), identity, target))
    }
}

impl Load {
    fn form(&self) -> Result<Form, Failure> {
        let mut form = self.form.clone();
        if self.uniform {
            form.pick = Some("uniform".parse().map_err(|error: String| failure(error))?);
        }
        form.request = self.request.then_some(true);
        form.verify = self.no_verify.then_some(false);
        form.latency = self.no_latency.then_some(false);
        Ok(form)
    }
}

impl Generator {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            threads: self.threads,
            connections_per_thread: self.connections_per_thread,
            pin: self.pin.clone(),
        }
    }
}

/// The files that are asked for, opened before the load begins.
struct Drafts {
    json: Json,
    hgrm: Option<Draft>,
    hlog: Option<Draft>,
}

enum Json {
    No,
    Printed,
    Written(Draft),
}

impl Drafts {
    fn open(output: &Output) -> Result<Drafts, Failure> {
        let open = |path: &Option<PathBuf>| path.as_deref().map(open_draft).transpose();
        Ok(Drafts {
            json: match &output.json {
                None => Json::No,
                Some(path) if path == Path::new("-") => Json::Printed,
                Some(path) => Json::Written(open_draft(path)?),
            },
            hgrm: open(&output.hgrm)?,
            hlog: open(&output.hlog)?,
        })
    }

    fn is_json_printed(&self) -> bool {
        matches!(self.json, Json::Printed)
    }

    fn publish(self, outcome: &Outcome, began: SystemTime) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(&outcome.record)? + "\n";
        match self.json {
            Json::No => {}
            Json::Printed => print(&json)?,
            Json::Written(draft) => publish(draft, json.as_bytes())?,
        }
        let asked_for = self.hgrm.is_some() || self.hlog.is_some();
        let Some(histograms) = &outcome.histograms else {
            if asked_for {
                return Err(failure(
                    "no latency was recorded, so no histogram is written: nothing was delivered",
                ));
            }
            return Ok(());
        };
        if let Some(draft) = self.hgrm {
            let mut content = Vec::new();
            write_hgrm(&histograms.corrected, &mut content)?;
            publish(draft, &content)?;
        }
        if let Some(draft) = self.hlog {
            let lasted = Duration::from_secs_f64(outcome.record.measured_s);
            let mut content = Vec::new();
            histograms.write_hlog(began, lasted, &mut content)?;
            publish(draft, &content)?;
        }
        Ok(())
    }
}
