//! The parser against a naive one, over whole dialogues cut at random points.

use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    control_line: 64,
    payload: 32,
    headers: true,
};

/// An operation with its bytes copied out, so that the two parsers' results can be compared.
#[derive(Debug, PartialEq)]
enum Owned {
    Publish {
        subject: Vec<u8>,
        tail: Vec<u8>,
        headers: Vec<u8>,
        payload: Vec<u8>,
    },
    Other(String),
    Failed(ParseError),
}

fn own(op: Op<'_>) -> Owned {
    let mut scratch = Vec::new();
    let message = match op {
        Op::Publish(message) => message,
        Op::PublishLoose(loose) => loose.tighten(&mut scratch),
        other => return Owned::Other(format!("{other:?}")),
    };
    Owned::Publish {
        subject: message.subject.to_vec(),
        tail: message.tail.to_vec(),
        headers: message.headers().to_vec(),
        payload: message.payload().to_vec(),
    }
}

/// All operations of a dialogue that arrives in the given pieces.
fn parse_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Owned> {
    let mut found = Vec::new();
    let mut carry: Vec<u8> = Vec::new();
    for piece in pieces {
        carry.extend_from_slice(piece);
        let mut taken = 0;
        let mut memo = LineMemo::default();
        while taken < carry.len() {
            if let Some((run, len)) = next_run(&carry[taken..], &LIMITS, &mut memo, true) {
                found.extend(run.singly().map(|one| own(Op::Publish(one.first))));
                taken += len;
                continue;
            }
            match parse(&carry[taken..], &LIMITS) {
                Ok(Step::Op(op, len)) => {
                    assert!(len > 0 && len <= carry.len() - taken);
                    found.push(own(op));
                    taken += len;
                }
                Ok(Step::More(wanted)) => {
                    assert!(wanted > carry.len() - taken, "it asks for what it has");
                    assert!(wanted <= 5 + 64 + 2 + 32 + 2 + 5 || wanted == carry.len() - taken + 1);
                    break;
                }
                Err(error) => {
                    found.push(Owned::Failed(error));
                    return found;
                }
            }
        }
        carry.drain(..taken);
    }
    found
}

/// The naive parser: lines, then words, then a slice.
fn parse_naively(mut bytes: &[u8]) -> Vec<Owned> {
    let mut found = Vec::new();
    while let Some(feed) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = bytes[..feed].strip_suffix(b"\r").unwrap_or(&bytes[..feed]);
        let text = String::from_utf8(line.to_vec()).expect("dialogues are text");
        let words: Vec<&str> = text
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        bytes = &bytes[feed + 1..];
        let verb = words[0].to_uppercase();
        let with_headers = verb == "HPUB";
        if verb != "PUB" && !with_headers {
            found.push(Owned::Other(match (verb.as_str(), words.as_slice()) {
                ("PING", _) => format!("{:?}", Op::Ping),
                ("PONG", _) => format!("{:?}", Op::Pong),
                ("SUB", [_, subject, sid]) => subscribe_text(subject, "", sid),
                ("SUB", [_, subject, queue, sid]) => subscribe_text(subject, queue, sid),
                ("UNSUB", [_, sid, max @ ..]) => {
                    let max = max.first().and_then(|max| max.parse().ok());
                    format!(
                        "{:?}",
                        Op::Unsubscribe {
                            sid: sid.as_bytes(),
                            max
                        }
                    )
                }
                other => panic!("not in the strategy: {other:?}"),
            }));
            continue;
        }
        let numbers = if with_headers { 2 } else { 1 };
        let size: usize = words[words.len() - 1].parse().expect("number");
        let header: usize = if with_headers {
            words[words.len() - 2].parse().expect("number")
        } else {
            0
        };
        let mut arguments = words[2..].to_vec();
        if with_headers && header == 0 {
            // No headers, so a plain message.
            arguments.remove(arguments.len() - 2);
        }
        let tail_line = arguments.join(" ");
        assert!(words.len() == 2 + numbers || words.len() == 3 + numbers);
        let Some(body) = bytes.get(..size + 2) else {
            break;
        };
        found.push(Owned::Publish {
            subject: words[1].as_bytes().to_vec(),
            tail: [tail_line.as_bytes(), b"\r\n", body].concat(),
            headers: body[..header].to_vec(),
            payload: body[header..size].to_vec(),
        });
        bytes = &bytes[size + 2..];
    }
    found
}

fn subscribe_text(subject: &str, queue: &str, sid: &str) -> String {
    let (subject, queue, sid) = (subject.as_bytes(), queue.as_bytes(), sid.as_bytes());
    format!(
        "{:?}",
        Op::Subscribe {
            subject,
            queue,
            sid
        }
    )
}

fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let blank = prop_oneof![8 => Just(" "), 1 => Just("\t"), 1 => Just("  "), 1 => Just(" \t ")];
    let ending = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just(" \r\n")];
    let word = "[a-z*>.]{1,12}";
    let verb = |name: &'static str| prop_oneof![4 => Just(name.to_owned()), 1 => Just(name.to_lowercase())];
    let line = move |verb: BoxedStrategy<String>, words: BoxedStrategy<Vec<String>>| {
        (verb, words, blank.clone(), ending.clone()).prop_map(|(verb, words, blank, ending)| {
            let mut line = vec![verb];
            line.extend(words);
            line.join(blank) + ending
        })
    };
    let publish = (
        prop::collection::vec(word, 1..3),
        "[ -~\r\n]{0,32}",
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_flat_map(move |(words, body, at, with_headers)| {
            let mut words = words;
            if with_headers {
                words.push(at.index(body.len() + 1).to_string());
            }
            words.push(body.len().to_string());
            let name = if with_headers { "HPUB" } else { "PUB" };
            line(verb(name).boxed(), Just(words).boxed())
                .prop_map(move |line| line + &body + "\r\n")
        });
    let blank = Just(" ");
    let ending = prop_oneof![Just("\r\n"), Just("\n")];
    let plain = (
        prop_oneof![
            (verb("SUB"), prop::collection::vec(word, 2..4)),
            (verb("UNSUB"), prop::collection::vec("[0-9]{1,8}", 1..3)),
            (verb("PING"), Just(vec![])),
            (verb("PONG"), Just(vec![])),
        ],
        blank,
        ending,
    )
        .prop_map(|((verb, words), blank, ending)| {
            let mut line = vec![verb];
            line.extend(words);
            line.join(blank) + ending
        });
    prop::collection::vec(
        (
            prop_oneof![2 => publish.boxed(), 1 => plain.boxed()],
            1usize..4,
        ),
        0..8,
    )
    .prop_map(|lines| {
        lines
            .into_iter()
            .map(|(line, times)| line.repeat(times))
            .collect::<String>()
            .into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_dialogue_cut_anywhere_is_the_naive_parsers(bytes in dialogue(), piece in 1usize..40) {
        let expected = parse_naively(&bytes);
        prop_assert_eq!(parse_pieces(std::iter::once(bytes.as_slice())), parse_naively(&bytes));
        prop_assert_eq!(parse_pieces(bytes.chunks(piece)), expected);
    }

    /// Whatever arrives, in whatever pieces: the same operations, or the same complaint, and never a panic.
    #[test]
    fn garbage_is_judged_alike_however_it_is_cut(
        bytes in prop::collection::vec(prop_oneof![
            8 => prop::sample::select(b"PUBHSCONEIG+-RKpubs \t\r\n0123456789.*>a{}".to_vec()),
            1 => any::<u8>()], 0..200),
        piece in 1usize..30,
    ) {
        let whole = parse_pieces(std::iter::once(bytes.as_slice()));
        prop_assert_eq!(whole, parse_pieces(bytes.chunks(piece)));
    }
}

fn only_error(text: &str) -> ParseError {
    match parse(text.as_bytes(), &LIMITS) {
        Err(error) => error,
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn wrong_beginnings_are_told_before_the_line_ends() {
    for text in [
        "X",
        "PX",
        "PUBX",
        "PUB\r\n",
        "HMSG ",
        "MSG a 1 1\r\n",
        "R",
        "L",
        "A+",
        "\r\n",
        "\0",
    ] {
        assert_eq!(only_error(text), ParseError::UnknownOperation, "{text:?}");
    }
}

#[test]
fn arguments_are_counted_and_numbers_checked() {
    for text in [
        "PUB \r\n",
        "PUB a\r\n",
        "PUB a b c 1\r\n",
        "PUB a -1\r\n",
        "PUB a +1\r\n",
        "PUB a 1x\r\n",
        "PUB a 9999999999\r\n",
        "PUB a 99999999999999999999\r\n",
        "HPUB a 1\r\n",
        "HPUB a 2 1\r\n",
        "HPUB a x 1\r\n",
        "SUB a\r\n",
        "SUB a b c d\r\n",
        "UNSUB \r\n",
        "UNSUB a b c\r\n",
    ] {
        assert!(
            matches!(only_error(text), ParseError::BadArguments(_)),
            "{text:?}"
        );
    }
}

#[test]
fn every_limit_holds_at_the_limit() {
    let line = |len: usize| format!("SUB {} 1\r\n", "s".repeat(len - 2));
    assert!(matches!(
        parse(line(64).as_bytes(), &LIMITS),
        Ok(Step::Op(..))
    ));
    assert_eq!(only_error(&line(65)), ParseError::ControlLineTooLong);
    assert_eq!(
        only_error(line(66).trim_end()),
        ParseError::ControlLineTooLong
    );
    let publish = |len: usize| format!("PUB {} 1\r\nx\r\n", "s".repeat(len - 2));
    assert!(matches!(
        parse(publish(64).as_bytes(), &LIMITS),
        Ok(Step::Op(..))
    ));
    assert_eq!(only_error(&publish(65)), ParseError::ControlLineTooLong);
    assert_eq!(parse(b"PUB a 32\r\n", &LIMITS), Ok(Step::More(10 + 32 + 2)));
    assert_eq!(only_error("PUB a 33\r\n"), ParseError::PayloadTooLarge(33));
    let headerless = Limits {
        headers: false,
        ..LIMITS
    };
    assert_eq!(
        parse(b"HPUB a 12 12\r\n", &headerless),
        Err(ParseError::HeadersNotSupported)
    );
}

#[test]
fn a_payload_ends_where_its_length_says() {
    assert_eq!(only_error("PUB a 1\r\nxx"), ParseError::UnknownOperation);
    assert_eq!(only_error("PUB a 1\r\nx\n\n"), ParseError::UnknownOperation);
    assert_eq!(parse(b"PUB a 1\r\nx\r", &LIMITS), Ok(Step::More(12)));
}
