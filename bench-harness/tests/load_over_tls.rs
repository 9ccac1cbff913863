//! Over TLS a load is the same load: everything arrives, once and whole, from either server; and a server that cannot be
//! believed, or does not speak TLS at all, is told so.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;
mod engine;

use bench_harness::Scenario;
use bench_harness::load::{LoadError, Target};
use bench_harness::server::{Server, ServerTable, Started};
use command::trunkline;
use engine::{few, run_on, target};

fn server(name: &str) -> Server {
    let mut server = ServerTable::built_in().named(name).unwrap().clone();
    if name.starts_with("trunkline") {
        server.binary = Some(trunkline().into());
    }
    server
}

fn start(name: &str) -> Started {
    Started::start(&server(name), &[]).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_message_arrives() {
    for name in ["trunkline-tls", "nats-server-tls"] {
        let started = start(name);
        let target = Target {
            tls: started.tls.clone(),
            ..target(started.address)
        };
        for size in ["16", "1000", "40000"] {
            let scenario = Scenario {
                size: size.parse().unwrap(),
                subscribers: 3,
                ..few(500)
            };
            let measured = run_on(&scenario, &target, 2).unwrap();
            assert_eq!(measured.delivered.messages, 1500, "{name} {size}");
        }
    }
}

#[test]
fn without_tls_the_server_says_that_it_wants_it() {
    let started = start("trunkline-tls");
    let text = run_on(&few(10), &target(started.address), 1)
        .unwrap_err()
        .to_string();
    assert!(text.contains("requires TLS. Say --tls"), "{text}");
}

#[test]
fn a_server_that_is_somebody_else_is_not_spoken_to() {
    let (started, other) = (start("trunkline-tls"), start("trunkline-tls"));
    let target = Target {
        tls: other.tls.clone(),
        ..target(started.address)
    };
    let error = run_on(&few(10), &target, 1).unwrap_err();
    assert!(matches!(error, LoadError::Insecure { .. }), "{error}");
    assert!(error.to_string().contains("--tlsca"), "{error}");
}
