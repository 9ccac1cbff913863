//! What accounts take from others: the list of imports of one account.
//!
//! *Control path.* Pure. Names of accounts stay names here: they may be defined further down. `crossings` resolves them.

use super::{Field, Placed, Reader};
use crate::config::account::ImportKind;
use crate::config::language::{Map, Position};

/// An import as it is written, in the order of the file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) position: Position,
    /// The exporting account.
    pub(super) from: String,
    pub(super) subject: String,
    /// Of a stream: what comes before the subject here. Then the kind's `to` is none.
    pub(super) prefix: Option<String>,
    pub(super) kind: ImportKind,
    pub(super) allow_trace: bool,
}

/// The imports in a field that is a list.
pub(super) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<Written> {
    let maps = reader.maps(field.list(), "an import");
    maps.into_iter()
        .filter_map(|Placed { position, value }| import(reader, position, value))
        .collect()
}

/// The exporting account and the subject in it.
struct Origin<'a> {
    account: &'a str,
    subject: &'a str,
}

fn import<'a>(reader: &mut Reader<'a>, position: Position, map: &'a Map) -> Option<Written> {
    let (mut stream, mut service) = (None, None);
    let (mut prefix, mut to) = (None, None);
    let mut share = false;
    let mut trace = None;
    for part in reader.parts("import", map) {
        match part.name() {
            "stream" => stream = Some(origin(reader, &part)),
            "service" => service = Some(origin(reader, &part)),
            // An empty text is none, as in nats-server.
            "prefix" => {
                prefix = Some(&part)
                    .filter(|part| !part.text().is_empty())
                    .map(placed)
            }
            "to" => {
                to = Some(&part)
                    .filter(|part| !part.text().is_empty())
                    .map(placed)
            }
            "share" => share = part.switch(),
            "allow_trace" => trace = Some((part.position(), part.switch())),
            _ => part.misshapen(),
        }
    }
    let wrong = match (&stream, &service, &prefix, &to, trace) {
        (None, None, ..) => Some((position, "an import needs a stream or a service")),
        (Some(_), Some(_), ..) => Some((position, "Detected service but already saw a stream")),
        (None, _, Some(prefix), ..) => Some((
            prefix.position,
            "a service import has 'to' instead of a 'prefix'",
        )),
        (Some(_), _, Some(_), Some(to), _) => Some((
            to.position,
            "Stream import can not have a 'prefix' and a 'to' property",
        )),
        (None, .., Some((position, _))) => {
            Some((position, "Detected allow_trace directive on a non-stream"))
        }
        _ => None,
    };
    if let Some((position, reason)) = wrong {
        reader.fault(position, reason);
        return None;
    }
    let to = to.map(|to| to.value.to_owned());
    let is_stream = stream.is_some();
    let origin = stream.or(service)??;
    Some(Written {
        position,
        from: origin.account.to_owned(),
        subject: origin.subject.to_owned(),
        prefix: prefix.map(|prefix| prefix.value.to_owned()),
        kind: match is_stream {
            true => ImportKind::Stream { to },
            false => ImportKind::Service { to, share },
        },
        allow_trace: trace.is_some_and(|(_, on)| on),
    })
}

fn placed<'a>(field: &Field<'a>) -> Placed<&'a str> {
    Placed {
        position: field.position(),
        value: field.text(),
    }
}

fn origin<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<Origin<'a>> {
    let (mut account, mut subject) = ("", "");
    for part in reader.parts("origin", field.map()) {
        match part.name() {
            "account" => account = part.text(),
            "subject" => subject = part.text(),
            _ => part.misshapen(),
        }
    }
    if account.is_empty() || subject.is_empty() {
        reader.fault(field.position(), "Expect an account name and a subject");
        return None;
    }
    Some(Origin { account, subject })
}
