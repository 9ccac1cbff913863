//! The Markdown page: tables for the summary of a CI job that also read well raw.
//!
//! Text from the files is escaped: it can neither break a table nor bring in markup.

use std::fmt::Write as _;

use super::digest::{Case, Part, Series};
use super::quantity::{ABSENT, bytes, rate, ratio, time};
use crate::record::{Ratios, Spread};

pub(super) fn page(parts: &[Part<'_>]) -> String {
    let parts: Vec<String> = parts.iter().map(part).collect();
    parts.join("\n")
}

fn part(part: &Part<'_>) -> String {
    let (good, outcome) = part.outcome();
    let mut page = format!("## {}\n\n", escaped(&part.heading));
    match good {
        true => page.push_str(&format!("{outcome}\n")),
        false => page.push_str(&format!("**{outcome}**\n")),
    }
    if !part.cases.is_empty() {
        page.push_str(&format!("\n{}", figures(part).text()));
    }
    let ratios = ratios(part);
    if !ratios.rows.is_empty() {
        page.push_str(&format!("\n{}", ratios.text()));
    }
    page.push_str(&facts(part));
    page
}

fn figures(part: &Part<'_>) -> Table {
    let mut table = Table::new(&[
        ("Case", Side::Left),
        ("Load", Side::Left),
        ("Offered", Side::Left),
        ("Server", Side::Left),
        ("Delivered", Side::Right),
        ("CPU/message", Side::Right),
        ("p50", Side::Right),
        ("p99", Side::Right),
        ("Verdict", Side::Left),
    ]);
    for case in &part.cases {
        for series in &case.series {
            table.rows.push(figures_row(case, series));
        }
    }
    table
}

fn figures_row(case: &Case<'_>, series: &Series<'_>) -> Vec<String> {
    let median = |spread: Option<Spread>, unit: fn(f64) -> String| {
        spread.map_or_else(|| ABSENT.to_owned(), |spread| unit(spread.median))
    };
    vec![
        escaped(&case.scenario.name),
        case.shape(),
        case.pace(),
        escaped(&series.label),
        median(series.delivered_per_s(), rate),
        median(series.server_ns_per_message(), time),
        median(series.p50_ns(), time),
        median(series.p99_ns(), time),
        verdict(series),
    ]
}

fn verdict(series: &Series<'_>) -> String {
    let standing = series.standing();
    match standing.failed() {
        true => format!("**{standing}**"),
        false => standing.to_string(),
    }
}

fn ratios(part: &Part<'_>) -> Table {
    let against = format!("Against {}", escaped(part.reference.unwrap_or_default()));
    let mut table = Table::new(&[
        ("Case", Side::Left),
        ("Offered", Side::Left),
        (&against, Side::Left),
        ("Throughput", Side::Right),
        ("CPU", Side::Right),
        ("p50", Side::Right),
        ("p99", Side::Right),
        ("Peak memory", Side::Right),
    ]);
    for case in &part.cases {
        for series in &case.series {
            if let Some(ratios) = series.ratios {
                table.rows.push(ratios_row(case, series, ratios));
            }
        }
    }
    table
}

fn ratios_row(case: &Case<'_>, series: &Series<'_>, ratios: &Ratios) -> Vec<String> {
    let cell = |spread: &Option<Spread>| spread.as_ref().map_or_else(|| ABSENT.to_owned(), ratio);
    vec![
        escaped(&case.scenario.name),
        case.pace(),
        escaped(&series.label),
        cell(&ratios.delivered_per_s),
        cell(&ratios.server_ns_per_message),
        cell(&ratios.p50),
        cell(&ratios.p99),
        cell(&ratios.memory_peak),
    ]
}

fn facts(part: &Part<'_>) -> String {
    let mut list = String::from("\n");
    for machine in &part.machines {
        let _ = writeln!(
            list,
            "- Machine: {}, {}, {}, {}",
            escaped(&machine.processor),
            super::quantity::counted(machine.processors as usize, "processor"),
            bytes(machine.memory_bytes as f64),
            escaped(&machine.kernel)
        );
    }
    for server in &part.servers {
        let (name, version) = (escaped(&server.name), escaped(&server.version));
        let _ = writeln!(list, "- Server {name}: {version}");
    }
    if !part.started.is_empty() {
        let _ = writeln!(list, "- Started: {}", escaped(&part.started.join(", ")));
    }
    if let Some(method) = part.method() {
        let _ = writeln!(list, "- Method: {}", escaped(&method));
    }
    if !part.warnings.is_empty() {
        list.push_str("\nWarnings:\n\n");
    }
    for warning in &part.warnings {
        let _ = writeln!(list, "- {}", escaped(warning));
    }
    list
}

/// Cells padded to the width of their column.
struct Table {
    head: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Table {
    fn new(head: &[(&str, Side)]) -> Table {
        Table {
            head: head
                .iter()
                .map(|(name, side)| ((*name).to_owned(), *side))
                .collect(),
            rows: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let names: Vec<String> = self.head.iter().map(|(name, _)| name.clone()).collect();
        let widths: Vec<usize> = (0..names.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| &row[column]);
                let widths = cells
                    .chain([&names[column]])
                    .map(|cell| cell.chars().count());
                widths.max().unwrap_or(0).max(RULE_LEAST)
            })
            .collect();
        let mut text = self.line(&names, &widths);
        let rule: Vec<String> = self
            .head
            .iter()
            .zip(&widths)
            .map(|((_, side), width)| match side {
                Side::Left => "-".repeat(*width),
                Side::Right => format!("{}:", "-".repeat(width - 1)),
            })
            .collect();
        text.push_str(&self.line(&rule, &widths));
        for row in &self.rows {
            text.push_str(&self.line(row, &widths));
        }
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::from("|");
        for ((cell, width), (_, side)) in cells.iter().zip(widths).zip(&self.head) {
            let _ = match side {
                Side::Left => write!(line, " {cell:<width$} |"),
                Side::Right => write!(line, " {cell:>width$} |"),
            };
        }
        line.push('\n');
        line
    }
}

/// Dashes that a rule under a heading needs at least.
const RULE_LEAST: usize = 3;

/// As plain text: what Markdown or HTML would read as markup gets a backslash or an entity, and a line break is a space.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            // Within a word it is no emphasis, and names are full of it.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => safe.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
        before = character;
    }
    safe.truncate(safe.trim_end().len());
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        assert_eq!(escaped("a|b\nc"), "a\\|b c");
        assert_eq!(escaped("<script>&"), "&lt;script&gt;&amp;");
        assert_eq!(escaped("one_to_one _not_"), "one_to_one \\_not\\_");
        assert_eq!(escaped("[x](y) `z` *w*"), "\\[x\\](y) \\`z\\` \\*w\\*");
    }

    #[test]
    fn columns_line_up_by_characters_and_not_by_bytes() {
        let mut table = Table::new(&[("Name", Side::Left), ("p50", Side::Right)]);
        table.rows.push(vec!["a".to_owned(), "310 µs".to_owned()]);
        table
            .rows
            .push(vec!["longer".to_owned(), "2 ms".to_owned()]);
        let expected = "\
| Name   |    p50 |
| ------ | -----: |
| a      | 310 µs |
| longer |   2 ms |
";
        assert_eq!(table.text(), expected);
    }
}
