//! What becomes of those who are connected when users change, on whichever shard they are: who is gone or elsewhere is
//! closed without a word, who has another password is told, who may do less is told what was taken away, and all the others
//! stay and notice nothing. The same on both servers.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;

use crate::cast::{PATIENCE, is_served, join, join_as, knock, subscribe};
use crate::support::{Launch, RawClient, Server, wait_until};

on_both_servers!(
    each_kind_of_user,
    users_by_key,
    passwords_with_a_new_hash,
    users_come_where_there_were_none,
    nobody_is_asked_any_more,
    accounts_come_and_go,
);
on_1_2_and_4_shards!(a_password_is_being_compared);

const COPIES: usize = 6;

fn start(launch: Launch, config: &str) -> Server {
    let launch = launch.flags(["-D"]).config_line(config);
    launch.start().expect("a server")
}

fn reload(server: &Server, config: &str) {
    let is_taken = server.reload(config).expect("an outcome");
    assert!(is_taken, "{}", server.log());
}

fn many(server: &Server, user: &str) -> Vec<RawClient> {
    (0..COPIES)
        .map(|_| {
            let mut client = join_as(server.address(), user, "p");
            subscribe(&mut client, "a.b 1");
            subscribe(&mut client, "c.d group 2");
            client
        })
        .collect()
}

fn expect_closed(clients: Vec<RawClient>, words: &[&str]) {
    for mut client in clients {
        for word in words {
            client.expect_line(word);
        }
        client.end().expect("it is closed");
    }
}

fn stay(clients: &mut [RawClient]) {
    for client in clients {
        client.sync().expect("nothing has come");
    }
}

fn closed_in_log(server: &Server, user: &str, why: &str) {
    let text = format!("user:{user}\" - Client connection closed: {why}");
    let are_all = || server.log().matches(&text).count() == COPIES;
    assert!(wait_until(PATIENCE, are_all), "{text}: {}", server.log());
}

const VIOLATION: &str = "-ERR 'Authorization Violation'";

fn each_kind_of_user(launch: Launch) {
    let server = start(
        launch,
        "accounts {
           ONE { users: [
             { user: same, password: p }, { user: gone, password: p }, { user: other, password: p }
             { user: moved, password: p }, { user: narrow, password: p }
             { user: wide, password: p, permissions { publish: x, subscribe: [ a.b, \"c.d group\" ] } } ] }
           TWO { users: [ { user: second, password: p } ] }
         }",
    );
    let users = ["same", "gone", "other", "moved", "narrow", "wide", "second"];
    let [
        mut same,
        gone,
        other,
        moved,
        mut narrow,
        mut wide,
        mut second,
    ] = users.map(|user| many(&server, user));
    reload(
        &server,
        "accounts {
           TWO { users: [ { user: moved, password: p }, { user: second, password: p } ] }
           ONE { users: [
             { user: wide, password: p }
             { user: narrow, password: p, permissions { subscribe { deny: [ a.b, \"c.d group\" ] }, publish { deny: \"a.>\" } } }
             { user: other, password: q }, { user: same, password: p } ] }
         }",
    );
    expect_closed(gone, &[]);
    expect_closed(moved, &[]);
    expect_closed(other, &[VIOLATION]);
    closed_in_log(&server, "gone", "Client Closed");
    closed_in_log(&server, "moved", "Client Closed");
    closed_in_log(&server, "other", "Authentication Failure");
    stay(&mut same);
    stay(&mut second);
    for client in &mut narrow {
        let mut told = [client.line().expect("told"), client.line().expect("told")]
            .map(|line| String::from_utf8(line).expect("text"));
        told.sort();
        assert_eq!(
            told,
            [
                "-ERR 'Permissions Violation for Subscription to \"a.b\" (sid \"1\")'\r\n",
                "-ERR 'Permissions Violation for Subscription to \"c.d\" using queue \"group\" (sid \"2\")'\r\n",
            ]
        );
        client.send(b"PUB a.b 0\r\n\r\n").expect("sent");
        client.expect_line("-ERR 'Permissions Violation for Publish to \"a.b\"'");
    }
    for client in &mut wide {
        client.send(b"UNSUB 1\r\n").expect("sent");
        client.sync().expect("nothing has come");
    }
    for client in &mut wide {
        client
            .send(b"PUB a.b 0\r\n\r\nSUB x.> 3\r\n")
            .expect("sent");
        is_served(client).expect("it may do all");
    }
    // Those of the same account who subscribed before have heard it from each.
    for client in &mut same {
        for _ in 0..COPIES {
            assert_eq!(client.message().expect("a message").sid, "1");
        }
        client.sync().expect("and no more");
    }
    stay(&mut second);
    stay(&mut narrow);
}

/// What a signature is good for does not change; the key may go.
fn users_by_key(launch: Launch) {
    let (here, gone) = (KeyPair::new_user(), KeyPair::new_user());
    let block = |keys: &[&KeyPair]| {
        let users = keys
            .iter()
            .map(|key| format!("{{ nkey: {} }}\n", key.public_key()));
        format!(
            "authorization {{ users: [ {} ] }}",
            users.collect::<String>()
        )
    };
    let server = start(launch, &block(&[&here, &gone]));
    let join = |key: &KeyPair| {
        let mut client = server.connect();
        client.patience(PATIENCE);
        let line = client.line().expect("INFO");
        let info: serde_json::Value = serde_json::from_slice(&line[5..]).expect("JSON");
        let nonce = info["nonce"].as_str().expect("a nonce");
        let signature = key.sign(nonce.as_bytes()).expect("signed");
        let (public, signature) = (key.public_key(), BASE64URL_NOPAD.encode(&signature));
        let words = format!(r#"{{"verbose":false,"nkey":"{public}","sig":"{signature}"}}"#);
        client
            .send(format!("CONNECT {words}\r\nPING\r\n").as_bytes())
            .expect("sent");
        client.expect_line("PONG");
        client
    };
    let mut stays: Vec<_> = (0..COPIES).map(|_| join(&here)).collect();
    let goes: Vec<_> = (0..COPIES).map(|_| join(&gone)).collect();
    reload(&server, &block(&[&KeyPair::new_user(), &here]));
    expect_closed(goes, &[]);
    stay(&mut stays);
    stay(&mut [join(&here)]);
}

fn passwords_with_a_new_hash(launch: Launch) {
    let block = |first: &str, second: &str| {
        let [first, second] = [first, second].map(|word| bcrypt::hash(word, 4).expect("a hash"));
        format!(
            "authorization {{ users: [ {{ user: salted, password: \"{first}\" }}, \
             {{ user: other, password: \"{second}\" }} ] }}"
        )
    };
    let server = start(launch, &block("p", "p"));
    let [mut salted, other] = ["salted", "other"].map(|user| many(&server, user));
    reload(&server, &block("p", "q"));
    expect_closed(other, &[VIOLATION]);
    stay(&mut salted);
    let mut publisher = join_as(server.address(), "salted", "p");
    publisher.send(b"PUB a.b 0\r\n\r\n").expect("sent");
    for client in &mut salted {
        client.message().expect("its subscriptions live on");
    }
}

fn users_come_where_there_were_none(launch: Launch) {
    let server = start(launch, "max_payload: 100");
    let nobody: Vec<_> = (0..COPIES).map(|_| join(server.address())).collect();
    // Where nobody is asked, a name means nothing; now it is one of nobody.
    let named = many(&server, "b");
    let mut right = many(&server, "a");
    reload(
        &server,
        "authorization { users: [ { user: a, password: p } ] }",
    );
    expect_closed(nobody, &[VIOLATION]);
    expect_closed(named, &[]);
    stay(&mut right);
    let mut known = many(&server, "a");
    stay(&mut known);
}

fn nobody_is_asked_any_more(launch: Launch) {
    let server = start(launch, "authorization { token: t }");
    let join = |credentials: &str| {
        let mut client = knock(server.address(), credentials);
        client.expect_line("PONG");
        client
    };
    let mut clients: Vec<_> = (0..COPIES).map(|_| join("\"auth_token\":\"t\"")).collect();
    reload(&server, "max_payload: 100");
    stay(&mut clients);
    stay(&mut [join("\"name\":\"anybody\"")]);
}

/// Accounts that come are there for those who come, and what one imports from another is there for all.
fn accounts_come_and_go(launch: Launch) {
    let config = |more: &str, import: &str| {
        format!(
            "accounts {{
               STAYS {{ users: [ {{ user: stays, password: p }} ], imports: [ {import} ] }}
               {more}
             }}"
        )
    };
    let new = "NEW { users: [ { user: new, password: p } ], exports: [ { stream: a.b } ] }";
    let server = start(launch, &config("", ""));
    let mut stays = many(&server, "stays");
    for _ in 0..3 {
        reload(
            &server,
            &config(new, "{ stream { account: NEW, subject: a.b } }"),
        );
        stay(&mut stays);
        let members = many(&server, "new");
        let mut publisher = join_as(server.address(), "new", "p");
        publisher.send(b"PUB a.b 1\r\nx\r\n").expect("sent");
        for client in &mut stays {
            assert_eq!(client.message().expect("an imported message").body, b"x");
        }
        reload(&server, &config("", ""));
        publisher.end().expect("its account is gone");
        for mut client in members {
            assert_eq!(client.message().expect("its message").body, b"x");
            client.end().expect("its account is gone");
        }
        stay(&mut stays);
    }
}

/// The comparison that has begun is for the password of before; what counts is who it is when it is over.
fn a_password_is_being_compared(shards: u32) {
    let hash = |word: &str| bcrypt::hash(word, 11).expect("a hash");
    let block = |users: &[(&str, &str)]| {
        let users = users
            .iter()
            .map(|(user, hash)| format!("{{ user: {user}, password: \"{hash}\" }}\n"));
        let users: String = users.collect();
        format!(
            "authorization {{ timeout: 300, users: [ {users} {{ user: plain, password: p }} ] }}"
        )
    };
    let before = hash("p");
    let server = start(
        Launch::trunkline(shards),
        &block(&["same", "gone", "salted", "other"].map(|user| (user, &*before))),
    );
    let begin = |user: &str| {
        let credentials = format!("\"user\":\"{user}\",\"pass\":\"p\"");
        let mut client = knock(server.address(), &credentials);
        client.patience(PATIENCE * 6);
        client
    };
    let logins: Vec<_> = ["same", "gone", "salted", "other"]
        .iter()
        .cycle()
        .take(4 * COPIES)
        .map(|user| (*user, begin(user)))
        .collect();
    let (salted, other) = (hash("p"), hash("q"));
    let after = [("same", &*before), ("salted", &*salted), ("other", &*other)];
    reload(&server, &block(&after));
    let mut last = begin("same");
    let is_waiting = last.silence(Duration::from_millis(1)).is_ok();
    assert!(is_waiting, "some were compared after the reload");
    for (user, mut client) in logins {
        match user {
            "same" | "salted" => {
                client.expect_line("PONG");
                is_served(&mut client).expect("it is known");
            }
            _ => {
                // Whoever was let in before the reload, with the password of before, has been closed by it.
                let mut line = client.line().unwrap_or_default();
                if line == b"PING\r\n" {
                    line = client.line().unwrap_or_default();
                }
                let line = String::from_utf8_lossy(&line).into_owned();
                assert!(
                    matches!(line.trim_end(), VIOLATION | "PONG" | ""),
                    "{user}: {line}"
                );
                while client.line().is_ok() {}
                assert!(client.has_ended(), "{user} is closed");
            }
        }
    }
}
