//! What the command line makes of words, and what the checks refuse.

use std::ffi::{OsStr, OsString};

use super::*;
use table::{Group, Kind, TABLE, rows};
use tls::CertificateFiles;

fn read(words: &[&str]) -> Result<Action, String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let identity = Identity::from_argument_zero(Some(OsStr::new("/usr/bin/trunkline")));
    parse_command_line(&identity, &words).map_err(|error| error.to_string())
}

fn options(words: &[&str]) -> Options {
    match read(words) {
        Ok(Action::Run(options)) => *options,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn error(words: &[&str]) -> String {
    read(words).expect_err("a refusal")
}

#[test]
fn defaults_are_those_of_nats_server() {
    let options = options(&[]);
    assert_eq!(options, Options::default());
    assert_eq!((options.host.as_str(), options.port), ("0.0.0.0", 4222));
    assert!(options.logtime && !options.debug && !options.trace);
    assert_eq!(
        (options.max_payload, options.max_pending),
        (1 << 20, 64 << 20)
    );
    assert_eq!(
        (options.max_connections, options.max_control_line),
        (65_536, 4096)
    );
    assert_eq!((options.max_subscriptions, options.max_sub_tokens), (0, 0));
    assert_eq!(options.write_deadline, Duration::from_secs(10));
    assert_eq!(
        (options.ping_interval, options.ping_max),
        (Duration::from_secs(120), 2)
    );
    assert_eq!(options.auth_timeout, Duration::from_secs(2));
    assert_eq!(options.lame_duck_duration, Duration::from_secs(120));
    assert_eq!(options.lame_duck_grace_period, Duration::from_secs(10));
    assert_eq!(
        (options.shards, options.spin_us, options.auth),
        (None, 40, Auth::None)
    );
}

#[test]
fn every_form_of_a_flag_means_the_same() {
    for words in [
        &["-p", "5000"][..],
        &["--p", "5000"],
        &["-port=5000"],
        &["--port=5000"],
        &["-p=5000"],
    ] {
        assert_eq!(options(words).port, 5000, "{words:?}");
    }
    assert_eq!(options(&["-p", "-1"]).port, 0);
    assert_eq!(options(&["-p", "0"]).port, 4222);
    assert_eq!(options(&["-p", "1", "--port", "2"]).port, 2);
    assert_eq!(options(&["-net", "127.0.0.1"]).host, "127.0.0.1");
    assert_eq!(
        options(&["-n", "--", "-D"]).server_name.as_deref(),
        Some("--")
    );
    assert_eq!(options(&["-a", ""]).host, "0.0.0.0");
}

#[test]
fn switches_take_a_value_only_after_an_equals_sign() {
    assert!(options(&["-D"]).debug);
    assert!(!options(&["-D", "--debug=false"]).debug);
    assert!(!options(&["-T=0"]).logtime);
    assert_eq!(
        error(&["-T", "false"]),
        r#"trunkline: unrecognized command: "false""#
    );
    assert_eq!(
        error(&["-D=maybe"]),
        r#"invalid boolean value "maybe" for -D: parse error"#
    );
    let both = options(&["-DV"]);
    assert!(both.debug && both.trace && !both.trace_verbose);
    let all = options(&["-DVV"]);
    assert!(all.debug && all.trace && all.trace_verbose);
    let verbose = options(&["-VV"]);
    assert!(!verbose.debug && verbose.trace && verbose.trace_verbose);
    assert!(!options(&["-VV", "-V=false"]).trace_verbose);
}

#[test]
fn what_is_malformed_is_named() {
    assert_eq!(
        error(&["-prot", "1"]),
        "flag provided but not defined: -prot; did you mean --port?"
    );
    assert_eq!(
        error(&["--nonsense"]),
        "flag provided but not defined: -nonsense"
    );
    assert_eq!(error(&["-p"]), "flag needs an argument: -p");
    assert_eq!(error(&["---p", "1"]), "bad flag syntax: ---p");
    assert_eq!(error(&["--=1"]), "bad flag syntax: --=1");
    assert_eq!(error(&["-"]), r#"trunkline: unrecognized command: "-""#);
    assert_eq!(
        error(&["--", "-p", "3"]),
        r#"trunkline: unrecognized command: "-p""#
    );
    assert_eq!(
        error(&["-p", "abc"]),
        r#"invalid value "abc" for flag -p: expected a whole number, -1 to 65535"#
    );
    assert_eq!(
        error(&["-port", "65536"]),
        r#"invalid value "65536" for flag -port: must be -1 to 65535"#
    );
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    assert_eq!(error(&["-js"]), "trunkline: -js is not supported yet");
    assert_eq!(
        error(&["--js=false"]),
        "trunkline: -js is not supported yet"
    );
    assert_eq!(
        error(&["-D", "--routes", "a"]),
        "trunkline: --routes is not supported yet"
    );
    let refused = TABLE.iter().filter(|row| row.group == Group::Unsupported);
    for name in refused.flat_map(|row| row.names) {
        assert!(
            error(&[&format!("-{name}=1")]).ends_with("is not supported yet"),
            "{name}"
        );
    }
}

#[test]
fn commands_come_after_flags() {
    assert_eq!(read(&["-v"]), Ok(Action::Version));
    assert_eq!(read(&["-D", "Version"]), Ok(Action::Version));
    assert_eq!(read(&["-h", "-v"]), Ok(Action::Version));
    assert_eq!(read(&["doctor"]), Ok(Action::Doctor));
    let Ok(Action::Help(help)) = read(&["help"]) else {
        panic!("no help")
    };
    assert!(help.contains("Usage: trunkline [options]"), "{help}");
    assert!(
        help.contains(
            "    -a, --addr, --net <host>         Bind to host address (default: 0.0.0.0)"
        )
    );
    assert!(help.contains("        --user <user>                User required for connections"));
    assert!(help.lines().all(|line| line.len() <= 120), "{help}");
    assert_eq!(
        error(&["-v=perhaps"]),
        r#"invalid boolean value "perhaps" for -v: parse error"#
    );
}

#[test]
fn signals_are_read() {
    let signal = |command, target: Option<&str>| {
        Ok(Action::Signal(SignalRequest {
            command,
            target: target.map(str::to_owned),
        }))
    };
    assert_eq!(read(&["-sl", "ldm"]), signal(SignalCommand::LameDuck, None));
    assert_eq!(
        read(&["--signal", "stop=12"]),
        signal(SignalCommand::Stop, Some("12"))
    );
    assert_eq!(
        read(&["-sl=quit=a.pid"]),
        signal(SignalCommand::Quit, Some("a.pid"))
    );
    assert_eq!(read(&["-sl", "term="]), signal(SignalCommand::Term, None));
    assert_eq!(error(&["-sl", "foo"]), r#"trunkline: unknown signal "foo""#);
    assert_eq!(
        error(&["-sl", "stop=a=b=c"]),
        "trunkline: invalid signal parameters: [b c]"
    );
}

#[test]
fn who_may_connect_is_one_thing_only() {
    let user = |password| Auth::UserPassword {
        user: "u".to_owned(),
        password: Secret::new(password),
    };
    assert_eq!(options(&["--user", "u", "--pass", "p"]).auth, user("p"));
    assert_eq!(options(&["--user", "u"]).auth, user(""));
    assert_eq!(
        options(&["--auth", "t"]).auth,
        Auth::Token(Secret::new("t"))
    );
    assert_eq!(options(&["--auth", ""]).auth, Auth::None);
    let both = "trunkline: Cannot have a user/pass and token";
    assert_eq!(error(&["--user", "u", "--auth", "t"]), both);
    assert_eq!(error(&["--pass", "p", "--auth", "t"]), both);
    assert_eq!(
        error(&["--pass", "p"]),
        "trunkline: a password needs a user"
    );
    assert_eq!(
        options(&["--user", "u", "--pass", "$2a$11$abc"]).auth,
        user("$2a$11$abc")
    );
    let shown = format!("{:?}", options(&["--user", "u", "--pass", "hunter2"]));
    assert!(
        shown.contains("[REDACTED]") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[test]
fn tls_may_be_asked_for_by_flags() {
    let files = ["--tlscert", "c.pem", "--tlskey", "k.pem"];
    let with = |more: &[&'static str]| options(&[&files[..], more].concat());
    let tls = with(&[]).tls.expect("TLS");
    assert_eq!(
        tls.certificates,
        [CertificateFiles {
            certificate: "c.pem".into(),
            key: "k.pem".into()
        }]
    );
    assert!(!tls.verify && tls.ca_file.is_none());
    assert_eq!(with(&["--tls"]).tls, with(&[]).tls);
    let tls = with(&["--tlsverify", "--tlscacert", "ca.pem"])
        .tls
        .expect("TLS");
    assert!(tls.verify);
    assert_eq!(tls.ca_file, Some("ca.pem".into()));
    // Who has just finished a handshake in time still has to introduce itself.
    assert_eq!(with(&[]).auth_timeout, Duration::from_secs(3));
    let explicit = with(&["--auth_timeout", "2s"]);
    assert_eq!(explicit.auth_timeout, Duration::from_secs(2));
    assert_eq!(with(&["--tls=false"]).tls, None);
    for words in [
        &["--tls"][..],
        &["--tlsverify"],
        &["--tlskey", "k.pem"],
        &["--tlscert="],
    ] {
        assert_eq!(
            error(words),
            "trunkline: TLS Server certificate must be present and valid"
        );
    }
    assert_eq!(
        error(&["--tlscert", "c.pem"]),
        "trunkline: TLS Server private key must be present and valid"
    );
    let Ok(Action::Help(help)) = read(&["--help_tls"]) else {
        panic!("no help")
    };
    assert!(
        help.contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        "{help}"
    );
    assert!(!help.contains("TLS_RSA_WITH"), "{help}");
}

#[test]
fn limits_are_checked() {
    assert_eq!(options(&["--max_payload", "64k"]).max_payload, 64_000);
    assert_eq!(options(&["--max_payload", "0"]).max_payload, 1 << 20);
    assert!(error(&["--max_payload", "2gb"]).ends_with("must be 1 to 2147483647"));
    assert_eq!(
        error(&["--max_payload", "2mb", "--max_pending", "1mb"]),
        "trunkline: max_payload (2097152) cannot be higher than max_pending (1048576)"
    );
    assert_eq!(options(&["--max_connections", "0"]).max_connections, 0);
    assert_eq!(options(&["--max_connections", "-1"]).max_connections, 0);
    assert_eq!(options(&["--max_subs", "7"]).max_subscriptions, 7);
    assert!(error(&["--max_sub_tokens", "256"]).ends_with("must be 0 to 255"));
    assert!(error(&["--shards", "0"]).ends_with("must be 1 to 64"));
    assert_eq!(
        options(&["--shards", "64", "--spin_us", "0"]).shards,
        Some(64)
    );
    assert!(error(&["--ping_interval", "-1s"]).contains("expected a duration such as 2m"));
    assert_eq!(
        options(&["--ping_interval", "1h30m"]).ping_interval,
        Duration::from_secs(5400)
    );
    assert_eq!(
        options(&["--write_deadline", "0"]).write_deadline,
        Duration::from_secs(10)
    );
    assert_eq!(
        error(&["-n", "a b"]),
        "trunkline: server name cannot contain spaces"
    );
}

#[test]
fn a_short_lame_duck_is_allowed_with_a_warning() {
    assert_eq!(
        error(&["--lame_duck_duration", "2s"]),
        "trunkline: lame duck grace period (10s) should be strictly lower than lame duck duration (2s)"
    );
    let short = options(&[
        "--lame_duck_duration",
        "2s",
        "--lame_duck_grace_period",
        "1s",
    ]);
    assert_eq!(
        short.warnings(),
        ["lame_duck_duration of 2s is below nats-server's minimum of 30s"]
    );
    assert!(Options::default().warnings().is_empty());
    assert_eq!(options(&["--max_payload", "9mb"]).warnings().len(), 1);
}

#[test]
fn an_advertised_address_may_lack_a_port() {
    let advertised = |text| options(&["--client_advertise", text]).client_advertise;
    let host_port = |host: &str, port| {
        Some(HostPort {
            host: host.to_owned(),
            port,
        })
    };
    assert_eq!(advertised("example.org"), host_port("example.org", None));
    assert_eq!(
        advertised("example.org:80"),
        host_port("example.org", Some(80))
    );
    assert_eq!(advertised("[::1]:0"), host_port("::1", None));
    assert_eq!(advertised(""), None);
    for text in ["::1", ":80", "a:b", "[::1", "[::1]80", "a:70000"] {
        assert!(
            error(&["--client_advertise", text]).contains("host:port"),
            "{text}"
        );
    }
}

#[test]
fn the_ends_of_every_range_fit_their_fields() {
    for row in TABLE {
        let mut draft = Draft::default();
        let ends = match &row.kind {
            Kind::Integer(range, ..) | Kind::Size(range, ..) => {
                [range.start().to_string(), range.end().to_string()]
            }
            Kind::Span(range, _) => [
                GoDuration(*range.start()).to_string(),
                GoDuration(*range.end()).to_string(),
            ],
            _ => continue,
        };
        for end in ends {
            assert_eq!(row.set(&mut draft, &end), Ok(()), "{}: {end}", row.name());
        }
    }
}

#[test]
fn no_spelling_or_key_is_used_twice() {
    let mut names: Vec<&str> = TABLE.iter().flat_map(|row| row.names).copied().collect();
    let mut keys: Vec<&str> = rows().flat_map(|row| row.config_keys).copied().collect();
    for list in [&mut names, &mut keys] {
        let all = list.len();
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), all);
    }
}

#[test]
fn a_unix_socket_may_be_the_address() {
    let alone = options(&["-a", "unix:/run/t.sock", "--unix_socket_mode", "0600"]);
    let path = Some(std::path::Path::new("/run/t.sock"));
    assert_eq!(alone.unix_socket.as_deref(), path);
    assert!(!alone.listens_on_tcp && alone.unix_socket_mode == 0o600);
    let beside = options(&[
        "--unix_socket",
        "/run/t.sock",
        "--unix_socket_group",
        "nats",
    ]);
    assert_eq!(beside.unix_socket.as_deref(), path);
    assert!(beside.listens_on_tcp && beside.unix_socket_mode == 0o660);
    assert_eq!(beside.unix_socket_group.as_deref(), Some("nats"));
    let (most, more) = ("x".repeat(107), "x".repeat(108));
    for path in [most.as_str(), "./@file", "a@b"] {
        assert!(options(&["--unix_socket", path]).unix_socket.is_some());
    }
    for words in [
        &["--unix_socket", more.as_str()][..],
        &["-a", "unix:"],
        &["-a", "unix:@trunkline"],
        &["--unix_socket", "\0trunkline"],
        &["-a", "unix:/a", "--unix_socket", "/b"],
        &["--unix_socket_mode", "1777"],
        &["--unix_socket_mode", "9"],
        &["--unix_socket_mode", ""],
    ] {
        assert!(read(words).is_err(), "{words:?}");
    }
}
