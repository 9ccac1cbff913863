//! A server with accounts, and clients that ask and listen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::support::{Launch, Message, RawClient, Server};

/// Accounts with users, a limit, permissions; who looks after the server is in `SYS`.
pub(crate) const CONFIG: &str = r#"
server_name: stage
accounts {
  SYS { users: [ {user: sys, password: p} ] }
  A { users: [
    {user: a, password: p, permissions: {
      publish: {allow: ["x.>", "$SYS.REQ.>"], deny: "x.no"}, subscribe: {allow: ">", deny: "secret"}, allow_responses: true }}
    {user: a2, password: p} ] }
  B { users: [ {user: b, password: p} ], limits: {max_connections: 1} }
}
system_account: SYS
# Who is only greeted stays however busy the machine is.
authorization { timeout: 60 }
"#;

/// What one of the two does not have, or what counts differently: nats-server counts the subscriptions that it makes
/// itself, Trunkline does not.
const LEFT_OUT: &[&str] = &[
    "feature_flags",
    "git_commit",
    "trunkline",
    "num_subscriptions",
    "subscriptions",
    "num_cache",
    "num_inserts",
    "num_removes",
    "num_matches",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
    // Bytes of answers, and these have names and addresses of their own.
    "out_bytes",
    "out_client_bytes",
    "bytes",
    "memstats",
    "cmdline",
    "processor_seconds",
    "shards",
    // nats-server's queues; ours are the lanes.
    "System recvQ",
];

/// What is another value in every run; its kind is compared.
const OTHER_IN_EACH: &[&str] = &[
    "id",
    "seq",
    "time",
    "timestamp",
    "start",
    "stop",
    "now",
    "rtt",
    "uptime",
    "idle",
    "last_activity",
    "mem",
    "cpu",
    "cores",
    "gomaxprocs",
    "cid",
    "port",
    "go",
    "update_time",
    "config_load_time",
    "config_digest",
    "server_id",
    "pending_bytes",
    "in_client_bytes",
    "in_bytes",
    "msgs",
    "out_client_msgs",
    "in_client_msgs",
    "out_msgs",
    "in_msgs",
];

/// A server and its clients by name; the name is the user, without digits behind it.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) id: String,
    pub(crate) watcher: RawClient,
    /// Stays, so that nobody goes at a time that nobody knows.
    _greeted: RawClient,
}

impl Stage {
    pub(crate) fn set(launch: Launch) -> Stage {
        let launch = CONFIG
            .lines()
            .fold(launch, |launch, line| launch.config_line(line));
        let server = launch.start().expect("it takes the configuration");
        let mut greeted = server.connect();
        let info = greeted.line().expect("it greets");
        let info: Value = serde_json::from_slice(&info[b"INFO ".len()..]).expect("JSON");
        let id = info["server_id"].as_str().expect("a name").to_owned();
        let watcher = join(&server, "sys");
        Stage {
            server,
            id,
            watcher,
            _greeted: greeted,
        }
    }

    pub(crate) fn join(&self, user: &str) -> RawClient {
        join(&self.server, user)
    }

    /// What the watcher hears when it asks: every answer that comes before that to a question asked later.
    pub(crate) fn ask(&mut self, subject: &str, body: &str) -> Vec<Message> {
        self.ask_with(subject, b"", body)
    }

    pub(crate) fn ask_with(&mut self, subject: &str, headers: &[u8], body: &str) -> Vec<Message> {
        let subject = subject.replace("<id>", &self.id);
        // nats-server has a line of its own for those who ask for statistics.
        let is_statistics = subject.ends_with("STATSZ") || subject.ends_with("PING");
        let fence = match is_statistics {
            true => "$SYS.REQ.SERVER.PING.STATSZ",
            false => "$SYS.REQ.SERVER.PING.IDZ",
        };
        ask_as(&mut self.watcher, &subject, headers, body, fence)
    }

    /// What the watcher hears until there have been `count` messages, in the order of their texts.
    pub(crate) fn hear(&mut self, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while heard.len() < count {
            assert!(
                Instant::now() < deadline,
                "{count} messages, not {heard:#?}"
            );
            if let Ok(message) = self.watcher.message()
                // Who listens may still be told that it has come itself.
                && !message.subject.contains(".SYS.")
            {
                let subject = message.subject.replace(&self.id, "<id>");
                heard.push(format!("{subject} {}", plain_text(&message.body)));
            }
        }
        heard.sort();
        heard
    }
}

/// What a client hears when it asks; `fence` is something else that it can ask and is answered in the same line.
pub(crate) fn ask_as(
    client: &mut RawClient,
    subject: &str,
    headers: &[u8],
    body: &str,
    fence: &str,
) -> Vec<Message> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    let (inbox, last) = (format!("_INBOX.{number}.a"), format!("_INBOX.{number}.b"));
    let mut lines = format!("SUB {inbox} i{number}\r\nSUB {last} l{number}\r\n").into_bytes();
    if headers.is_empty() {
        lines.extend(format!("PUB {subject} {inbox} {}\r\n{body}\r\n", body.len()).bytes());
    } else {
        let (head, total) = (headers.len(), headers.len() + body.len());
        lines.extend(format!("HPUB {subject} {inbox} {head} {total}\r\n").bytes());
        lines.extend(headers);
        lines.extend(format!("{body}\r\n").bytes());
    }
    lines.extend(format!("PUB {fence} {last} 0\r\n\r\n").bytes());
    client.send(&lines).expect("it reads");
    let mut answers = Vec::new();
    loop {
        let message = client.message().expect("an answer");
        if message.subject == last {
            break;
        }
        if message.subject == inbox {
            answers.push(message);
        }
    }
    let done = format!("UNSUB i{number}\r\nUNSUB l{number}\r\n");
    client.send(done.as_bytes()).expect("it reads");
    answers
}

fn join(server: &Server, user: &str) -> RawClient {
    let name = user.trim_end_matches('+');
    let options = json!({
        "verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1,
        "lang": "test", "version": "1.0", "name": name, "user": name, "pass": "p",
    });
    server.join(&options.to_string())
}

/// What of an answer must be the same in both, as text.
pub(crate) fn plain(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| plain_text(&message.body))
        .collect()
}

fn plain_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => serde_json::to_string_pretty(&stripped("", &value)).expect("plain data"),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn stripped(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
            let kept: Map<String, Value> = kept
                .map(|(name, value)| (name.clone(), stripped(name, value)))
                .collect();
            Value::Object(kept)
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|one| stripped(name, one)).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        value if OTHER_IN_EACH.contains(&name) && !is_empty(value) => json!(kind(value)),
        value => value.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value == ""
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Number(_) => "a number",
        _ => "something else",
    }
}

/// The servers to compare: the real one, and ours with one shard and two.
pub(crate) fn servers() -> (Launch, [Launch; 2]) {
    let theirs = Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}"));
    (theirs, [1, 2].map(Launch::trunkline))
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
