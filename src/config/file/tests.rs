//! What the values of a file do to options, who wins, and which keys there are.
//!
//! Verdicts on whole files are compared with nats-server's in `tests/config_files.rs`.

use std::ffi::{OsStr, OsString};

use std::time::Duration;

use super::*;
use crate::config::{Action, Auth, Identity, parse_command_line};

mod blocks;
mod crossings;
mod tls;

/// One file, `a.conf`, and an empty environment.
pub(super) struct OneFile<'a>(&'a str);

impl Surroundings for OneFile<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "a.conf" => Ok(self.0.as_bytes().to_vec()),
            _ => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn variable(&self, _name: &str) -> Option<String> {
        None
    }
}

pub(super) fn configure(words: &[&str], text: &str) -> Result<Configured, String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let identity = Identity::from_argument_zero(Some(OsStr::new("trunkline")));
    match parse_command_line(&identity, &words) {
        Ok(Action::Configure(request)) => request.configure(&OneFile(text)).map_err(|faults| {
            let reasons: Vec<String> = faults.into_iter().map(|fault| fault.reason).collect();
            reasons.join("\n")
        }),
        other => panic!("{words:?}: {other:?}"),
    }
}

pub(super) fn options(text: &str) -> Options {
    match configure(&["-c", "a.conf"], text) {
        Ok(configured) => configured.options,
        Err(reasons) => panic!("{text}: {reasons}"),
    }
}

pub(super) fn refused(text: &str) -> String {
    configure(&["-c", "a.conf"], text).expect_err("a refusal")
}

#[test]
fn values_reach_their_options() {
    let options = options(
        "listen: '127.0.0.1:-1'\nserver_name: x\nclient_advertise: 'h:1'\npid_file: p\nports_file_dir: d\n\
         debug: on, trace_verbose: yes, logtime: no, logtime_utc: true\nlog_file: l\nlog_size_limit: 1kb\n\
         max_traced_msg_len: 5\nmax_payload: 2mb\nmax_pending: 3mb\nmax_connections: 4\nmax_control_line: 1k\n\
         max_subs: 6\nmax_sub_tokens: 7\nwrite_deadline: '8s'\nping_interval: '9m'\nping_max: 10\n\
         no_header_support: true\nno_fast_producer_stall: true\nlame_duck_duration: '1h'\n\
         lame_duck_grace_period: '20s'\nshards: 2\nspin_us: 0\n\
         authorization { user: u, password: p, timeout: 1.5 }",
    );
    assert_eq!((options.host.as_str(), options.port), ("127.0.0.1", 0));
    assert_eq!(options.server_name.as_deref(), Some("x"));
    assert!(options.client_advertise.is_some());
    assert!(options.pid_file.is_some() && options.ports_file_dir.is_some());
    assert!(options.debug && options.trace && options.trace_verbose);
    assert!(!options.logtime && options.logtime_utc && options.log_file.is_some());
    assert_eq!(
        (options.log_size_limit, options.max_traced_msg_len),
        (1024, 5)
    );
    assert_eq!(
        (options.max_payload, options.max_pending),
        (2 << 20, 3 << 20)
    );
    assert_eq!(
        (options.max_connections, options.max_control_line),
        (4, 1000)
    );
    assert_eq!((options.max_subscriptions, options.max_sub_tokens), (6, 7));
    assert_eq!(options.write_deadline, Duration::from_secs(8));
    assert_eq!(
        (options.ping_interval, options.ping_max),
        (Duration::from_secs(540), 10)
    );
    assert!(options.no_header_support && options.no_fast_producer_stall);
    assert_eq!(options.lame_duck_duration, Duration::from_secs(3600));
    assert_eq!(options.lame_duck_grace_period, Duration::from_secs(20));
    assert_eq!((options.shards, options.spin_us), (Some(2), 0));
    assert!(matches!(options.auth, Auth::UserPassword { ref user, .. } if user == "u"));
    assert_eq!(options.auth_timeout, Duration::from_millis(1500));
    let file = options.config_file.expect("the file's name");
    assert!(file.path == "a.conf" && file.digest.starts_with("sha256:"));
}

#[test]
fn flags_win_and_the_rest_stays() {
    let text = "port: 1\nserver_name: x\ndebug: true\nauthorization { user: u, password: p }";
    for words in [
        &["-p", "2", "-c", "a.conf", "--user", "v", "-D=false"][..],
        &["-c", "a.conf", "-D=false", "--user", "v", "-p", "2"],
    ] {
        let options = configure(words, text).expect("options").options;
        assert_eq!((options.port, options.debug), (2, false));
        assert_eq!(options.server_name.as_deref(), Some("x"));
        let Auth::UserPassword { user, password } = options.auth else {
            panic!("one user");
        };
        assert_eq!((user.as_str(), password.expose()), ("v", "p"));
    }
    let both = configure(&["-c", "a.conf", "--auth", "t"], text).expect_err("a refusal");
    assert_eq!(both, "Cannot have a user/pass and token");
}

#[test]
fn zero_and_minus_one_mean_what_they_mean_to_nats_server() {
    let options =
        options("port: 0\nmax_payload: 0\nping_interval: '0s'\nmax_connections: 0\nmax_subs: -1");
    assert_eq!((options.port, options.max_payload), (4222, 1 << 20));
    assert_eq!(options.ping_interval, Duration::from_secs(120));
    assert_eq!((options.max_connections, options.max_subscriptions), (0, 0));
}

#[test]
fn warnings_stop_a_check_but_no_start() {
    let text = "ping_interval: 20";
    let configured = configure(&["-c", "a.conf"], text).expect("options");
    assert_eq!(configured.warnings.len(), 1);
    assert_eq!(configured.options.ping_interval, Duration::from_secs(20));
    let reasons = configure(&["-t", "-c", "a.conf"], text).expect_err("a refusal");
    assert!(
        reasons.contains("should be converted to a duration"),
        "{reasons}"
    );
    let configured = configure(&["-c", "a.conf"], "# nothing").expect("options");
    assert_eq!(configured.warnings.len(), 1);
}

#[test]
fn wrong_values_are_told_with_what_is_right() {
    for (text, reason) in [
        (
            "port: 1.5",
            "port must be a whole number, -1 to 65535, not a number with a fraction",
        ),
        ("Port: -2", "invalid value -2 for Port: must be -1 to 65535"),
        ("debug: 'true'", "debug must be true or false, not a text"),
        (
            "server_name: true",
            "server_name must be a text, not a boolean; put it in quotes",
        ),
        ("server_name: [a]", "server_name must be a text, not a list"),
        (
            "max_pending: '1MB'",
            "max_pending must be a size such as 512k or 8MB, at least 1, not a text; leave out the quotes",
        ),
        (
            "write_deadline: {}",
            "write_deadline must be a duration such as \"2m\", 1ms to 8760h0m0s, not a map",
        ),
        (
            "write_deadline: '1y'",
            "invalid value \"1y\" for write_deadline: expected a duration such as 2m, 1h30m or 500ms",
        ),
        (
            "ping_interval: '1us'",
            "invalid value \"1us\" for ping_interval: must be 1ms to 8760h0m0s",
        ),
        (
            "authorization { timeout: -1 }",
            "invalid value -1 for timeout: it is below zero",
        ),
        (
            "lame_duck_duration: 60",
            "lame_duck_duration must be a duration such as \"2m\", 1ms to 8760h0m0s, not a whole number",
        ),
        (
            "listen: '::1:4222'",
            "could not parse address string \"::1:4222\": expected host:port, an IPv6 host in brackets",
        ),
        ("listen: 'h:x'", "could not parse port \"x\""),
        (
            "listen: 'h:65536'",
            "listen: the port must be -1 to 65535, not 65536",
        ),
        (
            "client_advertise: ':'",
            "invalid value \":\" for client_advertise: expected host or host:port",
        ),
        (
            "write_timeout: never",
            "invalid value \"never\" for write_timeout: must be default, close or retry",
        ),
        (
            "authorization { timeout: [] }",
            "timeout must be a duration such as \"2m\", 1ms to 8760h0m0s, not a list",
        ),
        (
            "max_closed_clients: x",
            "max_closed_clients must be a whole number, 1 to 1000000, not a text; leave out the quotes",
        ),
        (
            "authorization: []",
            "authorization must be a map, not a list",
        ),
        ("user: x", "unknown field \"user\""),
        (
            "tsl { a: 1 }",
            "unknown field \"tsl\"; did you mean \"tls\"?",
        ),
        (
            "authorisation { user: x }",
            "unknown field \"authorisation\"; did you mean \"authorization\"?",
        ),
        (
            "authorization { usres: [] }",
            "unknown field \"usres\"; did you mean \"users\"?",
        ),
        ("jetstream {}", "jetstream is not supported yet"),
        ("jetstream: enabled", "jetstream is not supported yet"),
        (
            "authorization { auth_callout {} }",
            "auth_callout is not supported yet",
        ),
        ("authorization { password: x }", "a password needs a user"),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
}

#[test]
fn many_mistakes_are_told_at_once_but_not_without_end() {
    assert_eq!(refused("a: 1\nb: 2\nport: x").lines().count(), 3);
    let text: String = (0..100).map(|key| format!("k{key}: 1\n")).collect();
    let reasons = refused(&text);
    assert_eq!(reasons.lines().count(), FAULTS_MAX + 1);
    assert!(reasons.ends_with("and more"));
}

#[test]
fn keys_that_variables_refer_to_need_not_be_options() {
    let options = options("P: 5\nauthorization { S: x, user: $S, password: $S }\nport: $P");
    assert_eq!(options.port, 5);
    assert_eq!(refused("P: 5"), "unknown field \"P\"");
}

#[test]
fn every_row_can_be_reached_as_it_should() {
    for row in rows() {
        let has_key = !row.config_keys.is_empty();
        assert!(has_key || !row.names.is_empty(), "a row without a name");
        match row.kind {
            Kind::Request(_) => assert!(!has_key, "{}", row.name()),
            Kind::Address(..) | Kind::Ignored(_) | Kind::Block(..) => {
                assert!(has_key && row.names.is_empty(), "{}", row.name());
            }
            _ => {}
        }
        for key in row.config_keys {
            assert_eq!(*key, key.to_lowercase());
            assert!(!is_section(key), "{key} is an option and a section");
        }
    }
}

/// The keys of nats-server's `processConfigFileLine` and `parseAuthorization`: each is an option, ignored with a reason, or
/// refused by name.
#[test]
fn no_key_of_nats_server_is_unknown() {
    for key in NATS_SERVER_KEYS.split_whitespace() {
        assert!(find_key(key).is_some(), "{key}");
    }
}

const NATS_SERVER_KEYS: &str = "
    listen client_advertise port server_name host net debug trace trace_verbose trace_headers logtime logtime_utc
    mappings maps disable_sublist_cache no_sublist_cache accounts default_sentinel http https http_port monitor_port
    https_port http_base_path cluster gateway leaf leafnodes store_dir storedir jetstream logfile log_file
    logfile_size_limit log_size_limit logfile_max_num log_max_num syslog remote_syslog pidfile pid_file ports_file_dir
    prof_port prof_block_rate max_control_line max_payload max_pending proxy_protocol max_connections max_conn
    max_traced_msg_len max_subscriptions max_subs max_sub_tokens max_subscription_tokens ping_interval ping_max tls ocsp
    allow_non_tls write_deadline write_timeout lame_duck_duration lame_duck_grace_period operator operators roots root
    root_operators root_operator resolver account_resolver accounts_resolver resolver_tls resolver_preload
    resolver_pinned_accounts no_auth_user system_account system no_system_account no_system no_sys_acc no_header_support
    trusted trusted_keys connect_error_reports reconnect_error_reports websocket ws mqtt server_tags server_metadata
    feature_flags default_js_domain ocsp_cache no_fast_producer_stall max_closed_clients proxies
    authorization.user authorization.username authorization.pass authorization.password authorization.token
    authorization.timeout authorization.users authorization.default_permission authorization.default_permissions
    authorization.permissions authorization.auth_callout authorization.auth_hook authorization.proxy_required";
