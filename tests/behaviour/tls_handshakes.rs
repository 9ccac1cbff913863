//! How a connection gets from its first byte to TLS, and what becomes of those who do not get there: in nats-server's order,
//! with its log lines, each within its time.

use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use super::tls_carries_everything::{join, say_hello};
use crate::cast::{Bystanders, PATIENCE, is_served};
use crate::support::{Certificates, Launch, RawClient, Server, wait_until};

on_1_2_and_4_shards!(
    info_tells_what_is_wanted,
    tls_may_come_first,
    tls_may_come_first_or_info_after_a_while,
    others_are_refused,
    who_is_too_slow_is_closed,
    too_many_at_once_are_turned_away,
    a_thousand_handshakes_leave_nothing_behind,
    sessions_are_resumed_on_any_shard,
    a_goodbye_is_answered_by_one
);

const CLOSED: &str = "Client connection closed: TLS Handshake Failure";

fn start(shards: u32, block: &str) -> Server {
    Launch::trunkline(shards)
        .flags(["-D"])
        .config_line(block)
        .start()
        .expect("a server")
}

fn connect(server: &Server) -> RawClient {
    let mut client = server.connect();
    client.patience(PATIENCE);
    client
}

fn info(client: &mut RawClient) -> String {
    String::from_utf8(client.line().expect("INFO")).expect("text")
}

fn info_tells_what_is_wanted(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block(""));
    assert!(server.logs_within("[INF] TLS required for client connections", PATIENCE));
    let told = info(&mut connect(&server));
    assert!(told.contains("\"tls_required\":true"), "{told}");
    assert!(
        !told.contains("tls_verify") && !told.contains("tls_available"),
        "{told}"
    );
    let server = start(shards, &certificates.block("verify: true"));
    let told = info(&mut connect(&server));
    assert!(
        told.contains("\"tls_required\":true,\"tls_verify\":true"),
        "{told}"
    );
}

fn tls_may_come_first(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block("handshake_first: true"));
    let mut client = connect(&server);
    client
        .silence(Duration::from_millis(300))
        .expect("no word before TLS");
    client
        .secure(&certificates.client(), "localhost")
        .expect("a handshake");
    let told = info(&mut client);
    assert!(told.contains("\"tls_required\":true"), "{told}");
    say_hello(&mut client);
    let lines = [
        "TLS handshake complete",
        "TLS version 1.3, cipher suite TLS_AES_128_GCM_SHA256",
    ];
    for line in lines {
        assert!(
            server.logs_within(line, PATIENCE),
            "{line}: {}",
            server.log()
        );
    }
}

fn tls_may_come_first_or_info_after_a_while(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block("handshake_first: \"300ms\""));
    let mut eager = connect(&server);
    eager
        .secure(&certificates.client(), "localhost")
        .expect("a handshake");
    assert!(info(&mut eager).contains("INFO {"));
    say_hello(&mut eager);
    let began = Instant::now();
    let mut patient = connect(&server);
    assert!(info(&mut patient).contains("\"tls_required\":true"));
    assert!(began.elapsed() >= Duration::from_millis(300));
    patient
        .secure(&certificates.client(), "localhost")
        .expect("a handshake");
    say_hello(&mut patient);
}

fn others_are_refused(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block(""));
    let refused = |bytes: &[u8], line: &str, answer: &[u8]| {
        let mut client = connect(&server);
        info(&mut client);
        client.send(bytes).expect("sent");
        let said = client.exactly(answer.len()).expect("an answer");
        assert_eq!(said, answer, "{line}");
        client.end().expect("it is closed");
        let from = client.local_address().expect("an address");
        let is_told = |text: &str| {
            server
                .log()
                .lines()
                .any(|told| told.contains(&format!("{from} - cid:")) && told.ends_with(text))
        };
        assert!(
            wait_until(PATIENCE, || is_told(line) && is_told(CLOSED)),
            "{line}: {}",
            server.log()
        );
    };
    let no_tls = "TLS handshake error: tls: first record does not look like a TLS handshake";
    refused(b"CONNECT {}\r\nPING\r\n", no_tls, b"");
    refused(b"GET / HTTP/1.1\r\n\r\n", no_tls, b"");
    let long = "TLS handshake error: tls: oversized record received with length 65535";
    refused(b"\x16\x03\x01\xff\xff", long, &[21, 3, 1, 0, 2, 2, 22]);
    let old = "TLS handshake error: tls: unsupported SSLv2 handshake received";
    refused(b"\x80\x2e\x01\x00\x02", old, &[21, 3, 1, 0, 2, 2, 70]);
    // Only what a person should look at is an error.
    let log = server.log();
    assert!(
        log.lines()
            .filter(|line| line.contains(no_tls))
            .all(|line| line.contains("[DBG]"))
    );
    assert!(
        log.lines()
            .filter(|line| line.contains(long))
            .all(|line| line.contains("[ERR]"))
    );

    let mut half = connect(&server);
    info(&mut half);
    half.send(b"\x16\x03\x01\x02\x00\x01").expect("sent");
    drop(half);
    assert!(server.logs_within("TLS handshake error: unexpected EOF", PATIENCE));
    drop(connect(&server));
    assert!(server.logs_within("TLS handshake error: EOF", PATIENCE));

    // A client that does not trust the server says why.
    let stranger = Certificates::create();
    let mut client = connect(&server);
    info(&mut client);
    assert!(client.secure(&stranger.client(), "localhost").is_err());
    client.send_sealed().expect("its alert is sent");
    assert!(
        server.logs_within("TLS handshake error: remote error: tls: ", PATIENCE),
        "{}",
        server.log()
    );
}

fn who_is_too_slow_is_closed(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block("timeout: 0.5"));
    let bytes: [&[u8]; 3] = [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"];
    let began = Instant::now();
    let mut slow: Vec<_> = (0..12)
        .map(|place| {
            let mut client = connect(&server);
            info(&mut client);
            client.send(bytes[place % 3]).expect("sent");
            client
        })
        .collect();
    for client in &mut slow {
        client.end().expect("it is closed without a word");
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
    let count = |text: &str| server.log().matches(text).count();
    assert!(wait_until(PATIENCE, || count(CLOSED) == 12));
    assert_eq!(count("TLS handshake timeout"), 12);
    is_served(&mut join(&server, &certificates.client())).expect("others are served");
}

fn too_many_at_once_are_turned_away(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block("connection_rate_limit: 2"));
    let mut verdicts = Vec::new();
    while !verdicts.contains(&false) {
        assert!(verdicts.len() < 1000, "nobody is ever turned away");
        let mut client = connect(&server);
        info(&mut client);
        let is_in = client.secure(&certificates.client(), "localhost").is_ok();
        verdicts.push(is_in);
    }
    assert!(
        verdicts.len() > 2,
        "as many as are allowed get in: {verdicts:?}"
    );
    assert!(
        server.logs_within("[WRN] Rejected ", PATIENCE),
        "{}",
        server.log()
    );
    assert!(server.logs_within("connections due to TLS rate limiting", PATIENCE));
    assert!(server.logs_within(
        "Client connection closed: Maximum Connections Exceeded",
        PATIENCE
    ));
    // What they are told, seen by one who reads it.
    let told = || {
        let mut client = connect(&server);
        info(&mut client);
        client.patience(Duration::from_millis(100));
        let line = client.line();
        line.is_ok_and(|line| {
            line == b"-ERR 'Connection throttling is active. Please try again later.'\r\n"
        })
    };
    assert!((0..1000).any(|_| told()));
    // A second later there is room again.
    std::thread::sleep(Duration::from_millis(1100));
    is_served(&mut join(&server, &certificates.client())).expect("it is served");
}

fn a_thousand_handshakes_leave_nothing_behind(shards: u32) {
    let certificates = Certificates::create();
    let server = Launch::trunkline(shards)
        .config_line(&certificates.block(""))
        .config_line("allow_non_tls: true")
        .start()
        .expect("a server");
    let bystanders = Bystanders::start(server.address());
    let before = server.open_files();
    let config = certificates.client();
    let mut resident = Vec::new();
    for round in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..100 {
                        let client = join(&server, &config);
                        // Half of them leave without a word.
                        if number % 2 == 0 {
                            drop(client);
                        } else {
                            let mut client = client;
                            client.tls().send_close_notify();
                            client.send_sealed().expect("sent");
                        }
                    }
                });
            }
        });
        assert!(
            wait_until(PATIENCE, || server.open_files() <= before),
            "round {round}"
        );
        resident.push(server.resident_kib());
    }
    assert!(
        resident[2] < resident[1] + 4096,
        "memory does not grow: {resident:?}"
    );
    bystanders.finish();
}

fn sessions_are_resumed_on_any_shard(shards: u32) {
    let certificates = Certificates::create();
    let server = start(shards, &certificates.block(""));
    for version in [&TLS12, &TLS13] {
        let config = certificates.client_of(&[version], None);
        let mut kept = vec![join(&server, &config)];
        for _ in 0..shards * 2 {
            let mut client = join(&server, &config);
            assert_eq!(client.tls().handshake_kind(), Some(HandshakeKind::Resumed));
            kept.push(client);
        }
    }
}

fn a_goodbye_is_answered_by_one(shards: u32) {
    let certificates = Certificates::create();
    let mut server = start(shards, &certificates.block(""));
    let mut leaves = join(&server, &certificates.client());
    leaves.tls().send_close_notify();
    leaves.send_sealed().expect("sent");
    leaves.end().expect("it is closed");
    assert!(server.logs_within("Client connection closed: Client Closed", PATIENCE));
    let mut stays = join(&server, &certificates.client());
    server.signal("TERM").expect("signalled");
    stays.end().expect("it is closed");
    let io = stays.tls().process_new_packets().expect("nothing is wrong");
    assert!(io.peer_has_closed(), "with a goodbye, not just cut off");
    server.exit_status(PATIENCE).expect("it ends");
}
