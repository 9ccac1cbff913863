//! From one value to one option: the types of values that the table's own rows take.
//!
//! *Control path.* Pure. What blocks are made of is not here: their readers are beside this file.

use std::time::Duration;

use super::Reader;
use crate::config::draft::UNIX_PREFIX;
use crate::config::duration::{GoDuration, parse_duration};
use crate::config::go_text::go_quote;
use crate::config::language::{Entry, Value};
use crate::config::table::{Expected, Kind, Row, Seconds, ValueError, shown_range, shown_span};

impl Reader<'_> {
    /// One value of the option `row`, under the key as it was written.
    pub(super) fn value(
        &mut self,
        row: &'static Row,
        key: &str,
        entry: &Entry,
    ) -> Result<(), String> {
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
            (Kind::Address(_, set), Value::Text(text))
                if row.name() == "listen" && text.starts_with(UNIX_PREFIX) =>
            {
                set(draft, text, 0);
                Ok(())
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
            (Kind::Block(..) | Kind::Part(_), _) => unreachable!("{key}: it has a reader"),
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
    pub(super) fn span(
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
                    self.warn(entry.position, reason);
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
                self.warn(entry.position, reason);
                Ok(Some(span))
            }
            _ => Ok(Some(span)),
        }
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

pub(super) fn wrong_type(key: &str, expected: &str, value: &Value) -> String {
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
pub(super) fn shown(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(SHOWN_MAX).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    go_quote(&short)
}

const SHOWN_MAX: usize = 60;
