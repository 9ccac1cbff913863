//! The command line. It reads arguments, prints results and turns errors into exit codes; what is measured and how is said
//! elsewhere.
//!
//! | module | what is in it |
//! |---|---|
//! | `run` | `run`: one scenario against one server |
//! | `compare` | `compare`: several servers in turns |
//! | `listing` | `scenarios` and `servers` |
//! | `choice` | which server binaries to use; shared by the commands that start servers |
//! | `endpoint` | which server is meant, and how to speak to it |
//! | `outcome` | the result of a run as text |
//! | `progress` | the line that tells how far a run is |
//! | `signals` | Ctrl-C |
//!
//! Exit codes: 0 when all is well, 1 when verification failed (or `micro` found a regression), 2 when something cannot be
//! run, 130 when the user ended it.

mod choice;
mod compare;
mod endpoint;
mod listing;
mod outcome;
mod progress;
mod run;
mod security;
mod signals;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::draft::Draft;
use crate::{micro, report};

const FAILED: u8 = 1;
const CANNOT: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Load generator for NATS servers, with Redis and MQTT brokers to compare with
///
/// One run against a server that is already there:  trunkline-bench run
/// Start a server for it:                           trunkline-bench run fan-out-8 --start nats-server
/// Compare two brokers:                             trunkline-bench compare --against nats-server
#[derive(Debug, Parser)]
#[command(name = "trunkline-bench", version, verbatim_doc_comment)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put the load of one scenario on a server
    Run(Box<run::Arguments>),
    /// Run several servers in turns under the same scenarios and show the ratios
    Compare(Box<compare::Arguments>),
    /// Make a Markdown table or an HTML page of JSON results
    Report(ReportArguments),
    /// Count the instructions of the broker's pure parts
    Micro(micro::Arguments),
    /// List the scenarios, or show one
    Scenarios(listing::ScenarioArguments),
    /// List the servers that can be started
    Servers(listing::ServerArguments),
}

#[derive(Debug, clap::Args)]
struct ReportArguments {
    /// JSON files of `run` and `compare`
    #[arg(value_name = "JSON", required = true)]
    inputs: Vec<PathBuf>,
    /// Write the Markdown tables here instead of printing them
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write one self-contained HTML page with plots
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Why a command ends without having done what was asked, for the person who asked.
#[derive(Debug)]
struct Failure {
    text: String,
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure {
            text: error.to_string(),
        }
    }
}

fn failure(text: impl Into<String>) -> Failure {
    Failure { text: text.into() }
}

/// A result file that is asked for, opened before anything is run.
fn open_draft(path: &Path) -> Result<Draft, Failure> {
    Draft::open(path).map_err(|error| {
        failure(format!(
            "cannot write {}: {error}; nothing was run",
            path.display()
        ))
    })
}

fn publish(mut draft: Draft, content: &[u8]) -> Result<(), Failure> {
    let place = draft.place().display().to_string();
    draft
        .write(content)
        .and_then(|()| draft.publish())
        .map_err(|error| failure(format!("cannot write {place}: {error}")))
}

/// Does what the arguments of this process say.
pub fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let done = match command_line.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => report::run(
            &arguments.inputs,
            arguments.markdown.as_deref(),
            arguments.html.as_deref(),
        )
        .map(|()| ExitCode::SUCCESS)
        .map_err(Failure::from),
        Command::Micro(arguments) => micro::run(&arguments).map_err(Failure::from),
        Command::Scenarios(arguments) => listing::scenarios(&arguments),
        Command::Servers(arguments) => listing::servers(&arguments),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("trunkline-bench: {}", failure.text);
        ExitCode::from(CANNOT)
    })
}

/// Prints to standard output. Whoever closed it has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        CommandLine::command().debug_assert();
    }
}
