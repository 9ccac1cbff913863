//! What is wrong with a configuration, and the line on which it is wrong.
//!
//! *Control path.* Pure. Faults go to terminals and logs: control characters are not shown, and of a line that names a
//! password or a token only the part before its value is.

use std::fmt;

use super::value::Position;

/// One mistake. Its text begins as nats-server's does, `file:line:column: reason`; below are the line and a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub place: Option<Place>,
    pub reason: String,
}

/// Where a mistake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// The line, fit to be shown, and the characters before the caret.
    excerpt: String,
    indent: String,
}

impl Fault {
    /// A fault of the whole configuration.
    pub fn general(reason: impl Into<String>) -> Fault {
        Fault {
            place: None,
            reason: reason.into(),
        }
    }

    /// A fault at a place of the file `path`, whose content is `bytes`.
    pub(super) fn at(
        path: &str,
        bytes: &[u8],
        position: Position,
        reason: impl Into<String>,
    ) -> Fault {
        let index = usize::try_from(position.line).unwrap_or(1).max(1) - 1;
        let line = bytes
            .split(|byte| *byte == b'\n')
            .nth(index)
            .unwrap_or_default();
        // Only the part that is shown is looked at: a line may have megabytes.
        let column = usize::try_from(position.column).unwrap_or(1).max(1) - 1;
        let before = column.min(SHOWN_BEFORE_MAX);
        let text = String::from_utf8_lossy(line);
        let hidden = column - before;
        let searched = hidden.min(SEARCHED_BEFORE_MAX);
        let mut letters = text
            .trim_end_matches('\r')
            .chars()
            .skip(hidden - searched)
            .map(printable);
        let unshown: String = letters.by_ref().take(searched).collect();
        let shown: String = letters.take(before + SHOWN_AFTER_MAX).collect();
        // Where the value of a secret ends that began before is not known here.
        let shown = match names_secret(&unshown) {
            true => "…".to_owned(),
            false => without_secret(without_users(&shown)),
        };
        let indent = shown
            .chars()
            .chain(std::iter::repeat(' '))
            .take(before.min(shown.chars().count()))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        Fault {
            place: Some(Place {
                file: path.to_owned(),
                line: position.line,
                column: position.column,
                excerpt: shown,
                indent,
            }),
            // It may quote names from the file, of any length.
            reason: without_users(&reason.into())
                .chars()
                .take(REASON_MAX)
                .map(printable)
                .collect(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else {
            return f.write_str(&self.reason);
        };
        let Place {
            file,
            line,
            column,
            excerpt,
            indent,
        } = place;
        writeln!(f, "{file}:{line}:{column}: {}", self.reason)?;
        writeln!(f, "{line:>5} | {excerpt}")?;
        write!(f, "      | {indent}^")
    }
}

impl std::error::Error for Fault {}

fn printable(letter: char) -> char {
    if letter.is_control() && letter != '\t' {
        '?'
    } else {
        letter
    }
}

fn names_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    SECRETS.iter().any(|word| lower.contains(word))
}

/// `line` up to the value of the first key that sounds like a secret.
fn without_secret(line: String) -> String {
    let lower = line.to_ascii_lowercase();
    let Some(found) = SECRETS.iter().filter_map(|word| lower.find(word)).min() else {
        return line;
    };
    // A map of secrets on the same line is inside its brace, and begins with a key of its own.
    let is_end = |c: char| c == ':' || c == '=' || c == '$' || c.is_whitespace();
    match line[found..].find(is_end) {
        Some(end) => format!("{} …", &line[..=found + end].trim_end()),
        None => line,
    }
}

/// `text` without the users and passwords of URLs in it. Where a URL is cut off before its host it is left out.
fn without_users(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(SCHEME_END) {
        let (head, tail) = rest.split_at(begin + SCHEME_END.len());
        shown.push_str(head);
        // A password may hold anything, unescaped too, but for what ends the URL.
        let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ']');
        let end = tail.find(is_end);
        let url = &tail[..end.unwrap_or(tail.len())];
        let shown_from = match (url.rfind('@'), end) {
            (Some(at), _) => at,
            (None, None) if url.contains(':') && !url.contains('/') => url.len(),
            (None, _) => 0,
        };
        if shown_from > 0 {
            shown.push('…');
        }
        shown.push_str(&url[shown_from..]);
        rest = &tail[url.len()..];
    }
    shown.push_str(rest);
    shown
}

const SCHEME_END: &str = "://";
/// Misspelled ones too.
const SECRETS: &[&str] = &["pas", "psw", "pwd", "token", "seed", "secret", "$2"];
const REASON_MAX: usize = 400;
const SHOWN_BEFORE_MAX: usize = 80;
/// How far before that a secret is looked for: no password is longer.
const SEARCHED_BEFORE_MAX: usize = 4096;
const SHOWN_AFTER_MAX: usize = 40;
