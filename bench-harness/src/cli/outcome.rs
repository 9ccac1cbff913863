//! The result of a run as text for a terminal.

use crate::columns::{Row, align, row};
use crate::record::{Distribution, GeneratorCost, Latency, Record, ServerCost, Traffic};
use crate::report::quantity::{bytes, count, plain, rate, seconds, time};
use crate::scenario::Exchange;

/// The whole result, with `pid` the process whose cost is shown.
pub(super) fn text(record: &Record, pid: Option<u32>) -> String {
    let mut text = head(record, pid);
    text += &traffic(record);
    if let Some(latency) = &record.latency {
        text.push('\n');
        text += &delays(record, latency);
    }
    text.push('\n');
    text += &format!("  verified    {}\n", verdict(record));
    if let Some(cost) = &record.server_cost {
        text += &server(record, cost);
    }
    text += &generator(record, &record.generator_cost);
    for warning in &record.warnings {
        text += &format!("  warning: {warning}\n");
    }
    text
}

fn head(record: &Record, pid: Option<u32>) -> String {
    let scenario = &record.scenario;
    let about = if scenario.about.is_empty() {
        String::new()
    } else {
        format!(": {}", scenario.about)
    };
    let pid = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let interrupted = if record.interrupted {
        ", interrupted"
    } else {
        ""
    };
    format!(
        "{}{about}\n{} at {}{pid}, measured {}{interrupted}\n\n",
        scenario.name,
        record.server.version,
        record.server.address,
        seconds(record.measured_s)
    )
}

fn traffic(record: &Record) -> String {
    let names = match record.scenario.exchange {
        Exchange::Publish => ["published", "delivered"],
        Exchange::Request { .. } => ["requested", "answered"],
    };
    let line = |name: &str, traffic: &Traffic| -> Row {
        let bytes_per_s = if record.measured_s > 0.0 {
            traffic.payload_bytes as f64 / record.measured_s
        } else {
            0.0
        };
        vec![
            format!("{name:<10}"),
            count(traffic.messages),
            rate(traffic.messages_per_s),
            format!("{}/s", bytes(bytes_per_s)),
        ]
    };
    align(
        &[
            row(["", "messages", "rate", "payload"]),
            line(names[0], &record.published),
            line(names[1], &record.delivered),
        ],
        "  ",
    )
}

fn delays(record: &Record, latency: &Latency) -> String {
    let title = match record.scenario.exchange {
        Exchange::Publish => "latency",
        Exchange::Request { .. } => "round trip",
    };
    let line = |name: &str, of: &Distribution| -> Row {
        let percentiles = [
            of.p50_ns,
            of.p90_ns,
            of.p99_ns,
            of.p999_ns,
            of.p9999_ns,
            of.max_ns,
        ];
        std::iter::once(format!("{name:<10}"))
            .chain(percentiles.iter().map(|&ns| time(ns as f64)))
            .collect()
    };
    let rows = [
        row([title, "p50", "p90", "p99", "p99.9", "p99.99", "max"]),
        line("corrected", &latency.corrected),
        line("service", &latency.service),
    ];
    align(&rows, "  ")
}

fn verdict(record: &Record) -> String {
    let expected = match record.scenario.exchange {
        Exchange::Publish => "deliveries",
        Exchange::Request { .. } => "answers",
    };
    if !record.verdict.is_clean() {
        return format!("FAILED: {}", record.verdict);
    }
    if record.scenario.subscribers == 0 {
        return "nobody subscribed, and nothing was delivered".to_owned();
    }
    let many = count(record.delivered.messages);
    if record.scenario.verify {
        format!("{many} {expected}: each once, in order, undamaged")
    } else {
        format!("{many} {expected} counted; order and content not looked at")
    }
}

fn server(record: &Record, cost: &ServerCost) -> String {
    let each = match record.scenario.exchange {
        Exchange::Publish => "per message in and out",
        Exchange::Request { .. } => "per round trip",
    };
    let mut text = format!(
        "  server      {} {each} (user {}, system {} in all)\n",
        time(cost.ns_per_message),
        time(cost.user_ns as f64),
        time(cost.system_ns as f64),
    );
    text += &format!(
        "              memory {} before, {} at the peak; context switches {} voluntary, {} not\n",
        bytes(cost.memory_before_bytes as f64),
        bytes(cost.memory_peak_bytes as f64),
        count(cost.voluntary_switches),
        count(cost.involuntary_switches),
    );
    if let Some(calls) = cost.system_calls_per_message {
        let moved = |bytes_each: Option<f64>, name: &str| {
            bytes_each.map_or_else(String::new, |each| format!(", {} a {name}", bytes(each)))
        };
        text += &format!(
            "              {} system calls per message{}{}\n",
            plain(calls),
            moved(cost.bytes_per_receive, "receive"),
            moved(cost.bytes_per_send, "send"),
        );
    }
    text
}

fn generator(record: &Record, cost: &GeneratorCost) -> String {
    let each = match record.scenario.exchange {
        Exchange::Publish => "per message",
        Exchange::Request { .. } => "per round trip",
    };
    let threads = match cost.threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    };
    format!(
        "  generator   {} {each}, {threads}, the busiest {:.0} % on a processor\n",
        time(cost.ns_per_message),
        cost.busiest_thread * 100.0
    )
}
