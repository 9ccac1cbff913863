//! The built-in servers that are on this machine start, can be used, and end without leaving anything behind.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;

use std::net::TcpStream;
use std::path::Path;

use bench_harness::server::{Server, ServerTable, Started};
use command::trunkline;

fn server(name: &str) -> Server {
    ServerTable::built_in().named(name).unwrap().clone()
}

fn starts_and_ends(server: &Server) {
    let started = Started::start(server, &[0]).unwrap_or_else(|error| panic!("{error}"));
    let (address, pid) = (started.address, started.pid());
    assert!(address.ip().is_loopback());
    assert!(TcpStream::connect(address).is_ok());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let cores = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .map(str::trim);
    assert_eq!(cores, Some("0"), "{}", server.name);
    drop(started);
    assert!(
        TcpStream::connect(address).is_err(),
        "{} lives on",
        server.name
    );
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "{}",
        server.name
    );
}

#[test]
fn trunkline_starts() {
    let mut server = server("trunkline");
    server.binary = Some(trunkline().into());
    starts_and_ends(&server);
}

#[test]
fn nats_server_starts() {
    starts_and_ends(&server("nats-server"));
}

#[test]
fn redis_and_mosquitto_start_where_they_are_installed() {
    for name in ["redis", "mosquitto"] {
        let server = server(name);
        match server.program() {
            Ok(_) => starts_and_ends(&server),
            Err(reason) => eprintln!("not looked at: {reason}"),
        }
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_and_ended() {
    let mut server = server("nats-server");
    server.command = ["sh", "-c", "echo I am asleep; exec sleep 600"]
        .map(ToOwned::to_owned)
        .to_vec();
    server.ready.within = "300ms".parse().unwrap();
    let text = Started::start(&server, &[]).unwrap_err().to_string();
    assert!(text.contains("could not be used within 0.3 s"), "{text}");
    assert!(text.contains("I am asleep"), "{text}");
}
