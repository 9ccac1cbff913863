//! With `log_format: json` each line is an object: lines about a client name it in keys of their own, and a reload changes
//! the form while the server runs. Secrets are in neither.

use crate::cast::PATIENCE;
use crate::support::{Launch, wait_until};
use serde_json::Value;

on_1_2_and_4_shards!(lines_are_objects);

const USERS: &str = r#"authorization { users: [
  { user: ann, password: swordfish, permissions: { publish: "a.>" } }
] }
"#;

fn lines_are_objects(shards: u32) {
    let config = format!("log_format: json\n{USERS}");
    let server = Launch::trunkline(shards)
        .config_line(&config)
        .flags(["-DV"])
        .start()
        .expect("a server");
    let mut client = server.join(
        r#"{"verbose":false,"user":"ann","pass":"swordfish","name":"shop","lang":"x","version":"1"}"#,
    );
    client.send(b"PUB b.secret 2\r\nhi\r\n").expect("sent");
    let refused = client.line().expect("an answer");
    assert!(refused.starts_with(b"-ERR"), "{refused:?}");
    // What would end a text, a line or a terminal's patience.
    let mut odd = server.connect();
    odd.send(
        b"CONNECT {\"user\":\"ann\",\"pass\":\"swordfish\",\"name\":\"a\\\"b\\u0000\\n\xff\"}\r\n",
    )
    .expect("sent");
    odd.send(b"SUB c.\x1b\"\xff 1\r\n").expect("sent");
    assert!(server.logs_within("[SUB c.", PATIENCE));
    let mut stranger = server.connect();
    stranger
        .send(b"CONNECT {\"user\":\"ann\",\"pass\":\"perch\"}\r\n")
        .expect("sent");
    assert!(server.logs_within("authentication error", PATIENCE));
    assert!(server.logs_within("Publish Violation", PATIENCE));

    let log = server.log();
    let objects: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for object in &objects {
        let time = object["time"].as_str().expect("a time");
        assert!(time.len() >= "2026-01-02T15:04:05.000000Z".len(), "{time}");
        assert_eq!(object["pid"], server.pid());
        assert!(object["level"].is_string(), "{object}");
    }
    let said = |message: &str| {
        let found = objects.iter().find(|object| object["message"] == message);
        found.unwrap_or_else(|| panic!("no {message:?} in {log}"))
    };
    let ready = said("Server is ready");
    assert_eq!(
        (&ready["level"], &ready["shard"]),
        (&"info".into(), &Value::Null)
    );
    let violation = said("Publish Violation - Subject \"b.secret\"");
    let address = client.local_address().expect("an address").to_string();
    for (key, wanted) in [
        ("level", Value::from("error")),
        ("kind", "client".into()),
        ("cid", 1.into()),
        ("address", address.into()),
        ("account", "$G".into()),
        ("user", "ann".into()),
        ("program", "v1:x:shop".into()),
    ] {
        assert_eq!(violation[key], wanted, "{key} of {violation}");
    }
    assert!(violation["shard"].as_u64() < Some(u64::from(shards)));
    let subscribed = said("<<- [SUB c.\u{1b}\"\u{fffd} 1]");
    assert_eq!(subscribed["program"], "a\"b\0\n\u{fffd}");
    let refused = said("authentication error - User \"ann\"");
    assert_eq!(refused["account"], Value::Null, "it was not let in");
    let traced = |object: &Value| object["level"] == "trace";
    assert!(objects.iter().any(traced), "{log}");
    assert!(
        !log.contains("swordfish") && !log.contains("perch"),
        "{log}"
    );

    let taken = server.reload(&format!("log_format: text\n{USERS}"));
    // What is logged before the change is an object still.
    assert!(
        server.logs_within("Reloaded: log_format = text", PATIENCE),
        "{taken:?}"
    );
    let is_text = || server.log().contains("[INF] Reloaded server configuration");
    assert!(wait_until(PATIENCE, is_text), "{}", server.log());
}
