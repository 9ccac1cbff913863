//! What is told without being asked.

use std::time::Duration;

use crate::stage::{Stage, plain, servers};
use crate::support::{Launch, RawClient};

/// What the watcher listens to: not the statistics, which come in their own time.
const LISTENED: &str = "SUB $SYS.ACCOUNT.> 1\r\nSUB $SYS.SERVER.ACCOUNT.> 2\r\nSUB $SYS.SERVER.*.CLIENT.> 3\r\n\
                        SUB $SYS.SERVER.*.LAMEDUCK 4\r\nSUB $SYS.SERVER.*.SHUTDOWN 5\r\n";

fn listening(launch: Launch) -> Stage {
    let mut stage = Stage::set(launch);
    stage.watcher.send(LISTENED.as_bytes()).expect("it reads");
    stage.ask("$SYS.REQ.SERVER.PING.IDZ", "");
    stage
}

#[test]
fn who_comes_and_goes_is_told_as_nats_server_tells_it() {
    let run = |launch: Launch| {
        let mut stage = listening(launch);
        let mut told = Vec::new();
        let a = stage.join("a");
        told.push(("a comes", stage.hear(3)));
        drop(a);
        told.push(("a goes", stage.hear(3)));
        let b = stage.join("b");
        told.push(("b comes", stage.hear(3)));
        let mut second = stage.server.connect();
        said(
            &mut second,
            r#"CONNECT {"user":"b","pass":"p","name":"second"}"#,
        );
        told.push(("a second b has no room", stage.hear(1)));
        drop(second);
        drop(b);
        told.push(("b goes", stage.hear(3)));
        let mut wrong = stage.server.connect();
        said(&mut wrong, r#"CONNECT {"user":"a","pass":"wrong"}"#);
        told.push(("a password is wrong", stage.hear(2)));
        let mut nobody = stage.server.connect();
        said(&mut nobody, r#"CONNECT {"auth_token":"t","lang":"l"}"#);
        told.push(("a token is wrong", stage.hear(2)));
        let mut rude = stage.server.connect();
        said(&mut rude, "PUB x 0\r\n");
        told.push(("somebody does not say who it is", stage.hear(2)));
        told
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

fn said(client: &mut RawClient, text: &str) {
    client.line().expect("it greets");
    let text = format!("{text}\r\nPING\r\n");
    client.send(text.as_bytes()).expect("it reads");
}

/// Who says nothing of itself is the user for those; that is told when it says something else.
#[test]
fn who_comes_without_a_connect_is_told_too() {
    let run = |launch: Launch| {
        let mut stage = listening(launch.config_line("no_auth_user: b"));
        let mut quiet = stage.server.connect();
        quiet.line().expect("it greets");
        quiet.sync().expect("it is served");
        let mut told = vec![stage.hear(3)];
        drop(quiet);
        told.push(stage.hear(3));
        told
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

/// In the account that somebody wanted into, for those who look after that one.
#[test]
fn an_account_hears_who_was_not_let_in() {
    let run = |launch: Launch| {
        let launch = launch
            .config_line("authorization { users: [ {user: u, password: p} ] }")
            .config_line("server_name: n");
        let server = launch.start().expect("it takes the configuration");
        let options = r#"{"verbose":false,"user":"u","pass":"p","headers":true}"#;
        let mut watcher = server.join(options);
        watcher.send(b"SUB $SYS.ACCOUNT.> 1\r\n").expect("it reads");
        watcher.sync().expect("it has taken that in");
        let mut wrong = server.connect();
        said(&mut wrong, r#"CONNECT {"user":"u","pass":"wrong"}"#);
        let message = watcher.message().expect("an event");
        assert_eq!(message.subject, "$SYS.ACCOUNT.CLIENT.AUTH.ERR");
        plain(&[message])
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

#[test]
fn a_client_is_kicked_and_another_one_warned() {
    let run = |launch: Launch| {
        let mut stage = listening(launch);
        let mut b = stage.server.connect();
        let info = b.line().expect("it greets");
        let info: serde_json::Value = serde_json::from_slice(&info[5..]).expect("JSON");
        let number = info["client_id"].as_u64().expect("a number");
        b.send(b"CONNECT {\"user\":\"b\",\"pass\":\"p\",\"protocol\":1,\"verbose\":false}\r\n")
            .expect("it reads");
        let body = format!("{{\"cid\":{number}}}");
        b.sync().expect("it has taken that in");
        // What follows the first PONG.
        b.sync().expect("it has taken that in");
        let mut told = vec![stage.hear(3)];
        told.push(plain(&stage.ask("$SYS.REQ.SERVER.<id>.LDM", &body)));
        let line = b.line().expect("an INFO");
        let info: serde_json::Value = serde_json::from_slice(&line[5..]).expect("JSON");
        told.push(vec![info["ldm"].to_string()]);
        stage
            .watcher
            .send(b"UNSUB 1\r\nUNSUB 2\r\n")
            .expect("it reads");
        told.push(plain(&stage.ask("$SYS.REQ.SERVER.<id>.KICK", &body)));
        told.push(plain(&stage.ask("$SYS.REQ.SERVER.<id>.KICK", &body)));
        b.end().expect("it is closed");
        told
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

#[test]
fn statistics_come_by_themselves() {
    let (theirs, ours) = servers();
    let run = |launch: Launch| {
        let mut stage = Stage::set(launch);
        stage
            .watcher
            .send(b"SUB $SYS.SERVER.*.STATSZ 1\r\n")
            .expect("it reads");
        // Asked for without saying where to: everybody who listens is told.
        stage
            .watcher
            .send(b"PUB $SYS.REQ.SERVER.PING.STATSZ 0\r\n\r\n")
            .expect("it reads");
        stage.hear(2)
    };
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

/// nats-server tells nothing more after that; we go on answering, and tell of the end.
#[test]
fn a_server_that_goes_says_so() {
    for shards in [1, 2] {
        let mut stage = listening(Launch::trunkline(shards));
        stage.server.signal("USR2").expect("it is there");
        let told = stage.hear(1);
        assert!(
            told[0].starts_with("$SYS.SERVER.<id>.LAMEDUCK {"),
            "{told:?}"
        );
        assert_eq!(stage.ask("$SYS.REQ.SERVER.PING.IDZ", "").len(), 1);
        stage.server.signal("INT").expect("it is there");
        let told = stage.hear(1);
        assert!(
            told[0].starts_with("$SYS.SERVER.<id>.SHUTDOWN {"),
            "{told:?}"
        );
    }
    let mut stage = listening(Launch::nats_server().expect("nats-server"));
    stage.server.signal("INT").expect("it is there");
    let told = stage.hear(1);
    assert!(
        told[0].starts_with("$SYS.SERVER.<id>.SHUTDOWN {"),
        "{told:?}"
    );
}

/// Who looks after the server is told once per account at least, and what it is told last is true.
#[test]
fn a_storm_of_connections_is_counted_right() {
    let mut stage = listening(Launch::trunkline(2));
    stage
        .watcher
        .send(b"UNSUB 1\r\nUNSUB 2\r\nSUB $SYS.ACCOUNT.A.SERVER.CONNS 9\r\n")
        .expect("it reads");
    stage.watcher.sync().expect("it has taken that in");
    let clients: Vec<RawClient> = (0..40).map(|_| stage.join("a2")).collect();
    let counted = |stage: &mut Stage, wanted: u64| {
        for _ in 0..200 {
            let Ok(message) = stage.watcher.message() else {
                continue;
            };
            let event: serde_json::Value = serde_json::from_slice(&message.body).expect("JSON");
            if event["conns"].as_u64() == Some(wanted) {
                return;
            }
        }
        panic!("nobody was told of {wanted}");
    };
    counted(&mut stage, 40);
    drop(clients);
    counted(&mut stage, 0);
}

/// Without a system account nobody can listen, and everything else is as it was.
#[test]
fn a_server_may_have_no_system_account() {
    let server = Launch::trunkline(2)
        .config_line("no_system_account: true")
        .start()
        .expect("it takes the configuration");
    let mut client = server.join(r#"{"verbose":false,"headers":true,"no_responders":true}"#);
    client
        .send(b"SUB i 1\r\nPUB $SYS.REQ.USER.INFO i 0\r\n\r\n")
        .expect("it reads");
    let answer = client.message().expect("an answer");
    assert!(answer.body.starts_with(b"NATS/1.0 503"), "{answer:?}");
    assert!(server.logs_within("Server is ready", Duration::from_secs(5)));
}
