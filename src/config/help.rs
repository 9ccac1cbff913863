//! The help text, laid out like nats-server's and made from the table.
//!
//! *Control path.* Pure.

use std::fmt::Write;

use super::identity::Identity;
use super::table::{Group, Row, TABLE};
use super::tls::{CIPHER_SUITES, CURVES, available};

/// The whole text that `--help` prints.
pub(super) fn help_text(identity: &Identity) -> String {
    let program = &identity.program;
    let mut text = format!(
        "\nUsage: {program} [options]\n       {program} doctor\n       {program} top [URL]\n"
    );
    for (group, title) in HEADINGS {
        let _ = write!(text, "\n{title}:\n");
        for row in TABLE
            .iter()
            .filter(|row| row.group == *group && !row.names.is_empty())
        {
            push_row(&mut text, row);
        }
    }
    text.push_str("\nNot supported yet:\n");
    let missing: Vec<String> = TABLE
        .iter()
        .filter(|row| row.group == Group::Unsupported)
        .flat_map(|row| row.names)
        .map(|name| dashed(name))
        .collect();
    for line in missing.chunks(NAMES_PER_LINE) {
        let _ = writeln!(text, "    {}", line.join(", "));
    }
    text
}

/// What `--help_tls` prints.
pub(super) fn tls_help_text() -> String {
    let mut text = TLS_EXAMPLE.to_owned();
    let lists = [
        (
            "Cipher suites of TLS 1.2, and of TLS 1.3, which are always on",
            CIPHER_SUITES,
        ),
        ("Curves", CURVES),
    ];
    for (title, list) in lists {
        let _ = write!(text, "\n{title}:\n");
        for name in available(list) {
            let _ = writeln!(text, "    {name}");
        }
    }
    text
}

/// `name` with the dashes that nats-server's help text gives it: one for the short and for the shouted.
pub(super) fn dashed(name: &str) -> String {
    let short = name.len() <= 2 || name.bytes().all(|byte| byte.is_ascii_uppercase());
    format!("{}{name}", if short { "-" } else { "--" })
}

fn push_row(text: &mut String, row: &Row) {
    let names: Vec<String> = row.names.iter().map(|name| dashed(name)).collect();
    let indent = if names[0].starts_with("--") {
        "        "
    } else {
        "    "
    };
    let mut left = format!("{indent}{} {}", names.join(", "), row.operand);
    if left.len() >= HELP_COLUMN {
        let _ = writeln!(text, "{}", left.trim_end());
        left.clear();
    }
    let mut lines = row.help.lines();
    let _ = write!(
        text,
        "{left:HELP_COLUMN$}{}",
        lines.next().unwrap_or_default()
    );
    for line in lines {
        let _ = write!(text, "\n{:HELP_COLUMN$}{line}", "");
    }
    if !row.default.is_empty() {
        let _ = write!(text, " (default: {})", row.default);
    }
    text.push('\n');
}

pub(super) const HEADINGS: &[(Group, &str)] = &[
    (Group::Server, "Server Options"),
    (Group::Logging, "Logging Options"),
    (Group::Authorization, "Authorization Options"),
    (Group::Tls, "TLS Options"),
    (Group::Limits, "Limits"),
    (Group::Monitor, "Monitoring Options"),
    (Group::Shards, "Shard Options"),
    (Group::Common, "Common Options"),
];

const TLS_EXAMPLE: &str = r#"
TLS is configured in the configuration file:

    tls {
        cert_file: "./certs/server-cert.pem"
        key_file:  "./certs/server-key.pem"
        ca_file:   "./certs/ca.pem"
        verify:    true
        timeout:   "2s"

        min_version: "1.2"
        cipher_suites: [ "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" ]
        curve_preferences: [ "X25519", "CurveP256" ]
    }
"#;

/// Where nats-server's texts begin.
const HELP_COLUMN: usize = 37;
const NAMES_PER_LINE: usize = 7;
