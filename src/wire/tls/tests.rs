//! The server's side against rustls's own client: two record layers that know nothing of each other.

use super::handshake::{Handshake, Progress, WAITING_BYTES_MAX};
use super::pair::{
    Desk, Peer, Purpose, TODAY, block, each_suite, params, versions, without_resumption,
};
use super::stream::{Ending, Stream};
use super::{Acceptor, Failure, Secured, algorithms};
use crate::base::rng::Rng;
use crate::config::Tls;
use crate::config::tls::{CURVES, CertificateFiles, TlsVersion, available};
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, HandshakeKind};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where `bytes` are cut next.
fn cut(chance: &mut Rng, bytes: &[u8]) -> usize {
    let max = [1, 7, 100, 5000, 70_000][chance.below(5) as usize];
    (1 + chance.below(max) as usize).min(bytes.len())
}

struct Joined {
    stream: Stream,
    secured: Secured,
    /// What came after the handshake.
    rest: Vec<u8>,
}

/// Shakes hands; bytes come in pieces. With the verdict there may be an alert, which the peer has heard.
fn join(
    acceptor: &Arc<Acceptor>,
    peer: &mut Peer,
    early: &[u8],
    seed: u64,
) -> Result<Joined, Failure> {
    let chance = &mut Rng::from_seed(seed);
    let mut handshake = Handshake::new(acceptor).unwrap();
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    let mut said_early = false;
    loop {
        let mut sent = peer.sends();
        if !peer.connection.is_handshaking() && !said_early {
            said_early = true;
            sent.extend(peer.says(early));
        }
        assert!(!sent.is_empty(), "both sides wait for each other");
        let mut left = &sent[..];
        let mut verdict = Ok(Progress::Waiting);
        while !left.is_empty() {
            let (now, later) = left.split_at(cut(chance, left));
            incoming.extend_from_slice(now);
            left = later;
            if verdict == Ok(Progress::Waiting) {
                verdict = handshake.advance(&mut incoming, &mut outgoing);
            }
        }
        let joined = match verdict {
            Ok(Progress::Waiting) => {
                peer.hears(&std::mem::take(&mut outgoing));
                continue;
            }
            Ok(Progress::Finished) => handshake.into_stream(&mut outgoing),
            Err(failure) => Err(failure),
        };
        peer.hears(&outgoing);
        if joined.is_ok() && !said_early {
            incoming.extend(peer.says(early));
        }
        return joined.map(|(stream, secured)| Joined {
            stream,
            secured,
            rest: incoming,
        });
    }
}

fn joined(tls: &Tls, desk: &Desk, client: ClientConfig) -> Result<Secured, Failure> {
    let acceptor = desk.acceptor(tls);
    let mut peer = Peer::new(client, "localhost");
    join(&acceptor, &mut peer, b"", 1).map(|joined| joined.secured)
}

fn any_client(desk: &Desk, shown: Option<&str>) -> ClientConfig {
    desk.client(aws_lc_rs::default_provider(), shown)
}

/// Opens `sealed` in pieces.
fn open(
    stream: &mut Stream,
    sealed: &[u8],
    chance: &mut Rng,
) -> (Vec<u8>, Vec<u8>, Result<(), Ending>) {
    let (mut plain, mut outgoing) = (Vec::new(), Vec::new());
    let mut left = sealed.to_vec();
    while !left.is_empty() {
        let mut later = left.split_off(cut(chance, &left));
        let opened = stream.open(&mut left, &mut outgoing, |bytes| {
            plain.extend_from_slice(bytes)
        });
        if opened.is_err() {
            return (plain, outgoing, opened);
        }
        left = std::mem::take(&mut later);
    }
    (plain, outgoing, Ok(()))
}

fn seal(stream: &mut Stream, slices: &[&[u8]]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let len = slices.iter().map(|slice| slice.len()).sum();
    stream
        .seal(slices.iter().copied(), len, &mut sealed)
        .unwrap();
    sealed
}

#[test]
fn every_suite_carries_bytes_both_ways() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    for (seed, provider) in (0..).zip(each_suite()) {
        let chance = &mut Rng::from_seed(seed);
        let mut peer = Peer::new(desk.client(provider, None), "localhost");
        let Joined {
            mut stream,
            secured,
            rest,
        } = join(&acceptor, &mut peer, b"early", seed).unwrap();
        assert_eq!(open(&mut stream, &rest, chance).0, b"early", "{secured:?}");
        for size in [1, 1000, 16_383, 16_384, 16_385, 200_000] {
            let there: Vec<u8> = (0..=250u8).cycle().take(size).collect();
            let sealed = peer.says(&there);
            assert!(
                open(&mut stream, &sealed, chance).0 == there,
                "{size} {secured:?}"
            );
            let (first, second) = there.split_at(size / 3);
            peer.heard.clear();
            let sealed = seal(&mut stream, &[first, b"", second]);
            let records = size.div_ceil(16_384);
            assert!(
                sealed.len() <= size + records * 30,
                "{records} records are enough"
            );
            peer.hears(&sealed);
            assert_eq!(peer.error, None);
            assert!(peer.heard == there, "{size} {secured:?}");
        }
    }
}

#[test]
fn the_servers_order_decides_and_both_versions_are_spoken() {
    let desk = Desk::new();
    let of = |tls: &Tls, client| joined(tls, &desk, client).map(|secured| versions(&secured));
    let any = of(&block(), any_client(&desk, None)).unwrap();
    assert_eq!(any, ("1.3", "TLS_AES_128_GCM_SHA256"));
    let mut old = aws_lc_rs::default_provider();
    old.cipher_suites.retain(|suite| suite.tls13().is_none());
    let old = || desk.client(old.clone(), None);
    let expected = ("1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(of(&block(), old()).unwrap(), expected);
    let mut tls = block();
    tls.cipher_suites = vec!["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256".to_owned()];
    let expected = ("1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_eq!(of(&tls, old()).unwrap(), expected);
    tls.min_version = TlsVersion::V1_3;
    let refused = of(&tls, old()).unwrap_err();
    assert_eq!(
        refused.text,
        "tls: client offered only unsupported versions"
    );
}

#[test]
fn a_client_may_know_one_curve_only() {
    let desk = Desk::new();
    for curve in available(CURVES) {
        let mut provider = algorithms::provider(&[], &[curve.to_owned()]).unwrap();
        let secured = joined(&block(), &desk, desk.client(provider.clone(), None));
        assert_eq!(secured.unwrap().version, "1.3", "{curve}");
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_none());
        let secured = joined(&block(), &desk, desk.client(provider, None));
        // ML-KEM came with TLS 1.3.
        assert_eq!(secured.is_ok(), !curve.contains("MLKEM"), "{curve}");
    }
}

#[test]
fn a_client_certificate_must_be_there_and_good() {
    let mut desk = Desk::new();
    desk.issue("alice", &["alice.acme.de"], Purpose::Client);
    desk.issue("server-only", &["x"], Purpose::Server);
    let mut past = params("late", &["late"]);
    past.not_after = rcgen::date_time_ymd(2025, 6, 1);
    desk.issue_as("late", past, Purpose::Client);
    let mut stranger = Desk::new();
    stranger.issue("eve", &["eve"], Purpose::Client);
    for name in ["eve.pem", "eve.key"] {
        let text = String::from_utf8(stranger.text(name).to_vec()).unwrap();
        desk.put(name, &text);
    }
    let tls = Tls {
        verify: true,
        ..block()
    };
    let of = |shown| joined(&tls, &desk, any_client(&desk, shown));

    let secured = of(Some("alice")).unwrap();
    assert_eq!(secured.peer[0].dns_names, ["alice.acme.de"]);
    let text = |shown| of(shown).unwrap_err().text;
    assert_eq!(text(None), "tls: client didn't provide a certificate");
    let verify = "tls: failed to verify certificate: x509: ";
    let starts = [
        (
            "server-only",
            "certificate specifies an incompatible key usage (CN=server-only SHA-256: ",
        ),
        (
            "late",
            "certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-06-01T00:00:00Z (CN=late SHA-256: ",
        ),
        (
            "eve",
            "certificate signed by unknown authority (CN=eve SHA-256: ",
        ),
    ];
    for (shown, start) in starts {
        let text = text(Some(shown));
        assert!(text.starts_with(&format!("{verify}{start}")), "{text}");
    }
}

#[test]
fn the_client_hears_why_it_is_refused() {
    let mut desk = Desk::new();
    desk.issue("server-only", &["x"], Purpose::Server);
    let tls = Tls {
        verify: true,
        ..block()
    };
    let acceptor = desk.acceptor(&tls);
    for provider in each_suite() {
        let mut peer = Peer::new(desk.client(provider, Some("server-only")), "localhost");
        assert!(join(&acceptor, &mut peer, b"", 3).is_err());
        assert!(
            matches!(peer.error, Some(rustls::Error::AlertReceived(_))),
            "{:?}",
            peer.error
        );
    }
}

#[test]
fn only_pinned_keys_are_let_in() {
    let mut desk = Desk::new();
    desk.issue("alice", &["alice"], Purpose::Client);
    desk.issue("bob", &["bob"], Purpose::Client);
    let mut tls = Tls {
        verify: true,
        ..block()
    };
    let alice = joined(&tls, &desk, any_client(&desk, Some("alice"))).unwrap();
    tls.pinned_certs = Some(BTreeSet::from([alice.peer[0].key_sha256]));
    assert!(joined(&tls, &desk, any_client(&desk, Some("alice"))).is_ok());
    let bob = joined(&tls, &desk, any_client(&desk, Some("bob"))).unwrap_err();
    assert_eq!(bob.text, "certificate not pinned");
    assert!(
        bob.note
            .unwrap()
            .starts_with("Failed pinned cert test for key id: ")
    );
    tls.verify = false;
    let nobody = joined(&tls, &desk, any_client(&desk, Some("alice"))).unwrap_err();
    assert_eq!(
        nobody.note.unwrap(),
        "Failed pinned cert test as client did not provide a certificate"
    );
}

#[test]
fn a_client_gets_the_certificate_with_the_name_it_asks_for() {
    let mut desk = Desk::new();
    desk.issue("other", &["other.acme.de", "*.wild.de"], Purpose::Server);
    let mut tls = block();
    tls.certificates.push(CertificateFiles {
        certificate: "other.pem".into(),
        key: "other.key".into(),
    });
    let acceptor = desk.acceptor(&tls);
    let works = |name: &str| {
        let mut peer = Peer::new(any_client(&desk, None), name);
        join(&acceptor, &mut peer, b"", 5).is_ok() && peer.error.is_none()
    };
    for name in ["localhost", "other.acme.de", "a.wild.de"] {
        assert!(works(name), "{name}");
    }
    // It is shown the first one, and does not want it.
    assert!(!works("nobody.acme.de"));
}

#[test]
fn sessions_are_resumed_whichever_shard_has_them_next() {
    let mut desk = Desk::new();
    desk.issue("alice", &["alice"], Purpose::Client);
    for (verify, shown) in [(false, None), (true, Some("alice"))] {
        let acceptor = desk.acceptor(&Tls { verify, ..block() });
        for provider in each_suite() {
            let client = Arc::new(desk.client(provider, shown));
            let kinds: Vec<_> = (0..2)
                .map(|_| {
                    let mut peer = Peer::of(&client, "localhost");
                    let joined = join(&acceptor, &mut peer, b"", 9).unwrap();
                    assert_eq!(joined.secured.peer.len(), usize::from(verify));
                    peer.connection.handshake_kind()
                })
                .collect();
            assert_eq!(
                kinds,
                [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]
            );
        }
    }
}

#[test]
fn an_expired_certificate_is_not_resumed_either() {
    let mut desk = Desk::new();
    let mut soon = params("soon", &["soon"]);
    soon.not_after = rcgen::date_time_ymd(2026, 1, 1);
    desk.issue_as("soon", soon, Purpose::Client);
    let acceptor = desk.acceptor(&Tls {
        verify: true,
        ..block()
    });
    let client = Arc::new(any_client(&desk, Some("soon")));
    desk.set_today(TODAY - 600);
    assert!(join(&acceptor, &mut Peer::of(&client, "localhost"), b"", 1).is_ok());
    // Its ticket is good for hours.
    desk.set_today(TODAY + 600);
    let mut peer = Peer::of(&client, "localhost");
    let verdict = join(&acceptor, &mut peer, b"", 1);
    assert_eq!(
        peer.connection.handshake_kind(),
        Some(HandshakeKind::Resumed)
    );
    let refused = verdict.map(|joined| joined.secured).unwrap_err();
    assert!(
        refused.text.contains("certificate has expired"),
        "{refused:?}"
    );
}

#[test]
fn what_is_no_tls_is_refused_without_a_word() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    let refuse = |bytes: &[u8]| {
        let mut handshake = Handshake::new(&acceptor).unwrap();
        let mut outgoing = Vec::new();
        let verdict = handshake.advance(&mut bytes.to_vec(), &mut outgoing);
        (verdict.unwrap_err(), outgoing)
    };
    let (failure, said) = refuse(b"CONNECT {}\r\n");
    assert_eq!(
        failure,
        Failure::probe("tls: first record does not look like a TLS handshake")
    );
    assert!(said.is_empty());
    let (failure, said) = refuse(b"\x80\x2e\x01\x00\x02");
    assert!(!failure.is_probe && said == [21, 3, 1, 0, 2, 2, 70]);
    let (failure, said) = refuse(b"\x16\x03\x01\x00\x05hello");
    assert!(!failure.is_probe && said[0] == 21, "{failure:?} {said:?}");
    // A record that is too long, and a flight that never ends.
    let (failure, said) = refuse(b"\x16\x03\x01\xff\xff");
    assert_eq!(
        failure.text,
        "tls: oversized record received with length 65535"
    );
    assert_eq!(said, [21, 3, 1, 0, 2, 2, 22]);
    let endless: Vec<u8> = [0x16, 3, 1, 0x40, 0]
        .into_iter()
        .chain([11; 16_384])
        .collect();
    let (failure, _) = refuse(&endless.repeat(WAITING_BYTES_MAX / endless.len() + 2));
    assert!(!failure.is_probe);
}

#[test]
fn keys_are_updated_by_either_side() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    let mut peer = Peer::new(any_client(&desk, None), "localhost");
    let mut stream = join(&acceptor, &mut peer, b"", 2).unwrap().stream;
    let chance = &mut Rng::from_seed(2);
    for round in 0..5u8 {
        peer.connection.refresh_traffic_keys().unwrap();
        let sealed = peer.says(&[round; 100]);
        let (plain, outgoing, verdict) = open(&mut stream, &sealed, chance);
        assert_eq!((plain, verdict), (vec![round; 100], Ok(())));
        assert!(!outgoing.is_empty(), "the request is answered");
        peer.heard.clear();
        peer.hears(&outgoing);
        peer.hears(&seal(&mut stream, &[&[round; 50]]));
        assert_eq!((&peer.error, &peer.heard[..]), (&None, &[round; 50][..]));
    }
}

#[test]
fn worn_keys_are_renewed_or_the_connection_ends() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    for provider in each_suite() {
        let mut peer = Peer::new(desk.client(provider, None), "localhost");
        let Joined {
            mut stream,
            secured,
            ..
        } = join(&acceptor, &mut peer, b"", 2).unwrap();
        stream.wear_out(1);
        let sealed = stream.seal([&b"x"[..]].into_iter(), 1, &mut Vec::new());
        assert_eq!(sealed, Ok(()), "one more is allowed: {secured:?}");
        stream.wear_out(0);
        let mut sealed = Vec::new();
        let verdict = stream.seal([&b"y"[..]].into_iter(), 1, &mut sealed);
        let is_1_3 = secured.version == "1.3";
        assert_eq!(verdict.is_ok(), is_1_3);
        assert_eq!(sealed.is_empty(), !is_1_3);
        // The record that came first is a key update: two records in all.
        let first = 5 + usize::from(u16::from_be_bytes([
            *sealed.get(3).unwrap_or(&0),
            *sealed.get(4).unwrap_or(&0),
        ]));
        assert_eq!(sealed.len() > first, is_1_3);
    }
}

#[test]
fn goodbyes_are_said_and_heard() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    for provider in each_suite() {
        let mut peer = Peer::new(without_resumption(desk.client(provider, None)), "localhost");
        let mut stream = join(&acceptor, &mut peer, b"", 4).unwrap().stream;
        let mut farewell = seal(&mut stream, &[b"last words"]);
        stream.close_notify(&mut farewell);
        let len = farewell.len();
        stream.close_notify(&mut farewell);
        assert_eq!(farewell.len(), len, "once is enough");
        peer.hears(&farewell);
        assert_eq!((&peer.error, &peer.heard[..]), (&None, &b"last words"[..]));

        let mut peer = Peer::new(
            without_resumption(desk.client(aws_lc_rs::default_provider(), None)),
            "localhost",
        );
        let mut stream = join(&acceptor, &mut peer, b"", 4).unwrap().stream;
        let mut sent = peer.says(b"bye");
        peer.connection.send_close_notify();
        sent.extend(peer.sends());
        sent.extend(b"what comes later is not looked at");
        let (plain, _, verdict) = open(&mut stream, &sent, &mut Rng::from_seed(7));
        assert_eq!((&plain[..], verdict), (&b"bye"[..], Err(Ending::Closed)));
    }
}

#[test]
fn a_flipped_bit_ends_the_connection_and_shows_nothing() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    for (seed, provider) in (0..).zip(each_suite()) {
        let chance = &mut Rng::from_seed(seed);
        for _ in 0..20 {
            let mut peer = Peer::new(desk.client(provider.clone(), None), "localhost");
            let mut stream = join(&acceptor, &mut peer, b"", seed).unwrap().stream;
            let mut sealed = peer.says(b"thirty-two bytes of secret text.");
            let at = chance.below(u32::try_from(sealed.len()).unwrap()) as usize;
            sealed[at] ^= 1 << chance.below(8);
            let (plain, outgoing, verdict) = open(&mut stream, &sealed, chance);
            assert!(plain.is_empty());
            if verdict.is_ok() {
                assert!(
                    (3..5).contains(&at),
                    "only a length that grew asks for more, not byte {at}"
                );
                continue;
            }
            peer.hears(&outgoing);
            assert!(
                matches!(peer.error, Some(rustls::Error::AlertReceived(_))),
                "{:?}",
                peer.error
            );
        }
    }
}

#[test]
fn records_that_bring_nothing_are_counted() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    let mut peer = Peer::new(any_client(&desk, None), "localhost");
    let mut stream = join(&acceptor, &mut peer, b"", 2).unwrap().stream;
    let chance = &mut Rng::from_seed(2);
    let update = |peer: &mut Peer| {
        peer.connection.refresh_traffic_keys().unwrap();
        peer.sends()
    };
    for _ in 0..40 {
        let mut sealed = update(&mut peer);
        sealed.extend(peer.says(b"something"));
        assert_eq!(open(&mut stream, &sealed, chance).2, Ok(()));
    }
    let verdicts: Vec<bool> = (0..33)
        .map(|_| open(&mut stream, &update(&mut peer), chance).2.is_ok())
        .collect();
    assert_eq!(verdicts.iter().filter(|is_ok| **is_ok).count(), 32);
}

#[test]
fn one_answer_is_enough_for_many_requests() {
    let desk = Desk::new();
    let acceptor = desk.acceptor(&block());
    let mut peer = Peer::new(any_client(&desk, None), "localhost");
    let mut stream = join(&acceptor, &mut peer, b"", 2).unwrap().stream;
    let mut outgoing = Vec::new();
    for _ in 0..10 {
        peer.connection.refresh_traffic_keys().unwrap();
        let mut sealed = peer.says(b"x");
        stream.open(&mut sealed, &mut outgoing, |_| ()).unwrap();
    }
    let one = 5 + 5 + 1 + 16;
    assert_eq!(outgoing.len(), one);
    peer.hears(&outgoing);
    peer.hears(&seal(&mut stream, &[b"still in step"]));
    assert_eq!(
        (&peer.error, &peer.heard[..]),
        (&None, &b"still in step"[..])
    );
}

#[test]
fn files_that_do_not_fit_are_named() {
    let mut desk = Desk::new();
    desk.put("empty.pem", "");
    desk.put(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    );
    desk.put(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    desk.issue("other", &["other"], Purpose::Server);
    let error = |certificate: &str, key: &str| {
        let mut tls = block();
        tls.certificates = vec![CertificateFiles {
            certificate: certificate.into(),
            key: key.into(),
        }];
        Acceptor::new(&tls, &desk).unwrap_err()
    };
    assert_eq!(
        error("gone.pem", "server.key"),
        "open gone.pem: no such file or directory"
    );
    assert_eq!(
        error("empty.pem", "server.key"),
        "empty.pem has no certificate in it (PEM)"
    );
    assert!(error("broken.pem", "server.key").starts_with("broken.pem is not in PEM format"));
    assert_eq!(
        error("server.pem", "server.pem"),
        "server.pem has no private key in it (PEM)"
    );
    assert!(
        error("server.pem", "locked.key").starts_with("the private key in locked.key is encrypted")
    );
    assert_eq!(
        error("server.pem", "other.key"),
        "the private key in other.key does not match the public key in server.pem"
    );
    let ca = |verify: bool, ca_file: Option<&str>| {
        let tls = Tls {
            verify,
            ca_file: ca_file.map(Into::into),
            ..block()
        };
        Acceptor::new(&tls, &desk).unwrap_err()
    };
    for verify in [true, false] {
        assert_eq!(
            ca(verify, Some("gone.pem")),
            "open gone.pem: no such file or directory"
        );
        assert_eq!(
            ca(verify, Some("server.key")),
            "server.key has no certificate in it (PEM)"
        );
    }
    assert_eq!(ca(true, None), "no authorities on this desk");
    let none = Acceptor::new(
        &Tls {
            certificates: Vec::new(),
            ..block()
        },
        &desk,
    );
    assert!(none.unwrap_err().contains("cert_file"));
}

#[test]
fn an_expired_own_certificate_is_a_warning() {
    let desk = Desk::new();
    assert!(desk.acceptor(&block()).warnings().is_empty());
    desk.set_today(TODAY + 366 * 86_400);
    assert_eq!(
        desk.acceptor(&block()).warnings(),
        ["The certificate in server.pem has expired"]
    );
    assert_eq!(desk.acceptor(&block()).not_after(), Some(1_798_761_600));
}

proptest! {
    /// Whatever comes instead of a handshake: an answer, and no panic.
    #[test]
    fn a_handshake_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), looks_right: bool) {
        let desk = Desk::new();
        let mut handshake = Handshake::new(&desk.acceptor(&block())).unwrap();
        let mut incoming = if looks_right { vec![0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3] } else { Vec::new() };
        incoming.extend(bytes);
        let verdict = handshake.advance(&mut incoming, &mut Vec::new());
        prop_assert_ne!(verdict, Ok(Progress::Finished));
    }
}
