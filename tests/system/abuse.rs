//! Who looks after the server may ask too much, or nonsense: it goes on answering, and messages go on flowing.

use crate::stage::{Stage, ask_as};
use crate::support::{Launch, RawClient};

const PING: &str = "$SYS.REQ.SERVER.PING.IDZ";

/// It answers, and a message of other people arrives.
fn is_well(stage: &mut Stage, other: &mut RawClient) {
    assert_eq!(stage.ask("$SYS.REQ.SERVER.PING.IDZ", "").len(), 1);
    other
        .send(b"SUB still.here 9\r\nPUB still.here 2\r\nhi\r\nUNSUB 9\r\n")
        .expect("it reads");
    assert_eq!(other.message().expect("a message").body, b"hi");
    other.sync().expect("it is served");
    let log = stage.server.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn many_requests_at_once_are_all_answered() {
    for shards in [1, 2, 4] {
        let mut stage = Stage::set(Launch::trunkline(shards));
        let mut other = stage.join("a2");
        let mut asker = stage.join("sys+");
        let mut lines = b"SUB many 1\r\n".to_vec();
        for _ in 0..5_000 {
            lines.extend_from_slice(format!("PUB {PING} many 0\r\n\r\n").as_bytes());
        }
        asker.send(&lines).expect("it reads");
        is_well(&mut stage, &mut other);
        for _ in 0..5_000 {
            assert_eq!(asker.message().expect("an answer").subject, "many");
        }
    }
}

/// An answer that is a question itself is answered once, to nobody.
#[test]
fn answers_to_services_go_round_no_longer() {
    for shards in [1, 2] {
        let mut stage = Stage::set(Launch::trunkline(shards));
        let mut other = stage.join("a2");
        let subjects = [
            "$SYS.REQ.SERVER.PING.IDZ",
            "$SYS.REQ.SERVER.PING.STATSZ",
            "$SYS.REQ.SERVER.PING",
            "$SYS.REQ.SERVER.PING.VARZ",
            "$SYS.REQ.ACCOUNT.A.CONNS",
            "$SYS.REQ.USER.INFO",
            "$SYS.DEBUG.SUBSCRIBERS",
        ];
        stage.watcher.send(b"SUB $SYS.> 1\r\n").expect("it reads");
        for asked in subjects {
            for reply in subjects {
                let line = format!("PUB {asked} {reply} 0\r\n\r\n");
                stage.watcher.send(line.as_bytes()).expect("it reads");
            }
        }
        is_well(&mut stage, &mut other);
        // Whatever would still go round would be heard between these.
        let heard = |stage: &mut Stage| {
            let mut count = 0;
            stage
                .watcher
                .send(b"SUB fence f\r\nPUB fence 0\r\n\r\n")
                .expect("it reads");
            while stage.watcher.message().expect("a message").subject != "fence" {
                count += 1;
            }
            stage.watcher.send(b"UNSUB f\r\n").expect("it reads");
            count
        };
        heard(&mut stage);
        stage.ask(PING, "");
        let round = heard(&mut stage);
        assert!(round < 20, "{round} messages although nobody asks");
    }
}

#[test]
fn the_server_itself_cannot_be_kicked() {
    for shards in [1, 2] {
        let mut stage = Stage::set(Launch::trunkline(shards));
        let mut other = stage.join("a2");
        for body in [
            r#"{"cid":0}"#,
            "{}",
            r#"{"cid":18446744073709551615}"#,
            r#"{"cid":null}"#,
        ] {
            for name in ["KICK", "LDM"] {
                let answers = stage.ask(&format!("$SYS.REQ.SERVER.<id>.{name}"), body);
                let text = String::from_utf8_lossy(&answers[0].body).into_owned();
                assert!(text.contains("no such client"), "{name} {body}: {text}");
            }
        }
        is_well(&mut stage, &mut other);
    }
}

/// Bodies as large as messages may be, and deep ones.
#[test]
fn huge_and_deep_bodies_are_refused_and_forgotten() {
    let mut stage = Stage::set(Launch::trunkline(2));
    let mut other = stage.join("a2");
    let huge = format!(r#"{{"server_name":"{}"}}"#, "x".repeat(1_000_000));
    assert_eq!(stage.ask("$SYS.REQ.SERVER.PING.CONNZ", &huge).len(), 0);
    let deep = "[".repeat(1_000_000);
    let object = "{\"a\":".repeat(200_000);
    for body in [deep, object] {
        let answers = stage.ask("$SYS.REQ.SERVER.PING.CONNZ", &body);
        let text = String::from_utf8_lossy(&answers[0].body).into_owned();
        assert!(text.contains("exceeded max depth"), "{text}");
    }
    is_well(&mut stage, &mut other);
}

/// What anybody publishes on the server's subjects is a message like any other, and nobody takes it for the server's.
#[test]
fn users_may_say_what_they_like_on_the_servers_subjects() {
    for shards in [1, 2] {
        let mut stage = Stage::set(Launch::trunkline(shards));
        let mut other = stage.join("a2");
        let id = stage.id.clone();
        let mut lines = String::new();
        for name in ["STATSZ", "SHUTDOWN", "LAMEDUCK", "CLIENT.AUTH.ERR"] {
            lines.push_str(&format!("PUB $SYS.SERVER.{id}.{name} 2\r\n{{}}\r\n"));
        }
        lines.push_str("PUB $SYS.ACCOUNT.A.SERVER.CONNS 1\r\nx\r\n");
        lines.push_str(&format!(
            "PUB $SYS.REQ.SERVER.{id}.KICK 9\r\n{{\"cid\":1}}\r\n"
        ));
        other.send(lines.as_bytes()).expect("it reads");
        stage.watcher.send(lines.as_bytes()).expect("it reads");
        is_well(&mut stage, &mut other);
        let fence = "$SYS.REQ.ACCOUNT.PING.STATZ";
        let answers = ask_as(&mut other, "$SYS.REQ.SERVER.PING.CONNZ", b"", "", fence);
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}
