//! From the values of a configuration file to options, by the table.
//!
//! *Control path.* Pure: files and the environment come in through [`Surroundings`].
//!
//! - Defaults first, then the file, then the flags, whatever their order on the command line.
//! - All mistakes of a file are told at once, each with its place, in the order in which they stand.
//! - No key is ignored in silence: unknown ones are faults with the nearest known name, known ones that are not supported
//!   yet are refused by name. A key that a variable refers to need not be an option, as in nats-server.

use std::time::Duration;

use super::command_line::Flags;
use super::duration::{GoDuration, parse_duration};
use super::go_text::go_quote;
use super::language::{Document, Entry, Fault, Map, Position, Surroundings, Value, digest, parse};
use super::table::{
    Expected, Kind, Row, Seconds, TABLE, ValueError, find_key, is_section, shown_range, shown_span,
};
use super::{ConfigFile, Draft, Options};

/// A configuration file to be read, and the flags that win over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRequest {
    /// As it was given.
    pub path: String,
    /// Only say whether the file is valid.
    pub check_only: bool,
    pub(super) flags: Flags,
}

/// What came of a configuration file.
#[derive(Debug)]
pub struct Configured {
    pub options: Options,
    /// What nats-server tells and takes nevertheless, except when it only checks.
    pub warnings: Vec<Fault>,
}

impl FileRequest {
    /// Reads the file and brings it into options.
    ///
    /// # Errors
    /// Everything that is wrong with it, warnings first. Those are faults too when the file is only checked.
    pub fn configure(&self, surroundings: &dyn Surroundings) -> Result<Configured, Vec<Fault>> {
        let document = parse(&self.path, surroundings).map_err(|fault| vec![fault])?;
        let mut reader = Reader {
            document: &document,
            draft: Draft::default(),
            seen: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        if document.root.is_empty() {
            let text = format!("{}: config has no values or is empty", self.path);
            reader.warnings.push(Fault::general(text));
        }
        reader.section("", &document.root);
        let Reader {
            mut draft,
            seen,
            mut faults,
            mut warnings,
            ..
        } = reader;
        self.flags.apply(&mut draft);
        let finished = draft.finish();
        if faults.is_empty()
            && let Err(contradiction) = &finished
        {
            let part = seen
                .iter()
                .rev()
                .find(|(row, _)| contradiction.keys.contains(&row.name()));
            faults.push(match part {
                Some((_, position)) => document.fault(*position, contradiction.text.as_str()),
                None => Fault::general(contradiction.text.as_str()),
            });
        }
        match finished {
            Ok(mut options) if faults.is_empty() && (warnings.is_empty() || !self.check_only) => {
                options.config_file = Some(ConfigFile {
                    path: self.path.clone(),
                    digest: digest(&document.root),
                });
                Ok(Configured { options, warnings })
            }
            _ => {
                warnings.append(&mut faults);
                Err(warnings)
            }
        }
    }
}

/// Goes through the values of one document.
struct Reader<'a> {
    document: &'a Document,
    draft: Draft,
    /// The rows that were set, and by which key.
    seen: Vec<(&'static Row, Position)>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl Reader<'_> {
    /// All keys of one map; `section` is empty for the outermost.
    fn section(&mut self, section: &str, map: &Map) {
        for (key, entry) in map.in_order() {
            let mut path = key.to_lowercase();
            if !section.is_empty() {
                path = format!("{section}.{path}");
            }
            if is_section(&path) {
                match &entry.value {
                    Value::Map(map) => self.section(&path, map),
                    other => self.fault(entry, wrong_type(key, "a map", other)),
                }
            } else if let Some(row) = find_key(&path) {
                match self.value(row, key, entry) {
                    Ok(()) => self.seen.push((row, entry.position)),
                    Err(reason) => self.fault(entry, reason),
                }
            } else if !entry.is_referred_to() {
                self.fault(entry, unknown_field(key, &path, section));
            }
        }
    }

    /// One value of the option `row`, under the key as it was written.
    fn value(&mut self, row: &'static Row, key: &str, entry: &Entry) -> Result<(), String> {
        let draft = &mut self.draft;
        let taken = match (&row.kind, &entry.value) {
            (Kind::Text(set), Value::Text(text)) => {
                set(draft, text).map_err(|reason| ValueError::Invalid(reason.to_owned()))
            }
            (Kind::Text(_), other) => return Err(wrong_type(key, "a text", other)),
            (Kind::Switch(set), Value::Boolean(on)) => {
                set(draft, *on);
                Ok(())
            }
            (Kind::Switch(_), other) => return Err(wrong_type(key, "true or false", other)),
            (Kind::Integer(range, zero, set), Value::Integer(number))
            | (Kind::Size(range, zero, set), Value::Integer(number)) => {
                row.set_number(draft, range, *zero, *set, *number)
            }
            (Kind::Integer(range, ..), other) => {
                let expected = format!("a whole number, {}", shown_range(range));
                return Err(wrong_type(key, &expected, other));
            }
            (Kind::Size(range, ..), other) => {
                let expected = format!("a size such as 512k or 8MB, {}", shown_range(range));
                return Err(wrong_type(key, &expected, other));
            }
            (Kind::Span(range, set), value) => {
                let Some(span) = self.span(row, key, entry, value)? else {
                    let expected = format!("a duration such as \"2m\", {}", shown_span(range));
                    return Err(wrong_type(key, &expected, value));
                };
                row.set_span(&mut self.draft, range, *set, span)
            }
            (Kind::Address(ports, set), value) => {
                let (host, port) = address(key, value)?;
                if !ports.contains(&port) {
                    let range = shown_range(ports);
                    return Err(format!("{key}: the port must be {range}, not {port}"));
                }
                set(draft, host, port);
                Ok(())
            }
            (Kind::Unsupported { takes_value: false }, Value::Boolean(false)) => Ok(()),
            (Kind::Unsupported { .. }, _) => Err(ValueError::Unsupported),
            (Kind::Ignored(expected), value) => {
                return match (expected, value) {
                    (Expected::Boolean, Value::Boolean(_))
                    | (Expected::Integer, Value::Integer(_))
                    | (Expected::Text, Value::Text(_)) => Ok(()),
                    (Expected::Boolean, other) => Err(wrong_type(key, "true or false", other)),
                    (Expected::Integer, other) => Err(wrong_type(key, "a whole number", other)),
                    (Expected::Text, other) => Err(wrong_type(key, "a text", other)),
                };
            }
            (Kind::Request(_), _) => unreachable!("{key}: requests have no keys (tested)"),
        };
        taken.map_err(|error| match error {
            ValueError::Unsupported => format!("{key} is not supported yet"),
            ValueError::Invalid(reason) => {
                let value = shown_value(&entry.value);
                format!("invalid value {value} for {key}: {reason}")
            }
            ValueError::NotABoolean => wrong_type(key, "true or false", &entry.value),
        })
    }

    /// The time span that `value` names; none if it is of a type that can name none.
    fn span(
        &mut self,
        row: &Row,
        key: &str,
        entry: &Entry,
        value: &Value,
    ) -> Result<Option<Duration>, String> {
        let span = match (value, row.seconds) {
            (Value::Text(text), _) => {
                let has_unit = &**text == "0" || text.ends_with(char::is_alphabetic);
                parse_duration(text).filter(|_| has_unit).ok_or_else(|| {
                    let text = shown(text);
                    format!(
                        "invalid value {text} for {key}: expected a duration such as 2m, 1h30m or 500ms"
                    )
                })?
            }
            (Value::Integer(number), Seconds::Warned | Seconds::Plain { .. }) => {
                if row.seconds == Seconds::Warned {
                    let reason = format!(
                        "invalid use of field {}: {key} should be converted to a duration",
                        go_quote(key)
                    );
                    self.warn(entry, reason);
                }
                u64::try_from(*number)
                    .map(Duration::from_secs)
                    .map_err(|_| format!("invalid value {number} for {key}: it is below zero"))?
            }
            (Value::Float(number), Seconds::Plain { .. }) => Duration::try_from_secs_f64(*number)
                .map_err(|_| {
                format!("invalid value {number} for {key}: so many seconds are no time")
            })?,
            _ => return Ok(None),
        };
        match row.seconds {
            Seconds::Refused { min } if span < min => Err(format!(
                "invalid {key} of {}, minimum is {} seconds",
                GoDuration(span),
                min.as_secs()
            )),
            Seconds::Plain { unwarned_max } if span > unwarned_max => {
                let reason = format!(
                    "invalid use of field {}: {key} of {} is high, consider keeping it under {} seconds",
                    go_quote(key),
                    GoDuration(span),
                    unwarned_max.as_secs()
                );
                self.warn(entry, reason);
                Ok(Some(span))
            }
            _ => Ok(Some(span)),
        }
    }

    fn fault(&mut self, entry: &Entry, reason: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults
                .push(self.document.fault(entry.position, reason));
        } else if self.faults.len() == FAULTS_MAX {
            self.faults.push(Fault::general("and more"));
        }
    }

    fn warn(&mut self, entry: &Entry, reason: String) {
        self.warnings
            .push(self.document.fault(entry.position, reason));
    }
}

/// `host:port` or a port alone, as Go's `net.SplitHostPort` reads it.
fn address<'a>(key: &str, value: &'a Value) -> Result<(&'a str, i64), String> {
    let text = match value {
        Value::Integer(port) => return Ok(("", *port)),
        Value::Text(text) => text,
        other => return Err(wrong_type(key, "a port or host:port", other)),
    };
    let split = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':')),
    };
    let (host, port) = split.ok_or_else(|| {
        let hint = "expected host:port, an IPv6 host in brackets";
        format!("could not parse address string {}: {hint}", shown(text))
    })?;
    match port.parse() {
        Ok(port) => Ok((host, port)),
        Err(_) => Err(format!("could not parse port {}", shown(port))),
    }
}

fn wrong_type(key: &str, expected: &str, value: &Value) -> String {
    let mut text = format!("{key} must be {expected}, not {}", value.kind());
    let is_quotable = |element: &Value| !matches!(element, Value::List(_) | Value::Map(_));
    match value {
        Value::Text(_) if expected.starts_with("a whole") || expected.starts_with("a size") => {
            text.push_str("; leave out the quotes");
        }
        value if expected == "a text" && is_quotable(value) => {
            text.push_str("; put it in quotes");
        }
        _ => {}
    }
    text
}

fn unknown_field(key: &str, path: &str, section: &str) -> String {
    let mut text = format!("unknown field {}", shown(key));
    // The nearest known name of the same section, supported or not: it is refused by its right name then.
    let in_section = |known: &&'static str| match known.rsplit_once('.') {
        Some((of, _)) => of == section,
        None => section.is_empty(),
    };
    let sections = TABLE
        .iter()
        .flat_map(|row| row.config_keys)
        .filter_map(|key| Some(key.rsplit_once('.')?.0));
    let nearest = TABLE
        .iter()
        .flat_map(|row| row.config_keys.iter().copied())
        .chain(sections)
        .filter(in_section)
        .filter(|known| known.len().abs_diff(path.len()) <= known.len() / 3)
        .map(|known| (strsim::damerau_levenshtein(path, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    if let Some((_, known)) = nearest {
        let known = known.rsplit_once('.').map_or(known, |(_, key)| key);
        text.push_str(&format!("; did you mean {}?", go_quote(known)));
    }
    text
}

/// A value of one of the kinds that options have.
fn shown_value(value: &Value) -> String {
    match value {
        Value::Text(text) => shown(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        other => other.kind().to_owned(),
    }
}

/// A text from the file in quotes, shortened.
fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(SHOWN_MAX).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    go_quote(&short)
}

const FAULTS_MAX: usize = 20;
const SHOWN_MAX: usize = 60;

#[cfg(test)]
mod tests;
