//! What comes from a server may be cut anywhere and may be anything: the drivers read the same from any pieces, never panic,
//! and never take more than there is.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

use bench_harness::load::Credentials;
use bench_harness::wire::mqtt::Mqtt;
use bench_harness::wire::nats::Nats;
use bench_harness::wire::resp::Resp;
use bench_harness::wire::{Event, Parsed, Shake, Wire};
use proptest::prelude::*;

fn driver<W: Wire>() -> W {
    W::new(&Credentials::default(), "test")
}

/// What a server would send for each of these: subject and payload.
trait Served: Wire {
    fn delivery(out: &mut Vec<u8>, subject: &str, payload: &[u8]);
    /// Acknowledgements, pongs and other things that are no deliveries.
    const BETWEEN: &'static [&'static [u8]];
}

impl Served for Resp {
    fn delivery(out: &mut Vec<u8>, subject: &str, payload: &[u8]) {
        // Every second comes by a pattern.
        match payload.len() % 2 {
            0 => out.extend_from_slice(b"*3\r\n$7\r\nmessage\r\n"),
            _ => out.extend_from_slice(b"*4\r\n$8\r\npmessage\r\n$3\r\na.*\r\n"),
        }
        for text in [subject.as_bytes(), payload] {
            out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }
    const BETWEEN: &'static [&'static [u8]] = &[
        b":17\r\n",
        b"+PONG\r\n",
        b"*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$3\r\na.b\r\n:1\r\n",
        b"-ERR something\r\n",
    ];
}

impl Served for Mqtt {
    fn delivery(out: &mut Vec<u8>, subject: &str, payload: &[u8]) {
        // What a client publishes at quality of service 0 is what its subscribers get.
        driver::<Mqtt>().publish(out, subject.as_bytes(), None, payload);
    }
    const BETWEEN: &'static [&'static [u8]] = &[
        b"\xd0\x00",
        b"\x90\x03\x00\x01\x00",
        b"\x90\x03\x00\x01\x80",
        b"\xb0\x02\x00\x01",
    ];
}

impl Served for Nats {
    fn delivery(out: &mut Vec<u8>, subject: &str, payload: &[u8]) {
        out.extend_from_slice(format!("MSG {subject} 1 {}\r\n", payload.len()).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
    const BETWEEN: &'static [&'static [u8]] = &[b"PING\r\n", b"PONG\r\n", b"+OK\r\n"];
}

/// A frame as the driver read it: the delivery's subject and payload, or how long something else was.
#[derive(Debug, PartialEq)]
enum Read {
    Delivery(Vec<u8>, Vec<u8>),
    Other(usize),
}

fn read_in_pieces<W: Wire>(bytes: &[u8], pieces: &[usize]) -> Vec<Read> {
    let (mut driver, mut held, mut read) = (driver::<W>(), Vec::new(), Vec::new());
    let (mut begin, mut pieces) = (0, pieces.iter().cycle());
    while begin < bytes.len() {
        let end = (begin + pieces.next().unwrap()).min(bytes.len());
        held.extend_from_slice(&bytes[begin..end]);
        begin = end;
        while !held.is_empty() {
            let length = match driver.parse(&held) {
                Parsed::Event(length, Event::Message(message)) => {
                    let (subject, payload) = (message.subject.to_vec(), message.payload.to_vec());
                    read.push(Read::Delivery(subject, payload));
                    length
                }
                Parsed::Event(length, _) => {
                    read.push(Read::Other(length));
                    length
                }
                Parsed::Incomplete => break,
                Parsed::Broken => panic!("{:?} is in order", String::from_utf8_lossy(&held)),
            };
            held.drain(..length);
        }
    }
    assert!(
        held.is_empty(),
        "{:?} is left over",
        String::from_utf8_lossy(&held)
    );
    read
}

fn reads_the_same_from_any_pieces<W: Served>(
    frames: &[(usize, String, Vec<u8>)],
    pieces: &[usize],
) {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for (between, subject, payload) in frames {
        let between = W::BETWEEN[between % W::BETWEEN.len()];
        bytes.extend_from_slice(between);
        expected.push(Read::Other(between.len()));
        W::delivery(&mut bytes, subject, payload);
        let subject = W::spelled(subject.clone().into_bytes());
        expected.push(Read::Delivery(subject, payload.clone()));
    }
    assert_eq!(read_in_pieces::<W>(&bytes, pieces), expected);
}

fn survives_parsing<W: Wire>(bytes: &[u8]) {
    let (mut parser, mut place) = (driver::<W>(), 0);
    while let Parsed::Event(length, _) = parser.parse(&bytes[place..]) {
        assert!(length > 0 && length <= bytes.len() - place);
        place += length;
    }
}

fn survives<W: Wire>(bytes: &[u8]) {
    survives_parsing::<W>(bytes);
    let (mut shaker, mut place, mut out) = (driver::<W>(), 0, Vec::new());
    shaker.open(&mut out);
    for end in 0..=bytes.len() {
        let (consumed, state) = shaker.shake(&bytes[place..end], &mut out);
        place += consumed;
        assert!(place <= end);
        if state != Shake::More {
            break;
        }
    }
}

/// Deliveries in order, of which some bytes are then changed.
fn damaged<W: Served>(
    frames: &[(usize, String, Vec<u8>)],
    damages: &[(prop::sample::Index, u8)],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (between, subject, payload) in frames {
        bytes.extend_from_slice(W::BETWEEN[between % W::BETWEEN.len()]);
        W::delivery(&mut bytes, subject, payload);
    }
    for (place, byte) in damages {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    bytes
}

fn frames() -> impl Strategy<Value = Vec<(usize, String, Vec<u8>)>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        (120_usize..140).prop_map(|length| vec![b'\n'; length]),
        (16_370_usize..16_400).prop_map(|length| vec![b'\r'; length]),
    ];
    prop::collection::vec((any::<usize>(), "a\\.(b|c\\.d|e)", payload), 1..12)
}

/// Bytes that look a little like each protocol.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"*3\r\n",
        b"$7\r\n",
        b"message\r\n",
        b"$-1\r\n",
        b"$99999999999999999999\r\n",
        b"*0\r\n",
        b":1\r\n",
        b"-ERR\r\n",
        b"\r\n",
        b"\n",
        b"\x20\x02\x00\x00",
        b"\x30",
        b"\xd0\x00",
        b"\x80",
        b"\xff\xff\xff\x7f",
        b"MSG a 1 ",
        b"INFO {}",
        b"HMSG a 1 2 1\r\n",
        b"+PONG\r\n",
        b"$0\r\n\r\n",
    ];
    let word = prop_oneof![
        3 => prop::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn frames_are_read_the_same_from_any_pieces(frames in frames(), pieces in prop::collection::vec(1_usize..300, 1..20)) {
        reads_the_same_from_any_pieces::<Resp>(&frames, &pieces);
        reads_the_same_from_any_pieces::<Mqtt>(&frames, &pieces);
        reads_the_same_from_any_pieces::<Nats>(&frames, &pieces);
    }

    #[test]
    fn garbage_is_survived(bytes in garbage()) {
        survives::<Resp>(&bytes);
        survives::<Mqtt>(&bytes);
        survives::<Nats>(&bytes);
    }

    #[test]
    fn damage_is_survived(
        frames in frames(), damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        survives_parsing::<Resp>(&damaged::<Resp>(&frames, &damages));
        survives_parsing::<Mqtt>(&damaged::<Mqtt>(&frames, &damages));
        survives_parsing::<Nats>(&damaged::<Nats>(&frames, &damages));
    }
}

/// A stream of one byte at a time: every place is a cut.
#[test]
fn frames_are_read_byte_by_byte() {
    let frames: Vec<_> = (0..20)
        .map(|number| (number, format!("a.b{}", number % 3), vec![b'x'; number * 9]))
        .collect();
    reads_the_same_from_any_pieces::<Resp>(&frames, &[1]);
    reads_the_same_from_any_pieces::<Mqtt>(&frames, &[1]);
    reads_the_same_from_any_pieces::<Nats>(&frames, &[1]);
}
