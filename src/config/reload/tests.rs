//! Every option is compared, in the way that the table says; and what the texts are.

use super::*;
use crate::config::account::Account;
use crate::config::language::Surroundings;
use crate::config::table::{Group, Kind, Reload, TABLE};
use crate::config::{Action, FileRequest, Identity, parse_command_line};
use std::ffi::OsString;

/// A file's text, and no environment.
struct Text<'a>(&'a str);

impl Surroundings for Text<'_> {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn request(flags: &[&str]) -> FileRequest {
    let words: Vec<OsString> = ["-c", "file"]
        .iter()
        .chain(flags)
        .map(OsString::from)
        .collect();
    let identity = Identity::from_argument_zero(None);
    match parse_command_line(&identity, &words) {
        Ok(Action::Configure(request)) => *request,
        other => panic!("{other:?}"),
    }
}

fn options(text: &str, known: &[Account]) -> Options {
    let configured = request(&[]).configure_again(&Text(text), known);
    configured.expect("a valid file").options
}

/// What changes from one file to the other.
fn between(old: &str, new: &str) -> Result<Vec<String>, String> {
    let old = options(old, &crate::config::account::predefined());
    let new = options(new, &old.accounts);
    changes(&old, &new)
}

#[test]
fn every_option_of_the_table_is_compared_as_the_table_says() {
    for row in TABLE {
        let is_option = !row.config_keys.is_empty()
            && !matches!(row.kind, Kind::Unsupported { .. } | Kind::Ignored(_))
            && row.group != Group::Unsupported;
        if !is_option {
            continue;
        }
        let name = row.name();
        let elsewhere = TOLD_ELSEWHERE.iter().find(|(told, _)| *told == name);
        let wanted = elsewhere.map_or(name, |(_, by)| by);
        let found: Vec<_> = COMPARED.iter().filter(|entry| entry.0 == wanted).collect();
        // There is one value only that it can have.
        assert!(
            !found.is_empty() || name == "write_timeout",
            "{name} is not compared"
        );
        for Compared(_, change) in found {
            let is_refused = row.reload == Reload::Refused;
            match change {
                Never(..) => assert!(is_refused, "{name} is refused"),
                Live(_) | Lists(_) => assert!(!is_refused, "{name} takes effect"),
                Rarely(_) => {}
            }
        }
    }
    for Compared(name, _) in COMPARED {
        assert!(
            TABLE.iter().any(|row| row.name() == *name),
            "{name} is no row"
        );
    }
}

#[test]
fn equal_files_differ_in_nothing() {
    for text in [
        "",
        "port: -1, max_payload: 100",
        "authorization { users: [{user: a, password: b}, {user: c, password: d}] }",
        "accounts { A { users: [{user: a, password: b}] }, $SYS { users: [{user: s, password: s}] } }",
        "accounts { $SYS { users: [{user: s, password: s}] } }",
    ] {
        assert_eq!(between(text, text), Ok(Vec::new()), "{text}");
    }
}

#[test]
fn changes_are_told_in_nats_servers_words_and_order() {
    let old = "authorization { user: a, password: b }";
    let new = "max_payload: 2000, ping_interval: 10s, trace: true, debug: true, write_deadline: 3s, \
               authorization { user: a, password: c, timeout: 1.5 }, max_control_line: 1kb, \
               client_advertise: \"foo:99\", max_connections: 7, no_fast_producer_stall: true";
    let lines = between(old, new).expect("all of it may change");
    let told = [
        "Reload: client_advertise = foo:99",
        "Reloaded: trace = true",
        "Reloaded: debug = true",
        "Reloaded: max_connections = 7",
        "Reloaded: authorization password",
        "Reloaded: ping_interval = 10s",
        "Reloaded: authorization timeout = 1.5",
        "Reloaded: max_control_line = 1024",
        "Reloaded: max_payload = 2000",
        "Reloaded: fast producers will not be stalled",
        "Reloaded: write_deadline = 3s",
    ];
    assert_eq!(lines, told);
}

#[test]
fn what_must_stay_is_refused_with_old_and_new() {
    for (old, new, text) in [
        ("", "max_subs: 4", "MaxSubs: old=0, new=4"),
        (
            "",
            "max_pending: 20MB",
            "MaxPending: old=67108864, new=20971520",
        ),
        ("", "server_name: foo", "ServerName: old=, new=foo"),
        (
            "http_port: -1",
            "http_port: 8222",
            "HTTPPort: old=-1, new=8222",
        ),
        ("https_port: 8222", "", "HTTPSPort: old=8222, new=0"),
        (
            "http: \"127.0.0.1:-1\"",
            "http: -1",
            "HTTPHost: old=127.0.0.1, new=0.0.0.0",
        ),
        (
            "http_port: -1",
            "http_port: -1, http_base_path: a",
            "HTTPBasePath: old=, new=a",
        ),
        (
            "",
            "max_closed_clients: 5",
            "MaxClosedClients: old=10000, new=5",
        ),
        (
            "",
            "lame_duck_duration: 40s",
            "LameDuckDuration: old=2m0s, new=40s",
        ),
        (
            "",
            "lame_duck_grace_period: 5s",
            "LameDuckGracePeriod: old=10s, new=5s",
        ),
        (
            "",
            "no_header_support: true",
            "NoHeaderSupport: old=false, new=true",
        ),
        (
            "",
            "listen: \"127.0.0.1:4333\"",
            "Host: old=0.0.0.0, new=127.0.0.1",
        ),
        ("", "port: 4333", "Port: old=4222, new=4333"),
        ("", "log_size_limit: 5000", "LogSizeLimit: old=0, new=5000"),
        (
            "",
            "accounts { A {} }, system_account: A",
            "SystemAccount: old=, new=A",
        ),
        (
            "accounts { A {} }, system_account: A",
            "accounts { A {} }",
            "SystemAccount: old=A, new=",
        ),
        (
            "authorization { users: [{user: a, password: b}] }",
            "authorization { users: [{user: a, password: b}] }, no_auth_user: a",
            "NoAuthUser: old=, new=a",
        ),
        (
            "authorization { users: [{user: a, password: b}] }, no_auth_user: a",
            "authorization { users: [{user: a, password: b}] }",
            "NoAuthUser: old=a, new=",
        ),
        ("shards: 1", "shards: 2", "Shards: old=1, new=2"),
    ] {
        let text = format!("config reload not supported for {text}");
        assert_eq!(between(old, new), Err(text));
    }
}

#[test]
fn the_user_of_clients_without_credentials_may_go_with_its_name() {
    let old = "authorization { users: [{user: a, password: b}, {user: c, password: d}] }, no_auth_user: a";
    let new = "authorization { users: [{user: c, password: d}] }";
    assert_eq!(
        between(old, new),
        Ok(vec!["Reloaded: authorization users".to_owned()])
    );
    let lonely = "accounts { $SYS { users: [{user: s, password: s}] } }";
    let told = between(lonely, "").expect("the user that was made for it is nobody's business");
    assert_eq!(told, ["Reloaded: authorization users"]);
}

#[test]
fn no_line_shows_a_secret() {
    let old = "authorization { user: a, password: swordfish }";
    for new in [
        "authorization { user: a, password: sesame }",
        "authorization { token: sesame }",
        "authorization { users: [{user: a, password: sesame}] }",
        "accounts { A { users: [{user: a, password: sesame}] } }",
    ] {
        let lines = between(old, new).expect("it may change").join("\n");
        assert!(!lines.is_empty());
        assert!(
            !lines.contains("swordfish") && !lines.contains("sesame"),
            "{lines}"
        );
    }
}
