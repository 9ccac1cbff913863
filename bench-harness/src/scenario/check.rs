//! Whether a scenario's numbers are in range and go together. The first fault is told, as a sentence that names the field.
//!
//! It does not look at the machine or the server: how many connections or bytes they allow is found out when a run begins.

use std::error::Error;
use std::fmt;

use super::{Exchange, Length, Pick, Rate, Scenario, Sharing, Size};
use crate::stamp;

/// Why a scenario cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioError {
    /// As it is called in a file.
    pub field: &'static str,
    /// Goes on after the field's name.
    pub fault: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.fault)
    }
}

impl Error for ScenarioError {}

impl Scenario {
    /// Proves that the numbers are in range and go together.
    pub fn check(&self) -> Result<(), ScenarioError> {
        self.check_name()?;
        within("publishers", self.publishers, 1, PUBLISHERS_MAX)?;
        within("subscribers", self.subscribers, 0, CONNECTIONS_MAX)?;
        within(
            "idle_connections",
            self.idle_connections,
            0,
            CONNECTIONS_MAX,
        )?;
        self.check_sharing()?;
        self.check_exchange()?;
        self.check_subjects()?;
        self.check_size()?;
        self.check_pace()?;
        self.check_bulk()
    }

    fn check_name(&self) -> Result<(), ScenarioError> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match self.name.chars().all(is_word) && self.name.starts_with(|c: char| c != '.') {
            true => Ok(()),
            false => fault(
                "name",
                format!(
                    "is {:?}; it becomes part of file names: use letters, digits, `-`, `_` and `.`",
                    self.name
                ),
            ),
        }
    }

    fn check_sharing(&self) -> Result<(), ScenarioError> {
        let Sharing::Groups(groups) = self.sharing else {
            return Ok(());
        };
        match groups {
            0 => fault("sharing", "has no queue group; say at least 1, or `all`"),
            _ if groups > self.subscribers => fault(
                "sharing",
                format!(
                    "has {groups} queue groups for {} subscribers; each group needs one",
                    self.subscribers
                ),
            ),
            _ => Ok(()),
        }
    }

    fn check_exchange(&self) -> Result<(), ScenarioError> {
        let Exchange::Request { in_flight } = self.exchange else {
            return Ok(());
        };
        within("in_flight", in_flight, 1, IN_FLIGHT_MAX)?;
        if self.subscribers == 0 {
            return fault(
                "subscribers",
                "is 0, but requests need somebody who answers",
            );
        }
        let answers = super::subjects::deliveries(self);
        match answers {
            1 => Ok(()),
            _ => fault(
                "sharing",
                format!(
                    "lets {answers} subscribers answer each request; use `groups = 1` or `dealt`"
                ),
            ),
        }
    }

    fn check_subjects(&self) -> Result<(), ScenarioError> {
        let subjects = &self.subjects;
        within("subjects.count", subjects.count, 1, SUBJECTS_MAX)?;
        within("subjects.depth", subjects.depth, 1, DEPTH_MAX)?;
        range("subjects.wildcard_share", subjects.wildcard_share, 0.0, 1.0)?;
        if subjects.wildcard_share > 0.0 && subjects.depth < 2 {
            return fault(
                "subjects.wildcard_share",
                "needs subjects of at least two tokens (`depth`)",
            );
        }
        match subjects.pick {
            Pick::Zipf { exponent } => range("subjects.pick.exponent", exponent, 0.01, 10.0),
            Pick::InTurn | Pick::Own | Pick::Uniform => Ok(()),
        }
    }

    fn check_size(&self) -> Result<(), ScenarioError> {
        match &self.size {
            Size::Between(first, last) if first > last => {
                return fault(
                    "size",
                    format!("goes from {first} down to {last}; turn it round"),
                );
            }
            Size::Mix(shares) => {
                for share in shares {
                    range("size.weight", share.weight, 0.0, 1e12)?;
                }
                if !shares.iter().any(|share| share.weight > 0.0) {
                    return fault(
                        "size",
                        "is a mix without any weight; give at least one length a weight",
                    );
                }
            }
            Size::Fixed(_) | Size::Between(..) => {}
        }
        within("size", self.size.greatest(), 0, PAYLOAD_BYTES_MAX)?;
        let (least, needed) = (
            self.size.least(),
            u32::try_from(stamp::LENGTH).unwrap_or(16),
        );
        match (self.verify, self.latency) {
            (false, false) => Ok(()),
            _ if least >= needed => Ok(()),
            (true, _) => fault(
                "size",
                format!(
                    "has payloads of {least} bytes, too short for the {needed} that order and checksum take; make them longer or turn `verify` and `latency` off"
                ),
            ),
            (false, true) => fault(
                "size",
                format!(
                    "has payloads of {least} bytes, too short for the {needed} that a time takes; make them longer or turn `latency` off"
                ),
            ),
        }
    }

    fn check_pace(&self) -> Result<(), ScenarioError> {
        if let Rate::PerSecond(rate) = self.rate {
            range("rate", rate, 1e-3, 1e9)?;
        }
        match self.length {
            Length::Seconds(seconds) => range("length", seconds, 1e-3, 86_400.0)?,
            Length::Messages(messages) if !(1..=MESSAGES_MAX).contains(&messages) => {
                return fault(
                    "length",
                    format!("is {messages} messages; it can be 1 to {MESSAGES_MAX}"),
                );
            }
            Length::Messages(_) => {}
        }
        range("warm_up_s", self.warm_up_s, 0.0, 3600.0)?;
        range("churn_per_s", self.churn_per_s, 0.0, 1e6)
    }

    /// What would not fit into the generator's memory.
    fn check_bulk(&self) -> Result<(), ScenarioError> {
        let (publishers, subscribers) = (u64::from(self.publishers), u64::from(self.subscribers));
        if self.verify && publishers * subscribers > TRACKS_MAX {
            return fault(
                "verify",
                format!(
                    "would have to follow {publishers} publishers at each of {subscribers} subscribers; that is \
                     possible up to {TRACKS_MAX} pairs. Use fewer connections, or turn `verify` and count only"
                ),
            );
        }
        let holders = match self.sharing {
            Sharing::Dealt => 1,
            Sharing::All | Sharing::Groups(_) => subscribers,
        };
        // Wildcards only make it less; a scenario of this many subjects should say so with a share of 1.
        let subscriptions = u64::from(self.subjects.count) * holders;
        match subscriptions > SUBSCRIPTIONS_MAX && self.subjects.wildcard_share < 1.0 {
            true => fault(
                "subjects.count",
                format!(
                    "makes {subscriptions} subscriptions; at most {SUBSCRIPTIONS_MAX} are possible. Use fewer subjects or \
                     subscribers, `dealt` sharing, or `wildcard_share = 1`"
                ),
            ),
            false => Ok(()),
        }
    }
}

fn within(field: &'static str, value: u32, least: u32, greatest: u32) -> Result<(), ScenarioError> {
    match (least..=greatest).contains(&value) {
        true => Ok(()),
        false => fault(
            field,
            format!("is {value}; it can be {least} to {greatest}"),
        ),
    }
}

/// Refuses what is not a number as well.
fn range(field: &'static str, value: f64, least: f64, greatest: f64) -> Result<(), ScenarioError> {
    match (least..=greatest).contains(&value) {
        true => Ok(()),
        false => fault(
            field,
            format!("is {value}; it can be {least} to {greatest}"),
        ),
    }
}

fn fault(field: &'static str, fault: impl Into<String>) -> Result<(), ScenarioError> {
    Err(ScenarioError {
        field,
        fault: fault.into(),
    })
}

/// The stamp has 16 bits for the publisher.
const PUBLISHERS_MAX: u32 = 65_535;
const CONNECTIONS_MAX: u32 = 1_000_000;
const IN_FLIGHT_MAX: u32 = 100_000;
const SUBJECTS_MAX: u32 = 10_000_000;
const DEPTH_MAX: u32 = 16;
/// The largest that `nats-server` can be told to take.
const PAYLOAD_BYTES_MAX: u32 = 64 << 20;
const MESSAGES_MAX: u64 = 1_000_000_000_000;
/// 16 to 40 bytes each.
const TRACKS_MAX: u64 = 1 << 26;
const SUBSCRIPTIONS_MAX: u64 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::super::{Share, Subjects};
    use super::*;

    #[test]
    fn the_default_is_in_order() {
        assert_eq!(Scenario::default().check(), Ok(()));
    }

    /// Changes one thing of the default and looks at which field is blamed.
    fn blamed(change: impl FnOnce(&mut Scenario)) -> &'static str {
        let mut scenario = Scenario::default();
        change(&mut scenario);
        let error = scenario.check().expect_err("it is out of order");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("`{}` ", error.field)) && text.len() > 20,
            "{text}"
        );
        error.field
    }

    #[test]
    fn each_fault_names_its_field() {
        assert_eq!(blamed(|s| s.name = "a/b".to_owned()), "name");
        assert_eq!(blamed(|s| s.name.clear()), "name");
        assert_eq!(blamed(|s| s.publishers = 0), "publishers");
        assert_eq!(blamed(|s| s.publishers = 65_536), "publishers");
        assert_eq!(blamed(|s| s.sharing = Sharing::Groups(2)), "sharing");
        assert_eq!(blamed(|s| s.sharing = Sharing::Groups(0)), "sharing");
        assert_eq!(blamed(|s| s.subjects.count = 0), "subjects.count");
        assert_eq!(
            blamed(|s| s.subjects.wildcard_share = f64::NAN),
            "subjects.wildcard_share"
        );
        assert_eq!(
            blamed(|s| s.subjects.pick = Pick::Zipf { exponent: 0.0 }),
            "subjects.pick.exponent"
        );
        assert_eq!(blamed(|s| s.size = Size::Fixed(15)), "size");
        assert_eq!(blamed(|s| s.size = Size::Between(30, 20)), "size");
        assert_eq!(blamed(|s| s.size = Size::Mix(Vec::new())), "size");
        let share = Share {
            bytes: 20,
            weight: -1.0,
        };
        assert_eq!(blamed(|s| s.size = Size::Mix(vec![share])), "size.weight");
        assert_eq!(blamed(|s| s.rate = Rate::PerSecond(0.0)), "rate");
        assert_eq!(
            blamed(|s| s.length = Length::Seconds(f64::INFINITY)),
            "length"
        );
        assert_eq!(blamed(|s| s.length = Length::Messages(0)), "length");
        assert_eq!(blamed(|s| s.warm_up_s = -1.0), "warm_up_s");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let request = Exchange::Request { in_flight: 1 };
        assert_eq!(
            blamed(|s| (s.exchange, s.subscribers) = (request, 0)),
            "subscribers"
        );
        assert_eq!(
            blamed(|s| (s.exchange, s.subscribers) = (request, 2)),
            "sharing"
        );
        assert_eq!(
            blamed(|s| s.exchange = Exchange::Request { in_flight: 0 }),
            "in_flight"
        );
        let flat = Subjects {
            depth: 1,
            wildcard_share: 0.5,
            ..Subjects::default()
        };
        assert_eq!(blamed(|s| s.subjects = flat), "subjects.wildcard_share");
        assert_eq!(
            blamed(|s| (s.publishers, s.subscribers) = (60_000, 60_000)),
            "verify"
        );
        assert_eq!(
            blamed(|s| (s.subjects.count, s.subscribers) = (1_000_000, 100)),
            "subjects.count"
        );
    }

    #[test]
    fn short_payloads_are_fine_when_nothing_is_looked_at() {
        let scenario = Scenario {
            size: Size::Fixed(0),
            verify: false,
            latency: false,
            ..Scenario::default()
        };
        assert_eq!(scenario.check(), Ok(()));
    }
}
