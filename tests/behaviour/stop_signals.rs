//! INT and TERM end the broker with 0 while clients are connected: they see the end of their connections, and the ports
//! file is removed. Whatever ended it, another one can take its place at once.

use std::fs;

use crate::cast::{PATIENCE, QUIET, join, subscribe, write_publish};
use crate::support::{Launch, wait_until};

on_1_2_and_4_shards!(
    interrupt,
    terminate,
    stop_with_unsent_bytes,
    port_is_free_at_once,
    a_killed_one_is_started_anew
);

fn interrupt(shards: u32) {
    stop_by(shards, "INT");
}

fn terminate(shards: u32) {
    stop_by(shards, "TERM");
}

fn stop_by(shards: u32, signal: &str) {
    let mut server = Launch::trunkline(shards).start().expect("a server");
    let mut clients: Vec<_> = (0..9).map(|_| join(server.address())).collect();
    for client in &mut clients {
        subscribe(client, "a 1");
    }
    assert_eq!(ports_files(&server), 1);
    let status = server.stop(signal, PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert_eq!(ports_files(&server), 0, "the ports file is removed");
    for client in &mut clients {
        client.end().expect("clients see the end");
    }
    let log = server.log();
    assert!(
        log.contains("Initiating Shutdown...") && log.contains("Server Exiting.."),
        "{log}"
    );
}

/// Somebody who does not read must not keep the broker from stopping.
fn stop_with_unsent_bytes(shards: u32) {
    let mut server = Launch::trunkline(shards).start().expect("a server");
    let mut silent: Vec<_> = (0..4).map(|_| server.join(QUIET)).collect();
    for client in &mut silent {
        subscribe(client, "flood 1");
    }
    let mut publisher = join(server.address());
    let mut bytes = Vec::new();
    write_publish(&mut bytes, "flood", &vec![b'x'; 1 << 20]);
    for _ in 0..30 {
        publisher.send(&bytes).expect("sent");
    }
    publisher.sync().expect("taken");
    let status = server.stop("TERM", PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", server.log());
    for client in &mut silent {
        client.patience(PATIENCE);
        let ended = || client.message().is_err();
        assert!(
            wait_until(PATIENCE, ended) && client.has_ended(),
            "clients see the end"
        );
    }
}

fn ports_files(server: &crate::support::Server) -> usize {
    let files = fs::read_dir(server.folder()).expect("the folder is there");
    let is_ports_file =
        |file: &fs::DirEntry| file.path().extension().is_some_and(|end| end == "ports");
    files.flatten().filter(is_ports_file).count()
}

/// Who restarts the broker does not want to hear that the port is in use.
fn port_is_free_at_once(shards: u32) {
    for _ in 0..5 {
        let mut server = Launch::trunkline(shards).start().expect("a server");
        let port = server.address().port().to_string();
        let mut client = join(server.address());
        client.send(b"PING\r\n").expect("sent");
        server.stop("TERM", PATIENCE).expect("it ends");
        let next = Launch::trunkline(shards).flags(["-p", &port]).start();
        next.expect("its successor gets the port");
    }
}

/// The kernel closes its listening socket behind its death, a moment after those who wait for it have heard of that.
fn a_killed_one_is_started_anew(shards: u32) {
    let mut server = Launch::trunkline(shards).start().expect("a server");
    let port = server.address().port().to_string();
    for _ in 0..10 {
        let _client = join(server.address());
        server.stop("KILL", PATIENCE).expect("it ends");
        let launch = Launch::trunkline(shards).flags(["-p", &port]);
        server = launch.start().expect("a server on the same port");
        assert_eq!(server.address().port().to_string(), port);
    }
}
