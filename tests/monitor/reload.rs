//! What the pages show when the server has read its configuration again, beside nats-server.

use serde_json::Value;

use crate::cast::PATIENCE;
use crate::support::http::{get, get_secured};
use crate::support::{Certificates, Launch, Server, wait_until};

fn both() -> [Launch; 3] {
    [
        Launch::trunkline(1),
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ]
}

fn page(server: &Server, path: &str) -> Value {
    get(server.monitor(), path).expect("a reply").json()
}

const BEFORE: &str = "max_payload: 2000, accounts { A { users: [{user: a, password: a}] } }";
const AFTER: &str = "max_payload: 3000, max_connections: 9, ping_interval: 10s, ping_max: 7, max_control_line: 1kb, \
                     write_deadline: 3s, authorization { timeout: 4 }, \
                     accounts { A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }";

#[test]
fn pages_show_the_configuration_that_holds() {
    let mut digests = Vec::new();
    for launch in both() {
        let server = launch
            .flags(["-m", "-1"])
            .config_line(BEFORE)
            .start()
            .expect("a server");
        let before = page(&server, "/varz");
        assert_eq!(before["max_payload"], 2000);
        assert_eq!(server.reload(AFTER), Ok(true), "{}", server.log());
        // nats-server says that it has reloaded before it is through.
        let mut after = Value::Null;
        assert!(wait_until(PATIENCE, || {
            after = page(&server, "/varz");
            after["max_payload"] == 3000
        }));
        for (name, value) in [
            ("max_connections", 9),
            ("ping_interval", 10_000_000_000_i64),
            ("ping_max", 7),
            ("max_control_line", 1024),
            ("write_deadline", 3_000_000_000),
            ("auth_timeout", 4),
            ("http_port", -1),
        ] {
            assert_eq!(after[name], value, "{name}");
        }
        assert_eq!(after["auth_required"], true);
        let times = |of: &Value| {
            let time = |name: &str| of[name].as_str().expect("a time").to_owned();
            (time("start"), time("config_load_time"))
        };
        let (began, loaded) = times(&after);
        assert_eq!(times(&before).0, began);
        assert!(
            loaded > times(&before).1 && loaded > began,
            "{loaded} is when it was read again"
        );
        digests.push(after["config_digest"].clone());
        let accounts = page(&server, "/accountz");
        let names = accounts["accounts"].as_array().expect("a list");
        assert!(names.contains(&"B".into()), "{accounts}");
        let client = server.join("{\"verbose\":false,\"user\":\"b\",\"pass\":\"b\"}");
        let found = page(&server, "/connz?acc=B&auth=1");
        assert_eq!(found["connections"][0]["account"], "B");
        drop(client);

        let detail = |account: &str| page(&server, &format!("/accountz?acc={account}"));
        let updated = detail("A")["account_detail"]["update_time"].clone();
        assert_eq!(server.reload(BEFORE), Ok(true), "{}", server.log());
        assert!(wait_until(
            PATIENCE,
            || page(&server, "/varz")["max_payload"] == 2000
        ));
        assert_ne!(detail("A")["account_detail"]["update_time"], updated);
        let accounts = page(&server, "/accountz");
        let names = accounts["accounts"].as_array().expect("a list");
        assert!(!names.contains(&"B".into()), "{accounts}");
        for path in [
            "/accountz?acc=B",
            "/accstatz?unused=1",
            "/connz?acc=B",
            "/subsz?acc=B",
        ] {
            let reply = get(server.monitor(), path).expect("a reply");
            assert!(!reply.text().contains("\"B\""), "{path}: {}", reply.text());
        }
        let gone = get(server.monitor(), "/accountz?acc=B").expect("a reply");
        assert_eq!(
            (gone.status, &*gone.text()),
            (400, "Account B does not exist")
        );
    }
    assert!(digests.iter().all(|one| *one == digests[0]), "{digests:?}");
}

#[test]
fn a_refused_reload_changes_nothing_on_the_pages() {
    for launch in both() {
        let server = launch
            .flags(["-m", "-1"])
            .config_line(BEFORE)
            .start()
            .expect("a server");
        let before = page(&server, "/varz");
        let other = format!("{AFTER}, http_base_path: x");
        assert_eq!(server.reload(&other), Ok(false), "{}", server.log());
        let after = page(&server, "/varz");
        for name in ["max_payload", "config_load_time", "config_digest"] {
            assert_eq!(before[name], after[name], "{name}");
        }
    }
}

/// nats-server forgets the flag for this port when it reads its file again.
fn with_port(certificates: &Certificates, more: &str) -> String {
    format!("https_port: -1\n{}", certificates.block(more))
}

#[test]
fn https_shows_the_new_certificate() {
    let (old, new) = (Certificates::create(), Certificates::create());
    for launch in both() {
        let server = launch
            .config_line(&with_port(&old, ""))
            .start()
            .expect("a server");
        let get = |of: &Certificates| get_secured(server.monitor(), "/varz", &of.client());
        assert_eq!(get(&old).expect("a reply").status, 200);
        assert!(get(&new).is_err());
        assert_eq!(
            server.reload(&with_port(&new, "timeout: 3")),
            Ok(true),
            "{}",
            server.log()
        );
        assert!(
            wait_until(PATIENCE, || get(&new).is_ok()),
            "it has the new one: {}",
            server.log()
        );
        assert!(get(&old).is_err(), "and not the old one");
        let varz = get(&new).expect("a reply").json();
        assert_eq!(varz["tls_timeout"], 3);
    }
}
