//! The tables of the page. Wide ones scroll within themselves, so that the page never does.

use std::fmt::Write as _;

use super::Text;
use crate::record::{Distribution, Latency, Record, ServerCost, Spread};
use crate::report::digest::{Case, Part, Series};
use crate::report::quantity::{ABSENT, bytes, plain, range, rate, ratio, time};

type Unit = fn(f64) -> String;

/// All cases and servers, as in the Markdown page.
pub(super) fn summary(part: &Part<'_>) -> String {
    let head = [
        "Load",
        "Server",
        "Delivered",
        "CPU per message",
        "p50",
        "p99",
        "Verdict",
    ];
    let mut table = Table::new("Summary", "Case", &head);
    for case in &part.cases {
        for (row, series) in case.series.iter().enumerate() {
            if row == 0 {
                table.begin_group(&case.title(), case.series.len());
                table.spanning(&case.shape(), case.series.len());
            } else {
                table.begin_row();
            }
            table.name(&series.label);
            table.figure(series.delivered_per_s(), rate);
            table.figure(series.server_ns_per_message(), time);
            table.figure(series.p50_ns(), time);
            table.figure(series.p99_ns(), time);
            table.verdict(series);
        }
    }
    table.finish()
}

pub(super) fn ratios(part: &Part<'_>) -> String {
    let caption = format!("Ratios against {}", part.reference.unwrap_or_default());
    let head = [
        "Server",
        "Throughput",
        "CPU per message",
        "p50",
        "p99",
        "Peak memory",
    ];
    let mut table = Table::new(&caption, "Case", &head);
    for case in &part.cases {
        let rows: Vec<_> = case
            .series
            .iter()
            .filter_map(|series| Some((series, series.ratios?)))
            .collect();
        for (row, (series, ratios)) in rows.iter().enumerate() {
            if row == 0 {
                table.begin_group(&case.title(), rows.len());
            } else {
                table.begin_row();
            }
            table.name(&series.label);
            table.ratio(ratios.delivered_per_s.as_ref());
            table.ratio(ratios.server_ns_per_message.as_ref());
            table.ratio(ratios.p50.as_ref());
            table.ratio(ratios.p99.as_ref());
            table.ratio(ratios.memory_peak.as_ref());
        }
    }
    table.finish()
}

fn caption(case: &Case<'_>, name: &str) -> String {
    match case.has_rounds() {
        true => format!("{name}, medians of the rounds"),
        false => name.to_owned(),
    }
}

/// One percentile of a distribution.
type Percentile = (&'static str, fn(&Distribution) -> f64);

const PERCENTILES: [Percentile; 8] = [
    ("min", |delays| delays.min_ns as f64),
    ("mean", |delays| delays.mean_ns),
    ("p50", |delays| delays.p50_ns as f64),
    ("p90", |delays| delays.p90_ns as f64),
    ("p99", |delays| delays.p99_ns as f64),
    ("p99.9", |delays| delays.p999_ns as f64),
    ("p99.99", |delays| delays.p9999_ns as f64),
    ("max", |delays| delays.max_ns as f64),
];

/// Both kinds of delay of every server in a case.
pub(super) fn delays(case: &Case<'_>) -> String {
    type Kind = (&'static str, fn(&Latency) -> &Distribution);
    const KINDS: [Kind; 2] = [
        ("corrected", |latency| &latency.corrected),
        ("service", |latency| &latency.service),
    ];
    let mut head = vec!["Delay"];
    head.extend(PERCENTILES.map(|(name, _)| name));
    let mut table = Table::new(&caption(case, "Delays"), "Server", &head);
    for series in &case.series {
        if series.runs.iter().all(|run| run.latency.is_none()) {
            continue;
        }
        for (row, (kind, delays)) in KINDS.iter().enumerate() {
            if row == 0 {
                table.begin_group(&series.label, KINDS.len());
            } else {
                table.begin_row();
            }
            table.name(kind);
            for (_, percentile) in PERCENTILES {
                let value = |run: &Record| Some(percentile(delays(run.latency.as_ref()?)));
                table.median(series.spread(value), time);
            }
        }
    }
    table.finish()
}

/// One figure of a run, with its unit.
type Cost = (&'static str, Unit, fn(&Record) -> Option<f64>);

const COSTS: [Cost; 13] = [
    ("CPU, user", time, |run| {
        per_message(run, |cost| cost.user_ns)
    }),
    ("CPU, system", time, |run| {
        per_message(run, |cost| cost.system_ns)
    }),
    ("Memory before", bytes, |run| {
        Some(run.server_cost?.memory_before_bytes as f64)
    }),
    ("Memory, peak", bytes, |run| {
        Some(run.server_cost?.memory_peak_bytes as f64)
    }),
    ("Voluntary switches", rate, |run| {
        per_second(run, |cost| cost.voluntary_switches)
    }),
    ("Involuntary switches", rate, |run| {
        per_second(run, |cost| cost.involuntary_switches)
    }),
    ("System calls per message", plain, |run| {
        run.server_cost?.system_calls_per_message
    }),
    ("Bytes per receive", bytes, |run| {
        run.server_cost?.bytes_per_receive
    }),
    ("Bytes per send", bytes, |run| {
        run.server_cost?.bytes_per_send
    }),
    ("Published", rate, |run| Some(run.published.messages_per_s)),
    ("Generator CPU per message", time, |run| {
        Some(run.generator_cost.ns_per_message)
    }),
    ("Generator threads", plain, |run| {
        Some(f64::from(run.generator_cost.threads))
    }),
    ("Busiest generator thread", percent, |run| {
        Some(run.generator_cost.busiest_thread)
    }),
];

/// What server and generator spent in a case; a row a figure, since there are more of them than servers.
pub(super) fn costs(case: &Case<'_>) -> String {
    let labels: Vec<&str> = case
        .series
        .iter()
        .map(|series| series.label.as_str())
        .collect();
    let mut table = Table::new(&caption(case, "Costs"), "Figure", &labels);
    for (name, unit, figure) in COSTS {
        let values: Vec<_> = case
            .series
            .iter()
            .map(|series| series.spread(figure))
            .collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        table.begin_group(name, 1);
        for value in values {
            table.median(value, unit);
        }
    }
    table.finish()
}

/// The server's whole time for a message, split as its user and system time are.
fn per_message(run: &Record, part: impl Fn(&ServerCost) -> u64) -> Option<f64> {
    let cost = run.server_cost?;
    let whole = cost.user_ns.saturating_add(cost.system_ns) as f64;
    let share = if whole > 0.0 {
        part(&cost) as f64 / whole
    } else {
        0.0
    };
    Some(cost.ns_per_message * share)
}

fn per_second(run: &Record, number: impl Fn(&ServerCost) -> u64) -> Option<f64> {
    let number = number(&run.server_cost?);
    (run.measured_s > 0.0).then(|| number as f64 / run.measured_s)
}

fn percent(share: f64) -> String {
    format!("{} %", plain(share * 100.0))
}

/// A table under way. A group is a body of its own, so that its first heading may span its rows.
struct Table {
    text: String,
    groups: usize,
    row_open: bool,
}

impl Table {
    fn new(caption: &str, first: &str, head: &[&str]) -> Table {
        let caption = Text(caption);
        let mut text = format!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n<table>\n\
             <caption>{caption}</caption>\n<thead>\n<tr><th scope=\"col\">{}</th>",
            Text(first)
        );
        for name in head {
            let _ = write!(text, "<th scope=\"col\">{}</th>", Text(name));
        }
        text.push_str("</tr>\n</thead>\n");
        Table {
            text,
            groups: 0,
            row_open: false,
        }
    }

    fn begin_group(&mut self, name: &str, rows: usize) {
        self.end_row();
        if self.groups > 0 {
            self.text.push_str("</tbody>\n");
        }
        self.groups += 1;
        self.row_open = true;
        let _ = match rows {
            1 => write!(
                self.text,
                "<tbody>\n<tr><th scope=\"row\">{}</th>",
                Text(name)
            ),
            _ => write!(
                self.text,
                "<tbody>\n<tr><th scope=\"rowgroup\" rowspan=\"{rows}\">{}</th>",
                Text(name)
            ),
        };
    }

    fn begin_row(&mut self) {
        self.end_row();
        self.row_open = true;
        self.text.push_str("<tr>");
    }

    fn end_row(&mut self) {
        if self.row_open {
            self.text.push_str("</tr>\n");
        }
        self.row_open = false;
    }

    /// Breaks at its commas only, so that numbers keep their units.
    fn spanning(&mut self, text: &str, rows: usize) {
        let unbroken = text.replace(' ', "\u{a0}").replace(",\u{a0}", ", ");
        let _ = write!(self.text, "<td rowspan=\"{rows}\">{}</td>", Text(&unbroken));
    }

    fn name(&mut self, text: &str) {
        let _ = write!(self.text, "<th scope=\"row\">{}</th>", Text(text));
    }

    fn number(&mut self, text: &str) {
        let _ = write!(self.text, "<td class=\"number\">{text}</td>");
    }

    fn median(&mut self, spread: Option<Spread>, unit: Unit) {
        let text = spread.map_or_else(|| ABSENT.to_owned(), |spread| unit(spread.median));
        self.number(&Text(&text).to_string());
    }

    /// With its range, where rounds differ.
    fn figure(&mut self, spread: Option<Spread>, unit: Unit) {
        match spread {
            // Nothing to see where both ends read the same.
            Some(spread) if unit(spread.least) != unit(spread.greatest) => self.number(&format!(
                "{} <span class=\"range\">{}</span>",
                Text(&unit(spread.median)),
                Text(&range(&unit(spread.least), &unit(spread.greatest)))
            )),
            other => self.median(other, unit),
        }
    }

    fn ratio(&mut self, spread: Option<&Spread>) {
        let text = spread.map_or_else(|| ABSENT.to_owned(), ratio);
        match text.split_once(' ') {
            Some((median, range)) => {
                self.number(&format!(
                    "{} <span class=\"range\">{}</span>",
                    Text(median),
                    Text(range)
                ));
            }
            None => self.number(&Text(&text).to_string()),
        }
    }

    fn verdict(&mut self, series: &Series<'_>) {
        let standing = series.standing();
        let class = match (standing.failed(), standing.doubtful()) {
            (true, _) => "bad",
            (_, true) => "doubtful",
            _ => "good",
        };
        let words = standing.to_string();
        let _ = write!(
            self.text,
            "<td class=\"verdict {class}\">{}</td>",
            Text(&words)
        );
    }

    /// Nothing, when it has no rows.
    fn finish(mut self) -> String {
        if self.groups == 0 {
            return String::new();
        }
        self.end_row();
        self.text.push_str("</tbody>\n</table>\n</div>\n");
        self.text
    }
}
