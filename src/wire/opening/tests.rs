//! The order of things before a session, without sockets or clocks.

use super::*;
use crate::config::Tls;
use crate::wire::tls::pair::{Desk, Peer, block, each_suite};
use rustls::crypto::aws_lc_rs;

const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.8 5000 4222\r\n";
const OPEN_PLAIN: &str = "open";

fn at(ms: u64) -> Now {
    Now::ZERO.after(Duration::from_millis(ms))
}

fn entrance(
    desk: &Desk,
    tls: Option<Tls>,
    allow_non_tls: bool,
    proxy_protocol: bool,
) -> Arc<Entrance> {
    Arc::new(Entrance {
        proxy_protocol,
        allow_non_tls,
        tls: tls.map(|tls| desk.acceptor(&tls)),
    })
}

/// All steps that can be done now, in short.
fn steps(opening: &mut Opening, now: Now) -> Vec<String> {
    let mut outgoing = Vec::new();
    let mut steps = Vec::new();
    while let Some(step) = opening.advance(now, &mut outgoing) {
        steps.push(short(&step));
        if matches!(step, Step::HandshakeBegins) {
            // What it has to send is for the peer.
            break;
        }
    }
    steps
}

fn short(step: &Step) -> String {
    let greeting = |greeting: &Greeting| {
        let tls = if greeting.insists_on_tls { " tls" } else { "" };
        let ip = if greeting.names_client { " ip" } else { "" };
        format!("info{tls}{ip}")
    };
    match step {
        Step::Greet(how) => greeting(how),
        Step::Source(address) => format!("from {address}"),
        Step::HandshakeBegins => "handshake".to_owned(),
        Step::Open(Opened {
            secure: None,
            greeting: None,
        }) => OPEN_PLAIN.to_owned(),
        Step::Open(Opened {
            secure,
            greeting: how,
        }) => {
            let secure = secure.as_ref().map(|(_, secured)| secured.version);
            format!(
                "open {secure:?} {}",
                how.as_ref().map(greeting).unwrap_or_default()
            )
        }
        Step::Refuse(refusal) => format!("{refusal:?}"),
    }
}

/// Runs one handshake, which the opening has announced.
fn shake_hands(opening: &mut Opening, peer: &mut Peer, now: Now) -> String {
    let mut outgoing = Vec::new();
    for _ in 0..10 {
        opening.receive(&peer.sends());
        let step = opening.advance(now, &mut outgoing);
        peer.hears(&std::mem::take(&mut outgoing));
        if let Some(step) = step {
            return short(&step);
        }
    }
    panic!("both sides wait for each other");
}

fn peer(desk: &Desk) -> Peer {
    Peer::new(
        desk.client(aws_lc_rs::default_provider(), None),
        "localhost",
    )
}

#[test]
fn info_comes_first_and_then_the_handshake() {
    let desk = Desk::new();
    for provider in each_suite() {
        let mut opening = Opening::new(entrance(&desk, Some(block()), false, false));
        assert_eq!(steps(&mut opening, at(0)), ["info ip", "handshake"]);
        assert!(opening.is_in_handshake());
        let mut peer = Peer::new(desk.client(provider, None), "localhost");
        let verdict = shake_hands(&mut opening, &mut peer, at(1));
        assert!(verdict.starts_with("open Some(\"1."), "{verdict}");
        assert!(
            verdict.ends_with("\") "),
            "INFO was said already: {verdict}"
        );
    }
}

#[test]
fn tls_may_come_before_info() {
    let desk = Desk::new();
    let tls = Tls {
        handshake_first: HandshakeFirst::Always,
        ..block()
    };
    let mut opening = Opening::new(entrance(&desk, Some(tls), true, false));
    assert_eq!(steps(&mut opening, at(0)), ["handshake"]);
    assert_eq!(
        shake_hands(&mut opening, &mut peer(&desk), at(1)),
        "open Some(\"1.3\") info tls ip"
    );
}

#[test]
fn who_does_not_begin_with_tls_in_time_gets_info() {
    let desk = Desk::new();
    let tls = Tls {
        handshake_first: HandshakeFirst::Within(Duration::from_millis(50)),
        ..block()
    };
    let mut eager = Opening::new(entrance(&desk, Some(tls.clone()), false, false));
    assert!(steps(&mut eager, at(0)).is_empty());
    assert_eq!(eager.deadline(), at(50));
    eager.receive(b"\x16");
    assert_eq!(steps(&mut eager, at(49)), ["handshake"]);
    assert_eq!(eager.deadline(), at(2049));

    let mut slow = Opening::new(entrance(&desk, Some(tls.clone()), false, false));
    assert!(steps(&mut slow, at(0)).is_empty());
    assert_eq!(steps(&mut slow, at(50)), ["info ip", "handshake"]);

    // Where TLS is a choice it still is one after the delay.
    let mut plain = Opening::new(entrance(&desk, Some(tls), true, false));
    assert!(steps(&mut plain, at(0)).is_empty());
    assert_eq!(steps(&mut plain, at(50)), ["info ip"]);
    plain.receive(b"CONNECT");
    assert_eq!(steps(&mut plain, at(60)), [OPEN_PLAIN]);
    assert_eq!(plain.take_rest(), b"CONNECT");
}

#[test]
fn the_first_byte_tells_who_wants_tls() {
    let desk = Desk::new();
    let open = || Opening::new(entrance(&desk, Some(block()), true, false));
    let mut with = open();
    assert_eq!(steps(&mut with, at(0)), ["info ip"]);
    let mut client = peer(&desk);
    with.receive(&client.sends());
    assert_eq!(steps(&mut with, at(0)), ["handshake"]);
    assert!(shake_hands(&mut with, &mut client, at(1)).starts_with("open Some"));

    let mut without = open();
    steps(&mut without, at(0));
    without.receive(b"P");
    assert_eq!(steps(&mut without, at(0)), [OPEN_PLAIN]);
    assert_eq!(without.take_rest(), b"P");

    let mut silent = open();
    steps(&mut silent, at(0));
    assert!(steps(&mut silent, at(1999)).is_empty());
    assert_eq!(steps(&mut silent, at(2000)), [OPEN_PLAIN]);
}

#[test]
fn a_handshake_has_its_time() {
    let desk = Desk::new();
    let mut opening = Opening::new(entrance(&desk, Some(block()), false, false));
    steps(&mut opening, at(0));
    let hello = peer(&desk).sends();
    opening.receive(&hello[..hello.len() / 2]);
    assert!(steps(&mut opening, at(1999)).is_empty());
    assert_eq!(steps(&mut opening, at(2000)), ["HandshakeTimeout"]);
    assert!(steps(&mut opening, at(9000)).is_empty());
}

#[test]
fn the_proxy_header_is_read_first_and_its_client_is_told() {
    let desk = Desk::new();
    let mut opening = Opening::new(entrance(&desk, None, false, true));
    assert_eq!(steps(&mut opening, at(0)), ["info"]);
    opening.receive(HEADER);
    opening.receive(b"PING\r\n");
    assert_eq!(
        steps(&mut opening, at(1)),
        ["from 192.0.2.7:5000", OPEN_PLAIN]
    );
    assert_eq!(opening.take_rest(), b"PING\r\n");

    let mut absent = Opening::new(entrance(&desk, None, false, true));
    steps(&mut absent, at(0));
    absent.receive(b"CONNECT {}\r\n");
    assert_eq!(steps(&mut absent, at(1)), [OPEN_PLAIN]);
    assert_eq!(absent.take_rest(), b"CONNECT {}\r\n");

    let mut unknown = Opening::new(entrance(&desk, None, false, true));
    steps(&mut unknown, at(0));
    unknown.receive(b"PROXY UNKNOWN\r\n");
    assert_eq!(steps(&mut unknown, at(1)), [OPEN_PLAIN]);
}

#[test]
fn a_proxy_header_has_its_time_and_must_be_right() {
    let desk = Desk::new();
    let open = || {
        let mut opening = Opening::new(entrance(&desk, None, false, true));
        steps(&mut opening, at(0));
        opening
    };
    let refusal = |text: &str| vec![format!("{:?}", Refusal::ProxyHeader(text.to_owned()))];
    let mut silent = open();
    assert!(steps(&mut silent, at(4999)).is_empty());
    assert_eq!(
        steps(&mut silent, at(5000)),
        refusal("failed to read protocol version: i/o timeout")
    );

    let mut half = open();
    half.receive(&HEADER[..10]);
    assert!(steps(&mut half, at(4000)).is_empty());
    assert!(steps(&mut half, at(8999)).is_empty());
    assert_eq!(
        half.cut_off(),
        Some(Refusal::ProxyHeader(
            "failed to read v1 line: EOF".to_owned()
        ))
    );
    assert_eq!(
        steps(&mut half, at(9000)),
        refusal("failed to read v1 line: i/o timeout")
    );

    let mut wrong = open();
    wrong.receive(b"PROXY TCP4\r\n");
    assert_eq!(
        steps(&mut wrong, at(1)),
        refusal("invalid PROXY protocol header: invalid v1 format")
    );
}

#[test]
fn proxy_and_tls_go_together_in_every_mode() {
    let desk = Desk::new();
    let within = HandshakeFirst::Within(Duration::from_millis(50));
    for first in [HandshakeFirst::No, HandshakeFirst::Always, within] {
        for allow_non_tls in [false, true] {
            let tls = Tls {
                handshake_first: first,
                ..block()
            };
            let mut opening = Opening::new(entrance(&desk, Some(tls), allow_non_tls, true));
            let is_first = first != HandshakeFirst::No;
            let greeted = if is_first { vec![] } else { vec!["info"] };
            assert_eq!(steps(&mut opening, at(0)), greeted);
            let mut client = peer(&desk);
            opening.receive(&[HEADER, &client.sends()].concat());
            assert_eq!(
                steps(&mut opening, at(1)),
                ["from 192.0.2.7:5000", "handshake"]
            );
            let verdict = shake_hands(&mut opening, &mut client, at(2));
            let info = if is_first { "info tls ip" } else { "" };
            assert_eq!(verdict, format!("open Some(\"1.3\") {info}"));
        }
    }
    // After a header the first byte is another one.
    let mut plain = Opening::new(entrance(&desk, Some(block()), true, true));
    steps(&mut plain, at(0));
    plain.receive(HEADER);
    assert_eq!(steps(&mut plain, at(1)), ["from 192.0.2.7:5000"]);
    plain.receive(b"+");
    assert_eq!(steps(&mut plain, at(1)), [OPEN_PLAIN]);
}

#[test]
fn too_many_handshakes_are_turned_away() {
    let desk = Desk::new();
    let tls = Tls {
        connection_rate_limit: Some(2),
        ..block()
    };
    let entrance = entrance(&desk, Some(tls), false, false);
    let verdicts: Vec<String> = (0..3)
        .flat_map(|ms| steps(&mut Opening::new(Arc::clone(&entrance)), at(ms)))
        .filter(|step| step != "info ip")
        .collect();
    assert_eq!(verdicts, ["handshake", "handshake", "Throttled"]);
    assert_eq!(entrance.tls.as_ref().unwrap().take_refused(), 1);
}

#[test]
fn a_peer_that_leaves_in_the_middle_is_told_of_as_go_does() {
    let desk = Desk::new();
    let mut opening = Opening::new(entrance(&desk, Some(block()), false, false));
    steps(&mut opening, at(0));
    assert_eq!(
        opening.cut_off(),
        Some(Refusal::Handshake(Failure::new("EOF")))
    );
    opening.receive(b"\x16\x03");
    steps(&mut opening, at(0));
    assert_eq!(
        opening.cut_off(),
        Some(Refusal::Handshake(Failure::new("unexpected EOF")))
    );
    let mut sniffing = Opening::new(entrance(&desk, Some(block()), true, false));
    steps(&mut sniffing, at(0));
    assert_eq!(sniffing.cut_off(), None);
}

#[test]
fn who_is_turned_away_is_greeted_only_where_info_comes_first() {
    let desk = Desk::new();
    let of = |tls: Option<Tls>, proxy| entrance(&desk, tls, false, proxy).farewell_greeting();
    let greeting = |names_client| {
        Some(Greeting {
            insists_on_tls: false,
            names_client,
        })
    };
    assert_eq!(of(None, true), greeting(false));
    assert_eq!(of(Some(block()), false), greeting(true));
    let first = Tls {
        handshake_first: HandshakeFirst::Always,
        ..block()
    };
    assert_eq!(of(Some(first), false), None);
}
