//! Tags and metadata of the server: told in answers and events, and requests choose by tags.

use crate::stage::{Stage, plain, servers};
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
