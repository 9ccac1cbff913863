//! A publisher that floods is slowed by TCP, not by memory: under any mix of subscribers that read and that do not,
//! the broker's memory stays under a stated bound, and who reads goes on receiving (DESIGN §7).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::cast::{PATIENCE, StopAtEnd, join, write_publish};
use crate::support::{Launch, RawClient};

const PENDING_MAX_KIB: u64 = 2 << 10;
const SLOW: usize = 4;
const FAST: usize = 2;
const RECEIVED_MIN: usize = 1 << 20;

/// Each subscriber may have its `max_pending` waiting, in buffers up to twice as large; each lane may be full (64
/// parcels of 64 KiB, likewise); buffers of each shard come on top.
fn bound_kib(shards: u32) -> u64 {
    let shards = u64::from(shards);
    let outboxes = (SLOW + FAST) as u64 * PENDING_MAX_KIB * 2;
    let lanes = shards * (shards - 1) * (8 << 10);
    outboxes + lanes + shards * (16 << 10) + (16 << 10)
}

on_1_2_and_4_shards!(
    memory_stays_bounded_with_small_messages,
    memory_stays_bounded_with_large_messages
);

fn memory_stays_bounded_with_small_messages(shards: u32) {
    flood(shards, 100);
}

fn memory_stays_bounded_with_large_messages(shards: u32) {
    flood(shards, 64 << 10);
}

fn flood(shards: u32, payload: usize) {
    let server = Launch::trunkline(shards)
        .flags([
            "--max_pending",
            &format!("{PENDING_MAX_KIB}KB"),
            "--write_deadline",
            "30s",
        ])
        .start()
        .expect("a server");
    let start_kib = server.resident_kib();
    let bound_kib = bound_kib(shards);
    let enough = usize::try_from(3 * bound_kib * 1024).expect("fits");
    let stop = AtomicBool::new(false);
    let (published, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut peak_kib = 0;
    thread::scope(|scope| {
        let _stop_also_on_panic = StopAtEnd(&stop);
        for _ in 0..3 {
            let mut publisher = join(server.address());
            let (stop, published) = (&stop, &published);
            scope.spawn(move || {
                let mut bytes = Vec::new();
                while bytes.len() < 256 << 10 {
                    write_publish(&mut bytes, "flood", &vec![b'x'; payload]);
                }
                while !stop.load(Ordering::Relaxed) {
                    publisher.send(&bytes).expect("a publisher is not closed");
                    published.fetch_add(bytes.len(), Ordering::Relaxed);
                }
            });
        }
        for _ in 0..FAST {
            let mut reader = listening(server.address());
            let address = server.address();
            let (stop, received) = (&stop, &received);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match reader.exactly(64 << 10) {
                        Ok(bytes) => drop(received.fetch_add(bytes.len(), Ordering::Relaxed)),
                        // On a busy machine it may be too slow for the limit; then it is a new one.
                        Err(_) if reader.has_ended() => reader = listening(address),
                        Err(_) => {}
                    }
                }
            });
        }
        let mut silent: Vec<_> = (0..SLOW).map(|_| listening(server.address())).collect();
        let end = Instant::now() + PATIENCE;
        let is_enough = || {
            published.load(Ordering::Relaxed) >= enough
                && received.load(Ordering::Relaxed) > RECEIVED_MIN
        };
        while Instant::now() < end && !is_enough() {
            peak_kib = peak_kib.max(server.resident_kib());
            thread::sleep(Duration::from_millis(10));
            // Who was closed is followed by another that does not read either.
            if server.log().matches("Slow Consumer").count() + SLOW > silent.len() {
                silent.push(listening(server.address()));
            }
        }
    });
    let published_kib = published.into_inner() as u64 >> 10;
    let grown_kib = peak_kib.saturating_sub(start_kib);
    println!(
        "published {published_kib} KiB, memory grew by at most {grown_kib} KiB of {bound_kib}"
    );
    assert!(
        published_kib > 2 * bound_kib,
        "{published_kib} KiB are no flood"
    );
    assert!(
        received.into_inner() > RECEIVED_MIN,
        "the fast ones are served"
    );
    assert!(
        grown_kib < bound_kib,
        "memory grew by {grown_kib} KiB; the bound is {bound_kib}"
    );
}

fn listening(address: std::net::SocketAddr) -> RawClient {
    let mut client = join(address);
    client.patience(Duration::from_millis(500));
    client.send(b"SUB flood 1\r\n").expect("SUB is sent");
    client
}
