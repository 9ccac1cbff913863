//! A file that cannot be taken over changes nothing: not what is wrong in it, not the rest of it, and nobody notices. The log
//! says why, on both servers.

use std::fs;

use crate::cast::{PATIENCE, join_as, knock};
use crate::support::{Launch, RawClient, Server};

on_both_servers!(nothing_changes, a_file_that_has_gone);

const CLIENTS: usize = 6;

/// What runs.
const GOOD: &str = "max_payload: 100\nauthorization { users: [ { user: old, password: p } ] }";
/// What would change much, if the rest of its file let it.
const OTHER: &str =
    "max_payload: 50\ndebug: true\nauthorization { users: [ { user: new, password: p } ] }";

/// What is wrong, and what both servers say about it.
const WRONG: &[(&str, &str)] = &[
    ("no_such_option: 1", "unknown field \"no_such_option\""),
    ("max_pending {", ""),
    ("max_payload: 5x", "server.conf:"),
    (
        "include \"no_such_file.conf\"",
        "no_such_file.conf: no such file or directory",
    ),
    ("ping_interval: $NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE"),
    (
        "max_pending: 20MB",
        "config reload not supported for MaxPending: old=67108864, new=20971520",
    ),
    (
        "max_subs: 7",
        "config reload not supported for MaxSubs: old=0, new=7",
    ),
    (
        "server_name: other",
        "config reload not supported for ServerName: old=, new=other",
    ),
    (
        "lame_duck_duration: 40s",
        "config reload not supported for LameDuckDuration: old=2m0s, new=40s",
    ),
    (
        "no_auth_user: new",
        "config reload not supported for NoAuthUser: old=, new=new",
    ),
    (
        "max_pending: 40",
        "max_payload (50) cannot be higher than max_pending (40)",
    ),
    (
        "accounts { A { imports: [ { stream: { account: B, subject: x } } ] } }",
        "server.conf:",
    ),
    (
        "tls { cert_file: \"no_such.pem\", key_file: \"no_such.key\" }",
        "no_such.pem",
    ),
];

fn start(launch: Launch) -> Server {
    launch.config_line(GOOD).start().expect("a server")
}

fn nothing_changes(launch: Launch) {
    let server = start(launch);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| join_as(server.address(), "old", "p"))
        .collect();
    for (wrong, why) in WRONG {
        let already = server.log().len();
        let is_taken = server
            .reload(&format!("{OTHER}\n{wrong}"))
            .expect("an outcome");
        let log = server.log()[already..].to_owned();
        assert!(!is_taken, "{wrong} is taken: {log}");
        let (_, told) = log
            .split_once("[ERR] Failed to reload server configuration: ")
            .expect("it says so");
        assert!(told.contains(why), "{wrong} is wrong because {told}");
        assert!(!log.contains("Reloaded"), "{log}");
        is_as_it_was(&server, &mut clients);
    }
    // The next good one is taken, as if nothing had been.
    assert_eq!(server.reload(OTHER), Ok(true));
    for mut client in clients {
        client.end().expect("it is closed");
    }
    join_as(server.address(), "new", "p");
}

fn a_file_that_has_gone(launch: Launch) {
    let server = start(launch);
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| join_as(server.address(), "old", "p"))
        .collect();
    fs::remove_file(server.folder().join("server.conf")).expect("it is there");
    server.signal("HUP").expect("signalled");
    assert!(server.logs_within("Failed to reload server configuration: ", PATIENCE));
    assert!(server.logs_within("server.conf: no such file or directory", PATIENCE));
    is_as_it_was(&server, &mut clients);
}

fn is_as_it_was(server: &Server, clients: &mut [RawClient]) {
    let publish = format!("PUB a 100\r\n{}\r\nPING\r\n", "x".repeat(100));
    for client in clients {
        client.send(publish.as_bytes()).expect("sent");
        client.expect_line("PONG");
    }
    join_as(server.address(), "old", "p");
    let mut new = knock(server.address(), "\"user\":\"new\",\"pass\":\"p\"");
    new.expect_line("-ERR 'Authorization Violation'");
    let mut asked = server.connect();
    asked.patience(PATIENCE);
    let info = String::from_utf8(asked.line().expect("INFO")).expect("text");
    assert!(info.contains("\"max_payload\":100,"), "{info}");
}
