//! A hundred thousand subscriptions of one connection work, leave on `UNSUB` and on disconnect, and give their memory
//! back: to have them again and again costs no more than to have them once.

use crate::cast::{Bystanders, PATIENCE, is_served, join, write_publish};
use crate::support::{Launch, RawClient, wait_until};

const SUBSCRIPTIONS: usize = 100_000;
/// Rounds that a shard needs to have the memory for them at hand: the connection goes from shard to shard.
const WARM: u32 = 2;
/// What as many rounds again may add: a fraction of what they would if they leaked.
const GROWTH_MAX_KIB: u64 = 32 << 10;

on_1_2_and_4_shards!(memory_comes_back);

fn memory_comes_back(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    let mut publisher = join(server.address());
    let mut client = join(server.address());
    let mut warm_kib = 0;
    for round in 0..2 * WARM * shards {
        subscribe_all(&mut client);
        for index in [0, 1, SUBSCRIPTIONS / 2, SUBSCRIPTIONS - 1] {
            let mut publish = Vec::new();
            write_publish(&mut publish, &format!("many.{index}.x"), b"hi");
            publisher.send(&publish).expect("sent");
            let message = client.message().expect("every subscription works");
            assert_eq!(message.sid, index.to_string());
        }
        // Every other time they go with their connection.
        if round % 2 == 0 {
            unsubscribe_all(&mut client);
        } else {
            client = join(server.address());
        }
        let mut asker = server.join(r#"{"verbose":false,"headers":true,"no_responders":true}"#);
        asker.patience(PATIENCE);
        crate::cast::subscribe(&mut asker, "inbox 1");
        let gone = || {
            asker
                .send(b"PUB many.77.x inbox 0\r\n\r\nPING\r\n")
                .expect("sent");
            let line = asker.line().expect("an answer");
            if line.starts_with(b"HMSG") {
                while asker.line().expect("the status ends, then PONG") != b"PONG\r\n" {}
                return true;
            }
            false
        };
        assert!(wait_until(PATIENCE, gone), "nobody is interested any more");
        if round + 1 == WARM * shards {
            warm_kib = server.resident_kib();
        }
    }
    let grown_kib = server.resident_kib().saturating_sub(warm_kib);
    println!("{warm_kib} KiB at half time, {grown_kib} KiB more at the end");
    assert!(grown_kib < GROWTH_MAX_KIB, "memory grew by {grown_kib} KiB");
    bystanders.finish();
}

fn subscribe_all(client: &mut RawClient) {
    let mut bytes = Vec::new();
    for index in 0..SUBSCRIPTIONS {
        // One in ten is a pattern.
        let last = if index % 10 == 0 { "*" } else { "x" };
        bytes.extend_from_slice(format!("SUB many.{index}.{last} {index}\r\n").as_bytes());
    }
    client.send(&bytes).expect("sent");
    is_served(client).expect("all are taken");
}

fn unsubscribe_all(client: &mut RawClient) {
    let mut bytes = Vec::new();
    for index in 0..SUBSCRIPTIONS {
        bytes.extend_from_slice(format!("UNSUB {index}\r\n").as_bytes());
    }
    client.send(&bytes).expect("sent");
    is_served(client).expect("all are gone");
}
