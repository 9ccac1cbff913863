//! Mappings of subjects, of an account or of the whole server.
//!
//! *Control path.* Pure. What a destination may be is known to `subject::transform`.

use super::values::{shown, wrong_type};
use super::{Field, Reader};
use crate::base::ids::AccountId;
use crate::config::account::{Destination, Mapping};
use crate::config::language::{Map, Position, Value};
use crate::subject::{self, Mappings};

/// `mappings`: those of `$G`.
pub(in crate::config) fn of_server<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    let mappings = read(reader, field);
    reader.gathered.accounts[AccountId::GLOBAL.index()].mappings = mappings;
}

/// The mappings in a field that is a map from subjects to destinations.
pub(super) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    for (source, entry) in field.map().in_order() {
        let Some(destinations) = destinations(reader, source, entry.position, &entry.value) else {
            continue;
        };
        let mapping = Mapping {
            source: source.to_owned(),
            destinations,
        };
        match check(&mapping) {
            Ok(()) => mappings.push(mapping),
            Err(reason) => {
                let reason = format!("Error adding mapping for {}: {reason}", shown(source));
                reader.fault(entry.position, reason);
            }
        }
    }
    mappings
}

/// A subject, a map, or a list of maps; none when there was a fault.
fn destinations<'a>(
    reader: &mut Reader<'a>,
    source: &str,
    position: Position,
    value: &'a Value,
) -> Option<Vec<Destination>> {
    match value {
        Value::Text(subject) => Some(vec![Destination {
            subject: (**subject).to_owned(),
            weight: 100,
            cluster: None,
        }]),
        Value::Map(map) => Some(vec![destination(reader, position, map)?]),
        Value::List(list) => {
            let maps = reader.maps(list, "a destination");
            let is_complete = maps.len() == list.elements.len();
            let written = maps
                .into_iter()
                .map(|map| destination(reader, map.position, map.value));
            // All of them are looked at before the first that is wrong counts.
            let written: Vec<Option<Destination>> = written.collect();
            let destinations: Option<Vec<Destination>> = written.into_iter().collect();
            destinations.filter(|_| is_complete)
        }
        other => {
            let expected = "a subject, a map or a list of maps";
            reader.fault(position, wrong_type(source, expected, other));
            None
        }
    }
}

fn destination<'a>(
    reader: &mut Reader<'a>,
    position: Position,
    map: &'a Map,
) -> Option<Destination> {
    let (mut subject, mut cluster) = ("", "");
    let mut share = None;
    for part in reader.parts("destination", map) {
        match part.name() {
            "destination" => subject = part.text(),
            "weight" => share = Some(weight(reader, &part)),
            "cluster" => cluster = part.text(),
            _ => part.misshapen(),
        }
    }
    let Some(weight) = share else {
        let reason = format!("Missing weight for mapping destination {}", shown(subject));
        reader.fault(position, reason);
        return None;
    };
    Some(Destination {
        subject: subject.to_owned(),
        weight: weight?,
        cluster: (!cluster.is_empty()).then(|| cluster.to_owned()),
    })
}

/// 0 to 100, as a number or as a text that may end with a percent sign.
fn weight<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<u8> {
    let (number, written) = match field.value() {
        Value::Integer(number) => (Some(*number), number.to_string()),
        Value::Text(text) => {
            let digits = text.strip_suffix('%').unwrap_or(text);
            (digits.parse().ok(), shown(text))
        }
        _ => field.misshapen(),
    };
    let weight = number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|weight| *weight <= 100);
    if weight.is_none() {
        let reason =
            format!("Invalid weight {written} for mapping destination: it must be 0 to 100");
        reader.fault(field.position(), reason);
    }
    weight
}

fn check(mapping: &Mapping) -> Result<(), String> {
    if mapping.destinations.iter().any(|to| to.subject.is_empty()) {
        return Err("a destination is missing".to_owned());
    }
    let destinations: Vec<subject::Destination<'_>> = mapping
        .destinations
        .iter()
        .map(|to| subject::Destination {
            subject: &to.subject,
            weight: to.weight,
            cluster: to.cluster.as_deref(),
        })
        .collect();
    Mappings::default()
        .add(&mapping.source, &destinations, None)
        .map_err(|error| error.to_string())
}
