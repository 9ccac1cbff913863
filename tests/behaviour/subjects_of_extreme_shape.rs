//! Subjects as long and as deep as a control line allows work, plain and as patterns, across shards; one byte more
//! closes that client only.

use crate::cast::{Bystanders, PATIENCE, join};
use crate::support::Launch;

/// `max_control_line`: what may stand between the verb and the line's end.
const LINE_MAX: usize = 4096;

on_1_2_and_4_shards!(long_and_deep_subjects_work, one_byte_more_closes);

fn long_and_deep_subjects_work(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    let mut publisher = join(server.address());
    let mut clients: Vec<_> = (0..5).map(|_| join(server.address())).collect();
    let long = "x".repeat(LINE_MAX - 20);
    let deep = vec!["a"; (LINE_MAX - 20) / 2].join(".");
    let tokens = deep.split('.').count();
    let stars = vec!["*"; tokens].join(".");
    let mixed = (0..tokens).map(|depth| if depth % 2 == 0 { "*" } else { "a" });
    let mixed = mixed.collect::<Vec<_>>().join(".");
    let rest = format!("{}.>", vec!["a"; tokens - 1].join("."));
    let patterns = [
        (&long, &long),
        (&deep, &deep),
        (&deep, &stars),
        (&deep, &mixed),
        (&deep, &rest),
    ];
    for round in 0..20 {
        for (client, (subject, pattern)) in clients.iter_mut().zip(patterns) {
            crate::cast::subscribe(client, &format!("{pattern} {round}"));
            publisher
                .send(format!("PUB {subject} 2\r\nhi\r\n").as_bytes())
                .expect("sent");
            let message = client.message().expect("it arrives");
            assert!(message.subject == *subject && message.body == b"hi");
            client
                .send(format!("UNSUB {round}\r\n").as_bytes())
                .expect("sent");
            client.sync().expect("it is gone");
        }
    }
    // All of them at once, and each gets its copy.
    for (client, (_, pattern)) in clients.iter_mut().zip(patterns) {
        crate::cast::subscribe(client, &format!("{pattern} 1"));
    }
    publisher
        .send(format!("PUB {deep} 2\r\nhi\r\n").as_bytes())
        .expect("sent");
    for client in &mut clients[1..] {
        assert_eq!(client.message().expect("each gets a copy").body, b"hi");
    }
    bystanders.finish();
}

fn one_byte_more_closes(shards: u32) {
    let server = Launch::trunkline(shards).start().expect("a server");
    let bystanders = Bystanders::start(server.address());
    for verb in ["PUB", "SUB", "UNSUB", "HPUB", "CONNECT"] {
        for length in [LINE_MAX + 1, 10 * LINE_MAX, 1 << 20] {
            let mut client = server.join(r#"{"verbose":false,"headers":true}"#);
            client.patience(PATIENCE);
            drop(client.send(format!("{verb} {}", "x".repeat(length)).as_bytes()));
            match client.line() {
                Ok(line) => assert_eq!(line, b"-ERR 'maximum control line exceeded'\r\n"),
                Err(_) => assert!(client.has_ended(), "{verb} of {length} bytes closes"),
            }
        }
    }
    bystanders.finish();
}
