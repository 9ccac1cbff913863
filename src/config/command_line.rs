//! From the words of the command line to what the program should do.
//!
//! *Control path.* Pure.
//!
//! Flags follow Go's `flag` package, because scripts for nats-server do: one dash or two, `-name value` or
//! `-name=value`, switches only as `-name` or `-name=value`, the last mention wins, and the first word that is no flag
//! ends the flags. clap knows none of the one-dash forms, so the words are brought into its form first; it then does
//! the parsing, from the same table as everything else.
//!
//! Unlike nats-server, which prints its usage and exits with 0 after a bad flag, every error here exits with 1.

use std::ffi::OsString;
use std::fmt;

use clap::{Arg, ArgAction, Command};

use super::go_text::go_quote;
use super::help::{dashed, help_text, tls_help_text};
use super::identity::Identity;
use super::table::{self, Kind, Request, Row, TABLE, ValueError, parse_switch};
use super::{Draft, FileRequest, Options};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run the server.
    Run(Box<Options>),
    /// Read a configuration file, and then run the server or say whether the file is valid.
    Configure(Box<FileRequest>),
    /// Print this text to standard output and exit with 0.
    Help(String),
    /// Print [`Identity::version_line`] to standard output and exit with 0.
    Version,
    /// Send a signal to a running server.
    Signal(SignalRequest),
    /// Look at the machine and say whether the server can run on it.
    Doctor,
    /// Show what a server does; the words that follow say which and how.
    Top(Vec<String>),
}

/// `--signal command[=target]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalRequest {
    pub command: SignalCommand,
    /// A pid, the path of a pid file, or the start of a pid and `*`; none or empty means the only process there is.
    pub target: Option<String>,
}

/// What a signal asks a server to do, and its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalCommand {
    Stop,
    Quit,
    Term,
    Reopen,
    Reload,
    LameDuck,
}

impl SignalCommand {
    pub fn name(self) -> &'static str {
        match self {
            SignalCommand::Stop => "stop",
            SignalCommand::Quit => "quit",
            SignalCommand::Term => "term",
            SignalCommand::Reopen => "reopen",
            SignalCommand::Reload => "reload",
            SignalCommand::LameDuck => "ldm",
        }
    }

    const ALL: [SignalCommand; 6] = [
        SignalCommand::Stop,
        SignalCommand::Quit,
        SignalCommand::Term,
        SignalCommand::Reopen,
        SignalCommand::Reload,
        SignalCommand::LameDuck,
    ];
}

/// Why the command line was not understood: the text for standard error, in full and without a line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLineError(String);

impl CommandLineError {
    /// The exit code that goes with it.
    pub const EXIT_CODE: u8 = 1;
}

impl fmt::Display for CommandLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CommandLineError {}

/// Reads `arguments`, the words after the program's name.
///
/// As in nats-server, flags are all read first; then version, help, and the word `version` or `help` are obeyed in this
/// order, then a signal.
///
/// # Errors
/// Texts about a flag stand alone, as Go's do; all others begin with the program's name.
pub fn parse_command_line(
    identity: &Identity,
    arguments: &[OsString],
) -> Result<Action, CommandLineError> {
    let named = |text: String| CommandLineError(format!("{}: {text}", identity.program));
    let (mentions, mut words) = mentions(normalise(arguments)?)?;
    let mut draft = Draft::default();
    let mut requests = Requests::default();
    for mention in &mentions {
        mention
            .row
            .set(&mut draft, &mention.value)
            .map_err(|error| match error {
                ValueError::Unsupported => {
                    named(format!("{} is not supported yet", dashed(mention.name)))
                }
                error => bad_value(mention, &error),
            })?;
        if let Kind::Request(request) = mention.row.kind {
            requests.note(request, mention)?;
        }
    }
    if requests.version {
        return Ok(Action::Version);
    }
    if requests.help {
        return Ok(Action::Help(help_text(identity)));
    }
    if requests.tls_help {
        return Ok(Action::Help(tls_help_text()));
    }
    match words.first().map(|word| word.to_lowercase()).as_deref() {
        None => {}
        Some("version") => return Ok(Action::Version),
        Some("help") => return Ok(Action::Help(help_text(identity))),
        Some("doctor") => return Ok(Action::Doctor),
        Some("top") => return Ok(Action::Top(words.split_off(1))),
        Some(_) => {
            let text = format!("unrecognized command: {}", go_quote(&words[0]));
            return Err(named(text));
        }
    }
    if let Some(text) = requests.signal {
        return parse_signal(&text).map(Action::Signal).map_err(named);
    }
    if let Some(path) = requests.config {
        return Ok(Action::Configure(Box::new(FileRequest {
            path,
            check_only: requests.check,
            flags: Flags(mentions),
        })));
    }
    if requests.check {
        let text = "must specify [-c, --config] option to check configuration file syntax";
        return Err(named(text.to_owned()));
    }
    draft
        .finish()
        .map(|options| Action::Run(Box::new(options)))
        .map_err(|contradiction| named(contradiction.text))
}

/// The options among the flags, each already found to be valid, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags(Vec<Mention>);

impl Flags {
    /// Writes them over what `draft` holds.
    pub(super) fn apply(&self, draft: &mut Draft) {
        for mention in &self.0 {
            let taken = mention.row.set(draft, &mention.value);
            assert!(
                taken.is_ok(),
                "-{} was taken before: {taken:?}",
                mention.name
            );
        }
    }
}

/// One flag as it was given. Its value may be a password and is not printed.
#[derive(Clone)]
struct Mention {
    row: &'static Row,
    /// The spelling used.
    name: &'static str,
    value: String,
}

impl fmt::Debug for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-{}=…", self.name)
    }
}

impl PartialEq for Mention {
    fn eq(&self, other: &Mention) -> bool {
        (self.name, &self.value) == (other.name, &other.value)
    }
}

impl Eq for Mention {}

/// What is wanted besides options.
#[derive(Debug, Default)]
struct Requests {
    config: Option<String>,
    check: bool,
    help: bool,
    tls_help: bool,
    version: bool,
    signal: Option<String>,
}

impl Requests {
    fn note(&mut self, request: Request, mention: &Mention) -> Result<(), CommandLineError> {
        let switch = || {
            parse_switch(&mention.value).ok_or_else(|| bad_value(mention, &ValueError::NotABoolean))
        };
        match request {
            Request::Help => self.help = switch()?,
            Request::TlsHelp => self.tls_help = switch()?,
            Request::Version => self.version = switch()?,
            Request::Check => self.check = switch()?,
            Request::Config if mention.value.is_empty() => self.config = None,
            Request::Config => self.config = Some(mention.value.clone()),
            Request::Signal if mention.value.is_empty() => self.signal = None,
            Request::Signal => self.signal = Some(mention.value.clone()),
        }
        Ok(())
    }
}

/// Brings Go's forms into clap's: `--name=value` each, and `--` before the first word that is no flag.
///
/// Errors of form are found here, where the spelling is still known.
fn normalise(arguments: &[OsString]) -> Result<Vec<String>, CommandLineError> {
    let mut words = Vec::with_capacity(arguments.len() + 1);
    for argument in arguments {
        let Some(word) = argument.to_str() else {
            return Err(CommandLineError(format!(
                "argument is not UTF-8: {argument:?}"
            )));
        };
        words.push(word);
    }
    let mut normal = Vec::with_capacity(words.len() + 1);
    let mut words = words.into_iter().peekable();
    while let Some(word) =
        words.next_if(|word| word.len() > 1 && word.starts_with('-') && *word != "--")
    {
        let flag = word
            .strip_prefix("--")
            .or_else(|| word.strip_prefix('-'))
            .unwrap_or(word);
        if flag.is_empty() || flag.starts_with(['-', '=']) {
            return Err(CommandLineError(format!("bad flag syntax: {word}")));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let Some(row) = table::find(name) else {
            return Err(unknown_flag(name));
        };
        let value = match value {
            Some(value) => value,
            None if row.is_switch() => "true",
            None => words
                .next()
                .ok_or_else(|| CommandLineError(format!("flag needs an argument: -{name}")))?,
        };
        normal.push(format!("--{name}={value}"));
    }
    words.next_if(|word| *word == "--");
    normal.push("--".to_owned());
    normal.extend(words.map(str::to_owned));
    Ok(normal)
}

/// clap's reading of the normal form: the flags in their order, and the words behind them.
fn mentions(words: Vec<String>) -> Result<(Vec<Mention>, Vec<String>), CommandLineError> {
    let matches = command()
        .try_get_matches_from(words)
        .map_err(|error| CommandLineError(error.to_string().trim_end().to_owned()))?;
    let mut mentions = Vec::new();
    for row in TABLE {
        for name in row.names.iter().copied() {
            let (Some(indices), Some(values)) =
                (matches.indices_of(name), matches.get_many::<String>(name))
            else {
                continue;
            };
            for (index, value) in indices.zip(values) {
                mentions.push((
                    index,
                    Mention {
                        row,
                        name,
                        value: value.clone(),
                    },
                ));
            }
        }
    }
    mentions.sort_by_key(|(index, _)| *index);
    let words = matches.get_many::<String>(WORDS);
    Ok((
        mentions.into_iter().map(|(_, mention)| mention).collect(),
        words
            .map(|words| words.cloned().collect())
            .unwrap_or_default(),
    ))
}

/// One clap argument per spelling, so that an error can repeat the one that was used.
fn command() -> Command {
    let flags = TABLE.iter().flat_map(|row| row.names).map(|name| {
        Arg::new(*name)
            .long(*name)
            .action(ArgAction::Append)
            .require_equals(true)
            .hide(true)
    });
    Command::new("trunkline")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(flags)
        .arg(
            Arg::new(WORDS)
                .num_args(0..)
                .action(ArgAction::Append)
                .last(true),
        )
}

fn unknown_flag(name: &str) -> CommandLineError {
    let mut text = format!("flag provided but not defined: -{name}");
    let nearest = TABLE
        .iter()
        .filter(|row| !matches!(row.kind, Kind::Unsupported { .. }))
        .flat_map(|row| row.names)
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    if let Some((_, known)) = nearest {
        text.push_str("; did you mean ");
        text.push_str(&dashed(known));
        text.push('?');
    }
    CommandLineError(text)
}

fn bad_value(mention: &Mention, error: &ValueError) -> CommandLineError {
    let Mention { name, value, .. } = mention;
    CommandLineError(match error {
        ValueError::NotABoolean => {
            format!(
                "invalid boolean value {} for -{name}: parse error",
                go_quote(value)
            )
        }
        ValueError::Invalid(reason) => {
            format!(
                "invalid value {} for flag -{name}: {reason}",
                go_quote(value)
            )
        }
        ValueError::Unsupported => format!("-{name} is not supported yet"),
    })
}

fn parse_signal(text: &str) -> Result<SignalRequest, String> {
    let mut parts = text.split('=');
    let command = parts.next().unwrap_or_default();
    let target = parts
        .next()
        .filter(|target| !target.is_empty())
        .map(str::to_owned);
    let rest: Vec<&str> = parts.collect();
    if !rest.is_empty() {
        return Err(format!("invalid signal parameters: [{}]", rest.join(" ")));
    }
    let known = SignalCommand::ALL
        .into_iter()
        .find(|known| known.name() == command);
    let command = known.ok_or_else(|| format!("unknown signal {}", go_quote(command)))?;
    Ok(SignalRequest { command, target })
}

/// clap's name for what follows the flags.
const WORDS: &str = "<words>";
