//! `trunkline-bench run` against real servers: what it prints, what it writes, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bench_harness::Record;
use command::{SHORT, bench, finished, ran, trunkline};
use rustix::process::{Pid, Signal, kill_process};

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

#[test]
fn a_started_broker_is_loaded_verified_and_its_cost_shown() {
    let arguments = ["run", "--start", "trunkline", "--trunkline", trunkline()];
    let ran = ran(&with(&arguments, &SHORT));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for expected in [
        "one-to-one",
        "trunkline 0.",
        "published",
        "delivered",
        "corrected",
        "service",
        "p99.99",
        "each once, in order, undamaged",
        "per message in and out",
        "context switches",
        "generator",
    ] {
        assert!(ran.out.contains(expected), "no {expected} in {}", ran.out);
    }
    assert_eq!(ran.err, "", "nothing is told where no terminal listens");
}

#[test]
fn all_result_files_are_written_and_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (json, hgrm, hlog) = (path("run.json"), path("run.hgrm"), path("run.hlog"));
    let arguments = [
        "run",
        "fan-out-8",
        "--start",
        "nats-server",
        "--rate",
        "2k",
        "--size",
        "16..4096",
        "--json",
        &json,
        "--hgrm",
        &hgrm,
        "--hlog",
        &hlog,
    ];
    let ran = ran(&with(&arguments, &SHORT));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let record: Record = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(record.server.name, "nats-server");
    assert_eq!(record.scenario.name, "fan-out-8");
    assert_eq!(record.delivered.messages, 8 * record.published.messages);
    assert!(record.published.messages > 0 && !record.interrupted);
    let cost = record.server_cost.expect("the server's process is ours");
    assert!(cost.ns_per_message > 0.0 && cost.memory_peak_bytes >= cost.memory_before_bytes);
    assert_eq!(
        record.latency.unwrap().corrected.count,
        record.delivered.messages
    );
    assert!(fs::read_to_string(&hgrm).unwrap().contains("Percentile"));
    assert!(fs::read_to_string(&hlog).unwrap().contains("Tag=corrected"));
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        3,
        "no drafts are left"
    );
}

#[test]
fn json_can_go_to_standard_output_alone() {
    let arguments = [
        "run",
        "--start",
        "nats-server",
        "--messages",
        "1k",
        "--warm-up",
        "0s",
        "--no-verify",
        "--json",
        "-",
    ];
    let ran = ran(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let record = ran.json();
    assert_eq!(record["published"]["messages"], 1000);
    assert_eq!(record["scenario"]["name"], "custom");
    assert_eq!(record["scenario"]["length"]["messages"], 1000);
    assert!(
        ran.err.contains("order and content not looked at"),
        "{}",
        ran.err
    );
}

#[test]
fn requests_are_answered_and_counted_as_round_trips() {
    let arguments = [
        "run",
        "ping-pong-1",
        "--start",
        "trunkline",
        "--trunkline",
        trunkline(),
    ];
    let ran = ran(&with(&arguments, &SHORT));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("round trip") && ran.out.contains("answered"),
        "{}",
        ran.out
    );
}

#[test]
fn a_running_servers_process_is_found_by_its_port() {
    let server = bench_harness::server::Started::start(
        bench_harness::server::ServerTable::built_in()
            .named("nats-server")
            .unwrap(),
        &[],
    )
    .unwrap();
    let address = server.address.to_string();
    let ran = ran(&with(&["run", "--server", &address, "--json", "-"], &SHORT));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains(&format!("(process {})", server.pid())),
        "{}",
        ran.err
    );
    assert!(
        ran.json()["server_cost"]["ns_per_message"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert_eq!(ran.json()["server"]["name"], "given");
}

#[test]
fn ctrl_c_shows_what_there_is_and_ends_the_server() {
    let child = bench(&[
        "run",
        "--start",
        "nats-server",
        "--duration",
        "60s",
        "--warm-up",
        "0s",
    ])
    .args(["--progress", "--json", "-"])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    thread::sleep(Duration::from_millis(1500));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = finished(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let record = ran.json();
    assert_eq!(record["interrupted"], true);
    assert!(record["published"]["messages"].as_u64().unwrap() > 0);
    assert!(ran.err.contains("interrupted"), "{}", ran.err);
    assert!(
        ran.err.contains("measuring"),
        "progress was asked for: {}",
        ran.err
    );
    let address = record["server"]["address"].as_str().unwrap();
    assert!(
        std::net::TcpStream::connect(address).is_err(),
        "the server lives on"
    );
}

#[test]
fn a_scenario_of_a_file_can_be_changed_by_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.toml");
    fs::write(
        &file,
        "[scenario.mine]\npublishers = 2\nsize = 64\nduration = '200ms'\nwarm-up = 0\n",
    )
    .unwrap();
    let file = file.display().to_string();
    // The only scenario of a file need not be named.
    let ran = ran(&[
        "run",
        "--file",
        &file,
        "--start",
        "nats-server",
        "--size",
        "256",
        "--json",
        "-",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let scenario = &ran.json()["scenario"];
    assert_eq!(scenario["name"], "mine");
    assert_eq!(scenario["publishers"], 2);
    assert_eq!(scenario["size"]["fixed"], 256);
}
