//! The block of accounts: their names, limits and users. Their exports, imports and mappings are read by files of
//! those names.
//!
//! *Control path.* Pure.

use nkeys::KeyPairType;

use super::values::{shown, wrong_type};
use super::{Field, Placed, Reader, exports, imports, mappings, permissions, subjects, users};
use crate::base::ids::AccountId;
use crate::config::account::{Account, AccountLimits, MessageTrace};
use crate::config::authorization::User;
use crate::config::language::{List, Map, Position, Value};

/// An account of the file, beside its entry in the list of all accounts.
#[derive(Debug)]
pub(super) struct Defined {
    pub(super) id: AccountId,
    /// Without the account's default permissions, which may stand behind them.
    pub(super) users: Vec<Placed<User>>,
    pub(super) exports: Vec<exports::Written>,
    pub(super) imports: Vec<imports::Written>,
}

/// `accounts`.
pub(in crate::config) fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    match field.value() {
        Value::List(list) => names(reader, list),
        _ => {
            for (name, entry) in field.map().in_order() {
                // A key that a variable refers to is the variable alone.
                if entry.is_referred_to() {
                    continue;
                }
                match &entry.value {
                    Value::Map(map) => define(reader, name, entry.position, Some(map)),
                    other => {
                        reader.fault(entry.position, wrong_type(name, "a map", other));
                    }
                }
            }
        }
    }
}

/// `system_account`.
pub(in crate::config) fn system_account<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    reader.gathered.system_account = Some(Placed {
        position: field.position(),
        value: field.text().to_owned(),
    });
}

/// The server's own `jetstream`: only to be turned off yet.
pub(in crate::config) fn jetstream<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    let is_off = match field.value() {
        Value::Boolean(on) => !on,
        Value::Text(text) => {
            text.eq_ignore_ascii_case("disabled") || text.eq_ignore_ascii_case("disable")
        }
        _ => false,
    };
    if !is_off {
        let reason = format!("{} is not supported yet", field.key);
        reader.fault(field.position(), reason);
    }
}

/// The short form: names, and nothing else of the accounts.
fn names<'a>(reader: &mut Reader<'a>, list: &'a List) {
    for (position, element) in &list.elements {
        match element {
            Value::Text(name) => define(reader, name, *position, None),
            other => {
                let reason = wrong_type("the name of an account", "a text", other);
                reader.fault(*position, reason);
            }
        }
    }
}

fn define<'a>(reader: &mut Reader<'a>, name: &str, position: Position, map: Option<&'a Map>) {
    let id = match reader.gathered.define(name) {
        Ok(id) => id,
        Err(reason) => return reader.fault(position, reason),
    };
    let mut account = Account {
        name: name.to_owned(),
        ..Account::default()
    };
    let mut defined = Defined {
        id,
        users: Vec::new(),
        exports: Vec::new(),
        imports: Vec::new(),
    };
    if let Some(map) = map {
        parts(reader, map, &mut account, &mut defined);
    }
    reader.gathered.add(account, defined);
}

fn parts<'a>(reader: &mut Reader<'a>, map: &'a Map, account: &mut Account, defined: &mut Defined) {
    for part in reader.parts("account", map) {
        match part.name() {
            "nkey" => account.nkey = nkey(reader, &part),
            "users" => defined.users = users::read(reader, &part, defined.id),
            "default_permissions" => {
                account.default_permissions = Some(permissions::read(reader, &part));
            }
            "exports" => defined.exports = exports::read(reader, &part),
            "imports" => defined.imports = imports::read(reader, &part),
            "mappings" => account.mappings = mappings::read(reader, &part),
            "limits" => account.limits = limits(reader, part.map()),
            "msg_trace" => account.message_trace = message_trace(reader, &part),
            "jetstream" => jetstream(reader, &part),
            _ => part.misshapen(),
        }
    }
}

fn nkey<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<String> {
    let text = field.text();
    if !users::is_public_key(text, &KeyPairType::Account) {
        let reason = format!("Not a valid public nkey for an account: {}", shown(text));
        reader.fault(field.position(), reason);
    }
    Some(text.to_owned())
}

fn limits<'a>(reader: &mut Reader<'a>, map: &'a Map) -> AccountLimits {
    let mut limits = AccountLimits::default();
    for part in reader.parts("limits", map) {
        let limit = match part.value() {
            Value::Integer(number) => limit(reader, &part, *number),
            _ => part.misshapen(),
        };
        match part.name() {
            "max_connections" => limits.connections_max = limit,
            "max_subscriptions" => limits.subscriptions_max = limit,
            "max_payload" => limits.payload_max = limit,
            "max_leafnodes" => limits.leafnodes_max = limit,
            _ => part.misshapen(),
        }
    }
    limits
}

/// nats-server keeps limits in an `int32`, lets larger numbers wrap around, and takes any below zero but -1 for none at all.
fn limit<'a>(reader: &mut Reader<'a>, field: &Field<'a>, number: i64) -> Option<u32> {
    if number == -1 {
        return None;
    }
    let fitting = i32::try_from(number)
        .ok()
        .and_then(|number| u32::try_from(number).ok());
    if fitting.is_none() {
        let reason = format!(
            "invalid value {number} for {}: must be -1 to {}",
            field.key,
            i32::MAX
        );
        reader.fault(field.position(), reason);
    }
    fitting
}

/// Where sampled messages are traced to; none without a destination, with a warning.
fn message_trace<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<MessageTrace> {
    let mut destination = None;
    let mut sampling = None;
    match field.value() {
        Value::Text(_) => destination = Some(trace_destination(reader, field)),
        _ => {
            for part in reader.parts("trace", field.map()) {
                match part.name() {
                    "dest" => destination = Some(trace_destination(reader, &part)),
                    "sampling" => sampling = percent(reader, &part),
                    _ => part.misshapen(),
                }
            }
        }
    }
    if destination.is_none() && sampling.is_some() {
        reader.warn(
            field.position(),
            "Trace destination sampling ignored since no destination was set",
        );
    }
    destination.map(|destination| MessageTrace {
        destination,
        sampling: sampling.unwrap_or(100),
    })
}

fn trace_destination<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> String {
    let text = field.text();
    if !subjects::is_literal(text) {
        let reason = format!("Trace destination {} is not valid", shown(text));
        reader.fault(field.position(), reason);
    }
    text.to_owned()
}

/// 1 to 100, as a number or as a text that may end with a percent sign.
pub(super) fn percent<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<u8> {
    let number = match field.value() {
        Value::Integer(number) => Some(*number),
        Value::Text(text) => text.strip_suffix('%').unwrap_or(text).parse().ok(),
        _ => field.misshapen(),
    };
    let percent = number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|percent| (1..=100).contains(percent));
    if percent.is_none() {
        let reason = format!("{} must be 1 to 100, or 1% to 100% in quotes", field.key);
        reader.fault(field.position(), reason);
    }
    percent
}
