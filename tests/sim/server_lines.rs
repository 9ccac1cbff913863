//! A strict reader of what the server may say to a client; shared by the simulator and the fuzz targets.
//!
//! It is written from the protocol's description, not from the broker's code, so that the two can disagree.

/// One thing the server said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Info(&'a [u8]),
    Ok,
    Err(&'a [u8]),
    Ping,
    Pong,
    Message(Message<'a>),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) sid: &'a [u8],
    pub(crate) reply: &'a [u8],
    /// `None` for `MSG`.
    pub(crate) headers: Option<&'a [u8]>,
    pub(crate) payload: &'a [u8],
}

/// The first thing in `bytes` and how many bytes it took; `None` while it is unfinished.
///
/// # Errors
/// What is wrong with it, for a person.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Line<'_>, usize)>, String> {
    let Some(feed) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Ok(None);
    };
    let shown = String::from_utf8_lossy(&bytes[..feed]);
    let wrong = |what: &str| format!("{what}: {shown:?}");
    let line = bytes[..feed]
        .strip_suffix(b"\r")
        .ok_or_else(|| wrong("a line without CR"))?;
    let end = feed + 1;
    let (verb, rest) = match line.iter().position(|byte| *byte == b' ') {
        Some(blank) => (&line[..blank], &line[blank + 1..]),
        None => (line, &b""[..]),
    };
    let control = match (verb, rest) {
        (b"PING", b"") => Line::Ping,
        (b"PONG", b"") => Line::Pong,
        (b"+OK", b"") => Line::Ok,
        (b"INFO", json) => match serde_json::from_slice::<serde_json::Value>(json) {
            Ok(serde_json::Value::Object(_)) => Line::Info(json),
            _ => return Err(wrong("INFO without an object")),
        },
        (b"-ERR", text) if text.len() >= 2 && text.starts_with(b"'") && text.ends_with(b"'") => {
            Line::Err(&text[1..text.len() - 1])
        }
        (b"MSG", args) => return message(bytes, args, end, false).map_err(wrong),
        (b"HMSG", args) => return message(bytes, args, end, true).map_err(wrong),
        _ => return Err(wrong("no such line")),
    };
    Ok(Some((control, end)))
}

type Read<'a> = Result<Option<(Line<'a>, usize)>, &'static str>;

fn message<'a>(bytes: &'a [u8], args: &'a [u8], end: usize, has_headers: bool) -> Read<'a> {
    let words: Vec<&[u8]> = args.split(|byte| *byte == b' ').collect();
    if words.iter().any(|word| word.is_empty()) {
        return Err("an empty argument");
    }
    let lengths = 1 + usize::from(has_headers);
    let (subject, sid, reply, numbers) = match words.len().checked_sub(lengths) {
        Some(2) => (words[0], words[1], &b""[..], &words[2..]),
        Some(3) => (words[0], words[1], words[2], &words[3..]),
        _ => return Err("a wrong number of arguments"),
    };
    let size = number(numbers[lengths - 1])?;
    let header_len = if has_headers { number(numbers[0])? } else { 0 };
    if header_len > size {
        return Err("headers larger than the whole");
    }
    let Some(body) = bytes.get(end..end + size + 2) else {
        return Ok(None);
    };
    if !body.ends_with(b"\r\n") {
        return Err("a payload that does not end where its length says");
    }
    let message = Message {
        subject,
        sid,
        reply,
        headers: has_headers.then_some(&body[..header_len]),
        payload: &body[header_len..size],
    };
    Ok(Some((Line::Message(message), end + size + 2)))
}

fn number(word: &[u8]) -> Result<usize, &'static str> {
    let text = std::str::from_utf8(word).map_err(|_| "a length that is no text")?;
    text.parse().map_err(|_| "a length that is no number")
}
