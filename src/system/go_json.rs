//! Bodies of requests, read as Go's `encoding/json` reads them, with its texts for what is wrong: tools show these texts.
//!
//! Only an object at the top is of interest, and of that the values by name; what they are made of is looked at when
//! somebody asks for one.

/// The fields of an object: names, and the text of the values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Object<'a>(Vec<(String, &'a [u8])>);

/// What is at the top of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Top<'a> {
    Object(Object<'a>),
    Null,
    /// Something else; what Go calls it.
    Other(&'static str),
}

impl<'a> Object<'a> {
    /// The last value of that name; letters may be of either case, as in Go.
    pub(super) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let same = |(known, _): &&(String, &[u8])| known.eq_ignore_ascii_case(name);
        self.0.iter().rev().find(same).map(|(_, value)| *value)
    }

    /// Names and values in the order in which they are written.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// Reads a body.
///
/// # Errors
/// Go's text for what is wrong with it.
pub(super) fn read(body: &[u8]) -> Result<Top<'_>, String> {
    let mut scanner = Scanner {
        body,
        at: 0,
        fields: Vec::new(),
    };
    let start = scanner.skip_blanks();
    scanner.value(0)?;
    scanner.skip_blanks();
    if scanner.peek().is_some() {
        return Err(scanner.fault("after top-level value"));
    }
    Ok(match body.get(start) {
        Some(b'{') => Top::Object(Object(scanner.fields)),
        Some(b'n') => Top::Null,
        _ => Top::Other(kind(&body[start..])),
    })
}

/// What Go calls the kind of a value.
pub(super) fn kind(value: &[u8]) -> &'static str {
    match value.first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// The text of a string; `None` if it is none.
pub(super) fn text(value: &[u8]) -> Option<String> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut plain: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'n' => plain.push(b'\n'),
            b't' => plain.push(b'\t'),
            b'r' => plain.push(b'\r'),
            b'b' => plain.push(8),
            b'f' => plain.push(12),
            b'u' => {
                let (character, after) = unicode(rest)?;
                rest = after;
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => plain.push(*other),
        }
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

/// The elements of an array, each as it is written; `None` if it is none.
pub(super) fn elements(value: &[u8]) -> Option<Vec<&[u8]>> {
    if value.first() != Some(&b'[') {
        return None;
    }
    let mut scanner = Scanner {
        body: value,
        at: 1,
        fields: Vec::new(),
    };
    let mut all = Vec::new();
    loop {
        let start = scanner.skip_blanks();
        match scanner.peek()? {
            b']' => return Some(all),
            b',' => scanner.at += 1,
            _ => {
                scanner.value(1).ok()?;
                all.push(&value[start..scanner.at]);
            }
        }
    }
}

/// Four hexadecimal digits, or two times four for a character beyond the first 65,536.
fn unicode(rest: &[u8]) -> Option<(char, &[u8])> {
    let unit = |rest: &[u8]| {
        let digits = std::str::from_utf8(rest.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    let after = &rest[4..];
    if let Some(character) = char::from_u32(first) {
        return Some((character, after));
    }
    if let Some(low) = after.strip_prefix(b"\\u")
        && let Some(second @ 0xDC00..=0xDFFF) = unit(low)
        && (0xD800..0xDC00).contains(&first)
        && let Some(character) =
            char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    {
        return Some((character, &low[4..]));
    }
    Some((char::REPLACEMENT_CHARACTER, after))
}

/// Goes through a text byte by byte; every step but the first says what Go would have said.
struct Scanner<'a> {
    body: &'a [u8],
    at: usize,
    /// Of the object at the top.
    fields: Vec<(String, &'a [u8])>,
}

type Scanned = Result<(), String>;

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    /// What is here does not belong here.
    fn fault(&self, context: &str) -> String {
        invalid(&self.body[self.at..], context)
    }

    fn skip_blanks(&mut self) -> usize {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.at
    }

    /// The next byte that is not blank, which must be there.
    fn next_solid(&mut self) -> Result<u8, String> {
        self.skip_blanks();
        self.peek().ok_or_else(ended)
    }

    fn value(&mut self, depth: usize) -> Scanned {
        let byte = self.next_solid()?;
        if depth > DEPTH_MAX {
            return Err("exceeded max depth".to_owned());
        }
        match byte {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.fault("looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Scanned {
        self.at += 1;
        if self.next_solid()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let byte = self.next_solid()?;
            if byte != b'"' {
                return Err(self.fault("looking for beginning of object key string"));
            }
            let name = self.at;
            self.string()?;
            let name = &self.body[name..self.at];
            let byte = self.next_solid()?;
            if byte != b':' {
                return Err(self.fault("after object key"));
            }
            self.at += 1;
            let start = self.skip_blanks();
            self.value(depth + 1)?;
            if depth == 0 {
                let name = text(name).unwrap_or_default();
                self.fields.push((name, &self.body[start..self.at]));
            }
            match self.next_solid()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fault("after object key:value pair")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Scanned {
        self.at += 1;
        if self.next_solid()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            match self.next_solid()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.fault("after array element")),
            }
        }
    }

    fn string(&mut self) -> Scanned {
        self.at += 1;
        loop {
            let byte = self.peek().ok_or_else(ended)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                0..=0x1F => return Err(invalid(&[byte], "in string")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        let byte = self.peek().ok_or_else(ended)?;
        let len = if byte == b'u' { 5 } else { 1 };
        let sequence = self.body.get(self.at..self.at + len).ok_or_else(ended)?;
        self.at += len;
        let is_known = match byte {
            b'u' => sequence[1..].iter().all(u8::is_ascii_hexdigit),
            other => b"bfnrt\\/\"".contains(&other),
        };
        is_known.then_some(()).ok_or_else(|| {
            let sequence = String::from_utf8_lossy(sequence);
            format!("invalid escape sequence `\\{sequence}` in string")
        })
    }

    fn number(&mut self) -> Scanned {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digit()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digit()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digit(&mut self) -> Scanned {
        match self.peek().ok_or_else(ended)? {
            b'0'..=b'9' => {
                self.digits();
                Ok(())
            }
            _ => Err(self.fault("in numeric literal")),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for expected in word.bytes() {
            let byte = self.peek().ok_or_else(ended)?;
            if byte != expected {
                let expected = char::from(expected);
                let context = format!("in literal {word} (expecting '{expected}')");
                return Err(self.fault(&context));
            }
            self.at += 1;
        }
        Ok(())
    }
}

fn ended() -> String {
    "unexpected end of JSON input".to_owned()
}

/// What is at the beginning of `rest` does not belong there.
fn invalid(rest: &[u8], context: &str) -> String {
    let valid = rest.utf8_chunks().next();
    let character = valid.and_then(|chunk| chunk.valid().chars().next());
    let shown = match (character, rest.first()) {
        (Some('\''), _) => "\\'".to_owned(),
        (Some('\u{7}'), _) => "\\a".to_owned(),
        (Some('\u{8}'), _) => "\\b".to_owned(),
        (Some('\t'), _) => "\\t".to_owned(),
        (Some('\n'), _) => "\\n".to_owned(),
        (Some('\u{b}'), _) => "\\v".to_owned(),
        (Some('\u{c}'), _) => "\\f".to_owned(),
        (Some('\r'), _) => "\\r".to_owned(),
        (Some('\\'), _) => "\\\\".to_owned(),
        (Some(plain), _) if !plain.is_control() => plain.to_string(),
        (_, Some(byte)) => format!("\\x{byte:02x}"),
        (_, None) => String::new(),
    };
    format!("invalid character '{shown}' {context}")
}

/// Go has ten times as much; its stack grows.
const DEPTH_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_gos_words() {
        for (body, text) in [
            ("", "unexpected end of JSON input"),
            ("{", "unexpected end of JSON input"),
            ("{\"a", "unexpected end of JSON input"),
            ("{\"a\":1", "unexpected end of JSON input"),
            ("\"\\u00", "unexpected end of JSON input"),
            ("-", "unexpected end of JSON input"),
            (
                "nonsense",
                "invalid character 'o' in literal null (expecting 'u')",
            ),
            ("x", "invalid character 'x' looking for beginning of value"),
            (
                "'",
                "invalid character '\\'' looking for beginning of value",
            ),
            ("€", "invalid character '€' looking for beginning of value"),
            (
                "\u{7f}",
                "invalid character '\\x7f' looking for beginning of value",
            ),
            (
                "\t\u{b}",
                "invalid character '\\v' looking for beginning of value",
            ),
            (
                "{a:1}",
                "invalid character 'a' looking for beginning of object key string",
            ),
            (
                "{\"a\":1,}",
                "invalid character '}' looking for beginning of object key string",
            ),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 \"b\"}",
                "invalid character '\"' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            ("\"a\nb\"", "invalid character '\\n' in string"),
            ("\"\\x\"", "invalid escape sequence `\\x` in string"),
            ("\"\\u00g0\"", "invalid escape sequence `\\u00g0` in string"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' in numeric literal"),
            ("1ex", "invalid character 'x' in numeric literal"),
            ("01", "invalid character '1' after top-level value"),
            ("{}x", "invalid character 'x' after top-level value"),
        ] {
            assert_eq!(read(body.as_bytes()), Err(text.to_owned()), "{body}");
        }
    }

    #[test]
    fn values_are_found_by_name_and_read_by_kind() {
        let body = br#" { "a" : "x\n\u00e9\ud83d\ude00\ud800" , "B":[1, "two",{}], "a2": {"a": 5}, "A": -1.5e3 } "#;
        let Ok(Top::Object(object)) = read(body) else {
            panic!("an object");
        };
        assert_eq!(object.get("a"), Some(&b"-1.5e3"[..]), "the last one counts");
        assert_eq!(object.get("b").map(kind), Some("array"));
        assert_eq!(object.get("c"), None);
        let first = object.iter().next().expect("one");
        assert_eq!(text(first.1).as_deref(), Some("x\né😀\u{FFFD}"));
        let list = elements(object.get("b").expect("a list")).expect("a list");
        assert_eq!(list, [&b"1"[..], b"\"two\"", b"{}"]);
        assert_eq!(elements(b"[ ]"), Some(Vec::new()));
        assert_eq!(elements(b"1"), None);
        assert_eq!(read(b"null"), Ok(Top::Null));
        assert_eq!(read(b" []"), Ok(Top::Other("array")));
        assert_eq!(text(b"1"), None);
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(DEPTH_MAX).as_bytes()).is_ok());
        let text = read(nested(DEPTH_MAX + 2).as_bytes()).expect_err("too deep");
        assert_eq!(text, "exceeded max depth");
    }
}
