//! What one publisher sends, one subscription receives in that order (DESIGN §2.3): with several publishers and
//! subscribers on all shards, and small and large messages in one stream.

use std::thread;

use crate::cast::{Chance, is_served, join, subscribe, write_publish};
use crate::support::Launch;

const PUBLISHERS: usize = 4;
const SUBSCRIBERS: usize = 5;
const MESSAGES: usize = 4_000;

on_1_2_and_4_shards!(each_stream_stays_in_order);

fn each_stream_stays_in_order(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let address = server.address();
    let mut subscribers = Vec::new();
    let mut publishers = Vec::new();
    for index in 0..PUBLISHERS.max(SUBSCRIBERS) {
        if index < SUBSCRIBERS {
            let mut subscriber = join(address);
            subscribe(&mut subscriber, "stream.> 1");
            subscribers.push(subscriber);
        }
        if index < PUBLISHERS {
            publishers.push(join(address));
        }
    }
    thread::scope(|scope| {
        for (number, mut publisher) in publishers.into_iter().enumerate() {
            scope.spawn(move || {
                let mut chance = Chance::new(number as u64);
                let mut bytes = Vec::new();
                for sequence in 0..MESSAGES {
                    let subject = format!("stream.{number}");
                    write_publish(&mut bytes, &subject, &payload(number, sequence));
                    // Sometimes one by one, sometimes many in a packet, cut anywhere.
                    if chance.below(20) == 0 {
                        let cut = chance.below(bytes.len());
                        publisher.send(&bytes[..cut]).expect("sent");
                        bytes.drain(..cut);
                    }
                }
                publisher.send(&bytes).expect("sent");
                is_served(&mut publisher).expect("all was taken");
            });
        }
        for mut subscriber in subscribers {
            scope.spawn(move || {
                let mut next = [0; PUBLISHERS];
                for _ in 0..PUBLISHERS * MESSAGES {
                    let message = subscriber.message().expect("every message arrives");
                    let number: usize = message.subject["stream.".len()..]
                        .parse()
                        .expect("a publisher's number");
                    let expected = payload(number, next[number]);
                    assert!(
                        message.body == expected,
                        "publisher {number}: message {} is not the next one: {:?}",
                        next[number],
                        String::from_utf8_lossy(&message.body[..message.body.len().min(40)])
                    );
                    next[number] += 1;
                }
            });
        }
    });
}

/// Mostly small; now and then so large that it is shared and not copied, or fills a parcel of its own.
fn payload(publisher: usize, sequence: usize) -> Vec<u8> {
    let length = match sequence % 200 {
        50 => 4_095,
        51 => 4_096,
        100 => 30_000,
        150 => 100_000,
        other => 12 + other % 50,
    };
    let mut payload = format!("{publisher} {sequence} ").into_bytes();
    let filler = u8::try_from(sequence % 251).expect("small");
    payload.resize(length.max(payload.len()), filler);
    payload
}
