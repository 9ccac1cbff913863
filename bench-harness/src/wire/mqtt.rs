//! MQTT 3.1.1 with a clean session and quality of service 0. *Hot path* in `publish` and `parse`.
//!
//! - The client speaks first: CONNECT. When it is accepted, the server's version is asked for by a subscription that is given
//!   up at once: most brokers publish it as a retained message. Whether they do or not, the answer to a ping ends the handshake.
//! - Subjects become topics: a dot becomes `/`, `*` becomes `+`, `>` becomes `#`. Deliveries carry topics ([`Wire::spelled`]),
//!   because a copy of each would cost more than all the rest of `parse`.
//! - At this quality of service nothing is acknowledged, and a server may drop what it cannot send at once. It says so to
//!   nobody: only verification finds it.
//! - The server is asked for more patience with silent clients than any run is long, so that idle connections need no pings.
//! - Deliveries carry no subscription's id.

use super::{Credentials, Event, Greeting, Message, Parsed, Protocol, Shake, Stop, Wire};

/// An MQTT client connection.
#[derive(Debug)]
pub struct Mqtt {
    credentials: Credentials,
    is_accepted: bool,
    version: Option<String>,
    /// Of the last SUBSCRIBE or UNSUBSCRIBE; never zero then.
    packet_id: u16,
}

impl Wire for Mqtt {
    const PROTOCOL: Protocol = Protocol::Mqtt;
    const HAS_QUEUE_GROUPS: bool = false;
    const HAS_REQUESTS: bool = false;

    fn new(credentials: &Credentials, _name: &str) -> Mqtt {
        Mqtt {
            credentials: credentials.clone(),
            is_accepted: false,
            version: None,
            packet_id: 0,
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let Credentials {
            user,
            password,
            token,
        } = &self.credentials;
        let secret = password.as_ref().or(token.as_ref());
        // The standard forbids a password without a user.
        let user = match (user, secret) {
            (None, Some(_)) => Some(""),
            (user, _) => user.as_deref(),
        };
        let mut flags = CLEAN_SESSION;
        let mut texts = vec![CLIENT_ID];
        if let Some(user) = user {
            flags |= HAS_USER;
            texts.push(user);
        }
        if let Some(secret) = secret {
            flags |= HAS_PASSWORD;
            texts.push(secret);
        }
        let mut body = Vec::new();
        write_text(&mut body, b"MQTT");
        body.extend_from_slice(&[PROTOCOL_LEVEL, flags]);
        body.extend_from_slice(&KEEP_ALIVE_S.to_be_bytes());
        for text in texts {
            // What is cut is the server's to refuse.
            let length = text.len().min(TEXT_LENGTH_MAX);
            write_text(&mut body, &text.as_bytes()[..length]);
        }
        write_packet(out, CONNECT, &[&body]);
    }

    fn shake(&mut self, received: &[u8], out: &mut Vec<u8>) -> (usize, Shake) {
        let mut consumed = 0;
        loop {
            let rest = &received[consumed..];
            let state = match packet(rest) {
                Err(Stop::Incomplete) if self.may_be_acceptance(rest) => {
                    return (consumed, Shake::More);
                }
                Err(_) => Shake::Foreign,
                Ok(packet) => {
                    consumed += packet.length;
                    self.shake_packet(&packet, out)
                }
            };
            if state != Shake::More {
                return (consumed, state);
            }
        }
    }

    fn subscribe(&mut self, out: &mut Vec<u8>, _id: u64, pattern: &str, _group: Option<&str>) {
        self.write_subscribe(out, &filter(pattern));
    }

    fn unsubscribe(&mut self, out: &mut Vec<u8>, _id: u64, pattern: &str) {
        self.write_unsubscribe(out, &filter(pattern));
    }

    fn publish(
        &self,
        out: &mut Vec<u8>,
        subject: &[u8],
        _reply: Option<&[u8]>,
        payload: &[u8],
    ) -> usize {
        out.push(PUBLISH);
        write_length(out, 2 + subject.len() + payload.len());
        let topic = out.len() + 2;
        write_text(out, subject);
        slash(&mut out[topic..]);
        let place = out.len();
        out.extend_from_slice(payload);
        place
    }

    fn spelled(mut subject: Vec<u8>) -> Vec<u8> {
        slash(&mut subject);
        subject
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        write_packet(out, PINGREQ, &[]);
    }

    #[inline]
    fn parse<'a>(&mut self, received: &'a [u8]) -> Parsed<'a> {
        match packet(received) {
            Ok(packet) => packet.event(),
            Err(stop) => stop.into(),
        }
    }
}

impl Mqtt {
    /// The first packet has a known beginning; what does not begin like that is not waited for.
    fn may_be_acceptance(&self, received: &[u8]) -> bool {
        let beginning = &received[..received.len().min(2)];
        self.is_accepted || [CONNACK, 2].starts_with(beginning)
    }

    fn shake_packet(&mut self, packet: &Packet<'_>, out: &mut Vec<u8>) -> Shake {
        match (packet.first, self.is_accepted) {
            (CONNACK, false) => self.shake_acceptance(packet.body, out),
            (PINGRESP, true) => Shake::Ready(Greeting {
                version: self
                    .version
                    .take()
                    .unwrap_or_else(|| "MQTT server of unknown version".to_owned()),
                payload_bytes_max: Some((LENGTH_MAX - TEXT_LENGTH_MAX - 2) as u64),
            }),
            // Refused or not, with or without a version.
            (SUBACK | UNSUBACK, true) => Shake::More,
            (PUBLISH | PUBLISH_RETAINED, true) => {
                if let Some((VERSION_TOPIC, text)) = packet.publication() {
                    self.version = Some(version(text));
                }
                Shake::More
            }
            _ => Shake::Foreign,
        }
    }

    fn shake_acceptance(&mut self, body: &[u8], out: &mut Vec<u8>) -> Shake {
        let unable = |what: &str| Shake::Unable(what.to_owned());
        let refused = |why: &str| Shake::Refused(why.to_owned());
        match body {
            [_, 0] => {
                self.is_accepted = true;
                self.write_subscribe(out, VERSION_TOPIC);
                self.write_unsubscribe(out, VERSION_TOPIC);
                self.flush(out);
                Shake::More
            }
            [_, 1] => unable("does not take MQTT 3.1.1, which the load generator speaks"),
            [_, 2] => unable("takes no clients without an identifier of their own"),
            [_, 3] => unable("says that its MQTT service is unavailable. Try again later"),
            [_, 4] => refused("bad user name or password"),
            [_, 5] => refused("not authorized"),
            [_, code] => Shake::Refused(format!("CONNACK with the unknown code {code}")),
            _ => Shake::Foreign,
        }
    }

    fn write_subscribe(&mut self, out: &mut Vec<u8>, filter: &[u8]) {
        let id = self.next_packet_id();
        let length = text_length(filter).to_be_bytes();
        write_packet(
            out,
            SUBSCRIBE,
            &[&id, &length, filter, &[QUALITY_OF_SERVICE]],
        );
    }

    fn write_unsubscribe(&mut self, out: &mut Vec<u8>, filter: &[u8]) {
        let id = self.next_packet_id();
        let length = text_length(filter).to_be_bytes();
        write_packet(out, UNSUBSCRIBE, &[&id, &length, filter]);
    }

    fn next_packet_id(&mut self) -> [u8; 2] {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.packet_id.to_be_bytes()
    }
}

#[derive(Debug, Clone, Copy)]
struct Packet<'a> {
    /// Type and flags.
    first: u8,
    body: &'a [u8],
    /// With all that stands before the body.
    length: usize,
}

impl<'a> Packet<'a> {
    #[inline]
    fn event(&self) -> Parsed<'a> {
        let event = match self.first {
            PUBLISH | PUBLISH_RETAINED => match self.publication() {
                // What the server says of itself, late.
                Some(([b'$', ..], _)) => Event::Other,
                Some((subject, payload)) => Event::Message(Message {
                    subscription: None,
                    subject,
                    reply: None,
                    payload,
                    is_nobody_there: false,
                }),
                None => return Parsed::Broken,
            },
            PINGRESP => Event::Flushed,
            UNSUBACK => Event::Other,
            SUBACK => match self.body.get(2..) {
                Some(codes) if codes.iter().all(|code| *code < SUBSCRIPTION_FAILED) => Event::Other,
                Some(_) => Event::Error(b"it refuses a subscription (SUBACK 0x80)"),
                None => return Parsed::Broken,
            },
            _ => return Parsed::Broken,
        };
        Parsed::Event(self.length, event)
    }

    /// Topic and payload.
    #[inline]
    fn publication(&self) -> Option<(&'a [u8], &'a [u8])> {
        let (length, rest) = self.body.split_first_chunk::<2>()?;
        rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
    }
}

/// The first packet of what was received.
#[inline]
fn packet(received: &[u8]) -> Result<Packet<'_>, Stop> {
    let Some((first, rest)) = received.split_first() else {
        return Err(Stop::Incomplete);
    };
    let (length, width) = body_length(rest)?;
    // What can be no packet of a server is not waited for to the end.
    let is_possible = match *first {
        PUBLISH | PUBLISH_RETAINED | SUBACK => length >= 2,
        CONNACK | UNSUBACK => length == 2,
        PINGRESP => length == 0,
        _ => false,
    };
    if !is_possible {
        return Err(Stop::Broken);
    }
    let begin = 1 + width;
    let body = received.get(begin..begin + length);
    Ok(Packet {
        first: *first,
        body: body.ok_or(Stop::Incomplete)?,
        length: begin + length,
    })
}

/// Seven bits a byte, the lowest first, in at most four bytes. Returns how many there are, too.
#[inline]
fn body_length(bytes: &[u8]) -> Result<(usize, usize), Stop> {
    let mut length = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((length, place + 1));
        }
    }
    match bytes.len() < 4 {
        true => Err(Stop::Incomplete),
        false => Err(Stop::Broken),
    }
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    assert!(
        length <= LENGTH_MAX,
        "larger payloads are refused before they are published"
    );
    loop {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits")]
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn write_packet(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    out.push(first);
    write_length(out, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&text_length(text).to_be_bytes());
    out.extend_from_slice(text);
}

fn text_length(text: &[u8]) -> u16 {
    u16::try_from(text.len()).expect("a scenario's subjects are some hundred bytes long")
}

/// A name's dots become what stands between a topic's levels.
fn slash(name: &mut [u8]) {
    for byte in name.iter_mut().filter(|byte| **byte == b'.') {
        *byte = b'/';
    }
}

/// The pattern as a topic filter.
fn filter(pattern: &str) -> Vec<u8> {
    let tokens = pattern.split('.').map(|token| match token {
        "*" => "+",
        ">" => "#",
        name => name,
    });
    tokens.collect::<Vec<_>>().join("/").into_bytes()
}

/// Mosquitto says `mosquitto version 2.0.11`.
fn version(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(100)]);
    text.trim().replacen(" version ", " ", 1)
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
/// At quality of service 0; the lowest bit says that it was retained.
const PUBLISH: u8 = 0x30;
const PUBLISH_RETAINED: u8 = 0x31;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const UNSUBSCRIBE: u8 = 0xa2;
const UNSUBACK: u8 = 0xb0;
const PINGREQ: u8 = 0xc0;
const PINGRESP: u8 = 0xd0;

/// MQTT 3.1.1.
const PROTOCOL_LEVEL: u8 = 4;
const CLEAN_SESSION: u8 = 0x02;
const HAS_PASSWORD: u8 = 0x40;
const HAS_USER: u8 = 0x80;
/// None, so that the server makes one up: two load generators with the same identifiers would throw each other out.
const CLIENT_ID: &str = "";
/// The longest there is. A server waits one and a half times that: 27 hours, and no run is longer than 25. Zero, for ever, is
/// refused by some.
const KEEP_ALIVE_S: u16 = u16::MAX;
const QUALITY_OF_SERVICE: u8 = 0;
const SUBSCRIPTION_FAILED: u8 = 0x80;

const VERSION_TOPIC: &[u8] = b"$SYS/broker/version";
const TEXT_LENGTH_MAX: usize = 65_535;
/// Four times seven bits.
const LENGTH_MAX: usize = (1 << 28) - 1;

#[cfg(test)]
#[path = "mqtt_tests.rs"]
mod tests;
