//! What people read: recorded runs and comparisons as a Markdown table and as one HTML page.
//!
//! | module | what is in it |
//! |---|---|
//! | `input` | a JSON file, told apart and refused with a sentence when it is broken |
//! | `digest` | what both pages show: parts, cases and series with their medians |
//! | `quantity` | numbers as people write them |
//! | `markdown`, `html` | the two pages |
//! | `plot` | the drawings of the HTML page |
//!
//! Nothing is measured or judged anew here: ratios and verdicts are those of the files.

mod digest;
mod html;
mod input;
mod markdown;
mod plot;
pub(crate) mod quantity;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::draft::Draft;

pub use input::{Content, Input};

/// Reads every input, then writes what is asked for; Markdown to standard output when nothing is.
pub fn run(
    inputs: &[PathBuf],
    markdown_file: Option<&Path>,
    html_file: Option<&Path>,
) -> Result<(), ReportError> {
    if inputs.is_empty() {
        return Err(ReportError::NoInput);
    }
    let inputs = inputs
        .iter()
        .map(|path| Input::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    // Everything is rendered before anything is written.
    let mut pages = Vec::new();
    if let Some(path) = markdown_file {
        pages.push((path, markdown(&inputs)?));
    }
    if let Some(path) = html_file {
        pages.push((path, html(&inputs)?));
    }
    if pages.is_empty() {
        return print(&markdown(&inputs)?);
    }
    write_all(&pages)
}

/// The tables for the summary of a CI job.
pub fn markdown(inputs: &[Input]) -> Result<String, ReportError> {
    Ok(markdown::page(&digest::parts(inputs)?))
}

/// One page that needs nothing else: no script, no other file.
pub fn html(inputs: &[Input]) -> Result<String, ReportError> {
    Ok(html::page(&digest::parts(inputs)?))
}

/// All of them or none.
fn write_all(pages: &[(&Path, String)]) -> Result<(), ReportError> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (path, text) in pages {
        let failed = |error| write_error(path, error);
        let mut draft = Draft::open(path).map_err(failed)?;
        if drafts.iter().any(|other| other.place() == draft.place()) {
            let path = draft.place().to_owned();
            return Err(ReportError::SameFile { path });
        }
        draft.write(text.as_bytes()).map_err(failed)?;
        drafts.push(draft);
    }
    for draft in drafts {
        let place = draft.place().to_owned();
        draft
            .publish()
            .map_err(|error| write_error(&place, error))?;
    }
    Ok(())
}

fn write_error(path: &Path, error: io::Error) -> ReportError {
    ReportError::Write {
        path: path.to_owned(),
        error,
    }
}

fn print(text: &str) -> Result<(), ReportError> {
    let mut output = io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        // Whoever reads has seen enough, as with `report … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(ReportError::Print),
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    NoInput,
    Read {
        path: PathBuf,
        error: io::Error,
    },
    /// The JSON is broken, or a field is missing or of the wrong kind. The error knows the line and the column.
    Broken {
        path: PathBuf,
        error: serde_json::Error,
    },
    /// JSON, but no record of ours.
    Foreign {
        path: PathBuf,
    },
    Schema {
        path: PathBuf,
        found: serde_json::Value,
    },
    Histogram {
        path: PathBuf,
        scenario: String,
        server: String,
        error: String,
    },
    SameFile {
        path: PathBuf,
    },
    Write {
        path: PathBuf,
        error: io::Error,
    },
    Print(io::Error),
}

impl fmt::Display for ReportError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::NoInput => write!(
                out,
                "no file given: name the JSON files that `trunkline-bench run` or `compare` wrote"
            ),
            ReportError::Read { path, error } => {
                write!(out, "cannot read {}: {error}", path.display())
            }
            ReportError::Broken { path, error } => {
                // serde_json ends its sentence with the line and the column.
                write!(out, "{}: not a record of ours: {error}", path.display())
            }
            ReportError::Foreign { path } => write!(
                out,
                "{} is JSON, but neither a run (it has no `scenario`) nor a comparison (it has no `cases`): \
                 give files that `trunkline-bench run` or `compare` wrote",
                path.display()
            ),
            ReportError::Schema { path, found } => write!(
                out,
                "{} has schema {found}, and this program reads schema {}: \
                 use the trunkline-bench that wrote it, or measure again",
                path.display(),
                crate::record::SCHEMA
            ),
            ReportError::Histogram {
                path,
                scenario,
                server,
                error,
            } => write!(
                out,
                "{}: the histogram of {server} in {scenario} cannot be read ({error}): \
                 the file was damaged or edited; measure again, or empty the `histogram` field to go without its curve",
                path.display()
            ),
            ReportError::SameFile { path } => write!(
                out,
                "{} is named for Markdown and for HTML: give two different files",
                path.display()
            ),
            ReportError::Write { path, error } => {
                write!(out, "cannot write {}: {error}", path.display())
            }
            ReportError::Print(error) => write!(out, "cannot write to standard output: {error}"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReportError::Read { error, .. } | ReportError::Write { error, .. } => Some(error),
            ReportError::Print(error) => Some(error),
            ReportError::Broken { error, .. } => Some(error),
            _ => None,
        }
    }
}
