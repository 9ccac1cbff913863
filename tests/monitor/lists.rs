//! Lists of many connections and subscriptions: pages that neither overlap nor leave anything out, sorted as they are
//! asked for, wherever their connections live.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use jiff::Timestamp;
use serde_json::Value;

use crate::cast::{PATIENCE, QUIET, join};
use crate::support::http::get;
use crate::support::{Folder, Launch, RawClient, Server, wait_until};

fn monitored(shards: u32) -> Server {
    let launch = Launch::trunkline(shards).flags(["-m", "-1", "--max_closed_clients", "5"]);
    launch.start().expect("a server")
}

fn connections(server: &Server, query: &str) -> Vec<Value> {
    let page = get(server.monitor(), &format!("/connz?{query}")).expect("a reply");
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.json();
    let list = page["connections"].as_array().expect("a list").clone();
    assert_eq!(page["num_connections"], list.len());
    list
}

fn moment(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a moment");
    text.parse().expect("a moment")
}

fn numbers(list: &[Value], name: &str) -> Vec<u64> {
    let number = |one: &Value| one[name].as_u64().expect("a number");
    list.iter().map(number).collect()
}

/// Clients of which the n-th has n subscriptions and has published n messages.
fn crowd(server: &Server, count: usize) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for number in 0..count {
        let mut client = join(server.address());
        let mut said = Vec::new();
        for sid in 0..number {
            said.extend_from_slice(
                format!("SUB s.{number}.{sid} {sid}\r\nPUB nobody {number}\r\n").as_bytes(),
            );
            said.extend_from_slice(&vec![b'x'; number]);
            said.extend_from_slice(b"\r\n");
        }
        client.send(&said).expect("it is sent");
        client.sync().expect("it is taken");
        clients.push(client);
    }
    clients
}

#[test]
fn pages_together_hold_every_connection_once() {
    for shards in [1, 2, 4] {
        let server = monitored(shards);
        let _clients = crowd(&server, 50);
        for (sort, by, is_up) in [
            ("", "cid", true),
            ("cid", "cid", true),
            ("start", "cid", true),
            ("subs", "subscriptions", false),
            ("msgs_from", "in_msgs", false),
            ("bytes_from", "in_bytes", false),
            ("msgs_to", "out_msgs", false),
            ("pending", "pending_bytes", false),
        ] {
            let mut all = Vec::new();
            for offset in (0..63).step_by(7) {
                all.extend(connections(
                    &server,
                    &format!("sort={sort}&limit=7&offset={offset}"),
                ));
            }
            let cids: BTreeSet<u64> = numbers(&all, "cid").into_iter().collect();
            assert_eq!((all.len(), cids.len()), (50, 50), "sorted by {sort:?}");
            let mut figures = numbers(&all, by);
            if !is_up {
                figures.reverse();
            }
            assert!(figures.is_sorted(), "{sort}: {figures:?}");
        }
        for (sort, by, is_up) in [
            ("uptime", "start", false),
            ("last", "last_activity", false),
            ("idle", "last_activity", true),
        ] {
            let list = connections(&server, &format!("sort={sort}"));
            let mut moments: Vec<Timestamp> = list.iter().map(|one| moment(&one[by])).collect();
            if !is_up {
                moments.reverse();
            }
            assert!(moments.is_sorted(), "{sort}: {moments:?}");
        }
        assert_eq!(connections(&server, "offset=9223372036854775807").len(), 0);
        assert_eq!(connections(&server, "limit=9223372036854775807").len(), 50);
    }
}

#[test]
fn one_connection_can_be_asked_for_with_all_its_subscriptions() {
    for shards in [1, 4] {
        let server = monitored(shards);
        let _clients = crowd(&server, 20);
        for one in connections(&server, "") {
            let query = format!("cid={}&subs=1", one["cid"]);
            let [found] = &connections(&server, &query)[..] else {
                panic!("exactly one");
            };
            assert_eq!(found["cid"], one["cid"]);
            let listed = found["subscriptions_list"].as_array().map_or(0, Vec::len);
            assert_eq!(found["subscriptions"], listed);
        }
    }
}

#[test]
fn a_process_behind_a_unix_socket_is_shown_as_one() {
    let folder = Folder::create().expect("a folder");
    let path = folder.path().join("broker.sock");
    let server = Launch::trunkline(2)
        .flags(["-m", "-1"])
        .config_line(&format!("unix_socket: {path:?}"))
        .start()
        .expect("a server");
    let mut stream = UnixStream::connect(&path).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let connect = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
    stream.write_all(connect).expect("it is sent");
    let mut lines = BufReader::new(stream).lines();
    let greeted = lines.any(|line| line.expect("a line") == "PONG");
    assert!(greeted);
    let user = fs::metadata("/proc/self").expect("a process").uid();
    let process = format!("unix:pid={},uid={user}", std::process::id());
    let list = connections(&server, "");
    assert_eq!(list[0]["ip"], process.as_str());
    assert_eq!(list[0]["port"], 0);
    let found = get(
        server.monitor(),
        &format!("/dashboard/connections?search={process}"),
    );
    assert_eq!(found.expect("a reply").json()["total"], 1);
    drop(lines);
    let closed = || connections(&server, "state=closed").len() == 1;
    assert!(wait_until(PATIENCE, closed), "it has gone");
    assert_eq!(
        connections(&server, "state=closed")[0]["ip"],
        process.as_str()
    );
}

#[test]
fn subscriptions_of_all_shards_are_one_list() {
    for shards in [1, 2, 4] {
        let server = monitored(shards);
        let _clients = crowd(&server, 30);
        let subsz = |query: &str| {
            get(server.monitor(), &format!("/subsz?subs=1&{query}"))
                .expect("a reply")
                .json()
        };
        let whole = 30 * 29 / 2;
        let mut seen = BTreeSet::new();
        for offset in (0..whole).step_by(50) {
            let page = subsz(&format!("offset={offset}&limit=50"));
            assert_eq!(page["total"], whole);
            for one in page["subscriptions_list"].as_array().expect("a list") {
                assert!(seen.insert(one["subject"].to_string()), "{one} comes twice");
            }
        }
        assert_eq!(seen.len(), whole);
        assert_eq!(subsz("test=s.7.3")["total"], 1);
        assert_eq!(subsz("test=s.7.9")["total"], 0);
        assert_eq!(subsz("acc=$SYS")["total"], 0);
    }
}

#[test]
fn the_last_connections_to_go_are_remembered_and_no_more() {
    for shards in [1, 2, 4] {
        let server = monitored(shards);
        for number in 0..8 {
            let mut client =
                server.join(&QUIET.replace('}', &format!(",\"name\":\"n{number}\"}}")));
            client.send(b"SUB a 1\r\n").expect("it is sent");
            client.sync().expect("it is taken");
            drop(client);
            let name = format!("n{number}");
            let is_known = || {
                let closed = connections(&server, "state=closed&sort=stop");
                closed.first().is_some_and(|first| first["name"] == *name)
            };
            assert!(
                wait_until(PATIENCE, is_known),
                "{name} is known to have gone"
            );
        }
        let closed = connections(&server, "state=closed&sort=stop&subs=1");
        let names: Vec<&str> = closed
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(names, ["n7", "n6", "n5", "n4", "n3"]);
        assert!(
            closed
                .iter()
                .all(|one| one["reason"] == "Client Closed" && one["subscriptions_list"][0] == "a")
        );
        assert_eq!(connections(&server, "state=any").len(), 5);
        assert_eq!(connections(&server, "state=open").len(), 0);
    }
}
