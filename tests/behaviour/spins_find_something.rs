//! A shard that stops looking around because something has come finds it. The kernel's word that it has deferred work can
//! outlive the work: a shard that went by it alone turned without end until something else came.

use std::io::Read as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::cast::{Chance, join, subscribe, write_publish};
use crate::support::http::get;
use crate::support::{Launch, RawClient};

const CLIENTS: u64 = 30;
/// As long as it takes to meet the moment several times, were it not seen to.
const FOR: Duration = Duration::from_secs(6);
/// How long clients listen at most between two messages.
const LISTEN_MAX_MICROS: usize = 40_000;
/// Turns that are under way when the shards are asked.
const SLACK: u64 = 10;
const LISTEN_MIN: Duration = Duration::from_micros(50);

#[test]
fn a_spin_that_paid_found_something() {
    let server = Launch::trunkline(2)
        .flags(["-m", "-1"])
        .start()
        .expect("a server");
    let address = server.address();
    // All have joined before the first speaks: SUB is waited for with a PONG, and a message may come before that.
    let everybody: Vec<_> = (0..CLIENTS).map(|seed| guest(address, seed)).collect();
    let end = Instant::now() + FOR;
    thread::scope(|scope| {
        for (client, seed) in everybody.into_iter().zip(0..) {
            scope.spawn(move || chat(client, seed, end));
        }
    });
    let metrics = get(server.monitor(), "/metrics").expect("a page").text();
    for shard in 0..2 {
        let of = |name: &str| figure(&metrics, name, shard);
        let (paid, busy) = (of("spins_paid_total"), of("turn_seconds_count"));
        assert!(
            paid <= busy + SLACK,
            "shard {shard}: {paid} spins paid, but {busy} turns had something to do"
        );
    }
}

/// Every other one subscribes.
fn guest(address: SocketAddr, seed: u64) -> RawClient {
    let mut client = join(address);
    if seed.is_multiple_of(2) {
        subscribe(&mut client, "orders.> 1");
    }
    client
}

/// Publishes now and then and listens in between: messages come one by one, so that shards have reason to look around.
fn chat(mut client: RawClient, seed: u64, end: Instant) {
    let mut chance = Chance::new(seed);
    let mut publish = Vec::new();
    write_publish(&mut publish, "orders.new", &[b'x'; 400]);
    let mut heard = vec![0; 64 << 10];
    while Instant::now() < end {
        client.send(&publish).expect("sent");
        let pause = Duration::from_micros(1 + chance.below(LISTEN_MAX_MICROS) as u64);
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let listened = client.stream().set_read_timeout(Some(left.max(LISTEN_MIN)));
            listened.expect("a timeout");
            // Nothing within that time is an error too.
            let _ = client.stream().read(&mut heard);
        }
    }
}

fn figure(metrics: &str, name: &str, shard: u32) -> u64 {
    let start = format!("trunkline_shard_{name}{{shard=\"{shard}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    let line = line.unwrap_or_else(|| panic!("no {start} in {metrics}"));
    line.parse().expect("a whole number")
}
