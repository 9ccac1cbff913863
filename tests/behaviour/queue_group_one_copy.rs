//! Each message goes to exactly one member of a queue group in the whole server, and to nobody's loss while one member
//! stays, whoever else joins and leaves (DESIGN §2.2).

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::cast::{Chance, PATIENCE, StopAtEnd, is_served, join, subscribe, write_publish};
use crate::support::{Launch, RawClient, wait_until};

const PUBLISHERS: usize = 2;
const MESSAGES: usize = 20_000;

on_1_2_and_4_shards!(
    each_message_goes_to_one_steady_member,
    each_message_goes_to_one_member_while_others_come_and_go,
    each_group_has_its_copy,
);

/// How often each message has come to a member.
struct Seen(Vec<AtomicU32>);

impl Seen {
    fn new() -> Self {
        Self(
            (0..PUBLISHERS * MESSAGES)
                .map(|_| AtomicU32::new(0))
                .collect(),
        )
    }

    fn count(&self, body: &[u8]) {
        let number: usize = std::str::from_utf8(body)
            .ok()
            .and_then(|text| text.parse().ok())
            .expect("a message's number");
        self.0[number].fetch_add(1, Ordering::Relaxed);
    }

    fn missing(&self) -> usize {
        self.0
            .iter()
            .filter(|count| count.load(Ordering::Relaxed) == 0)
            .count()
    }

    fn doubled(&self) -> usize {
        self.0
            .iter()
            .filter(|count| count.load(Ordering::Relaxed) > 1)
            .count()
    }

    /// Waits for all, and a moment longer for what should not come.
    fn check(&self) {
        let complete = wait_until(PATIENCE, || self.missing() == 0);
        thread::sleep(Duration::from_millis(100));
        assert!(
            complete,
            "{} of {} messages reached no member",
            self.missing(),
            self.0.len()
        );
        assert_eq!(self.doubled(), 0, "messages that reached two members");
    }
}

/// Reads what comes until told to stop.
fn collect(member: &mut RawClient, seen: &Seen, stop: &AtomicBool) {
    member.patience(Duration::from_millis(50));
    while !stop.load(Ordering::Relaxed) {
        match member.message() {
            Ok(message) => seen.count(&message.body),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => panic!("a steady member stays: {error}"),
        }
    }
}

fn publish_all(address: SocketAddr, publisher: usize, subject: &str) {
    let mut client = join(address);
    let mut bytes = Vec::new();
    for sequence in 0..MESSAGES {
        let number = publisher * MESSAGES + sequence;
        write_publish(&mut bytes, subject, number.to_string().as_bytes());
        if sequence % 50 == 49 {
            client.send(&bytes).expect("sent");
            bytes.clear();
            // A pace at which members can come and go many times.
            is_served(&mut client).expect("taken");
        }
    }
}

fn each_message_goes_to_one_steady_member(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let address = server.address();
    let (seen, stop) = (Seen::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..6 {
            let mut member = join(address);
            subscribe(&mut member, "work.* crew 1");
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || collect(&mut member, seen, stop));
        }
        let _stop_also_on_panic = StopAtEnd(&stop);
        for publisher in 0..PUBLISHERS {
            publish_all(address, publisher, "work.a");
        }
        seen.check();
    });
}

fn each_message_goes_to_one_member_while_others_come_and_go(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let address = server.address();
    let (seen, stop) = (Seen::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (seen, stop) = (&seen, &stop);
        // The one that stays joins first. Fillers put it on each shard in turn, as far as there are shards.
        let mut steady = join(address);
        subscribe(&mut steady, "work.a crew 1");
        scope.spawn(move || collect(&mut steady, seen, stop));
        for number in 0..6 {
            let mut fickle = join(address);
            scope.spawn(move || come_and_go(&mut fickle, number, seen, stop));
        }
        let _stop_also_on_panic = StopAtEnd(stop);
        thread::scope(|publishers| {
            for publisher in 0..PUBLISHERS {
                publishers.spawn(move || publish_all(address, publisher, "work.a"));
            }
        });
        seen.check();
    });
}

/// Joins the group and leaves it again and again: with `UNSUB`, or with a number of messages said beforehand. It reads
/// on to the `PONG` after each leave, so that what it was sent before is counted.
fn come_and_go(client: &mut RawClient, number: u64, seen: &Seen, stop: &AtomicBool) {
    let mut chance = Chance::new(number);
    for sid in 1.. {
        let join = match chance.below(2) {
            0 => format!("SUB work.a crew {sid}\r\n"),
            _ => format!(
                "SUB work.a crew {sid}\r\nUNSUB {sid} {}\r\n",
                1 + chance.below(10)
            ),
        };
        client.send(join.as_bytes()).expect("sent");
        thread::sleep(Duration::from_micros(chance.below(3_000) as u64));
        client
            .send(format!("UNSUB {sid}\r\nPING\r\n").as_bytes())
            .expect("sent");
        loop {
            let line = client.line().expect("PONG comes");
            if line == b"PONG\r\n" {
                break;
            }
            if line == b"PING\r\n" {
                client.send(b"PONG\r\n").expect("sent");
                continue;
            }
            let size = line
                .rsplit(|byte| *byte == b' ')
                .next()
                .and_then(|size| {
                    std::str::from_utf8(size)
                        .ok()?
                        .trim_end()
                        .parse::<usize>()
                        .ok()
                })
                .expect("a MSG line");
            let body = client.exactly(size + 2).expect("a payload");
            seen.count(&body[..size]);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
}

fn each_group_has_its_copy(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let address = server.address();
    let stop = AtomicBool::new(false);
    // Two groups, and a plain subscription that is a group of its own, so to speak.
    let copies = [Seen::new(), Seen::new(), Seen::new()];
    thread::scope(|scope| {
        for (group, members) in [("red ", 3), ("blue ", 2), ("", 1)].iter().zip(&copies) {
            let (name, count) = group;
            for _ in 0..*count {
                let mut member = join(address);
                subscribe(&mut member, &format!("work.> {name}1"));
                let stop = &stop;
                scope.spawn(move || collect(&mut member, members, stop));
            }
        }
        let _stop_also_on_panic = StopAtEnd(&stop);
        for publisher in 0..PUBLISHERS {
            publish_all(address, publisher, "work.b");
        }
        for seen in &copies {
            seen.check();
        }
    });
}
