//! Message tracing beside the real `nats-server`: the same messages through both, and every event compared field by field.
//!
//! Clients get the same messages, and events say the same of them, whether Trunkline runs on one shard, two or four. What
//! is different in every run (times, numbers, names of response subjects) is taken out first.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use support::{Launch, RawClient, Server};

#[test]
fn one_shard_tells_what_nats_server_tells() {
    compare(1);
}

#[test]
fn two_shards_tell_what_nats_server_tells() {
    compare(2);
}

#[test]
fn four_shards_tell_what_nats_server_tells() {
    compare(4);
}

/// As far as its headers have come in the same packet as its line.
#[test]
fn a_message_that_is_too_large_is_told_too() {
    let block = "NATS/1.0\r\nNats-Trace-Dest: trace\r\n\r\n";
    let cases = [
        (1, format!("HPUB big {} 500\r\n{block}", block.len())),
        (
            1,
            format!("hpub\tbig inbox {} 500\r\n{block}more of it", block.len()),
        ),
        (1, format!("HPUB big 400 500\r\n{block}more of it")),
        (
            1,
            format!(
                "HPUB big {} 500\r\n{}",
                block.len(),
                &block[..block.len() - 2]
            ),
        ),
        (0, format!("HPUB big {} 500\r\n", block.len())),
        (0, format!("PUB big 500\r\n{block}")),
    ];
    let told = |launch: Launch| {
        let server = launch
            .config_line("max_payload: 100")
            .config_line("server_name: n");
        let server = server.start().expect("it takes the configuration");
        let mut watcher = server.join(CONNECT);
        watcher.send(b"SUB trace 1\r\n").expect("it reads");
        watcher.sync().expect("it has taken that in");
        let mut told = Vec::new();
        for (wanted, case) in &cases {
            let mut publisher = server.connect();
            let info = publisher.line().expect("it greets");
            let info: Value = serde_json::from_slice(&info[b"INFO ".len()..]).expect("JSON");
            let number = info["client_id"].as_u64().expect("a number");
            let text = format!("CONNECT {CONNECT}\r\n");
            publisher.send(text.as_bytes()).expect("it reads");
            publisher.sync().expect("it has taken that in");
            publisher.send(case.as_bytes()).expect("it reads");
            let refusal = publisher.line().expect("it refuses");
            assert_eq!(refusal, b"-ERR 'Maximum Payload Violation'\r\n");
            let numbers = BTreeMap::from([(number, "big")]);
            let mut seen = Vec::new();
            let deadline = Instant::now() + PATIENCE;
            let mut rounds_left = ROUNDS_AFTER;
            while rounds_left > 0 {
                drain(&mut watcher, |what| seen.push(plain(&what, &numbers)));
                rounds_left -= usize::from(seen.len() >= *wanted || Instant::now() > deadline);
            }
            assert_eq!(seen.len(), *wanted, "{case}");
            told.push(seen);
        }
        told
    };
    let theirs = told(Launch::nats_server().expect("nats-server"));
    assert!(
        theirs
            .iter()
            .flatten()
            .any(|text| text.contains("maximum payload exceeded"))
    );
    for shards in [1, 2] {
        assert_eq!(told(Launch::trunkline(shards)), theirs);
    }
}

fn compare(shards: u32) {
    let theirs = run(Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}")));
    let ours = run(Launch::trunkline(shards));
    for (step, (ours, theirs)) in STEPS.iter().zip(ours.iter().zip(&theirs)) {
        assert_eq!(ours, theirs, "{} (left is ours)", step.name);
    }
}

/// What each client got after each step, in one order.
fn run(launch: Launch) -> Vec<Vec<String>> {
    let server = CONFIG
        .lines()
        .fold(launch, |launch, line| launch.config_line(line));
    let server = server.start().expect("it takes the configuration");
    let mut cast = Cast::join(&server);
    STEPS.iter().map(|step| cast.play(step)).collect()
}

/// Clients by name; the first letter is their user.
struct Cast {
    clients: BTreeMap<&'static str, RawClient>,
    numbers: BTreeMap<u64, &'static str>,
}

impl Cast {
    fn join(server: &Server) -> Cast {
        let mut cast = Cast {
            clients: BTreeMap::new(),
            numbers: BTreeMap::new(),
        };
        for (name, echo, subscriptions) in CAST {
            let mut client = RawClient::connect(server.address()).expect("it accepts");
            let info = client.line().expect("it greets");
            let info: Value = serde_json::from_slice(&info[b"INFO ".len()..]).expect("JSON");
            let number = info["client_id"].as_u64().expect("a number");
            let user = &name[..1];
            let connect = serde_json::json!({
                "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
                "user": user, "pass": user, "echo": echo, "name": name.strip_prefix("c").map_or(*name, |_| ""),
            });
            client
                .send(format!("CONNECT {connect}\r\n").as_bytes())
                .expect("it reads");
            for subscription in *subscriptions {
                client
                    .send(format!("SUB {subscription}\r\n").as_bytes())
                    .expect("it reads");
            }
            client.sync().expect("it has taken all in");
            cast.numbers.insert(number, name);
            cast.clients.insert(name, client);
        }
        cast
    }

    fn play(&mut self, step: &Step) -> Vec<String> {
        let mut block = "NATS/1.0\r\n".to_owned();
        for (name, value) in step.headers {
            block += &format!("{name}: {value}\r\n");
        }
        block += "\r\n";
        let (lengths, reply) = ((block.len(), block.len() + 1), step.reply);
        let line = format!(
            "HPUB {} {reply} {} {}\r\n{block}x\r\n",
            step.subject, lengths.0, lengths.1
        );
        let publisher = self.clients.get_mut(step.by).expect("it is in the cast");
        publisher.send(line.as_bytes()).expect("it reads");
        let mut seen = Vec::new();
        // The event comes later than the message, and from several shards at that.
        let deadline = Instant::now() + PATIENCE;
        let mut rounds_left = ROUNDS_AFTER;
        while rounds_left > 0 {
            for (name, client) in &mut self.clients {
                drain(client, |what| {
                    seen.push(format!("{name}: {}", plain(&what, &self.numbers)))
                });
            }
            if seen.len() >= step.wanted || Instant::now() > deadline {
                rounds_left -= 1;
            }
        }
        assert_eq!(seen.len(), step.wanted, "{}: {seen:#?}", step.name);
        seen.sort();
        seen
    }
}

const CONNECT: &str = r#"{"verbose":false,"pedantic":false,"headers":true}"#;

/// What has come in: a message, or a line that is none.
enum Came {
    Message {
        line: String,
        headers: String,
        payload: Vec<u8>,
    },
    Line(String),
}

/// Takes in all that comes before a `PONG`.
fn drain(client: &mut RawClient, mut came: impl FnMut(Came)) {
    client.send(b"PING\r\n").expect("it reads");
    loop {
        let line = client.line().expect("a line comes");
        let line = String::from_utf8(line).expect("it is text");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "PONG" => return,
            "PING" => client.send(b"PONG\r\n").expect("it reads"),
            "INFO" => {}
            "MSG" | "HMSG" => {
                let number = |word: &str| word.parse::<usize>().expect("a number");
                let size = number(words[words.len() - 1]);
                let head = if words[0] == "HMSG" {
                    number(words[words.len() - 2])
                } else {
                    0
                };
                let body = client.exactly(size + 2).expect("the payload comes");
                let lengths = if head > 0 { 2 } else { 1 };
                came(Came::Message {
                    line: words[..words.len() - lengths].join(" "),
                    headers: String::from_utf8(body[..head].to_vec()).expect("headers are text"),
                    payload: body[head..size].to_vec(),
                });
            }
            _ => came(Came::Line(line)),
        }
    }
}

/// What is the same in every run.
fn plain(came: &Came, numbers: &BTreeMap<u64, &'static str>) -> String {
    match came {
        Came::Line(line) => line.clone(),
        Came::Message {
            line,
            headers,
            payload,
        } => {
            let words = line.split(' ').map(|word| {
                if word.starts_with("_R_.") {
                    "_R_"
                } else {
                    word
                }
            });
            let line = words.collect::<Vec<_>>().join(" ");
            let headers: Vec<&str> = headers
                .lines()
                .map(|header| match header {
                    _ if header.starts_with("Nats-Request-Info: {") => "Nats-Request-Info: {}",
                    // Of a subject that leads nowhere any more, and of none, nothing comes.
                    _ if header.starts_with("Nats-Trace-Dest: _R_.") => {
                        "Nats-Trace-Dest: trace disabled"
                    }
                    _ => header,
                })
                .collect();
            let payload = match headers
                .iter()
                .find_map(|header| header.strip_prefix("Content-Encoding: "))
            {
                None | Some("identity") => payload.clone(),
                Some(encoding) => decoded(encoding, payload),
            };
            let payload = match serde_json::from_slice(&payload) {
                Ok(Value::Object(event)) => plain_event(event, numbers),
                _ => String::from_utf8(payload).expect("it is text"),
            };
            format!("{line} {headers:?} {payload}")
        }
    }
}

fn decoded(encoding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let read = match encoding {
        "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut decoded),
        "snappy" => snap::read::FrameDecoder::new(bytes).read_to_end(&mut decoded),
        _ => panic!("nobody asked for {encoding}"),
    };
    read.expect("it is encoded as it says");
    decoded
}

/// An event with its steps in one order, after the one that must be first.
fn plain_event(mut event: Map<String, Value>, numbers: &BTreeMap<u64, &'static str>) -> String {
    let keys: Vec<&str> = event.keys().map(String::as_str).collect();
    assert_eq!(keys, ["events", "request", "server"]);
    let server = event["server"].as_object_mut().expect("an object");
    // What JetStream can do is not said where there is none.
    server.remove("feature_flags");
    for (name, is_right) in [
        ("id", Value::is_string as fn(&Value) -> bool),
        ("seq", Value::is_u64),
        ("time", is_time),
    ] {
        assert!(is_right(&server[name]), "{name}: {server:?}");
        server.remove(name);
    }
    let steps = event["events"].as_array_mut().expect("a list");
    for step in &mut *steps {
        let step = step.as_object_mut().expect("an object");
        assert!(is_time(&step["ts"]), "{step:?}");
        step.remove("ts");
        if let Some(number) = step.get("cid").and_then(Value::as_u64) {
            step.insert("cid".to_owned(), numbers[&number].into());
        }
    }
    assert_eq!(steps[0]["type"], "in");
    let text = Value::Object(event).to_string();
    let mut event: Value = serde_json::from_str(&text).expect("it was JSON");
    let steps = event["events"].as_array_mut().expect("a list");
    steps[1..].sort_by_key(Value::to_string);
    event.to_string()
}

fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

/// A message, and how much comes of it.
struct Step {
    name: &'static str,
    by: &'static str,
    subject: &'static str,
    reply: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// Messages and other lines that all clients together get.
    wanted: usize,
}

const fn step(
    name: &'static str,
    by: &'static str,
    subject: &'static str,
    headers: &'static [(&'static str, &'static str)],
    wanted: usize,
) -> Step {
    Step {
        name,
        by,
        subject,
        reply: "",
        headers,
        wanted,
    }
}

const fn request(reply: &'static str, of: Step) -> Step {
    Step { reply, ..of }
}

const DEST: (&str, &str) = ("Nats-Trace-Dest", "trace");
const ONLY: (&str, &str) = ("Nats-Trace-Only", "true");
const SAMPLED: (&str, &str) = (
    "TraceParent",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
);

const STEPS: &[Step] = &[
    step(
        "to nobody",
        "a1",
        "nobody",
        &[DEST, ("X", "1"), ("X", "2"), ("y", "  z ")],
        1,
    ),
    step("to many", "a1", "many", &[DEST], 6),
    request("inbox", step("with a reply", "a1", "many", &[DEST], 6)),
    step("to a wildcard and a group", "a1", "wild.one", &[DEST], 3),
    step("told only", "a1", "many", &[DEST, ONLY], 1),
    step(
        "told only, to a group",
        "a1",
        "wild.one",
        &[DEST, ("Nats-Trace-Only", "On")],
        1,
    ),
    request(
        "inbox",
        step("told only, to nobody", "a1", "nobody", &[DEST, ONLY], 1),
    ),
    request(
        "b.inbox",
        step(
            "told only, to nobody who responds",
            "b1",
            "nobody",
            &[DEST, ONLY],
            2,
        ),
    ),
    step("without echo", "a3", "deaf", &[DEST], 1),
    step("asked without a destination", "a1", "many", &[ONLY], 5),
    step(
        "asked in lower case",
        "a1",
        "many",
        &[("nats-trace-dest", "trace")],
        5,
    ),
    step(
        "disabled",
        "a1",
        "many",
        &[("Nats-Trace-Dest", "trace disabled")],
        5,
    ),
    step("mapped", "a1", "from.5", &[DEST], 2),
    step("exported as a stream", "a1", "stream.1", &[DEST], 5),
    step(
        "exported as a stream, told only",
        "a1",
        "stream.1",
        &[DEST, ONLY],
        1,
    ),
    request("b.inbox", step("to a service", "b1", "my.2", &[DEST], 3)),
    request(
        "b.inbox",
        step("to a service, told only", "b1", "my.2", &[DEST, ONLY], 1),
    ),
    request(
        "b.inbox",
        step("to a service that hides", "b1", "hidden.2", &[DEST], 2),
    ),
    request(
        "b.inbox",
        step(
            "to a service that hides, told only",
            "b1",
            "hidden.2",
            &[DEST, ONLY],
            2,
        ),
    ),
    step("denied", "c1", "denied", &[DEST], 2),
    step("denied, told only", "c1", "denied", &[DEST, ONLY], 2),
    step(
        "to be told where it may not publish",
        "c1",
        "many",
        &[("Nats-Trace-Dest", "denied")],
        1,
    ),
    step(
        "to be told where nobody may",
        "c1",
        "many",
        &[("Nats-Trace-Dest", "$NRG.x")],
        1,
    ),
    step(
        "to be told nowhere",
        "c1",
        "many",
        &[("Nats-Trace-Dest", "no..subject")],
        1,
    ),
    step(
        "to be told nowhere, told only",
        "c1",
        "many",
        &[("Nats-Trace-Dest", "*"), ONLY],
        0,
    ),
    step("a reserved subject", "c1", "$NRG.x", &[DEST], 2),
    request("_R_.x", step("a reserved reply", "c1", "many", &[DEST], 2)),
    step(
        "the header of old",
        "c1",
        "many",
        &[DEST, ("Nats-Trace-Origin-Account", "A")],
        1,
    ),
    step(
        "the header of old, told only",
        "c1",
        "many",
        &[DEST, ONLY, ("Nats-Trace-Origin-Account", "A")],
        0,
    ),
    step("a trace context", "a1", "many", &[SAMPLED], 6),
    step(
        "a trace context cannot ask for that",
        "a1",
        "many",
        &[SAMPLED, ONLY],
        6,
    ),
    step(
        "a trace context that is not sampled",
        "a1",
        "many",
        &[("traceparent", "00-a-b-00")],
        5,
    ),
    step(
        "a trace context and a destination",
        "a1",
        "many",
        &[SAMPLED, DEST],
        6,
    ),
    step(
        "a trace context where nobody wants to know",
        "c1",
        "many",
        &[SAMPLED],
        1,
    ),
    step(
        "compressed",
        "a1",
        "nobody",
        &[DEST, ("Accept-Encoding", "br, GZIP")],
        1,
    ),
    step(
        "compressed in frames",
        "a1",
        "nobody",
        &[DEST, ("Accept-Encoding", "s2")],
        1,
    ),
    step(
        "not compressed",
        "a1",
        "nobody",
        &[DEST, ("Accept-Encoding", "br")],
        1,
    ),
    step("the last that is wanted", "a1", "twice", &[DEST], 2),
    step("no more", "a1", "twice", &[DEST], 1),
];

/// Name, echo, subscriptions. Many of one account, so that they are on several shards.
const CAST: &[(&str, bool, &[&str])] = &[
    ("a1", true, &["trace 1", "account.trace 2"]),
    ("a2", true, &["many 1", "wild.* 2", "twice 3\r\nUNSUB 3 1"]),
    ("a3", false, &["many 1", "deaf 2", "deaf group 3"]),
    ("a4", true, &["many 1", "wild.one group 2", "stream.> 3"]),
    ("a5", true, &["many 1", "to.* 2"]),
    ("a6", true, &["many 1", "service.* 2", "hidden.* 3"]),
    ("b1", true, &["trace 1", "b.inbox 2", "my.> 3"]),
    ("b2", true, &["imported.> 1"]),
    ("c1", true, &["trace 1", "many 2"]),
    ("c2", true, &["prefix.> 1", "prefix.> group 2"]),
];

const CONFIG: &str = r#"
server_name: traced
accounts {
  A {
    users: [{user: a, password: a}]
    exports: [{stream: "stream.>"}, {service: "service.*", allow_trace: true}, {service: "hidden.*"}]
    mappings: {"from.*": "to.$1"}
    msg_trace: {dest: account.trace, sampling: 100}
  }
  B {
    users: [{user: b, password: b}]
    imports: [
      {stream: {account: A, subject: "stream.>"}, to: "imported.>", allow_trace: true}
      {service: {account: A, subject: "service.*"}, to: "my.*"}
      {service: {account: A, subject: "hidden.*"}}
    ]
  }
  C {
    users: [{user: c, password: c, permissions: {publish: {deny: denied}}}]
    imports: [{stream: {account: A, subject: "stream.>"}, prefix: prefix}]
  }
}
"#;

const PATIENCE: Duration = Duration::from_secs(10);
/// Looks at what comes unasked for, once all that is wanted is there.
const ROUNDS_AFTER: usize = 3;
