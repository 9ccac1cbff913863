//! Where credentials are wanted, a client has `auth_timeout` to show them, whether it says nothing, half a word, or a
//! byte now and then; who has shown them may be silent as long as it likes.

use std::time::{Duration, Instant};

use crate::cast::{PATIENCE, is_served};
use crate::support::{Launch, RawClient};

const TIMEOUT: Duration = Duration::from_secs(1);

on_1_2_and_4_shards!(nobody_gets_more_time);

fn nobody_gets_more_time(shards: u32) {
    let server = Launch::trunkline(shards)
        .flags(["--auth", "secret", "--auth_timeout", "1s"])
        .start()
        .expect("a server");
    let mut known: Vec<_> = (0..4)
        .map(|_| server.join(r#"{"verbose":false,"auth_token":"secret"}"#))
        .collect();
    let start = Instant::now();
    let mut silent: Vec<_> = (0..12).map(|_| server.connect()).collect();
    for (index, client) in silent.iter_mut().enumerate() {
        let words = ["", "C", "CONNECT {\"auth_token\":\"sec"];
        client.send(words[index % 3].as_bytes()).expect("sent");
    }
    // Slower than slow: a byte every 50 ms, of a text that never ends.
    let mut loris: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut loris {
        client.send(b"CONNECT {\"name\":\"").expect("sent");
    }
    while start.elapsed() < TIMEOUT * 2 {
        for client in &mut loris {
            // Fails once it is closed.
            drop(client.send(b"x"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    for client in silent.iter_mut() {
        expect_time_out(client, true);
    }
    for client in loris.iter_mut() {
        // A reset may have taken the text away: we wrote after the end.
        expect_time_out(client, false);
    }
    for client in &mut known {
        is_served(client).expect("who is known stays");
    }
}

fn expect_time_out(client: &mut RawClient, has_text: bool) {
    client.patience(PATIENCE);
    let mut text = Vec::new();
    while let Ok(line) = client.line() {
        text.extend(line);
    }
    assert!(client.has_ended(), "it is closed");
    if has_text {
        let text = String::from_utf8_lossy(&text);
        assert!(
            text.ends_with("-ERR 'Authentication Timeout'\r\n"),
            "{text}"
        );
    }
}
