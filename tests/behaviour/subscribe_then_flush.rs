//! Once the `PONG` behind a `SUB` is on the wire, a publish on any connection of any shard reaches that subscription
//! (DESIGN §2.1); the `PONG` behind an `UNSUB` ends it everywhere in the same way.

use std::time::Duration;

use crate::cast::{QUIET, join};
use crate::support::{Launch, RawClient};

/// More than shards, so that all pairs of shards occur.
const CONNECTIONS: usize = 9;
const ROUNDS: usize = 3_000;

on_1_2_and_4_shards!(
    publish_after_pong_arrives,
    request_finds_inbox,
    publish_after_end_of_subscription_reaches_nobody,
    responders_are_known_everywhere_after_pong,
);

/// Two different connections for each round, in all combinations.
fn pair(clients: &mut [RawClient], round: usize) -> (&mut RawClient, &mut RawClient) {
    let count = clients.len();
    let first = round % count;
    let second = (first + 1 + round / count % (count - 1)) % count;
    let [one, two] = clients
        .get_disjoint_mut([first, second])
        .expect("two different connections");
    (one, two)
}

fn publish_after_pong_arrives(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| join(server.address())).collect();
    for round in 0..ROUNDS {
        let (subscriber, publisher) = pair(&mut clients, round);
        // Wildcards and literals are found in different ways; subjects come back after their subscription has gone.
        let subject = format!("round.{}", round % 100);
        let pattern = match round % 3 {
            0 => subject.clone(),
            1 => "round.*".to_owned(),
            _ => "round.>".to_owned(),
        };
        subscriber
            .send(format!("SUB {pattern} {round}\r\nPING\r\n").as_bytes())
            .expect("sent");
        subscriber.expect_line("PONG");
        let number = round.to_string();
        publisher
            .send(format!("PUB {subject} {}\r\n{number}\r\n", number.len()).as_bytes())
            .expect("sent");
        let message = subscriber.message().expect("what comes after PONG arrives");
        assert_eq!(
            (message.sid, message.body),
            (number.clone(), number.into_bytes())
        );
        subscriber
            .send(format!("UNSUB {round}\r\nPING\r\n").as_bytes())
            .expect("sent");
        subscriber.expect_line("PONG");
    }
}

/// The inbox and the request travel together: the answer comes through another shard, from the connection that has seen
/// the request and, once the requester has its `PONG`, from a third one.
fn request_finds_inbox(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| join(server.address())).collect();
    let mut service: Vec<_> = (0..CONNECTIONS).map(|_| join(server.address())).collect();
    for (index, responder) in service.iter_mut().enumerate() {
        crate::cast::subscribe(responder, &format!("service.{index} 1"));
    }
    for round in 0..ROUNDS {
        let (requester, third) = pair(&mut clients, round);
        let by_third = round % 2 == 1;
        let index = round / 3 % CONNECTIONS;
        let ping = if by_third { "PING\r\n" } else { "" };
        requester
            .send(format!("SUB inbox.{round} {round}\r\n{ping}PUB service.{index} inbox.{round} 1\r\n?\r\n").as_bytes())
            .expect("sent");
        if by_third {
            requester.expect_line("PONG");
        }
        let responder = &mut service[index];
        let request = responder.message().expect("the request arrives");
        let answer = format!("PUB {} 1\r\n!\r\n", request.reply);
        let answering = if by_third { third } else { responder };
        answering.send(answer.as_bytes()).expect("sent");
        let answer = requester.message().expect("the answer arrives");
        assert_eq!(answer.subject, format!("inbox.{round}"));
        requester
            .send(format!("UNSUB {round}\r\n").as_bytes())
            .expect("sent");
    }
}

fn publish_after_end_of_subscription_reaches_nobody(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| join(server.address())).collect();
    for round in 0..ROUNDS / 3 {
        let (subscriber, publisher) = pair(&mut clients, round);
        let ask = format!(
            "SUB gone.{} {round}\r\nPING\r\nUNSUB {round}\r\nPING\r\n",
            round % 10
        );
        subscriber.send(ask.as_bytes()).expect("sent");
        subscriber.expect_line("PONG");
        subscriber.expect_line("PONG");
        let publish = format!("PUB gone.{} 1\r\nx\r\nPING\r\n", round % 10);
        publisher.send(publish.as_bytes()).expect("sent");
        publisher.expect_line("PONG");
    }
    for client in &mut clients {
        client.sync().expect("no message came");
        client
            .silence(Duration::from_millis(20))
            .expect("no message comes late");
    }
}

/// "No responders" is decided where the request comes in, and must be right there too.
fn responders_are_known_everywhere_after_pong(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let options = r#"{"verbose":false,"headers":true,"no_responders":true}"#;
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| server.join(options)).collect();
    for client in &mut clients {
        client.send(b"SUB inbox.> 1\r\n").expect("sent");
        client.sync().expect("subscribed");
    }
    let mut responder = RawClient::join(server.address(), QUIET);
    for round in 0..ROUNDS / 3 {
        let requester = &mut clients[round % CONNECTIONS];
        let request = format!("PUB asked.{} inbox.{round} 1\r\n?\r\n", round % 7);
        let ask = format!("SUB asked.{} {round}\r\nPING\r\n", round % 7);
        responder.send(ask.as_bytes()).expect("sent");
        responder.expect_line("PONG");
        requester.send(request.as_bytes()).expect("sent");
        assert_eq!(
            responder.message().expect("the request").reply,
            format!("inbox.{round}")
        );
        requester.sync().expect("nobody said 503");
        responder
            .send(format!("UNSUB {round}\r\nPING\r\n").as_bytes())
            .expect("sent");
        responder.expect_line("PONG");
        requester.send(request.as_bytes()).expect("sent");
        let status = requester.message().expect("the status");
        assert!(status.body.starts_with(b"NATS/1.0 503\r\n"), "{status:?}");
    }
}
