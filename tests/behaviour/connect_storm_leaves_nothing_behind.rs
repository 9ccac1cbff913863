//! A hundred thousand clients that connect, subscribe and go, politely or not, leave nothing behind: no memory, no
//! descriptors, no interest; and nobody is disturbed.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::cast::{Bystanders, PATIENCE, QUIET, join};
use crate::support::{Launch, RawClient, wait_until};

/// After the first round the broker has the memory it needs; the rounds that follow must not add to it.
const ROUND: usize = 8_500;
const ROUNDS: usize = 4;
/// 8,500 connections that leaked their 2 KiB each would be 17 MiB in every round.
const GROWTH_MAX_KIB: u64 = 6 << 10;

on_1_2_and_4_shards!(nothing_is_left);

fn nothing_is_left(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    let files = server.open_files();
    storm(server.address());
    let warm_kib = server.resident_kib();
    for _ in 1..ROUNDS {
        storm(server.address());
    }
    bystanders.finish();
    // The bystanders have gone too.
    let closed = || server.open_files() + 2 <= files;
    assert!(
        wait_until(PATIENCE, closed),
        "descriptors: {} before, {} now",
        files,
        server.open_files()
    );
    let grown_kib = server.resident_kib().saturating_sub(warm_kib);
    println!(
        "{} more connections added {grown_kib} KiB",
        ROUND * (ROUNDS - 1)
    );
    assert!(grown_kib < GROWTH_MAX_KIB, "memory grew by {grown_kib} KiB");

    let mut requester = server.join(r#"{"verbose":false,"headers":true,"no_responders":true}"#);
    requester.patience(PATIENCE);
    crate::cast::subscribe(&mut requester, "inbox 1");
    for subject in ["storm.plain", "storm.queue", "storm.wild.card"] {
        let request = format!("PUB {subject} inbox 0\r\n\r\n");
        requester.send(request.as_bytes()).expect("sent");
        let status = requester.message().expect("a status");
        assert!(
            status.body.starts_with(b"NATS/1.0 503"),
            "somebody is still interested in {subject}"
        );
    }
}

fn storm(address: SocketAddr) {
    let threads = 2;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for index in 0..ROUND / threads {
                    visit(address, index);
                }
            });
        }
    });
}

fn visit(address: SocketAddr, index: usize) {
    let subscriptions = b"SUB storm.plain 1\r\nSUB storm.queue crew 2\r\nSUB storm.wild.* 3\r\nPUB storm.plain 1\r\nx\r\n";
    match index % 5 {
        // Gone before a word is said.
        0 => drop(RawClient::connect(address).expect("connected")),
        // Gone without reading: the kernel resets the connection.
        1 => {
            let mut client = RawClient::connect(address).expect("connected");
            client
                .send(format!("CONNECT {QUIET}\r\n").as_bytes())
                .expect("sent");
            client.send(subscriptions).expect("sent");
        }
        2 => {
            let client = RawClient::connect(address).expect("connected");
            rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO))
                .expect("an option");
        }
        // Gone politely.
        _ => {
            let mut client = join(address);
            client.send(subscriptions).expect("sent");
            client.send(b"PING\r\n").expect("sent");
            while client.line().expect("PONG comes") != b"PONG\r\n" {}
        }
    }
}
