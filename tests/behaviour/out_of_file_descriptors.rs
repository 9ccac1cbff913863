//! Out of file descriptors, the broker refuses new connections with a log line and keeps serving those it has; when some
//! close, new ones are served again.

use std::io;
use std::time::Duration;

use crate::cast::{PATIENCE, QUIET, is_served, join, subscribe};
use crate::support::{Launch, RawClient, Server, wait_until};

/// Room for connections beside what the broker needs for itself.
const ROOM: usize = 30;
const TOO_MANY: usize = 20;

on_1_2_and_4_shards!(new_connections_are_refused_and_old_ones_served);

fn new_connections_are_refused_and_old_ones_served(shards: u32) {
    let own = Launch::trunkline(shards)
        .start()
        .expect("a server")
        .open_files();
    let limit = own + ROOM;
    let mut server = Launch::trunkline(shards)
        .prelude(&format!("ulimit -n {limit}"))
        .start()
        .expect("a server with few descriptors");
    let mut first = join(server.address());
    let mut second = join(server.address());
    subscribe(&mut first, "talk 1");
    let mut served = Vec::new();
    while let Some(client) = try_join(&server, Duration::from_millis(500)) {
        served.push(client);
        assert!(served.len() <= ROOM, "the limit does not hold");
    }
    assert!(
        served.len() >= ROOM / 2,
        "only {} were served",
        served.len()
    );
    let waiting: Vec<_> = (0..TOO_MANY).map(|_| server.connect()).collect();
    assert!(
        server.logs_within("Accept Error (Too many open files", PATIENCE),
        "the log tells it: {}",
        server.log()
    );
    // They are told by a close, rather than left to wait. (The last one served may have taken the last descriptor but one.)
    let told = || waiting.iter().filter(|client| is_closed(client)).count();
    assert!(
        wait_until(PATIENCE, || told() + 1 >= TOO_MANY),
        "only {} of {TOO_MANY} were refused",
        told()
    );
    for round in 0..50 {
        second
            .send(format!("PUB talk 2\r\n{:02}\r\n", round).as_bytes())
            .expect("sent");
        let message = first.message().expect("those who are there are served");
        assert_eq!(message.body, format!("{round:02}").into_bytes());
    }
    for client in &mut served {
        is_served(client).expect("those who are there are served");
    }
    drop(waiting);
    served.truncate(2);
    let served_again = || try_join(&server, Duration::from_secs(3)).is_some();
    assert!(
        wait_until(PATIENCE, served_again),
        "when some have left, new ones are served"
    );
    assert!(server.is_running());
}

/// A connection that was taken in and is served.
fn try_join(server: &Server, patience: Duration) -> Option<RawClient> {
    let mut client = server.connect();
    client.patience(patience).line().ok()?;
    client
        .send(format!("CONNECT {QUIET}\r\n").as_bytes())
        .ok()?;
    client.patience(PATIENCE).sync().ok()?;
    Some(client)
}

fn is_closed(client: &RawClient) -> bool {
    let stream = client.stream();
    stream.set_nonblocking(true).expect("a socket option");
    let peeked = stream.peek(&mut [0]);
    match peeked {
        Ok(count) => count == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}
