//! A transcript as text, turned into settings and steps. Nothing here knows a socket.
//!
//! The format is described in `README.md` beside this file. Everything that cannot be understood is
//! an error with its line number: a step that is silently skipped is a test that cannot fail.

use std::time::Duration;

/// A parsed transcript.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) settings: Vec<Setting>,
    pub(crate) lines: Vec<Line>,
}

/// How the server is to be started.
#[derive(Debug)]
pub(crate) enum Setting {
    /// Flags that both servers have.
    Flags(Vec<String>),
    /// An option that `nats-server` has in its configuration file only.
    Option {
        name: String,
        value: String,
    },
    /// A line for the configuration file of both servers.
    File(String),
    /// A line for the configuration file of `nats-server`.
    NatsServerConfig(String),
    NatsServerFlags(Vec<String>),
    TrunklineFlags(Vec<String>),
}

/// A step and where it was written.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) step: Step,
}

#[derive(Debug)]
pub(crate) enum Step {
    Sleep(Duration),
    /// A line of the next configuration file.
    File(String),
    /// The server reads the lines since the last time as its file, and takes them, or does not.
    Reload {
        is_taken: bool,
    },
    /// The server's log has a line that ends like this.
    Logged(Pattern),
    /// Nothing like this is anywhere in the server's log so far.
    NotLogged(String),
    /// Together the connections get so many messages of this head, whoever gets which.
    Share {
        connections: Vec<String>,
        count: usize,
        head: Pattern,
    },
    On {
        connection: String,
        act: Act,
    },
}

/// What one connection does or sees.
#[derive(Debug)]
pub(crate) enum Act {
    Connect,
    /// Connect, read INFO, send CONNECT with this JSON, and wait for it to be taken in.
    Join(String),
    /// Read INFO, and send CONNECT with this JSON and one more field: the signature of INFO's nonce.
    Sign {
        field: String,
        seed: String,
        options: String,
    },
    Send(Vec<u8>),
    Trickle(Vec<u8>),
    Sync,
    Close,
    Line(Pattern),
    Bytes(Vec<u8>),
    Info(Vec<(String, Field)>),
    End,
    Silence(Duration),
}

/// What a field of INFO must be.
#[derive(Debug, PartialEq)]
pub(crate) enum Field {
    Absent,
    Text,
    Number,
    Value(serde_json::Value),
}

/// A line with gaps: the pieces must follow one another, with anything between them.
#[derive(Debug, PartialEq)]
pub(crate) struct Pattern(Vec<Vec<u8>>);

impl Script {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self {
            settings: Vec::new(),
            lines: Vec::new(),
        };
        for (number, text) in (1..).zip(text.lines()) {
            let failed = |why| format!(":{number}: {text}\n    {why}");
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(setting) = text.strip_prefix('@') {
                script
                    .settings
                    .push(parse_setting(setting).map_err(failed)?);
            } else {
                let step = parse_step(text).map_err(failed)?;
                script.lines.push(Line {
                    number,
                    text: text.to_owned(),
                    step,
                });
            }
        }
        if script.lines.is_empty() {
            Err(": there is no step in it".to_owned())
        } else {
            Ok(script)
        }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        text.split("{*}")
            .map(repeated)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        let [first, between @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| only == line);
        };
        let Some(mut rest) = line.strip_prefix(first.as_slice()) else {
            return false;
        };
        for piece in between {
            let Some(at) = find(rest, piece) else {
                return false;
            };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    if piece.is_empty() {
        return Some(0);
    }
    text.windows(piece.len()).position(|window| window == piece)
}

fn parse_setting(text: &str) -> Result<Setting, String> {
    let (kind, rest) = text.split_once(' ').ok_or("a setting has a value")?;
    let flags = || rest.split_whitespace().map(str::to_owned).collect();
    match kind {
        "server" => Ok(Setting::Flags(flags())),
        "nats-server" => Ok(Setting::NatsServerFlags(flags())),
        "trunkline" => Ok(Setting::TrunklineFlags(flags())),
        "file" => Ok(Setting::File(rest.to_owned())),
        "nats-server-config" => Ok(Setting::NatsServerConfig(rest.to_owned())),
        "config" => {
            let (name, value) = rest
                .split_once(':')
                .ok_or("an option is written `name: value`")?;
            Ok(Setting::Option {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
            })
        }
        _ => Err(format!("no such setting: @{kind}")),
    }
}

fn parse_step(text: &str) -> Result<Step, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "sleep" => parse_span(rest).map(Step::Sleep),
        "share" => parse_share(rest),
        "file" => Ok(Step::File(rest.to_owned())),
        "reload" if rest.is_empty() => Ok(Step::Reload { is_taken: true }),
        "reload" if rest == "refused" => Ok(Step::Reload { is_taken: false }),
        "logged" if rest.is_empty() => Err("a log line is not empty".to_owned()),
        "logged" => Pattern::parse(&format!("{{*}}{rest}")).map(Step::Logged),
        "unlogged" if rest.is_empty() => Err("a log line is not empty".to_owned()),
        "unlogged" => Ok(Step::NotLogged(rest.to_owned())),
        _ => parse_on(word, rest),
    }
}

/// `A> …` has its connection and its mark in one word, `A joins …` in two.
fn parse_on(word: &str, rest: &str) -> Result<Step, String> {
    let end = word
        .find(|letter: char| !letter.is_ascii_alphanumeric())
        .unwrap_or(word.len());
    let (connection, mark) = word.split_at(end);
    if !connection.starts_with(|letter: char| letter.is_ascii_uppercase()) {
        return Err("a step begins with the name of a connection, in capitals".to_owned());
    }
    let act = match mark {
        ">" => Act::Send([repeated(rest)?.as_slice(), b"\r\n"].concat()),
        ">>" => Act::Send(unescaped(rest)?),
        ".>" => Act::Trickle(unescaped(rest)?),
        "<" if rest == "EOF" => Act::End,
        "<" => Act::Line(Pattern::parse(rest)?),
        "<<" => Act::Bytes(unescaped(rest)?),
        "<info" => Act::Info(
            rest.split_whitespace()
                .map(parse_field)
                .collect::<Result<_, _>>()?,
        ),
        "" => parse_act(rest)?,
        _ => return Err(format!("no such mark: {mark}")),
    };
    Ok(Step::On {
        connection: connection.to_owned(),
        act,
    })
}

fn parse_act(text: &str) -> Result<Act, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (verb, rest) {
        ("connects", "") => Ok(Act::Connect),
        ("joins", "") => Ok(Act::Join(
            r#"{"verbose":false,"pedantic":false}"#.to_owned(),
        )),
        ("joins", options) => Ok(Act::Join(options.to_owned())),
        ("signs", rest) => {
            let mut words = rest.splitn(3, ' ').map(str::to_owned);
            match (words.next(), words.next(), words.next()) {
                (Some(field), Some(seed), Some(options)) => Ok(Act::Sign {
                    field,
                    seed,
                    options,
                }),
                _ => Err("a signature is written `A signs sig SEED {…}`".to_owned()),
            }
        }
        ("syncs", "") => Ok(Act::Sync),
        ("closes", "") => Ok(Act::Close),
        ("silent", span) => parse_span(span).map(Act::Silence),
        _ => Err(format!("no such act: {text}")),
    }
}

fn parse_share(text: &str) -> Result<Step, String> {
    let wrong = "a share is written `share A B: 3 of MSG …`";
    let (connections, rest) = text.split_once(": ").ok_or(wrong)?;
    let (count, head) = rest.split_once(" of ").ok_or(wrong)?;
    Ok(Step::Share {
        connections: connections.split_whitespace().map(str::to_owned).collect(),
        count: count.parse().map_err(|_| wrong)?,
        head: Pattern::parse(head)?,
    })
}

fn parse_field(text: &str) -> Result<(String, Field), String> {
    let (name, wanted) = text
        .split_once('=')
        .ok_or("a field is written `name=value`")?;
    let field = match wanted {
        "absent" => Field::Absent,
        "text" => Field::Text,
        "number" => Field::Number,
        json => {
            Field::Value(serde_json::from_str(json).map_err(|error| format!("{json}: {error}"))?)
        }
    };
    Ok((name.to_owned(), field))
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let milliseconds = text
        .strip_suffix("ms")
        .and_then(|digits| digits.parse().ok());
    milliseconds
        .map(Duration::from_millis)
        .ok_or_else(|| format!("a time is written `200ms`, not {text:?}"))
}

/// Writes `{ab*3}` out as `ababab`. Other braces, as in JSON, stay as they are.
fn repeated(text: &str) -> Result<Vec<u8>, String> {
    let mut written = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let (before, from_brace) = rest.split_at(start);
        written.extend_from_slice(before.as_bytes());
        let repeat = from_brace[1..].split_once('}').and_then(|(inside, after)| {
            let (piece, count) = inside.rsplit_once('*')?;
            // A brace inside would be a repeat in a repeat, which nobody could read.
            let count = count
                .parse::<usize>()
                .ok()
                .filter(|_| !piece.contains('{'))?;
            Some((piece, count, after))
        });
        rest = if let Some((piece, count, after)) = repeat {
            written.extend_from_slice(piece.repeat(count).as_bytes());
            after
        } else {
            written.push(b'{');
            &from_brace[1..]
        };
    }
    written.extend_from_slice(rest.as_bytes());
    Ok(written)
}

/// Repeats, and then `\r`, `\n`, `\t`, `\\` and `\xNN`.
fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut written = Vec::new();
    let mut bytes = repeated(text)?.into_iter();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            written.push(byte);
            continue;
        }
        written.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                hexadecimal(&digits)
                    .ok_or_else(|| format!("\\x{} is no byte", digits.escape_ascii()))?
            }
            other => return Err(format!("no such escape: {:?}", other.map(char::from))),
        });
    }
    Ok(written)
}

/// Exactly two digits: one fewer would take in whatever happens to follow.
fn hexadecimal(digits: &[u8]) -> Option<u8> {
    if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
