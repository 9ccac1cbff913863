//! Files of named scenarios, in TOML: a table `[scenario.NAME]` for each, with the names that the command line has too.
//! The built-in ones are such a file. What is wrong with a file is told with its line, its column and the line itself.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::Scenario;
use super::check::ScenarioError;
use super::form::Form;

/// The scenarios that come with the program, in the order of its published figures.
const BUILT_IN: &str = include_str!("../../scenarios.toml");

/// Scenarios by name, in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioFile {
    /// How the file is called in messages.
    origin: String,
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    scenario: BTreeMap<Spanned<String>, Form>,
}

impl ScenarioFile {
    pub fn built_in() -> ScenarioFile {
        ScenarioFile::parse("the built-in scenarios", BUILT_IN)
            .expect("the built-in scenarios are checked by a test")
    }

    pub fn read(path: &Path) -> Result<ScenarioFile, FileError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| FileError {
            text: format!("cannot read the scenario file {origin}: {error}"),
        })?;
        ScenarioFile::parse(&origin, &text)
    }

    /// Reads and checks every scenario of a file.
    pub fn parse(origin: &str, text: &str) -> Result<ScenarioFile, FileError> {
        let tables: Tables = toml::from_str(text)
            .map_err(|error| explain(&Source { origin, text }, &error, &Form::NAMES))?;
        let mut named: Vec<_> = tables.scenario.into_iter().collect();
        named.sort_by_key(|(name, _)| name.span().start);
        let source = Source { origin, text };
        let scenarios = named
            .into_iter()
            .map(|(name, form)| scenario(&source, name, &form))
            .collect::<Result<Vec<_>, _>>()?;
        if scenarios.is_empty() {
            return Err(FileError {
                text: format!("{origin} names no scenario: write a table such as [scenario.mine]"),
            });
        }
        Ok(ScenarioFile {
            origin: origin.to_owned(),
            scenarios,
        })
    }

    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// The scenario of that name; the message of the error names the nearest one.
    pub fn named(&self, name: &str) -> Result<&Scenario, FileError> {
        let found = self.scenarios.iter().find(|scenario| scenario.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let meant = nearest(name, &names)
                .map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
            FileError {
                text: format!(
                    "there is no scenario `{name}` in {}.{meant} It has: {}",
                    self.origin,
                    names.join(", ")
                ),
            }
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.scenarios.iter().map(|scenario| scenario.name.as_str())
    }
}

/// The mark of a fault is below the key if that was written, below the scenario's name if not.
fn scenario(
    source: &Source<'_>,
    name: Spanned<String>,
    form: &Form,
) -> Result<Scenario, FileError> {
    let name_span = name.span();
    let mut scenario = Scenario {
        name: name.into_inner(),
        ..Scenario::default()
    };
    form.apply(&mut scenario)
        .map_err(|reason| source.fault(name_span.clone(), &reason))?;
    scenario.check().map_err(|error| {
        let key = Form::name_of(error.field);
        let place = source.key(name_span.end, key).unwrap_or(name_span);
        source.fault(place, &explained(&error))
    })?;
    Ok(scenario)
}

/// The sentence of a fault, with the name that the command line and files have for the field.
pub fn explained(error: &ScenarioError) -> String {
    format!("`{}` {}", Form::name_of(error.field), error.fault)
}

/// What is wrong with a file or with what it names, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    text: String,
}

impl FileError {
    pub(crate) fn new(text: String) -> FileError {
        FileError { text }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for FileError {}

/// Turns the parser's complaint into one with the place and, for an unknown name, the nearest of `known`.
pub(crate) fn explain(source: &Source<'_>, error: &toml::de::Error, known: &[&str]) -> FileError {
    let Some(span) = error.span() else {
        return FileError {
            text: format!("{}: {}", source.origin, error.message()),
        };
    };
    if !error.message().starts_with("unknown field") {
        return source.fault(span, error.message());
    }
    let written = source.text.get(span.clone()).unwrap_or_default();
    let known = if error.message().ends_with("expected `scenario`") {
        &["scenario"]
    } else {
        known
    };
    let reason = match nearest(written.trim_matches('"'), known) {
        Some(near) => format!("there is no key `{written}`; did you mean `{near}`?"),
        None => format!(
            "there is no key `{written}`; there are: {}",
            known.join(", ")
        ),
    };
    source.fault(span, &reason)
}

/// A text and how it is called, to point into it.
pub(crate) struct Source<'a> {
    pub(crate) origin: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// Where a key begins a line of the table whose head is before `at`.
    fn key(&self, mut at: usize, key: &str) -> Option<Range<usize>> {
        let mut lines = self.text.get(at..)?.split_inclusive('\n');
        at += lines.next()?.len();
        for line in lines.take_while(|line| !line.trim_start().starts_with('[')) {
            let begin = at + line.len() - line.trim_start().len();
            at += line.len();
            if let Some(rest) = line.trim_start().strip_prefix(key)
                && rest.trim_start().starts_with('=')
            {
                return Some(begin..begin + key.len());
            }
        }
        None
    }

    /// The reason, the place, the line and a mark below what is meant.
    pub(crate) fn fault(&self, span: Range<usize>, reason: &str) -> FileError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_number = before.matches('\n').count() + 1;
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let column = before[line_start..].chars().count();
        let within = span.end.min(line_start + line.len()).max(span.start);
        let marked = self.text.get(span.start..within).unwrap_or_default();
        let margin = " ".repeat(line_number.to_string().len());
        FileError {
            text: format!(
                "{}:{line_number}:{}: {reason}\n{margin} |\n{line_number} | {line}\n{margin} | {}{}",
                self.origin,
                column + 1,
                " ".repeat(column),
                "^".repeat(marked.chars().count().max(1)),
            ),
        }
    }
}

/// The known name that was most likely meant, when any is near enough.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(written, name), *name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Exchange, Pick, Rate, Sharing, Size};

    fn error(text: &str) -> String {
        ScenarioFile::parse("mine.toml", text)
            .expect_err(text)
            .to_string()
    }

    #[test]
    fn every_built_in_scenario_is_there_and_can_be_run() {
        let file = ScenarioFile::built_in();
        let names: Vec<&str> = file.names().collect();
        let published = [
            "no-interest-16",
            "one-to-one-16",
            "one-to-one-128",
            "one-to-one-1k",
            "one-to-one-16k",
            "mixed-sizes",
            "fan-out-8",
            "four-to-four",
            "ping-pong-1",
            "ping-pong-64",
            "subjects-100k",
            "subjects-100k-each",
            "churn-1000",
            "queue-4",
        ];
        assert_eq!(names, published);
        for scenario in file.scenarios() {
            assert_eq!(scenario.check(), Ok(()), "{}", scenario.name);
            assert!(!scenario.about.is_empty(), "{}", scenario.name);
        }
    }

    #[test]
    fn built_in_scenarios_say_what_their_names_promise() {
        let file = ScenarioFile::built_in();
        let named = |name| file.named(name).unwrap();
        assert_eq!(named("one-to-one-16k").size, Size::Fixed(16_384));
        assert_eq!(named("no-interest-16").subscribers, 0);
        let streams = named("four-to-four");
        assert_eq!((streams.publishers, streams.subscribers), (4, 4));
        assert_eq!(streams.subjects.count, 4);
        assert_eq!(streams.sharing, Sharing::Dealt);
        assert_eq!(streams.subjects.pick, Pick::Own);
        let pings = named("ping-pong-64");
        assert_eq!(pings.publishers, 64);
        assert_eq!(pings.exchange, Exchange::Request { in_flight: 1 });
        assert_eq!(named("queue-4").sharing, Sharing::Groups(1));
        assert_eq!(named("subjects-100k").subjects.count, 100_000);
    }

    #[test]
    fn a_typo_is_told_with_its_place_and_the_nearest_key() {
        assert_eq!(
            error("[scenario.busy]\npublishers = 2\n  subscibers = 4\n"),
            "mine.toml:3:3: there is no key `subscibers`; did you mean `subscribers`?\n  \
             |\n3 |   subscibers = 4\n  |   ^^^^^^^^^^"
        );
        assert_eq!(
            error("[senario.busy]\n"),
            "mine.toml:1:2: there is no key `senario`; did you mean `scenario`?\n  \
             |\n1 | [senario.busy]\n  |  ^^^^^^^"
        );
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place() {
        assert_eq!(
            error("[scenario.busy]\nsize = '12 apples'\n"),
            "mine.toml:2:8: `12 apples` is not a number of bytes: write 128, 16KiB or 1MiB\n  \
             |\n2 | size = '12 apples'\n  |        ^^^^^^^^^^^"
        );
        let text = error("[scenario.busy]\nrate = \n");
        assert!(text.starts_with("mine.toml:2:8: "), "{text}");
    }

    #[test]
    fn what_cannot_be_run_is_told_where_it_is_written() {
        let text = error("[scenario.fine]\n[scenario.idle]\npublishers = 0\n");
        assert!(
            text.starts_with("mine.toml:3:1: `publishers` is 0; it can be 1 to 65535\n"),
            "{text}"
        );
        assert!(
            text.ends_with("3 | publishers = 0\n  | ^^^^^^^^^^"),
            "{text}"
        );
        let text = error("[scenario.fine]\n[scenario.slow]\n  idle = '2M'\n");
        assert!(
            text.starts_with("mine.toml:3:3: `idle` is 2000000"),
            "{text}"
        );
        let text = error("[scenario.small]\nsubjects = 4\nwildcards = 1\ndepth = 1\n");
        assert!(
            text.starts_with("mine.toml:3:1: `wildcards` needs"),
            "{text}"
        );
        // Not written, so there is no better place than the name.
        let text = error("[scenario.small]\nrequest = true\nsubscribers = 3\n");
        assert!(
            text.starts_with("mine.toml:1:11: `sharing` lets 3"),
            "{text}"
        );
        let text = error("[scenario.both]\nduration = 1\nmessages = 2\n");
        assert!(
            text.contains("`duration` and `messages` cannot both be given"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert!(error("# nothing\n").contains("names no scenario"));
    }

    #[test]
    fn the_order_is_that_of_the_file_and_numbers_need_no_quotes() {
        let text = "[scenario.zebra]\nrate = 1000\n[scenario.ant]\nrate = '1k'\n";
        let file = ScenarioFile::parse("mine.toml", text).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["zebra", "ant"]);
        for scenario in file.scenarios() {
            assert_eq!(scenario.rate, Rate::PerSecond(1000.0));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let text = ScenarioFile::built_in()
            .named("fanout-8")
            .unwrap_err()
            .to_string();
        assert!(text.contains("Did you mean `fan-out-8`?"), "{text}");
        assert!(text.contains("one-to-one-128"), "{text}");
    }
}
