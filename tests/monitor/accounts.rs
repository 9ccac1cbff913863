//! Accounts, users and TLS on the pages, beside nats-server's.

use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::cast::{PATIENCE, is_served};
use crate::parity::compare;
use crate::support::http::{get, get_secured};
use crate::support::{Certificates, Launch, RawClient, Server, wait_until};

const ACCOUNTS: &str = r#"
no_system_account: true
accounts {
  A {
    users: [{user: ann, password: a}]
    exports: [{service: "svc.*", accounts: [B], response_type: stream}, {stream: "pub.>"}]
  }
  B {
    users: [{user: bob, password: b}, {user: bea, password: b}]
    imports: [{stream: {account: A, subject: "pub.>"}, prefix: "from.a"}, {service: {account: A, subject: "svc.one"}, to: "help"}]
    mappings: { "old.*": [{destination: "new.{{wildcard(1)}}", weight: 60%}, {destination: "newer.{{wildcard(1)}}", weight: 40%}] }
  }
}
"#;

/// Subscriptions that nats-server makes for imports itself are counted there, and not here.
const COUNTED_OTHERWISE: &[&str] = &["num_subscriptions", "subscriptions", "mappings"];

fn clients(server: &Server) -> Vec<RawClient> {
    let enter = |user: &str, pass: &str| {
        server.join(&format!(
            "{{\"verbose\":false,\"pedantic\":false,\"user\":\"{user}\",\"pass\":\"{pass}\",\"name\":\"of {user}\"}}"
        ))
    };
    let mut clients = vec![enter("ann", "a"), enter("bob", "b"), enter("bea", "b")];
    clients[0].send(b"SUB svc.* 1\r\n").expect("it is sent");
    clients[0].sync().expect("it is taken");
    clients[1]
        .send(b"SUB from.a.> 1\r\nSUB own 2\r\n")
        .expect("it is sent");
    clients[1].sync().expect("it is taken");
    clients[0]
        .send(b"PUB pub.x 5\r\nhello\r\n")
        .expect("it is sent");
    clients[1].message().expect("a message");
    clients[2].send(b"PUB own 2\r\nab\r\n").expect("it is sent");
    clients[1].message().expect("a message");
    // Somebody whom nobody knows.
    let mut stranger = server.connect();
    stranger
        .send(b"CONNECT {\"user\":\"eve\",\"pass\":\"x\"}\r\n")
        .expect("it is sent");
    assert!(
        wait_until(PATIENCE, || stranger.line().is_err()),
        "she is turned away"
    );
    drop(stranger);
    let is_known = || {
        get(server.monitor(), "/connz?state=closed")
            .expect("a reply")
            .json()["total"]
            == 1
    };
    assert!(wait_until(PATIENCE, is_known), "she is known to have gone");
    clients
}

/// A page without what is counted otherwise.
fn page(server: &Server, page: &str) -> Value {
    let mut json = get(server.monitor(), page).expect("a reply").json();
    let mut leave_out = |value: &mut Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, _| !COUNTED_OTHERWISE.contains(&name.as_str()));
        }
    };
    let stats = json["account_statz"].as_array_mut();
    stats.into_iter().flatten().for_each(&mut leave_out);
    if page.starts_with("/accountz") {
        leave_out(&mut json["account_detail"]);
        leave_out(&mut json["account_detail"]["sublist_stats"]);
    }
    for absent in ["account_statz", "account_detail"] {
        if json[absent].is_null() {
            json.as_object_mut().expect("an object").remove(absent);
        }
    }
    // Accounts come in any order there.
    if let Some(list) = json.get_mut("account_statz").and_then(Value::as_array_mut) {
        for one in &mut *list {
            // What came to an account through a stream import is counted there for the exporter.
            one["sent"]["msgs"] = 0.into();
            one["sent"]["bytes"] = 0.into();
        }
        list.sort_by_key(|one| one["acc"].to_string());
    }
    if let Some(list) = json.get_mut("accounts").and_then(Value::as_array_mut) {
        list.sort_by_key(Value::to_string);
    }
    json
}

#[test]
fn accounts_and_users_are_shown_as_nats_server_shows_them() {
    let start = |launch: Launch| {
        launch
            .flags(["-m", "-1"])
            .config_line(ACCOUNTS)
            .start()
            .expect("a server")
    };
    let theirs = start(Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}")));
    let _guests = clients(&theirs);
    for shards in [1, 2, 4] {
        let ours = start(Launch::trunkline(shards));
        let _guests = clients(&ours);
        let mut faults = Vec::new();
        for path in [
            "/connz?auth=1",
            "/connz?auth=1&acc=A&subs=detail",
            "/connz?auth=1&acc=B&sort=subs",
            "/connz?acc=B&user=bea",
            "/connz?user=ann&auth=1",
            "/connz?state=closed&auth=1",
            "/accountz?acc=A",
            "/accountz?acc=B",
            "/accstatz",
        ] {
            compare(path, &page(&ours, path), &page(&theirs, path), &mut faults);
        }
        assert!(faults.is_empty(), "{shards} shards:\n{}", faults.join("\n"));
        let of = |account: &str| {
            get(ours.monitor(), &format!("/subsz?subs=1&acc={account}"))
                .expect("a reply")
                .json()
        };
        assert_eq!(
            (&of("A")["total"], &of("B")["total"]),
            (&1.into(), &2.into()),
            "copies for imports are not shown"
        );
        assert_eq!(of("B")["num_subscriptions"], 2);
        let mappings = &page_of_mappings(&ours);
        assert_eq!(mappings, &page_of_mappings(&theirs));
    }
}

fn page_of_mappings(server: &Server) -> Value {
    get(server.monitor(), "/accountz?acc=B")
        .expect("a reply")
        .json()["account_detail"]["mappings"]
        .clone()
}

#[test]
fn figures_of_an_account_outlive_its_connections() {
    for shards in [1, 2, 4] {
        let server = Launch::trunkline(shards)
            .flags(["-m", "-1"])
            .config_line(ACCOUNTS)
            .start()
            .expect("a server");
        let stat = |account: &str| {
            let page = get(server.monitor(), "/accstatz?unused=1")
                .expect("a reply")
                .json();
            let list = page["account_statz"].as_array().expect("a list").clone();
            list.into_iter()
                .find(|one| one["acc"] == account)
                .expect("the account")
        };
        let guests = clients(&server);
        let figures = |one: &Value| (one["received"].clone(), one["sent"].clone());
        let before = [figures(&stat("A")), figures(&stat("B"))];
        assert_eq!(before[0].0["msgs"], 1);
        assert_eq!(before[1].1["msgs"], 2);
        drop(guests);
        assert!(wait_until(PATIENCE, || stat("A")["conns"] == 0
            && stat("B")["conns"] == 0));
        assert_eq!([figures(&stat("A")), figures(&stat("B"))], before);
    }
}

#[test]
fn tls_is_shown_as_nats_server_shows_it() {
    let certificates = Certificates::create();
    certificates.issue_client("client", "ann@example.com");
    let block = certificates.block("verify: true");
    for launch in [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ] {
        let server = launch
            .flags(["-m", "-1"])
            .config_line(&block)
            .start()
            .expect("a server");
        let mut clients = Vec::new();
        for version in [&TLS12, &TLS13] {
            let config = certificates.client_of(&[version], Some("client"));
            let mut client = server.connect();
            client.line().expect("INFO");
            client.secure(&config, "localhost").expect("a handshake");
            client
                .send(b"CONNECT {\"verbose\":false}\r\n")
                .expect("it is sent");
            is_served(&mut client).expect("it is served");
            clients.push(client);
        }
        let page = get(server.monitor(), "/connz?auth=1")
            .expect("a reply")
            .json();
        let list = page["connections"].as_array().expect("a list");
        let versions: Vec<&Value> = list.iter().map(|one| &one["tls_version"]).collect();
        assert_eq!(versions, ["1.2", "1.3"]);
        for one in list {
            let suite = one["tls_cipher_suite"].as_str().expect("a suite");
            assert!(suite.starts_with("TLS_"), "{suite}");
            let shown = &one["tls_peer_certs"][0];
            assert_eq!(shown["subject"], "CN=client");
            for print in ["spki_sha256", "cert_sha256"] {
                assert_eq!(shown[print].as_str().map(str::len), Some(64), "{print}");
            }
            assert!(one["tls_first"].is_null());
        }
        let plain = get(server.monitor(), "/connz").expect("a reply").json();
        assert!(plain["connections"][0]["tls_peer_certs"].is_null());
        let varz = get(server.monitor(), "/varz").expect("a reply").json();
        assert_eq!(
            (&varz["tls_required"], &varz["tls_verify"]),
            (&true.into(), &true.into())
        );
        assert!(
            varz["tls_cert_not_after"]
                .as_str()
                .is_some_and(|date| date.ends_with('Z'))
        );
    }
}

#[test]
fn pages_are_served_over_https_and_ask_for_no_certificate() {
    let certificates = Certificates::create();
    let block = certificates.block("verify: true");
    for launch in [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ] {
        let server = launch
            .flags(["-ms", "-1"])
            .config_line(&block)
            .start()
            .expect("a server");
        let told = "Starting https monitor on 127.0.0.1:";
        assert!(server.logs_within(told, PATIENCE), "{}", server.log());
        for version in [&TLS12, &TLS13] {
            let client = certificates.client_of(&[version], None);
            // Twice, so that a session could be resumed.
            for _ in 0..2 {
                let page = get_secured(server.monitor(), "/varz", &client).expect("a reply");
                assert_eq!(
                    (page.status, &page.json()["https_port"]),
                    (200, &(-1).into())
                );
            }
            // What was begun without a certificate is nothing to clients of the broker.
            let mut intruder = server.connect();
            intruder.line().expect("INFO");
            let is_in = intruder.secure(&client, "localhost").is_ok()
                && intruder.send(b"CONNECT {\"verbose\":false}\r\n").is_ok()
                && is_served(&mut intruder).is_ok();
            assert!(!is_in, "a certificate was asked for");
        }
        assert!(server.url().starts_with("tls://"), "{}", server.url());
        assert!(
            get(server.monitor(), "/varz").map_or(true, |reply| reply.status == 400),
            "it is no plain HTTP"
        );
    }
}

#[test]
fn https_needs_a_certificate_and_excludes_http() {
    for launch in [
        Launch::trunkline(2),
        Launch::nats_server().expect("a reference"),
    ] {
        let refusal = |flags: &[&str]| {
            let launch = launch
                .clone()
                .flags(["-a", "127.0.0.1", "-p", "-1"])
                .flags(flags.iter().copied());
            let output = launch.command().output().expect("it runs");
            assert_eq!(output.status.code(), Some(1));
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let text = refusal(&["-ms", "-1"]);
        assert!(
            text.contains("[FTL] Can't start monitoring: TLS cert and key required for HTTPS"),
            "{text}"
        );
        let text = refusal(&["-ms", "-1", "-m", "8222"]);
        let why =
            "[FTL] Can't start monitoring: can't specify both HTTP (8222) and HTTPs (-1) ports";
        assert!(text.contains(why), "{text}");
    }
}
