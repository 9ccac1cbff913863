//! `remote_syslog` sends each line as nats-server sends it, a reload changes where lines go, and a server that is not there
//! stops the start, not the broker.

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use crate::cast::{PATIENCE, join};
use crate::support::{Folder, Launch, wait_until};

on_1_2_and_4_shards!(each_line_is_sent, lines_are_lost_and_nobody_waits);

fn each_line_is_sent(shards: u32) {
    let lines = sent(Launch::trunkline(shards));
    if let Ok(launch) = Launch::nats_server() {
        let theirs = sent(launch);
        let wanted: Vec<&str> = theirs.iter().map(|line| form(line)).collect();
        for line in [READY, LISTENING] {
            let find = |lines: &[String]| lines.iter().find(|sent| sent.contains(line)).cloned();
            let (ours, theirs) = (find(&lines).expect(line), find(&theirs).expect(line));
            assert_eq!(form(&ours), form(&theirs), "of {wanted:?}");
        }
    }
}

const READY: &str = "Server is ready";
const LISTENING: &str = "Listening for client connections on 127.0.0.1:";

/// The lines that a server sends to a syslog server of ours until it is ready.
fn sent(launch: Launch) -> Vec<String> {
    let syslog = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    syslog.set_read_timeout(Some(PATIENCE)).expect("set");
    let address = syslog.local_addr().expect("an address");
    let server = launch
        .config_line(&format!("remote_syslog: \"udp://{address}\""))
        .start()
        .expect("a server");
    let pid = server.pid();
    let mut lines = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let len = syslog.recv(&mut bytes).expect("a line");
        let line = String::from_utf8(bytes[..len].to_vec()).expect("text");
        let is_last = line.contains(READY);
        assert!(
            line.ends_with('\n') && line.contains(&format!("[{pid}]: ")),
            "{line}"
        );
        lines.push(line);
        if is_last {
            break;
        }
    }
    assert_eq!(server.log(), "", "nothing goes elsewhere");
    lines
}

/// What of a line does not depend on the moment, the process and its name: priority, host and whether a text follows.
fn form(line: &str) -> &str {
    let (priority, rest) = line.split_once('>').expect("a priority");
    let host = rest.split(' ').nth(1).expect("a host");
    assert_eq!(priority, "<5");
    host
}

fn lines_are_lost_and_nobody_waits(shards: u32) {
    let syslog = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = syslog.local_addr().expect("an address");
    let folder = Folder::create().expect("a folder");
    let log = folder.path().join("broker.log");
    let config = format!("debug: true\nremote_syslog: \"tcp://{address}\"\n");
    let server = Launch::trunkline(shards)
        .config_line(&config)
        .start()
        .expect("a server");
    // Nobody is there any more.
    drop(syslog);
    for _ in 0..20 {
        join(server.address())
            .sync()
            .expect("clients notice nothing");
    }
    // The log of a file wins over syslog.
    server.write_config(&format!("{config}log_file: {log:?}\n"));
    server.signal("HUP").expect("signalled");
    let told = || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.contains("Reloaded server configuration") && text.contains(" lines dropped")
    };
    assert!(wait_until(PATIENCE, told), "the loss is told");
}

#[test]
fn no_server_is_no_start() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let url = format!("tcp://{address}");
    for launch in [Ok(Launch::trunkline(1)), Launch::nats_server()] {
        let Ok(launch) = launch else { continue };
        let mut command: Command = launch
            .flags(["-a", "127.0.0.1", "-p", "-1", "-r", &url])
            .command();
        let output = command.output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let why = format!(
            "error connecting to syslog: \"dial tcp {address}: connect: connection refused\"\n"
        );
        assert!(text.ends_with(&why), "{text}");
    }
}
