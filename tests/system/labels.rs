//! Tags and metadata of the server: told in answers and events, and requests choose by tags.

use crate::stage::{CONFIG, Stage, plain, servers};
use crate::support::Launch;

const LABELS: &str = r#"
server_tags: [" AZ:1 ", "ssd", "az:1"]
server_metadata: {rack: "7", owner: "ops"}
"#;

#[test]
fn labels_are_told_and_chosen_by() {
    let run = |launch: Launch| {
        let launch = LABELS
            .lines()
            .fold(launch, |launch, line| launch.config_line(line));
        let mut stage = Stage::set(launch);
        stage
            .watcher
            .send(b"SUB $SYS.ACCOUNT.A.CONNECT 1\r\n")
            .expect("it reads");
        let mut told = Vec::new();
        for name in ["VARZ", "STATSZ", "HEALTHZ"] {
            for body in [
                "",
                r#"{"tags":["ssd"]}"#,
                r#"{"tags":["SSD"," az:1"]}"#,
                r#"{"tags":["ssd","hdd"]}"#,
                r#"{"tags":["s"]}"#,
                r#"{"tags":[""]}"#,
                r#"{"tags":["ssd"],"server_name":"other"}"#,
            ] {
                let answers = stage.ask(&format!("$SYS.REQ.SERVER.PING.{name}"), body);
                told.push((format!("{name} {body}"), plain(&answers)));
            }
        }
        let _a = stage.join("a");
        told.push(("an event".to_owned(), stage.hear(1)));
        told
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    assert!(theirs[0].1[0].contains("\"rack\": \"7\""), "{theirs:#?}");
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

/// The answer says what is true now, and who listens to statistics is told at once.
#[test]
fn a_reload_changes_them() {
    for shards in [1, 2] {
        let launch = Launch::trunkline(shards).config_line("server_tags: before");
        let mut stage = Stage::set(launch);
        stage
            .server
            .write_config(&format!("server_tags: now\n{CONFIG}"));
        let lines = format!(
            "SUB $SYS.SERVER.*.STATSZ 1\r\nSUB reloaded 2\r\nSUB fence 3\r\n\
             PUB $SYS.REQ.SERVER.{}.RELOAD reloaded 0\r\n\r\n\
             PUB $SYS.REQ.SERVER.PING.IDZ fence 0\r\n\r\n",
            stage.id
        );
        stage.watcher.send(lines.as_bytes()).expect("it reads");
        let mut told = Vec::new();
        loop {
            let message = stage.watcher.message().expect("a message");
            if message.subject == "fence" {
                break;
            }
            let text = String::from_utf8_lossy(&message.body).into_owned();
            if text.contains(r#""tags":["now"]"#) {
                told.push(message.sid);
            }
        }
        assert_eq!(told, ["2", "1"], "the answer, then the statistics");
    }
}
