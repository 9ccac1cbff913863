//! Behind nats-server's line about a slow consumer comes one that names what was too much: account, subject, subscription
//! and queue group.

use crate::cast::{PATIENCE, write_publish};
use crate::support::{Launch, RawClient, Server};

on_1_2_and_4_shards!(
    what_was_too_much_is_named,
    its_only_message_is_named_or_on_the_way
);

const FILE: &str = r#"
accounts { ACME { users: [ { user: ann, password: p } ] } }
max_pending: 1MB
max_payload: 1MB
"#;
const ROUNDS_MAX: usize = 4000;

fn start(shards: u32) -> Server {
    let launch = Launch::trunkline(shards).config_line(FILE);
    launch.start().expect("a server")
}

fn join(server: &Server) -> RawClient {
    let mut client = server.join(r#"{"verbose":false,"pedantic":false,"user":"ann","pass":"p"}"#);
    client.patience(PATIENCE);
    client
}

/// Publishes until somebody is slow; gives the two lines about it.
fn fill(server: &Server, round: &[u8]) -> [String; 2] {
    let mut publisher = join(server);
    let mut rounds = 0;
    while !server.log().contains("Did not keep up") {
        assert!(rounds < ROUNDS_MAX, "nobody is slow: {}", server.log());
        publisher.send(round).expect("sent");
        publisher.sync().expect("taken");
        rounds += 1;
    }
    let log = server.log();
    let mut lines = log
        .lines()
        .skip_while(|line| !line.contains("Slow Consumer"));
    let mut next = || lines.next().expect("two lines").to_owned();
    [next(), next()]
}

fn what_was_too_much_is_named(shards: u32) {
    let server = start(shards);
    let mut slow = join(&server);
    slow.send(b"SUB quiet.> 1\r\nSUB loud.* workers 2\r\n")
        .expect("sent");
    slow.sync().expect("taken");
    let mut round = Vec::new();
    for number in 0..100 {
        let subject = if number % 10 == 0 {
            "quiet.a"
        } else {
            "loud.b"
        };
        write_publish(&mut round, subject, &[b'.'; 1000]);
    }
    let [found, told] = fill(&server, &round);
    let who = slow.local_address().expect("an address");
    assert!(
        found.contains(&format!("[INF] {who} - cid:"))
            && found.ends_with("Slow Consumer Detected: MaxPending of 1048576 Exceeded"),
        "{found}"
    );
    let (head, detail) = told
        .split_once(" - Did not keep up in account ACME: ")
        .expect(&told);
    assert!(head.contains(&format!("[INF] {who} - cid:")), "{told}");
    let (bytes, detail) = detail.split_once(" bytes waiting, ").expect(&told);
    assert!(
        bytes.parse::<usize>().expect("a number") > 1 << 20,
        "{told}"
    );
    let (percent, detail) = detail.split_once("% on ").expect(&told);
    let percent: u8 = percent.parse().expect("a number");
    assert!((80..=100).contains(&percent), "{told}");
    let wanted = "subject \"loud.b\", subscription \"loud.*\" with SID 2 in queue \"workers\"";
    assert_eq!(detail, wanted);
}

fn its_only_message_is_named_or_on_the_way(shards: u32) {
    let server = start(shards);
    let mut slow = join(&server);
    slow.send(b"SUB large 1\r\n").expect("sent");
    slow.sync().expect("taken");
    let mut round = Vec::new();
    write_publish(&mut round, "large", &vec![b'.'; 1_000_000]);
    let [_, told] = fill(&server, &round);
    let named = "100% on subject \"large\", subscription \"large\" with SID 1";
    assert!(
        told.ends_with(named) || told.ends_with("all of them on the way"),
        "{told}"
    );
}
