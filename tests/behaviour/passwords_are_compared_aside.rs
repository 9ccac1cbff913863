//! Comparing a password with a bcrypt hash takes long; meanwhile everybody else is served, and who waits longer than
//! `timeout` allows is turned away.

use std::time::Duration;

use crate::cast::{Bystanders, PATIENCE, is_served};
use crate::support::{Launch, RawClient, Server};

on_1_2_and_4_shards!(
    logins_do_not_stop_messages,
    a_comparison_that_takes_too_long_ends_the_client,
);

/// Of `secret`. A check of the dear ones takes a good part of a second, and several with the slow code of a test.
const HASH_COST_4: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn hash(cost: u32) -> String {
    bcrypt::hash("secret", cost).expect("a hash")
}

fn start(shards: u32, timeout: &str, password: &str) -> Server {
    let block = format!(
        "authorization {{ timeout: {timeout}, users: [ {{ user: slow, password: \"{password}\" }}, \
         {{ user: quick, password: \"{HASH_COST_4}\" }}, {{ user: plain, password: p }} ] }}\nno_auth_user: plain"
    );
    let launch = Launch::trunkline(shards).config_line(&block);
    launch.start().expect("a server")
}

fn begin_login(server: &Server, user: &str, password: &str) -> RawClient {
    let mut client = server.connect();
    client.patience(PATIENCE * 6);
    client.line().expect("INFO");
    let json = format!("{{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}");
    let words = format!("CONNECT {json}\r\nPING\r\n");
    client.send(words.as_bytes()).expect("sent");
    client
}

fn logins_do_not_stop_messages(shards: u32) {
    let server = start(shards, "300", &hash(11));
    let bystanders = Bystanders::start(server.address());
    let passwords = ["secret", "guess", "secret", ""];
    let mut logins: Vec<_> = (0..24)
        .map(|index| begin_login(&server, "slow", passwords[index % 4]))
        .collect();
    let quick = begin_login(&server, "quick", "secret");
    // A shard that compares by itself serves nobody else before it has done with all these.
    bystanders.expect_progress();
    let last = logins.last_mut().expect("one of them");
    let is_waiting = last.silence(Duration::from_millis(1)).is_ok();
    assert!(is_waiting, "the others had to wait for the last");
    for (index, mut login) in logins.into_iter().enumerate() {
        if passwords[index % 4] == "secret" {
            login.expect_line("PONG");
            is_served(&mut login).expect("who is known is served");
        } else {
            login.expect_line("-ERR 'Authorization Violation'");
            login.end().expect("closed");
        }
        bystanders.expect_progress();
    }
    let mut quick = quick;
    quick.expect_line("PONG");
    bystanders.finish();
}

fn a_comparison_that_takes_too_long_ends_the_client(shards: u32) {
    let server = start(shards, "0.2", &hash(14));
    let mut slow = begin_login(&server, "slow", "secret");
    slow.expect_line("-ERR 'Authentication Timeout'");
    slow.end().expect("closed");
    // Those who are not compared are not concerned.
    for _ in 0..8 {
        let mut plain = begin_login(&server, "plain", "p");
        plain.expect_line("PONG");
    }
}
