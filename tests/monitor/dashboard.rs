//! The dashboard: a page that asks nobody else, and a stream of events that lasts as long as somebody listens.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::cast::{PATIENCE, join};
use crate::support::http::get;
use crate::support::{Launch, RawClient, Server, wait_until};

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
fn the_page_and_its_files_need_nothing_from_elsewhere() {
    let server = monitored(1);
    let page = get(server.monitor(), "/dashboard").expect("a reply");
    assert_eq!(page.status, 200);
    let policy = page
        .header("content-security-policy")
        .expect("a policy")
        .to_owned();
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut texts = vec![page.text()];
    let named = texts[0]
        .split('"')
        .filter(|word| word.starts_with("/dashboard/"));
    let mut files: Vec<String> = named.map(str::to_owned).collect();
    while let Some(file) = files.pop() {
        let reply = get(server.monitor(), &file).expect("a reply");
        assert_eq!(reply.status, 200, "{file}");
        let kind = reply.header("content-type").expect("a type");
        let wanted = if file.ends_with(".js") {
            "text/javascript"
        } else {
            "text/css"
        };
        assert!(kind.starts_with(wanted), "{file}: {kind}");
        assert_eq!(reply.header("cache-control"), Some("no-cache"), "{file}");
        let text = reply.text();
        if texts.contains(&text) {
            continue;
        }
        let imports = text.split("from \"./").skip(1);
        let names = imports.filter_map(|rest| rest.split('"').next());
        files.extend(names.map(|name| format!("/dashboard/{name}")));
        texts.push(text);
    }
    assert!(texts.len() > 8, "{}", texts.len());
    for text in texts {
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
}

#[test]
fn whatever_clients_write_a_page_is_what_it_says_it_is() {
    let server = monitored(1);
    for path in [
        "/",
        "/dashboard",
        "/connz",
        "/dashboard/page.js",
        "/nothing",
    ] {
        let reply = get(server.monitor(), path).expect("a reply");
        let kind = reply.header("content-type").expect("a type").to_owned();
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let is_page = kind.starts_with("text/html");
        let referrer = reply.header("referrer-policy");
        assert_eq!(referrer, is_page.then_some("no-referrer"), "{path}");
        if is_page {
            let text = reply.text();
            for inline in ["<style", "<script>", " style=", " onclick="] {
                assert!(!text.contains(inline), "{path}: {inline} is not allowed");
            }
        }
    }
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
        assert_eq!(first["server_id"], answer(&server, "/varz")["server_id"]);
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
    let refused = get(server.monitor(), "/dashboard/events").expect("a reply");
    let told = "32 others are watching already, and no more may";
    assert_eq!((refused.status, &*refused.text()), (503, told));
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

fn answer(server: &Server, path: &str) -> Value {
    get(server.monitor(), path).expect("a reply").json()
}

#[test]
fn connections_are_found_by_what_is_looked_for() {
    for shards in [1, 2] {
        let server = monitored(shards);
        let named = |name: &str| server.join(&format!("{{\"verbose\":false,\"name\":\"{name}\"}}"));
        let mut clients = vec![named("Billing"), named("shipping"), named("billing-2")];
        for client in &mut clients {
            client.sync().expect("it is served");
        }
        let found = |query: &str| -> Vec<String> {
            let page = answer(&server, &format!("/dashboard/connections?sort=cid&{query}"));
            let list = page["connections"].as_array().expect("a list").clone();
            list.iter()
                .map(|one| one["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        assert_eq!(found("search=BILL"), ["Billing", "billing-2"]);
        assert_eq!(found("search=%20shipping%20"), ["shipping"]);
        assert_eq!(found("search=").len(), 3);
        assert_eq!(found("search=nobody"), [""; 0]);
        assert_eq!(found("search=bill&limit=1&offset=1"), ["billing-2"]);
        let port = clients[1].local_address().expect("an address").port();
        assert_eq!(found(&format!("search=:{port}")), ["shipping"]);
        drop(clients.remove(0));
        assert!(
            wait_until(PATIENCE, || found("search=bill&state=closed")
                == ["Billing"]),
            "those that have gone are found too"
        );
    }
}

#[test]
fn subjects_are_a_tree_of_all_shards() {
    for shards in [1, 2, 4] {
        let server = monitored(shards);
        let _clients: Vec<_> = (0..6)
            .map(|number| {
                let mut client = join(server.address());
                client
                    .send(
                        format!(
                            "SUB a.{}.x q 1\r\nSUB a.> 2\r\nSUB b{number} 3\r\n",
                            number % 2
                        )
                        .as_bytes(),
                    )
                    .expect("it is sent");
                client.sync().expect("it is taken");
                client
            })
            .collect();
        let level = |below: &str| answer(&server, &format!("/dashboard/subjects?below={below}"));
        let branches = |level: &Value| -> Vec<(String, u64, u64)> {
            let list = level["branches"].as_array().expect("a list");
            list.iter()
                .map(|one| {
                    let count = |name: &str| one[name].as_u64().expect("a count");
                    let token = one["token"].as_str().expect("a token").to_owned();
                    (token, count("ending"), count("below"))
                })
                .collect()
        };
        let top = branches(&level(""));
        assert_eq!((top.len(), &top[0]), (7, &("a".to_owned(), 0, 12)));
        assert_eq!(
            branches(&level("a")),
            [
                (">".to_owned(), 6, 0),
                ("0".to_owned(), 0, 3),
                ("1".to_owned(), 0, 3)
            ]
        );
        let leaf = level("a.0.x");
        assert_eq!(
            (&leaf["ending_here"], branches(&leaf).len()),
            (&3.into(), 0)
        );
        let here = leaf["here"].as_array().expect("a list");
        assert!(
            here.len() == 3 && here.iter().all(|one| one["qgroup"] == "q"),
            "{leaf}"
        );
        assert_eq!(branches(&level("a.nothing")).len(), 0);
        let wrong = get(server.monitor(), "/dashboard/subjects?acc=nope").expect("a reply");
        assert_eq!(
            (wrong.status, &*wrong.text()),
            (400, "Account nope does not exist")
        );
        let other = answer(&server, "/dashboard/subjects?acc=$SYS");
        assert_eq!(branches(&other).len(), 0);
    }
}

#[test]
fn the_busiest_accounts_come_first_and_not_too_many() {
    let users: Vec<String> = (0..120)
        .map(|number| format!("A{number} {{ users: [{{user: u{number}, password: p}}] }}"))
        .collect();
    let server = Launch::trunkline(2)
        .flags(["-m", "-1"])
        .config_line(&format!("accounts {{ {} }}", users.join("\n")))
        .start()
        .expect("a server");
    let mut client = server.join("{\"verbose\":false,\"user\":\"u119\",\"pass\":\"p\"}");
    client
        .send(b"SUB a 1\r\nPUB a 1\r\nx\r\n")
        .expect("it is sent");
    client.message().expect("a message");
    let page = answer(&server, "/dashboard/accounts");
    let list = page["accounts"].as_array().expect("a list");
    assert_eq!((list.len(), &list[0]["name"]), (100, &"A119".into()));
    assert_eq!(list[0]["sent"]["msgs"], 1);
    // And `$G` and `$SYS`.
    assert_eq!(page["total"], 122);
}

/// A consumer that does not read, and somebody who fills it.
pub(crate) fn overwhelm(server: &Server) -> RawClient {
    let mut slow = join(server.address());
    slow.send(b"SUB alarms.* watch 9\r\n").expect("it is sent");
    slow.sync().expect("it is taken");
    let mut publisher = join(server.address());
    let message = format!("PUB alarms.boiler 50000\r\n{}\r\n", "x".repeat(50_000));
    assert!(
        wait_until(PATIENCE, || {
            publisher
                .send(message.repeat(10).as_bytes())
                .expect("it is sent");
            publisher.sync().expect("it is taken");
            server.log().contains("Slow Consumer")
        }),
        "it is slow"
    );
    slow
}

#[test]
fn slow_consumers_are_named_with_the_subject_and_the_subscription() {
    for shards in [1, 2] {
        let server = Launch::trunkline(shards)
            .flags(["-m", "-1"])
            .config_line("max_pending: 1MB")
            .start()
            .expect("a server");
        assert_eq!(
            answer(&server, "/dashboard/slow")["slow_consumers"],
            Value::Array(Vec::new())
        );
        let slow = overwhelm(&server);
        let page = answer(&server, "/dashboard/slow");
        let one = &page["slow_consumers"][0];
        for (name, value) in [
            ("subject", "alarms.boiler"),
            ("subscription", "alarms.*"),
            ("queue", "watch"),
            ("sid", "9"),
            ("account", "$G"),
            ("reason", "Slow Consumer (Pending Bytes)"),
        ] {
            assert_eq!(one[name], value, "{page}");
        }
        let address = slow.local_address().expect("an address").to_string();
        assert_eq!(
            (&one["address"], &one["percent"]),
            (&address.into(), &100.into())
        );
        let metrics = get(server.monitor(), "/metrics").expect("a reply").text();
        let named = metrics
            .lines()
            .find(|line| line.starts_with("trunkline_slow_consumer_pending_bytes{"))
            .expect("a metric names it");
        for label in [
            "subject=\"alarms.boiler\"",
            "subscription=\"alarms.*\"",
            "account=\"$G\"",
        ] {
            assert!(named.contains(label), "{named}");
        }
    }
}
