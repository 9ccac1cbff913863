//! `trunkline-bench scenarios` and `servers`.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;

use std::fs;

use command::ran;

#[test]
fn the_scenarios_are_listed_with_what_they_stand_for() {
    let ran = ran(&["scenarios"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out.lines().count(), 14);
    assert!(
        ran.out.starts_with("no-interest-16      Publishing"),
        "{}",
        ran.out
    );
}

#[test]
fn a_scenario_is_shown_in_full() {
    let ran = ran(&["scenarios", "queue-4"]);
    assert_eq!(ran.json()["sharing"]["groups"], 1);
}

#[test]
fn the_servers_are_listed_with_their_programs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("servers.toml");
    fs::write(
        &file,
        "[ours]\nabout = 'Our own.'\nprotocol = 'mqtt'\ncommand = ['sh', '{port}']\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let ran = ran(&["servers", "--servers", &file, "--flags", "ours=-x 1"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for expected in [
        "trunkline: This repository's broker.",
        "ours: Our own.",
        "/sh\n",
        "sh {port} -x 1",
        "lacks       queue groups, requests",
    ] {
        assert!(ran.out.contains(expected), "no {expected} in {}", ran.out);
    }
}
