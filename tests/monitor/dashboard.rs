//! The dashboard: a page that asks nobody else, and a stream of events that lasts as long as somebody listens.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::cast::{PATIENCE, join};
use crate::support::http::get;
use crate::support::{Launch, Server, wait_until};

fn monitored(shards: u32) -> Server {
    Launch::trunkline(shards)
        .flags(["-m", "-1"])
        .start()
        .expect("a server")
}

/// Somebody who looks.
struct Watcher(BufReader<TcpStream>);

impl Watcher {
    fn new(server: &Server) -> Watcher {
        let mut stream = TcpStream::connect(server.monitor()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
            .write_all(b"GET /dashboard/events HTTP/1.1\r\nHost: m\r\n\r\n")
            .expect("it is sent");
        Watcher(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it goes on");
        line
    }

    fn status(&mut self) -> u16 {
        self.line()
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status")
    }

    fn event(&mut self) -> Value {
        loop {
            if let Some(data) = self.line().strip_prefix("data: ") {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = get(monitored(1).monitor(), "/dashboard").expect("a reply");
    assert_eq!(page.status, 200);
    let policy = page
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"),
        "{policy}"
    );
    let text = page.text();
    // The name of SVG's elements is no address.
    let text = text.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !text.contains("http:") && !text.contains("https:") && !text.contains("src=\"//"),
        "it asks elsewhere"
    );
    assert!(
        !text.contains("{name}") && !text.contains("{base}"),
        "something was not filled in"
    );
}

#[test]
fn events_tell_what_happens() {
    for shards in [1, 2] {
        let server = monitored(shards);
        let mut watcher = Watcher::new(&server);
        assert_eq!(watcher.status(), 200);
        let first = watcher.event();
        assert_eq!(
            first["shards"].as_array().expect("a list").len(),
            shards as usize
        );
        assert_eq!(first["connections"], 0);
        let mut client = join(server.address());
        client
            .send(b"SUB a 1\r\nPUB a 5\r\nhello\r\nPUB nobody 0\r\n\r\n")
            .expect("it is sent");
        client.message().expect("a message");
        client.sync().expect("all is taken");
        let is_told = wait_until(PATIENCE, || {
            let event = watcher.event();
            event["connections"] == 1
                && event["subscriptions"] == 1
                && event["in_msgs"] == 2
                && event["out_bytes"] == 5
                && event["dropped"] == 1
        });
        assert!(is_told);
    }
}

#[test]
fn so_many_may_watch_and_who_leaves_makes_room() {
    let server = monitored(1);
    let mut watchers: Vec<Watcher> = (0..32).map(|_| Watcher::new(&server)).collect();
    for watcher in &mut watchers {
        assert_eq!(watcher.status(), 200);
    }
    assert_eq!(Watcher::new(&server).status(), 503);
    watchers.pop();
    assert!(wait_until(PATIENCE, || Watcher::new(&server).status() == 200));
}

#[test]
fn nothing_happens_while_nobody_looks() {
    let server = monitored(2);
    let mut watcher = Watcher::new(&server);
    for _ in 0..3 {
        watcher.event();
    }
    drop(watcher);
    let sleeps = |server: &Server| {
        let of_monitor = server
            .thread_sleeps()
            .into_iter()
            .find(|(name, _)| name == "monitor");
        of_monitor.expect("the thread").1
    };
    // It may wake a few more times to notice; then it sleeps on.
    let mut before = sleeps(&server);
    let is_quiet = wait_until(PATIENCE, || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let now = sleeps(&server);
        std::mem::replace(&mut before, now) == now
    });
    assert!(is_quiet, "the monitor goes on working");
}

#[test]
fn it_works_below_a_base_path() {
    let server = Launch::trunkline(1)
        .flags(["-m", "-1", "--http_base_path", "/mon"])
        .start()
        .expect("a server");
    let page = get(server.monitor(), "/mon/dashboard")
        .expect("a reply")
        .text();
    assert!(
        page.contains("href=\"/mon\"") && page.contains("data-base=\"/mon\""),
        "{page}"
    );
}
