//! `trunkline-bench micro`: how many instructions the broker's pure parts take, beside a committed baseline.
//!
//! | file | what is in it |
//! |---|---|
//! | `checkout` | the clone of the repository whose code is counted |
//! | `toolbox` | the programs that count, and how to get those that are missing |
//! | `count` | a run of `benches/micro` under callgrind, and what it found |
//! | `circumstances` | what counts depend on beside the code |
//! | `baseline` | the committed counts, and when they may rise |
//! | `judgement` | counts beside the baseline: the table, and whether the run fails |
//!
//! - A count over 3 % above its baseline fails the run. So does a benchmark without a baseline, or the other way round.
//! - A baseline rises only with a sentence that says why; the sentence is kept beside the figure.
//! - Counts are judged only under the circumstances of the baseline, such as the compiler. Under others the table is
//!   printed, and nothing fails.
//!
//! Instructions are no time: whether fewer of them are faster is for `run` and `compare` to say.

mod baseline;
mod checkout;
mod circumstances;
mod count;
mod judgement;
mod toolbox;

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use baseline::Baseline;
use checkout::Checkout;
use circumstances::Circumstances;
use judgement::Judgement;
use toolbox::Toolbox;

/// What every benchmark of `benches/micro` does this many times, so that a count divided by it is the price of one.
pub const OPERATIONS: usize = 1_000;

/// How far a count may be from its baseline without anybody having to say something.
pub const CHANGE_MAX: f64 = 0.03;

/// The command line of `trunkline-bench micro`.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {
    /// Count only these: a group such as `publish`, or `publish/one-to-one-16`; `*` stands for anything
    #[arg(value_name = "BENCHMARKS")]
    pub benchmarks: Option<String>,
    /// Write what was counted into the baseline. Counts that have risen by 3 % or less stay as they were, so that small
    /// steps do not add up unseen
    #[arg(long)]
    pub update: bool,
    /// Why counts may rise by more than 3 %; the baseline keeps the sentence
    #[arg(long, value_name = "SENTENCE", requires = "update")]
    pub because: Option<String>,
    /// The baseline, instead of the committed one: to compare two commits, `--update` this file on one and judge by it on
    /// the other
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// Counts and judges, in the clone around the current directory; prints to standard output. Fails with 1 when a count is
/// over its baseline.
///
/// # Errors
/// When nothing could be counted, or the baseline could not be read or written.
pub fn run(arguments: &Arguments) -> Result<ExitCode, MicroError> {
    let folder = env::current_dir().map_err(|error| {
        MicroError::new(format!("the current directory cannot be read: {error}"))
    })?;
    let path = env::var_os("PATH").unwrap_or_default();
    let is_good = run_in(&folder, &path, arguments, &mut io::stdout())?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// [`run`] somewhere else: `folder` is in the clone, and programs are looked for in `path`. Says whether all is well.
///
/// # Errors
/// As [`run`].
pub fn run_in(
    folder: &Path,
    path: &OsStr,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<bool, MicroError> {
    let because = arguments.because.as_deref().map(sentence).transpose()?;
    let checkout = Checkout::around(folder)?;
    let toolbox = Toolbox::find(path, &checkout)?;
    let file = match &arguments.baseline {
        Some(file) => folder.join(file),
        None => checkout.baseline(),
    };
    let baseline = Baseline::read(&file)?;
    let here = Circumstances::of(&toolbox, &checkout)?;
    let counts = count::run(&toolbox, &checkout, arguments.benchmarks.as_deref())?;
    let is_whole = arguments.benchmarks.is_none();
    let judgement = Judgement::new(&counts, baseline.as_ref(), &here, is_whole);
    let print = |error| MicroError::new(format!("the result cannot be printed: {error}"));
    if !arguments.update {
        write!(out, "{judgement}").map_err(print)?;
        return Ok(judgement.is_good());
    }
    let update = baseline::Update {
        counts: &counts,
        here,
        is_whole,
        because,
    };
    write!(out, "{}", judgement.table()).map_err(print)?;
    let updated = update.apply(baseline)?;
    updated.write(&file)?;
    writeln!(out, "\nWritten: {}", file.display()).map_err(print)?;
    Ok(true)
}

/// What `--because` says must be worth keeping.
fn sentence(text: &str) -> Result<String, MicroError> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.split(' ').count() < 3 {
        return Err(MicroError::new(
            "--because wants a sentence: what got more expensive, and what for".to_owned(),
        ));
    }
    Ok(text)
}

/// Why nothing was counted or kept, in a sentence for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroError {
    text: String,
}

impl MicroError {
    fn new(text: String) -> MicroError {
        MicroError { text }
    }
}

impl fmt::Display for MicroError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for MicroError {}
