//! Permissions hold whichever shard a client is on: nobody hears what is denied to them, queue groups find another
//! member, services answer what they were asked, and nothing else.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::cast::{PATIENCE, write_publish};
use crate::support::{Launch, RawClient, Server};

on_1_2_and_4_shards!(
    what_is_denied_is_not_heard,
    services_answer_and_no_more,
    a_wider_subscription_is_refused,
);

const FILE: &str = r#"
authorization { users: [
  { user: all, password: p }
  { user: shy, password: p, permissions: { subscribe: { deny: ["t.secret", "t.group g"] } } }
  { user: service, password: p, permissions: { subscribe: "svc.>", allow_responses: { max: 2 } } }
  { user: narrow, password: p, permissions: { subscribe: ["foo.*", "bar.*.baz"] } }
] }"#;

fn start(shards: u32) -> Server {
    let launch = Launch::trunkline(shards).config_line(FILE);
    launch.start().expect("a server")
}

fn join(server: &Server, user: &str) -> RawClient {
    let options = format!(r#"{{"verbose":false,"pedantic":false,"user":"{user}","pass":"p"}}"#);
    let mut client = server.join(&options);
    client.patience(PATIENCE);
    client
}

fn subscribe(client: &mut RawClient, words: &str) {
    client
        .send(format!("SUB {words}\r\n").as_bytes())
        .expect("sent");
    client.sync().expect("taken");
}

fn what_is_denied_is_not_heard(shards: u32) {
    let server = start(shards);
    let mut shy: Vec<_> = (0..8).map(|_| join(&server, "shy")).collect();
    let mut open: Vec<_> = (0..4).map(|_| join(&server, "all")).collect();
    for client in &mut shy {
        subscribe(client, "t.* 1");
        subscribe(client, "t.> g 2");
    }
    for client in &mut open {
        subscribe(client, "t.* g 2");
    }
    let mut publisher = join(&server, "all");
    let mut words = Vec::new();
    for number in 0..40 {
        let payload = format!("{number}");
        write_publish(&mut words, "t.secret", payload.as_bytes());
        write_publish(&mut words, "t.group", payload.as_bytes());
    }
    write_publish(&mut words, "t.end", b"end");
    publisher.send(&words).expect("sent");
    publisher.sync().expect("published");
    // A plain subscription hears what is denied to the group only.
    for client in &mut shy {
        for number in 0..40 {
            let message = client.message().expect("a message");
            let heard = (&*message.subject, &*message.sid, &*message.body);
            assert_eq!(heard, ("t.group", "1", number.to_string().as_bytes()));
        }
    }
    // A message that was meant for a member from whom it is hidden is handed on, and may take its time.
    let start = Instant::now();
    let mut heard = BTreeSet::new();
    while heard.len() < 80 {
        assert!(start.elapsed() < PATIENCE, "only {} came", heard.len());
        for client in &mut open {
            client.patience(Duration::from_millis(10));
            while let Ok(message) = client.message() {
                assert_eq!(message.sid, "2");
                let copy = (message.subject, message.body);
                if copy.0 != "t.end" {
                    assert!(heard.insert(copy.clone()), "{copy:?} came twice");
                }
            }
        }
    }
    let mut ends = 0;
    for client in shy.iter_mut().chain(&mut open) {
        client.patience(Duration::from_millis(200));
        while let Ok(message) = client.message() {
            assert_eq!(message.subject, "t.end", "{message:?}");
            ends += 1;
        }
    }
    assert!(
        ends <= 9,
        "one for each plain subscription and one for the group"
    );
}

fn services_answer_and_no_more(shards: u32) {
    let server = start(shards);
    let mut services: Vec<_> = (0..6).map(|_| join(&server, "service")).collect();
    for (index, client) in services.iter_mut().enumerate() {
        subscribe(client, &format!("svc.{index} 1"));
    }
    let mut requesters: Vec<_> = (0..6).map(|_| join(&server, "all")).collect();
    for (number, requester) in requesters.iter_mut().enumerate() {
        subscribe(requester, &format!("in.{number}.* 1"));
        for index in 0..services.len() {
            let request = format!("PUB svc.{index} in.{number}.{index} 1\r\nq\r\n");
            requester.send(request.as_bytes()).expect("sent");
        }
    }
    for (index, service) in services.iter_mut().enumerate() {
        let requests: Vec<_> = (0..requesters.len())
            .map(|_| service.message().expect("a request"))
            .collect();
        for reply in requests.into_iter().map(|request| request.reply) {
            let answer = format!("PUB {reply} 1\r\na\r\n");
            service.send(answer.repeat(3).as_bytes()).expect("sent");
            service.expect_line(&format!(
                "-ERR 'Permissions Violation for Publish to \"{reply}\"'"
            ));
        }
        let elsewhere = format!("PUB in.0.{index}x 1\r\nx\r\n");
        service.send(elsewhere.as_bytes()).expect("sent");
        service.expect_line(&format!(
            "-ERR 'Permissions Violation for Publish to \"in.0.{index}x\"'"
        ));
        service.sync().expect("published");
    }
    for requester in &mut requesters {
        for _ in 0..2 * services.len() {
            assert_eq!(requester.message().expect("an answer").body, b"a");
        }
        requester.sync().expect("no more than two each");
    }
}

/// nats-server takes the `>` of a subscription for a token like any other and lets all of these pass; then a client that
/// is allowed one level hears all levels below it.
fn a_wider_subscription_is_refused(shards: u32) {
    let server = start(shards);
    let mut narrow = join(&server, "narrow");
    for wide in ["foo.>", "bar.*.>", "bar.>"] {
        narrow
            .send(format!("SUB {wide} 1\r\n").as_bytes())
            .expect("sent");
        narrow.expect_line(&format!(
            "-ERR 'Permissions Violation for Subscription to \"{wide}\"'"
        ));
    }
    for fine in ["foo.*", "foo.a", "bar.*.baz", "bar.a.baz"] {
        subscribe(&mut narrow, &format!("{fine} {fine}"));
    }
}
