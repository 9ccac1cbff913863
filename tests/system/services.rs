//! What is answered, and how.

use crate::stage::{Stage, ask_as, plain, servers};
use crate::support::{Launch, Message};

/// Subjects and bodies; all that is answered before a question that is asked later.
const QUESTIONS: &[(&str, &str)] = &[
    ("$SYS.REQ.SERVER.PING", ""),
    ("$SYS.REQ.SERVER.PING.IDZ", ""),
    ("$SYS.REQ.SERVER.PING.IDZ", "nonsense"),
    ("$SYS.REQ.SERVER.<id>.IDZ", ""),
    ("$SYS.REQ.SERVER.<id>.STATSZ", ""),
    ("$SYS.REQ.SERVER.PING.STATSZ", "{"),
    ("$SYS.REQ.SERVER.PING.VARZ", ""),
    ("$SYS.REQ.SERVER.<id>.VARZ", "{}"),
    ("$SYS.REQ.SERVER.PING.SUBSZ", ""),
    ("$SYS.REQ.SERVER.PING.SUBSZ", r#"{"test":"x..y"}"#),
    ("$SYS.REQ.SERVER.PING.CONNZ", ""),
    (
        "$SYS.REQ.SERVER.PING.CONNZ",
        r#"{"auth":true,"subscriptions_detail":true,"acc":"A"}"#,
    ),
    (
        "$SYS.REQ.SERVER.PING.CONNZ",
        r#"{"subscriptions":true,"acc":"A","filter_subject":"x.1"}"#,
    ),
    (
        "$SYS.REQ.SERVER.PING.CONNZ",
        r#"{"acc":"A","filter_subject":"nothing.like.it"}"#,
    ),
    ("$SYS.REQ.SERVER.PING.CONNZ", r#"{"filter_subject":"x.1"}"#),
    ("$SYS.REQ.SERVER.PING.CONNZ", r#"{"state":1,"limit":1}"#),
    ("$SYS.REQ.SERVER.PING.CONNZ", r#"{"state":1,"sort":"bad"}"#),
    (
        "$SYS.REQ.SERVER.PING.CONNZ",
        r#"{"user":"a","limit":-1,"offset":-1}"#,
    ),
    ("$SYS.REQ.SERVER.PING.ROUTEZ", ""),
    ("$SYS.REQ.SERVER.PING.GATEWAYZ", ""),
    ("$SYS.REQ.SERVER.PING.LEAFZ", ""),
    ("$SYS.REQ.SERVER.PING.ACCOUNTZ", ""),
    ("$SYS.REQ.SERVER.PING.ACCOUNTZ", r#"{"account":"A"}"#),
    ("$SYS.REQ.SERVER.PING.ACCOUNTZ", r#"{"account":"SYS"}"#),
    ("$SYS.REQ.SERVER.PING.ACCOUNTZ", r#"{"account":"nobody"}"#),
    ("$SYS.REQ.SERVER.PING.JSZ", ""),
    ("$SYS.REQ.SERVER.PING.HEALTHZ", ""),
    (
        "$SYS.REQ.SERVER.PING.HEALTHZ",
        r#"{"details":true,"stream":"s"}"#,
    ),
    ("$SYS.REQ.SERVER.PING.EXPVARZ", ""),
    ("$SYS.REQ.SERVER.PING.IPQUEUESZ", ""),
    ("$SYS.REQ.SERVER.PING.RAFTZ", ""),
    ("$SYS.REQ.SERVER.PING.NOTHING", ""),
    ("$SYS.REQ.SERVER.NOBODY.VARZ", ""),
    ("$SYS.REQ.ACCOUNT.A.CONNZ", ""),
    ("$SYS.REQ.ACCOUNT.A.LEAFZ", ""),
    ("$SYS.REQ.ACCOUNT.A.JSZ", ""),
    ("$SYS.REQ.ACCOUNT.A.INFO", ""),
    ("$SYS.REQ.ACCOUNT.A.STATZ", ""),
    ("$SYS.REQ.ACCOUNT.A.CONNS", ""),
    ("$SYS.REQ.ACCOUNT.A.CONNS", r#"{"acc":"B"}"#),
    ("$SYS.REQ.ACCOUNT.A.CONNS", "nonsense"),
    ("$SYS.REQ.ACCOUNT.$G.INFO", ""),
    ("$SYS.REQ.ACCOUNT.$G.STATZ", ""),
    ("$SYS.REQ.ACCOUNT.$G.STATZ", r#"{"include_unused":true}"#),
    ("$SYS.REQ.ACCOUNT.$G.CONNS", ""),
    ("$SYS.REQ.ACCOUNT.nobody.SUBSZ", ""),
    ("$SYS.REQ.ACCOUNT.nobody.CONNZ", ""),
    ("$SYS.REQ.ACCOUNT.nobody.INFO", ""),
    ("$SYS.REQ.ACCOUNT.nobody.STATZ", ""),
    ("$SYS.REQ.ACCOUNT.nobody.CONNS", ""),
    ("$SYS.REQ.ACCOUNT.PING.STATZ", ""),
    ("$SYS.REQ.ACCOUNT.PING.STATZ", r#"{"accounts":["A"]}"#),
    ("$SYS.REQ.ACCOUNT.PING.STATZ", r#"{"include_unused":true}"#),
    ("$SYS.REQ.ACCOUNT.PING.CONNZ", ""),
    ("$SYS.REQ.ACCOUNT.NSUBS", r#"{"acc":"A","subject":"x.1"}"#),
    ("$SYS.REQ.ACCOUNT.NSUBS", r#"{"acc":"A","subject":"x.*"}"#),
    (
        "$SYS.REQ.ACCOUNT.NSUBS",
        r#"{"acc":"A","subject":"q","queue":"Z3Jw"}"#,
    ),
    (
        "$SYS.REQ.ACCOUNT.NSUBS",
        r#"{"acc":"A","subject":"q","queue":"b3RoZXI="}"#,
    ),
    (
        "$SYS.REQ.ACCOUNT.NSUBS",
        r#"{"acc":"nobody","subject":"q"}"#,
    ),
    ("$SYS.REQ.ACCOUNT.NSUBS", ""),
    ("$SYS.DEBUG.SUBSCRIBERS", "listen.here"),
    ("$SYS.DEBUG.SUBSCRIBERS", "listen.> grp"),
    ("$SYS.DEBUG.SUBSCRIBERS", " listen.here "),
    // A group without a name.
    ("$SYS.DEBUG.SUBSCRIBERS", "listen.here  grp"),
    ("$SYS.DEBUG.SUBSCRIBERS", ""),
    ("$SYS.REQ.USER.INFO", ""),
    ("$SYS.REQ.USER.A.INFO", ""),
    ("$SYS.REQ.SERVER.<id>.KICK", ""),
    ("$SYS.REQ.SERVER.<id>.KICK", "{"),
    ("$SYS.REQ.SERVER.<id>.KICK", r#"{"cid":"x"}"#),
    ("$SYS.REQ.SERVER.<id>.KICK", r#"{"cid":99}"#),
    (
        "$SYS.REQ.SERVER.<id>.KICK",
        r#"{"cid":99,"server_name":"other"}"#,
    ),
    ("$SYS.REQ.SERVER.<id>.LDM", r#"{"cid":99}"#),
    ("$SYS.REQ.SERVER.<id>.LDM", "{}"),
    ("$SYS.REQ.SERVER.<id>.RELOAD", ""),
    ("$SYS.REQ.SERVER.<id>.RELOAD", r#"{"server_name":"other"}"#),
    ("$SYS.REQ.SERVER.<id>.RELOAD", "["),
];

/// Bodies that say whom they are for, or are wrong, for pages and for statistics.
const BODIES: &[&str] = &[
    "{",
    "nonsense",
    "[]",
    "\"\"",
    "null",
    "1",
    "true",
    "{\"a\":1}x",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "[1,]",
    "{\"a\":\"\n\"}",
    "{\"a\":\"\\x\"}",
    "{\"a\":01}",
    "{\"a\":1.}",
    "{\"a\":tru}",
    "{'a':1}",
    "\u{7f}",
    "é",
    r#"{"server_name":5}"#,
    r#"{"server_name":"other"}"#,
    r#"{"server_name":"sta"}"#,
    r#"{"server_name":"sta","exact_match":true}"#,
    r#"{"server_name":"stage","exact_match":true}"#,
    r#"{"SERVER_NAME":"other"}"#,
    r#"{"host":"no such"}"#,
    r#"{"cluster":"c"}"#,
    r#"{"domain":"d"}"#,
    r#"{"tags":["t"]}"#,
    r#"{"tags":[]}"#,
    r#"{"tags":"t"}"#,
    r#"{"tags":[5]}"#,
    r#"{"exact_match":1}"#,
    r#"{"limit":"x"}"#,
    r#"{"limit":1.5}"#,
    r#"{"limit":99999999999999999999}"#,
    r#"{"cid":-1}"#,
    r#"{"state":"open"}"#,
    r#"{"sort":1}"#,
    r#"{"auth":"x","limit":"y"}"#,
    r#"{"limit":"y","auth":"x"}"#,
    r#"{"limit":{}}"#,
    r#"{"acc":[]}"#,
    r#"{"sort":"stop"}"#,
];

#[test]
fn services_answer_what_nats_servers_do() {
    compare(|stage| {
        let mut a = stage.join("a");
        let lines = b"SUB x.> 1\r\nSUB q grp 2\r\nSUB y 3\r\n";
        a.send(lines).expect("it reads");
        a.sync().expect("it has taken that in");
        stage.watcher.send(b"SUB listen.> s\r\n").expect("it reads");
        let asked = QUESTIONS.iter().map(|(subject, body)| {
            let answers = stage.ask(subject, body);
            (format!("{subject} {body}"), plain(&answers))
        });
        asked.collect()
    });
}

#[test]
fn wrong_bodies_are_told_in_the_same_words() {
    compare(|stage| {
        let mut all = Vec::new();
        for name in ["CONNZ", "VARZ", "STATSZ"] {
            for body in BODIES {
                let subject = format!("$SYS.REQ.SERVER.PING.{name}");
                let answers = stage.ask(&subject, body);
                all.push((format!("{name} {body}"), plain(&answers)));
            }
        }
        all
    });
}

/// nats-server takes its time for profiles, beside all other answers.
#[test]
fn there_are_no_profiles() {
    let run = |launch: Launch| {
        let mut stage = Stage::set(launch);
        let question = b"SUB i 1\r\nPUB $SYS.REQ.SERVER.PING.PROFILEZ i 0\r\n\r\n";
        stage.watcher.send(question).expect("it reads");
        plain(&[stage.watcher.message().expect("an answer")])
    };
    let (theirs, ours) = servers();
    let theirs = run(theirs);
    for launch in ours {
        assert_eq!(run(launch), theirs, "left is ours");
    }
}

/// Through the imports that every account has.
#[test]
fn other_accounts_ask_about_themselves() {
    compare(|stage| {
        let mut a = stage.join("a");
        let mut all = Vec::new();
        for (subject, body) in [
            ("$SYS.REQ.USER.INFO", ""),
            ("$SYS.REQ.SERVER.PING.CONNZ", ""),
            ("$SYS.REQ.SERVER.PING.CONNZ", r#"{"acc":"SYS"}"#),
            ("$SYS.REQ.ACCOUNT.PING.CONNZ", ""),
            ("$SYS.REQ.ACCOUNT.PING.STATZ", ""),
            ("$SYS.REQ.ACCOUNT.A.CONNZ", ""),
            ("$SYS.REQ.SERVER.PING.VARZ", ""),
            ("$SYS.REQ.SERVER.PING", ""),
        ] {
            let fence = "$SYS.REQ.ACCOUNT.PING.STATZ";
            let answers = ask_as(&mut a, subject, b"", body, fence);
            all.push((format!("{subject} {body}"), plain(&answers)));
        }
        all
    });
}

#[test]
fn answers_are_compressed_on_request() {
    let block = |encoding: &str| format!("NATS/1.0\r\nAccept-Encoding: {encoding}\r\n\r\n");
    let (theirs, ours) = servers();
    let run = |launch: Launch| {
        let mut stage = Stage::set(launch);
        let mut seen = Vec::new();
        for (subject, body) in [
            ("$SYS.REQ.SERVER.PING.CONNZ", ""),
            ("$SYS.REQ.SERVER.PING.CONNZ", "{"),
            ("$SYS.REQ.SERVER.PING.STATSZ", ""),
        ] {
            for encoding in ["gzip", "GZIP, deflate", "snappy", "S2", "deflate", ""] {
                let answers = stage.ask_with(subject, block(encoding).as_bytes(), body);
                let [answer] = &answers[..] else {
                    panic!("one answer, not {answers:?}");
                };
                seen.push((subject, body, encoding, header_and_json(answer)));
            }
        }
        seen
    };
    let theirs = run(theirs);
    assert!(
        theirs
            .iter()
            .any(|(.., (header, _))| header.contains("gzip"))
    );
    for launch in ours {
        assert_eq!(run(launch), theirs);
    }
}

/// The headers of an answer, and whether what is behind them is JSON once it is unpacked.
fn header_and_json(answer: &Message) -> (String, bool) {
    use std::io::Read as _;
    let text = b"\r\n\r\n";
    let end = answer.body.windows(4).position(|four| four == text);
    let has_headers = answer.body.starts_with(b"NATS/1.0");
    let (headers, packed) = match end.filter(|_| has_headers) {
        Some(end) => answer.body.split_at(end + 4),
        None => (&b""[..], &answer.body[..]),
    };
    let headers = String::from_utf8_lossy(headers).into_owned();
    let mut plain = Vec::new();
    let unpacked = if headers.contains("gzip") {
        flate2::read::GzDecoder::new(packed).read_to_end(&mut plain)
    } else if headers.contains("snappy") {
        snap::read::FrameDecoder::new(packed).read_to_end(&mut plain)
    } else {
        (&mut &*packed).read_to_end(&mut plain)
    };
    unpacked.expect("it can be unpacked");
    let is_json = serde_json::from_slice::<serde_json::Value>(&plain).is_ok();
    (headers, is_json)
}

/// Runs the same on all servers; each answer must be the same.
fn compare(run: impl Fn(&mut Stage) -> Vec<(String, Vec<String>)>) {
    let (theirs, ours) = servers();
    let theirs = run(&mut Stage::set(theirs));
    let mut faults = Vec::new();
    for launch in ours {
        let ours = run(&mut Stage::set(launch));
        assert_eq!(ours.len(), theirs.len());
        for ((question, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            if ours != theirs {
                let (ours, theirs) = (ours.join("\n"), theirs.join("\n"));
                faults.push(format!("{question}\nours:\n{ours}\ntheirs:\n{theirs}\n"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
