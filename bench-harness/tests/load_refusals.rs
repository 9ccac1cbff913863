//! What can go wrong between the generator and a server is said in a sentence with the address, and ends the run.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;
mod engine;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::thread;

use bench_harness::Scenario;
use bench_harness::load::{self, Credentials, Settings, Target};
use bench_harness::scenario::Size;
use bench_harness::server::{Server, ServerTable, Started};
use engine::fake::{Mistake, start};
use engine::{Notes, few, run, run_on, target};

/// The error's sentence, which names the address.
fn complaint(scenario: &Scenario, address: SocketAddr) -> String {
    let text = run(scenario, address)
        .expect_err("it cannot work")
        .to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    text
}

/// Says this to everyone, and reads on.
fn speaker(said: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = stream.write_all(said);
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    address
}

fn guarded(flags: &[&str]) -> Started {
    let mut server: Server = ServerTable::built_in()
        .named("nats-server")
        .unwrap()
        .clone();
    server.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Started::start(&server, &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nobody_listens() {
    let port = command::free_port();
    let text = complaint(&few(10), SocketAddr::from(([127, 0, 0, 1], port)));
    assert!(
        text.contains("cannot connect") && text.contains("Is a server running"),
        "{text}"
    );
}

#[test]
fn another_protocol_is_recognised() {
    let text = complaint(&few(10), speaker(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert!(
        text.contains("does not speak NATS") && text.contains("HTTP/1.1"),
        "{text}"
    );
}

#[test]
fn a_silent_server_is_not_waited_for_for_ever() {
    let text = complaint(&few(10), speaker(b""));
    assert!(text.contains("did not answer as a NATS server"), "{text}");
}

#[test]
fn a_server_that_wants_tls_says_so() {
    let text = complaint(&few(10), speaker(b"INFO {\"tls_required\":true}\r\n"));
    assert!(text.contains("requires TLS"), "{text}");
}

#[test]
fn credentials_let_in_or_not() {
    let server = guarded(&["--user", "ann", "--pass", "secret"]);
    let text = complaint(&few(10), server.address);
    assert!(
        text.contains("Authorization Violation") && text.contains("Check user"),
        "{text}"
    );
    let credentials = Credentials {
        user: Some("ann".to_owned()),
        password: Some("secret".to_owned()),
        token: None,
    };
    let target = Target {
        credentials,
        ..target(server.address)
    };
    assert_eq!(run_on(&few(10), &target, 1).unwrap().delivered.messages, 10);
}

#[test]
fn a_token_lets_in() {
    let server = guarded(&["--auth", "s3cret"]);
    let credentials = Credentials {
        token: Some("s3cret".to_owned()),
        ..Credentials::default()
    };
    let target = Target {
        credentials,
        ..target(server.address)
    };
    assert_eq!(run_on(&few(10), &target, 1).unwrap().delivered.messages, 10);
}

#[test]
fn payloads_above_the_server_s_limit_are_refused_before_any_load() {
    let scenario = Scenario {
        size: Size::Fixed(2 << 20),
        ..few(10)
    };
    let text = complaint(&scenario, start(Mistake::None));
    assert!(
        text.contains("2097152") && text.contains("1048576"),
        "{text}"
    );
}

#[test]
fn a_server_that_complains_is_quoted() {
    let text = complaint(&few(500), start(Mistake::Complain(100)));
    assert!(text.contains("Something is rotten"), "{text}");
}

#[test]
fn a_server_that_closes_midway_is_named() {
    let text = complaint(&few(500), start(Mistake::Close(100)));
    assert!(text.contains("closed a connection midway"), "{text}");
}

#[test]
fn more_connections_than_files_are_refused() {
    let scenario = Scenario {
        idle_connections: 1_000_000,
        ..few(10)
    };
    // Where a million files are allowed there is nothing to refuse.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < 1_000_000) {
        let error = run(&scenario, start(Mistake::None)).unwrap_err();
        assert!(error.to_string().contains("ulimit -Hn"), "{error}");
    }
}

#[test]
fn cores_and_threads_that_do_not_fit_are_refused() {
    let address = start(Mistake::None);
    let refused = |settings: &Settings| {
        let stop = AtomicBool::new(false);
        let error = load::run(
            &few(10),
            &target(address),
            settings,
            &mut Notes::default(),
            &stop,
        );
        error.unwrap_err().to_string()
    };
    let pin = Settings {
        pin: vec![99_999],
        ..Settings::default()
    };
    assert!(refused(&pin).contains("no core 99999"));
    let threads = Settings {
        threads: Some(1),
        connections_per_thread: Some(1),
        ..Settings::default()
    };
    assert!(refused(&threads).contains("do not hold the 2 connections"));
}
