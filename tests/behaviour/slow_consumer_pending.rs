//! A subscriber that stops reading is closed once more than `max_pending` bytes wait for it, with nats-server's log
//! line; one that reads on gets every message in order (DESIGN §2.5, §7).

use crate::cast::{PATIENCE, is_served, join, subscribe, write_publish};
use crate::support::{Launch, RawClient};

/// Published at a time; the healthy one has read it all before more is published, and so is never slow.
const WINDOW: usize = 100;
const PAYLOAD: usize = 2_000;
/// What the two kernel buffers of a connection can hold at most is less than this.
const BYTES_MAX: usize = 128 << 20;

on_1_2_and_4_shards!(the_slow_one_is_closed_and_the_healthy_one_served);

fn the_slow_one_is_closed_and_the_healthy_one_served(shards: u32) {
    // The slow one on the publisher's own shard, and on others.
    for fillers in 0..shards.min(2) {
        let server = Launch::trunkline(shards)
            .flags(["--max_pending", "1MB", "-T=false"])
            .start()
            .expect("a server");
        let mut publisher = join(server.address());
        let _fillers: Vec<_> = (0..shards - 1 + fillers)
            .map(|_| join(server.address()))
            .collect();
        let mut slow = join(server.address());
        let mut healthy = join(server.address());
        subscribe(&mut slow, "news 1");
        subscribe(&mut healthy, "news 2");

        let mut published = 0;
        while !server.log().contains("Slow Consumer") {
            assert!(
                published * PAYLOAD < BYTES_MAX,
                "the slow one is never closed"
            );
            publish_and_read(&mut publisher, &mut healthy, published);
            published += WINDOW;
        }
        let line = "Slow Consumer Detected: MaxPending of 1048576 Exceeded";
        let address = slow.local_address().expect("an address");
        let log = server.log();
        let told: Vec<_> = log
            .lines()
            .filter(|text| text.contains("Slow Consumer"))
            .collect();
        assert_eq!(told.len(), 1, "one was slow: {told:?}");
        assert!(
            told[0].contains(&format!("{address} - cid:")) && told[0].ends_with(line),
            "{told:?}"
        );

        // The healthy one goes on as if nothing had been.
        for _ in 0..20 {
            publish_and_read(&mut publisher, &mut healthy, published);
            published += WINDOW;
        }
        is_served(&mut healthy).expect("the healthy one is served");
        is_served(&mut publisher).expect("the publisher is served");
        let received = read_to_end(&mut slow);
        assert!(
            received < published,
            "the slow one lost what it did not read"
        );
    }
}

fn publish_and_read(publisher: &mut RawClient, healthy: &mut RawClient, from: usize) {
    let mut bytes = Vec::new();
    for sequence in from..from + WINDOW {
        write_publish(&mut bytes, "news", &payload(sequence));
    }
    publisher.send(&bytes).expect("the publisher is not closed");
    for sequence in from..from + WINDOW {
        let message = healthy
            .message()
            .expect("the healthy one gets every message");
        assert!(
            message.body == payload(sequence),
            "message {sequence} is next"
        );
    }
}

/// What the slow one had been sent is in order as far as it goes, and then the connection ends.
fn read_to_end(slow: &mut RawClient) -> usize {
    slow.patience(PATIENCE);
    let mut sequence = 0;
    while let Ok(message) = slow.message() {
        assert!(
            message.body == payload(sequence),
            "message {sequence} is next"
        );
        sequence += 1;
    }
    assert!(slow.has_ended(), "the slow one is closed");
    sequence
}

fn payload(sequence: usize) -> Vec<u8> {
    let mut payload = format!("{sequence} ").into_bytes();
    payload.resize(PAYLOAD, b'.');
    payload
}
