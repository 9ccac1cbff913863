//! A new connection goes to the shard with the fewest, so that all cores share the work.
//!
//! The broker does not tell which shard has a connection; the kernel tells which thread wakes up when it is used.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::cast::{PATIENCE, join};
use crate::support::{Launch, RawClient, Server, wait_until};

const PER_SHARD: usize = 2;

on_1_2_and_4_shards!(
    every_shard_gets_as_many,
    the_shard_that_lost_some_gets_the_next
);

fn every_shard_gets_as_many(shards: u32) {
    // Spinning would look like work.
    let server = Launch::trunkline(shards)
        .flags(["--spin_us", "0"])
        .start()
        .expect("a server");
    let count = shards as usize * PER_SHARD;
    let mut clients: Vec<_> = (0..count).map(|_| join(server.address())).collect();
    let homes: Vec<_> = clients
        .iter_mut()
        .map(|client| home(&server, client))
        .collect();
    let spread = count_each(&homes);
    assert_eq!(spread.len(), shards as usize, "{spread:?}");
    assert!(
        spread.values().all(|connections| *connections == PER_SHARD),
        "{spread:?}"
    );
}

fn the_shard_that_lost_some_gets_the_next(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--spin_us", "0"])
        .start()
        .expect("a server");
    let count = shards as usize * PER_SHARD;
    let mut clients: Vec<_> = (0..count).map(|_| join(server.address())).collect();
    let homes: Vec<_> = clients
        .iter_mut()
        .map(|client| home(&server, client))
        .collect();
    let deserted = homes.last().expect("some").clone();
    let files = server.open_files();
    let mut index = 0;
    clients.retain(|_| {
        index += 1;
        homes[index - 1] != deserted
    });
    assert!(
        wait_until(PATIENCE, || server.open_files() + PER_SHARD <= files),
        "they are closed"
    );
    for _ in 0..PER_SHARD {
        let mut client = join(server.address());
        assert_eq!(home(&server, &mut client), deserted);
        clients.push(client);
    }
}

/// The thread that wakes up when this connection is used.
fn home(server: &Server, client: &mut RawClient) -> String {
    let before = sleeps(server);
    for _ in 0..ROUND_TRIPS {
        client.sync().expect("PONG comes");
        // Time to fall asleep again.
        thread::sleep(Duration::from_millis(1));
    }
    let after = sleeps(server);
    let woken = after
        .iter()
        .map(|(name, count)| (count - before[name], name));
    let (count, name) = woken.max().expect("there are shards");
    assert!(
        count > ROUND_TRIPS / 4,
        "nobody woke up for it: {before:?} {after:?}"
    );
    name.clone()
}

fn sleeps(server: &Server) -> BTreeMap<String, u64> {
    let threads = server.thread_sleeps().into_iter();
    threads
        .filter(|(name, _)| name.starts_with("shard-"))
        .collect()
}

const ROUND_TRIPS: u64 = 60;

fn count_each(homes: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for home in homes {
        *counts.entry(home.as_str()).or_insert(0) += 1;
    }
    counts
}
