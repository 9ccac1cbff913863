//! What may change while the server runs does change, for connections that are there and those that come, on every shard,
//! and the log says so; what flags say stays. The same on both servers, but where it says otherwise.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::cast::{PATIENCE, QUIET, is_served, join, knock, subscribe, write_publish};
use crate::support::http::get;
use crate::support::{Folder, Launch, RawClient, Server, wait_until};

on_both_servers!(
    limits_hold_for_those_who_are_there,
    connections_too_many_are_closed,
    silent_clients_are_pinged_at_the_new_interval,
    slow_consumers_are_closed_at_the_new_deadline,
    strangers_have_the_new_time,
    the_advertised_address_changes,
    flags_win_over_the_file,
    the_log_shows_more_and_less,
    the_log_moves_to_a_file_and_back,
    the_pid_is_written_where_it_is_wanted_now,
    the_command_line_reloads,
    publishers_are_held_up_or_not,
    payloads_are_traced_as_far_as_is_wanted_now,
    the_ports_file_moves,
);
on_1_2_and_4_shards!(
    whoever_is_about_to_say_who_they_are_may,
    a_slow_consumer_who_is_there_has_the_new_deadline,
);

const CLIENTS: usize = 8;

fn start(launch: Launch, config: &str) -> Server {
    launch.config_line(config).start().expect("a server")
}

fn reload(server: &Server, config: &str) {
    let is_taken = server.reload(config).expect("an outcome");
    assert!(is_taken, "{}", server.log());
}

fn is_logged(server: &Server, line: &str) {
    let is_there = || server.log().lines().any(|told| told.ends_with(line));
    assert!(wait_until(PATIENCE, is_there), "{line}: {}", server.log());
}

fn many(server: &Server) -> Vec<RawClient> {
    (0..CLIENTS).map(|_| join(server.address())).collect()
}

fn publish(client: &mut RawClient, size: usize) {
    let mut bytes = Vec::new();
    write_publish(&mut bytes, "a", &vec![b'x'; size]);
    client.send(&bytes).expect("sent");
}

fn limits_hold_for_those_who_are_there(launch: Launch) {
    let server = start(launch, "max_payload: 100");
    let mut clients = many(&server);
    reload(&server, "max_payload: 50\nmax_control_line: 256");
    is_logged(&server, "[INF] Reloaded: max_payload = 50");
    is_logged(&server, "[INF] Reloaded: max_control_line = 256");
    clients.extend(many(&server));
    for (index, client) in clients.iter_mut().enumerate() {
        publish(client, 50);
        client.sync().expect("at the limit");
        if index.is_multiple_of(2) {
            client.send(b"PUB a 51\r\n").expect("sent");
            client.expect_line("-ERR 'Maximum Payload Violation'");
        } else {
            let line = format!("PUB {} 0\r\n", "a".repeat(300));
            client.send(line.as_bytes()).expect("sent");
            client.expect_line("-ERR 'maximum control line exceeded'");
        }
        client.end().expect("it is closed");
    }
    reload(&server, "");
    is_logged(&server, "[INF] Reloaded: max_payload = 1048576");
    is_logged(&server, "[INF] Reloaded: max_control_line = 4096");
    let mut client = join(server.address());
    publish(&mut client, 1 << 20);
    client.sync().expect("the limits are wider again");
}

fn connections_too_many_are_closed(launch: Launch) {
    let server = start(launch, "");
    let mut clients = many(&server);
    reload(&server, "max_connections: 3");
    is_logged(
        &server,
        "[INF] Closed 5 connections to fall within max_connections",
    );
    is_logged(&server, "[INF] Reloaded: max_connections = 3");
    // Who has to go has been told before the log says that it is done.
    let mut left = 0;
    for client in &mut clients {
        client.send(b"PING\r\n").expect("sent");
        let answer = client.line().expect("an answer");
        match &answer[..] {
            b"PONG\r\n" => left += 1,
            b"-ERR 'maximum connections exceeded'\r\n" => client.end().expect("it is closed"),
            other => panic!("{:?}", String::from_utf8_lossy(other)),
        }
    }
    assert_eq!(left, 3);
    let mut one_more = server.connect();
    one_more.patience(PATIENCE);
    one_more.line().expect("INFO");
    one_more.expect_line("-ERR 'maximum connections exceeded'");
    one_more.end().expect("it is closed");
    reload(&server, "max_connections: 4");
    let mut fourth = join(server.address());
    is_served(&mut fourth).expect("there is room for a fourth");
    let mut fifth = server.connect();
    fifth.patience(PATIENCE);
    fifth.line().expect("INFO");
    fifth.expect_line("-ERR 'maximum connections exceeded'");
}

fn silent_clients_are_pinged_at_the_new_interval(launch: Launch) {
    let server = start(launch.flags(["-D"]), "");
    reload(&server, "ping_interval: \"150ms\"\nping_max: 1");
    is_logged(&server, "[INF] Reloaded: ping_interval = 150ms");
    is_logged(&server, "[INF] Reloaded: ping_max = 1");
    for mut client in many(&server) {
        // The first one comes two seconds after the start.
        client.expect_line("PING");
        let line = loop {
            match &client.line().expect("it is closed, and told why")[..] {
                b"PING\r\n" => {}
                line => break line.to_vec(),
            }
        };
        assert_eq!(line, b"-ERR 'Stale Connection'\r\n");
        client.end().expect("it is closed");
    }
    is_logged(&server, "Stale Client Connection - Closing");
}

fn slow_consumers_are_closed_at_the_new_deadline(launch: Launch) {
    let server = start(launch, "write_deadline: \"1h\"");
    reload(&server, "write_deadline: \"200ms\"");
    is_logged(&server, "[INF] Reloaded: write_deadline = 200ms");
    let mut asleep = join(server.address());
    subscribe(&mut asleep, "a 1");
    let mut publisher = join(server.address());
    // More than sockets take, and less than `max_pending`.
    for _ in 0..40 {
        publish(&mut publisher, 1 << 20);
    }
    let told = "Slow Consumer Detected: WriteDeadline of 200ms exceeded";
    assert!(server.logs_within(told, PATIENCE), "{}", server.log());
    is_served(&mut publisher).expect("others are served");
}

fn strangers_have_the_new_time(launch: Launch) {
    let with =
        |timeout: &str| format!("authorization {{ user: a, password: p, timeout: {timeout} }}");
    let server = start(launch, &with("300"));
    reload(&server, &with("0.2"));
    is_logged(&server, "[INF] Reloaded: authorization timeout = 0.2");
    for _ in 0..CLIENTS {
        let mut stranger = server.connect();
        stranger.patience(PATIENCE).line().expect("INFO");
        stranger.expect_line("-ERR 'Authentication Timeout'");
        stranger.end().expect("it is closed");
    }
}

/// nats-server closes them.
fn whoever_is_about_to_say_who_they_are_may(shards: u32) {
    let with = |user: &str, timeout: &str| {
        format!("authorization {{ user: {user}, password: p, timeout: {timeout} }}")
    };
    let server = start(Launch::trunkline(shards), &with("a", "300"));
    let mut before: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut before {
        client.patience(PATIENCE).line().expect("INFO");
    }
    reload(&server, &with("b", "0.2"));
    thread::sleep(Duration::from_millis(300));
    for (client, user) in before.iter_mut().zip(["a", "b"].iter().cycle()) {
        let words = format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"p\"}}");
        client
            .send(format!("{words}\r\nPING\r\n").as_bytes())
            .expect("sent");
        client.expect_line(match *user {
            "a" => "-ERR 'Authorization Violation'",
            _ => "PONG",
        });
    }
}

/// In nats-server it is the deadline of those who come from now on.
fn a_slow_consumer_who_is_there_has_the_new_deadline(shards: u32) {
    let server = start(Launch::trunkline(shards), "write_deadline: \"1h\"");
    let mut asleep: Vec<_> = (0..shards).map(|_| join(server.address())).collect();
    for client in &mut asleep {
        subscribe(client, "a 1");
    }
    let mut publisher = join(server.address());
    for _ in 0..40 {
        publish(&mut publisher, 1 << 20);
    }
    publisher.sync().expect("it is served");
    reload(&server, "write_deadline: \"200ms\"");
    let told = "Slow Consumer Detected: WriteDeadline of 200ms exceeded";
    let are_all_told = || server.log().matches(told).count() == asleep.len();
    assert!(wait_until(PATIENCE, are_all_told), "{}", server.log());
}

fn the_advertised_address_changes(launch: Launch) {
    let server = start(launch, "");
    reload(&server, "client_advertise: \"broker.example:1234\"");
    is_logged(
        &server,
        "[INF] Reload: client_advertise = broker.example:1234",
    );
    for _ in 0..CLIENTS {
        let info = info(&server);
        assert_eq!(info["host"], "broker.example");
        assert_eq!(info["port"], 1234);
    }
    reload(&server, "");
    assert_eq!(info(&server)["port"], server.address().port());
}

fn info(server: &Server) -> serde_json::Value {
    let mut client = server.connect();
    client.patience(PATIENCE);
    let line = client.line().expect("INFO");
    serde_json::from_slice(&line["INFO ".len()..]).expect("JSON")
}

/// Flags for the address are given to every server here.
fn flags_win_over_the_file(launch: Launch) {
    let flags = ["-D", "--user", "flag", "--pass", "flag"];
    let file = |number: u32| {
        format!(
            "host: 192.0.2.{number}\nport: {number}\ndebug: false\nmax_payload: {number}\n\
             authorization {{ user: file{number}, password: file }}"
        )
    };
    let server = start(launch.flags(flags), &file(100));
    for number in [101, 102] {
        reload(&server, &file(number));
        is_logged(&server, &format!("Reloaded: max_payload = {number}"));
        let mut known = knock(server.address(), "\"user\":\"flag\",\"pass\":\"flag\"");
        known.expect_line("PONG");
        let wrong = format!("\"user\":\"file{number}\",\"pass\":\"file\"");
        let mut other = knock(server.address(), &wrong);
        other.expect_line("-ERR 'Authorization Violation'");
        let port = known.local_address().expect("an address").port();
        assert!(server.logs_within(&format!(":{port} - cid:"), PATIENCE));
    }
    assert!(
        !server.log().contains("Reloaded: debug"),
        "{}",
        server.log()
    );
    assert!(!server.log().contains("Reloaded: authorization username"));
}

fn the_log_shows_more_and_less(launch: Launch) {
    let server = start(launch, "");
    let mut clients = many(&server);
    let say = |clients: &mut Vec<RawClient>, word: &str| {
        for client in clients {
            client
                .send(format!("PUB {word} 0\r\n\r\n").as_bytes())
                .expect("sent");
            client.sync().expect("nothing is wrong");
        }
    };
    say(&mut clients, "before");
    reload(&server, "debug: true\ntrace: true");
    is_logged(&server, "[INF] Reloaded: trace = true");
    is_logged(&server, "[INF] Reloaded: debug = true");
    say(&mut clients, "traced");
    clients.push(join(server.address()));
    say(&mut clients, "both");
    reload(&server, "");
    is_logged(&server, "[INF] Reloaded: trace = false");
    is_logged(&server, "[INF] Reloaded: debug = false");
    say(&mut clients, "after");
    clients.push(join(server.address()));
    reload(&server, "logtime: false");
    let log = server.log();
    let count = |text: &str| log.matches(text).count();
    assert_eq!(count("<<- [PUB traced 0]"), CLIENTS);
    assert_eq!(count("<<- [PUB both 0]"), CLIENTS + 1);
    assert_eq!(count("before") + count("after"), 0, "{log}");
    assert_eq!(count("Client connection created"), 1, "{log}");
    let last = log.lines().last().expect("a line");
    let pid = server.pid();
    assert!(
        last.starts_with(&format!("[{pid}] [INF] Reloaded server configuration")),
        "without a time: {last}"
    );
}

fn the_log_moves_to_a_file_and_back(launch: Launch) {
    let folder = Folder::create().expect("a folder");
    let path = folder.path().join("moved.log");
    let server = start(launch.flags(["-D"]), "");
    server.write_config(&format!("log_file: \"{}\"", path.display()));
    server.signal("HUP").expect("signalled");
    let holds = |text: &str| {
        let is_there = || fs::read_to_string(&path).is_ok_and(|log| log.contains(text));
        wait_until(PATIENCE, is_there)
    };
    assert!(
        holds("[INF] Reloaded server configuration"),
        "{}",
        server.log()
    );
    assert!(!server.log().contains("Reloaded server configuration"));
    let client = join(server.address());
    let port = client.local_address().expect("an address").port();
    let created = format!(":{port} - cid:");
    assert!(holds(&created));
    assert!(!server.log().contains(&created));
    reload(&server, "");
    assert!(holds("[INF] Reloaded: log_file = \n"));
    let late = join(server.address());
    let port = late.local_address().expect("an address").port();
    assert!(server.logs_within(&format!(":{port} - cid:"), PATIENCE));
}

fn the_pid_is_written_where_it_is_wanted_now(launch: Launch) {
    let folder = Folder::create().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let line = |name: &str| format!("pid_file: \"{}\"", file(name).display());
    let server = start(launch, &line("one"));
    reload(&server, &line("other"));
    let written = fs::read_to_string(file("other")).expect("it is written");
    assert_eq!(written, server.pid().to_string());
    is_logged(
        &server,
        &format!("Reloaded: pid_file = {}", file("other").display()),
    );
    // One that cannot be written is told, and the rest is taken.
    reload(
        &server,
        &format!("{}\nmax_payload: 9", line("no/such/folder")),
    );
    let told = "[ERR] Failed to write pidfile: open ";
    assert!(server.logs_within(told, PATIENCE), "{}", server.log());
    is_logged(&server, "Reloaded: max_payload = 9");
}

fn the_command_line_reloads(launch: Launch) {
    let server = start(launch.clone(), "max_payload: 100");
    server.write_config("max_payload: 20");
    let signal = format!("reload={}", server.pid());
    let status = launch
        .command()
        .args(["--signal", &signal])
        .status()
        .expect("it runs");
    assert!(status.success());
    is_logged(&server, "[INF] Reloaded: max_payload = 20");
    assert!(wait_until(PATIENCE, || server.reloads() == [true]));
    for mut client in many(&server) {
        client.send(b"PUB a 21\r\n").expect("sent");
        client.expect_line("-ERR 'Maximum Payload Violation'");
    }
    server.join(QUIET).sync().expect("it runs on");
}

/// A consumer that does not read is filled until a publisher was held up for its sake, or until it was closed, or could take
/// no more: nats-server then keeps messages from it. The publisher and the server stay the same.
fn publishers_are_held_up_or_not(launch: Launch) {
    let limits = "max_pending: 4MB\nwrite_deadline: \"1h\"";
    let server = start(launch.flags(["-m", "-1"]), limits);
    let mut publisher = join(server.address());
    assert!(holds_up(&server, &mut publisher));
    reload(&server, &format!("{limits}\nno_fast_producer_stall: true"));
    is_logged(
        &server,
        "[INF] Reloaded: fast producers will not be stalled",
    );
    assert!(!holds_up(&server, &mut publisher));
    reload(&server, limits);
    is_logged(&server, "[INF] Reloaded: fast producers will be stalled");
    assert!(holds_up(&server, &mut publisher));
}

/// Whether the publisher is held up before a consumer has got more than it and the sockets can hold.
fn holds_up(server: &Server, publisher: &mut RawClient) -> bool {
    let stalls = || {
        let page = get(server.monitor(), "/varz").expect("a page").json();
        page["stalled_clients"].as_u64().unwrap_or_default()
    };
    let closed = || server.log().matches("Slow Consumer Detected").count();
    let (stalls_before, closed_before) = (stalls(), closed());
    let mut asleep = join(server.address());
    subscribe(&mut asleep, "a 1");
    for _ in 0..512 {
        publish(publisher, 64 << 10);
        publisher.sync().expect("the publisher is served");
        if stalls() > stalls_before {
            return true;
        }
        if closed() > closed_before {
            return false;
        }
    }
    false
}

fn payloads_are_traced_as_far_as_is_wanted_now(launch: Launch) {
    let server = start(launch.flags(["-V"]), "max_traced_msg_len: 3");
    let mut clients = many(&server);
    let mut say = |word: &str| {
        clients.push(join(server.address()));
        for client in &mut clients {
            let line = format!("PUB a {}\r\n{word}\r\n", word.len());
            client.send(line.as_bytes()).expect("sent");
            client.sync().expect("nothing is wrong");
        }
        clients.len()
    };
    let count = |shown: &str| {
        let line = format!("<<- MSG_PAYLOAD: [{shown:?}]");
        server.log().matches(&line).count()
    };
    let sent = say("first");
    assert!(wait_until(PATIENCE, || count("fir...") == sent));
    reload(&server, "max_traced_msg_len: 5");
    is_logged(&server, "[INF] Reloaded: max_traced_msg_len = 5");
    let sent = say("second");
    assert!(wait_until(PATIENCE, || count("secon...") == sent));
    let sent = say("third");
    assert!(wait_until(PATIENCE, || count("third") == sent), "at it");
    reload(&server, "");
    is_logged(&server, "[INF] Reloaded: max_traced_msg_len = 0");
    let sent = say("whole again");
    assert!(wait_until(PATIENCE, || count("whole again") == sent));
}

/// A server of the test's own making: the folder of the others' ports file is given by a flag, which would win.
struct Unaided {
    child: Child,
    config: PathBuf,
}

impl Unaided {
    fn start(launch: &Launch, config: PathBuf, text: &str) -> Unaided {
        fs::write(&config, text).expect("written");
        let mut command = launch.command();
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "-c"])
            .arg(&config)
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // So that it never waits for whoever reads its log.
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        thread::spawn(move || log.lines().for_each(drop));
        Unaided { child, config }
    }

    fn reload(&self, text: &str) {
        fs::write(&self.config, text).expect("written");
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.child.id());
        let mut shell = std::process::Command::new("sh");
        assert!(
            shell
                .args(["-c", &line])
                .status()
                .expect("it runs")
                .success()
        );
    }
}

impl Drop for Unaided {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The ports file in a folder, when it is there.
fn ports_in(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut files = entries.map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|end| end == "ports"))?;
    fs::read_to_string(file)
        .ok()
        .filter(|text| !text.is_empty())
}

fn the_ports_file_moves(launch: Launch) {
    let folder = Folder::create().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    for name in ["one", "other"] {
        fs::create_dir(place(name)).expect("made");
    }
    let line = |name: &str| format!("ports_file_dir: {:?}\n", place(name).display().to_string());
    let mut server = Unaided::start(&launch, place("server.conf"), &line("one"));
    let is_in = |name: &str| wait_until(PATIENCE, || ports_in(&place(name)).is_some());
    let has_left = |name: &str| wait_until(PATIENCE, || ports_in(&place(name)).is_none());
    assert!(is_in("one"));
    let written = ports_in(&place("one"));
    server.reload(&line("other"));
    assert!(is_in("other") && has_left("one"));
    assert_eq!(ports_in(&place("other")), written, "the ports are the same");
    // A folder that is not there costs the file, and not the server.
    server.reload(&line("missing"));
    assert!(has_left("other"));
    server.reload(&line("one"));
    assert!(is_in("one"));
    server.signal("TERM");
    let ended = || matches!(server.child.try_wait(), Ok(Some(_)));
    assert!(wait_until(PATIENCE, ended));
    assert_eq!(ports_in(&place("one")), None, "it goes with the server");
}
