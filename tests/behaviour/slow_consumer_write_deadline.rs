//! A subscriber that takes nothing for `write_deadline` is closed with nats-server's log line, however much room
//! `max_pending` leaves; one that is merely idle is not (DESIGN §7).

use std::time::Duration;

use crate::cast::{PATIENCE, is_served, join, subscribe, write_publish};
use crate::support::Launch;

const ON_THE_WAY: usize = 4 << 20;
const BYTES: usize = 96 << 20;

on_1_2_and_4_shards!(who_takes_nothing_is_closed);

fn who_takes_nothing_is_closed(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--max_pending", "1GB", "--write_deadline", "1s"])
        .start()
        .expect("a server");
    let mut publisher = join(server.address());
    let mut stuck = join(server.address());
    let mut healthy = join(server.address());
    let mut idle = join(server.address());
    subscribe(&mut stuck, "news 1");
    subscribe(&mut healthy, "news 2");
    subscribe(&mut idle, "other 3");

    let payload = vec![b'.'; 64 << 10];
    let mut published = 0;
    let mut publish = Vec::new();
    for _ in 0..ON_THE_WAY / payload.len() {
        write_publish(&mut publish, "news", &payload);
    }
    while published < BYTES && !server.log().contains("Slow Consumer") {
        publisher
            .send(&publish)
            .expect("the publisher is not closed");
        for _ in 0..ON_THE_WAY / payload.len() {
            assert!(healthy.message().expect("the healthy one is served").body == payload);
        }
        published += ON_THE_WAY;
    }
    let line = "Slow Consumer Detected: WriteDeadline of 1s exceeded with ";
    assert!(
        server.logs_within(line, PATIENCE),
        "the log: {}",
        server.log()
    );
    let address = stuck.local_address().expect("an address");
    let log = server.log();
    let told = log.lines().find(|text| text.contains("Slow Consumer"));
    let told = told.expect("it was just there");
    assert!(told.contains(&format!("{address} - cid:")), "{told}");
    assert!(told.ends_with(" total bytes."), "{told}");
    while stuck.message().is_ok() {}
    assert!(stuck.has_ended(), "the stuck one is closed");

    // Twice the deadline later the others are still there.
    std::thread::sleep(Duration::from_secs(2));
    for client in [&mut publisher, &mut healthy, &mut idle] {
        is_served(client).expect("only the stuck one was closed");
    }
    let slow = server.log().matches("Slow Consumer").count();
    assert_eq!(slow, 1, "{}", server.log());
}
