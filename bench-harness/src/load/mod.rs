//! The load engine: puts a scenario's load on a server and says what came of it.
//!
//! | module | what is in it |
//! |---|---|
//! | `conductor` | the calling thread: opens the phases, waits for the load threads, adds up |
//! | `crew` | the load threads, seen from there |
//! | `worker` | a load thread: an epoll loop over its connections |
//! | `pipe` | a socket, with or without TLS |
//! | `connection` | a socket, its driver and its bytes under way |
//! | `connect` | opens connections |
//! | `publisher`, `subscriber`, `churn` | what a connection does |
//! | `frames` | publishes ready to send |
//! | `tally` | what a thread counts |
//! | `summary` | what a run is worth, put together |
//! | `verdict` | the findings of all threads, added up |
//! | `pacing` | intended times and the timer |
//! | `plan` | which connection is on which thread |
//! | `cost` | the generator's own processor time |
//!
//! A run is: connect and subscribe, warm-up, measurement. Each of the last two ends only when what was published has been
//! delivered (or has not come for a while), so that no message of the warm-up is counted and none of the measurement lost.

mod churn;
mod conductor;
mod connect;
mod connection;
mod cost;
mod crew;
mod error;
mod frames;
mod pacing;
mod pipe;
mod plan;
mod publisher;
mod subscriber;
mod summary;
mod tally;
mod verdict;
mod worker;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

pub use error::LoadError;
pub(crate) use pacing::{Clock, Timer};
pub use pipe::Tls;

pub use crate::latency::Histograms;
use crate::record::{GeneratorCost, Traffic, Verdict};
use crate::scenario::Scenario;
use crate::wire::mqtt::Mqtt;
use crate::wire::nats::Nats;
use crate::wire::resp::Resp;
pub use crate::wire::{Credentials, Protocol};

/// The server to load.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub credentials: Credentials,
    /// `None` is without.
    pub tls: Option<Tls>,
}

/// What belongs to this machine rather than to the scenario.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Load threads; without it half of the processors, or as many as `connections_per_thread` asks for.
    pub threads: Option<u32>,
    pub connections_per_thread: Option<u32>,
    /// Cores of the load threads, in turn; empty for wherever the kernel puts them. A thread with a core of its own waits
    /// for the last microseconds before an intended time without giving the core away.
    pub pin: Vec<usize>,
}

/// Told how a run goes, on the thread that called [`run`].
pub trait Observer {
    /// The warm-up is over and nothing of it is under way; no measured message has left.
    fn measuring_begins(&mut self);
    fn progress(&mut self, progress: Progress);
    /// The last measured delivery has arrived, or is given up.
    fn measuring_ends(&mut self);
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    pub phase: Phase,
    /// Since the phase began.
    pub elapsed_s: f64,
    /// In this phase.
    pub published: u64,
    pub delivered: u64,
    /// Since the last progress.
    pub published_per_s: f64,
    pub delivered_per_s: f64,
    /// Of the corrected latency so far, if it is recorded.
    pub p99_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Connections are opened and subscribed; `published` and `delivered` are zero.
    Connecting,
    WarmUp,
    Measuring,
    /// Everything is published; deliveries still arrive.
    Draining,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Such as `nats-server 2.15.1`.
    pub server_version: String,
    /// Ended early by `stop`; what was still under way then is not called lost.
    pub interrupted: bool,
    /// From the first measured publish to the last measured delivery.
    pub measured_s: f64,
    pub published: Traffic,
    /// To subscribers; for requests, the replies.
    pub delivered: Traffic,
    /// If the scenario asks for it and anything was delivered.
    pub latency: Option<Histograms>,
    pub verdict: Verdict,
    pub generator: GeneratorCost,
    pub warnings: Vec<String>,
}

/// Puts the load on the server. The scenario has been checked. `stop` ends it at once, with what is there.
///
/// A run whose messages get lost is a run: the verdict says so. An error is a run that could not be made.
pub fn run(
    scenario: &Scenario,
    target: &Target,
    settings: &Settings,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Measurement, LoadError> {
    match target.protocol {
        Protocol::Nats => conductor::run::<Nats>(scenario, target, settings, observer, stop),
        Protocol::Resp => conductor::run::<Resp>(scenario, target, settings, observer, stop),
        Protocol::Mqtt => conductor::run::<Mqtt>(scenario, target, settings, observer, stop),
    }
}
