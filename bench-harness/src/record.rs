//! What was measured: one JSON file a run ([`Record`]) or a comparison ([`Comparison`]). `docs/records.md` of this package
//! describes the fields for those who read the files with other tools; `schema` moves on when a field changes its meaning.
//!
//! Times are nanoseconds unless the name says otherwise. "Messages in and out" counts a publish once and each of its
//! deliveries once. What could not be measured is absent, never zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

pub const SCHEMA: u32 = 1;

/// One run of one scenario against one server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    /// RFC 3339, UTC.
    pub started: String,
    pub machine: Machine,
    pub server: ServerIdentity,
    pub scenario: Scenario,
    /// Ended by the user before the scenario's length was reached.
    pub interrupted: bool,
    /// Seconds from the first measured publish to the last measured delivery.
    pub measured_s: f64,
    pub published: Traffic,
    /// Deliveries to subscribers; for requests, the replies.
    pub delivered: Traffic,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    pub verdict: Verdict,
    /// Absent when the server's process is not known or not on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cost: Option<ServerCost>,
    pub generator_cost: GeneratorCost,
    /// Sentences for a person: why the figures may mislead.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    /// Processors that the generator may use.
    pub processors: u32,
    pub kernel: String,
    pub memory_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// Name in the table of reference servers, or `given` for one that was already running.
    pub name: String,
    /// What it says of itself, such as `trunkline 0.1.0` or `nats-server 2.15.1`.
    pub version: String,
    pub address: String,
    /// Empty when the server was already running.
    pub command: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub messages: u64,
    pub payload_bytes: u64,
    pub messages_per_s: f64,
}

/// Delays of the measured deliveries; of round trips for requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// From the time when the message was meant to be sent: free of coordinated omission.
    pub corrected: Distribution,
    /// From the time when it was really written.
    pub service: Distribution,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    pub count: u64,
    pub min_ns: u64,
    pub mean_ns: f64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub p9999_ns: u64,
    pub max_ns: u64,
    /// The whole histogram: HdrHistogram V2 with deflate, in base64, as in a `.hlog` line.
    pub histogram: String,
}

/// What verification found. A run with any of these above zero fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub lost: u64,
    pub duplicated: u64,
    pub disordered: u64,
    pub damaged: u64,
    /// Deliveries that nobody published or subscribed to.
    pub unexpected: u64,
    /// Requests that got no answer, or the answer that nobody is there.
    pub unanswered: u64,
}

/// The server process during the measured time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServerCost {
    pub user_ns: u64,
    pub system_ns: u64,
    /// User and system, divided by messages in and out; for requests, by round trips.
    pub ns_per_message: f64,
    pub memory_before_bytes: u64,
    pub memory_peak_bytes: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_calls_per_message: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_receive: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_send: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GeneratorCost {
    pub threads: u32,
    pub user_ns: u64,
    pub system_ns: u64,
    pub ns_per_message: f64,
    /// Share of the measured time that the busiest thread was on a processor, 0 to 1.
    pub busiest_thread: f64,
    /// The generator rather than the server set the pace, as far as one can tell; a warning says why.
    pub was_bottleneck: bool,
}

/// Several servers under the same scenarios, in turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub schema: u32,
    pub started: String,
    pub machine: Machine,
    /// Names in [`Round::records`]; the first is the one that the others are compared with.
    pub servers: Vec<String>,
    pub cases: Vec<Case>,
    pub warnings: Vec<String>,
}

/// One scenario, at saturation or at one offered rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub scenario: Scenario,
    pub rounds: Vec<Round>,
    /// By the name of the other server: its figure divided by the first server's, so that above one the first is better
    /// (for throughput it is the other way round: the first server's divided by the other's).
    pub ratios: BTreeMap<String, Ratios>,
}

/// Every server once; the order turns round from one round to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    pub records: Vec<Record>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_ns_per_message: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_per_s: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_peak: Option<Spread>,
}

/// A figure over the rounds of a case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}
