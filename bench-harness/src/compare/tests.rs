//! The comparison with servers that only exist here.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::record::{GeneratorCost, ServerCost, ServerIdentity, Traffic, Verdict};
use crate::scenario::{Exchange, Sharing};
use crate::server::{Ability, ServerTable};

/// Answers from a table and remembers who was asked for what.
struct Fake<'a> {
    /// Messages a second that each server takes, and nanoseconds that each message costs it.
    strength: &'a [(&'a str, f64, f64)],
    failing: Option<(&'a str, usize)>,
    losing: Option<&'a str>,
    stop_after: Option<(usize, &'a AtomicBool)>,
    asked: Vec<(String, Option<f64>, usize)>,
}

impl<'a> Fake<'a> {
    fn new(strength: &'a [(&'a str, f64, f64)]) -> Fake<'a> {
        Fake {
            strength,
            failing: None,
            losing: None,
            stop_after: None,
            asked: Vec::new(),
        }
    }

    fn order(&self) -> String {
        self.asked
            .iter()
            .map(|(name, ..)| &name[..1])
            .collect::<String>()
    }
}

impl Runner for Fake<'_> {
    fn run(
        &mut self,
        server: &Server,
        scenario: &Scenario,
        place: Place,
    ) -> Result<Record, String> {
        let rate = match scenario.rate {
            Rate::Saturate => None,
            Rate::PerSecond(rate) => Some(rate),
        };
        self.asked.push((server.name.clone(), rate, place.round));
        if self.failing == Some((server.name.as_str(), place.round)) {
            return Err("it fell over".to_owned());
        }
        if let Some((runs, stop)) = self.stop_after
            && self.asked.len() == runs
        {
            stop.store(true, Ordering::Relaxed);
        }
        let (_, most_per_s, ns) = self
            .strength
            .iter()
            .find(|(name, ..)| *name == server.name)
            .unwrap();
        let mut record = record(scenario, &server.name, rate.unwrap_or(*most_per_s), *ns);
        if self.losing == Some(&server.name) {
            record.verdict.lost = 12;
        }
        Ok(record)
    }
}

fn record(scenario: &Scenario, name: &str, messages_per_s: f64, ns_per_message: f64) -> Record {
    let traffic = Traffic {
        messages: 1,
        payload_bytes: 1,
        messages_per_s,
    };
    Record {
        schema: SCHEMA,
        started: String::new(),
        machine: Machine::here(),
        server: ServerIdentity {
            name: name.to_owned(),
            version: String::new(),
            address: String::new(),
            command: Vec::new(),
        },
        scenario: scenario.clone(),
        interrupted: false,
        measured_s: 1.0,
        published: traffic,
        delivered: traffic,
        latency: None,
        verdict: Verdict::default(),
        server_cost: Some(ServerCost {
            user_ns: 0,
            system_ns: 0,
            ns_per_message,
            memory_before_bytes: 1,
            memory_peak_bytes: 1,
            voluntary_switches: 0,
            involuntary_switches: 0,
            system_calls_per_message: None,
            bytes_per_receive: None,
            bytes_per_send: None,
        }),
        generator_cost: GeneratorCost {
            threads: 1,
            user_ns: 0,
            system_ns: 0,
            ns_per_message: 0.0,
            busiest_thread: 0.0,
            was_bottleneck: false,
        },
        warnings: Vec::new(),
    }
}

fn plan(names: &[&str], rounds: usize, at: &[At]) -> Plan {
    let table = ServerTable::built_in();
    Plan {
        servers: names
            .iter()
            .map(|name| table.named(name).unwrap().clone())
            .collect(),
        scenarios: vec![Scenario::default()],
        rounds,
        at: at.to_vec(),
    }
}

fn compared(plan: &Plan, fake: &mut Fake<'_>) -> Compared {
    compare(plan, String::new(), fake, &AtomicBool::new(false))
}

const PAIR: [(&str, f64, f64); 2] = [
    ("trunkline", 3_000_000.0, 50.0),
    ("nats-server", 1_000_000.0, 200.0),
];

#[test]
fn turns_are_a_b_b_a_and_the_rate_is_half_of_the_slowest() {
    let mut fake = Fake::new(&PAIR);
    let plan = plan(
        &["trunkline", "nats-server"],
        3,
        &[At::Saturation, At::Rate],
    );
    let compared = compared(&plan, &mut fake);
    assert_eq!(fake.order(), "tnnttntnnttn");
    let rates: Vec<_> = fake.asked.iter().map(|(_, rate, _)| *rate).collect();
    assert_eq!(rates[..6], [None; 6]);
    assert_eq!(rates[6..], [Some(500_000.0); 6]);
    assert!(compared.is_sound);
    let [saturation, rate] = &compared.comparison.cases[..] else {
        panic!("two cases");
    };
    let ratios = &saturation.ratios["nats-server"];
    assert_eq!(ratios.delivered_per_s.unwrap().median, 3.0);
    assert_eq!(ratios.server_ns_per_message.unwrap().median, 4.0);
    assert_eq!(ratios.p99, None);
    assert_eq!(
        rate.ratios["nats-server"].delivered_per_s.unwrap().median,
        1.0
    );
}

#[test]
fn without_saturation_one_run_of_each_finds_the_rate() {
    let mut fake = Fake::new(&PAIR);
    let plan = plan(&["trunkline", "nats-server"], 1, &[At::Rate]);
    let compared = compared(&plan, &mut fake);
    assert_eq!(fake.order(), "tntn");
    assert_eq!(fake.asked[0].2, 0);
    assert_eq!(
        fake.asked[3],
        ("nats-server".to_owned(), Some(500_000.0), 1)
    );
    assert_eq!(compared.comparison.cases.len(), 1);
    assert!(compared.comparison.warnings[0].starts_with("fewer than 5 pairs"));
}

#[test]
fn a_scenario_with_a_rate_of_its_own_is_run_at_that_only() {
    let mut fake = Fake::new(&PAIR);
    let mut plan = plan(
        &["trunkline", "nats-server"],
        1,
        &[At::Saturation, At::Rate],
    );
    plan.scenarios[0].rate = Rate::PerSecond(10.0);
    compared(&plan, &mut fake);
    let rates: Vec<_> = fake.asked.iter().map(|(_, rate, _)| *rate).collect();
    assert_eq!(rates, [Some(10.0), Some(10.0)]);
}

#[test]
fn a_server_that_cannot_do_a_scenario_is_left_out_with_a_sentence() {
    let mut fake = Fake::new(&PAIR);
    let mut plan = plan(&["trunkline", "redis", "nats-server"], 1, &[At::Saturation]);
    plan.scenarios[0].sharing = Sharing::Groups(1);
    let compared = compared(&plan, &mut fake);
    assert_eq!(fake.order(), "tn");
    let warning = "one-to-one: redis has no queue groups and is left out".to_owned();
    assert!(compared.comparison.warnings.contains(&warning));
    plan.servers.pop();
    plan.scenarios[0].exchange = Exchange::Request { in_flight: 1 };
    plan.scenarios[0].sharing = Sharing::All;
    assert_eq!(
        plan.servers[1].lacks(&plan.scenarios[0]),
        Some(Ability::Requests)
    );
}

#[test]
fn a_server_that_fails_is_left_out_from_then_on() {
    let strength = [PAIR[0], PAIR[1], ("redis", 500_000.0, 300.0)];
    let mut fake = Fake::new(&strength);
    fake.failing = Some(("redis", 2));
    let plan = plan(&["trunkline", "nats-server", "redis"], 3, &[At::Saturation]);
    let compared = compared(&plan, &mut fake);
    assert_eq!(fake.order(), "tnrrnttn");
    assert!(compared.is_sound);
    let case = &compared.comparison.cases[0];
    assert_eq!(case.rounds.len(), 3);
    assert!(case.ratios.contains_key("nats-server") && !case.ratios.contains_key("redis"));
    let told = |text: &String| text.contains("redis failed and is left out: it fell over");
    assert!(compared.comparison.warnings.iter().any(told));
}

#[test]
fn when_the_first_server_fails_the_case_ends_and_the_comparison_is_not_sound() {
    let mut fake = Fake::new(&PAIR);
    fake.failing = Some(("trunkline", 2));
    let plan = plan(
        &["trunkline", "nats-server"],
        5,
        &[At::Saturation, At::Rate],
    );
    let compared = compared(&plan, &mut fake);
    assert!(!compared.is_sound);
    assert_eq!(fake.order(), "tnnt");
    assert_eq!(compared.comparison.cases[0].rounds.len(), 1);
}

#[test]
fn a_server_that_loses_messages_has_no_ratio() {
    for (losing, is_sound) in [("nats-server", true), ("trunkline", false)] {
        let mut fake = Fake::new(&PAIR);
        fake.losing = Some(losing);
        let plan = plan(&["trunkline", "nats-server"], 1, &[At::Saturation]);
        let compared = compared(&plan, &mut fake);
        assert_eq!(compared.is_sound, is_sound);
        assert!(compared.comparison.cases[0].ratios.is_empty());
        let told = |text: &String| text.contains("failed verification") && text.contains("12 lost");
        assert!(compared.comparison.warnings.iter().any(told));
    }
}

#[test]
fn what_is_complete_when_it_is_stopped_is_kept() {
    let stop = AtomicBool::new(false);
    let mut fake = Fake::new(&PAIR);
    // The stop comes during the first turn of the second round.
    fake.stop_after = Some((3, &stop));
    let plan = plan(
        &["trunkline", "nats-server"],
        5,
        &[At::Saturation, At::Rate],
    );
    let compared = compare(&plan, String::new(), &mut fake, &stop);
    assert_eq!(fake.order(), "tnn");
    assert_eq!(compared.comparison.cases.len(), 1);
    assert_eq!(compared.comparison.cases[0].rounds.len(), 1);
    assert!(
        compared
            .comparison
            .warnings
            .last()
            .unwrap()
            .starts_with("interrupted")
    );
}

#[test]
fn the_text_has_figures_and_ratios() {
    let mut fake = Fake::new(&PAIR);
    let plan = plan(&["trunkline", "nats-server"], 5, &[At::Saturation]);
    let text = text(&compared(&plan, &mut fake).comparison);
    assert!(
        text.contains("one-to-one, at saturation, 5 rounds"),
        "{text}"
    );
    assert!(
        text.contains("3.00 (3.00–3.00)  4.00 (4.00–4.00)"),
        "{text}"
    );
    assert!(text.contains("above 1, trunkline is better"), "{text}");
}

#[test]
fn the_text_repeats_what_the_runs_warn_of() {
    let mut fake = Fake::new(&PAIR);
    let plan = plan(&["trunkline", "nats-server"], 5, &[At::Saturation]);
    let mut comparison = compared(&plan, &mut fake).comparison;
    let slow = &mut comparison.cases[0].rounds[1].records[0];
    slow.warnings.push("the generator was slow".to_owned());
    let expected = format!("warning: {}, 1 of 5 runs: the generator", slow.server.name);
    let text = text(&comparison);
    assert!(text.contains(&expected), "{text}");
    assert_eq!(text.matches("warning").count(), 1, "{text}");
}
