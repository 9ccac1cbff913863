//! What the Redis driver says and how it reads the answers, byte by byte.

use super::*;

fn resp() -> Resp {
    Resp::new(&Credentials::default(), "test")
}

fn credentials(user: &str, password: &str, token: &str) -> Credentials {
    let given = |word: &str| (!word.is_empty()).then(|| word.to_owned());
    Credentials {
        user: given(user),
        password: given(password),
        token: given(token),
    }
}

#[test]
fn shakes_hands_in_pieces_of_any_length() {
    let said = b"+OK\r\n$46\r\n# Server\r\nredis_version:7.0.15\r\nredis_mode:x\r\n\r\n*";
    for piece in 1..said.len() {
        let mut driver = Resp::new(&credentials("", "word", ""), "test");
        let mut out = Vec::new();
        driver.open(&mut out);
        let (mut held, mut state) = (Vec::new(), Shake::More);
        for bytes in said.chunks(piece) {
            held.extend_from_slice(bytes);
            if state == Shake::More {
                let consumed;
                (consumed, state) = driver.shake(&held, &mut out);
                held.drain(..consumed);
            }
        }
        let greeting = Greeting {
            version: "redis 7.0.15".to_owned(),
            payload_bytes_max: Some(512 << 20),
        };
        assert_eq!(state, Shake::Ready(greeting), "pieces of {piece}");
        assert_eq!(held, b"*", "what comes later is not taken");
    }
}

#[test]
fn sends_the_credentials_it_was_given_and_no_others() {
    let info = "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";
    for (given, auth) in [
        (credentials("", "", ""), ""),
        (
            credentials("", "word", ""),
            "*2\r\n$4\r\nAUTH\r\n$4\r\nword\r\n",
        ),
        (
            credentials("", "", "tick"),
            "*2\r\n$4\r\nAUTH\r\n$4\r\ntick\r\n",
        ),
        (
            credentials("me", "word", ""),
            "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\nword\r\n",
        ),
        (
            credentials("me", "", ""),
            "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$0\r\n\r\n",
        ),
    ] {
        let mut out = Vec::new();
        Resp::new(&given, "n").open(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{auth}{info}"));
    }
}

#[test]
fn passes_on_what_a_refusing_server_says() {
    for said in [
        "-NOAUTH Authentication required.",
        "-WRONGPASS invalid username-password pair or user is disabled.",
        "-DENIED Redis is running in protected mode",
        "-ERR max number of clients reached",
    ] {
        let (_, state) = resp().shake(format!("{said}\r\n").as_bytes(), &mut Vec::new());
        assert_eq!(state, Shake::Refused(said[1..].to_owned()));
    }
}

#[test]
fn a_server_that_keeps_its_version_to_itself_is_taken_all_the_same() {
    let said = [
        &b"-NOPERM this user has no permissions to run the 'info' command\r\n"[..],
        b"-ERR unknown command 'INFO'\r\n",
        b"$0\r\n\r\n",
    ];
    for said in said {
        let (consumed, state) = resp().shake(said, &mut Vec::new());
        let Shake::Ready(greeting) = state else {
            panic!("{state:?}");
        };
        assert_eq!(greeting.version, "Redis server of unknown version");
        assert_eq!(consumed, said.len());
    }
    let said = b"$45\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n\r\n\r\n";
    let (_, state) = resp().shake(said, &mut Vec::new());
    assert!(format!("{state:?}").contains("valkey 8.1.0"), "{state:?}");
}

#[test]
fn tells_another_kind_of_server_from_its_first_bytes() {
    for said in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"INFO {\"server_id\":",
        b"\x20\x02\0\0",
        b"+OK\r\n",
        b"$-1\r\n",
        b"$99999999\r\n",
    ] {
        let (_, state) = resp().shake(said, &mut Vec::new());
        assert_eq!(state, Shake::Foreign, "{said:?}");
    }
}

#[test]
fn parses_each_kind_of_answer() {
    let answers: [(&[u8], Event<'_>); 13] = [
        (
            b"*3\r\n$7\r\nmessage\r\n$3\r\na.b\r\n$3\r\nxyz\r\n",
            delivery(b"a.b", b"xyz"),
        ),
        (
            b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n",
            delivery(b"a", b""),
        ),
        (
            b"*4\r\n$8\r\npmessage\r\n$3\r\na.*\r\n$3\r\na.b\r\n$2\r\n\r\n\r\n",
            delivery(b"a.b", b"\r\n"),
        ),
        (b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", Event::Other),
        (
            b"*3\r\n$10\r\npsubscribe\r\n$3\r\na.*\r\n:2\r\n",
            Event::Other,
        ),
        (b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", Event::Other),
        (
            b"*3\r\n$12\r\npunsubscribe\r\n$3\r\na.*\r\n:0\r\n",
            Event::Other,
        ),
        (b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", Event::Flushed),
        (b"+PONG\r\n", Event::Flushed),
        (b"+OK\r\n", Event::Other),
        (b":0\r\n", Event::Other),
        (b":12345\r\n", Event::Other),
        (b"-ERR no\r\n", Event::Error(b"ERR no")),
    ];
    let mut driver = resp();
    for (answer, event) in answers {
        // Twice, because the second time the head is known.
        for _ in 0..2 {
            for length in 0..answer.len() {
                assert_eq!(
                    driver.parse(&answer[..length]),
                    Parsed::Incomplete,
                    "{length} of {answer:?}"
                );
            }
            assert_eq!(driver.parse(answer), Parsed::Event(answer.len(), event));
        }
    }
}

#[test]
fn notices_what_cannot_be_an_answer() {
    let broken: [&[u8]; 14] = [
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nxyzXX",
        b"*3\r\n$7\r\nmessage\r\n$1\r\naXX",
        b"*3\r\n$7\r\nmessage\r\n$-1\r\n",
        b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$999999999999\r\n",
        b"*4\r\n$7\r\nmessage\r\n",
        b"*3\r\n$5\r\nother\r\n",
        b"*3\r\n:1\r\n",
        b"*x\r\n",
        b"*-1\r\n",
        b":x\r\n",
        b"+OK\n",
        b"$3\r\nabc\r\n",
        b"MSG a 1 1\r\n",
        b"\0",
    ];
    for bytes in broken {
        assert_eq!(resp().parse(bytes), Parsed::Broken, "{bytes:?}");
    }
    let endless = vec![b'+'; LINE_LENGTH_MAX];
    assert_eq!(resp().parse(&endless), Parsed::Broken);
}

#[test]
fn says_where_a_payload_stands() {
    let mut out = b"before".to_vec();
    let place = resp().publish(&mut out, b"a.b", None, b"payload");
    assert_eq!(
        out,
        b"before*3\r\n$7\r\nPUBLISH\r\n$3\r\na.b\r\n$7\r\npayload\r\n"
    );
    assert_eq!(&out[place..place + 7], b"payload");
}

#[test]
fn patterns_become_globs_and_names_stay_channels() {
    for (pattern, sent) in [
        ("a.b", "SUBSCRIBE\r\n$3\r\na.b\r\n"),
        ("a*", "SUBSCRIBE\r\n$2\r\na*\r\n"),
        ("a.*", "PSUBSCRIBE\r\n$3\r\na.*\r\n"),
        ("a.>", "PSUBSCRIBE\r\n$3\r\na.*\r\n"),
        ("*.b?.*", "PSUBSCRIBE\r\n$7\r\n*.b\\?.*\r\n"),
    ] {
        let (mut subscribed, mut unsubscribed) = (Vec::new(), Vec::new());
        resp().subscribe(&mut subscribed, 1, pattern, None);
        resp().unsubscribe(&mut unsubscribed, 1, pattern);
        let subscribed = String::from_utf8(subscribed).unwrap();
        assert!(subscribed.ends_with(sent), "{subscribed:?} for {pattern}");
        let sent = sent.replacen("SUB", "UNSUB", 1);
        let unsubscribed = String::from_utf8(unsubscribed).unwrap();
        assert!(
            unsubscribed.ends_with(&sent),
            "{unsubscribed:?} for {pattern}"
        );
    }
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
