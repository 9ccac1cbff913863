//! What is told of a client that did not keep up: nats-server's event, and in it what was too much, which nats-server does
//! not tell.

use serde_json::Value;

use crate::stage::{PATIENCE, Stage};
use crate::support::{Launch, RawClient, wait_until};

const ROUNDS_MAX: usize = 4000;

/// The event about the end of the client of that name.
fn end_of(stage: &mut Stage, name: &str) -> Value {
    let mut event = Value::Null;
    let found = wait_until(PATIENCE, || {
        let Ok(message) = stage.watcher.message() else {
            return false;
        };
        event = serde_json::from_slice(&message.body).expect("JSON");
        message.subject == "$SYS.ACCOUNT.A.DISCONNECT" && event["client"]["name"] == name
    });
    assert!(found, "{event}");
    event
}

fn publish(publisher: &mut RawClient, subject: &str) {
    let mut round = Vec::new();
    for _ in 0..64 {
        round.extend_from_slice(format!("PUB {subject} 16384\r\n").as_bytes());
        round.resize(round.len() + 16_384, b'.');
        round.extend_from_slice(b"\r\n");
    }
    publisher.send(&round).expect("it reads");
    publisher.sync().expect("it has taken that in");
}

#[test]
fn the_event_names_the_subject_and_the_subscription() {
    for shards in [1, 2] {
        let mut stage = Stage::set(Launch::trunkline(shards).config_line("max_pending: 1MB"));
        stage
            .watcher
            .send(b"SUB $SYS.ACCOUNT.*.DISCONNECT 1\r\n")
            .expect("it reads");
        stage.watcher.sync().expect("it has taken that in");
        drop(stage.join("a2+"));
        let plain = end_of(&mut stage, "a2");
        assert_eq!(plain["reason"], "Client Closed");
        assert_eq!(plain.get("slow_consumer"), None, "{plain}");

        let mut slow = stage.join("a");
        slow.send(b"SUB quiet 1\r\nSUB loud.* workers 77\r\n")
            .expect("it reads");
        slow.sync().expect("it has taken that in");
        let mut publisher = stage.join("a2");
        let mut rounds = 0;
        while !stage.server.log().contains("Did not keep up") {
            assert!(rounds < ROUNDS_MAX, "nobody is slow");
            publish(&mut publisher, "loud.b");
            rounds += 1;
        }
        let event = end_of(&mut stage, "a");
        assert_eq!(event["reason"], "Slow Consumer (Pending Bytes)");
        let told = &event["slow_consumer"];
        assert_eq!(told["subject"], "loud.b", "{event}");
        assert_eq!(told["subscription"], "loud.*", "{event}");
        assert_eq!(told["sid"], "77", "{event}");
        assert_eq!(told["queue"], "workers", "{event}");
        assert_eq!(told["percent"], 100, "{event}");
        assert!(
            told["pending_bytes"].as_u64() > Some(1 << 20),
            "more than may wait: {event}"
        );
    }
}
