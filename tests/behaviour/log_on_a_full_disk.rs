//! A disk without room costs lines, and never halves of them: what is in the log file is whole, and when there is room again
//! the log goes on and tells how much is missing. Clients notice nothing.

use std::fs::{self, OpenOptions};
use std::path::Path;

use crate::cast::{PATIENCE, join};
use crate::support::{Folder, Launch, Server, wait_until};
use serde_json::Value;

on_1_2_and_4_shards!(what_is_in_the_file_is_whole);

/// Bytes that the kernel lets a file of the server have; the log format matters nothing to it.
const ROOM: u64 = 8 * 512;

fn what_is_in_the_file_is_whole(shards: u32) {
    let folder = Folder::create().expect("a folder");
    let log = folder.path().join("broker.log");
    let server = Launch::trunkline(shards)
        // A file may not grow over the limit, and the signal that tells so is not heeded: then a write is cut short.
        .prelude("ulimit -f 8 && trap '' XFSZ")
        .config_line(&format!("log_file: {log:?}\nlog_format: json\ndebug: true"))
        .start()
        .expect("a server");
    talk(&server, 100);
    let is_full = || size(&log) > ROOM - 512;
    assert!(wait_until(PATIENCE, &is_full), "{} bytes", size(&log));
    talk(&server, 100);
    let before = whole_lines(&log);
    assert!(before.len() > 5, "{before:?}");

    // Somebody makes room, as `logrotate` with `copytruncate` does, and again when what was still queued has filled it.
    let told = || {
        talk(&server, 1);
        let text = fs::read_to_string(&log).expect("the log");
        if text.contains(" lines dropped") {
            return true;
        }
        if is_full() {
            let file = OpenOptions::new().write(true).truncate(true).open(&log);
            file.expect("emptied");
        }
        false
    };
    assert!(wait_until(PATIENCE, told), "the loss is told");
    let after = whole_lines(&log);
    assert!(after.len() > 1, "{after:?}");
}

/// Makes lines in the log.
fn talk(server: &Server, times: usize) {
    for _ in 0..times {
        join(server.address()).sync().expect("an answer");
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The lines of the log, each of which is an object.
fn whole_lines(log: &Path) -> Vec<Value> {
    let mut text = String::new();
    // A line may be on its way at this moment.
    let has_ended = wait_until(PATIENCE, || {
        text = fs::read_to_string(log).expect("the log");
        text.ends_with('\n')
    });
    assert!(has_ended, "a torn line: {text}");
    text.lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}
