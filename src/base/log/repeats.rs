//! Lines that come again and again: which of them are logged, and how many are left out.
//!
//! *Control path.* Sans-IO.
//!
//! - Of equal lines the first of a second is logged; what is left out is counted, and told when the second is over.
//! - Lines about what one client does are equal if their texts are. No more than [`LINES_OF_ONE_MAX`] different ones of a client
//!   a second, and [`LINES_MAX`] of all: whoever makes every line a different one can neither fill the log nor hide others in it.
//! - Lines for whoever it may concern have keys of the server's own choice, and places of their own.
//! - A second begins with a line, so that nothing runs while nothing is wrong.

use super::{About, Level, Line, Record};
use crate::base::clock::Now;
use crate::base::ids::ClientNumber;
use std::collections::BTreeMap;
use std::time::Duration;

/// nats-server's.
const PERIOD: Duration = Duration::from_secs(1);
/// Different lines: so many about clients, and so many others.
const LINES_MAX: usize = 256;
/// Different lines about one client.
const LINES_OF_ONE_MAX: usize = 32;

/// What has been logged in this second.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// When the second is over; `None` while none has begun.
    ends: Option<Now>,
    /// Lines about clients, by their texts; and others, by their keys.
    of_clients: BTreeMap<Box<str>, Seen>,
    of_all: BTreeMap<Box<str>, Seen>,
    clients: BTreeMap<ClientNumber, Talker>,
    /// Lines beyond [`LINES_MAX`].
    others: u64,
    left_out: bool,
}

#[derive(Debug)]
struct Seen {
    level: Level,
    about: Option<Box<About>>,
    left_out: u64,
}

/// A client that lines are about.
#[derive(Debug)]
struct Talker {
    about: Box<About>,
    /// What its lines begin with.
    label: Box<str>,
    lines: usize,
    /// Lines beyond [`LINES_OF_ONE_MAX`].
    others: u64,
}

impl Repeats {
    /// Whether a line with this key may be logged now. Call [`Repeats::end`] first.
    pub(super) fn admits(&mut self, now: Now, level: Level, key: &str) -> bool {
        self.ends.get_or_insert_with(|| now.after(PERIOD));
        if let Some(seen) = self.of_all.get_mut(key) {
            seen.left_out += 1;
        } else if self.of_all.len() >= LINES_MAX {
            self.others += 1;
        } else {
            self.of_all.insert(key.into(), Seen::first(level, None));
            return true;
        }
        self.left_out = true;
        false
    }

    /// Whether a line about a client may be logged now. Call [`Repeats::end`] first.
    pub(super) fn admits_of_client(&mut self, now: Now, level: Level, line: &Line) -> bool {
        let Some(about) = &line.about else {
            return self.admits(now, level, line.text());
        };
        self.ends.get_or_insert_with(|| now.after(PERIOD));
        let is_full = self.of_clients.len() >= LINES_MAX;
        let talker = self.clients.get_mut(&about.number);
        if let Some(seen) = self.of_clients.get_mut(line.text()) {
            seen.left_out += 1;
        } else if let Some(talker) = talker.filter(|it| is_full || it.lines >= LINES_OF_ONE_MAX) {
            talker.others += 1;
        } else if is_full {
            self.others += 1;
        } else {
            let seen = Seen::first(level, Some(about.clone()));
            self.of_clients.insert(line.text().into(), seen);
            let talker = self.clients.entry(about.number);
            talker.or_insert_with(|| Talker::new(line, about)).lines += 1;
            return true;
        }
        self.left_out = true;
        false
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
        for (key, seen) in ended.of_all.into_iter().chain(ended.of_clients) {
            let Seen {
                level,
                about,
                left_out,
            } = seen;
            if left_out > 0 {
                let text = format!("{key} ({left_out} more within a second)");
                into.push(Record { level, text, about });
            }
        }
        for talker in ended.clients.into_values().filter(|it| it.others > 0) {
            let (label, others) = (&talker.label, talker.others);
            into.push(Record {
                level: Level::Error,
                text: format!("{label}{others} more lines of other kinds within a second"),
                about: Some(talker.about),
            });
        }
        if ended.others > 0 {
            let text = format!("{} more lines of other kinds within a second", ended.others);
            into.push(Record::new(Level::Error, text));
        }
    }
}

impl Seen {
    fn first(level: Level, about: Option<Box<About>>) -> Seen {
        Seen {
            level,
            about,
            left_out: 0,
        }
    }
}

impl Talker {
    fn new(line: &Line, about: &About) -> Talker {
        Talker {
            about: Box::new(about.clone()),
            label: line.text()[..about.prefix].into(),
            lines: 0,
            others: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Log;
    use super::*;
    use std::net::SocketAddr;

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

    fn line_of(number: u64, text: &str) -> Line {
        let label = format!("cid:{number} - ");
        let about = About {
            number: ClientNumber(number),
            origin: SocketAddr::from(([192, 0, 2, 1], 7)).into(),
            party: None,
            prefix: label.len(),
        };
        Line::about(about, label + text)
    }

    #[test]
    fn different_lines_of_a_client_are_limited_and_hide_nobody_else() {
        let mut log = Log::default();
        for number in 0..LINES_OF_ONE_MAX + 2 {
            log.add_seldom_of_client(
                at(0),
                Level::Error,
                line_of(1, &format!("subject {number}")),
            );
        }
        assert_eq!(texts(&mut log).len(), LINES_OF_ONE_MAX);
        log.add_seldom_of_client(at(0), Level::Error, line_of(1, "subject 0"));
        assert!(log.is_empty(), "an equal one is counted with its equals");
        log.add_seldom_of_client(at(0), Level::Error, line_of(2, "another"));
        log.add_seldom(at(0), Level::Error, "full", "the server is full");
        assert_eq!(texts(&mut log), ["cid:2 - another", "the server is full"]);
        log.tell_repeats(at(1000));
        let told = log.take();
        let about: Vec<_> = told.iter().map(|one| one.about.as_ref()).collect();
        assert!(about.iter().all(|about| {
            about.is_some_and(|about| about.number == ClientNumber(1) && about.prefix == 8)
        }));
        let told: Vec<String> = told.into_iter().map(|record| record.text).collect();
        assert_eq!(
            told,
            [
                "cid:1 - subject 0 (1 more within a second)",
                "cid:1 - 2 more lines of other kinds within a second",
            ]
        );
    }

    #[test]
    fn different_lines_of_all_clients_are_limited_too() {
        let mut log = Log::default();
        let clients = (LINES_MAX / LINES_OF_ONE_MAX) as u64;
        for number in 0..LINES_OF_ONE_MAX {
            for client in 0..clients {
                let text = format!("subject {number}");
                log.add_seldom_of_client(at(0), Level::Error, line_of(client, &text));
            }
        }
        assert_eq!(texts(&mut log).len(), LINES_MAX);
        log.add_seldom_of_client(at(0), Level::Error, line_of(clients, "late"));
        for number in 0..=LINES_MAX {
            log.add_seldom(at(0), Level::Error, &format!("key {number}"), "ours");
        }
        assert_eq!(texts(&mut log).len(), LINES_MAX, "places of their own");
        log.tell_repeats(at(1000));
        let told = texts(&mut log);
        assert_eq!(told, ["2 more lines of other kinds within a second"]);
    }
}
