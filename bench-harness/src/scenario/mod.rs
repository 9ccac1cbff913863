//! A scenario: the load that is meant, as data. Checked once ([`Scenario::check`]); whoever has one may trust its numbers.
//!
//! It says nothing about which server, where, or on which processors: those are the run's, so that one scenario compares
//! many servers on many machines.

mod check;
pub mod file;
pub mod form;
pub mod quantity;
pub mod size;
pub mod subjects;

use serde::{Deserialize, Serialize};

pub use check::ScenarioError;

/// One load. Every field has a default, so that a file names only what is special about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// One word for files and tables, such as `fan-out-8`.
    pub name: String,
    /// One sentence: what the load stands for.
    pub about: String,
    /// Connections that publish; with [`Exchange::Request`] those that send requests. 1 to 65,535.
    pub publishers: u32,
    /// Connections that subscribe; with [`Exchange::Request`] those that answer. 0 publishes into nothing.
    pub subscribers: u32,
    /// How the subscribers share the messages.
    pub sharing: Sharing,
    pub exchange: Exchange,
    pub subjects: Subjects,
    pub size: Size,
    pub rate: Rate,
    /// How long is measured, after the warm-up.
    pub length: Length,
    /// Load before the measurement that is not counted, in seconds.
    pub warm_up_s: f64,
    /// SUB and UNSUB pairs a second, of subjects that nobody publishes to, on a connection of their own.
    pub churn_per_s: f64,
    /// Connections with one subscription each that nothing is ever sent to.
    pub idle_connections: u32,
    /// Whether each delivery's order and checksum are looked at. Deliveries are always counted.
    pub verify: bool,
    /// Whether each delivery's delay is recorded.
    pub latency: bool,
}

/// Which subscriber gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Each subscriber gets every message: fan-out.
    All,
    /// The subjects are dealt out: subscriber `i` of `n` gets the subjects `i`, `i + n`, and so on. With as many subjects as
    /// publishers and subscribers, and [`Pick::Own`], this is `n` separate streams.
    Dealt,
    /// The subscribers form this many queue groups; each group gets every message once.
    Groups(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Messages go one way.
    Publish,
    /// Each message is a request that one subscriber answers with the same payload. A closed loop keeps `in_flight`
    /// requests of each publisher under way; with a rate, requests are sent at their intended times whatever is under way.
    Request { in_flight: u32 },
}

/// The subjects published to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subjects {
    /// How many distinct ones, 1 to 10,000,000.
    pub count: u32,
    /// Tokens of each, 1 to 16.
    pub depth: u32,
    /// Share of the subscriptions that are wildcards (0 to 1) instead of one subscription for each subject.
    pub wildcard_share: f64,
    pub pick: Pick,
}

/// Which subject a publisher takes next.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// One after another.
    InTurn,
    /// Publisher `i` of `n` takes the subjects `i`, `i + n`, and so on, in turn.
    Own,
    /// Each equally likely.
    Uniform,
    /// The `k`-th subject in proportion to `1 / k^exponent`.
    Zipf { exponent: f64 },
}

/// The payload's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    Fixed(u32),
    /// Each length from the first to the last equally likely.
    Between(u32, u32),
    /// Lengths with weights.
    Mix(Vec<Share>),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    pub bytes: u32,
    pub weight: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// As fast as the server takes them: shows throughput. Its delays are those of full buffers.
    Saturate,
    /// Messages a second, of all publishers together, each at its intended time (open loop).
    PerSecond(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    Seconds(f64),
    /// Messages of all publishers together, after the warm-up.
    Messages(u64),
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            name: "one-to-one".to_owned(),
            about: String::new(),
            publishers: 1,
            subscribers: 1,
            sharing: Sharing::All,
            exchange: Exchange::Publish,
            subjects: Subjects::default(),
            size: Size::Fixed(128),
            rate: Rate::Saturate,
            length: Length::Seconds(10.0),
            warm_up_s: 1.0,
            churn_per_s: 0.0,
            idle_connections: 0,
            verify: true,
            latency: true,
        }
    }
}

impl Default for Subjects {
    fn default() -> Subjects {
        Subjects {
            count: 1,
            depth: 2,
            wildcard_share: 0.0,
            pick: Pick::InTurn,
        }
    }
}
