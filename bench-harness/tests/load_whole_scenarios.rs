//! Every shape of load arrives whole on real servers: nats-server, and our broker.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod command;
mod engine;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bench_harness::Scenario;
use bench_harness::load::{self, Measurement, Observer, Phase, Progress, Settings};
use bench_harness::record::Verdict;
use bench_harness::scenario::subjects::deliveries;
use bench_harness::scenario::{Exchange, Length, Pick, Rate, Share, Sharing, Size, Subjects};
use bench_harness::server::{ServerTable, Started};
use engine::{Notes, few, run_on, target};

fn servers() -> Vec<Started> {
    let start = |name: &str| {
        let mut server = ServerTable::built_in().named(name).unwrap().clone();
        if name == "trunkline" {
            server.binary = Some(command::trunkline().into());
        }
        Started::start(&server, &[]).unwrap_or_else(|error| panic!("{error}"))
    };
    vec![start("nats-server"), start("trunkline")]
}

/// Runs it on each server with one and two threads, and expects everything to arrive.
fn arrives(scenario: &Scenario) {
    for server in servers() {
        for threads in [1, 2] {
            let found = run_on(scenario, &target(server.address), threads).unwrap();
            assert_eq!(
                found.verdict,
                Verdict::default(),
                "{} {found:?}",
                scenario.name
            );
            assert_eq!(
                found.delivered.messages,
                found.published.messages * deliveries(scenario)
            );
            assert!(found.measured_s > 0.0 && !found.interrupted);
            if let Length::Messages(messages) = scenario.length {
                assert_eq!(found.published.messages, messages);
            }
            look_at_latency(scenario, &found);
        }
    }
}

fn look_at_latency(scenario: &Scenario, found: &Measurement) {
    let latency = found.latency.as_ref();
    assert_eq!(
        latency.is_some(),
        scenario.latency && found.delivered.messages > 0
    );
    if let Some(latency) = latency {
        assert_eq!(latency.corrected.len(), found.delivered.messages);
        assert_eq!(latency.service.len(), found.delivered.messages);
        assert!(latency.corrected.max() >= latency.service.max());
    }
}

#[test]
fn fan_out_and_fan_in() {
    arrives(&Scenario {
        subscribers: 8,
        ..few(2000)
    });
    arrives(&Scenario {
        publishers: 8,
        ..few(2000)
    });
    arrives(&Scenario {
        publishers: 3,
        subscribers: 0,
        ..few(1000)
    });
}

#[test]
fn saturation_with_warm_up() {
    let scenario = Scenario {
        rate: Rate::Saturate,
        length: Length::Seconds(0.3),
        warm_up_s: 0.1,
        ..Scenario::default()
    };
    arrives(&scenario);
    arrives(&Scenario {
        verify: false,
        latency: false,
        size: Size::Fixed(3),
        ..scenario
    });
}

#[test]
fn subjects_dealt_out_picked_and_matched_by_wildcards() {
    for (pick, sharing) in [
        (Pick::Own, Sharing::Dealt),
        (Pick::InTurn, Sharing::Dealt),
        (Pick::Uniform, Sharing::All),
        (Pick::Zipf { exponent: 1.0 }, Sharing::Groups(2)),
    ] {
        for wildcard_share in [0.0, 0.5, 1.0] {
            let subjects = Subjects {
                count: 300,
                depth: 4,
                wildcard_share,
                pick,
            };
            arrives(&Scenario {
                publishers: 3,
                subscribers: 4,
                sharing,
                subjects,
                ..few(1500)
            });
        }
    }
}

#[test]
fn sizes_of_all_kinds() {
    let share = |bytes, weight| Share { bytes, weight };
    for size in [
        Size::Fixed(16),
        Size::Between(16, 3000),
        Size::Mix(vec![share(20, 90.0), share(200_000, 10.0)]),
    ] {
        arrives(&Scenario {
            size,
            rate: Rate::PerSecond(5000.0),
            ..few(500)
        });
    }
}

#[test]
fn large_payloads_at_saturation() {
    let scenario = Scenario {
        size: Size::Fixed(1 << 20),
        rate: Rate::Saturate,
        ..few(40)
    };
    arrives(&scenario);
}

#[test]
fn requests_in_closed_and_open_loop() {
    for rate in [Rate::Saturate, Rate::PerSecond(5000.0)] {
        for (subscribers, sharing) in [
            (1, Sharing::All),
            (3, Sharing::Groups(1)),
            (3, Sharing::Dealt),
        ] {
            let subjects = Subjects {
                count: 9,
                ..Subjects::default()
            };
            arrives(&Scenario {
                publishers: 2,
                subscribers,
                sharing,
                subjects,
                exchange: Exchange::Request { in_flight: 8 },
                rate,
                ..few(1000)
            });
        }
    }
}

#[test]
fn beside_churn_and_idle_connections() {
    arrives(&Scenario {
        churn_per_s: 2000.0,
        idle_connections: 300,
        length: Length::Seconds(0.3),
        ..few(1)
    });
}

#[test]
fn the_observer_is_told_once_of_beginning_and_end() {
    let server = &servers()[0];
    let scenario = Scenario {
        length: Length::Seconds(0.6),
        warm_up_s: 0.6,
        ..few(1)
    };
    let mut notes = Notes::default();
    let stop = AtomicBool::new(false);
    let settings = Settings::default();
    load::run(
        &scenario,
        &target(server.address),
        &settings,
        &mut notes,
        &stop,
    )
    .unwrap();
    assert_eq!((notes.began, notes.ended), (1, 1));
    assert!(notes.phases.contains(&Phase::WarmUp) && notes.phases.contains(&Phase::Measuring));
}

/// Presses Ctrl-C as soon as a phase is seen.
struct Impatient<'a>(Phase, &'a AtomicBool);

impl Observer for Impatient<'_> {
    fn measuring_begins(&mut self) {}
    fn measuring_ends(&mut self) {}
    fn progress(&mut self, progress: Progress) {
        if progress.phase == self.0 {
            self.1.store(true, Relaxed);
        }
    }
}

#[test]
fn a_stopped_run_returns_what_it_has_and_calls_nothing_lost() {
    let server = &servers()[0];
    for (phase, expects_messages) in [(Phase::WarmUp, false), (Phase::Measuring, true)] {
        let scenario = Scenario {
            length: Length::Seconds(3600.0),
            warm_up_s: if expects_messages { 0.0 } else { 3600.0 },
            ..few(1)
        };
        let stop = AtomicBool::new(false);
        let mut observer = Impatient(phase, &stop);
        let settings = Settings::default();
        let found = load::run(
            &scenario,
            &target(server.address),
            &settings,
            &mut observer,
            &stop,
        )
        .unwrap();
        assert!(found.interrupted);
        assert_eq!(found.verdict, Verdict::default());
        assert_eq!(found.published.messages > 0, expects_messages);
        assert_eq!(found.measured_s > 0.0, expects_messages);
    }
}

#[test]
fn servers_say_who_they_are() {
    let versions = servers().into_iter().map(|server| {
        run_on(&few(1), &target(server.address), 1)
            .unwrap()
            .server_version
    });
    let versions: Vec<String> = versions.collect();
    assert!(versions[0].starts_with("nats-server 2."), "{versions:?}");
    assert!(versions[1].starts_with("trunkline "), "{versions:?}");
}
