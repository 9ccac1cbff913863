//! What accounts offer to others: the list of exports of one account.
//!
//! *Control path.* Pure. Names of accounts stay names here: they may be defined further down. `crossings` resolves them.

use std::time::Duration;

use super::accounts::percent;
use super::values::shown;
use super::{Field, Placed, Reader, subjects};
use crate::config::account::{
    ExportKind, RESPONSE_THRESHOLD, ResponseKind, Sampling, ServiceLatency,
};
use crate::config::duration::parse_duration;
use crate::config::language::{Map, Position, Value};

/// An export as it is written, in the order of the file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) position: Position,
    pub(super) subject: String,
    /// Who may import it; none is everybody.
    pub(super) accounts: Option<Vec<Placed<String>>>,
    pub(super) account_token_position: usize,
    pub(super) kind: ExportKind,
    pub(super) allow_trace: bool,
}

/// The exports in a field that is a list.
pub(super) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<Written> {
    let maps = reader.maps(field.list(), "an export");
    maps.into_iter()
        .filter_map(|Placed { position, value }| export(reader, position, value))
        .collect()
}

/// The parts of an export, before it is known what it is.
#[derive(Default)]
struct Parts<'a> {
    stream: Option<&'a str>,
    service: Option<&'a str>,
    accounts: Option<Vec<Placed<String>>>,
    account_token_position: usize,
    responses: Option<ResponseKind>,
    threshold: Option<Duration>,
    latency: Option<ServiceLatency>,
    allow_trace: bool,
    /// Where a part stands that only services have.
    of_services: Option<(&'static str, Position)>,
}

fn export<'a>(reader: &mut Reader<'a>, position: Position, map: &'a Map) -> Option<Written> {
    let mut parts = Parts::default();
    for part in reader.parts("export", map) {
        match part.name() {
            "stream" => parts.stream = Some(part.text()),
            "service" => parts.service = Some(part.text()),
            "accounts" => parts.accounts = Some(accounts(reader, &part)),
            "account_token_position" => {
                parts.account_token_position = token_position(reader, &part);
            }
            "response_type" => parts.responses = responses(reader, &part),
            "response_threshold" => parts.threshold = threshold(reader, &part),
            "latency" => parts.latency = latency(reader, &part),
            "allow_trace" => parts.allow_trace = part.switch(),
            _ => part.misshapen(),
        }
        match part.name() {
            "response_type" | "response_threshold" => {
                parts.of_services = Some(("response", part.position()));
            }
            "latency" => parts.of_services = Some(("latency", part.position())),
            "allow_trace" => parts.of_services = Some(("allow_trace", part.position())),
            _ => {}
        }
    }
    let (subject, kind) = match kind(&parts) {
        Ok(found) => found,
        Err((place, reason)) => {
            reader.fault(place.unwrap_or(position), reason);
            return None;
        }
    };
    if !subjects::is_pattern(subject) {
        let reason = format!("subject {} is not a valid subject", shown(subject));
        reader.fault(position, reason);
        return None;
    }
    Some(Written {
        position,
        subject: subject.to_owned(),
        accounts: parts.accounts,
        account_token_position: parts.account_token_position,
        kind,
        allow_trace: parts.allow_trace,
    })
}

/// The subject, and what it is exported as.
fn kind<'a>(parts: &Parts<'a>) -> Result<(&'a str, ExportKind), (Option<Position>, String)> {
    match (parts.stream, parts.service) {
        (None, None) => Err((None, "an export needs a stream or a service".to_owned())),
        (Some(_), Some(service)) => {
            let service = shown(service);
            let reason = format!("Detected service {service} but already saw a stream");
            Err((None, reason))
        }
        (Some(stream), None) => match parts.of_services {
            Some((what, position)) => {
                let reason = format!("Detected {what} directive on non-service");
                Err((Some(position), reason))
            }
            None => Ok((stream, ExportKind::Stream)),
        },
        (None, Some(service)) => Ok((
            service,
            ExportKind::Service {
                responses: parts.responses.unwrap_or_default(),
                response_threshold: parts.threshold.unwrap_or(RESPONSE_THRESHOLD),
                latency: parts.latency.clone(),
            },
        )),
    }
}

fn accounts<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<Placed<String>> {
    let texts = reader.texts(field);
    if texts.is_empty() {
        let reason = format!(
            "{} is empty, which lets every account in: leave it out if that is meant",
            field.key
        );
        reader.fault(field.position(), reason);
    }
    let owned = |Placed { position, value }: Placed<&str>| Placed {
        position,
        value: value.to_owned(),
    };
    texts.into_iter().map(owned).collect()
}

fn token_position<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> usize {
    let Value::Integer(number) = field.value() else {
        field.misshapen()
    };
    usize::try_from(*number).unwrap_or_else(|_| {
        let reason = format!("invalid value {number} for {}: it is below zero", field.key);
        reader.fault(field.position(), reason);
        0
    })
}

fn responses<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<ResponseKind> {
    let text = field.text();
    let known = RESPONSES
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    if known.is_none() {
        let reason = format!(
            "Unknown response type: {}; there are singleton, stream and chunked",
            shown(text)
        );
        reader.fault(field.position(), reason);
    }
    known.map(|(_, responses)| *responses)
}

/// None, the default, for zero.
fn threshold<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<Duration> {
    let text = field.text();
    let has_unit = text == "0" || text.ends_with(char::is_alphabetic);
    let span = parse_duration(text).filter(|_| has_unit);
    if span.is_none() {
        let reason = format!(
            "Expected response threshold to be a parseable time duration, got {}",
            shown(text)
        );
        reader.fault(field.position(), reason);
    }
    span.filter(|span| !span.is_zero())
}

fn latency<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<ServiceLatency> {
    let all = Sampling::Percent(100);
    let mut latency = ServiceLatency {
        sampling: all,
        subject: String::new(),
    };
    match field.value() {
        Value::Text(subject) => latency.subject = (**subject).to_owned(),
        _ => {
            for part in reader.parts("latency", field.map()) {
                match part.name() {
                    "sampling" => latency.sampling = sampling(reader, &part).unwrap_or(all),
                    "subject" => latency.subject = part.text().to_owned(),
                    _ => part.misshapen(),
                }
            }
            if latency.subject.is_empty() {
                reader.fault(field.position(), "Latency subject required, but missing");
                return None;
            }
        }
    }
    Some(latency)
}

fn sampling<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<Sampling> {
    match field.value() {
        Value::Text(text) if text.trim().eq_ignore_ascii_case("headers") => Some(Sampling::Headers),
        _ => percent(reader, field).map(Sampling::Percent),
    }
}

const RESPONSES: &[(&str, ResponseKind)] = &[
    ("singleton", ResponseKind::Singleton),
    ("single", ResponseKind::Singleton),
    ("stream", ResponseKind::Stream),
    ("chunked", ResponseKind::Chunked),
    ("chunk", ResponseKind::Chunked),
];
