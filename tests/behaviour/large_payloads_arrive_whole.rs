//! Messages of exactly `max_payload` arrive whole at every subscriber of every shard, mixed with small ones and with
//! headers; one byte more closes the publisher and reaches nobody.

use std::thread;

use crate::cast::{Chance, PATIENCE, is_served, join, subscribe, write_publish};
use crate::support::Launch;

const PAYLOAD_MAX: usize = 1 << 20;
const SUBSCRIBERS: usize = 10;
const ROUNDS: usize = 24;

on_1_2_and_4_shards!(every_byte_arrives, one_byte_more_closes);

fn every_byte_arrives(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let options = r#"{"verbose":false,"headers":true}"#;
    let sent: Vec<Vec<u8>> = (0..ROUNDS).map(body).collect();
    thread::scope(|scope| {
        for index in 0..SUBSCRIBERS {
            // Some understand no headers: they get the same tail without its beginning.
            let plain = index % 3 == 2;
            let mut subscriber = if plain {
                join(server.address())
            } else {
                server.join(options)
            };
            subscriber.patience(PATIENCE);
            subscribe(&mut subscriber, "large 1");
            let sent = &sent;
            scope.spawn(move || {
                for (round, body) in sent.iter().enumerate() {
                    let skip = if plain { header_length(round) } else { 0 };
                    let large = subscriber.message().expect("the large one arrives");
                    assert_eq!(
                        large.body.len(),
                        body.len() - skip,
                        "length in round {round}"
                    );
                    assert!(large.body == body[skip..], "bytes in round {round}");
                    let small = subscriber.message().expect("the small one arrives");
                    assert_eq!(small.body, round.to_string().as_bytes());
                }
            });
        }
        let mut publisher = server.join(options);
        publisher.patience(PATIENCE);
        for (round, body) in sent.iter().enumerate() {
            let mut bytes = match header_length(round) {
                0 => format!("PUB large {}\r\n", body.len()),
                headers => format!("HPUB large {headers} {}\r\n", body.len()),
            }
            .into_bytes();
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n");
            write_publish(&mut bytes, "large", round.to_string().as_bytes());
            publisher.send(&bytes).expect("sent");
        }
        is_served(&mut publisher).expect("all was taken");
    });
}

const HEADERS: &[u8] = b"NATS/1.0\r\nTrace: 1234\r\n\r\n";

fn header_length(round: usize) -> usize {
    if round % 4 == 3 { HEADERS.len() } else { 0 }
}

/// Random bytes, CRLFs among them; every other one of the largest length, with its headers.
fn body(round: usize) -> Vec<u8> {
    let mut chance = Chance::new(round as u64);
    let mut body = HEADERS[..header_length(round)].to_vec();
    let length = match round % 2 {
        0 => PAYLOAD_MAX,
        _ => 1 + chance.below(PAYLOAD_MAX),
    };
    let left = length.saturating_sub(body.len());
    body.extend(chance.bytes(left));
    body
}

fn one_byte_more_closes(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let mut subscriber = join(server.address());
    subscribe(&mut subscriber, "large 1");
    let mut publisher = join(server.address());
    let line = format!("PUB large {}\r\n", PAYLOAD_MAX + 1);
    publisher.send(line.as_bytes()).expect("sent");
    // It may be closed before all is written.
    drop(publisher.send(&vec![b'x'; PAYLOAD_MAX + 1]));
    match publisher.line() {
        Ok(line) => {
            assert_eq!(line, b"-ERR 'Maximum Payload Violation'\r\n");
            publisher.end().expect("the publisher is closed");
        }
        // The reset that follows unread bytes can overtake the text.
        Err(_) => assert!(publisher.has_ended(), "the publisher is closed"),
    }
    is_served(&mut subscriber).expect("nothing of it arrives");
}
