//! An error that a client makes again and again is logged once a second, and then how often it was: a client cannot fill the
//! disk with its mistakes.

use crate::cast::PATIENCE;
use crate::support::{Launch, wait_until};

on_1_2_and_4_shards!(of_many_equal_errors_one_is_logged);

const USER: &str = r#"authorization { users: [
  { user: ann, password: p, permissions: { publish: "a.>" } }
] }"#;
const VIOLATIONS: usize = 2000;

fn of_many_equal_errors_one_is_logged(shards: u32) {
    let launch = Launch::trunkline(shards).config_line(USER);
    let server = launch.start().expect("a server");
    let mut client = server.join(r#"{"verbose":false,"user":"ann","pass":"p"}"#);
    client
        .send("PUB b.c 0\r\n\r\n".repeat(VIOLATIONS).as_bytes())
        .expect("sent");
    for _ in 0..VIOLATIONS {
        let refused = client.line().expect("each is refused");
        assert!(refused.starts_with(b"-ERR"), "{refused:?}");
    }
    let text = "Publish Violation - Subject \"b.c\"";
    let told = || accounted_for(&server.log(), text) == VIOLATIONS;
    assert!(wait_until(PATIENCE, told), "{}", server.log());
    let lines = server
        .log()
        .lines()
        .filter(|line| line.contains(text))
        .count();
    assert!(lines < VIOLATIONS / 4, "{lines} lines");
}

/// How many errors the log tells of, line by line or as a number.
fn accounted_for(log: &str, text: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .map(|line| match line.strip_suffix(" more within a second)") {
            Some(rest) => {
                let (_, count) = rest.rsplit_once('(').expect("a number in brackets");
                count.parse::<usize>().expect("a number")
            }
            None => 1,
        })
        .sum()
}
