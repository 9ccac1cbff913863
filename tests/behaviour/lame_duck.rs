//! USR2 makes the broker leave gently: no new connections, clients that can hear it are told, all are closed between
//! the grace period and the duration, and the process exits with 0.

use std::io;
use std::time::{Duration, Instant};

use crate::cast::{PATIENCE, QUIET};
use crate::support::{Launch, RawClient};

const CLIENTS: usize = 12;
const GRACE: Duration = Duration::from_secs(1);

on_1_2_and_4_shards!(clients_are_told_and_closed_in_time, nobody_to_wait_for);

fn clients_are_told_and_closed_in_time(shards: u32) {
    let mut server = Launch::trunkline(shards)
        .flags([
            "--lame_duck_duration",
            "3s",
            "--lame_duck_grace_period",
            "1s",
        ])
        .start()
        .expect("a server");
    let mut told: Vec<_> = (0..CLIENTS)
        .map(|_| server.join(r#"{"verbose":false,"protocol":1}"#))
        .collect();
    let mut untold: Vec<_> = (0..CLIENTS).map(|_| server.join(QUIET)).collect();
    for client in &mut told {
        client
            .sync()
            .expect("the INFO after the first PONG is past");
    }
    let start = Instant::now();
    server.signal("USR2").expect("signalled");
    assert!(server.logs_within("Entering lame duck mode", PATIENCE));
    for client in &mut told {
        let line = client.patience(PATIENCE).line().expect("INFO comes");
        let line = String::from_utf8(line).expect("text");
        assert!(
            line.starts_with("INFO {") && line.contains("\"ldm\":true"),
            "{line}"
        );
    }
    let refused = RawClient::connect(server.address()).and_then(|mut late| late.line());
    let refused = refused.expect_err("new connections are refused");
    assert_ne!(refused.kind(), io::ErrorKind::TimedOut, "{refused}");
    // During the grace period those who are there are served.
    if start.elapsed() < GRACE / 2 {
        let client = &mut untold[0];
        client
            .send(b"SUB still 1\r\nPUB still 2\r\nhi\r\n")
            .expect("sent");
        if start.elapsed() < GRACE / 2 {
            assert_eq!(
                client
                    .message()
                    .expect("served during the grace period")
                    .body,
                b"hi"
            );
        }
    }
    for client in told.iter_mut().chain(&mut untold) {
        client.patience(PATIENCE);
        while client.line().is_ok() {}
        assert!(client.has_ended(), "every client is closed");
    }
    let took = start.elapsed();
    let status = server
        .exit_status(PATIENCE)
        .expect("the process ends by itself");
    assert_eq!(status.code(), Some(0));
    assert!(took >= GRACE, "closed {took:?} after the signal");
    // The duration, and as much again for a busy machine.
    assert!(
        took < Duration::from_secs(6),
        "closed {took:?} after the signal"
    );
}

fn nobody_to_wait_for(shards: u32) {
    let mut server = Launch::trunkline(shards)
        .flags([
            "--lame_duck_duration",
            "1m",
            "--lame_duck_grace_period",
            "50s",
        ])
        .start()
        .expect("a server");
    let status = server
        .stop("USR2", PATIENCE)
        .expect("it does not wait for the grace period");
    assert_eq!(status.code(), Some(0));
}
