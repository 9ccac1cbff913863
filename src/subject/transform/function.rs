//! The functions that a token of a destination may be: `$1`, `{{wildcard(1)}}`, `{{partition(10,1,2)}}` and so on.
//!
//! Pure. The grammar is nats-server's, which looks for `{{name(arguments)}}` anywhere in a token that begins and ends in
//! braces, name by name: `{{x{{wildcard(1)}}` is a wildcard. The first letter of each word of a name has any case.
//!
//! Which token of the source a wildcard is, is not decided here.

use super::SPACE;
use super::error::{Reason, TransformError};

/// A call, checked; wildcards are numbered from 1, but any number may have been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Wildcard(i64),
    Partition {
        wildcards: Vec<i64>,
        count: u32,
    },
    Split {
        wildcard: i64,
        delimiter: String,
    },
    Cut {
        wildcard: i64,
        at: i32,
        from: End,
    },
    Slice {
        wildcard: i64,
        size: i32,
        from: End,
    },
    Keep {
        wildcard: i64,
        length: i32,
        from: End,
    },
    Random(u32),
}

/// The end of a token from which a function counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

/// The function that a token is; `None` when it stands for itself.
pub(super) fn parse(token: &str) -> Result<Option<Function>, TransformError> {
    if let Some(number) = token.strip_prefix('$') {
        // `$JS` and its like are subjects.
        return Ok(number.parse().ok().map(Function::Wildcard));
    }
    if !is_call(token) {
        return Ok(None);
    }
    for (words, kind) in NAMES {
        if let Some(arguments) = arguments(token, words) {
            let function = kind.function(&arguments);
            return function
                .map(Some)
                .map_err(|reason| TransformError::new(reason, token));
        }
    }
    Err(TransformError::new(Reason::UnknownFunction, token))
}

/// Whether a token looks like a call: then it must be one, and may contain white space.
pub(super) fn is_call(token: &str) -> bool {
    token.len() > 4 && token.starts_with("{{") && token.ends_with("}}")
}

/// Whether a token of an import's subject stands for a wildcard.
pub(super) fn stands_for_wildcard(token: &str) -> bool {
    let dollar = token
        .strip_prefix('$')
        .is_some_and(|number| number.starts_with(|digit| matches!(digit, '1'..='9')));
    dollar
        || arguments(token, &["wildcard"])
            .is_some_and(|found| found.len() == 1 && !found[0].is_empty())
}

/// In the order in which they are looked for.
const NAMES: [(&[&str], Kind); 10] = [
    (&["wildcard"], Kind::Wildcard),
    (&["partition"], Kind::Partition),
    (&["split", "from", "left"], Kind::Cut(End::Left)),
    (&["split", "from", "right"], Kind::Cut(End::Right)),
    (&["slice", "from", "left"], Kind::Slice(End::Left)),
    (&["slice", "from", "right"], Kind::Slice(End::Right)),
    (&["right"], Kind::Keep(End::Right)),
    (&["left"], Kind::Keep(End::Left)),
    (&["split"], Kind::Split),
    (&["random"], Kind::Random),
];

#[derive(Clone, Copy)]
enum Kind {
    Wildcard,
    Partition,
    Split,
    Cut(End),
    Slice(End),
    Keep(End),
    Random,
}

impl Kind {
    fn function(self, arguments: &[&str]) -> Result<Function, Reason> {
        match self {
            Kind::Wildcard => match arguments {
                [""] => Err(Reason::NotEnoughArguments),
                [wildcard] => number(wildcard).map(Function::Wildcard),
                _ => Err(Reason::TooManyArguments),
            },
            Kind::Partition => {
                let count = count(arguments.first().copied().unwrap_or_default())?;
                let wildcards = arguments.iter().skip(1).map(|argument| number(argument));
                Ok(Function::Partition {
                    wildcards: wildcards.collect::<Result<_, _>>()?,
                    // Negative counts are taken as nats-server takes them: as the same bits.
                    count: count.cast_unsigned(),
                })
            }
            Kind::Split => {
                let [wildcard, delimiter] = pair(arguments)?;
                let wildcard = number(wildcard)?;
                if delimiter.contains(' ') {
                    return Err(Reason::InvalidArgument);
                }
                Ok(Function::Split {
                    wildcard,
                    delimiter: delimiter.to_owned(),
                })
            }
            Kind::Cut(from) => {
                let (wildcard, at) = wildcard_and_length(arguments)?;
                Ok(Function::Cut { wildcard, at, from })
            }
            Kind::Slice(from) => {
                let (wildcard, size) = wildcard_and_length(arguments)?;
                Ok(Function::Slice {
                    wildcard,
                    size,
                    from,
                })
            }
            Kind::Keep(from) => {
                let (wildcard, length) = wildcard_and_length(arguments)?;
                Ok(Function::Keep {
                    wildcard,
                    length,
                    from,
                })
            }
            Kind::Random => match arguments {
                // A number modulo a negative one is what it is modulo the positive one.
                [bound] => Ok(Function::Random(count(bound)?.unsigned_abs())),
                _ => Err(Reason::NotEnoughArguments),
            },
        }
    }
}

fn pair<'a>(arguments: &[&'a str]) -> Result<[&'a str; 2], Reason> {
    match *arguments {
        [first, second] => Ok([first, second]),
        [] | [_] => Err(Reason::NotEnoughArguments),
        _ => Err(Reason::TooManyArguments),
    }
}

fn wildcard_and_length(arguments: &[&str]) -> Result<(i64, i32), Reason> {
    let [wildcard, length] = pair(arguments)?;
    let wildcard = number(wildcard)?;
    let length = number(length)?;
    let length = i32::try_from(length).map_err(|_| Reason::InvalidArgument)?;
    Ok((wildcard, length))
}

fn number(argument: &str) -> Result<i64, Reason> {
    argument
        .trim_matches(' ')
        .parse()
        .map_err(|_| Reason::InvalidArgument)
}

/// Too large is refused, too small wraps around.
fn count(argument: &str) -> Result<i32, Reason> {
    let number = number(argument)?;
    if number > i64::from(i32::MAX) {
        return Err(Reason::InvalidArgument);
    }
    let [a, b, c, d, ..] = number.to_le_bytes();
    Ok(i32::from_le_bytes([a, b, c, d]))
}

/// The arguments of the first call of this name that closes, in a token; the last `)}}` closes it.
fn arguments<'a>(token: &'a str, words: &[&str]) -> Option<Vec<&'a str>> {
    let mut calls = token
        .char_indices()
        .filter_map(|(at, _)| token[at..].strip_prefix("{{"));
    calls.find_map(|call| {
        let behind = without_name(call.trim_start_matches(SPACE), words)?;
        let inside = behind.trim_start_matches(SPACE).strip_prefix('(')?;
        // Arguments are on one line; what is between them and the braces need not be.
        let line = inside.split('\n').next().unwrap_or_default();
        let (end, _) = line
            .rmatch_indices(')')
            .find(|(at, _)| inside[at + 1..].trim_start_matches(SPACE).starts_with("}}"))?;
        let list = inside[..end].split(',').enumerate();
        Some(
            list.map(|(index, argument)| match index {
                0 => argument,
                _ => argument.trim_start_matches(SPACE),
            })
            .collect(),
        )
    })
}

fn without_name<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().try_fold(text, |rest, word| {
        let (first, others) = word.split_at(1);
        let initial = rest.get(..1)?;
        initial
            .eq_ignore_ascii_case(first)
            .then(|| rest[1..].strip_prefix(others))?
    })
}
