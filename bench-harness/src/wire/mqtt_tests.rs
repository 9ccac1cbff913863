//! What the MQTT driver says and how it reads the answers, byte by byte.

use super::*;

fn mqtt() -> Mqtt {
    Mqtt::new(&Credentials::default(), "test")
}

const ACCEPTED: &[u8] = b"\x20\x02\0\0";

#[test]
fn shakes_hands_in_pieces_of_any_length() {
    let said = [
        ACCEPTED,
        b"\x31\x2d\0\x13$SYS/broker/versionmosquitto version 2.0.11",
        b"\x90\x03\0\x01\0\xb0\x02\0\x02\xd0\0\xd0",
    ]
    .concat();
    for piece in 1..said.len() {
        let mut driver = mqtt();
        let mut out = Vec::new();
        let (mut held, mut state) = (Vec::new(), Shake::More);
        for bytes in said.chunks(piece) {
            held.extend_from_slice(bytes);
            if state == Shake::More {
                let consumed;
                (consumed, state) = driver.shake(&held, &mut out);
                held.drain(..consumed);
            }
        }
        let Shake::Ready(greeting) = state else {
            panic!("{state:?} after pieces of {piece}");
        };
        assert_eq!(greeting.version, "mosquitto 2.0.11");
        assert_eq!(held, b"\xd0", "what comes later is not taken");
        let asked = b"\x82\x18\0\x01\0\x13$SYS/broker/version\0\xa2\x17\0\x02\0\x13$SYS/broker/version\xc0\0";
        assert_eq!(out, asked);
    }
}

#[test]
fn a_server_that_keeps_its_version_to_itself_is_taken_all_the_same() {
    let said = [ACCEPTED, b"\x90\x03\0\x01\x80\xb0\x02\0\x02\xd0\0"].concat();
    let (consumed, state) = mqtt().shake(&said, &mut Vec::new());
    assert_eq!(consumed, said.len());
    assert!(
        format!("{state:?}").contains("MQTT server of unknown version"),
        "{state:?}"
    );
}

#[test]
fn introduces_itself_with_the_credentials_it_was_given() {
    let connect = |user: Option<&str>, password: Option<&str>, token: Option<&str>| {
        let credentials = Credentials {
            user: user.map(ToOwned::to_owned),
            password: password.map(ToOwned::to_owned),
            token: token.map(ToOwned::to_owned),
        };
        let mut out = Vec::new();
        Mqtt::new(&credentials, "test").open(&mut out);
        out
    };
    assert_eq!(
        connect(None, None, None),
        b"\x10\x0c\0\x04MQTT\x04\x02\xff\xff\0\0"
    );
    assert_eq!(
        connect(Some("u"), Some("word"), None),
        b"\x10\x15\0\x04MQTT\x04\xc2\xff\xff\0\0\0\x01u\0\x04word"
    );
    assert_eq!(
        connect(Some("u"), None, None),
        b"\x10\x0f\0\x04MQTT\x04\x82\xff\xff\0\0\0\x01u"
    );
    assert_eq!(
        connect(None, None, Some("t")),
        b"\x10\x11\0\x04MQTT\x04\xc2\xff\xff\0\0\0\0\0\x01t"
    );
    let long = "u".repeat(70_000);
    assert!(
        connect(Some(&long), None, None)
            .ends_with(&[b"\xff\xff", &long.as_bytes()[..65_535]].concat())
    );
}

#[test]
fn says_in_words_why_a_server_refuses() {
    for (code, words) in [
        (1, "MQTT 3.1.1"),
        (2, "without an identifier"),
        (3, "unavailable"),
        (4, "bad user name or password"),
        (5, "not authorized"),
        (77, "code 77"),
    ] {
        let (_, state) = mqtt().shake(&[0x20, 2, 0, code], &mut Vec::new());
        let (Shake::Refused(text) | Shake::Unable(text)) = state else {
            panic!("{state:?}");
        };
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn tells_another_kind_of_server_from_its_first_bytes() {
    for said in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"INFO {\"server_id\":",
        b"-ERR unknown command\r\n",
        b"H",
        b"\x20\x03",
        b"\xd0\0",
    ] {
        let (_, state) = mqtt().shake(said, &mut Vec::new());
        assert_eq!(state, Shake::Foreign, "{said:?}");
    }
}

#[test]
fn parses_each_kind_of_packet() {
    let long = [b"\x30\x84\x01\0\x01a".as_slice(), &[b'x'; 129]].concat();
    let packets: [(&[u8], Event<'_>); 8] = [
        (b"\x30\x08\0\x03a/bxyz", delivery(b"a/b", b"xyz")),
        (b"\x31\x03\0\x01a", delivery(b"a", b"")),
        (&long, delivery(b"a", &[b'x'; 129])),
        (b"\x31\x06\0\x02$Sxx", Event::Other),
        (b"\x90\x03\0\x01\0", Event::Other),
        (
            b"\x90\x03\0\x01\x80",
            Event::Error(b"it refuses a subscription (SUBACK 0x80)"),
        ),
        (b"\xb0\x02\0\x01", Event::Other),
        (b"\xd0\0", Event::Flushed),
    ];
    let mut driver = mqtt();
    for (packet, event) in packets {
        for length in 0..packet.len() {
            let part = driver.parse(&packet[..length]);
            assert_eq!(part, Parsed::Incomplete, "{length} of {packet:?}");
        }
        assert_eq!(driver.parse(packet), Parsed::Event(packet.len(), event));
    }
}

#[test]
fn notices_what_cannot_be_a_packet() {
    let broken: [&[u8]; 9] = [
        b"\x30\x02\0\x01",
        b"\x30\x01\0",
        b"\x30\xff\xff\xff\xff\x01",
        b"\x32\x05\0\x01a\0\x01",
        b"\xd0\x01",
        b"\xb0\x03",
        b"\x90\x01",
        b"INFO {}\r\n",
        b"\0\0",
    ];
    for bytes in broken {
        assert_eq!(mqtt().parse(bytes), Parsed::Broken, "{bytes:?}");
    }
}

#[test]
fn says_where_a_payload_stands() {
    let mut out = b"before".to_vec();
    let place = mqtt().publish(&mut out, b"a.b", None, b"1.2");
    assert_eq!(out, b"before\x30\x08\0\x03a/b1.2");
    assert_eq!(&out[place..], b"1.2");
    assert_eq!(Mqtt::spelled(b"a.b.c".to_vec()), b"a/b/c");
}

#[test]
fn lengths_take_as_many_bytes_as_they_need() {
    for (length, bytes) in [
        (0, &[0][..]),
        (127, &[127]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (LENGTH_MAX, &[0xff, 0xff, 0xff, 0x7f]),
    ] {
        let mut out = Vec::new();
        write_length(&mut out, length);
        assert_eq!(out, bytes);
        assert_eq!(body_length(&out), Ok((length, bytes.len())));
    }
}

#[test]
fn patterns_become_filters_and_packet_ids_are_never_zero() {
    let mut driver = mqtt();
    driver.packet_id = u16::MAX - 1;
    let mut out = Vec::new();
    driver.subscribe(&mut out, 1, "a.*.c.>", None);
    driver.unsubscribe(&mut out, 1, "a.b");
    assert_eq!(
        out,
        b"\x82\x0c\xff\xff\0\x07a/+/c/#\0\xa2\x07\0\x01\0\x03a/b"
    );
}

fn delivery<'a>(subject: &'a [u8], payload: &'a [u8]) -> Event<'a> {
    Event::Message(Message {
        subscription: None,
        subject,
        reply: None,
        payload,
        is_nobody_there: false,
    })
}
