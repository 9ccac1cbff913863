//! The official clients (Python, JavaScript, C, Rust) against the broker of this build.
//!
//! The suites are programs in the clients' own languages, in `tests/clients`; `tests/clients/run.sh`
//! sets them up and runs them against any server binary, and `scripts/test` does so against the
//! release build. Here is what cargo can say about them.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
#[ignore = "downloads the clients; `scripts/test` runs them against the release build"]
fn official_clients_work() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/run.sh");
    let broker = env!("CARGO_BIN_EXE_trunkline");
    let status = Command::new(script)
        .args([broker, "--shards", "2"])
        .status()
        .expect("bash is there");
    assert!(status.success(), "{script} {broker} --shards 2: {status}");
}

/// What one language's suite promises, every suite does.
#[test]
fn every_client_has_every_behaviour() {
    let python = names(
        include_str!("clients/python/suite.py"),
        "\nBEHAVIOURS = [",
        "]",
    );
    let node = names(
        include_str!("clients/node/suite.js"),
        "\nconst BEHAVIOURS = [",
        "]",
    );
    let c = names(
        include_str!("clients/c/suite.c"),
        "} behaviours[] = {",
        "};",
    );
    let rust = names(
        include_str!("clients/rust/src/main.rs"),
        "= behaviours![",
        "]",
    );
    assert!(
        python.len() >= 16,
        "the list was not understood: {python:?}"
    );
    for (language, behaviours) in [("node", node), ("c", c), ("rust", rust)] {
        assert_eq!(behaviours, python, "{language} beside python");
    }
}

fn names<'a>(suite: &'a str, before: &str, after: &str) -> BTreeSet<&'a str> {
    let (_, list) = suite
        .split_once(before)
        .expect("the suite has a list of behaviours");
    let (list, _) = list.split_once(after).expect("the list ends");
    list.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|name| !name.is_empty())
        .collect()
}
