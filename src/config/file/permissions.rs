//! The block of permissions: what a user may publish and subscribe to, in all of nats-server's spellings.
//!
//! *Control path.* Pure. nats-server takes an empty list of allowed subjects for no list at all, so that everything is
//! allowed; here it is refused, because it may have been meant the other way round.

use std::time::Duration;

use super::values::shown;
use super::{Field, Placed, Reader, subjects};
use crate::config::authorization::{AllowResponses, Permissions, SubjectRules};
use crate::config::duration::parse_duration;
use crate::config::language::{Map, Position, Value};

/// `authorization { default_permissions }`.
pub(in crate::config) fn of_authorization<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    let value = read(reader, field);
    reader.gathered.default_permissions = Some(Placed {
        position: field.position(),
        value,
    });
}

/// The permissions in a field that is a map.
pub(super) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Permissions {
    let mut permissions = Permissions::default();
    for part in reader.parts("permissions", field.map()) {
        match part.name() {
            "publish" => permissions.publish = rules(reader, &part, Queues::Refused),
            "subscribe" => permissions.subscribe = rules(reader, &part, Queues::Taken),
            "allow_responses" => permissions.responses = responses(reader, &part),
            _ => part.misshapen(),
        }
    }
    // Who may answer may publish nothing else, unless it is said.
    if permissions.responses.is_some() {
        permissions.publish.allow.get_or_insert_default();
    }
    permissions
}

/// Whether a subject may be followed by a queue group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queues {
    Taken,
    Refused,
}

fn rules<'a>(reader: &mut Reader<'a>, field: &Field<'a>, queues: Queues) -> SubjectRules {
    let mut rules = SubjectRules::default();
    let Value::Map(map) = field.value() else {
        rules.allow = allowed(reader, field, queues);
        return rules;
    };
    for part in reader.parts("rules", map) {
        match part.name() {
            "allow" => rules.allow = allowed(reader, &part, queues),
            "deny" => rules.deny = subject_list(reader, &part, queues),
            _ => part.misshapen(),
        }
    }
    rules
}

fn allowed<'a>(reader: &mut Reader<'a>, field: &Field<'a>, queues: Queues) -> Option<Vec<String>> {
    if matches!(field.value(), Value::List(list) if list.elements.is_empty()) {
        let reason = format!(
            "{} is empty, which allows everything: leave it out, or deny \">\"",
            field.key
        );
        reader.fault(field.position(), reason);
    }
    Some(subject_list(reader, field, queues))
}

fn subject_list<'a>(reader: &mut Reader<'a>, field: &Field<'a>, queues: Queues) -> Vec<String> {
    let mut list = Vec::new();
    for Placed { position, value } in reader.texts(field) {
        match subject_rule(value, queues) {
            Ok(rule) => list.push(rule),
            Err(reason) => reader.fault(position, reason),
        }
    }
    list
}

/// A subject, or a subject and a queue group with one space between them.
fn subject_rule(text: &str, queues: Queues) -> Result<String, String> {
    if subjects::is_pattern(text) {
        return Ok(text.to_owned());
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let invalid = |subject: &str| format!("subject {} is not a valid subject", shown(subject));
    match words[..] {
        [subject, queue] if queues == Queues::Taken => {
            if !subjects::is_pattern(subject) {
                return Err(invalid(subject));
            }
            if !subjects::is_pattern(queue) {
                return Err(format!("queue {} is not a valid queue", shown(queue)));
            }
            Ok(format!("{subject} {queue}"))
        }
        _ => Err(invalid(text)),
    }
}

fn responses<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<AllowResponses> {
    match field.value() {
        Value::Boolean(false) => None,
        Value::Boolean(true) => Some(RESPONSES),
        _ => Some(response_limits(reader, field.map())),
    }
}

fn response_limits<'a>(reader: &mut Reader<'a>, map: &'a Map) -> AllowResponses {
    let mut limits = RESPONSES;
    for part in reader.parts("responses", map) {
        match (part.name(), part.value()) {
            // Zero is the default, and below it is no limit.
            ("max", Value::Integer(0)) => limits.max = RESPONSES.max,
            ("max", Value::Integer(number)) if *number < 0 => limits.max = None,
            ("max", Value::Integer(number)) => {
                limits.max = Some(u32::try_from(*number).unwrap_or(u32::MAX));
            }
            ("expires", Value::Text(text)) => {
                limits.expires = expires(reader, part.position(), text);
            }
            _ => part.misshapen(),
        }
    }
    limits
}

fn expires(reader: &mut Reader<'_>, position: Position, text: &str) -> Option<Duration> {
    let (is_negative, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, text),
    };
    let has_unit = magnitude == "0" || magnitude.ends_with(char::is_alphabetic);
    match parse_duration(magnitude).filter(|_| has_unit) {
        Some(Duration::ZERO) => RESPONSES.expires,
        Some(_) if is_negative => None,
        Some(span) => Some(span),
        None => {
            let reason = format!(
                "error parsing expires: {} is no duration such as 2m or 500ms",
                shown(text)
            );
            reader.fault(position, reason);
            RESPONSES.expires
        }
    }
}

/// nats-server's defaults.
const RESPONSES: AllowResponses = AllowResponses {
    max: Some(1),
    expires: Some(Duration::from_secs(120)),
};
