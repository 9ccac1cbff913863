//! USR1 makes the broker write to a new file under the log's name: the old one may have been moved away by logrotate.

use std::fs;

use crate::cast::{PATIENCE, join};
use crate::support::{Folder, Launch, wait_until};

on_1_2_and_4_shards!(a_moved_log_is_begun_anew);

fn a_moved_log_is_begun_anew(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let (log, moved) = (
        folder.path().join("broker.log"),
        folder.path().join("broker.log.1"),
    );
    let name = log.to_str().expect("a plain path");
    let server = Launch::trunkline(shards)
        .flags(["-D", "-l", name])
        .start()
        .expect("a server");
    let mut client = join(server.address());
    let is_ready = || fs::read_to_string(&log).is_ok_and(|text| text.contains("Server is ready"));
    assert!(
        wait_until(PATIENCE, is_ready),
        "what has happened is written"
    );
    fs::rename(&log, &moved).expect("moved");
    server.signal("USR1").expect("signalled");
    let reopened =
        || fs::read_to_string(&log).is_ok_and(|text| text.contains("File log re-opened"));
    assert!(wait_until(PATIENCE, reopened), "a new log file");

    client.sync().expect("clients notice nothing");
    let late = join(server.address());
    let port = late.local_address().expect("an address").to_string();
    let written = || fs::read_to_string(&log).is_ok_and(|text| text.contains(&port));
    assert!(
        wait_until(PATIENCE, written),
        "what happens later is in the new file"
    );
    let old = fs::read_to_string(&moved).expect("the old file is there");
    assert!(
        old.contains("Server is ready") && !old.contains(&port),
        "{old}"
    );
}
