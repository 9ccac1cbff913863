//! Bytes to keys, scalars and punctuation.
//!
//! *Control path.* Pure. Which of them may come next is the parser's business: the same bytes mean different things
//! as a key, as a value and after a value. Never panics; every call moves on or fails.

mod scalar;

use std::rc::Rc;

use super::value::{Position, Value};
use crate::config::size::parse_size;

/// Reads one file from its beginning to its end.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    column: u32,
    source: u16,
}

/// Why the bytes are none of the language, and where.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) position: Position,
    pub(super) reason: String,
}

/// A value without parts, or the name of one.
#[derive(Debug)]
pub(super) enum Scalar {
    Value(Value),
    /// `$NAME`, without its sign.
    Variable(String),
}

pub(super) type Lexed<T> = Result<T, Mistake>;

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], source: u16) -> Lexer<'a> {
        let mut lexer = Lexer {
            bytes,
            at: 0,
            line: 1,
            column: 1,
            source,
        };
        // Editors of other systems put it there; nats-server takes it for a part of the first key.
        if bytes.starts_with(BYTE_ORDER_MARK) {
            lexer.at = BYTE_ORDER_MARK.len();
        }
        lexer
    }

    pub(super) fn position(&self) -> Position {
        Position {
            source: self.source,
            line: self.line,
            column: self.column,
        }
    }

    pub(super) fn mistake(&self, reason: impl Into<String>) -> Mistake {
        mistake_at(self.position(), reason)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes the next byte if it is `wanted`.
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    /// What comes next, for a text of fault.
    pub(super) fn found(&self) -> String {
        let rest = &self.bytes[self.at..];
        match rest.first() {
            None => "the end of the file".to_owned(),
            Some(b'\n' | b'\r') => "the end of the line".to_owned(),
            Some(_) => {
                let some = String::from_utf8_lossy(&rest[..rest.len().min(4)]).into_owned();
                format!("{:?}", some.chars().next().unwrap_or_default())
            }
        }
    }

    /// Skips spaces of all kinds, line ends too.
    pub(super) fn skip_spaces(&mut self) {
        while let Some(length) = self.space_length() {
            self.skip(length);
        }
    }

    /// Skips spaces and tabs.
    pub(super) fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.bump();
        }
    }

    /// Skips a comment up to the end of its line; says whether there was one.
    pub(super) fn skip_comment(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let is_comment = rest.starts_with(b"#") || rest.starts_with(b"//");
        if is_comment {
            while self.peek().is_some_and(|byte| !is_line_end(byte)) {
                self.bump();
            }
        }
        is_comment
    }

    /// A key with or without quotes; true if it is the bare word `include` with a space behind it.
    pub(super) fn key(&mut self) -> Lexed<(Rc<str>, bool)> {
        let start = self.position();
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.bump();
            let key = self.until(start, |byte| byte == quote)?;
            if !self.take(quote) {
                return Err(mistake_at(start, "the quotes of this key are not closed"));
            }
            return Ok((key.into(), false));
        }
        let from = self.at;
        while !matches!(self.peek(), None | Some(b'=' | b':')) && self.space_length().is_none() {
            // nats-server takes the brace into the key, and then knows no such field.
            if self.peek() == Some(b'{') && self.at > from {
                return Err(self.mistake("a space is missing between the key and '{'"));
            }
            self.bump();
        }
        let key = self.text(start, &self.bytes[from..self.at])?;
        let is_include = self.space_length().is_some() && key.eq_ignore_ascii_case("include");
        Ok((key.into(), is_include))
    }

    /// The path behind `include`.
    pub(super) fn include_path(&mut self) -> Lexed<String> {
        self.skip_blanks();
        let start = self.position();
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                self.bump();
                let path = self.until(start, |byte| byte == quote)?;
                if !self.take(quote) {
                    return Err(mistake_at(start, "the quotes of this path are not closed"));
                }
                Ok(path)
            }
            None | Some(b'[' | b'{' | b'(' | b'-' | b'\\' | b'\n' | b'\r' | b'0'..=b'9') => {
                Err(self.mistake(format!(
                    "expected the path of a file to include, but found {}",
                    self.found()
                )))
            }
            Some(_) => {
                let ends = |byte| is_line_end(byte) || b";}' \t".contains(&byte);
                let path = self.until(start, ends)?;
                self.take(b'\'');
                Ok(path)
            }
        }
    }

    fn until(&mut self, start: Position, ends: impl Fn(u8) -> bool) -> Lexed<String> {
        let from = self.at;
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.bump();
        }
        self.text(start, &self.bytes[from..self.at])
    }

    fn text(&self, start: Position, bytes: &[u8]) -> Lexed<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(mistake_at(start, "this text is not UTF-8")),
        }
    }

    fn space_length(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let first = *rest.first()?;
        if first.is_ascii() {
            return matches!(first, b'\t'..=b'\r' | b' ').then_some(1);
        }
        let letter = (2..=3).find_map(|length| {
            let bytes = rest.get(..length)?;
            std::str::from_utf8(bytes).ok()?.chars().next()
        })?;
        letter.is_whitespace().then_some(letter.len_utf8())
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    fn bump(&mut self) {
        let Some(byte) = self.peek() else {
            return;
        };
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else if byte & 0xC0 != 0x80 {
            // The further bytes of a character do not count.
            self.column = self.column.saturating_add(1);
        }
    }
}

pub(super) fn mistake_at(position: Position, reason: impl Into<String>) -> Mistake {
    Mistake {
        position,
        reason: reason.into(),
    }
}

fn is_line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
