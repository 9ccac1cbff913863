//! Messages that differ in nothing but their payloads are handled as one run inside; nobody can tell: a limited subscription
//! gets its number and not one more, a group one copy of each, the publisher without echo nothing, and all of it in order.

use crate::cast::{PATIENCE, QUIET, subscribe};
use crate::support::{Launch, RawClient};

const COUNT: usize = 50;
const LIMIT: usize = 7;

on_1_2_and_4_shards!(each_gets_what_single_messages_would_bring);

fn each_gets_what_single_messages_would_bring(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let join = |options: &str| {
        let mut client = server.join(options);
        client.patience(PATIENCE);
        client
    };
    let mut plain = join(r#"{"verbose":false,"headers":true}"#);
    let mut limited = join(r#"{"verbose":false,"headers":true}"#);
    let mut bare = join(r#"{"verbose":false}"#);
    let mut workers: Vec<_> = (0..3).map(|_| join(QUIET)).collect();
    let mut publisher = join(r#"{"verbose":false,"headers":true,"echo":false}"#);
    subscribe(&mut plain, "run.> 1");
    subscribe(&mut limited, "run.plain 2");
    limited
        .send(format!("UNSUB 2 {LIMIT}\r\n").as_bytes())
        .expect("sent");
    limited.sync().expect("PONG");
    subscribe(&mut bare, "run.headers 3");
    for worker in &mut workers {
        subscribe(worker, "run.work crew 4");
    }
    subscribe(&mut publisher, "run.> 5");

    let numbered = |line: &str, headers: &str| -> Vec<u8> {
        let message = |number| format!("{line}\r\n{headers}{number:04}\r\n");
        (0..COUNT).map(message).collect::<String>().into_bytes()
    };
    publisher
        .send(&numbered("PUB run.plain 4", ""))
        .expect("sent");
    publisher
        .send(&numbered("HPUB run.headers 12 16", "NATS/1.0\r\n\r\n"))
        .expect("sent");
    publisher
        .send(&numbered("PUB run.work 4", ""))
        .expect("sent");
    publisher
        .send(&numbered("PUB nobody.here 4", ""))
        .expect("sent");
    publisher.sync().expect("nothing of its own comes back");

    let all: Vec<_> = (0..COUNT).collect();
    assert_eq!(
        numbers(&mut plain, 3 * COUNT),
        all.repeat(3),
        "each, in order"
    );
    assert_eq!(numbers(&mut limited, LIMIT), all[..LIMIT]);
    limited.sync().expect("not one more");
    assert_eq!(numbers(&mut bare, COUNT), all, "without headers");
    let mut shared = Vec::new();
    for worker in &mut workers {
        worker.send(b"PING\r\n").expect("sent");
        loop {
            match worker.line().expect("a line").as_slice() {
                b"PONG\r\n" => break,
                line if line.starts_with(b"MSG run.work 4 4") => {
                    let body = worker.exactly(6).expect("a payload");
                    shared.push(number(&body[..4]));
                }
                line => panic!("{}", String::from_utf8_lossy(line)),
            }
        }
    }
    shared.sort_unstable();
    assert_eq!(shared, all, "one copy of each in the whole group");
}

fn numbers(client: &mut RawClient, count: usize) -> Vec<usize> {
    let next = |_| {
        let body = client.message().expect("a message").body;
        number(&body[body.len() - 4..])
    };
    (0..count).map(next).collect()
}

fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}
