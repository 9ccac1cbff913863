//! Runs the steps of a transcript against a server, and tells at which line it did not go as
//! written.
//!
//! - Steps run one after the other, on one thread: the only order there is is the order of the
//!   file.
//! - A connection that still has something to say at the end of the file is a failure: every answer
//!   must be written down.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::script::{Act, Field, Line, Pattern, Script, Step};
use crate::support::{RawClient, wait_until};

/// The connections that are open, by name.
type Connections = BTreeMap<String, RawClient>;

/// The server that a transcript is about.
pub(crate) trait Peer {
    fn address(&self) -> SocketAddr;

    /// What it has logged so far.
    fn log(&self) -> String;

    /// Has it read this configuration; says whether it was taken.
    fn reload(&self, config: &str) -> Result<bool, String>;
}

/// Runs `script`; the error is the line, what was expected and what came.
pub(crate) fn run(script: &Script, peer: &dyn Peer) -> Result<(), String> {
    let mut connections = Connections::new();
    let mut reply = Vec::new();
    let mut config = String::new();
    for line in &script.lines {
        let done = match &line.step {
            Step::File(line) => {
                config.push_str(line);
                config.push('\n');
                Ok(())
            }
            Step::Reload { is_taken } => reload(peer, &std::mem::take(&mut config), *is_taken),
            _ => step(line, peer, &mut connections, &mut reply),
        };
        done.map_err(|why| format!(":{}: {}\n    {why}", line.number, line.text))?;
    }
    for (name, client) in &mut connections {
        if !client.has_ended() {
            client
                .silence(Duration::ZERO)
                .map_err(|error| format!(": at the end, {name}: {error}"))?;
        }
    }
    Ok(())
}

fn reload(peer: &dyn Peer, config: &str, is_taken: bool) -> Result<(), String> {
    match peer.reload(config)? {
        found if found == is_taken => Ok(()),
        true => Err("the server took it".to_owned()),
        false => Err("the server refused it".to_owned()),
    }
}

fn step(
    line: &Line,
    peer: &dyn Peer,
    connections: &mut Connections,
    reply: &mut Vec<u8>,
) -> Result<(), String> {
    match &line.step {
        Step::File(_) | Step::Reload { .. } => Err("this step is about the file".to_owned()),
        Step::Logged(wanted) => {
            let is_there = || {
                peer.log()
                    .lines()
                    .any(|line| wanted.matches(line.as_bytes()))
            };
            let found = wait_until(Duration::from_secs(5), is_there);
            found
                .then_some(())
                .ok_or_else(|| "it is not in the log".to_owned())
        }
        Step::NotLogged(text) => match peer.log().lines().find(|line| line.contains(text.as_str()))
        {
            Some(line) => Err(format!("the log has: {line}")),
            None => Ok(()),
        },
        Step::Sleep(span) => {
            thread::sleep(*span);
            Ok(())
        }
        Step::Share {
            connections: names,
            count,
            head,
        } => share(connections, names, *count, head),
        Step::On { connection, act } => match act {
            Act::Connect => open(connections, connection, peer.address()).map(drop),
            Act::Join(options) => join(open(connections, connection, peer.address())?, options),
            Act::Close => connections
                .remove(connection)
                .map(drop)
                .ok_or_else(|| absent(connection)),
            act => perform(named(connections, connection)?, act, reply),
        },
    }
}

/// `reply` is where the last message with a reply wants its answer.
fn perform(client: &mut RawClient, act: &Act, reply: &mut Vec<u8>) -> Result<(), String> {
    match act {
        Act::Connect | Act::Join(_) | Act::Close => {
            Err("this act is not about an open connection".to_owned())
        }
        Act::Sign {
            field,
            seed,
            options,
        } => sign(client, field, seed, options),
        Act::Send(bytes) => client.send(&with_reply(bytes, reply)).map_err(told),
        Act::Trickle(bytes) => client.trickle(bytes).map_err(told),
        Act::Sync => {
            client.send(b"PING\r\n").map_err(told)?;
            expect(client, b"PONG")
        }
        Act::Line(pattern) => {
            let line = line(client)?;
            if pattern.matches(&line) {
                if let Some(found) = reply_of(&line) {
                    *reply = found.to_vec();
                }
                Ok(())
            } else {
                Err(format!("got: {}", shown(&line)))
            }
        }
        Act::Bytes(wanted) => {
            let found = client.exactly(wanted.len()).map_err(told)?;
            if found == *wanted {
                Ok(())
            } else {
                Err(format!("got: {}", shown(&found)))
            }
        }
        Act::Info(fields) => info(client, fields).map(drop),
        Act::End => client.end().map_err(told),
        Act::Silence(span) => client.silence(*span).map_err(told),
    }
}

/// The reply subject of a message's line.
fn reply_of(line: &[u8]) -> Option<&[u8]> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        [b"MSG", _, _, reply, _] | [b"HMSG", _, _, reply, _, _] if !reply.is_empty() => Some(reply),
        _ => None,
    }
}

/// The bytes with that subject in the place of every `{reply}`.
fn with_reply(bytes: &[u8], reply: &[u8]) -> Vec<u8> {
    const PLACE: &[u8] = b"{reply}";
    let mut whole = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(PLACE.len()).position(|window| window == PLACE) {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(reply);
        rest = &rest[at + PLACE.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// Connects, reads the greeting, says CONNECT and waits for what a client of these options is owed.
fn join(client: &mut RawClient, options: &str) -> Result<(), String> {
    info(client, &[])?;
    client
        .send(format!("CONNECT {options}\r\nPING\r\n").as_bytes())
        .map_err(told)?;
    let options: serde_json::Value =
        serde_json::from_str(options).map_err(|error| format!("{options}: {error}"))?;
    if options["verbose"] != false {
        expect(client, b"+OK")?;
    }
    expect(client, b"PONG")?;
    if options["protocol"] == 1 {
        info(client, &[]).map(drop)
    } else {
        Ok(())
    }
}

/// Says CONNECT with a signature of the greeting's nonce.
fn sign(client: &mut RawClient, field: &str, seed: &str, options: &str) -> Result<(), String> {
    let info = info(client, &[("nonce".to_owned(), Field::Text)])?;
    let nonce = info["nonce"].as_str().unwrap_or_default();
    let key = nkeys::KeyPair::from_seed(seed).map_err(|error| error.to_string())?;
    let signature = key
        .sign(nonce.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut options: serde_json::Value =
        serde_json::from_str(options).map_err(|error| format!("{options}: {error}"))?;
    options[field] = data_encoding::BASE64URL_NOPAD.encode(&signature).into();
    client
        .send(format!("CONNECT {options}\r\n").as_bytes())
        .map_err(told)
}

/// Reads an INFO line and looks at its fields.
fn info(
    client: &mut RawClient,
    wanted: &[(String, Field)],
) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    let line = line(client)?;
    let json = line
        .strip_prefix(b"INFO ")
        .ok_or_else(|| format!("got: {}", shown(&line)))?;
    let info: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| format!("{error} in: {}", shown(&line)))?;
    let info = info
        .as_object()
        .ok_or_else(|| format!("not an object: {}", shown(&line)))?;
    for (name, field) in wanted {
        let found = info.get(name);
        let right = match (field, found) {
            (Field::Absent, found) => found.is_none(),
            (Field::Text, Some(serde_json::Value::String(text))) => !text.is_empty(),
            (Field::Number, Some(serde_json::Value::Number(_))) => true,
            (Field::Value(value), Some(found)) => value == found,
            _ => false,
        };
        if !right {
            return Err(format!("{name} is {found:?} in: {}", shown(&line)));
        }
    }
    Ok(info.clone())
}

/// Reads messages until all have come, and then makes sure that no more come: a copy too many is as
/// wrong as one too few, and only a `PONG` from each member proves that there is none.
fn share(
    connections: &mut Connections,
    names: &[String],
    count: usize,
    head: &Pattern,
) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    while tally.values().sum::<usize>() < count {
        if Instant::now() > deadline {
            return Err(format!("only these came: {tally:?}"));
        }
        for name in names {
            let client = named(connections, name)?;
            // Short looks in turn: which member is picked is the server's choice.
            client.patience(Duration::from_millis(10));
            let message = message(client, head);
            client.patience(Duration::from_secs(5));
            *tally.entry(name).or_default() +=
                usize::from(message.map_err(|why| format!("{name}: {why}"))?);
        }
    }
    for name in names {
        let client = named(connections, name)?;
        client.send(b"PING\r\n").map_err(told)?;
        expect(client, b"PONG").map_err(|why| format!("{name}, after {tally:?}: {why}"))?;
    }
    Ok(())
}

/// Takes one message with its payload from the connection, if there is one.
fn message(client: &mut RawClient, head: &Pattern) -> Result<bool, String> {
    let line = match client.line() {
        Ok(line) => without_end(line)?,
        Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(false),
        Err(error) => return Err(told(error)),
    };
    let size = line
        .rsplit(|byte| *byte == b' ')
        .next()
        .and_then(|size| std::str::from_utf8(size).ok());
    match size.and_then(|size| size.parse::<usize>().ok()) {
        Some(size) if head.matches(&line) => {
            client.exactly(size + 2).map_err(told)?;
            Ok(true)
        }
        _ => Err(format!("got: {}", shown(&line))),
    }
}

fn expect(client: &mut RawClient, wanted: &[u8]) -> Result<(), String> {
    let line = line(client)?;
    if line == wanted {
        Ok(())
    } else {
        Err(format!("wanted {}, got: {}", shown(wanted), shown(&line)))
    }
}

fn line(client: &mut RawClient) -> Result<Vec<u8>, String> {
    without_end(client.line().map_err(told)?)
}

/// Every line of the protocol ends in CRLF; a server that forgets the CR is found here.
fn without_end(mut line: Vec<u8>) -> Result<Vec<u8>, String> {
    if !line.ends_with(b"\r\n") {
        return Err(format!("this line does not end in CRLF: {}", shown(&line)));
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

fn open<'c>(
    connections: &'c mut Connections,
    name: &str,
    address: SocketAddr,
) -> Result<&'c mut RawClient, String> {
    if connections.contains_key(name) {
        return Err(format!("{name} is connected already"));
    }
    let client = RawClient::connect(address).map_err(told)?;
    Ok(connections.entry(name.to_owned()).or_insert(client))
}

fn named<'c>(connections: &'c mut Connections, name: &str) -> Result<&'c mut RawClient, String> {
    connections.get_mut(name).ok_or_else(|| absent(name))
}

fn absent(name: &str) -> String {
    format!("{name} is not connected")
}

fn told(error: io::Error) -> String {
    error.to_string()
}

/// Bytes as text on one line, cut short when they are many.
fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    let end = text.len().min(400);
    format!(
        "{}{}",
        &text[..end],
        if end < text.len() { "…" } else { "" }
    )
}
