//! A log file over its limit is set aside under a name with the time, and no more files are kept than there may be: the
//! same files as nats-server leaves, and the same lines in them.

use std::fs;
use std::path::Path;

use crate::cast::{PATIENCE, join};
use crate::support::{Folder, Launch, wait_until};

on_1_2_and_4_shards!(a_full_log_is_set_aside);

fn a_full_log_is_set_aside(shards: u32) {
    leaves_the_files_of_nats_server(Launch::trunkline(shards), shards == 2);
}

#[test]
fn as_nats_server_does() {
    match Launch::nats_server() {
        Ok(launch) => {
            leaves_the_files_of_nats_server(launch.clone(), true);
            leaves_the_files_of_nats_server(launch, false);
        }
        Err(why) => eprintln!("not compared: {why}"),
    }
}

const LIMIT: usize = 2000;
const FILES: usize = 3;

fn leaves_the_files_of_nats_server(launch: Launch, is_limited: bool) {
    let folder = Folder::create().expect("a folder");
    let log = folder.path().join("broker.log");
    let others = ["broker.log.1", "broker.log.gz", "broker.log.2020.01.01"];
    for name in others {
        fs::write(folder.path().join(name), "mine").expect("written");
    }
    let mut launch = launch
        .config_line(&format!("log_file: {:?}", log.to_str().expect("a path")))
        .config_line(&format!("logfile_size_limit: {LIMIT}"))
        .flags(["-D"]);
    if is_limited {
        launch = launch.config_line(&format!("logfile_max_num: {FILES}"));
    }
    let server = launch.start().expect("a server");
    let mut moved = 0;
    let enough = || {
        let mut client = join(server.address());
        client.sync().expect("an answer");
        drop(client);
        moved += 1;
        moved >= 100 && backups(folder.path()).len() >= FILES - 1
    };
    assert!(wait_until(PATIENCE, enough), "so much was logged");
    drop(server);

    let backups = backups(folder.path());
    if is_limited {
        assert_eq!(backups.len(), FILES - 1, "{backups:?}");
    } else {
        assert!(backups.len() > 2 * FILES, "{backups:?}");
    }
    for name in &backups {
        let moment = name.strip_prefix("broker.log.").expect("its name in front");
        let digits: Vec<usize> = moment.split('.').map(str::len).collect();
        assert_eq!(digits, [4, 2, 2, 2, 2, 2, 9], "{name}");
        let text = fs::read_to_string(folder.path().join(name)).expect("a backup");
        // The line that went over the limit is the last one; nats-server does not count all of its own lines.
        let last = text.lines().last().map_or(0, str::len);
        let before = text.len() - last;
        assert!(text.len() > LIMIT && before < LIMIT + 200, "{text}");
    }
    for name in others {
        assert!(folder.path().join(name).exists(), "{name} is not ours");
    }
    let newest = backups.iter().max().expect("a backup");
    let newest = fs::read_to_string(folder.path().join(newest)).expect("a backup");
    let rotated = newest.lines().next().unwrap_or_default();
    let quoted = format!("[INF] Rotated log, backup saved as \"{}.2", log.display());
    assert!(rotated.contains(&quoted), "{rotated}");
    let purged = newest.lines().nth(1).unwrap_or_default();
    let is_purged = purged.contains("[INF] Purged log file \"broker.log.2");
    assert_eq!(is_purged, is_limited, "{purged}");
}

fn backups(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").flatten();
    names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            name.starts_with("broker.log.2") && name.len() > "broker.log.2020.01.01".len()
        })
        .collect()
}
