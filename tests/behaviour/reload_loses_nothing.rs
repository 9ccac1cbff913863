//! While the configuration is read again and again, messages go on: everyone who is not concerned gets every message once
//! and in order, queue groups one copy, requests their responses, importers what they import. Files that are refused among
//! the others change nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cast::{Bystanders, PATIENCE, StopAtEnd, join, join_as, subscribe, write_publish};
use crate::support::{Launch, RawClient, wait_until};

on_1_2_and_4_shards!(messages_go_on, many_signals_at_once);

const RELOADS: usize = 40;
const WRITERS: usize = 2;
const MEMBERS: usize = 3;
const BATCH: usize = 100;

/// One after another differs in something that nobody here should notice, or is refused.
fn config(number: usize) -> String {
    let trouble = match number % 8 {
        3 => "max_pending: 1MB",
        5 => "no_such_option: 1",
        7 => "accounts {",
        _ => "",
    };
    let payload = 1_000_000 + number;
    let debug = number.is_multiple_of(2);
    let (first, second) = match number % 3 {
        0 => ("{ stream: \"in.there\" }", "{ stream: \"shared.>\" }"),
        _ => ("{ stream: \"shared.>\" }", "{ stream: \"in.there\" }"),
    };
    format!(
        r#"
max_payload: {payload}
debug: {debug}
accounts {{
  HERE {{
    users: [
      {{ user: here, password: p, permissions {{ subscribe {{ deny: "nobody.says.{number}" }} }} }}
      {{ user: passing, password: "p{number}" }}
    ]
    exports: [ {first}, {{ service: "question.*" }}, {second}, {{ stream: "end" }} ]
    mappings {{ "unused.{number}": "elsewhere" }}
  }}
  THERE {{
    users: [ {{ user: there, password: p }} ]
    imports: [
      {{ stream {{ account: HERE, subject: "in.there" }}, to: "unused.{number}" }}
      {{ stream {{ account: HERE, subject: "shared.>" }}, prefix: from }}
      {{ stream {{ account: HERE, subject: "end" }} }}
      {{ service {{ account: HERE, subject: "question.*" }} }}
    ]
  }}
}}
no_auth_user: here
{trouble}
"#
    )
}

fn is_refused(number: usize) -> bool {
    matches!(number % 8, 3 | 5 | 7)
}

fn messages_go_on(shards: u32) {
    let server = Launch::trunkline(shards).config_line(&config(0));
    let server = server.start().expect("a server");
    let address = server.address();
    let bystanders = Bystanders::start(address);
    let listeners: Vec<_> = (0..shards)
        .flat_map(|_| [("here", "shared.* 1"), ("there", "from.shared.* 1")])
        .map(|(user, subject_and_sid)| listener(address, user, &[subject_and_sid, "end 2"]))
        .collect();
    let members: Vec<_> = (0..MEMBERS)
        .map(|_| listener(address, "here", &["shared.* group 1", "end 2"]))
        .collect();
    let mut responder = listener(address, "here", &["question.* 1", "end 2"]);
    let mut requester = join_as(address, "there", "p");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop_at_end = StopAtEnd(&stop);
        let stop = &stop;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let client = join_as(address, "here", "p");
                scope.spawn(move || write_until(client, writer, stop))
            })
            .collect();
        let listeners: Vec<_> = listeners
            .into_iter()
            .map(|client| scope.spawn(|| hear_all(client)))
            .collect();
        let members: Vec<_> = members
            .into_iter()
            .map(|client| scope.spawn(|| hear_all(client)))
            .collect();
        scope.spawn(move || while respond(&mut responder) {});
        let requests = scope.spawn(move || request_until(&mut requester, stop));

        let mut passing = None;
        for number in 1..RELOADS {
            let is_taken = server.reload(&config(number)).expect("an outcome");
            assert_eq!(is_taken, !is_refused(number), "{}", server.log());
            if is_taken {
                // The one from before has another password by now.
                let password = format!("p{number}");
                let before = passing.replace(join_as(address, "passing", &password));
                before.into_iter().for_each(turned_away);
            }
            bystanders.expect_progress();
        }
        drop(stop_at_end);
        let written: Vec<usize> = writers.into_iter().map(join_thread).collect();
        let all: BTreeSet<_> = (0..WRITERS)
            .flat_map(|writer| (0..written[writer]).map(move |number| (writer, number)))
            .collect();
        let mut for_the_end = join_as(address, "here", "p");
        for_the_end.send(b"PUB end 0\r\n\r\n").expect("sent");
        for listener in listeners.into_iter().map(join_thread) {
            assert_eq!(listener.len(), all.len(), "each message once");
            assert_eq!(BTreeSet::from_iter(listener), all);
        }
        let shares: Vec<_> = members.into_iter().flat_map(join_thread).collect();
        assert_eq!(shares.len(), all.len(), "one copy for the group");
        assert_eq!(BTreeSet::from_iter(shares), all);
        assert!(join_thread(requests) > RELOADS / 2, "requests were made");
    });
    bystanders.finish();
}

/// Subscribes to all of these.
fn listener(address: SocketAddr, user: &str, subjects_and_sids: &[&str]) -> RawClient {
    let mut client = join_as(address, user, "p");
    for words in subjects_and_sids {
        subscribe(&mut client, words);
    }
    client
}

fn join_thread<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().expect("no thread panics")
}

/// Writes without a break until it is told to stop; gives how many messages that were.
fn write_until(mut client: RawClient, writer: usize, stop: &AtomicBool) -> usize {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut bytes = Vec::new();
        for number in written..written + BATCH {
            let body = number.to_string();
            write_publish(&mut bytes, &format!("shared.{writer}"), body.as_bytes());
        }
        client.send(&bytes).expect("sent");
        written += BATCH;
        // Nobody should become a slow consumer, and the machine has two cores.
        client.sync().expect("nothing is wrong");
        thread::sleep(Duration::from_millis(1));
    }
    written
}

/// All messages up to the end, by writer and number; each writer's in order.
fn hear_all(mut client: RawClient) -> Vec<(usize, usize)> {
    let mut heard: Vec<(usize, usize)> = Vec::new();
    let mut next = [0; WRITERS];
    loop {
        let message = client.message().expect("a message");
        if message.sid == "2" {
            return heard;
        }
        let (_, writer) = message.subject.rsplit_once('.').expect("a writer");
        let writer: usize = writer.parse().expect("a writer");
        let number: usize = std::str::from_utf8(&message.body)
            .ok()
            .and_then(|body| body.parse().ok())
            .expect("a number");
        assert!(number >= next[writer], "in order: {number} of {writer}");
        next[writer] = number + 1;
        heard.push((writer, number));
    }
}

/// Answers a request with its own text. Tells whether there may be more.
fn respond(client: &mut RawClient) -> bool {
    let request = client.message().expect("a request");
    let mut answer = Vec::new();
    if request.sid == "1" {
        write_publish(&mut answer, &request.reply, &request.body);
        client.send(&answer).expect("sent");
    }
    request.sid == "1"
}

/// How many requests were answered: all, and each before the next.
fn request_until(client: &mut RawClient, stop: &AtomicBool) -> usize {
    subscribe(client, "inbox.* 1");
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = count.to_string();
        let request = format!("PUB question.1 inbox.{count} {}\r\n{body}\r\n", body.len());
        client.send(request.as_bytes()).expect("sent");
        let response = client.message().expect("a response");
        assert_eq!(response.subject, format!("inbox.{count}"));
        assert_eq!(response.body, body.as_bytes());
        count += 1;
        thread::sleep(Duration::from_millis(1));
    }
    count
}

fn turned_away(mut client: RawClient) {
    client.expect_line("-ERR 'Authorization Violation'");
    client.end().expect("it is closed");
}

/// Some of them may be one reload; what was written before the last of them is in force in the end, on every shard.
fn many_signals_at_once(shards: u32) {
    let server = Launch::trunkline(shards).config_line("max_payload: 1000");
    let server = server.start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    // Those whom each reload has to look at: it takes its time.
    let _many: Vec<_> = (0..200).map(|_| join(server.address())).collect();
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let pid = pid.expect("a process id");
    let mut payload = 100;
    for _ in 0..20 {
        for _ in 0..10 {
            payload += 1;
            server.write_config(&format!("max_payload: {payload}"));
            kill_process(pid, Signal::HUP).expect("it is there");
        }
        let last = format!("Reloaded: max_payload = {payload}");
        assert!(server.logs_within(&last, PATIENCE), "{}", server.log());
    }
    let last = format!("Reloaded: max_payload = {payload}");
    let is_over = || {
        let log = server.log();
        let (_, since) = log.rsplit_once(&last).unwrap_or_default();
        since.contains("Reloaded server configuration")
    };
    assert!(wait_until(PATIENCE, is_over), "{}", server.log());
    assert!(!server.reloads().contains(&false), "{}", server.log());
    bystanders.finish();
    for _ in 0..2 * shards {
        let mut client = join(server.address());
        let mut bytes = Vec::new();
        write_publish(&mut bytes, "a", &vec![b'x'; payload]);
        client.send(&bytes).expect("sent");
        client.sync().expect("at the limit");
        client
            .send(format!("PUB a {}\r\n", payload + 1).as_bytes())
            .expect("sent");
        client.expect_line("-ERR 'Maximum Payload Violation'");
        client.end().expect("it is closed");
    }
}
