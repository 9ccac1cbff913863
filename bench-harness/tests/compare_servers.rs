//! `trunkline-bench compare` with real servers, as short as it can be.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;

use std::fs;

use bench_harness::Comparison;
use bench_harness::scenario::Rate;
use command::{SHORT, ran, trunkline};

#[test]
fn two_brokers_take_turns_at_saturation_and_at_a_common_rate() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("compare.json");
    let json_text = json.display().to_string();
    let arguments = [
        "compare",
        "--against",
        "nats-server",
        "--trunkline",
        trunkline(),
        "--scenarios",
        "one-to-one-128",
        "--pairs",
        "2",
        "--json",
        &json_text,
    ];
    let ran = ran(&[&arguments[..], &SHORT].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("one-to-one-128, at saturation, 2 rounds"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("fewer than 5 pairs"), "{}", ran.out);

    let comparison: Comparison = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(comparison.servers, ["trunkline", "nats-server"]);
    let [saturation, rate] = &comparison.cases[..] else {
        panic!("two cases: {comparison:?}");
    };
    assert_eq!(saturation.scenario.rate, Rate::Saturate);
    let order: Vec<Vec<&str>> = saturation
        .rounds
        .iter()
        .map(|round| {
            round
                .records
                .iter()
                .map(|record| record.server.name.as_str())
                .collect()
        })
        .collect();
    assert_eq!(
        order,
        [["trunkline", "nats-server"], ["nats-server", "trunkline"]]
    );
    let Rate::PerSecond(offered) = rate.scenario.rate else {
        panic!("a rate");
    };
    let slowest = saturation.rounds.iter().flat_map(|round| &round.records);
    assert!(
        slowest
            .map(|record| record.published.messages_per_s)
            .any(|most| offered < most)
    );
    for case in &comparison.cases {
        let ratios = &case.ratios["nats-server"];
        assert!(ratios.server_ns_per_message.unwrap().median > 0.0);
        assert!(ratios.p99.unwrap().least <= ratios.p99.unwrap().greatest);
        let addresses = case.rounds.iter().flat_map(|round| &round.records);
        assert!(addresses.clone().all(|record| record.verdict.is_clean()));
        // A fresh process for every run, so another port.
        let mut ports: Vec<&str> = addresses
            .map(|record| record.server.address.as_str())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        assert!(ports.len() > 1);
    }
}

#[test]
fn what_a_server_cannot_do_is_skipped_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("servers.toml");
    fs::write(
        &file,
        "[simple]\nprotocol = 'nats'\ncommand = ['nats-server', '-a', '127.0.0.1', '-p', '{port}']\n\
         ready = { expect = 'INFO ' }\ncannot = ['queue-groups']\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let arguments = [
        "compare",
        "--servers",
        &file,
        "--first",
        "nats-server",
        "--against",
        "simple",
        "--scenarios",
        "queue-4,one-to-one-16",
        "--at",
        "saturation",
        "--pairs",
        "1",
    ];
    let ran = ran(&[&arguments[..], &SHORT].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out
            .contains("queue-4: simple has no queue groups and is left out"),
        "{}",
        ran.out
    );
    assert!(
        ran.out.contains("one-to-one-16, at saturation, 1 round\n"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("queue-4, at"), "{}", ran.out);
}

#[test]
fn a_server_that_always_fails_leaves_nothing_to_show() {
    let ran = ran(&[
        "compare",
        "--first",
        "nats-server",
        "--against",
        "trunkline",
        "--trunkline",
        trunkline(),
        "--flags",
        "trunkline=--no-such-option",
        "--scenarios",
        "one-to-one-16",
        "--pairs",
        "1",
        "--duration",
        "50ms",
        "--warm-up",
        "0s",
    ]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.out.contains("trunkline failed and is left out"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("nothing was compared"), "{}", ran.err);
}
