//! What cannot be run: a clear sentence, exit code 2, and nothing half-written.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use command::{Ran, SHORT, free_port, ran};

fn refused(arguments: &[&str]) -> String {
    let Ran { code, out, err } = ran(arguments);
    assert_eq!(code, Some(2), "{err}");
    assert_eq!(out, "", "{err}");
    err
}

#[test]
fn a_server_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("run.json").display().to_string();
    let address = format!("127.0.0.1:{}", free_port());
    let text = refused(&["run", "--server", &address, "--json", &json]);
    assert!(
        text.contains(&format!("cannot connect to {address}")),
        "{text}"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_server_that_speaks_something_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let text = refused(&["run", "--server", &address]);
    assert!(text.contains("does not speak NATS"), "{text}");
}

#[test]
fn a_server_that_refuses_the_password() {
    let mut server = bench_harness::server::ServerTable::built_in()
        .named("nats-server")
        .unwrap()
        .clone();
    server.flags = ["--user", "me", "--pass", "right"]
        .map(ToOwned::to_owned)
        .to_vec();
    let started = bench_harness::server::Started::start(&server, &[]).unwrap();
    let address = started.address.to_string();
    let text = refused(&[
        "run",
        "--server",
        &address,
        "--user",
        "me",
        "--password",
        "wrong",
    ]);
    assert!(
        text.contains("refused") && text.contains("uthorization"),
        "{text}"
    );
    assert!(!text.contains("wrong"), "the password is told: {text}");
    let url = format!("nats://me:right@{address}");
    let welcome = ran(&[&["run", "--server", &url][..], &SHORT].concat());
    assert_eq!(welcome.code, Some(0), "{welcome:?}");
}

#[test]
fn a_server_that_closes_midway() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"INFO {\"version\":\"1\",\"max_payload\":1048576}\r\n");
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let text = refused(&["run", "--server", &address]);
    assert!(text.contains("closed"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory
        .path()
        .join("no/such/folder.json")
        .display()
        .to_string();
    // Nobody listens there; that the file is what is complained about shows the order.
    let address = format!("127.0.0.1:{}", free_port());
    for command in [
        &["run", "--server", &address, "--json", &json][..],
        &["run", "--server", &address, "--hgrm", &json],
        &["run", "--server", &address, "--hlog", &json],
        &[
            "compare",
            "--first",
            "nats-server",
            "--against",
            "redis",
            "--json",
            &json,
        ],
    ] {
        let text = refused(command);
        assert!(text.contains(&format!("cannot write {json}")), "{text}");
        assert!(text.contains("nothing was run"), "{text}");
    }
}

#[test]
fn a_scenario_file_with_a_typo() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.toml");
    fs::write(&file, "[scenario.mine]\n\npublihsers = 2\n").unwrap();
    let file = file.display().to_string();
    let expected = format!(
        "trunkline-bench: {file}:3:1: there is no key `publihsers`; did you mean `publishers`?\n  \
         |\n3 | publihsers = 2\n  | ^^^^^^^^^^\n"
    );
    assert_eq!(refused(&["run", "--file", &file]), expected);
    assert_eq!(refused(&["scenarios", "--file", &file]), expected);
    assert_eq!(
        refused(&["compare", "--file", &file, "--against", "nats-server"]),
        expected
    );
}

#[test]
fn a_scenario_file_that_is_not_there_or_leaves_a_choice() {
    let text = refused(&["run", "--file", "no-such-file.toml"]);
    assert!(
        text.contains("cannot read the scenario file no-such-file.toml"),
        "{text}"
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two.toml");
    fs::write(&file, "[scenario.one]\n[scenario.two]\n").unwrap();
    let text = refused(&["run", "--file", &file.display().to_string()]);
    assert!(
        text.contains("which scenario? The file has: one, two"),
        "{text}"
    );
}

#[test]
fn scenarios_and_servers_that_do_not_exist() {
    let text = refused(&["run", "fanout-8"]);
    assert!(text.contains("Did you mean `fan-out-8`?"), "{text}");
    let text = refused(&["run", "--start", "nats"]);
    assert!(text.contains("Did you mean `nats-server`?"), "{text}");
    let text = refused(&["compare", "--against", "nats-sever"]);
    assert!(text.contains("Did you mean `nats-server`?"), "{text}");
}

#[test]
fn a_program_that_is_missing_is_answered_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("servers.toml");
    fs::write(
        &file,
        "[ours]\nprotocol = 'nats'\ncommand = ['no-such-broker']\nget = 'ask Ann for it'\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let text = refused(&[
        "compare",
        "--servers",
        &file,
        "--first",
        "nats-server",
        "--against",
        "ours",
    ]);
    assert!(
        text.contains("cannot find the program `no-such-broker`: ask Ann for it"),
        "{text}"
    );
}

#[test]
fn a_server_that_does_not_start_is_quoted() {
    let text = refused(&[
        "run",
        "--start",
        "nats-server",
        "--flags",
        "nats-server=--no-such-option",
    ]);
    assert!(text.contains("nats-server ended at once"), "{text}");
    assert!(text.contains("no-such-option"), "{text}");
}

#[test]
fn values_that_mean_nothing() {
    for (arguments, expected) in [
        (&["run", "--publishers", "many"][..], "is not a count"),
        (&["run", "--size", "big"], "is not a number of bytes"),
        (&["run", "--publishers", "0"], "`publishers` is 0"),
        (&["run", "--wildcards", "2"], "`wildcards` is 2"),
        (
            &["run", "--duration", "1s", "--messages", "5"],
            "cannot be used with",
        ),
        (
            &["run", "--start", "redis", "--server", "x:1"],
            "cannot be used with",
        ),
        (&["compare", "--against", "trunkline"], "named twice"),
        (&["compare"], "--against"),
        (
            &[
                "compare",
                "--against",
                "redis",
                "--first",
                "nats-server",
                "--pairs",
                "0",
            ],
            "--pairs 0",
        ),
        (
            &["run", "--start", "redis", "--bin", "redis"],
            "write the server's name",
        ),
    ] {
        let text = refused(arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
}
