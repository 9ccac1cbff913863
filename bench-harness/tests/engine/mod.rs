//! Runs the load engine against servers, some of which are made to misbehave.

// Every test file uses a part of this.
#![allow(dead_code)]

pub(crate) mod fake;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use bench_harness::Scenario;
use bench_harness::load::{
    self, Credentials, LoadError, Measurement, Observer, Phase, Progress, Protocol, Settings,
    Target,
};
use bench_harness::scenario::{Length, Rate};

/// Remembers what it was told.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) began: u32,
    pub(crate) ended: u32,
    pub(crate) phases: Vec<Phase>,
}

impl Observer for Notes {
    fn measuring_begins(&mut self) {
        self.began += 1;
    }

    fn progress(&mut self, progress: Progress) {
        self.phases.push(progress.phase);
    }

    fn measuring_ends(&mut self) {
        self.ended += 1;
    }
}

pub(crate) fn target(address: SocketAddr) -> Target {
    Target {
        address,
        protocol: Protocol::Nats,
        credentials: Credentials::default(),
        tls: None,
    }
}

pub(crate) fn run(scenario: &Scenario, address: SocketAddr) -> Result<Measurement, LoadError> {
    run_on(scenario, &target(address), 1)
}

pub(crate) fn run_on(
    scenario: &Scenario,
    target: &Target,
    threads: u32,
) -> Result<Measurement, LoadError> {
    assert_eq!(scenario.check(), Ok(()));
    let settings = Settings {
        threads: Some(threads),
        ..Settings::default()
    };
    let mut notes = Notes::default();
    load::run(
        scenario,
        target,
        &settings,
        &mut notes,
        &AtomicBool::new(false),
    )
}

/// Some messages one after another, all of them measured.
pub(crate) fn few(messages: u64) -> Scenario {
    Scenario {
        rate: Rate::PerSecond(20_000.0),
        length: Length::Messages(messages),
        warm_up_s: 0.0,
        ..Scenario::default()
    }
}
