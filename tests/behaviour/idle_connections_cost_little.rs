//! An idle server uses next to no processor time, and an idle connection with a subscription next to no memory
//! (DESIGN §2.7). The bounds are those of a debug build on a busy machine; the benchmark measures the real ones.

use std::thread;
use std::time::Duration;

use crate::cast::join;
use crate::support::Launch;

/// Some memory is needed once, and not for each connection: it is there after these.
const FIRST: usize = 1_000;
const CONNECTIONS: usize = 4_000;
const BYTES_PER_CONNECTION_MAX: u64 = 4 << 10;
const WATCHED: Duration = Duration::from_secs(3);
/// Per thousand of one core.
const PROCESSOR_MAX: u32 = 50;

on_1_2_and_4_shards!(idle_connections);

fn idle_connections(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let mut clients: Vec<_> = (0..FIRST).map(|index| idle(&server, index)).collect();
    let before_kib = server.resident_kib();
    clients.extend((FIRST..FIRST + CONNECTIONS).map(|index| idle(&server, index)));
    let grown = (server.resident_kib() - before_kib) * 1024;
    let each = grown / CONNECTIONS as u64;

    // The first round-trip measurement comes 2 seconds after the connect; let it pass.
    thread::sleep(Duration::from_millis(2_500));
    let start = server.run_time();
    thread::sleep(WATCHED);
    let used = server.run_time() - start;
    println!("{each} bytes per idle connection; {used:?} of processor time in {WATCHED:?}");
    assert!(
        each < BYTES_PER_CONNECTION_MAX,
        "{each} bytes per idle connection"
    );
    assert!(
        used < WATCHED * PROCESSOR_MAX / 1000,
        "an idle server ran for {used:?} of {WATCHED:?}"
    );
    for client in clients.iter_mut().step_by(97) {
        client.send(b"PING\r\n").expect("sent");
    }
}

fn idle(server: &crate::support::Server, index: usize) -> crate::support::RawClient {
    let mut client = join(server.address());
    client
        .send(format!("SUB idle.{index} 1\r\n").as_bytes())
        .expect("sent");
    client.sync().expect("subscribed");
    client
}
