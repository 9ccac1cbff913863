//! `max_connections` counts the connections of all shards together; the one too many is greeted, told and closed, and
//! who leaves makes room.

use crate::cast::{PATIENCE, QUIET, join};
use crate::support::{Launch, RawClient, wait_until};

const LIMIT: usize = 6;

on_1_2_and_4_shards!(the_limit_holds_over_all_shards);

fn the_limit_holds_over_all_shards(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--max_connections", &LIMIT.to_string()])
        .start()
        .expect("a server");
    let files = server.open_files();
    for _ in 0..5 {
        let mut clients: Vec<_> = (0..LIMIT).map(|_| join(server.address())).collect();
        for _ in 0..4 {
            let mut refused = server.connect();
            refused.patience(PATIENCE);
            let greeting = refused.line().expect("it is greeted");
            assert!(greeting.starts_with(b"INFO {"));
            refused.expect_line("-ERR 'maximum connections exceeded'");
            refused.end().expect("it is closed");
        }
        for client in &mut clients {
            client.sync().expect("those who were there are served");
        }
        // One goes, one comes.
        clients.pop();
        assert!(
            wait_until(PATIENCE, || try_join(&server).is_some()),
            "room is made by those who leave"
        );
        drop(clients);
        let emptied = || server.open_files() <= files;
        assert!(wait_until(PATIENCE, emptied), "all have gone");
    }
}

fn try_join(server: &crate::support::Server) -> Option<RawClient> {
    let mut client = server.connect();
    client.patience(PATIENCE);
    client.line().ok()?;
    client
        .send(format!("CONNECT {QUIET}\r\n").as_bytes())
        .ok()?;
    client.sync().ok()?;
    Some(client)
}
