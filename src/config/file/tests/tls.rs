//! What the block of TLS becomes, and what flags do to it.

use std::time::Duration;

use super::{configure, options, refused};
use crate::config::tls::{
    CIPHER_SUITES, CURVES, CertificateFiles, HandshakeFirst, Tls, TlsVersion, available,
};

const PAIR: &str = "cert_file: c.pem, key_file: k.pem";

fn tls(parts: &str) -> Tls {
    options(&format!("tls {{ {PAIR}, {parts} }}"))
        .tls
        .expect("TLS")
}

fn refused_part(parts: &str) -> String {
    refused(&format!("tls {{ {PAIR}, {parts} }}"))
}

fn pair(certificate: &str, key: &str) -> CertificateFiles {
    CertificateFiles {
        certificate: certificate.into(),
        key: key.into(),
    }
}

#[test]
fn every_part_of_tls_is_read() {
    let pin = "0123456789abcdefABCDEF00000000000000000000000000000000000000000f";
    let tls = tls(&format!(
        "ca_file: ca.pem, verify_and_map: true, timeout: 1.5, handshake_first: auto, min_version: '1.3'
         cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]
         curve_preferences: [CurveP384, X25519], pinned_certs: ['{pin}', '{pin}'], connection_rate_limit: 7
         allow_insecure_cipher_suites: true, insecure: true, verify_cert_and_check_known_urls: false
         ocsp_peer: false"
    ));
    let mut digest = [0; 32];
    digest[..11].copy_from_slice(&[
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xab, 0xcd, 0xef,
    ]);
    digest[31] = 0x0f;
    assert_eq!(
        tls,
        Tls {
            certificates: vec![pair("c.pem", "k.pem")],
            ca_file: Some("ca.pem".into()),
            verify: true,
            map: true,
            timeout: Duration::from_millis(1500),
            handshake_first: HandshakeFirst::Within(Duration::from_millis(50)),
            min_version: TlsVersion::V1_3,
            cipher_suites: vec![
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384".to_owned(),
                "TLS_AES_128_GCM_SHA256".to_owned()
            ],
            curves: vec!["CurveP384".to_owned(), "X25519".to_owned()],
            pinned_certs: Some([digest].into()),
            connection_rate_limit: Some(7),
        }
    );
}

#[test]
fn defaults_are_those_of_nats_server() {
    let plain = options("");
    assert_eq!(
        (plain.tls, plain.allow_non_tls, plain.proxy_protocol),
        (None, false, false)
    );
    let defaults = tls("timeout: 0, connection_rate_limit: 0, cert_file: c.pem");
    assert_eq!(
        defaults,
        Tls {
            certificates: vec![pair("c.pem", "k.pem")],
            ..Tls::default()
        }
    );
    assert_eq!(defaults.timeout, Duration::from_secs(2));
    let mixed = options(&format!(
        "allow_non_tls: true, proxy_protocol: true, tls {{ {PAIR}, timeout: '5s' }}"
    ));
    assert!(mixed.allow_non_tls && mixed.proxy_protocol);
    assert_eq!(mixed.auth_timeout, Duration::from_secs(6));
    let said = options(&format!("authorization {{ timeout: 4 }}, tls {{ {PAIR} }}"));
    assert_eq!(said.auth_timeout, Duration::from_secs(4));
}

#[test]
fn several_certificates_may_be_given() {
    let text = "tls { certs: [
      {cert_file: a.pem, key_file: ak.pem}
      {cert_file: b.pem, key_file: bk.pem}
    ] }";
    let tls = options(text).tls.expect("TLS");
    assert_eq!(
        tls.certificates,
        [pair("a.pem", "ak.pem"), pair("b.pem", "bk.pem")]
    );
    for (text, reason) in [
        (
            "certs: [{cert_file: a}]",
            "error parsing certificates config: both 'cert_file' and 'key_file' options are required",
        ),
        (
            "certs: [a]",
            "a certificate must be a map, not a text\ncerts is empty",
        ),
        ("certs: []", "certs is empty"),
        (
            "certificates: [{cert_file: a, key_file: b}], cert_file: c, key_file: d",
            "error parsing tls config, cannot combine 'cert_file' option with 'certs' option",
        ),
        ("cert_file: a", "missing 'key_file' in TLS configuration"),
        ("key_file: a", "missing 'cert_file' in TLS configuration"),
        (
            "verify: true",
            "missing 'cert_file' and 'key_file' in TLS configuration",
        ),
    ] {
        assert_eq!(refused(&format!("tls {{ {text} }}")), reason, "{text}");
    }
}

#[test]
fn a_handshake_may_come_first() {
    let millis = |millis| HandshakeFirst::Within(Duration::from_millis(millis));
    for (text, expected) in [
        ("true", HandshakeFirst::Always),
        ("false", HandshakeFirst::No),
        ("'On'", HandshakeFirst::Always),
        ("off", HandshakeFirst::No),
        ("'off'", HandshakeFirst::No),
        ("auto_fallback", millis(50)),
        ("'300ms'", millis(300)),
        ("'0s'", HandshakeFirst::Always),
    ] {
        for key in ["handshake_first", "first", "immediate"] {
            let tls = tls(&format!("{key}: {text}"));
            assert_eq!(tls.handshake_first, expected, "{text}");
        }
    }
    for text in ["soon", "'5'", "'-5s'", "'2h'"] {
        let told = refused_part(&format!("first: {text}"));
        assert!(
            told.contains("is invalid: expected true, false, auto"),
            "{told}"
        );
    }
}

#[test]
fn what_can_be_chosen_is_named() {
    for (name, _) in CIPHER_SUITES {
        let told = configure(
            &["-c", "a.conf"],
            &format!("tls {{ {PAIR}, cipher_suites: [{name}] }}"),
        );
        let is_available = available(CIPHER_SUITES).any(|available| available == *name);
        assert_eq!(told.is_ok(), is_available, "{name}");
    }
    for (text, reason) in [
        (
            "cipher_suites: [TLS_NONSENSE]",
            "unrecognized cipher \"TLS_NONSENSE\"; there are TLS_AES_128_GCM_SHA256, ",
        ),
        (
            "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: \
             TLS_RSA_WITH_AES_128_CBC_SHA; there are ",
        ),
        (
            "allow_insecure_cipher_suites: true, cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
            "cipher suite TLS_RSA_WITH_AES_128_CBC_SHA is not supported; there are ",
        ),
        (
            "cipher_suites: []",
            "error parsing tls config, 'cipher_suites' cannot be empty",
        ),
        (
            "curve_preferences: [CurveP521, SecP384r1MLKEM1024]",
            "curve preference SecP384r1MLKEM1024 is not supported; there are X25519MLKEM768, ",
        ),
        (
            "curve_preferences: [P256]",
            "unrecognized curve preference \"P256\"; there are ",
        ),
        (
            "curve_preferences: []",
            "error parsing tls config, 'curve_preferences' cannot be empty",
        ),
        (
            "min_version: '1.1'",
            "error parsing tls config: unsupported TLS version: 1.1; there are \"1.2\" and \"1.3\"",
        ),
        (
            "min_version: '2'",
            "error parsing tls config: unknown version: \"2\"; there are",
        ),
        (
            "min_version: 1.2",
            "min_version must be a text, not a number with a fraction; put it in quotes",
        ),
        (
            "verify_cert_and_check_known_urls: true",
            "verify_cert_and_check_known_urls not supported in this context",
        ),
        (
            "pinned_certs: [abc]",
            "error parsing tls config, 'pinned_certs' key \"abc\" does not look like",
        ),
        (
            "pinned_certs: []",
            "pinned_certs is empty, which lets every certificate in",
        ),
        (
            "connection_rate_limit: -1",
            "invalid value -1 for connection_rate_limit: must be 0 to",
        ),
        (
            "timeout: '5'",
            "invalid value \"5\" for timeout: expected a duration",
        ),
        ("timeout: '2h'", "timeout is longer than an hour"),
        (
            "timeout: -1",
            "invalid value -1 for timeout: it is below zero",
        ),
        (
            "cert_store: WindowsCurrentUser",
            "cert_store is not supported yet",
        ),
        ("ocsp_peer: true", "ocsp_peer is not supported yet"),
        (
            "verfy: true",
            "unknown field \"verfy\"; did you mean \"verify\"?",
        ),
    ] {
        let told = refused_part(text);
        assert!(told.starts_with(reason), "{text}: {told}");
    }
    let curves: Vec<&str> = available(CURVES).collect();
    assert_eq!(
        tls(&format!("curve_preferences: [{}]", curves.join(","))).curves,
        curves
    );
}

#[test]
fn flags_bring_certificates_of_their_own() {
    let text = format!(
        "tls {{ {PAIR}, ca_file: ca.pem, verify: true, timeout: 7, handshake_first: true, min_version: '1.3' }}"
    );
    let with = |words: &[&str]| {
        let words = [&["-c", "a.conf"], words].concat();
        configure(&words, &text).map(|configured| configured.options.tls)
    };
    let tls = with(&["--tlscert", "x", "--tlskey", "y"])
        .expect("options")
        .expect("TLS");
    assert_eq!(tls.certificates, [pair("x", "y")]);
    // As in nats-server: these are of the certificates, those of the connections.
    assert!(!tls.verify && tls.ca_file.is_none() && tls.min_version == TlsVersion::V1_2);
    assert_eq!(
        (tls.timeout, tls.handshake_first),
        (Duration::from_secs(7), HandshakeFirst::Always)
    );
    assert_eq!(with(&["--tls=false"]).expect("options"), None);
    assert_eq!(
        with(&["--tls"]).expect_err("a refusal"),
        "TLS Server certificate must be present and valid"
    );
}
