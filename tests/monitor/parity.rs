//! The same clients do the same on Trunkline and on `nats-server`: the pages have the same names of the same types, and
//! the same values where clients decide them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cast::PATIENCE;
use crate::support::http::{Reply, ask, get};
use crate::support::{Launch, RawClient, Server, wait_until};

/// Names that only one of the two has, and why.
const KNOWN_DIFFERENCES: &[(&str, &str)] = &[
    ("/varz git_commit", "there is no such build"),
    ("/varz feature_flags", "they are nats-server's own"),
    ("/varz trunkline", "our version, as in INFO"),
];

/// Values that the clients do not decide.
const OTHER_IN_EACH: &[&str] = &[
    "avg_fanout",
    "cache_hit_rate",
    "cid",
    "config_digest",
    "config_load_time",
    "cores",
    "cpu",
    "go",
    "gomaxprocs",
    "http_req_stats",
    "idle",
    "last_activity",
    "max_fanout",
    "mem",
    "now",
    "num_cache",
    "num_inserts",
    "num_matches",
    "num_removes",
    "pending_bytes",
    "port",
    "rtt",
    "server_id",
    "server_name",
    "start",
    "stop",
    "update_time",
    "uptime",
];

const PAGES: &[&str] = &[
    "/varz",
    "/connz",
    "/connz?subs=1",
    "/connz?subs=detail&auth=true",
    "/connz?state=closed&subs=DETAIL&auth=1",
    "/connz?state=any&sort=subs",
    "/connz?state=closed&sort=reason",
    "/connz?state=closed&sort=stop",
    "/connz?sort=msgs_to",
    "/connz?sort=bytes_from&limit=1",
    "/connz?offset=1",
    "/connz?offset=100",
    "/connz?limit=-5&offset=-7",
    "/connz?user=ann",
    "/connz?state=any&user=nobody",
    "/connz?acc=$G",
    "/connz?acc=nope",
    "/connz?cid=123456",
    "/connz?mqtt_client=x",
    "/connz?filter_subject=nothing.of.it",
    // As people write it; HTTP would have them escape it.
    "/connz?user=\"nobody\"&filter_subject=foo.>",
    "/subsz",
    "/subsz?subs=1",
    "/subsz?subs=1&test=foo.bar",
    "/subsz?subs=1&test=q.7&acc=$G",
    "/subsz?acc=nope",
    "/subscriptionsz",
    "/accountz?acc=$G",
    "/accstatz",
    "/healthz",
    "/healthz?details=1",
    "/healthz?js-enabled-only=1",
    "/routez",
    "/routez?subs=detail",
    "/gatewayz",
    "/gatewayz?accs=1",
    "/leafz",
    "/jsz",
    "/jsz?accounts=1&streams=true",
    "/ipqueuesz",
];

/// Requests whose whole reply is a text, or nothing but a status.
const REFUSALS: &[&str] = &[
    "/connz?limit=x",
    "/connz?offset=99999999999999999999",
    "/connz?cid=-1",
    "/connz?cid=18446744073709551616",
    "/connz?sort=zz",
    "/connz?sort=stop",
    "/connz?sort=reason&state=any",
    "/connz?auth=maybe",
    "/connz?subs=much",
    "/connz?state=half",
    "/connz?limit=+5",
    "/subsz?test=a.*",
    "/subsz?test=a.>",
    "/connz?state=<a>#b",
    "/con>nz",
    "/subsz?test=a..b",
    "/subsz?subs=2",
    "/accountz?acc=nope",
    "/accstatz?unused=2",
    "/routez?subs=x",
    "/gatewayz?accs=x",
    "/leafz?subs=x",
    "/jsz?accounts=2",
    "/jsz?raft=2",
    "/healthz?details=x",
    "/healthz?stream=S",
    "/healthz?consumer=C",
    "/healthz?stream=S&details=1",
    "/ipqueuesz?all=x",
    "/raftz",
    "/nothing",
    "/varz/",
    "/debug/",
];

/// Servers with guests. The guests stay.
struct Scene {
    server: Server,
    _guests: Vec<RawClient>,
}

impl Scene {
    fn set(launch: Launch) -> Scene {
        let launch = launch
            .flags(["-m", "-1"])
            .config_line("no_system_account: true")
            .config_line("max_closed_clients: 100");
        let server = launch.start().expect("a server");
        let mut guests = vec![
            server.join(r#"{"verbose":false,"pedantic":false,"name":"first","lang":"go","version":"1.2","user":"ann","headers":true}"#),
            server.join(r#"{"verbose":false,"pedantic":false,"name":"second"}"#),
        ];
        guests[0]
            .send(b"SUB foo.bar 1\r\nSUB q.* workers 2\r\nSUB gone 3\r\nUNSUB 3 10\r\nSUB never 4\r\nUNSUB 4\r\n")
            .expect("it is sent");
        guests[0].sync().expect("it is taken");
        guests[1]
            .send(
                b"SUB foo.> 9\r\nPUB foo.bar 5\r\nhello\r\nPUB gone 1\r\nx\r\nPUB gone 1\r\ny\r\nPUB nobody 0\r\n\r\n",
            )
            .expect("it is sent");
        for _ in 0..3 {
            guests[0].message().expect("a message");
        }
        guests[1].message().expect("a message");
        guests[1].sync().expect("it is taken");
        leave_one_after_another(&server);
        Scene {
            server,
            _guests: guests,
        }
    }

    fn page(&self, page: &str) -> Reply {
        get(self.server.monitor(), page).expect("a reply")
    }
}

/// Connections that end, each in another way, and are known to have ended before the next comes.
fn leave_one_after_another(server: &Server) {
    let leave = |client: RawClient, closed: usize| {
        drop(client);
        let are_all = || {
            let closed_now = get(server.monitor(), "/connz?state=closed")
                .expect("a reply")
                .json();
            closed_now["total"] == closed
        };
        assert!(wait_until(PATIENCE, are_all), "{closed} have gone");
    };
    let mut polite = server.join(r#"{"verbose":false,"name":"polite"}"#);
    polite
        .send(b"SUB x 1\r\nSUB y z 2\r\nUNSUB 2 7\r\nPUB foo.other 2\r\nab\r\n")
        .expect("it is sent");
    polite.sync().expect("it is taken");
    leave(polite, 1);
    for (nonsense, closed) in [
        ("NONSENSE\r\n", 2),
        ("PUB foo 99999999\r\n", 3),
        ("PUB foo bar baz qux\r\n", 4),
    ] {
        let mut rude = server.join(r#"{"verbose":false,"name":"rude"}"#);
        rude.send(nonsense.as_bytes()).expect("it is sent");
        let is_over = wait_until(PATIENCE, || rude.line().is_err());
        assert!(is_over, "the server closes the connection");
        leave(rude, closed);
    }
}

fn theirs() -> Scene {
    Scene::set(Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}")))
}

#[test]
fn pages_have_the_same_names_types_and_values() {
    let theirs = theirs();
    for shards in [1, 2, 4] {
        let ours = Scene::set(Launch::trunkline(shards));
        let mut faults = Vec::new();
        for page in PAGES {
            let (left, right) = (ours.page(page), theirs.page(page));
            assert_eq!(left.status, right.status, "{page}");
            for name in ["content-type", "access-control-allow-origin"] {
                assert_eq!(left.header(name), right.header(name), "{page}: {name}");
            }
            compare(page, &left.json(), &right.json(), &mut faults);
        }
        assert!(faults.is_empty(), "{shards} shards:\n{}", faults.join("\n"));
    }
}

#[test]
fn refusals_are_the_same_to_the_letter() {
    let (ours, theirs) = (Scene::set(Launch::trunkline(2)), theirs());
    for page in REFUSALS {
        let (left, right) = (ours.page(page), theirs.page(page));
        assert_eq!(
            (left.status, left.text()),
            (right.status, right.text()),
            "{page}"
        );
        assert_eq!(
            left.header("content-type"),
            right.header("content-type"),
            "{page}"
        );
    }
    for path in ["//varz", "/./varz?a=1", "/a/../connz", "/varz//"] {
        let (left, right) = (ours.page(path), theirs.page(path));
        assert_eq!(
            (left.status, left.header("location")),
            (right.status, right.header("location")),
            "{path}"
        );
    }
}

#[test]
fn any_method_asks() {
    for launch in [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ] {
        let scene = Scene::set(launch);
        for method in ["POST", "PUT", "DELETE", "PURGE"] {
            let reply = ask(scene.server.monitor(), method, "/varz").expect("a reply");
            assert_eq!(reply.status, 200, "{method}");
            assert!(reply.json()["server_id"].is_string(), "{method}");
        }
        let head = ask(scene.server.monitor(), "HEAD", "/connz").expect("a reply");
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert!(head.header("content-length").is_some());
    }
}

#[test]
fn a_lame_duck_is_not_healthy() {
    for launch in [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ] {
        let scene = Scene::set(launch);
        scene.server.signal("USR2").expect("a signal");
        let told = wait_until(PATIENCE, || scene.page("/healthz").status != 200);
        assert!(told, "it goes on being healthy");
        let (plain, detailed) = (scene.page("/healthz"), scene.page("/healthz?details=1"));
        assert_eq!((plain.status, detailed.status), (500, 500));
        assert_eq!(plain.json()["status"], "error");
        let text = "failed to be ready for connections after 1ms: server";
        assert_eq!(plain.json()["error"], text);
        assert_eq!(detailed.json()["errors"][0]["type"], "CONNECTION");
        assert_eq!(detailed.json()["errors"][0]["error"], text);
        assert!(
            scene
                .server
                .logs_within("Healthcheck failed: ", Duration::from_secs(5))
        );
    }
}

/// Goes through both at once. A list is compared element by element, sorted where its order is free.
pub(crate) fn compare(place: &str, ours: &Value, theirs: &Value, faults: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeMap<&String, ()> = left
                .keys()
                .chain(right.keys())
                .map(|name| (name, ()))
                .collect();
            for name in names.into_keys() {
                let below = format!("{place} {name}");
                if KNOWN_DIFFERENCES.iter().any(|(known, _)| *known == below) {
                    continue;
                }
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) if OTHER_IN_EACH.contains(&name.as_str()) => {
                        if kind(left) != kind(right) {
                            faults.push(format!("{below}: {left} is of another type than {right}"));
                        }
                    }
                    (Some(left), Some(right))
                        if name == "subscriptions_list" || name == "subscriptions_list_detail" =>
                    {
                        compare(&below, &sorted(left), &sorted(right), faults);
                    }
                    (Some(left), Some(right)) => compare(&below, left, right, faults),
                    (Some(_), None) => {
                        faults.push(format!("{below}: nats-server has no such name"))
                    }
                    (None, _) => faults.push(format!("{below}: is missing")),
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                faults.push(format!(
                    "{place}: {ours} is of another length than {theirs}"
                ));
            }
            for (left, right) in left.iter().zip(right) {
                compare(&format!("{place} []"), left, right, faults);
            }
        }
        (left, right) if left == right => {}
        (left, right) => faults.push(format!("{place}: {left} is not {right}")),
    }
}

fn sorted(list: &Value) -> Value {
    let mut list = list.as_array().expect("a list").clone();
    list.sort_by_key(|one| {
        let key = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        (one.as_str().map(str::to_owned), key("subject"), key("sid"))
    });
    Value::Array(list)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
