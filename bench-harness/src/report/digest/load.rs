//! A scenario in words: short for a table, and as a list of its parts.

use super::Case;
use crate::report::quantity::{bytes, count, counted, rate, seconds};
use crate::scenario::{Exchange, Length, Pick, Rate, Scenario, Sharing, Size};

impl Case<'_> {
    /// `fan-out-8 at 200 k/s`: tells the case apart from the same scenario under another load.
    pub(in crate::report) fn title(&self) -> String {
        match self.scenario.rate {
            Rate::Saturate => format!("{} at saturation", self.scenario.name),
            Rate::PerSecond(_) => format!("{} at {}", self.scenario.name, self.pace()),
        }
    }

    /// `saturation`, or the offered rate.
    pub(in crate::report) fn pace(&self) -> String {
        match self.scenario.rate {
            Rate::Saturate => "saturation".to_owned(),
            Rate::PerSecond(per_s) => rate(per_s),
        }
    }

    /// `1 → 8, 128 B`.
    pub(in crate::report) fn shape(&self) -> String {
        let scenario = self.scenario;
        let mut text = format!(
            "{} → {}, {}",
            count(scenario.publishers.into()),
            count(scenario.subscribers.into()),
            size(&scenario.size)
        );
        if let Exchange::Request { .. } = scenario.exchange {
            text.push_str(", requests");
        }
        if scenario.idle_connections > 0 {
            text.push_str(&format!(
                ", {} idle",
                count(scenario.idle_connections.into())
            ));
        }
        text
    }

    /// Everything about the load, as names and values.
    pub(in crate::report) fn parameters(&self) -> Vec<(&'static str, String)> {
        let scenario = self.scenario;
        let mut list = vec![
            ("Publishers", count(scenario.publishers.into())),
            ("Subscribers", subscribers(scenario)),
            ("Exchange", exchange(scenario.exchange)),
            ("Subjects", subjects(scenario)),
            ("Payload", size(&scenario.size)),
            ("Offered", self.pace()),
            ("Length", length(scenario)),
        ];
        if scenario.churn_per_s > 0.0 {
            list.push(("Subscription changes", rate(scenario.churn_per_s)));
        }
        if scenario.idle_connections > 0 {
            list.push(("Idle connections", count(scenario.idle_connections.into())));
        }
        let checked = match scenario.verify {
            true => "counted; order and checksum looked at",
            false => "counted only",
        };
        list.push(("Deliveries", checked.to_owned()));
        list
    }
}

fn subscribers(scenario: &Scenario) -> String {
    let number = count(scenario.subscribers.into());
    match scenario.sharing {
        _ if scenario.subscribers == 0 => number,
        Sharing::All => format!("{number}, each gets all"),
        Sharing::Dealt => format!("{number}, subjects dealt out"),
        Sharing::Groups(groups) => {
            format!("{number} in {}", counted(groups as usize, "queue group"))
        }
    }
}

fn exchange(exchange: Exchange) -> String {
    match exchange {
        Exchange::Publish => "one way".to_owned(),
        Exchange::Request { in_flight } => {
            format!(
                "requests, {} of each publisher in flight",
                count(in_flight.into())
            )
        }
    }
}

fn subjects(scenario: &Scenario) -> String {
    let subjects = &scenario.subjects;
    let pick = match subjects.pick {
        Pick::InTurn => "in turn".to_owned(),
        Pick::Own => "each publisher its own".to_owned(),
        Pick::Uniform => "uniform".to_owned(),
        Pick::Zipf { exponent } => format!("Zipf {exponent}"),
    };
    let mut text = format!(
        "{} with {}",
        count(subjects.count.into()),
        counted(subjects.depth as usize, "token")
    );
    if subjects.count > 1 {
        text.push_str(&format!(", {pick}"));
    }
    if subjects.wildcard_share > 0.0 {
        let percent = (subjects.wildcard_share * 100.0).round();
        text.push_str(&format!(", {percent} % of subscriptions wildcards"));
    }
    text
}

fn size(size: &Size) -> String {
    match size {
        Size::Fixed(fixed) => bytes(f64::from(*fixed)),
        Size::Between(least, most) => {
            format!("{}–{}", bytes(f64::from(*least)), bytes(f64::from(*most)))
        }
        Size::Mix(shares) => match shares.iter().map(|share| share.bytes).max() {
            Some(most) => format!("mix up to {}", bytes(f64::from(most))),
            None => "empty mix".to_owned(),
        },
    }
}

fn length(scenario: &Scenario) -> String {
    let length = match scenario.length {
        Length::Seconds(length) => seconds(length),
        Length::Messages(messages) => format!("{} messages", count(messages)),
    };
    format!("{length} after {} of warm-up", seconds(scenario.warm_up_s))
}
