//! Loads on real servers, looked at from the outside.

// Every test file uses a part of this, and a test may unwrap.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this, and a test may end here"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::thread;

use bench_harness::load::{
    self, Credentials, LoadError, Measurement, Observer, Progress, Protocol, Settings, Target,
};
use bench_harness::record::Verdict;
use bench_harness::scenario::{Length, Rate, Scenario, Subjects};
use bench_harness::server::{Server, ServerTable, Started};

/// A server of the built-in table. That it is not installed is an error, with how to install it.
pub(crate) fn server(name: &str) -> Server {
    ServerTable::built_in().named(name).unwrap().clone()
}

pub(crate) fn started(server: &Server) -> Started {
    Started::start(server, &[]).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn target(protocol: Protocol, address: SocketAddr) -> Target {
    Target {
        address,
        protocol,
        credentials: Credentials::default(),
        tls: None,
    }
}

pub(crate) fn signed(target: Target, user: Option<&str>, password: Option<&str>) -> Target {
    let credentials = Credentials {
        user: user.map(ToOwned::to_owned),
        password: password.map(ToOwned::to_owned),
        token: None,
    };
    Target {
        credentials,
        ..target
    }
}

struct Blind;

impl Observer for Blind {
    fn measuring_begins(&mut self) {}
    fn progress(&mut self, _progress: Progress) {}
    fn measuring_ends(&mut self) {}
}

pub(crate) fn run(scenario: &Scenario, target: &Target) -> Result<Measurement, LoadError> {
    run_watched(scenario, target, &mut Blind)
}

pub(crate) fn run_watched(
    scenario: &Scenario,
    target: &Target,
    observer: &mut dyn Observer,
) -> Result<Measurement, LoadError> {
    assert_eq!(scenario.check(), Ok(()));
    let settings = Settings::default();
    load::run(
        scenario,
        target,
        &settings,
        observer,
        &AtomicBool::new(false),
    )
}

/// The sentence that a run ends with.
pub(crate) fn complaint(scenario: &Scenario, target: &Target) -> String {
    match run(scenario, target) {
        Ok(measurement) => panic!("no error, but {:?}", measurement.verdict),
        Err(error) => error.to_string(),
    }
}

/// So slow that no server drops anything, so short that nobody waits for it.
pub(crate) fn gentle(messages: u64) -> Scenario {
    Scenario {
        rate: Rate::PerSecond(5_000.0),
        length: Length::Messages(messages),
        warm_up_s: 0.05,
        ..Scenario::default()
    }
}

/// A hundred subjects of four tokens, of which this share is subscribed to by wildcards.
pub(crate) fn hundred(wildcard_share: f64) -> Subjects {
    Subjects {
        count: 100,
        depth: 4,
        wildcard_share,
        ..Subjects::default()
    }
}

/// Everything arrived, once, in order and whole, at each of these many receivers.
pub(crate) fn assert_whole(measurement: &Measurement, messages: u64, receivers: u64) {
    assert_eq!(measurement.verdict, Verdict::default());
    assert_eq!(measurement.published.messages, messages);
    assert_eq!(measurement.delivered.messages, messages * receivers);
    assert_eq!(
        measurement.delivered.payload_bytes,
        measurement.published.payload_bytes * receivers
    );
    let latency = measurement.latency.as_ref().expect("delays were asked for");
    assert_eq!(latency.corrected.len(), messages * receivers);
}

/// A server of web pages, which does not understand a word. It serves until the test's process ends.
pub(crate) fn web_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    address
}
