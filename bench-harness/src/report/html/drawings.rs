//! The figures of the page, with their captions and legends. A figure without data is left out.

use std::fmt::Write as _;

use super::Text;
use crate::record::Spread;
use crate::report::digest::{Case, Part, Series, latency_curve};
use crate::report::plot::{Bar, Bars, Curve, curves, swatch};
use crate::report::quantity::{bytes, rate, time};

/// What a group of bars shows.
struct Measure {
    id: &'static str,
    heading: &'static str,
    figure: &'static str,
    caption: &'static str,
    unit: fn(f64) -> String,
    value: fn(&Series<'_>) -> Option<Spread>,
}

const MEASURES: [Measure; 3] = [
    Measure {
        id: "throughput",
        heading: "Throughput",
        figure: "delivered messages a second",
        caption: "Delivered messages a second; longer is better. At an offered rate, it shows whether the server kept up.",
        unit: rate,
        value: |series| series.delivered_per_s(),
    },
    Measure {
        id: "cpu",
        heading: "CPU per message",
        figure: "CPU time of the server for each message",
        caption: "CPU time of the server, user and system, for each message in and out (for requests, each round trip); shorter is better.",
        unit: time,
        value: |series| series.server_ns_per_message(),
    },
    Measure {
        id: "memory",
        heading: "Memory per idle connection",
        figure: "memory of the server for each idle connection",
        caption: "What the server's memory grew by at its peak, shared out over the idle connections; shorter is better.",
        unit: bytes,
        value: |series| series.memory_per_connection_bytes(),
    },
];

/// Bars of all cases, a measure after the other.
pub(super) fn overview(number: usize, part: &Part<'_>) -> String {
    MEASURES
        .iter()
        .map(|measure| measure.figure(number, part))
        .collect()
}

impl Measure {
    fn figure(&self, number: usize, part: &Part<'_>) -> String {
        let mut panels = String::new();
        for (index, case) in (1..).zip(&part.cases) {
            let value_of = |series: &Series<'_>| (self.value)(series);
            if case.series.iter().all(|series| value_of(series).is_none()) {
                continue;
            }
            let bars = Bars {
                id: &format!("{}-{number}-{index}", self.id),
                heading: &case.title(),
                figure: self.figure,
                unit: self.unit,
                bars: case
                    .series
                    .iter()
                    .map(|series| Bar {
                        label: &series.label,
                        slot: series.slot,
                        value: value_of(series),
                    })
                    .collect(),
            };
            panels.push_str(&bars.svg());
        }
        if panels.is_empty() {
            return String::new();
        }
        let ranges = match part.cases.iter().any(Case::has_rounds) {
            true => " The bar is the median of the rounds, the thin line their range.",
            false => "",
        };
        format!(
            "<h3>{}</h3>\n<figure>\n<figcaption>{}{ranges} Each case has its own scale, from zero.</figcaption>\n\
             <div class=\"panels\">\n{panels}</div>\n</figure>\n",
            self.heading, self.caption
        )
    }
}

/// The curves of one case.
pub(super) fn delays(id: &str, case: &Case<'_>) -> String {
    let lines: Vec<Curve<'_>> = case
        .series
        .iter()
        .filter_map(|series| {
            Some(Curve {
                label: &series.label,
                slot: series.slot,
                corrected: latency_curve(series.corrected.as_ref()?),
                service: series
                    .service
                    .as_ref()
                    .map(latency_curve)
                    .unwrap_or_default(),
            })
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut legend = String::new();
    for line in &lines {
        let _ = writeln!(
            legend,
            "<li>{} {}</li>",
            swatch(line.slot),
            Text(line.label)
        );
    }
    let rounds = match case.has_rounds() {
        true => ", all rounds together",
        false => "",
    };
    format!(
        "<figure class=\"curves\">\n<figcaption>Delay by percentile{rounds}; lower is better. \
         Solid: corrected, from the time when the message was meant to be sent. Dashed: service time, from when it was written.\
         </figcaption>\n<ul class=\"legend\">\n{legend}</ul>\n{}</figure>\n",
        curves(&format!("curves-{id}"), &case.title(), &lines)
    )
}
