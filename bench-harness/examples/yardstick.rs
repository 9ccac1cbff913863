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
use hdrhistogram::Histogram;

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

/// Eight receive what one sends, so that the sending is a small part and can be subtracted.
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
            subscribers: 8,
            ..alone
        };
        let run = measure(&both, &sink)?;
        let spent_ns = (run.generator.user_ns + run.generator.system_ns) as f64;
        let messages = run.delivered.messages as f64;
        let receive_ns = spent_ns - publish * run.published.messages as f64;
        println!(
            "receive 16 B, {name}: {:.1} ns of processor per message ({:.1} ns in the kernel, the sending included)",
            receive_ns / messages,
            run.generator.system_ns as f64 / messages,
        );
    }
    Ok(())
}

/// In turns, because a machine is not the same from one second to the next; the medians of the turns are compared.
fn timing(seconds: f64) -> Result<(), Box<dyn Error>> {
    let rate = 2000.0;
    let sink = Sink::start(Manner::Echo, 0)?;
    let interval = Duration::from_secs_f64(1.0 / rate);
    let scenario = Scenario {
        rate: Rate::PerSecond(rate),
        ..saturating(seconds / 2.0)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some thousands"
    )]
    let count = (seconds / 2.0 * rate) as u32;
    let (mut bare, mut generator) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        bare.push(ping_pong(sink.address(), count, interval, 16)?);
        let latency = measure(&scenario, &sink)?.latency;
        generator.push(latency.ok_or("nothing was delivered")?.service);
    }
    for (name, quantile) in [("tenth percentile", 0.1), ("median", 0.5)] {
        let of = |turns: &[Histogram<u64>]| {
            let mut values: Vec<u64> = turns
                .iter()
                .map(|turn| turn.value_at_quantile(quantile))
                .collect();
            values.sort_unstable();
            values[values.len() / 2] as f64 / 1e3
        };
        println!(
            "echo of 16 B at {rate}/s, {name}: bare sockets {:.2} us, generator {:.2} us",
            of(&bare),
            of(&generator),
        );
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
        tls: None,
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
