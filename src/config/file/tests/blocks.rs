//! What blocks become: users, permissions, accounts, proxies.

use std::time::Duration;

use super::{OneFile, configure, options, refused};
use crate::base::ids::AccountId;
use crate::config::account::{AccountLimits, MessageTrace, predefined};
use crate::config::authorization::{
    AllowResponses, ConnectionType, Credentials, Permissions, SubjectRules, User,
};
use crate::config::file::FileRequest;
use crate::config::table::{Kind, rows};
use crate::config::{Action, Auth, Identity, Options, Secret, parse_command_line};

const USER_KEY: &str = "UADXL4744KR3YMXOJAT5T6KZ256C62ULWMSNVNQMP23FBCQ5HIM3CVEW";
const ACCOUNT_KEY: &str = "ACUNNH6S3DZLTA4V5FLDZ6EGHK6MWDPE6S2XD7JN65IKDIBD2MGOKMT3";

fn users(options: &Options) -> &[User] {
    match &options.auth {
        Auth::Users(users) => users,
        other => panic!("users expected, not {other:?}"),
    }
}

fn permissions(text: &str) -> Permissions {
    let options = options(&format!(
        "authorization {{ users: [{{user: u, permissions: {text}}}] }}"
    ));
    users(&options)[0]
        .permissions
        .clone()
        .expect("permissions of their own")
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The request for `a.conf`.
fn request() -> FileRequest {
    let words = ["-c", "a.conf"].map(Into::into);
    match parse_command_line(&Identity::from_argument_zero(None), &words) {
        Ok(Action::Configure(request)) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn users_have_names_or_keys() {
    let options = options(&format!(
        "authorization {{ timeout: 3, users: [
           {{user: ann, password: secret, proxy_required: true}}
           {{username: bob, pass: $2a$11$W2zko, connection_types: [standard, MQTT, Standard]}}
           {{nkey: {USER_KEY}, clients: websocket}}
         ] }}"
    ));
    let password = |name: &str, password: &str| Credentials::Password {
        name: name.to_owned(),
        password: Secret::new(password),
    };
    let user = |credentials| User {
        credentials,
        account: AccountId::GLOBAL,
        permissions: None,
        connection_types: None,
        proxy_required: false,
    };
    assert_eq!(
        users(&options),
        [
            User {
                proxy_required: true,
                ..user(password("ann", "secret"))
            },
            User {
                connection_types: Some(vec![ConnectionType::Standard, ConnectionType::Mqtt]),
                ..user(password("bob", "$2a$11$W2zko"))
            },
            User {
                connection_types: Some(vec![ConnectionType::Websocket]),
                ..user(Credentials::Nkey(USER_KEY.to_owned()))
            },
        ]
    );
    assert_eq!(options.auth_timeout, Duration::from_secs(3));
    assert!(!format!("{options:?}").contains("secret"));
}

#[test]
fn users_are_refused_that_are_nobody_or_two() {
    for (users, reason) in [
        ("[x]", "a user must be a map, not a text"),
        ("[{password: x}]", "User entry requires a user"),
        ("[{nkey: x}]", "Not a valid public nkey for a user"),
        (
            &format!("[{{nkey: {ACCOUNT_KEY}}}]"),
            "Not a valid public nkey for a user",
        ),
        (
            &format!("[{{nkey: {USER_KEY}, user: x}}]"),
            "Nkey users do not take usernames or passwords",
        ),
        (
            &format!("[{{nkey: {USER_KEY}, password: x}}]"),
            "Nkey users do not take usernames or passwords",
        ),
        (
            "[{user: a}, {user: b}, {user: a}]",
            "Duplicate user \"a\" detected",
        ),
        (
            &format!("[{{nkey: {USER_KEY}}}, {{nkey: {USER_KEY}}}]"),
            &format!("Duplicate nkey \"{USER_KEY}\" detected"),
        ),
        (
            "[{user: a, clients: [STANDARD, TCP]}]",
            "invalid connection types [\"TCP\"]: there are STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, \
             MQTT, MQTT_WS, IN_PROCESS",
        ),
        (
            "[{user: a, clients: []}]",
            "clients is empty, which allows every way to connect: leave it out",
        ),
        (
            "[{user: a, pasword: b}]",
            "unknown field \"pasword\"; did you mean \"password\"?",
        ),
        (
            "[{user: a, password: 1}]",
            "password must be a text, not a whole number; put it in quotes",
        ),
        (
            "[]",
            "there are no users, and so everybody may connect: leave users out if that is meant",
        ),
    ] {
        let text = format!("authorization {{ users: {users} }}");
        assert_eq!(refused(&text), reason, "{text}");
    }
}

#[test]
fn permissions_have_many_spellings() {
    let allow = |list: &[&str]| SubjectRules {
        allow: Some(texts(list)),
        deny: Vec::new(),
    };
    let everything = SubjectRules::default();
    assert_eq!(permissions("{}"), Permissions::default());
    for (text, publish, subscribe) in [
        ("{publish: a}", allow(&["a"]), everything.clone()),
        (
            "{pub: [a, 'b.>'], sub: 'c.*'}",
            allow(&["a", "b.>"]),
            allow(&["c.*"]),
        ),
        (
            "{import: {}, export: {allow: ['a  q', b]}}",
            everything.clone(),
            allow(&["a q", "b"]),
        ),
        (
            "{Publish: {allow: a, deny: [b]}, SUBSCRIBE: {deny: '> *.q'}}",
            SubjectRules {
                allow: Some(texts(&["a"])),
                deny: texts(&["b"]),
            },
            SubjectRules {
                allow: None,
                deny: texts(&["> *.q"]),
            },
        ),
    ] {
        let expected = Permissions {
            publish,
            subscribe,
            responses: None,
        };
        assert_eq!(permissions(text), expected, "{text}");
    }
    for (text, reason) in [
        ("{publish: 'a b'}", "subject \"a b\" is not a valid subject"),
        ("{publish: a..b}", "subject \"a..b\" is not a valid subject"),
        (
            "{subscribe: 'a b c'}",
            "subject \"a b c\" is not a valid subject",
        ),
        (
            "{subscribe: '>.a q'}",
            "subject \">.a\" is not a valid subject",
        ),
        ("{subscribe: 'a q.'}", "queue \"q.\" is not a valid queue"),
        (
            "{publish: {allow: [a, 5]}}",
            "an entry of allow must be a text, not a whole number; put it in quotes",
        ),
        (
            "{publish: []}",
            "publish is empty, which allows everything: leave it out, or deny \">\"",
        ),
        (
            "{publish: {allow: []}}",
            "allow is empty, which allows everything: leave it out, or deny \">\"",
        ),
        (
            "{publish: {alow: a}}",
            "unknown field \"alow\"; did you mean \"allow\"?",
        ),
        (
            "{publish: true}",
            "publish must be a subject, a list of subjects, or a map with allow and deny, not a boolean",
        ),
        (
            "{publsih: a}",
            "unknown field \"publsih\"; did you mean \"publish\"?",
        ),
    ] {
        let text = format!("authorization {{ users: [{{user: u, permissions: {text}}}] }}");
        assert_eq!(refused(&text), reason, "{text}");
    }
}

#[test]
fn who_may_answer_may_publish_nothing_else() {
    let responses = |max, expires| AllowResponses { max, expires };
    let seconds = |number| Some(Duration::from_secs(number));
    for (text, expected) in [
        ("true", Some(responses(Some(1), seconds(120)))),
        ("false", None),
        ("{}", Some(responses(Some(1), seconds(120)))),
        (
            "{max: 5, expires: '1m'}",
            Some(responses(Some(5), seconds(60))),
        ),
        ("{max_msgs: -1, ttl: '-1s'}", Some(responses(None, None))),
        (
            "{max: 0, expires: '0s'}",
            Some(responses(Some(1), seconds(120))),
        ),
    ] {
        let found = permissions(&format!("{{allow_responses: {text}}}"));
        assert_eq!(found.responses, expected, "{text}");
        let nothing = expected.map(|_| Vec::new());
        assert_eq!(found.publish.allow, nothing, "{text}");
        for order in ["publish: a, allow_responses:", "publish_allow_responses:"] {
            let found = permissions(&format!("{{{order} {text}, pub: a}}"));
            assert_eq!(found.publish.allow, Some(texts(&["a"])), "{text}");
        }
    }
    let wrong =
        "authorization { users: [{user: u, permissions {allow_responses: {expires: '5'}}}] }";
    assert_eq!(
        refused(wrong),
        "error parsing expires: \"5\" is no duration such as 2m or 500ms"
    );
}

#[test]
fn default_permissions_are_for_those_without_their_own() {
    let options = options(
        "authorization {
           default_permissions {publish: d}
           users: [{user: a}, {user: b, permissions {}}]
         }
         accounts {
           A { users: [{user: c}, {user: d, permissions {publish: o}}], default_permissions {publish: e} }
           B { users: [{user: e}] }
         }",
    );
    let published: Vec<_> = users(&options)
        .iter()
        .map(|user| {
            let permissions = user.permissions.as_ref()?;
            permissions.publish.allow.clone()
        })
        .collect();
    let only = |subject: &str| Some(texts(&[subject]));
    assert_eq!(published, [only("d"), None, only("e"), only("o"), None]);
    assert!(users(&options)[1].permissions.is_some());
    assert!(users(&options)[4].permissions.is_none());
    assert_eq!(
        options.accounts[2].default_permissions,
        Some(Permissions {
            publish: SubjectRules {
                allow: only("e"),
                deny: Vec::new()
            },
            ..Permissions::default()
        })
    );
    for text in [
        "authorization { user: a, password: b, permissions {publish: d} }",
        "authorization { token: a, default_permission {publish: d} }",
        "authorization { default_permissions {publish: d} }",
    ] {
        assert_eq!(
            refused(text),
            "these permissions are for the users of this block, and there are none"
        );
    }
}

#[test]
fn a_single_user_or_token_goes_with_no_others() {
    for (text, reason) in [
        (
            "authorization { user: a, password: b, users: [{user: c}] }",
            "Can not have a single user/pass and a users array",
        ),
        (
            "authorization { token: a, users: [] }",
            "Can not have a token and a users array",
        ),
        (
            "accounts { A { users: [{user: c}] } }, authorization { user: a, password: b }",
            "Can not have a single user/pass and accounts",
        ),
        (
            "accounts { A { users: [{user: c}] } }, authorization { token: b }",
            "Can not have a token and accounts",
        ),
        (
            "accounts { A { users: [{user: c}] } }, authorization { users: [{user: c}] }",
            "Duplicate user \"c\" detected",
        ),
        (
            "authorization { users: [{user: c}], proxy_required: true }",
            "proxy_required is for the user or the token of this block, and there is none; \
             a user in a list has its own",
        ),
    ] {
        assert_eq!(refused(text), reason, "{text}");
    }
    let with_flag = configure(
        &["-c", "a.conf", "--user", "x"],
        "authorization { users: [{user: c}] }",
    );
    assert_eq!(
        with_flag.expect_err("a refusal"),
        "Can not have a single user/pass and a users array"
    );
    let options =
        options("authorization { token: t, proxy_required: true }, accounts { A { users: [] } }");
    assert!(options.proxy_required);
    assert_eq!(options.auth, Auth::Token(Secret::new("t")));
}

#[test]
fn who_says_nothing_may_be_somebody() {
    let text = "no_auth_user: b, authorization { users: [{user: a}, {user: b}] }";
    assert_eq!(options(text).no_auth_user.as_deref(), Some("b"));
    let text =
        format!("no_auth_user: {USER_KEY}, accounts {{ A {{ users: [{{nkey: {USER_KEY}}}] }} }}");
    assert_eq!(options(&text).no_auth_user.as_deref(), Some(USER_KEY));
    assert_eq!(
        refused("no_auth_user: b, authorization { users: [{user: a}] }"),
        "no_auth_user: \"b\" not present as user or nkey in authorization block or account configuration"
    );
    for text in [
        "no_auth_user: b",
        "no_auth_user: b, authorization { user: b, password: c }",
    ] {
        assert_eq!(
            refused(text),
            "no_auth_user: \"b\" present, but users/nkeys are not defined"
        );
    }
    assert_eq!(options("no_auth_user: ''").no_auth_user, None);
}

#[test]
fn accounts_have_numbers_limits_and_users() {
    let options = options(&format!(
        "accounts {{
           A {{
             nkey: {ACCOUNT_KEY}
             users: [{{user: a}}]
             limits {{max_conn: 1, max_subs: 2, max_payload: 1kb, max_leafs: 0}}
             msg_trace: trace.a
             jetstream: disabled
           }}
           B {{ limits {{max_connections: -1}}, trace_dest {{dest: t, sampling: '25%'}}, jetstream: false }}
           X: {{}}
           copy: $X
         }}
         system_account: B"
    ));
    let names: Vec<&str> = options
        .accounts
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!(names, ["$G", "$SYS", "A", "B", "copy"]);
    assert_eq!(options.system_account, AccountId(3));
    assert_eq!(users(&options)[0].account, AccountId(2));
    let (a, b) = (&options.accounts[2], &options.accounts[3]);
    assert_eq!(a.nkey.as_deref(), Some(ACCOUNT_KEY));
    assert_eq!(
        a.limits,
        AccountLimits {
            connections_max: Some(1),
            subscriptions_max: Some(2),
            payload_max: Some(1024),
            leafnodes_max: Some(0),
        }
    );
    assert_eq!(b.limits, AccountLimits::default());
    let trace = |destination: &str, sampling| {
        Some(MessageTrace {
            destination: destination.to_owned(),
            sampling,
        })
    };
    assert_eq!(
        (a.message_trace.clone(), b.message_trace.clone()),
        (trace("trace.a", 100), trace("t", 25))
    );
}

#[test]
fn accounts_are_refused_that_cannot_be() {
    for (text, reason) in [
        ("[A, B, A]", "Duplicate Account Entry: A"),
        (
            "[$G]",
            "variable reference for 'G' on line 1 can not be found",
        ),
        ("['$G']", "\"$G\" is a Reserved Account"),
        ("{'$G': {}}", "\"$G\" is a Reserved Account"),
        ("{'': {}}", "an account needs a name"),
        ("{A: 5}", "A must be a map, not a whole number"),
        (
            "[5]",
            "the name of an account must be a text, not a whole number; put it in quotes",
        ),
        ("A", "accounts must be a map or a list of names, not a text"),
        (
            "{A: {nkey: x}}",
            "Not a valid public nkey for an account: \"x\"",
        ),
        (
            "{A: {usres: []}}",
            "unknown field \"usres\"; did you mean \"users\"?",
        ),
        (
            "{A: {limits: {max_conn: -2}}}",
            "invalid value -2 for max_conn: must be -1 to 2147483647",
        ),
        (
            "{A: {limits: {max_payload: 2147483648}}}",
            "invalid value 2147483648 for max_payload: must be -1 to 2147483647",
        ),
        ("{A: {jetstream: {}}}", "jetstream is not supported yet"),
        (
            "{A: {jetstream: enabled}}",
            "jetstream is not supported yet",
        ),
        (
            "{A: {msg_trace: 'a.*'}}",
            "Trace destination \"a.*\" is not valid",
        ),
        (
            "{A: {msg_trace: {dest: a, sampling: 101}}}",
            "sampling must be 1 to 100, or 1% to 100% in quotes",
        ),
    ] {
        assert_eq!(refused(&format!("accounts: {text}")), reason, "{text}");
    }
    let text = "accounts { A { msg_trace { sampling: 5 } } }";
    let warned = configure(&["-c", "a.conf"], text).expect("options");
    assert_eq!(
        warned.warnings[0].reason,
        "Trace destination sampling ignored since no destination was set"
    );
    assert_eq!(warned.options.accounts[2].message_trace, None);
}

#[test]
fn one_account_is_the_servers_own() {
    assert_eq!(options("").system_account, AccountId::SYSTEM);
    assert_eq!(options("").accounts, predefined());
    assert_eq!(
        refused("system_account: B, accounts: [A]"),
        "error resolving system account: \"B\" is not defined"
    );
    let named = options("system: A, accounts { A {}, '$SYS' {} }, no_sys_acc: true");
    assert_eq!(
        (named.system_account, named.no_system_account),
        (AccountId(2), false)
    );
    assert!(options("no_system_account: true").no_system_account);
    // Users of nothing but the system account do not shut the others out.
    let protected = options("accounts { '$SYS' { users: [{user: admin, password: x}] } }");
    let name = protected
        .no_auth_user
        .as_deref()
        .expect("a user for everybody");
    let anybody = users(&protected).iter().find(|user| user.is_called(name));
    assert_eq!(anybody.expect("it exists").account, AccountId::GLOBAL);
    assert_eq!(users(&protected)[0].account, AccountId::SYSTEM);
    for text in [
        "accounts { '$SYS' { users: [{user: admin}] }, A {} }",
        "accounts { '$SYS' { users: [{user: admin}] } }, authorization {}",
        "accounts { A { users: [{user: admin}] } }",
        "accounts { '$SYS' { users: [{user: admin}] } }, no_auth_user: ''",
    ] {
        let expected = text.contains("no_auth_user");
        assert_eq!(options(text).no_auth_user.is_some(), expected, "{text}");
    }
}

#[test]
fn a_plain_password_is_warned_of() {
    let warned = |text: &str| !options(text).warnings().is_empty();
    assert!(warned("authorization { users: [{user: a, password: b}] }"));
    assert!(warned("authorization { users: [{user: a}] }"));
    assert!(!warned(
        "authorization { users: [{user: a, password: $2a$11$W2zko}] }"
    ));
    assert!(!warned(&format!(
        "authorization {{ users: [{{nkey: {USER_KEY}}}] }}"
    )));
    assert!(!warned(
        "accounts { '$SYS' { users: [{user: a, password: $2a$11$W2zko}] } }"
    ));
}

#[test]
fn proxies_are_known_by_their_keys() {
    let text =
        format!("proxies {{ trusted: [{{key: {USER_KEY}}}, {{public_key: {ACCOUNT_KEY}}}] }}");
    assert_eq!(
        options(&text).trusted_proxies,
        texts(&[USER_KEY, ACCOUNT_KEY])
    );
    assert_eq!(
        refused("proxies { trusted: [{key: x}] }"),
        "invalid proxy key \"x\""
    );
    assert_eq!(
        refused("proxies { trusted: [{}] }"),
        "a trusted proxy needs a key"
    );
}

#[test]
fn an_account_keeps_its_number() {
    let again = |known: &Options, text: &str| {
        let configured = request()
            .configure_again(&OneFile(text), &known.accounts)
            .expect("options");
        configured.options
    };
    let first = options("accounts { A { limits {max_conn: 1} }, B { users: [{user: b}] } }");
    let second = again(&first, "accounts { C {}, B { users: [{user: b}] } }");
    let names: Vec<&str> = second
        .accounts
        .iter()
        .map(|account| account.name.as_str())
        .collect();
    assert_eq!(names, ["$G", "$SYS", "A", "B", "C"]);
    assert_eq!(users(&second)[0].account, AccountId(3));
    assert_eq!(second.accounts[2].limits, AccountLimits::default());
    let former = |options: &Options| -> Vec<bool> {
        let accounts = options.accounts.iter();
        accounts.map(|account| account.is_former).collect()
    };
    assert_eq!(former(&second), [false, false, true, false, false]);
    // What has vanished is not defined, though it has a number.
    let gone = request().configure_again(
        &OneFile("system_account: A, accounts: [C]"),
        &second.accounts,
    );
    assert!(gone.is_err());
    let third = again(&second, "accounts: [A]");
    assert_eq!(former(&third), [false, false, false, true, true]);
}

#[test]
fn there_are_as_many_accounts_as_there_are_numbers() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
        format!("accounts: [{}]", names.join(","))
    };
    assert_eq!(options(&names(65_534)).accounts.len(), 65_536);
    assert_eq!(
        refused(&names(65_535)),
        "there are more than 65536 accounts, those of earlier configurations included"
    );
}

/// Each part of each block, with a value of each type: refused or taken, but nothing that its reader did not expect.
#[test]
fn every_part_of_a_block_is_read() {
    for row in rows().filter(|row| matches!(row.kind, Kind::Part(_) | Kind::Block(..))) {
        for key in row.config_keys {
            let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
            let (before, after) = around(section);
            for value in VALUES {
                let text = format!("{before}{name}: {value}{after}");
                let told = match configure(&["-c", "a.conf"], &text) {
                    Ok(_) => String::new(),
                    Err(reasons) => reasons,
                };
                assert!(!told.contains("unknown field"), "{text}: {told}");
            }
        }
    }
}

const VALUES: &[&str] = &[
    "x",
    "''",
    "'5s'",
    "true",
    "false",
    "5",
    "-1",
    "1.5",
    "2024-02-29T12:00:00Z",
    "[]",
    "[x]",
    "[{}]",
    "{}",
];

/// A block of this sort, to be put around one of its parts.
fn around(section: &str) -> (&'static str, &'static str) {
    match section {
        "" => ("", ""),
        "authorization" => ("authorization {", "}"),
        "user" => ("authorization { users: [{", "}] }"),
        "permissions" => ("authorization { permissions {", "} }"),
        "rules" => ("authorization { permissions { publish {", "} } }"),
        "responses" => ("authorization { permissions { allow_responses {", "} } }"),
        "account" => ("accounts { A {", "} }"),
        "limits" => ("accounts { A { limits {", "} } }"),
        "trace" => ("accounts { A { msg_trace {", "} } }"),
        "export" => ("accounts { A { exports: [{", "}] } }"),
        "latency" => ("accounts { A { exports: [{latency {", "} }] } }"),
        "import" => ("accounts { A { imports: [{", "}] } }"),
        "origin" => ("accounts { A { imports: [{stream {", "} }] } }"),
        "destination" => ("mappings { a {", "} }"),
        "tls" => ("tls {", "}"),
        "certificate" => ("tls { certs: [{", "}] }"),
        "proxies" => ("proxies {", "}"),
        "proxy" => ("proxies { trusted: [{", "}] }"),
        other => panic!("where does {other} stand?"),
    }
}
