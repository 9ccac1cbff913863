//! The block of proxies that are believed.
//!
//! *Control path.* Pure.

use super::{Field, Placed, Reader};
use crate::config::language::Map;

/// `proxies`.
pub(in crate::config) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    for part in reader.parts("proxies", field.map()) {
        match part.name() {
            "trusted" => reader.draft.options.trusted_proxies = trusted(reader, &part),
            _ => part.misshapen(),
        }
    }
}

fn trusted<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<String> {
    let mut keys = Vec::new();
    for Placed { position, value } in reader.maps(field.list(), "a trusted proxy") {
        match key(reader, value) {
            Some(key) => keys.push(key),
            // nats-server finds it at its start.
            None => reader.fault(position, "a trusted proxy needs a key"),
        }
    }
    keys
}

fn key<'a>(reader: &mut Reader<'a>, map: &'a Map) -> Option<String> {
    let mut key = None;
    for part in reader.parts("proxy", map) {
        match part.name() {
            "key" => {
                let text = part.text();
                if nkeys::from_public_key(text).is_err() {
                    let reason = format!("invalid proxy key {}", super::shown(text));
                    reader.fault(part.position(), reason);
                }
                key = Some(text.to_owned());
            }
            _ => part.misshapen(),
        }
    }
    key
}
