//! Who leaves `ping_max` PINGs unanswered is closed as stale; who answers stays, and so does who talks.

use std::time::{Duration, Instant};

use crate::cast::{PATIENCE, join};
use crate::support::{Launch, RawClient, wait_until};

on_1_2_and_4_shards!(who_does_not_answer_is_closed);

fn who_does_not_answer_is_closed(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--ping_interval", "300ms", "--ping_max", "2"])
        .start()
        .expect("a server");
    let base = server.open_files();
    let mut mute: Vec<_> = (0..6).map(|_| join(server.address())).collect();
    let mut polite: Vec<_> = (0..6).map(|_| join(server.address())).collect();
    let start = Instant::now();
    let mut answered = [0; 6];
    let outlived = || {
        for (client, count) in polite.iter_mut().zip(&mut answered) {
            *count += answer(client);
        }
        let mute_are_gone = server.open_files() <= base + polite.len();
        mute_are_gone && answered.iter().all(|count| *count >= 5)
    };
    assert!(
        wait_until(PATIENCE, outlived),
        "answered {answered:?}; {} files",
        server.open_files()
    );
    assert!(
        start.elapsed() > Duration::from_millis(600),
        "two PINGs were waited for"
    );
    for client in &mut mute {
        client.patience(PATIENCE);
        client.expect_line("PING");
        client.expect_line("PING");
        client.expect_line("-ERR 'Stale Connection'");
        client.end().expect("closed");
    }
}

/// Answers what has come; says how often that was.
fn answer(client: &mut RawClient) -> usize {
    let mut count = 0;
    client.patience(Duration::from_millis(5));
    while let Ok(line) = client.line() {
        assert_eq!(line, b"PING\r\n", "a polite one hears nothing else");
        client.send(b"PONG\r\n").expect("it is not closed");
        count += 1;
    }
    assert!(!client.has_ended(), "who answers stays");
    count
}
