//! Users, of the authorization block and of accounts.
//!
//! *Control path.* Pure. That names and keys are unique is seen when all users are known, in `gathered`.

use nkeys::KeyPairType;

use super::{Field, Placed, Reader, permissions};
use crate::base::ids::AccountId;
use crate::config::Secret;
use crate::config::authorization::{ConnectionType, Credentials, PeerRule, Permissions, User};
use crate::config::language::{Map, Position, Value};
use crate::config::system_names::{GROUPS_FILE, USERS_FILE};

/// `authorization { users }`.
pub(in crate::config) fn of_authorization<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    let value = read(reader, field, AccountId::GLOBAL);
    reader.gathered.users = Some(Placed {
        position: field.position(),
        value,
    });
}

/// The users in a field that is a list.
pub(super) fn read<'a>(
    reader: &mut Reader<'a>,
    field: &Field<'a>,
    account: AccountId,
) -> Vec<Placed<User>> {
    let maps = reader.maps(field.list(), "a user");
    maps.into_iter()
        .filter_map(|Placed { position, value }| {
            let user = user(reader, position, value, account)?;
            Some(Placed {
                position,
                value: user,
            })
        })
        .collect()
}

fn user<'a>(
    reader: &mut Reader<'a>,
    position: Position,
    map: &'a Map,
    account: AccountId,
) -> Option<User> {
    let (mut name, mut password, mut nkey) = ("", None, "");
    let mut permissions: Option<Permissions> = None;
    let mut connection_types = None;
    let mut proxy_required = false;
    let mut rule = PeerRule::default();
    let mut is_sound = true;
    for part in reader.parts("user", map) {
        match part.name() {
            "user" => name = part.text(),
            "password" => password = Some(part.text()),
            "nkey" => nkey = part.text(),
            "permissions" => permissions = Some(permissions::read(reader, &part)),
            "allowed_connection_types" => connection_types = Some(ways(reader, &part)),
            "proxy_required" => proxy_required = part.switch(),
            "peer_user" => {
                rule.user = number(reader, &part, USERS_FILE);
                is_sound &= rule.user.is_some();
            }
            "peer_group" => {
                rule.group = number(reader, &part, GROUPS_FILE);
                is_sound &= rule.group.is_some();
            }
            _ => part.misshapen(),
        }
    }
    if !is_sound {
        return None;
    }
    match credentials(name, password, nkey, rule) {
        Ok(credentials) => Some(User {
            credentials,
            account,
            permissions,
            connection_types,
            proxy_required,
        }),
        Err(reason) => {
            reader.fault(position, reason);
            None
        }
    }
}

fn credentials(
    name: &str,
    password: Option<&str>,
    nkey: &str,
    rule: PeerRule,
) -> Result<Credentials, &'static str> {
    if rule != PeerRule::default() {
        return match (name, password, nkey) {
            ("", _, _) => Err("User entry requires a user"),
            (name, None, "") => Ok(Credentials::Process {
                name: name.to_owned(),
                rule,
            }),
            _ => Err("Users with peer_user or peer_group take no password and no nkey"),
        };
    }
    match (name, nkey) {
        ("", "") => Err("User entry requires a user"),
        (name, "") => Ok(Credentials::Password {
            name: name.to_owned(),
            password: Secret::new(password.unwrap_or_default()),
        }),
        (_, nkey) if !is_public_key(nkey, &KeyPairType::User) => {
            Err("Not a valid public nkey for a user")
        }
        ("", nkey) if password.unwrap_or_default().is_empty() => {
            Ok(Credentials::Nkey(nkey.to_owned()))
        }
        _ => Err("Nkey users do not take usernames or passwords"),
    }
}

/// The user or group of this machine that a field names.
fn number<'a>(reader: &mut Reader<'a>, field: &Field<'a>, file: &str) -> Option<u32> {
    let found = match field.value() {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::Text(text) => reader.machine.number(text, file),
        _ => field.misshapen(),
    };
    if found.is_none() {
        let what = field.name();
        let reason = format!("{what}: {file} does not list it, and it is no number of one");
        reader.fault(field.position(), reason);
    }
    found
}

/// Whether `text` is a public nkey of this type.
pub(super) fn is_public_key(text: &str, of: &KeyPairType) -> bool {
    nkeys::from_public_key(text).is_ok_and(|(prefix, _)| KeyPairType::from(prefix) == *of)
}

/// The ways in which a user may connect. An empty list would be all of them.
fn ways<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<ConnectionType> {
    let texts = reader.texts(field);
    if texts.is_empty() {
        let reason = format!(
            "{} is empty, which allows every way to connect: leave it out",
            field.key
        );
        reader.fault(field.position(), reason);
    }
    let mut ways = Vec::new();
    for Placed { position, value } in texts {
        let known = CONNECTION_TYPES
            .iter()
            .find(|(name, _)| value.eq_ignore_ascii_case(name));
        match known {
            Some((_, way)) if ways.contains(way) => {}
            Some((_, way)) => ways.push(*way),
            None => {
                let names: Vec<&str> = CONNECTION_TYPES.iter().map(|(name, _)| *name).collect();
                let reason = format!(
                    "invalid connection types [{}]: there are {}",
                    super::shown(value),
                    names.join(", ")
                );
                reader.fault(position, reason);
            }
        }
    }
    ways
}

const CONNECTION_TYPES: &[(&str, ConnectionType)] = &[
    ("STANDARD", ConnectionType::Standard),
    ("WEBSOCKET", ConnectionType::Websocket),
    ("LEAFNODE", ConnectionType::Leafnode),
    ("LEAFNODE_WS", ConnectionType::LeafnodeWebsocket),
    ("MQTT", ConnectionType::Mqtt),
    ("MQTT_WS", ConnectionType::MqttWebsocket),
    ("IN_PROCESS", ConnectionType::InProcess),
];
