//! Transforms: a subject that fits a pattern becomes another subject. *Control path* to compile, *hot path* to apply.
//!
//! For subject mappings, imports, and later republishing and sources of streams. The destination is a subject whose
//! tokens may be functions of the source's tokens (`function`). Facts, with their oddities: nats-server
//! `subject_transform.go`; `tests/transforms.rs` asks the real one.
//!
//! What holds: applying never fails. Whoever applies the same transform to the same subject gets the same result, unless
//! [`Transform::depends_on_chance`].
//!
//! It does not check what a function produces: as in nats-server, `{{split(1,-)}}` of a token `-` is an empty token, and
//! the result reaches nobody.

mod error;
mod function;
mod source;
mod step;
#[cfg(test)]
mod tests;

pub use error::{Reason, TransformError};
use function::Function;
pub(super) use source::Source;
use source::{Piece, Shape};
use step::Step;

use super::tokens;

/// A source pattern and what its subjects become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: Source,
    /// Without the `>` that it ends in when the source does: what that stands for is taken over.
    destination: Box<[Step]>,
}

impl Transform {
    /// Compiles what turns subjects of the pattern `source` into `destination`. No source is every subject.
    pub fn compile(source: &str, destination: &str) -> Result<Transform, TransformError> {
        Transform::compiled(source, destination, false)
    }

    /// The strict form, for imports: of the functions only `wildcard`, and as many of them as the source has wildcards.
    pub fn compile_strict(source: &str, destination: &str) -> Result<Transform, TransformError> {
        Transform::compiled(source, destination, true)
    }

    /// The form for subject mappings: white space and broken destinations have errors of their own.
    pub fn compile_mapping(source: &str, destination: &str) -> Result<Transform, TransformError> {
        let mut closed = false;
        for token in destination.split('.') {
            if token.is_empty() || closed {
                return Err(TransformError::new(Reason::InvalidTransform, token));
            }
            if function::is_call(token) {
                let parsed = function::parse(token);
                parsed.map_or_else(unknown_function, |_| Ok(()))?;
            } else if token.contains(SPACE) {
                return Err(TransformError::new(Reason::InvalidTransform, ""));
            }
            closed = token == ">";
        }
        Transform::compile(source, destination)
    }

    fn compiled(
        source: &str,
        destination: &str,
        strict: bool,
    ) -> Result<Transform, TransformError> {
        let source = if source.is_empty() { ">" } else { source };
        let from = Shape::of(source).ok_or_else(TransformError::invalid_subject)?;
        let to = Shape::of(destination).ok_or_else(TransformError::invalid_subject)?;
        if !to.wildcards.is_empty() || from.open != to.open {
            return Err(TransformError::invalid_subject());
        }
        let compiler = Compiler {
            wildcards: &from.wildcards,
            fixed: from.wildcards.is_empty() && !from.open,
            strict,
        };
        let mut steps = Vec::with_capacity(to.tokens.len());
        let mut used = 0;
        for token in &to.tokens {
            steps.push(compiler.step(token, &mut used)?);
        }
        if strict && used < from.wildcards.len() {
            return Err(TransformError::new(Reason::UnusedWildcards, destination));
        }
        Ok(Transform {
            source: Source::from(&from),
            destination: steps.into(),
        })
    }

    /// What the subject becomes; `None` when the source does not match. `random` picks a number below its argument.
    pub fn apply(&self, subject: &[u8], random: &mut impl FnMut(u32) -> u32) -> Option<Vec<u8>> {
        let words: Vec<&[u8]> = tokens(subject).collect();
        self.source
            .matches(&words)
            .then(|| self.rewrite_tokens(subject, &words, random))
    }

    /// What the subject, or a pattern, becomes, when it is known to match.
    pub fn rewrite(&self, subject: &[u8], random: &mut impl FnMut(u32) -> u32) -> Vec<u8> {
        let words: Vec<&[u8]> = tokens(subject).collect();
        self.rewrite_tokens(subject, &words, random)
    }

    /// Whether one subject may become different ones.
    pub fn depends_on_chance(&self) -> bool {
        self.destination
            .iter()
            .any(|step| matches!(step, Step::Random(2..)))
    }

    /// The way back: `None` when the destination has other functions than `wildcard`, leaves a wildcard out, or has one twice.
    ///
    /// It is the inverse for any order of the wildcards. nats-server's is so only when the order is its own inverse.
    pub fn reverse(&self) -> Option<Transform> {
        let pieces = self.destination.iter().map(|step| match step {
            Step::Literal(text) => Some(Piece::Literal(text.clone())),
            Step::Wildcard(_) => Some(Piece::Any),
            _ => None,
        });
        let source = Source {
            pieces: pieces.collect::<Option<_>>()?,
            open: self.source.open,
        };
        if source.wildcards() != self.source.wildcards() {
            return None;
        }
        let place_of = |wildcard| {
            let mut steps = self.destination.iter();
            steps.position(|step| *step == Step::Wildcard(wildcard))
        };
        let pieces = self.source.pieces.iter().enumerate();
        let steps = pieces.map(|(position, piece)| match piece {
            Piece::Literal(text) => Some(Step::Literal(text.clone())),
            Piece::Any => place_of(position).map(Step::Wildcard),
        });
        Some(Transform {
            source,
            destination: steps.collect::<Option<_>>()?,
        })
    }

    fn rewrite_tokens(
        &self,
        subject: &[u8],
        words: &[&[u8]],
        random: &mut impl FnMut(u32) -> u32,
    ) -> Vec<u8> {
        let mut result = Vec::with_capacity(subject.len() + SLACK);
        for (index, step) in self.destination.iter().enumerate() {
            if index > 0 {
                result.push(b'.');
            }
            step.write(subject, words, random, &mut result);
        }
        if self.source.open {
            for (index, word) in words.iter().skip(self.source.pieces.len()).enumerate() {
                if index > 0 || !self.destination.is_empty() {
                    result.push(b'.');
                }
                result.extend_from_slice(word);
            }
        }
        result
    }
}

/// Other mistakes are told in the order of the compiler.
fn unknown_function(error: TransformError) -> Result<(), TransformError> {
    match error.reason {
        Reason::UnknownFunction => Err(error),
        _ => Ok(()),
    }
}

/// What separates words for nats-server; none is allowed in a subject.
pub(super) const SPACE: &[char] = &['\t', '\n', '\u{c}', '\r', ' '];

/// Results are mostly about as long as what they were made from.
const SLACK: usize = 16;

/// The wildcards of a pattern as `$1`, `$2` and so on: the destination that changes nothing.
pub fn numbered(pattern: &str) -> String {
    let mut number = 0;
    let tokens = pattern.split('.').map(|token| {
        if token != "*" {
            return token.to_owned();
        }
        number += 1;
        format!("${number}")
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// The pattern of all that a destination can produce, if it has no functions but `wildcard`: each of those is a `*`.
pub fn unnumbered(destination: &str) -> String {
    let tokens = destination.split('.').map(|token| {
        if function::stands_for_wildcard(token) {
            "*"
        } else {
            token
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// Turns destination tokens into steps.
struct Compiler<'a> {
    /// Where the source's wildcards stand.
    wildcards: &'a [usize],
    /// The source is one subject only.
    fixed: bool,
    strict: bool,
}

impl Compiler<'_> {
    /// `used` counts the wildcards that functions name.
    fn step(&self, token: &str, used: &mut usize) -> Result<Step, TransformError> {
        let Some(function) = function::parse(token)? else {
            return Ok(Step::Literal(token.as_bytes().into()));
        };
        if self.fixed && !matches!(function, Function::Random(_) | Function::Partition { .. }) {
            return Err(TransformError::new(Reason::WildcardOutOfRange, token));
        }
        if self.strict && !self.fixed && !matches!(function, Function::Wildcard(_)) {
            return Err(TransformError::new(Reason::NotForImports, token));
        }
        let mut position = |wildcard: i64| {
            *used += 1;
            self.position(token, wildcard)
        };
        Ok(match function {
            Function::Wildcard(wildcard) => Step::Wildcard(position(wildcard)?),
            Function::Partition { wildcards, count } => Step::Partition {
                // Where there are no wildcards, what is said of them is ignored.
                positions: if self.fixed {
                    Box::default()
                } else {
                    wildcards
                        .into_iter()
                        .map(position)
                        .collect::<Result<_, _>>()?
                },
                count,
            },
            Function::Split {
                wildcard,
                delimiter,
            } => Step::Split {
                position: position(wildcard)?,
                delimiter: delimiter.into_boxed_str().into_boxed_bytes(),
            },
            Function::Cut { wildcard, at, from } => Step::Cut {
                position: position(wildcard)?,
                at,
                from,
            },
            Function::Slice {
                wildcard,
                size,
                from,
            } => Step::Slice {
                position: position(wildcard)?,
                size,
                from,
            },
            Function::Keep {
                wildcard,
                length,
                from,
            } => Step::Keep {
                position: position(wildcard)?,
                length,
                from,
            },
            Function::Random(bound) => Step::Random(bound),
        })
    }

    /// Where the n-th wildcard stands. Numbers below 1 are the first token, wildcard or not: nats-server's oddity.
    fn position(&self, token: &str, wildcard: i64) -> Result<usize, TransformError> {
        let Ok(number @ 1..) = usize::try_from(wildcard) else {
            return Ok(0);
        };
        let position = self.wildcards.get(number - 1).copied();
        position.ok_or_else(|| {
            TransformError::new(Reason::WildcardOutOfRange, format!("{token}: [{wildcard}]"))
        })
    }
}
