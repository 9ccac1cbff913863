//! The HTML page: one file with its style sheet and drawings inside, no script, nothing from elsewhere.
//!
//! All text from the files goes through [`Text`]. What a drawing shows stands in a table as well.

mod drawings;
mod tables;

use std::fmt::{self, Write as _};

use super::digest::{Case, Part};
use super::quantity::{bytes, counted};

pub(super) fn page(parts: &[Part<'_>]) -> String {
    let title = match parts {
        [only] => format!("Benchmark: {}", only.heading),
        _ => "Benchmark report".to_owned(),
    };
    let mut body = String::new();
    for (number, part) in (1..).zip(parts) {
        body.push_str(&section(number, part));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <header>\n<h1>Benchmark report</h1>\n</header>\n<main>\n{body}</main>\n\
         <footer>\n<p>Written by trunkline-bench {version}.</p>\n</footer>\n</body>\n</html>\n",
        title = Text(&title),
        style = include_str!("page.css"),
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// `number` keeps the identifiers of several parts apart.
fn section(number: usize, part: &Part<'_>) -> String {
    let (good, outcome) = part.outcome();
    let class = if good { "good" } else { "bad" };
    let mut text = format!(
        "<section aria-labelledby=\"part-{number}\">\n<h2 id=\"part-{number}\">{}</h2>\n\
         <p class=\"outcome {class}\">{}</p>\n",
        Text(&part.heading),
        Text(&outcome)
    );
    text.push_str(&warnings(part));
    if !part.cases.is_empty() {
        text.push_str(&tables::summary(part));
        text.push_str(&tables::ratios(part));
        text.push_str(&drawings::overview(number, part));
        for (index, case) in (1..).zip(&part.cases) {
            text.push_str(&case_article(&format!("{number}-{index}"), case));
        }
    }
    text.push_str(&circumstances(part));
    text.push_str("</section>\n");
    text
}

fn warnings(part: &Part<'_>) -> String {
    if part.warnings.is_empty() {
        return String::new();
    }
    let mut text = String::from("<div class=\"warnings\">\n<h3>Warnings</h3>\n<ul>\n");
    for warning in &part.warnings {
        let _ = writeln!(text, "<li>{}</li>", Text(warning));
    }
    text.push_str("</ul>\n</div>\n");
    text
}

fn case_article(id: &str, case: &Case<'_>) -> String {
    let mut text = format!(
        "<article aria-labelledby=\"case-{id}\">\n<h3 id=\"case-{id}\">{}</h3>\n",
        Text(&case.title())
    );
    if !case.scenario.about.is_empty() {
        let _ = writeln!(text, "<p>{}</p>", Text(&case.scenario.about));
    }
    text.push_str("<dl class=\"parameters\">\n");
    for (name, value) in case.parameters() {
        let _ = writeln!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", Text(&value));
    }
    text.push_str("</dl>\n");
    text.push_str(&drawings::delays(id, case));
    text.push_str(&tables::delays(case));
    text.push_str(&tables::costs(case));
    text.push_str("</article>\n");
    text
}

fn circumstances(part: &Part<'_>) -> String {
    let mut text = String::from("<h3>How it was measured</h3>\n");
    if let Some(method) = part.method() {
        let _ = writeln!(text, "<p>{}</p>", Text(&method));
    }
    text.push_str("<dl class=\"facts\">\n");
    for machine in &part.machines {
        let _ = writeln!(
            text,
            "<div><dt>Machine</dt><dd>{}, {}, {}, {}</dd></div>",
            Text(&machine.processor),
            counted(machine.processors as usize, "processor"),
            bytes(machine.memory_bytes as f64),
            Text(&machine.kernel)
        );
    }
    for server in &part.servers {
        let command = match server.command.is_empty() {
            true => format!("already running at {}", server.address),
            false => server.command.join(" "),
        };
        let _ = writeln!(
            text,
            "<div><dt>{}</dt><dd>{}<br><code>{}</code></dd></div>",
            Text(&server.name),
            Text(&server.version),
            Text(&command)
        );
    }
    if !part.started.is_empty() {
        let started = part.started.join(", ");
        let _ = writeln!(
            text,
            "<div><dt>Started</dt><dd>{}</dd></div>",
            Text(&started)
        );
    }
    text.push_str("</dl>\n");
    text
}

/// Text that stays text, within elements and within quoted attributes.
pub(super) struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                '"' => out.write_str("&quot;")?,
                '\'' => out.write_str("&#39;")?,
                // Not allowed in a document, not even escaped.
                control if control.is_control() => out.write_char(' ')?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}
