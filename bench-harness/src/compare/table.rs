//! A comparison as text for a terminal: what each server did, and below it the ratios to the first one.

use super::ratios::throughput;
use crate::columns::{Row, align, row};
use crate::record::{Case, Comparison, Ratios, Record, Spread};
use crate::report::quantity;
use crate::scenario::Rate;

/// The whole result, ready to be printed.
pub fn text(comparison: &Comparison) -> String {
    let first = comparison.servers.first().map_or("", String::as_str);
    let machine = &comparison.machine;
    let mut text = format!(
        "{}: {}, {} processors, {}\n",
        comparison.servers.join(" | "),
        machine.processor,
        machine.processors,
        machine.kernel
    );
    for case in &comparison.cases {
        text += &one_case(case, &comparison.servers);
    }
    if comparison.cases.iter().any(|case| !case.ratios.is_empty()) {
        text += &format!(
            "\nRatios: median (least–greatest) of the pairs; above 1, {first} is better.\n"
        );
    }
    for warning in &comparison.warnings {
        text += &format!("warning: {warning}\n");
    }
    text
}

fn one_case(case: &Case, servers: &[String]) -> String {
    let load = match case.scenario.rate {
        Rate::Saturate => "at saturation".to_owned(),
        Rate::PerSecond(rate) => format!("at {}", quantity::rate(rate)),
    };
    let rounds = quantity::counted(case.rounds.len(), "round");
    let mut rows = vec![row([
        "",
        "throughput",
        "server CPU/msg",
        "p50",
        "p99",
        "memory",
    ])];
    for server in servers {
        rows.extend(figures(case, server));
        if let Some(ratios) = case.ratios.get(server) {
            rows.push(ratio_row(ratios));
        }
    }
    let notes: String = servers
        .iter()
        .filter_map(|server| note(case, server))
        .collect();
    format!(
        "\n{}, {load}, {rounds}\n{}{notes}",
        case.scenario.name,
        align(&rows, "  ")
    )
}

/// What the runs of one server warn of: the first of it, because it is much the same in every run.
fn note(case: &Case, server: &str) -> Option<String> {
    let records = of(case, server);
    let warned: Vec<&String> = records
        .iter()
        .filter_map(|record| record.warnings.first())
        .collect();
    Some(format!(
        "  warning: {server}, {} of {}: {}\n",
        warned.len(),
        quantity::counted(records.len(), "run"),
        warned.first()?
    ))
}

fn of<'a>(case: &'a Case, server: &str) -> Vec<&'a Record> {
    case.rounds
        .iter()
        .flat_map(|round| &round.records)
        .filter(|record| record.server.name == *server)
        .collect()
}

/// The medians of one server, if it took part.
fn figures(case: &Case, server: &str) -> Option<Row> {
    let records = of(case, server);
    if records.is_empty() {
        return None;
    }
    let median = |figure: fn(&Record) -> Option<f64>, show: fn(f64) -> String| {
        let each: Vec<f64> = records.iter().filter_map(|record| figure(record)).collect();
        Spread::of(&each).map_or_else(|| quantity::ABSENT.to_owned(), |spread| show(spread.median))
    };
    Some(vec![
        server.to_owned(),
        median(throughput, quantity::rate),
        median(
            |record| Some(record.server_cost?.ns_per_message),
            quantity::time,
        ),
        median(
            |record| Some(record.latency.as_ref()?.corrected.p50_ns as f64),
            quantity::time,
        ),
        median(
            |record| Some(record.latency.as_ref()?.corrected.p99_ns as f64),
            quantity::time,
        ),
        median(
            |record| Some(record.server_cost?.memory_peak_bytes as f64),
            quantity::bytes,
        ),
    ])
}

fn ratio_row(ratios: &Ratios) -> Row {
    let show = |spread: &Option<Spread>| {
        spread
            .as_ref()
            .map_or_else(|| quantity::ABSENT.to_owned(), quantity::ratio)
    };
    vec![
        "  ratio".to_owned(),
        show(&ratios.delivered_per_s),
        show(&ratios.server_ns_per_message),
        show(&ratios.p50),
        show(&ratios.p99),
        show(&ratios.memory_peak),
    ]
}
