//! `trunkline top`, seen from outside: written to a file, and live in a terminal, with servers whose clients do what the test says.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

mod support;
#[path = "top/terminal.rs"]
mod terminal;

use support::{Certificates, Launch, RawClient, Server};
use terminal::Terminal;

/// The servers that are looked at: whatever has a monitor port.
fn servers() -> Vec<Server> {
    let launches = [
        Launch::trunkline(2),
        Launch::nats_server().expect("nats-server"),
    ];
    launches
        .into_iter()
        .map(|launch| launch.flags(["-m", "-1"]).start().expect("a server"))
        .collect()
}

fn top(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.arg("top").args(words).stdin(Stdio::null());
    command
}

fn written(words: &[&str]) -> String {
    let output = top(words).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What it says when it ends with 1.
fn complaint(words: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = top(words).output().expect("it runs");
    assert_eq!((status.code(), stdout.as_slice()), (Some(1), &b""[..]));
    String::from_utf8(stderr).expect("text")
}

fn url(server: &Server) -> String {
    server.monitor().to_string()
}

/// A client of this name with so many subscriptions.
fn client(server: &Server, name: &str, subscriptions: usize) -> RawClient {
    let mut client = server.join(&format!(
        r#"{{"verbose":false,"name":"{name}","lang":"raw","version":"7.8"}}"#
    ));
    for number in 0..subscriptions {
        let line = format!("SUB {name}.{number} {number}\r\n");
        client.send(line.as_bytes()).expect("sent");
    }
    client.sync().expect("the server has it");
    client
}

#[test]
fn a_snapshot_says_what_clients_have_done() {
    for server in servers() {
        let _ann = client(&server, "ann", 3);
        let mut bob = client(&server, "bob", 0);
        bob.send(b"PUB ann.1 5\r\nhello\r\nPUB ann.2 5\r\nhello\r\n")
            .expect("sent");
        bob.sync().expect("delivered");
        let text = written(&[&url(&server), "-o", "-", "-d", "0.1", "-u"]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("NATS server version 2.15.1"), "{text}");
        assert!(lines[2].contains("Slow Consumers: 0"), "{text}");
        assert!(lines[3].starts_with("  In:  Msgs: 2  Bytes: 10  Msgs/Sec: 0"));
        assert!(lines[4].starts_with("  Out: Msgs: 2  Bytes: 10  Msgs/Sec: 0"));
        assert_eq!(lines[6], "Connections: 2");
        let cells =
            |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let of = |name: &str| {
            let line = lines.iter().find(|line| line.contains(name));
            cells(line.unwrap_or_else(|| panic!("no {name} in {text}")))
        };
        let (titles, ann, bob) = (cells(lines[7]), of("ann"), of("bob"));
        assert_eq!(titles[..3], ["HOST", "CID", "NAME"]);
        assert!(ann[0].starts_with("127.0.0.1:"), "{ann:?}");
        // Host, number, name, account, subscriptions, pending, and then what went to it and came from it.
        assert_eq!(
            ann[4..12],
            ["3", "0", "2", "0", "10", "0", "0", "0"],
            "{text}"
        );
        assert_eq!(
            bob[4..12],
            ["0", "0", "0", "2", "0", "10", "0", "0"],
            "{text}"
        );
        assert!(text.contains("raw") && text.contains("7.8"));
        assert!(text.contains("ann.0") && text.contains("ann.2"), "{text}");
    }
}

#[test]
fn rates_are_there_for_programs() {
    for server in servers() {
        let is_enough = Arc::new(AtomicBool::new(false));
        let mut flood = client(&server, "flood", 1);
        let stop = Arc::clone(&is_enough);
        let flooding = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                flood.send(b"PUB flood.none 2\r\nhi\r\n").expect("sent");
                flood.sync().expect("answered");
            }
        });
        let text = written(&[&url(&server), "-o", "-", "-l", ",", "-r", "2", "-d", "0.3"]);
        is_enough.store(true, Ordering::Relaxed);
        flooding.join().expect("no fault");
        let snapshots: Vec<&str> = text.split("SERVER,").skip(1).collect();
        assert_eq!(snapshots.len(), 2, "{text}");
        for snapshot in snapshots {
            let lines: Vec<&str> = snapshot.lines().collect();
            let names: Vec<&str> = lines[0].split(',').collect();
            let values: Vec<&str> = lines[1].split(',').skip(1).collect();
            let value = |name: &str| -> f64 {
                let at = names.iter().position(|known| *known == name);
                values[at.expect("known")].parse().expect("a number")
            };
            assert!(value("IN_MSGS/S") > 0.0 && value("IN_MSGS") > 0.0, "{text}");
            assert_eq!(value("OUT_MSGS/S"), 0.0);
            assert_eq!(value("CONNECTIONS"), 1.0);
            let of_flood: Vec<&str> = lines[4].split(',').collect();
            assert!(of_flood[11].parse::<f64>().expect("a rate") > 0.0, "{text}");
        }
    }
}

#[test]
fn the_server_sorts_and_limits() {
    for server in servers() {
        let _clients = [("one", 1), ("nine", 9), ("four", 4)]
            .map(|(name, subscriptions)| client(&server, name, subscriptions));
        let url = url(&server);
        let text = written(&[&url, "-o", "-", "-d", "0.1", "-n", "2", "-sort", "subs"]);
        assert!(text.contains("Connections: 3  (2 shown)"), "{text}");
        let place = |name: &str| text.find(&format!("  {name} "));
        assert!(
            place("nine").is_some() && place("nine") < place("four"),
            "{text}"
        );
        assert_eq!(place("one"), None, "{text}");
        // Every order is one that the server knows.
        for key in [
            "cid",
            "start",
            "subs",
            "pending",
            "msgs_to",
            "msgs_from",
            "bytes_to",
            "bytes_from",
            "rate",
            "last",
            "idle",
            "uptime",
            "rtt",
        ] {
            let text = written(&[&url, "-o", "-", "-d", "0.1", "-sort", key]);
            assert!(text.contains("Connections: 3\n"), "{key}: {text}");
        }
    }
}

#[test]
fn it_writes_to_a_file() {
    let server = &servers()[0];
    let path = server.folder().join("snapshot");
    let name = path.to_str().expect("a path");
    assert_eq!(written(&[&url(server), "-o", name, "-d", "0.1"]), "");
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(text.contains("Connections: 0\nHOST"), "{text}");
    let error = complaint(&[&url(server), "-o", "/nonexistent/file"]);
    assert!(error.contains("/nonexistent/file: No such file"), "{error}");
}

#[test]
fn what_is_no_nats_server_is_told_apart() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let error = complaint(&[&address, "-o", "-"]);
    assert!(
        error.contains(&address) && error.contains("Connection refused"),
        "{error}"
    );
    let page = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let error = complaint(&[&page.to_string(), "-o", "-"]);
    assert!(
        error.contains("/connz is not a page of a NATS server"),
        "{error}"
    );
    let missing = serve(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let error = complaint(&[&missing.to_string(), "-o", "-"]);
    assert!(error.contains("no monitor at this address"), "{error}");
    let endless = serve_endlessly();
    let error = complaint(&[&endless.to_string(), "-o", "-"]);
    assert!(
        error.contains("limit") || error.contains("timeout"),
        "{error}"
    );
    let silent = serve(b"");
    let error = complaint(&[&silent.to_string(), "-o", "-"]);
    assert!(error.contains("timeout"), "{error}");
    let error = complaint(&[&address]);
    assert!(error.contains("no terminal"), "{error}");
}

/// Answers everybody in this way; with nothing it keeps them waiting.
fn serve(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
            kept.push(stream);
        }
    });
    address
}

/// Answers everybody with a page that never ends.
fn serve_endlessly() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"connections\":[");
            while stream.write_all(&[b' '; 65536]).is_ok() {}
        }
    });
    address
}

#[test]
fn a_monitor_port_may_speak_tls() {
    let certificates = Certificates::create();
    let server = Launch::nats_server()
        .expect("nats-server")
        .config_line(&certificates.block(""))
        .flags(["-ms", "-1"])
        .start()
        .expect("a server");
    let url = format!("https://localhost:{}", server.monitor().port());
    let authority = certificates.path("ca.pem");
    for words in [&["-cacert", &authority][..], &["-k"]] {
        let text = written(&[&[&url, "-o", "-", "-d", "0.1"], words].concat());
        assert!(text.contains("Connections: 0"), "{text}");
    }
    let error = complaint(&[&url, "-o", "-"]);
    assert!(error.contains("UnknownIssuer"), "{error}");
    let key = certificates.path("server.key");
    let error = complaint(&[&url, "-o", "-", "-cacert", &key]);
    assert!(error.contains("holds no certificate"), "{error}");
}

#[test]
fn a_live_view_in_a_terminal() {
    for server in servers() {
        let _ann = client(&server, "ann", 3);
        let mut bob = client(&server, "bob", 1);
        let mut terminal = Terminal::start(&mut top(&[&url(&server), "-d", "0.2"]), 24, 100);
        terminal.shows("both clients", |text| {
            text.contains("Connections: 2") && text.contains("  ann ") && text.contains("  bob ")
        });
        assert!(
            terminal
                .text()
                .lines()
                .last()
                .is_some_and(|line| line.contains("q quit"))
        );
        bob.send(b"PUB ann.1 5\r\nhello\r\n").expect("sent");
        terminal.shows("a message", |text| text.contains("Out: Msgs: 1 "));
        let before = |first: &'static str, second: &'static str| {
            move |text: &str| text.find(first).is_some() && text.find(first) < text.find(second)
        };
        terminal.press("omsgs_from");
        terminal.shows("what is typed", |text| {
            text.contains("sort by [cid]: msgs_from_")
        });
        terminal.press("\r");
        terminal.shows("another order", before("  bob ", "  ann "));
        terminal.press("onothing\r");
        terminal.shows("a complaint", |text| {
            text.contains("invalid order: nothing")
        });
        terminal.press("r");
        terminal.shows("the reverse", before("  ann ", "  bob "));
        terminal.press("s");
        terminal.shows("subscriptions", |text| text.contains("bob.0"));
        terminal.press(" ");
        terminal.shows("what moves in a second", |text| text.contains("MSGS_TO/S"));
        terminal.press(" ");
        terminal.shows("sums again", |text| !text.contains("MSGS_TO/S"));
        terminal.press("?");
        terminal.shows("the help", |text| text.contains("sort connections by NAME"));
        terminal.press(" ");
        terminal.resize(12, 40);
        terminal.shows("a narrow table", |text| {
            let titles = text.lines().find(|line| line.starts_with("HOST"));
            titles.is_some_and(|titles| titles.contains("CID") && !titles.contains("RTT"))
        });
        assert!(terminal.text().lines().all(|line| line.len() <= 40));
        terminal.press("q");
        assert_eq!(terminal.exit_status().code(), Some(0));
        terminal.gives_back();
    }
}

#[test]
fn hosts_have_their_names() {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut addresses = hosts.lines().map(|line| line.split_whitespace().next());
    let has_name = addresses.any(|address| address == Some("127.0.0.1"));
    for server in servers() {
        let _ann = client(&server, "ann", 0);
        let url = url(&server);
        let shown = |more: &[&str]| {
            let words = [&[&*url, "-o", "-", "-d", "0.1"], more].concat();
            written(&words).contains("\n127.0.0.1:")
        };
        assert!(shown(&[]));
        assert_eq!(shown(&["-lookup"]), !has_name, "{hosts}");
    }
}

#[test]
fn a_lost_server_is_waited_for() {
    let launch = Launch::nats_server().expect("nats-server");
    let mut server = launch
        .clone()
        .flags(["-m", "-1"])
        .start()
        .expect("a server");
    let port = server.monitor().port().to_string();
    let url = url(&server);
    let terminal = Terminal::start(&mut top(&[&url, "-d", "0.2"]), 24, 100);
    terminal.shows("a server", |text| text.contains("Connections: 0"));
    server.stop("KILL", terminal::PATIENCE).expect("it ends");
    terminal.shows("that it is lost", |text| {
        text.contains("No answer from http://") && text.contains("Connections: 0")
    });
    let again = launch.flags(["-m", &port]).start().expect("a server");
    let _ann = client(&again, "ann", 0);
    terminal.shows("that it is back", |text| {
        text.contains("Connections: 1") && !text.contains("No answer")
    });
}

#[test]
fn a_signal_and_the_last_round_give_the_terminal_back() {
    let server = &servers()[0];
    let mut terminal = Terminal::start(&mut top(&[&url(server)]), 24, 100);
    terminal.shows("a server", |text| text.contains("Connections: 0"));
    terminal.signal("TERM");
    assert_eq!(terminal.exit_status().code(), Some(0));
    terminal.gives_back();
    let mut terminal = Terminal::start(&mut top(&[&url(server), "-r", "2", "-d", "0.1"]), 24, 100);
    assert_eq!(terminal.exit_status().code(), Some(0));
    terminal.gives_back();
    let mut terminal = Terminal::start(&mut top(&[&url(server), "-d", "3600"]), 24, 100);
    terminal.shows("a server", |text| text.contains("Connections: 0"));
    terminal.press("\u{3}");
    assert_eq!(terminal.exit_status().code(), Some(0));
}
