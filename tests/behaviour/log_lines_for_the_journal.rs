//! Lines that go to systemd's journal begin with their level, so that `journalctl -p err` finds the errors; others do not.

use crate::support::Launch;

on_1_2_and_4_shards!(
    the_journal_is_told_levels,
    another_standard_error_than_the_journal_is_not,
);

/// The shell's standard error becomes the broker's.
const IS_JOURNAL: &str = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)";

fn the_journal_is_told_levels(shards: u32) {
    let server = Launch::trunkline(shards)
        .prelude(IS_JOURNAL)
        .config_line("debug: true")
        .start()
        .expect("a server");
    drop(server.connect());
    assert_eq!(server.reload("max_payload: -"), Ok(false));
    let log = server.log();
    for line in log.lines().filter(|line| line.contains("] [")) {
        let priority = match line {
            line if line.contains("[ERR]") => "<3>[",
            line if line.contains("[INF]") => "<6>[",
            line if line.contains("[DBG]") => "<7>[",
            _ => continue,
        };
        assert!(line.starts_with(priority), "{line}");
    }
    for begins in ["<3>[", "<6>[", "<7>["] {
        assert!(log.lines().any(|line| line.starts_with(begins)), "{log}");
    }
}

fn another_standard_error_than_the_journal_is_not(shards: u32) {
    for stream in ["1:1", "", "nonsense"] {
        let server = Launch::trunkline(shards)
            .prelude(&format!("export JOURNAL_STREAM={stream}"))
            .start()
            .expect("a server");
        let log = server.log();
        assert!(log.starts_with('['), "{log}");
    }
}
