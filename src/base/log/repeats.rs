//! Lines that come again and again: which of them are logged, and how many are left out.
//!
//! *Control path.* Sans-IO.
//!
//! - Of equal lines the first of a second is logged; what is left out is counted, and told when the second is over.
//! - No more than [`KEYS_MAX`] different lines a second: whoever makes every line a different one cannot fill the log either.
//! - A second begins with a line, so that nothing runs while nothing is wrong.

use super::{Level, Record};
use crate::base::clock::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// nats-server's.
const PERIOD: Duration = Duration::from_secs(1);
const KEYS_MAX: usize = 256;

/// What has been logged in this second.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// When the second is over; `None` while none has begun.
    ends: Option<Now>,
    seen: BTreeMap<Box<str>, Seen>,
    /// Lines beyond [`KEYS_MAX`].
    others: u64,
    left_out: bool,
}

#[derive(Debug)]
struct Seen {
    level: Level,
    left_out: u64,
}

impl Repeats {
    /// Whether a line may be logged now. Call [`Repeats::end`] first.
    pub(super) fn admits(&mut self, now: Now, level: Level, key: &str) -> bool {
        self.ends.get_or_insert_with(|| now.after(PERIOD));
        if let Some(seen) = self.seen.get_mut(key) {
            seen.left_out += 1;
            self.left_out = true;
            return false;
        }
        if self.seen.len() >= KEYS_MAX {
            self.others += 1;
            self.left_out = true;
            return false;
        }
        self.seen.insert(key.into(), Seen { level, left_out: 0 });
        true
    }

    pub(super) fn deadline(&self) -> Option<Now> {
        self.ends.filter(|_| self.left_out)
    }

    /// If the second is over, tells what was left out in it.
    pub(super) fn end(&mut self, now: Now, into: &mut Vec<Record>) {
        if self.ends.is_none_or(|ends| now < ends) {
            return;
        }
        let ended = std::mem::take(self);
        for (key, Seen { level, left_out }) in ended.seen {
            if left_out > 0 {
                let text = format!("{key} ({left_out} more within a second)");
                into.push(Record::new(level, text));
            }
        }
        if ended.others > 0 {
            let text = format!("{} more lines of other kinds within a second", ended.others);
            into.push(Record::new(Level::Error, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Log;
    use super::*;

    fn texts(log: &mut Log) -> Vec<String> {
        log.take().into_iter().map(|record| record.text).collect()
    }

    fn at(millis: u64) -> Now {
        Now::ZERO.after(Duration::from_millis(millis))
    }

    #[test]
    fn of_equal_lines_one_is_logged_each_second_and_the_others_are_counted() {
        let mut log = Log::default();
        for millis in 0..4 {
            let line = format!("cid:{millis} - too many");
            log.add_seldom(at(millis), Level::Error, "too many", line);
        }
        log.add_seldom(at(5), Level::Error, "too large", "cid:9 - too large");
        assert_eq!(
            texts(&mut log),
            ["cid:0 - too many", "cid:9 - too large"],
            "the first of each"
        );
        assert_eq!(log.deadline(), Some(at(1000)));
        log.tell_repeats(at(999));
        assert!(log.is_empty(), "the second is not over");
        log.tell_repeats(at(1000));
        assert_eq!(texts(&mut log), ["too many (3 more within a second)"]);
        assert_eq!(log.deadline(), None);
        log.add_seldom(at(1001), Level::Error, "too many", "cid:5 - too many");
        assert_eq!(texts(&mut log), ["cid:5 - too many"], "a new second");
        assert_eq!(log.deadline(), None, "nothing was left out");
    }

    #[test]
    fn a_line_after_the_second_comes_behind_the_count_of_the_second() {
        let mut log = Log::default();
        for _ in 0..2 {
            log.add_seldom(at(0), Level::Warn, "key", "line");
        }
        log.add_seldom(at(5000), Level::Warn, "key", "line");
        let wanted = ["line", "key (1 more within a second)", "line"];
        assert_eq!(texts(&mut log), wanted);
    }

    #[test]
    fn different_lines_are_limited_too() {
        let mut log = Log::default();
        for number in 0..=KEYS_MAX {
            let line = format!("subject {number}");
            log.add_seldom(at(0), Level::Error, &line, line.as_str());
        }
        assert_eq!(texts(&mut log).len(), KEYS_MAX);
        log.tell_repeats(at(1000));
        let told = texts(&mut log);
        assert_eq!(told, ["1 more lines of other kinds within a second"]);
    }
}
