//! `scenarios` and `servers`: what there is to choose from.

use std::path::PathBuf;
use std::process::ExitCode;

use super::choice::Choice;
use super::{Failure, print};
use crate::scenario::file::ScenarioFile;

#[derive(Debug, clap::Args)]
pub(super) struct ScenarioArguments {
    /// Show this one in full, as JSON
    #[arg(value_name = "SCENARIO")]
    name: Option<String>,
    /// A file of named scenarios instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ServerArguments {
    #[command(flatten)]
    choice: Choice,
}

pub(super) fn scenarios(arguments: &ScenarioArguments) -> Result<ExitCode, Failure> {
    let file = read(arguments.file.as_ref())?;
    if let Some(name) = &arguments.name {
        let scenario = serde_json::to_string_pretty(file.named(name)?)?;
        print(&format!("{scenario}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = file.names().map(str::len).max().unwrap_or(0);
    let lines = file.scenarios().iter().map(|scenario| {
        format!("{:<width$}  {}", scenario.name, scenario.about)
            .trim_end()
            .to_owned()
            + "\n"
    });
    print(&lines.collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn read(path: Option<&PathBuf>) -> Result<ScenarioFile, Failure> {
    match path {
        Some(path) => Ok(ScenarioFile::read(path)?),
        None => Ok(ScenarioFile::built_in()),
    }
}

pub(super) fn servers(arguments: &ServerArguments) -> Result<ExitCode, Failure> {
    let table = arguments.choice.table()?;
    let mut text = String::new();
    for server in table.servers() {
        let place = match server.program() {
            Ok(path) => path.display().to_string(),
            Err(error) => error.to_string(),
        };
        let lacking: Vec<String> = server.cannot.iter().map(ToString::to_string).collect();
        let command: Vec<&str> = server
            .command
            .iter()
            .chain(&server.flags)
            .map(|argument| {
                if argument.is_empty() {
                    "\"\""
                } else {
                    argument
                }
            })
            .collect();
        text += &format!("{}: {}\n", server.name, server.about);
        text += &format!(
            "  program     {place}\n  started by  {}\n",
            command.join(" ")
        );
        if !lacking.is_empty() {
            text += &format!("  lacks       {}\n", lacking.join(", "));
        }
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
