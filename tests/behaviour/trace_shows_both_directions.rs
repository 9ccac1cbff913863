//! `-V` logs what comes in, what goes out and the end of subscriptions, line for line as nats-server does; passwords are
//! left out.

use crate::cast::PATIENCE;
use crate::support::{Launch, RawClient, Server, wait_until};

on_1_2_and_4_shards!(lines_are_those_of_nats_server);

fn lines_are_those_of_nats_server(shards: u32) {
    let ours = Launch::trunkline(shards).flags(["-V", "-T=false"]);
    let expected = [
        r#"<<- [CONNECT {"verbose":false,"headers":true,"pass":"[REDACTED]"}]"#,
        "<<- [PING]",
        "->> [PONG]",
        "<<- [SUB foo.* 7]",
        "<<- [SUB foo.> crew 8]",
        "<<- [PING]",
        "->> [PONG]",
        "->> [MSG foo.bar 7 re.ply 5]",
        r#"->> MSG_PAYLOAD: ["hello"]"#,
        "->> [MSG foo.bar 8 re.ply 5]",
        r#"->> MSG_PAYLOAD: ["hello"]"#,
        "->> [HMSG foo.hdr 7 12 14]",
        r#"->> MSG_PAYLOAD: ["NATS/1.0\r\n\r\nhi"]"#,
        "->> [HMSG foo.hdr 8 12 14]",
        r#"->> MSG_PAYLOAD: ["NATS/1.0\r\n\r\nhi"]"#,
        "->> [MSG foo.empty 7 0]",
        "->> [MSG foo.empty 8 0]",
        "<<- [UNSUB 7 2]",
        "<-> [DELSUB 7]",
        "<<- [UNSUB 8]",
        "<-> [DELSUB 8]",
        "<<- [PING]",
        "->> [PONG]",
    ];
    assert_eq!(traced(ours), expected);
    let theirs = Launch::nats_server().expect("nats-server");
    assert_eq!(traced(theirs.flags(["-V", "-T=false"])), expected);
}

on_1_2_and_4_shards!(payloads_are_shown_as_far_as_nats_server_shows_them);

fn payloads_are_shown_as_far_as_nats_server_shows_them(shards: u32) {
    let five = r#"->> MSG_PAYLOAD: ["hello"]"#;
    let four = r#"->> MSG_PAYLOAD: ["hell..."]"#;
    let headers = r#"->> MSG_PAYLOAD: ["NATS/1.0"]"#;
    for (option, expected) in [
        (
            "max_traced_msg_len: 5",
            &[five, five, r#"->> MSG_PAYLOAD: ["NATS/..."]"#][..],
        ),
        (
            "max_traced_msg_len: 4",
            &[four, four, r#"->> MSG_PAYLOAD: ["NATS..."]"#],
        ),
        ("trace_headers: true", &[headers, headers]),
    ] {
        for launch in [
            Launch::trunkline(shards),
            Launch::nats_server().expect("nats-server"),
        ] {
            let launch = launch.flags(["-T=false"]);
            let mut lines = traced(launch.config_line(option).config_line("trace: true"));
            lines.retain(|line| line.contains("MSG_PAYLOAD"));
            assert_eq!(lines[..expected.len()], *expected, "{option}: {lines:?}");
        }
    }
}

/// What is logged of a subscriber to whom another client publishes.
fn traced(launch: Launch) -> Vec<String> {
    let server = launch.start().expect("a server");
    let mut publisher = server.join(r#"{"verbose":false,"headers":true}"#);
    let mut subscriber = server.connect();
    subscriber.patience(PATIENCE).line().expect("INFO");
    say(
        &mut subscriber,
        "CONNECT {\"verbose\":false,\"headers\":true,\"pass\":\"secret\"}\r\n",
    );
    say(&mut subscriber, "SUB foo.* 7\r\nSUB foo.> crew 8\r\n");
    say(
        &mut publisher,
        "PUB foo.bar re.ply 5\r\nhello\r\nHPUB foo.hdr 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB foo.empty 0\r\n\r\n",
    );
    for _ in 0..6 {
        subscriber.message().expect("a message");
    }
    say(&mut subscriber, "UNSUB 7 2\r\nUNSUB 8\r\n");
    told_of(&server, &subscriber)
}

fn say(client: &mut RawClient, text: &str) {
    client.send(text.as_bytes()).expect("sent");
    client.sync().expect("PONG");
}

fn told_of(server: &Server, client: &RawClient) -> Vec<String> {
    let address = client.local_address().expect("an address");
    let label = format!("[TRC] {address} - cid:");
    let text = |line: &str| Some(line.split_once(&label)?.1.split_once(" - ")?.1.to_owned());
    let traced = || server.log().lines().filter_map(text).collect::<Vec<_>>();
    let pongs = || traced().iter().filter(|line| *line == "->> [PONG]").count();
    assert!(wait_until(PATIENCE, || pongs() == 3), "{}", server.log());
    assert!(!server.log().contains("secret"), "a password in the log");
    traced()
}
