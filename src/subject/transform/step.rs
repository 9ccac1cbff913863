//! The steps of a compiled destination, one per token, and what each writes. *Hot path.*
//!
//! Pure. A step takes what it needs from the subject's tokens and never fails; a token that is not there is empty.

use std::io::Write as _;

use super::function::End;

/// One token of the destination; positions are those of the source's tokens, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Literal(Box<[u8]>),
    Wildcard(usize),
    Partition {
        /// The tokens that are hashed; none is the whole subject.
        positions: Box<[usize]>,
        count: u32,
    },
    Split {
        position: usize,
        delimiter: Box<[u8]>,
    },
    /// In two, so many bytes from an end.
    Cut {
        position: usize,
        at: i32,
        from: End,
    },
    /// In pieces of so many bytes.
    Slice {
        position: usize,
        size: i32,
        from: End,
    },
    /// So many bytes at an end, and no others.
    Keep {
        position: usize,
        length: i32,
        from: End,
    },
    Random(u32),
}

impl Step {
    pub(super) fn write(
        &self,
        subject: &[u8],
        words: &[&[u8]],
        random: &mut impl FnMut(u32) -> u32,
        result: &mut Vec<u8>,
    ) {
        // Patterns that are rewritten may have fewer tokens.
        let word = |position: &usize| words.get(*position).copied().unwrap_or_default();
        match self {
            Step::Literal(text) => result.extend_from_slice(text),
            Step::Wildcard(position) => result.extend_from_slice(word(position)),
            Step::Partition { positions, count } => {
                let hash = if positions.is_empty() {
                    fnv_1a(subject)
                } else {
                    fnv_1a(positions.iter().flat_map(word))
                };
                write_number(result, hash.checked_rem(*count).unwrap_or(0));
            }
            Step::Split {
                position,
                delimiter,
            } => write_split(result, word(position), delimiter),
            Step::Cut { position, at, from } => write_cut(result, word(position), *at, *from),
            Step::Slice {
                position,
                size,
                from,
            } => write_slices(result, word(position), *size, *from),
            Step::Keep {
                position,
                length,
                from,
            } => {
                let word = word(position);
                result.extend_from_slice(match (inside(word, *length), from) {
                    (None, _) => word,
                    (Some(length), End::Left) => &word[..length],
                    (Some(length), End::Right) => &word[word.len() - length..],
                });
            }
            // Nothing to choose from is 0, as for partitions.
            Step::Random(0 | 1) => result.push(b'0'),
            Step::Random(bound) => write_number(result, random(*bound)),
        }
    }
}

/// A length that leaves something of the word; a function with any other changes nothing.
fn inside(word: &[u8], length: i32) -> Option<usize> {
    let length = usize::try_from(length).ok()?;
    (0 < length && length < word.len()).then_some(length)
}

fn write_number(result: &mut Vec<u8>, number: u32) {
    // A vector takes everything.
    let _ = write!(result, "{number}");
}

fn write_cut(result: &mut Vec<u8>, word: &[u8], at: i32, from: End) {
    let Some(at) = inside(word, at) else {
        result.extend_from_slice(word);
        return;
    };
    let (left, right) = word.split_at(match from {
        End::Left => at,
        End::Right => word.len() - at,
    });
    result.extend_from_slice(left);
    result.push(b'.');
    result.extend_from_slice(right);
}

fn write_slices(result: &mut Vec<u8>, word: &[u8], size: i32, from: End) {
    let Some(size) = inside(word, size) else {
        result.extend_from_slice(word);
        return;
    };
    // What does not fill a slice is at the other end.
    let (odd, even) = word.split_at(match from {
        End::Left => 0,
        End::Right => word.len() % size,
    });
    result.extend_from_slice(odd);
    for (index, slice) in even.chunks(size).enumerate() {
        if index > 0 || !odd.is_empty() {
            result.push(b'.');
        }
        result.extend_from_slice(slice);
    }
}

/// The parts between the delimiters, those that are not empty. A dot stands before each of them but the first part, and
/// the second when the first is empty.
fn write_split(result: &mut Vec<u8>, word: &[u8], delimiter: &[u8]) {
    let parts = split(word, delimiter);
    for (index, part) in parts.iter().enumerate() {
        result.extend_from_slice(part);
        let next_counts = parts.get(index + 1).is_some_and(|next| !next.is_empty());
        if next_counts && !(index == 0 && part.is_empty()) {
            result.push(b'.');
        }
    }
}

/// Parts between delimiters; an empty delimiter is between any two characters.
fn split<'a>(word: &'a [u8], delimiter: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut rest = word;
    if delimiter.is_empty() {
        while !rest.is_empty() {
            let (character, behind) = rest.split_at(character_length(rest));
            parts.push(character);
            rest = behind;
        }
        return parts;
    }
    while let Some(at) = memchr::memmem::find(rest, delimiter) {
        parts.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
    }
    parts.push(rest);
    parts
}

/// How long the first character is; a byte that begins none is one by itself.
fn character_length(bytes: &[u8]) -> usize {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or(1, char::len_utf8)
}

/// FNV-1a of 32 bits: partitions must be the same on every server of a cluster, nats-server's included.
pub(super) fn fnv_1a<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
