//! Over TLS, too, a subscriber that stops reading is closed once more than `max_pending` bytes wait for it, and hurts nobody
//! else; and one whose send is stuck is closed after `write_deadline`.

use super::tls_carries_everything::join;
use crate::cast::{is_served, subscribe, write_publish};
use crate::support::{Certificates, Launch};

on_1_2_and_4_shards!(the_slow_one_is_closed, the_stuck_one_is_closed);

const WINDOW: usize = 100;
const PAYLOAD: usize = 2_000;
const BYTES_MAX: usize = 128 << 20;

fn the_slow_one_is_closed(shards: u32) {
    closes(shards, "max_pending: 1MB", "MaxPending of 1048576 Exceeded");
}

fn the_stuck_one_is_closed(shards: u32) {
    closes(
        shards,
        "write_deadline: \"500ms\"",
        "WriteDeadline of 500ms exceeded with ",
    );
}

fn closes(shards: u32, option: &str, told: &str) {
    let certificates = Certificates::create();
    let server = Launch::trunkline(shards)
        .config_line(&certificates.block(""))
        .config_line(option)
        .start()
        .expect("a server");
    let config = certificates.client();
    let mut publisher = join(&server, &config);
    let _fillers: Vec<_> = (1..shards).map(|_| join(&server, &config)).collect();
    let mut slow = join(&server, &config);
    let mut healthy = join(&server, &config);
    subscribe(&mut slow, "news 1");
    subscribe(&mut healthy, "news 2");
    let payload = [b'x'; PAYLOAD];
    let mut bytes = Vec::new();
    for _ in 0..WINDOW {
        write_publish(&mut bytes, "news", &payload);
    }
    let mut published = 0;
    let mut publish = |published: &mut usize| {
        publisher.send(&bytes).expect("the publisher is not closed");
        for _ in 0..WINDOW {
            assert_eq!(healthy.message().expect("every message").body, payload);
        }
        *published += WINDOW;
    };
    while !server.log().contains("Slow Consumer") {
        assert!(
            published * PAYLOAD < BYTES_MAX,
            "the slow one is never closed"
        );
        publish(&mut published);
        // For the deadline to come before the limit.
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let log = server.log();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("Slow Consumer"))
        .collect();
    assert!(lines.len() == 1 && lines[0].contains(told), "{lines:?}");
    for _ in 0..20 {
        publish(&mut published);
    }
    is_served(&mut healthy).expect("the healthy one is served");
    let mut received = 0;
    while slow.message().is_ok() {
        received += 1;
    }
    assert!(
        received < published,
        "the slow one lost what it did not read"
    );
}
