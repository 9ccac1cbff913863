//! Everything at once, for as long as `STRESS_SECONDS` says: bystanders, floods, slow consumers, queue groups, churn of
//! subscriptions and connections, resets and garbage. Without that variable it does nothing.
//!
//! `STRESS_SECONDS=300 cargo test --release --test behaviour stress -- --nocapture`

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cast::{Bystanders, Chance, QUIET, StopAtEnd, write_publish};
use crate::support::{Launch, RawClient, Server, wait_until};

const MEMORY_MAX_KIB: u64 = 1 << 20;

on_1_2_and_4_shards!(everything_at_once);

fn everything_at_once(shards: u32) {
    let Some(seconds) = std::env::var("STRESS_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
    else {
        eprintln!("skipped: STRESS_SECONDS is not set");
        return;
    };
    let mut server = Launch::trunkline(shards)
        .flags([
            "--max_pending",
            "8MB",
            "--write_deadline",
            "2s",
            "--ping_interval",
            "3s",
        ])
        .start()
        .expect("a server");
    let address = server.address();
    let files = server.open_files();
    let bystanders = Bystanders::start(address);
    let stop = AtomicBool::new(false);
    let acts = AtomicU64::new(0);
    let seed = std::process::id();
    println!("{shards} shards, seed {seed}");
    thread::scope(|scope| {
        for number in 0..4 {
            let (stop, acts) = (&stop, &acts);
            scope.spawn(move || {
                let mut chance = Chance::new(u64::from(seed) << 8 | number);
                while !stop.load(Ordering::Relaxed) {
                    act(address, &mut chance);
                    acts.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        watch(&server, &bystanders, &stop, Duration::from_secs(seconds));
    });
    bystanders.finish();
    assert!(server.is_running(), "{}", last_lines(&server));
    let closed = wait_until(Duration::from_secs(30), || server.open_files() <= files);
    assert!(
        closed,
        "descriptors: {files} before, {} now",
        server.open_files()
    );
    println!(
        "{} acts; memory at the end {} KiB",
        acts.into_inner(),
        server.resident_kib()
    );
}

/// Looks at the broker now and then; panics when something is wrong.
fn watch(server: &Server, bystanders: &Bystanders, stop: &AtomicBool, span: Duration) {
    let _stop_also_on_panic = StopAtEnd(stop);
    let end = Instant::now() + span;
    let mut next_line = Instant::now();
    while Instant::now() < end {
        bystanders.expect_progress();
        let memory_kib = server.resident_kib();
        assert!(memory_kib < MEMORY_MAX_KIB, "{memory_kib} KiB");
        assert!(!server.log().contains("panicked"), "{}", last_lines(server));
        if Instant::now() >= next_line {
            println!(
                "memory {memory_kib} KiB, {} descriptors",
                server.open_files()
            );
            next_line = Instant::now() + Duration::from_secs(10);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn last_lines(server: &Server) -> String {
    let log = server.log();
    let lines: Vec<_> = log.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// One client's life; errors are part of it.
fn act(address: SocketAddr, chance: &mut Chance) {
    let Ok(mut client) = RawClient::connect(address) else {
        return;
    };
    client.patience(Duration::from_millis(300));
    drop(client.send(format!("CONNECT {QUIET}\r\n").as_bytes()));
    match chance.below(8) {
        0 => drop(client.send(&chance.bytes(5_000))),
        1 => churn(&mut client, chance),
        2 => publish(&mut client, chance, 2_000, 50),
        3 => publish(&mut client, chance, 100, 60_000),
        4 => publish(&mut client, chance, 5, 1 << 20),
        5 => {
            // Reads little or nothing of much.
            drop(client.send(b"SUB stress.> 1\r\n"));
            thread::sleep(Duration::from_millis(chance.below(1_500) as u64));
            drop(client.exactly(chance.below(1 << 20)));
        }
        6 => {
            let group = chance.below(3);
            drop(
                client.send(
                    format!(
                        "SUB stress.* crew{group} 1\r\nUNSUB 1 {}\r\n",
                        chance.below(500)
                    )
                    .as_bytes(),
                ),
            );
            for _ in 0..chance.below(500) {
                if client.line().is_err() {
                    break;
                }
            }
        }
        _ => {
            drop(client.send(b"SUB stress.1 1\r\nPUB stress.1 100000\r\nnot all of it"));
            thread::sleep(Duration::from_millis(chance.below(20) as u64));
        }
    }
    if chance.below(2) == 0 {
        let _ = rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO));
    }
}

fn churn(client: &mut RawClient, chance: &mut Chance) {
    for sid in 0..chance.below(2_000) {
        let subject = format!(
            "stress.{}.{}",
            chance.below(50),
            ["*", ">", "x"][chance.below(3)]
        );
        let group = ["", "crew0 ", "crew1 "][chance.below(3)];
        let gone = chance.below(sid + 1);
        if client
            .send(format!("SUB {subject} {group}{sid}\r\nUNSUB {gone}\r\n").as_bytes())
            .is_err()
        {
            return;
        }
    }
    drop(client.send(b"PING\r\n"));
    drop(client.line());
}

fn publish(client: &mut RawClient, chance: &mut Chance, count: usize, size: usize) {
    let payload = chance.bytes(1 + chance.clone().below(size));
    client
        .stream()
        .set_write_timeout(Some(Duration::from_secs(20)))
        .expect("a socket option");
    for _ in 0..count {
        let mut bytes = Vec::new();
        let subject = format!("stress.{}", chance.below(50));
        let deeper = [subject.clone(), format!("{subject}.x")];
        write_publish(&mut bytes, &deeper[chance.below(2)], &payload);
        if let Err(error) = client.send(&bytes) {
            assert_ne!(
                error.kind(),
                std::io::ErrorKind::WouldBlock,
                "a publisher was stuck for 20 s"
            );
            return;
        }
    }
}
