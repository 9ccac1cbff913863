//! What the load generator itself can do and costs, on this machine: `cargo run --release -p bench-harness --example yardstick`.
//!
//! Processor time, not elapsed time, wherever possible, so that other work on the machine disturbs little. The servers here
//! are the sinks of this package; a real one has to be measured with `trunkline-bench run`.

use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bench_harness::Scenario;
use bench_harness::load::{
    self, Credentials, Measurement, Observer, Progress, Protocol, Settings, Target,
};
use bench_harness::scenario::{Length, Rate, Size};
use bench_harness::sink::{Manner, Sink, ping_pong};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds: f64 = std::env::args()
        .nth(1)
        .map_or(Ok(3.0), |text| text.parse())?;
    publishing(seconds)?;
    receiving(seconds)?;
    timing(seconds)
}

fn publishing(seconds: f64) -> Result<(), Box<dyn Error>> {
    let sink = Sink::start(Manner::Count, 0)?;
    for (name, is_stamped) in [("bare", false), ("stamped", true)] {
        let scenario = Scenario {
            subscribers: 0,
            verify: is_stamped,
            latency: is_stamped,
            ..saturating(seconds)
        };
        let run = measure(&scenario, &sink)?;
        let messages = run.published.messages;
        let spent_ns = run.generator.user_ns + run.generator.system_ns;
        println!(
            "publish 16 B, {name}: {:.1} ns of processor per message, {:.1} M messages per second of one core; {:.1} M/s \
             elapsed",
            spent_ns as f64 / messages as f64,
            messages as f64 * 1e3 / spent_ns as f64,
            run.published.messages_per_s / 1e6,
        );
    }
    Ok(())
}

/// The publisher has a thread of its own; what the receiving thread costs is the rest.
fn receiving(seconds: f64) -> Result<(), Box<dyn Error>> {
    let sink = Sink::start(Manner::Echo, 0)?;
    for (name, verify, latency) in [
        ("counted", false, false),
        ("verified", true, false),
        ("verified and timed", true, true),
    ] {
        let alone = Scenario {
            subscribers: 0,
            verify,
            latency,
            ..saturating(seconds)
        };
        let counting = Sink::start(Manner::Count, 0)?;
        let publish = measure(&alone, &counting)?.generator.ns_per_message;
        let both = Scenario {
            subscribers: 1,
            ..alone
        };
        let run = measure(&both, &sink)?;
        let spent_ns = (run.generator.user_ns + run.generator.system_ns) as f64;
        let messages = run.delivered.messages as f64;
        println!(
            "receive 16 B, {name}: {:.1} ns of processor per message ({:.1} ns of both in the kernel)",
            spent_ns / messages - publish,
            run.generator.system_ns as f64 / messages,
        );
    }
    Ok(())
}

fn timing(seconds: f64) -> Result<(), Box<dyn Error>> {
    let rate = 2000.0;
    let sink = Sink::start(Manner::Echo, 0)?;
    let pause = Duration::from_secs_f64(1.0 / rate);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousands"
    )]
    let count = (seconds * rate) as u32;
    for _ in 0..3 {
        let bare = ping_pong(sink.address(), count, pause, 16)?;
        let scenario = Scenario {
            rate: Rate::PerSecond(rate),
            ..saturating(seconds)
        };
        let run = measure(&scenario, &sink)?;
        let service = run.latency.ok_or("nothing was delivered")?.service;
        let us = |ns: u64| ns as f64 / 1e3;
        for (name, quantile) in [("tenth percentile", 0.1), ("median", 0.5)] {
            println!(
                "echo of 16 B at {rate}/s, {name}: bare sockets {:.2} us, generator {:.2} us",
                us(bare.value_at_quantile(quantile)),
                us(service.value_at_quantile(quantile)),
            );
        }
    }
    Ok(())
}

fn saturating(seconds: f64) -> Scenario {
    Scenario {
        size: Size::Fixed(16),
        length: Length::Seconds(seconds),
        warm_up_s: 0.3,
        ..Scenario::default()
    }
}

fn measure(scenario: &Scenario, sink: &Sink) -> Result<Measurement, Box<dyn Error>> {
    scenario.check()?;
    let target = Target {
        address: sink.address(),
        protocol: Protocol::Nats,
        credentials: Credentials::default(),
    };
    let settings = Settings {
        threads: Some(1),
        ..Settings::default()
    };
    let stop = AtomicBool::new(false);
    Ok(load::run(scenario, &target, &settings, &mut Quiet, &stop)?)
}

struct Quiet;

impl Observer for Quiet {
    fn measuring_begins(&mut self) {}
    fn progress(&mut self, _progress: Progress) {}
    fn measuring_ends(&mut self) {}
}
