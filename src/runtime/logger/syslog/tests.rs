//! Syslog as its servers see it: what arrives on the sockets of this machine.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::SystemTime;

use super::*;
use crate::base::log::Record;

fn entry(level: Level, text: &str) -> Entry {
    Entry {
        when: SystemTime::now(),
        shard: None,
        record: Record::new(level, text),
    }
}

fn send(syslog: &mut Syslog, level: Level, text: &str) -> io::Result<()> {
    syslog.send(&entry(level, text), text)
}

fn remote(server: RemoteSyslog) -> Result<Syslog, LogStartError> {
    Syslog::connect(Some(&server))
}

fn socket_path(name: &str) -> PathBuf {
    let name = format!("trunkline-syslog-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn a_server_gets_a_datagram_a_line() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut syslog = remote(RemoteSyslog::Udp(address)).unwrap();
    let mut bytes = [0; 70_000];
    let mut heard = || {
        let len = server.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    for (level, priority) in [
        (Level::Fatal, 2),
        (Level::Error, 3),
        (Level::Warn, 4),
        (Level::Info, 5),
        (Level::Trace, 5),
        (Level::Debug, 7),
    ] {
        send(&mut syslog, level, "Server is ready").unwrap();
        let line = heard();
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        let (head, host, tag) = (parts[0], parts[1], parts[2]);
        let moment = head.strip_prefix(&format!("<{priority}>")).expect(head);
        moment.parse::<Timestamp>().expect("RFC 3339");
        assert_eq!(moment.len(), moment.replace('.', "").len(), "whole seconds");
        assert_eq!(host, syslog.host);
        assert!(
            tag.ends_with(&format!("[{}]:", std::process::id())),
            "{tag}"
        );
        assert_eq!(parts[3], "Server is ready\n");
    }
    send(&mut syslog, Level::Info, "first\nsecond").unwrap();
    assert!(heard().ends_with("]: first second\n"));
    send(&mut syslog, Level::Info, &"é".repeat(40_000)).unwrap();
    let cut = heard();
    assert!((DATAGRAM_BYTES_MAX - 1..=DATAGRAM_BYTES_MAX + 1).contains(&cut.len()));
    assert!(cut.ends_with("é\n"), "cut between two letters");
}

#[test]
fn the_system_gets_the_short_form() {
    let path = socket_path("local");
    let server = UnixDatagram::bind(&path).unwrap();
    let target = Target {
        server: None,
        local_paths: vec![PathBuf::from("/nonexistent/log"), path.clone()],
    };
    let mut syslog = Syslog::connect_to(target).unwrap();
    send(&mut syslog, Level::Warn, "careful").unwrap();
    let mut bytes = [0; 1000];
    let len = server.recv(&mut bytes).unwrap();
    let line = std::str::from_utf8(&bytes[..len]).unwrap();
    // <28>Jan  2 15:04:05 trunkline[42]: careful
    let line = line.strip_prefix("<28>").expect(line);
    let (moment, rest) = line.split_at(15);
    let month = &moment[..3];
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    assert!(months.find(month).is_some_and(|at| at % 3 == 0), "{moment}");
    assert_eq!(
        (&moment[6..7], &moment[9..10], &moment[12..13]),
        (" ", ":", ":")
    );
    assert_eq!(
        rest,
        format!(" {}[{}]: careful\n", syslog.tag, std::process::id())
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_server_that_comes_back_is_told_again() {
    let path = socket_path("stream");
    let server = UnixListener::bind(&path).unwrap();
    let mut syslog = remote(RemoteSyslog::Unix(path.clone())).unwrap();
    send(&mut syslog, Level::Info, "one").unwrap();
    let (first, _) = server.accept().unwrap();
    let mut line = String::new();
    BufReader::new(first).read_line(&mut line).unwrap();
    assert!(line.ends_with("]: one\n"), "{line}");

    // The connection is gone with its reader, and the server too.
    drop(server);
    std::fs::remove_file(&path).unwrap();
    assert!(send(&mut syslog, Level::Info, "two").is_err());
    assert!(syslog.retry_at.is_some(), "it is not asked for every line");
    let server = UnixListener::bind(&path).unwrap();
    assert!(send(&mut syslog, Level::Info, "three").is_err(), "too soon");
    syslog.retry_at = None;
    send(&mut syslog, Level::Info, "four").unwrap();
    let (second, _) = server.accept().unwrap();
    line.clear();
    BufReader::new(second).read_line(&mut line).unwrap();
    assert!(line.ends_with("]: four\n"), "{line}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn streams_carry_lines() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut syslog = remote(RemoteSyslog::Tcp(address)).unwrap();
    send(&mut syslog, Level::Info, "one").unwrap();
    send(&mut syslog, Level::Info, "two\n<2>made up").unwrap();
    drop(syslog);
    let lines: Vec<String> = BufReader::new(server.accept().unwrap().0)
        .lines()
        .map(|line| line.unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].ends_with("]: two <2>made up"), "{lines:?}");
}

#[test]
fn no_server_is_told_as_nats_server_tells_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = remote(RemoteSyslog::Tcp(address.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("error connecting to syslog: \"dial tcp {address}: connect: connection refused\"")
    );
    let nowhere = Target {
        server: None,
        local_paths: vec![PathBuf::from("/nonexistent/log")],
    };
    let error = Syslog::connect_to(nowhere).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error connecting to syslog: \"Unix syslog delivery error\""
    );
}
