//! Arbitrary bytes, arriving in arbitrary pieces, are the same operations and the same mistake as in one piece.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trunkline::protocol::op::Op;
use trunkline::protocol::parser::{Limits, ParseError, Step, essential, parse};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    headers: bool,
    /// Lengths of the pieces, used in turn.
    pieces: Vec<u8>,
    bytes: &'a [u8],
}

/// Operations with their bytes, and how it ended.
type Outcome = (Vec<String>, Option<ParseError>);

fuzz_target!(|input: Input<'_>| {
    let limits = Limits {
        control_line: 64,
        payload: 128,
        headers: input.headers,
    };
    let whole = run([input.bytes].into_iter(), &limits);
    let pieces = run(split(input.bytes, &input.pieces), &limits);
    assert_eq!(whole, pieces);
});

fn split<'a>(bytes: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut left = bytes;
    let mut lengths = lengths.iter().cycle();
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let length = lengths
            .next()
            .map_or(1, |length| usize::from(*length).max(1));
        let (piece, rest) = left.split_at(length.min(left.len()));
        left = rest;
        Some(piece)
    })
}

fn run<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut found = Vec::new();
    let mut carry = Vec::new();
    for piece in pieces {
        carry.extend_from_slice(piece);
        let mut taken = 0;
        while taken < carry.len() {
            let left = &carry[taken..];
            match parse(left, limits) {
                Ok(Step::Op(op, len)) => {
                    assert!(len > 0 && len <= left.len());
                    found.push(own(op));
                    taken += len;
                }
                Ok(Step::More(wanted)) => {
                    assert!(wanted > left.len(), "it asks for what it has");
                    // Blanks before the arguments do not count for the limit, as in nats-server.
                    let is_blank = |byte: &&u8| matches!(**byte, b' ' | b'\t');
                    let blanks = left.iter().filter(is_blank).count();
                    let longest = 6 + blanks + limits.control_line + 2 + limits.payload + 2;
                    assert!(wanted <= longest || wanted == left.len() + 1);
                    break;
                }
                Err(error) => return (found, Some(error)),
            }
        }
        carry.drain(..taken);
        carry.truncate(essential(&carry).len());
    }
    (found, None)
}

/// All that anybody can see of an operation.
fn own(op: Op<'_>) -> String {
    let mut scratch = Vec::new();
    let message = match op {
        Op::Publish(message) => message,
        Op::PublishLoose(loose) => loose.tighten(&mut scratch),
        other => return format!("{other:?}"),
    };
    let parts = (message.reply(), message.headers(), message.payload());
    assert_eq!(parts.1.len() + parts.2.len(), message.size());
    format!("{:?} {parts:?}", message.subject)
}
