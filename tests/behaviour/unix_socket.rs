//! Clients may come through a Unix socket, beside the port or instead of it: they speak as all others do, without TLS, and the
//! kernel says who they are. The socket's file is there while the server listens, and at no other time.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cast::{PATIENCE, join, write_publish};
use crate::support::{Certificates, Folder, Launch, Server, wait_until};

on_1_2_and_4_shards!(
    messages_pass_between_socket_and_port,
    processes_are_users,
    there_is_no_tls_on_the_socket,
    limits_hold_for_both,
    the_file_goes_with_the_listener,
);

/// A connection through the socket.
struct Local(BufReader<UnixStream>);

impl Local {
    fn connect(path: &Path) -> Local {
        let stream = UnixStream::connect(path).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        Local(BufReader::new(stream))
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("sent");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line
    }

    /// Introduces itself and gives the greeting and the answer.
    fn introduce(path: &Path, options: &str) -> (Local, serde_json::Value, String) {
        let mut local = Local::connect(path);
        let greeting = local.line();
        let info = greeting.strip_prefix("INFO ").expect("a greeting");
        let info = serde_json::from_str(info).expect("JSON");
        local.send(format!("CONNECT {options}\r\nPING\r\n").as_bytes());
        let answer = local.line();
        (local, info, answer)
    }

    fn join(path: &Path) -> Local {
        let (local, _, answer) = Local::introduce(path, r#"{"verbose":false}"#);
        assert_eq!(answer, "PONG\r\n");
        local
    }

    fn message(&mut self) -> (String, Vec<u8>) {
        let line = self.line();
        let size = line.rsplit(' ').next().expect("a size").trim_end();
        let mut body = vec![0; size.parse::<usize>().expect(&line) + 2];
        self.0.read_exact(&mut body).expect("a payload");
        body.truncate(body.len() - 2);
        (line, body)
    }
}

fn start(shards: u32, folder: &Folder, config: &str) -> (Server, PathBuf) {
    let path = folder.path().join("broker.sock");
    let launch = Launch::trunkline(shards)
        .config_line(&format!("unix_socket: {path:?}"))
        .config_line(config)
        .flags(["-D"]);
    (launch.start().expect("a server"), path)
}

fn own_user() -> u32 {
    fs::metadata("/proc/self").expect("a process").uid()
}

fn messages_pass_between_socket_and_port(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let (server, path) = start(shards, &folder, "");
    let shown = path.display();
    let told = format!("[INF] Listening for client connections on unix:{shown}\n");
    assert!(server.logs_within(&told, PATIENCE), "{}", server.log());
    let ports = fs::read_dir(server.folder()).expect("a folder").flatten();
    let ports = ports
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "ports"));
    let ports = fs::read_to_string(ports.expect("a ports file")).expect("its text");
    assert!(
        ports.contains(&format!(r#""unix":["unix:{shown}"]"#)),
        "{ports}"
    );

    let (mut first, info, answer) = Local::introduce(&path, r#"{"verbose":false}"#);
    assert_eq!(answer, "PONG\r\n");
    assert_eq!(info["port"], server.address().port());
    assert_eq!(info.get("client_ip"), None, "it has none: {info}");
    let who = format!("unix:pid={},uid={} - cid:", std::process::id(), own_user());
    assert!(server.logs_within(&who, PATIENCE), "{}", server.log());

    let mut others: Vec<Local> = (0..shards).map(|_| Local::join(&path)).collect();
    for local in others.iter_mut().chain([&mut first]) {
        local.send(b"SUB news 1\r\nPING\r\n");
        assert_eq!(local.line(), "PONG\r\n");
    }
    let mut remote = join(server.address());
    remote.send(b"SUB answers 1\r\n").expect("sent");
    remote.sync().expect("taken");
    let large = vec![b'x'; 1_000_000];
    for number in 0..30 {
        let mut bytes = Vec::new();
        write_publish(&mut bytes, "news", format!("{number}").as_bytes());
        write_publish(&mut bytes, "news", &large);
        remote.send(&bytes).expect("sent");
        for local in others.iter_mut().chain([&mut first]) {
            assert_eq!(local.message().1, format!("{number}").as_bytes());
            assert_eq!(local.message().1, large);
        }
    }
    let mut bytes = Vec::new();
    write_publish(&mut bytes, "answers", &large);
    for local in &mut others {
        local.send(&bytes);
        assert_eq!(remote.message().expect("an answer").body, large);
    }
}

fn processes_are_users(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let own = own_user();
    let other = own + 1;
    let config = format!(
        r#"authorization {{ users: [
          {{ user: stranger, peer_user: {other} }}
          {{ user: me, peer_user: {own}, permissions: {{ publish: "mine.>" }} }}
          {{ user: both, peer_user: {own}, peer_group: 4294967294 }}
          {{ user: ann, password: p }}
        ] }}"#
    );
    let (server, path) = start(shards, &folder, &config);
    let answer = |options: &str| Local::introduce(&path, options).2;
    let refused = "-ERR 'Authorization Violation'\r\n";
    assert_eq!(answer(r#"{"verbose":false}"#), "PONG\r\n");
    assert_eq!(answer(r#"{"verbose":false,"user":"me"}"#), "PONG\r\n");
    assert_eq!(
        answer(r#"{"verbose":false,"user":"ann","pass":"p"}"#),
        "PONG\r\n"
    );
    for wrong in ["stranger", "both", "ann", "nobody"] {
        assert_eq!(
            answer(&format!(r#"{{"user":"{wrong}"}}"#)),
            refused,
            "{wrong}"
        );
    }
    let (mut me, ..) = Local::introduce(&path, r#"{"verbose":false}"#);
    me.send(b"PUB theirs 0\r\n\r\n");
    assert_eq!(
        me.line(),
        "-ERR 'Permissions Violation for Publish to \"theirs\"'\r\n"
    );
    // A name is no proof of a process, wherever somebody comes from.
    for options in [r#"{"user":"me"}"#, r#"{"user":"me","pass":""}"#, "{}"] {
        let mut remote = server.connect();
        let _ = remote.line().expect("a greeting");
        remote
            .send(format!("CONNECT {options}\r\nPING\r\n").as_bytes())
            .expect("sent");
        assert_eq!(remote.line().expect("an answer"), refused.as_bytes());
    }
}

fn there_is_no_tls_on_the_socket(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let certificates = Certificates::create();
    let (server, path) = start(shards, &folder, &certificates.block(""));
    let (_, info, answer) = Local::introduce(&path, r#"{"verbose":false}"#);
    assert_eq!(answer, "PONG\r\n");
    assert_eq!(info.get("tls_required"), None, "{info}");
    let mut remote = server.connect();
    let greeting = remote.line().expect("a greeting");
    let greeting = String::from_utf8_lossy(&greeting).into_owned();
    assert!(greeting.contains(r#""tls_required":true"#), "{greeting}");
}

fn limits_hold_for_both(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let (server, path) = start(shards, &folder, "max_connections: 2");
    let _first = Local::join(&path);
    let _second = join(server.address());
    let mut third = Local::connect(&path);
    assert!(third.line().starts_with("INFO {"));
    assert_eq!(third.line(), "-ERR 'maximum connections exceeded'\r\n");
    assert_eq!(third.line(), "", "it is closed");
}

fn the_file_goes_with_the_listener(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let (mut server, path) = start(shards, &folder, "unix_socket_mode: \"0600\"");
    let metadata = fs::symlink_metadata(&path).expect("the file");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

    // Another server finds somebody there, and leaves.
    let socket = path.to_str().expect("a path");
    let refused = Launch::trunkline(shards)
        .flags(["-a", "127.0.0.1", "-p", "-1", "--unix_socket", socket])
        .command()
        .output()
        .expect("it ends");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("bind: address already in use"), "{text}");
    let mut staying = Local::join(&path);

    // In lame duck mode nobody comes in any more, and a successor may have the name.
    server.signal("USR2").expect("signalled");
    assert!(wait_until(PATIENCE, || !path.exists()), "the file is gone");
    let successor = UnixListener::bind(&path).expect("the name is free");
    staying.send(b"PING\r\n");
    while staying.line() != "PONG\r\n" {}
    server.stop("INT", PATIENCE).expect("it ends");
    assert!(path.exists(), "the successor's file is not touched");
    drop(successor);

    // What a dead server has left is replaced.
    assert!(path.exists());
    let (mut server, path) = start(shards, &folder, "");
    Local::join(&path);
    server.stop("TERM", PATIENCE).expect("it ends");
    assert!(!path.exists(), "the file goes with an orderly end");

    // The kernel closes the socket of a server that was killed a little later than the server is gone.
    for _ in 0..10 {
        let (mut server, path) = start(shards, &folder, "");
        Local::join(&path);
        server.stop("KILL", PATIENCE).expect("it ends");
        assert!(path.exists(), "nobody was left to remove it");
    }
}

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn there_may_be_no_port_at_all() {
    let folder = Folder::create().expect("a folder");
    for (name, in_file) in [("flag.sock", false), ("file.sock", true)] {
        let path = folder.path().join(name);
        let address = format!("unix:{}", path.display());
        let config = folder.path().join("server.conf");
        fs::write(&config, format!("listen: {address:?}")).expect("written");
        let launch = Launch::trunkline(2);
        let launch = if in_file {
            launch.flags(["-c", config.to_str().expect("a path")])
        } else {
            launch.flags(["-a", &address])
        };
        let mut command: Command = launch.command();
        command.stderr(Stdio::piped());
        let mut running = Running(command.spawn().expect("it starts"));
        let listens = || UnixStream::connect(&path).is_ok();
        assert!(wait_until(PATIENCE, listens), "it listens");
        let (_, info, answer) = Local::introduce(&path, r#"{"verbose":false}"#);
        assert_eq!(answer, "PONG\r\n");
        assert_eq!((&info["host"], &info["port"]), (&address.into(), &0.into()));
        let stderr = running.0.stderr.take().expect("a pipe");
        let lines = BufReader::new(stderr)
            .lines()
            .map(|line| line.expect("text"));
        let log: Vec<String> = lines
            .take_while(|line| !line.contains("Server is ready"))
            .collect();
        let listeners = log
            .iter()
            .filter(|line| line.contains("Listening for"))
            .count();
        assert_eq!(listeners, 1, "{log:?}");
    }
}
