//! The digest by which nats-server names a configuration.
//!
//! *Control path.* Pure. It is the SHA-256 of the values as Go's `encoding/json` writes them, with a line feed behind:
//! keys sorted, letters that mean something to HTML escaped. So it does not change with comments, layout or the order
//! of keys, and two servers that show the same digest run the same configuration.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::value::{Map, Value};

/// `sha256:` and 64 hexadecimal digits.
pub fn digest(root: &Map) -> String {
    let mut hasher = Sha256::new();
    write_map(&mut hasher, root);
    hasher.update(b"\n");
    let mut text = "sha256:".to_owned();
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Recursion is bounded by the parser's `DEPTH_MAX`.
fn write_value(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Text(text) | Value::Date(text) => write_text(hasher, text),
        Value::Boolean(on) => hasher.update(on.to_string()),
        Value::Integer(number) => hasher.update(number.to_string()),
        Value::Float(number) => hasher.update(float_text(*number)),
        Value::List(list) => {
            hasher.update(b"[");
            for (index, (_, element)) in list.elements.iter().enumerate() {
                if index > 0 {
                    hasher.update(b",");
                }
                write_value(hasher, element);
            }
            hasher.update(b"]");
        }
        Value::Map(map) => write_map(hasher, map),
    }
}

fn write_map(hasher: &mut Sha256, map: &Map) {
    hasher.update(b"{");
    for (index, (key, entry)) in map.entries.iter().enumerate() {
        if index > 0 {
            hasher.update(b",");
        }
        write_text(hasher, key);
        hasher.update(b":");
        write_value(hasher, &entry.value);
    }
    hasher.update(b"}");
}

fn write_text(hasher: &mut Sha256, text: &str) {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(letter));
            }
            letter => escaped.push(letter),
        }
    }
    escaped.push('"');
    hasher.update(escaped);
}

/// The shortest decimal that reads back the same; with an exponent where Go's JSON has one.
fn float_text(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
            _ => text,
        };
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (number, text) in [
            (1.0, "1"),
            (1.5, "1.5"),
            (-0.25, "-0.25"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (0.000_001, "0.000001"),
            (0.000_000_15, "1.5e-7"),
        ] {
            assert_eq!(float_text(number), text);
        }
    }
}
