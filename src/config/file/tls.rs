//! The block of TLS: which certificates, and how clients are to behave.
//!
//! *Control path.* Pure: the files are named here, and read when the server starts.

use std::collections::BTreeSet;
use std::time::Duration;

use super::values::shown;
use super::{Field, Placed, Reader};
use crate::config::duration::parse_duration;
use crate::config::language::{Map, Position, Value};
use crate::config::tls::{
    Availability, CIPHER_SUITES, CURVES, CertificateFiles, HANDSHAKE_FIRST_AUTO, HANDSHAKE_TIMEOUT,
    HandshakeFirst, Tls, TlsVersion, available,
};

/// `tls`, of the port for clients.
pub(in crate::config) fn of_clients<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    let tls = read(reader, field);
    reader.draft.options.tls = Some(tls);
}

/// The files of a certificate, each with its place.
#[derive(Default)]
struct Pair<'a> {
    certificate: Option<Placed<&'a str>>,
    key: Option<Placed<&'a str>>,
}

/// The block in a field that is a map.
fn read<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Tls {
    let mut tls = Tls::default();
    let mut pair = Pair::default();
    let mut suites = Vec::new();
    let mut insecure_allowed = false;
    let mut certs = None;
    for part in reader.parts("tls", field.map()) {
        match part.name() {
            "cert_file" => pair.certificate = placed(&part),
            "key_file" => pair.key = placed(&part),
            "certs" => certs = Some((part.position(), certificates(reader, &part))),
            "ca_file" => tls.ca_file = placed(&part).map(|file| file.value.into()),
            "verify" => tls.verify |= part.switch(),
            "verify_and_map" => tls.map = part.switch(),
            "verify_cert_and_check_known_urls" => refuse_known_urls(reader, &part),
            "timeout" => tls.timeout = timeout(reader, &part),
            "handshake_first" => tls.handshake_first = handshake_first(reader, &part),
            "min_version" => tls.min_version = min_version(reader, &part),
            "cipher_suites" => suites = names(reader, &part),
            "allow_insecure_cipher_suites" => insecure_allowed = part.switch(),
            "curve_preferences" => {
                let wanted = names(reader, &part);
                tls.curves = curves(reader, wanted);
            }
            "pinned_certs" => tls.pinned_certs = Some(pinned(reader, &part)),
            "connection_rate_limit" => tls.connection_rate_limit = rate(reader, &part),
            // What a client would do with a server's certificate.
            "insecure" => {}
            _ => part.misshapen(),
        }
    }
    tls.verify |= tls.map;
    tls.cipher_suites = cipher_suites(reader, suites, insecure_allowed);
    match (certs, pair) {
        (Some((position, _)), Pair { certificate, .. }) if certificate.is_some() => reader.fault(
            position,
            "error parsing tls config, cannot combine 'cert_file' option with 'certs' option",
        ),
        (Some((_, certificates)), _) => tls.certificates = certificates,
        (None, pair) => tls
            .certificates
            .extend(files(reader, field.position(), &pair)),
    }
    tls
}

/// None for an empty text, as in nats-server.
fn placed<'a>(field: &Field<'a>) -> Option<Placed<&'a str>> {
    let placed = Placed {
        position: field.position(),
        value: field.text(),
    };
    Some(placed).filter(|placed| !placed.value.is_empty())
}

fn files(reader: &mut Reader<'_>, position: Position, pair: &Pair<'_>) -> Option<CertificateFiles> {
    match (&pair.certificate, &pair.key) {
        (Some(certificate), Some(key)) => {
            return Some(CertificateFiles {
                certificate: certificate.value.into(),
                key: key.value.into(),
            });
        }
        (Some(certificate), None) => reader.fault(
            certificate.position,
            "missing 'key_file' in TLS configuration",
        ),
        (None, Some(key)) => {
            reader.fault(key.position, "missing 'cert_file' in TLS configuration");
        }
        // nats-server starts, and no client gets in.
        (None, None) => reader.fault(
            position,
            "missing 'cert_file' and 'key_file' in TLS configuration",
        ),
    }
    None
}

fn certificates<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<CertificateFiles> {
    let mut certificates = Vec::new();
    let maps = reader.maps(field.list(), "a certificate");
    if maps.is_empty() {
        reader.fault(field.position(), format!("{} is empty", field.key));
    }
    for Placed { position, value } in maps {
        let pair = pair(reader, value);
        match (pair.certificate, pair.key) {
            (Some(certificate), Some(key)) => certificates.push(CertificateFiles {
                certificate: certificate.value.into(),
                key: key.value.into(),
            }),
            _ => reader.fault(
                position,
                "error parsing certificates config: both 'cert_file' and 'key_file' options are required",
            ),
        }
    }
    certificates
}

fn pair<'a>(reader: &mut Reader<'a>, map: &'a Map) -> Pair<'a> {
    let mut pair = Pair::default();
    for part in reader.parts("certificate", map) {
        match part.name() {
            "cert_file" => pair.certificate = placed(&part),
            "key_file" => pair.key = placed(&part),
            _ => part.misshapen(),
        }
    }
    pair
}

fn refuse_known_urls<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    if field.switch() {
        let reason = format!("{} not supported in this context", field.key);
        reader.fault(field.position(), reason);
    }
}

/// Zero is the default.
fn timeout<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Duration {
    let span = match reader.span(field.row, field.key, field.entry, field.value()) {
        Ok(Some(span)) if span <= TIMEOUT_MAX => span,
        Ok(Some(_)) => {
            let reason = format!("{} is longer than an hour", field.key);
            reader.fault(field.position(), reason);
            Duration::ZERO
        }
        Ok(None) => field.misshapen(),
        Err(reason) => {
            reader.fault(field.position(), reason);
            Duration::ZERO
        }
    };
    if span.is_zero() {
        HANDSHAKE_TIMEOUT
    } else {
        span
    }
}

fn handshake_first<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> HandshakeFirst {
    let text = match field.value() {
        Value::Boolean(true) => return HandshakeFirst::Always,
        Value::Boolean(false) => return HandshakeFirst::No,
        _ => field.text(),
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" => return HandshakeFirst::Always,
        "false" | "off" => return HandshakeFirst::No,
        "auto" | "auto_fallback" => return HandshakeFirst::Within(HANDSHAKE_FIRST_AUTO),
        _ => {}
    }
    let has_unit = text == "0" || text.ends_with(char::is_alphabetic);
    match parse_duration(text).filter(|_| has_unit) {
        Some(Duration::ZERO) => HandshakeFirst::Always,
        Some(span) if span <= TIMEOUT_MAX => HandshakeFirst::Within(span),
        _ => {
            let reason = format!(
                "field {}'s value {} is invalid: expected true, false, auto or a duration of up to an hour",
                field.key,
                shown(text)
            );
            reader.fault(field.position(), reason);
            HandshakeFirst::Always
        }
    }
}

fn min_version<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> TlsVersion {
    let reason = match field.text() {
        "1.2" => return TlsVersion::V1_2,
        "1.3" => return TlsVersion::V1_3,
        old @ ("1.0" | "1.1") => format!("unsupported TLS version: {old}"),
        other => format!("unknown version: {}", shown(other)),
    };
    reader.fault(
        field.position(),
        format!("error parsing tls config: {reason}; there are \"1.2\" and \"1.3\""),
    );
    TlsVersion::V1_3
}

/// The texts of a list that must not be empty.
fn names<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Vec<Placed<&'a str>> {
    let names = reader.texts(field);
    if names.is_empty() {
        let reason = format!(
            "error parsing tls config, '{}' cannot be empty",
            field.name()
        );
        reader.fault(field.position(), reason);
    }
    names
}

fn cipher_suites(
    reader: &mut Reader<'_>,
    wanted: Vec<Placed<&str>>,
    insecure_allowed: bool,
) -> Vec<String> {
    let mut suites = Vec::with_capacity(wanted.len());
    for Placed { position, value } in wanted {
        let known = CIPHER_SUITES.iter().find(|(name, _)| *name == value);
        let reason = match known.map(|(_, availability)| *availability) {
            Some(Availability::Available) => {
                suites.push(value.to_owned());
                continue;
            }
            None => format!("unrecognized cipher {}", shown(value)),
            Some(Availability::Insecure) if !insecure_allowed => format!(
                "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {value}"
            ),
            Some(_) => format!("cipher suite {value} is not supported"),
        };
        let names: Vec<&str> = available(CIPHER_SUITES).collect();
        reader.fault(
            position,
            format!("{reason}; there are {}", names.join(", ")),
        );
    }
    suites
}

fn curves(reader: &mut Reader<'_>, wanted: Vec<Placed<&str>>) -> Vec<String> {
    let mut curves = Vec::with_capacity(wanted.len());
    for Placed { position, value } in wanted {
        let known = CURVES.iter().find(|(name, _)| *name == value);
        let reason = match known.map(|(_, availability)| *availability) {
            Some(Availability::Available) => {
                curves.push(value.to_owned());
                continue;
            }
            None => format!("unrecognized curve preference {}", shown(value)),
            Some(_) => format!("curve preference {value} is not supported"),
        };
        let names: Vec<&str> = available(CURVES).collect();
        reader.fault(
            position,
            format!("{reason}; there are {}", names.join(", ")),
        );
    }
    curves
}

fn pinned<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> BTreeSet<[u8; 32]> {
    let texts = reader.texts(field);
    if texts.is_empty() {
        let reason = format!(
            "{} is empty, which lets every certificate in: leave it out if that is meant",
            field.key
        );
        reader.fault(field.position(), reason);
    }
    let mut pins = BTreeSet::new();
    for Placed { position, value } in texts {
        match digest(value) {
            Some(pin) => {
                pins.insert(pin);
            }
            None => {
                let reason = format!(
                    "error parsing tls config, 'pinned_certs' key {} does not look like hex-encoded sha256 of \
                     DER encoded SubjectPublicKeyInfo",
                    shown(value)
                );
                reader.fault(position, reason);
            }
        }
    }
    pins
}

/// 32 bytes in hexadecimal.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// None, no limit, for zero.
fn rate<'a>(reader: &mut Reader<'a>, field: &Field<'a>) -> Option<u32> {
    let Value::Integer(number) = field.value() else {
        field.misshapen()
    };
    match u32::try_from(*number) {
        Ok(rate) => Some(rate).filter(|rate| *rate > 0),
        Err(_) => {
            let reason = format!(
                "invalid value {number} for {}: must be 0 to {}",
                field.key,
                u32::MAX
            );
            reader.fault(field.position(), reason);
            None
        }
    }
}

const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
