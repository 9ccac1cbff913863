//! A server that speaks a little NATS and makes one chosen mistake.
//!
//! A thread to a connection, everything under one lock, so that what it does follows from the order of publishes alone.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What goes wrong, with the publish of this number, from 0. Answers to requests are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    /// The first subscriber does not get it.
    Drop(u64),
    /// The first subscriber gets it twice.
    Double(u64),
    /// The first subscriber gets it after the next one.
    Swap(u64),
    /// The first subscriber gets it with its last byte changed.
    Damage(u64),
    /// The first subscriber gets it under another subject.
    Rename(u64),
    /// The asker is told that nobody is there.
    Nobody(u64),
    /// Says this to the publisher and closes its connection.
    Complain(u64),
    /// Closes the publisher's connection without a word.
    Close(u64),
}

#[derive(Debug)]
struct Subscription {
    stream: TcpStream,
    id: String,
    pattern: String,
    group: Option<String>,
}

#[derive(Debug)]
struct State {
    mistake: Mistake,
    published: u64,
    subscriptions: Vec<Subscription>,
    held: Option<Vec<u8>>,
}

/// Serves until the test's process ends.
pub(crate) fn start(mistake: Mistake) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::new(Mutex::new(State {
        mistake,
        published: 0,
        subscriptions: Vec::new(),
        held: None,
    }));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, state) = (stream.unwrap(), Arc::clone(&state));
            // A client that leaves ends its thread.
            thread::spawn(move || serve(&stream, &state));
        }
    });
    address
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    writer.write_all(b"INFO {\"version\":\"1.2.3\",\"max_payload\":1048576}\r\n")?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => {
                let _lock = state.lock().unwrap();
                writer.write_all(b"PONG\r\n")?;
            }
            ["SUB", pattern, id] => state.lock().unwrap().subscribe(stream, pattern, None, id)?,
            ["SUB", pattern, group, id] => {
                state
                    .lock()
                    .unwrap()
                    .subscribe(stream, pattern, Some(group), id)?;
            }
            ["PUB", subject, ref rest @ .., length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                reader.read_exact(&mut payload)?;
                payload.truncate(payload.len() - 2);
                let reply = rest.first().copied();
                state
                    .lock()
                    .unwrap()
                    .publish(stream, subject, reply, payload)?;
            }
            _ => {}
        }
    }
}

impl State {
    fn subscribe(
        &mut self,
        stream: &TcpStream,
        pattern: &str,
        group: Option<&str>,
        id: &str,
    ) -> io::Result<()> {
        self.subscriptions.push(Subscription {
            stream: stream.try_clone()?,
            id: id.to_owned(),
            pattern: pattern.to_owned(),
            group: group.map(ToOwned::to_owned),
        });
        Ok(())
    }

    fn publish(
        &mut self,
        from: &TcpStream,
        subject: &str,
        reply: Option<&str>,
        payload: Vec<u8>,
    ) -> io::Result<()> {
        if subject.starts_with("_INBOX.") {
            return self.deliver(u64::MAX, subject, None, payload);
        }
        let number = self.published;
        self.published += 1;
        let mut from = from;
        match (self.mistake, reply) {
            (Mistake::Complain(at), _) if at == number => {
                from.write_all(b"-ERR 'Something is rotten'\r\n")?;
                from.shutdown(std::net::Shutdown::Both)
            }
            (Mistake::Close(at), _) if at == number => from.shutdown(std::net::Shutdown::Both),
            (Mistake::Nobody(at), Some(reply)) if at == number => {
                let header = "NATS/1.0 503\r\n\r\n";
                let length = header.len();
                let inbox = self
                    .subscriptions
                    .iter_mut()
                    .find(|s| matches(&s.pattern, reply))
                    .unwrap();
                write!(
                    inbox.stream,
                    "HMSG {reply} {} {length} {length}\r\n{header}\r\n",
                    inbox.id
                )
            }
            _ => self.deliver(number, subject, reply, payload),
        }
    }

    fn deliver(
        &mut self,
        number: u64,
        subject: &str,
        reply: Option<&str>,
        payload: Vec<u8>,
    ) -> io::Result<()> {
        let mut groups: Vec<String> = Vec::new();
        let receivers: Vec<usize> = (0..self.subscriptions.len())
            .filter(|&place| matches(&self.subscriptions[place].pattern, subject))
            .collect();
        // Another member of each group comes first each time.
        let turn = usize::try_from(number % 97).unwrap() % receivers.len().max(1);
        let receivers = receivers[turn..].iter().chain(&receivers[..turn]);
        let first = self
            .subscriptions
            .iter()
            .position(|s| matches(&s.pattern, subject));
        for &place in receivers {
            let subscription = &self.subscriptions[place];
            if let Some(group) = &subscription.group {
                if groups.contains(group) {
                    continue;
                }
                groups.push(group.clone());
            }
            // In a group whoever has the turn is the first.
            let is_first = Some(place) == first || subscription.group.is_some();
            let frame = frame(&subscription.id, subject, reply, &payload);
            let frame = if is_first {
                self.spoil(number, place, frame)
            } else {
                frame
            };
            self.subscriptions[place].stream.write_all(&frame)?;
        }
        Ok(())
    }

    fn spoil(&mut self, number: u64, place: usize, mut frame: Vec<u8>) -> Vec<u8> {
        let held = self.held.take();
        match self.mistake {
            Mistake::Drop(at) if at == number => frame.clear(),
            Mistake::Double(at) if at == number => frame = frame.repeat(2),
            Mistake::Swap(at) if at == number => self.held = Some(std::mem::take(&mut frame)),
            Mistake::Damage(at) if at == number => {
                let last = frame.len() - 3;
                frame[last] ^= 1;
            }
            Mistake::Rename(at) if at == number => {
                let id = self.subscriptions[place].id.clone();
                let begin = frame.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                let payload = frame[begin..frame.len() - 2].to_vec();
                frame = self::frame(&id, "another.subject", None, &payload);
            }
            _ => {}
        }
        frame.extend_from_slice(&held.unwrap_or_default());
        frame
    }
}

fn frame(id: &str, subject: &str, reply: Option<&str>, payload: &[u8]) -> Vec<u8> {
    let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
    let mut frame = format!("MSG {subject} {id} {reply}{}\r\n", payload.len()).into_bytes();
    frame.extend_from_slice(payload);
    frame.extend_from_slice(b"\r\n");
    frame
}

/// Enough for names and inboxes.
fn matches(pattern: &str, subject: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(front) => subject.starts_with(front),
        None => pattern == subject,
    }
}
