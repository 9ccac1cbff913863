//! The tables of `docs/configuration.md`, made from the table of options.
//!
//! *Control path.* Pure. `tests/config_files.rs` keeps the page current.

use std::fmt::Write;

use super::help::{HEADINGS, dashed};
use super::table::blocks::{BLOCKS, HEADINGS as HEADINGS_OF_BLOCKS};
use super::table::{Group, Kind, Reload, Row, Seconds, TABLE, rows, shown_range};

/// All options: those that work by group, those without effect, those that are refused.
pub fn reference() -> String {
    let mut text = String::new();
    for (group, title) in HEADINGS {
        // What asks for something else than running is no option of a server.
        let is_option = |row: &&Row| !matches!(row.kind, Kind::Request(_));
        let of_group = TABLE.iter().filter(|row| row.group == *group);
        let mut rows = of_group.filter(is_option).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let _ = write!(
            text,
            "### {title}\n\n| key | flag | value | default | on reload | what it does |\n|---|---|---|---|---|---|\n"
        );
        for row in rows {
            push_row(&mut text, row);
        }
        text.push('\n');
    }
    for heading in HEADINGS_OF_BLOCKS {
        let _ = write!(
            text,
            "### {heading}\n\n| key | value | default | on reload | what it does |\n|---|---|---|---|---|\n"
        );
        for row in BLOCKS {
            if row.group == Group::Part(heading) {
                push_part(&mut text, row);
            }
        }
        text.push('\n');
    }
    text.push_str("### Without effect\n\n| key | why it may be ignored |\n|---|---|\n");
    for row in rows().filter(|row| row.group == Group::Ignored) {
        let _ = writeln!(text, "| {} | {} |", keys(row), one_line(row.help));
    }
    text.push_str("\n### Not supported yet\n\n");
    let refused =
        rows().filter(|row| row.group == Group::Unsupported && !row.config_keys.is_empty());
    for row in refused {
        let but = match row.kind {
            Kind::Unsupported { takes_value: false } => ", unless `false`",
            Kind::Block(..) => ", unless `disabled` or `false`",
            _ => "",
        };
        let _ = writeln!(text, "- {}{but}", keys(row));
    }
    text
}

fn push_row(text: &mut String, row: &Row) {
    let flags: Vec<String> = row
        .names
        .iter()
        .map(|name| format!("`{}`", dashed(name)))
        .collect();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} |",
        keys(row),
        flags.join(", "),
        value(row),
        default(row),
        reload(row),
        one_line(row.help)
    );
}

/// A part of a block: no flag can say it.
fn push_part(text: &mut String, row: &Row) {
    let keys: Vec<String> = row
        .config_keys
        .iter()
        .map(|key| format!("`{}`", key.rsplit_once('.').map_or(*key, |(_, key)| key)))
        .collect();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} |",
        keys.join(", "),
        value(row),
        default(row),
        reload(row),
        one_line(row.help)
    );
}

fn default(row: &Row) -> String {
    match row.default {
        "" => String::new(),
        default => format!("`{default}`"),
    }
}

/// What has no key is no option of the server: nothing of it could be reloaded.
fn reload(row: &Row) -> &'static str {
    match (row.config_keys, row.reload) {
        ([], _) => "",
        (_, Reload::Live) => "takes effect",
        (_, Reload::Refused) => "refused",
    }
}

/// The keys of a row; those of a section without its name, which the first has.
fn keys(row: &Row) -> String {
    let mut shown = Vec::new();
    for (index, key) in row.config_keys.iter().enumerate() {
        match key.rsplit_once('.') {
            Some((section, key)) if index == 0 => shown.push(format!("`{section} {{ {key} }}`")),
            Some((_, key)) => shown.push(format!("`{key}`")),
            None => shown.push(format!("`{key}`")),
        }
    }
    shown.join(", ")
}

fn value(row: &Row) -> String {
    match &row.kind {
        Kind::Text(_) => "text".to_owned(),
        Kind::Switch(_) => "true or false".to_owned(),
        Kind::Integer(range, ..) => format!("number, {}", shown_range(range)),
        Kind::Size(range, ..) => format!("size, {}", shown_range(range)),
        Kind::Span(..) => match row.seconds {
            Seconds::Plain { .. } => "duration, or seconds".to_owned(),
            Seconds::Refused { min } if !min.is_zero() => {
                format!("duration, in a file at least {}s", min.as_secs())
            }
            _ => "duration".to_owned(),
        },
        Kind::Address(..) => "`host:port`, or a port".to_owned(),
        Kind::Block(shape, _) | Kind::Part(shape) => {
            let shown = shape.shown;
            shown.strip_prefix("a ").unwrap_or(shown).to_owned()
        }
        Kind::Request(_) | Kind::Unsupported { .. } | Kind::Ignored(_) => String::new(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
        .replace('<', "\\<")
}
