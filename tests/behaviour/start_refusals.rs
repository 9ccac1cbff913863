//! A broker that cannot start says why and exits with 1; one that can writes its process id, digits only, where asked.

use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{Folder, Launch};

on_1_2_and_4_shards!(
    a_port_in_use,
    a_log_that_cannot_be_written,
    the_pid_file_holds_digits_only
);

fn refusal(launch: &Launch) -> String {
    let output = launch
        .command()
        .stdout(Stdio::null())
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("Server is ready"), "{text}");
    text
}

fn a_port_in_use(shards: u32) {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let launch = Launch::trunkline(shards).flags(["-a", "127.0.0.1", "-p", &port.to_string()]);
    let text = refusal(&launch);
    let told = text
        .lines()
        .find(|line| line.contains("[FTL]"))
        .unwrap_or_default();
    assert!(told.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(told.contains("address already in use"), "{text}");

    // A running broker's port is taken as well.
    let server = Launch::trunkline(shards).start().expect("a server");
    let port = server.address().port().to_string();
    let text = refusal(&Launch::trunkline(shards).flags(["-a", "127.0.0.1", "-p", &port]));
    assert!(
        text.contains("[FTL]") && text.contains("address already in use"),
        "{text}"
    );
    server
        .join(crate::cast::QUIET)
        .sync()
        .expect("the first one goes on");
}

fn a_log_that_cannot_be_written(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let file = folder.path().join("no such folder").join("broker.log");
    let file = file.to_str().expect("a plain path");
    let text =
        refusal(&Launch::trunkline(shards).flags(["-a", "127.0.0.1", "-p", "-1", "-l", file]));
    assert!(
        text.contains(file) && text.contains("no such file or directory"),
        "{text}"
    );
}

fn the_pid_file_holds_digits_only(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let file = folder.path().join("broker.pid");
    let name = file.to_str().expect("a plain path");
    let server = Launch::trunkline(shards)
        .flags(["-P", name])
        .start()
        .expect("a server");
    assert_eq!(
        fs::read_to_string(&file).expect("a pid file"),
        server.pid().to_string()
    );
}
