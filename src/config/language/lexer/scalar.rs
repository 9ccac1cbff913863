//! Values that are neither maps nor lists: texts in their four forms, booleans, numbers, sizes, dates, variables.
//!
//! *Control path.* Pure. What a bare word is follows nats-server's lexer from its first letter on: a digit or a minus
//! begins a number, which may turn out to be an address, a date or a word after all.

use super::{Lexed, Lexer, Position, Scalar, Value, is_line_end, mistake_at, parse_size};

impl Lexer<'_> {
    /// A value that is neither a map nor a list.
    pub(in crate::config::language) fn scalar(&mut self) -> Lexed<Scalar> {
        let start = self.position();
        match self.peek() {
            Some(b'\'') => {
                self.bump();
                let text = self.until(start, |byte| byte == b'\'')?;
                if !self.take(b'\'') {
                    return Err(mistake_at(start, "the quotes of this text are not closed"));
                }
                Ok(text_value(text))
            }
            Some(b'"') => self.quoted(start),
            Some(b'(') => self.block(start),
            Some(b'-' | b'0'..=b'9') => self.number(start),
            Some(b'.') => Err(self.mistake(
                "a number must begin with a digit; texts with a dot in front need quotes",
            )),
            None | Some(b'\n' | b'\r') => {
                Err(self.mistake(format!("expected a value, but found {}", self.found())))
            }
            Some(_) => self.bare(start, self.at),
        }
    }

    /// Between double quotes; its first quote is next.
    fn quoted(&mut self, start: Position) -> Lexed<Scalar> {
        self.bump();
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => {
                    return Err(mistake_at(start, "the quotes of this text are not closed"));
                }
                Some(b'"') => {
                    self.bump();
                    return Ok(text_value(self.text(start, &bytes)?));
                }
                Some(b'\\') => self.escape(&mut bytes)?,
                Some(byte) => {
                    bytes.push(byte);
                    self.bump();
                }
            }
        }
    }

    /// Between parentheses, the second of which has a line for itself. The line end before it belongs to the text.
    fn block(&mut self, start: Position) -> Lexed<Scalar> {
        self.bump();
        let from = self.at;
        loop {
            match self.peek() {
                None => {
                    let reason = "this text is not closed: a ')' on a line of its own is missing";
                    return Err(mistake_at(start, reason));
                }
                Some(b')') if self.stands_alone() => {
                    let text = self.text(start, &self.bytes[from..self.at])?;
                    self.bump();
                    return Ok(text_value(text));
                }
                Some(_) => self.bump(),
            }
        }
    }

    fn stands_alone(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.bytes[at]);
        let after = self.bytes.get(self.at + 1);
        before == Some(b'\n') && after.is_none_or(|byte| is_line_end(*byte))
    }

    /// Anything that begins with a digit or a minus: numbers, sizes, dates, addresses, and words like `5s`.
    fn number(&mut self, start: Position) -> Lexed<Scalar> {
        let from = self.at;
        let is_negative = self.take(b'-');
        let digits = self.skip_digits();
        if digits == 0 {
            return Err(self.mistake(format!(
                "expected a digit after '-', but found {}; texts with a '-' in front need quotes",
                self.found()
            )));
        }
        match self.peek() {
            Some(b'.') => return self.float_or_address(start, from),
            Some(b'-') if !is_negative && digits == 4 => return self.date(start, from),
            Some(b'-') if !is_negative => {
                return Err(mistake_at(start, NOT_A_DATE));
            }
            Some(byte) if b"kmgtpe".contains(&byte.to_ascii_lowercase()) => {
                self.bump();
                while matches!(self.peek(), Some(b'b' | b'B' | b'i' | b'I')) {
                    self.bump();
                }
                if !self.is_at_end_of_number() {
                    return self.bare(start, from);
                }
            }
            Some(_) if !is_negative && !self.is_at_end_of_number() => {
                self.bump();
                return self.bare(start, from);
            }
            _ => {}
        }
        let text = self.text(start, &self.bytes[from..self.at])?;
        match parse_size(&text) {
            Some(number) => Ok(Scalar::Value(Value::Integer(number))),
            None => Err(mistake_at(
                start,
                format!(
                    "{text} is no whole number of 64 bits, with or without a suffix such as k, kb or MiB"
                ),
            )),
        }
    }

    fn float_or_address(&mut self, start: Position, from: usize) -> Lexed<Scalar> {
        self.bump();
        if self.skip_digits() == 0 {
            let found = self.found();
            return Err(self.mistake(format!("expected a digit after '.', but found {found}")));
        }
        let is_address = self.peek() == Some(b'.');
        if is_address {
            while matches!(self.peek(), Some(b'0'..=b'9' | b'.' | b':' | b'-')) {
                self.bump();
            }
        }
        let text = self.text(start, &self.bytes[from..self.at])?;
        if is_address {
            return Ok(text_value(text));
        }
        match text.parse() {
            Ok(number) if f64::is_finite(number) => Ok(Scalar::Value(Value::Float(number))),
            _ => Err(mistake_at(start, "this number is too big")),
        }
    }

    fn date(&mut self, start: Position, from: usize) -> Lexed<Scalar> {
        let end = (from + DATE_LENGTH).min(self.bytes.len());
        let text = String::from_utf8_lossy(&self.bytes[from..end]).into_owned();
        let is_date = text.ends_with('Z')
            && text.as_bytes().get(10) == Some(&b'T')
            && text.bytes().filter(|byte| *byte == b':').count() == 2
            && text.parse::<jiff::Timestamp>().is_ok();
        if !is_date {
            return Err(mistake_at(start, NOT_A_DATE));
        }
        self.skip(end - self.at);
        Ok(Scalar::Value(Value::Date(text.into())))
    }

    /// A word without quotes, of which the bytes since `from` have been read.
    fn bare(&mut self, start: Position, from: usize) -> Lexed<Scalar> {
        let mut bytes = self.bytes[from..self.at].to_vec();
        let mut is_word = true;
        loop {
            match self.peek() {
                None | Some(b'\n' | b'\r' | b';' | b',' | b']' | b'}' | b' ' | b'\t') => break,
                Some(b'\\') => {
                    self.escape(&mut bytes)?;
                    is_word = false;
                }
                Some(b'\'') => {
                    self.bump();
                    is_word = false;
                    break;
                }
                Some(byte) => {
                    bytes.push(byte);
                    self.bump();
                }
            }
        }
        let text = self.text(start, &bytes)?;
        if !is_word {
            return Ok(text_value(text));
        }
        if text.is_empty() {
            let found = self.found();
            return Err(mistake_at(
                start,
                format!("expected a value, but found {found}"),
            ));
        }
        if let Some(name) = text.strip_prefix('$') {
            return Ok(Scalar::Variable(name.to_owned()));
        }
        Ok(match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Scalar::Value(Value::Boolean(true)),
            "false" | "no" | "off" => Scalar::Value(Value::Boolean(false)),
            _ => text_value(text),
        })
    }

    /// One escape, its backslash next.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Lexed<()> {
        let start = self.position();
        self.bump();
        let byte = match self.peek() {
            Some(b't') => b'\t',
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(letter @ (b'"' | b'\\')) => letter,
            Some(b'x') => {
                let digits = self.bytes.get(self.at + 1..self.at + 3).unwrap_or_default();
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                let is_hexadecimal =
                    digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                match u8::from_str_radix(digits, 16) {
                    Ok(byte) if is_hexadecimal => {
                        self.skip(2);
                        byte
                    }
                    _ => {
                        let reason = "expected two hexadecimal digits after \\x";
                        return Err(mistake_at(start, reason));
                    }
                }
            }
            _ => {
                let reason = "unknown escape: there are \\xHH, \\t, \\n, \\r, \\\" and \\\\; in '…' none is needed";
                return Err(mistake_at(start, reason));
            }
        };
        self.bump();
        bytes.push(byte);
        Ok(())
    }

    fn skip_digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.bump();
        }
        self.at - from
    }

    /// nats-server does not end a number at `]`, and so refuses `[1]`.
    fn is_at_end_of_number(&self) -> bool {
        self.peek().is_none_or(|byte| {
            is_line_end(byte) || byte.is_ascii_digit() || b"};,] \t".contains(&byte)
        })
    }
}

fn text_value(text: String) -> Scalar {
    Scalar::Value(Value::Text(text.into()))
}

const DATE_LENGTH: usize = "2006-01-02T15:04:05Z".len();
const NOT_A_DATE: &str =
    "a bare word of digits and '-' must be a date, 2006-01-02T15:04:05Z; other texts need quotes";
