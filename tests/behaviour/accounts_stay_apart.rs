//! Accounts share nothing but what is exported and imported, whichever shards their clients are on: a request finds a
//! responder and the response its requester, a stream its importers, and limits count on the whole server.

use std::collections::BTreeSet;
use std::thread;

use crate::cast::{PATIENCE, write_publish};
use crate::support::{Launch, RawClient, Server, wait_until};

on_1_2_and_4_shards!(
    requests_are_answered_across_accounts,
    streams_reach_every_importer_once,
    measurements_name_the_responder,
    a_limit_of_connections_is_the_accounts,
);

const FILE: &str = r#"
accounts {
  SHOP {
    users: [ { user: shop, password: p } ]
    exports: [
      { service: "stock.*" }
      { service: "measured.*", latency: { sampling: 100, subject: "latency" } }
      { stream: "news.>" }
    ]
  }
  HOME {
    users: [ { user: home, password: p } ]
    imports: [
      { service: { account: SHOP, subject: "stock.*" }, to: "shop.*" }
      { service: { account: SHOP, subject: "measured.*" } }
      { stream: { account: SHOP, subject: "news.>" }, prefix: "shop" }
    ]
  }
  SMALL {
    users: [ { user: small, password: p } ]
    limits: { max_connections: 6 }
  }
}"#;

fn start(shards: u32) -> Server {
    let launch = Launch::trunkline(shards).config_line(FILE);
    launch.start().expect("a server")
}

fn options(user: &str) -> String {
    format!(r#"{{"verbose":false,"pedantic":false,"user":"{user}","pass":"p"}}"#)
}

fn join(server: &Server, user: &str) -> RawClient {
    let mut client = server.join(&options(user));
    client.patience(PATIENCE);
    client
}

fn subscribe(client: &mut RawClient, words: &str) {
    let words = format!("SUB {words}\r\n");
    client.send(words.as_bytes()).expect("sent");
    client.sync().expect("taken");
}

fn requests_are_answered_across_accounts(shards: u32) {
    const REQUESTERS: usize = 10;
    const ROUNDS: usize = 30;
    let server = start(shards);
    for _ in 0..6 {
        let mut responder = join(&server, "shop");
        subscribe(&mut responder, "stock.* workers 1");
        // It ends with the server.
        thread::spawn(move || {
            while let Ok(request) = responder.message() {
                let answer = [request.subject.as_bytes(), b" ", &request.body].concat();
                let mut words = Vec::new();
                write_publish(&mut words, &request.reply, &answer);
                responder.send(&words)?;
            }
            Ok::<(), std::io::Error>(())
        });
    }
    let mut requesters: Vec<_> = (0..REQUESTERS).map(|_| join(&server, "home")).collect();
    for (index, requester) in requesters.iter_mut().enumerate() {
        subscribe(requester, &format!("in.{index}.* 1"));
    }
    for round in 0..ROUNDS {
        for (index, requester) in requesters.iter_mut().enumerate() {
            let (subject, body) = (format!("shop.{index}"), format!("{index}/{round}"));
            let line = format!(
                "PUB {subject} in.{index}.{round} {}\r\n{body}\r\n",
                body.len()
            );
            requester.send(line.as_bytes()).expect("sent");
        }
        for (index, requester) in requesters.iter_mut().enumerate() {
            let answer = requester.message().expect("an answer");
            assert_eq!(answer.subject, format!("in.{index}.{round}"));
            assert_eq!(answer.reply, "");
            let wanted = format!("stock.{index} {index}/{round}");
            assert_eq!(String::from_utf8_lossy(&answer.body), wanted);
        }
    }
    for requester in &mut requesters {
        requester.sync().expect("nothing came twice");
    }
}

fn streams_reach_every_importer_once(shards: u32) {
    const MESSAGES: usize = 50;
    let server = start(shards);
    let mut importers: Vec<_> = (0..8).map(|_| join(&server, "home")).collect();
    for importer in &mut importers {
        subscribe(importer, "shop.news.* 1");
    }
    let mut group: Vec<_> = (0..4).map(|_| join(&server, "home")).collect();
    for member in &mut group {
        subscribe(member, "shop.> group 2");
    }
    let mut publisher = join(&server, "shop");
    let mut words = Vec::new();
    for number in 0..MESSAGES {
        write_publish(&mut words, "news.today", number.to_string().as_bytes());
        write_publish(&mut words, "secret", b"for the shop");
    }
    publisher.send(&words).expect("sent");
    publisher.sync().expect("taken");
    for importer in &mut importers {
        for number in 0..MESSAGES {
            let message = importer.message().expect("a message");
            assert_eq!((&*message.subject, &*message.sid), ("shop.news.today", "1"));
            assert_eq!(message.body, number.to_string().as_bytes());
        }
        importer.sync().expect("no more came");
    }
    let mut shared = BTreeSet::new();
    for member in &mut group {
        // What it got is before this on its connection.
        member
            .send(b"SUB end 3\r\nPUB end 0\r\n\r\n")
            .expect("sent");
        loop {
            let message = member.message().expect("a message");
            if message.sid == "3" {
                break;
            }
            assert!(shared.insert(message.body), "one copy for the group");
        }
    }
    assert_eq!(shared.len(), MESSAGES);
}

fn measurements_name_the_responder(shards: u32) {
    let server = start(shards);
    let mut meter = join(&server, "shop");
    subscribe(&mut meter, "latency 1");
    let mut requester = join(&server, "home");
    subscribe(&mut requester, "in 1");
    for number in 0..8 {
        let mut responder = join(&server, "shop");
        subscribe(&mut responder, &format!("measured.{number} 1"));
        let request = format!("PUB measured.{number} in 2\r\nhi\r\n");
        requester.send(request.as_bytes()).expect("sent");
        let asked = responder.message().expect("a request");
        let mut words = Vec::new();
        write_publish(&mut words, &asked.reply, b"ok");
        responder.send(&words).expect("sent");
        assert_eq!(requester.message().expect("an answer").body, b"ok");
        let metric = meter.message().expect("a measurement");
        let metric: serde_json::Value = serde_json::from_slice(&metric.body).expect("JSON");
        assert_eq!(metric["type"], "io.nats.server.metric.v1.service_latency");
        assert_eq!(
            (&metric["status"], &metric["requestor"]["acc"]),
            (&200.into(), &"HOME".into())
        );
        let responder_told = &metric["responder"];
        assert_eq!(responder_told["user"], "shop", "{metric}");
        assert!(
            responder_told["id"].as_u64().is_some_and(|id| id > 0),
            "{metric}"
        );
    }
}

fn a_limit_of_connections_is_the_accounts(shards: u32) {
    let server = start(shards);
    for _ in 0..4 {
        // Those of the round before may still be on their way out.
        let mut clients = Vec::new();
        let is_full = || {
            clients.extend(try_join(&server, "small"));
            clients.len() == 6
        };
        assert!(wait_until(PATIENCE, is_full), "there is room for six");
        for _ in 0..3 {
            let mut refused = server.connect();
            refused.patience(PATIENCE);
            refused.line().expect("it is greeted");
            let connect = format!("CONNECT {}\r\n", options("small"));
            refused.send(connect.as_bytes()).expect("sent");
            refused.expect_line("-ERR 'maximum account active connections exceeded'");
            refused.end().expect("it is closed");
        }
        join(&server, "home").sync().expect("others have room");
        for client in &mut clients {
            client.sync().expect("those who were there are served");
        }
    }
}

fn try_join(server: &Server, user: &str) -> Option<RawClient> {
    let mut client = server.connect();
    client.patience(PATIENCE);
    client.line().ok()?;
    let connect = format!("CONNECT {}\r\n", options(user));
    client.send(connect.as_bytes()).ok()?;
    client.sync().ok()?;
    Some(client)
}
