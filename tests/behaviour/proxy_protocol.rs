//! With `proxy_protocol` a connection may begin with a header that says who the client is; in front of TLS, too.

use std::time::{Duration, Instant};

use super::tls_carries_everything::say_hello;
use crate::cast::{PATIENCE, is_served};
use crate::support::{Certificates, Launch, RawClient, Server, wait_until};

on_1_2_and_4_shards!(
    the_client_is_who_the_header_says,
    wrong_headers_are_refused,
    half_headers_have_their_time,
    a_header_stands_before_tls
);

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";

fn start(shards: u32, more: &str) -> Server {
    Launch::trunkline(shards)
        .flags(["-D"])
        .config_line("proxy_protocol: true")
        .config_line(more)
        .start()
        .expect("a server")
}

fn connect(server: &Server) -> RawClient {
    let mut client = server.connect();
    client.patience(PATIENCE);
    let info = String::from_utf8(client.line().expect("INFO")).expect("text");
    assert!(!info.contains("client_ip"), "nobody knows yet: {info}");
    client
}

fn binary(kind: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x21, kind][..], &len, rest].concat()
}

fn the_client_is_who_the_header_says(shards: u32) {
    let server = start(shards, "");
    assert!(server.logs_within(
        "[INF] PROXY protocol enabled for client connections",
        PATIENCE
    ));
    let v4 = [192, 0, 2, 7, 192, 0, 2, 8, 0xc3, 0x50, 0x10, 0x7e];
    let mut v6 = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    v6.extend([0; 16]);
    v6.extend([0, 80, 0x10, 0x7e, 0x03, 0, 1, 9]);
    let headers: [(Vec<u8>, &str); 6] = [
        (
            b"PROXY TCP4 192.0.2.7 192.0.2.8 50000 4222\r\n".to_vec(),
            "192.0.2.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::8 80 4222\r\n".to_vec(),
            "2001:db8::7",
        ),
        (binary(0x11, &v4), "192.0.2.7"),
        (binary(0x21, &v6), "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (Vec::new(), "127.0.0.1"),
    ];
    for (header, ip) in headers {
        for is_trickled in [false, true] {
            let mut client = connect(&server);
            if is_trickled {
                client.trickle(&header).expect("sent");
                client.send(CONNECT).expect("sent");
            } else {
                client.send(&[&header, CONNECT].concat()).expect("sent");
            }
            client.expect_line("PONG");
            let info = String::from_utf8(client.line().expect("INFO")).expect("text");
            assert!(
                info.contains(&format!("\"client_ip\":\"{ip}\"")),
                "{header:?}: {info}"
            );
            is_served(&mut client).expect("it is served");
        }
    }
}

fn wrong_headers_are_refused(shards: u32) {
    let server = start(shards, "");
    let long = [&b"PROXY TCP4 "[..], &[b'1'; 200], b"\r\n"].concat();
    let cases: [(&[u8], &str); 4] = [
        (
            b"PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n",
            "invalid PROXY protocol header: invalid v1 format",
        ),
        (&long, "invalid PROXY protocol header: v1 line too long"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
            "invalid PROXY protocol header: invalid version 0x10",
        ),
        (
            &binary(0x12, &[0; 12]),
            "unsupported PROXY protocol feature: only STREAM protocol supported",
        ),
    ];
    for (header, why) in cases {
        let mut client = connect(&server);
        let from = client.local_address().expect("an address");
        client.send(header).expect("sent");
        client.end().expect("it is closed");
        let line = format!("[WRN] Error reading PROXY protocol header from {from}: {why}");
        assert!(
            server.logs_within(&line, PATIENCE),
            "{line}: {}",
            server.log()
        );
        let closed = format!("{from} - cid:");
        let is_told = || {
            let log = server.log();
            let mut lines = log.lines().filter(|line| line.contains(&closed));
            lines.any(|line| line.ends_with("closed: Protocol Violation"))
        };
        assert!(wait_until(PATIENCE, is_told), "{}", server.log());
    }
}

fn half_headers_have_their_time(shards: u32) {
    let server = start(shards, "");
    let began = Instant::now();
    let mut slow: Vec<_> = [&b""[..], b"PROXY TCP4 1.2.3", &binary(0x11, &[])[..14]]
        .map(|bytes| {
            let mut client = connect(&server);
            client.send(bytes).expect("sent");
            client
        })
        .into();
    let mut leaves = connect(&server);
    leaves.send(b"PROXY TCP4").expect("sent");
    drop(leaves);
    assert!(server.logs_within("failed to read v1 line: EOF", PATIENCE));
    for client in &mut slow {
        client.end().expect("it is closed");
    }
    assert!(began.elapsed() >= Duration::from_secs(5));
    for what in ["protocol version", "v1 line", "v2 header"] {
        let line = format!("failed to read {what}: i/o timeout");
        assert!(
            server.logs_within(&line, PATIENCE),
            "{line}: {}",
            server.log()
        );
    }
}

fn a_header_stands_before_tls(shards: u32) {
    let certificates = Certificates::create();
    for more in ["", "handshake_first: true", "handshake_first: \"auto\""] {
        let server = start(shards, &certificates.block(more));
        let mut client = server.connect();
        client.patience(PATIENCE);
        if more.is_empty() {
            client.line().expect("INFO");
        }
        client
            .send(b"PROXY TCP4 192.0.2.7 192.0.2.8 50000 4222\r\n")
            .expect("sent");
        client
            .secure(&certificates.client(), "localhost")
            .expect("a handshake");
        if !more.is_empty() {
            let info = String::from_utf8(client.line().expect("INFO")).expect("text");
            assert!(info.contains("\"client_ip\":\"192.0.2.7\""), "{info}");
        }
        say_hello(&mut client);
        assert!(
            server.logs_within("192.0.2.7:50000 - cid:", PATIENCE),
            "{}",
            server.log()
        );
    }
}
