//! Subscriptions that come and go on a connection of their own, of subjects that nobody publishes to.
//!
//! Each SUB is followed by its UNSUB at once: the server's index changes twice, and never grows.

use crate::wire::Wire;

#[derive(Debug)]
pub(super) struct Churn {
    tag: String,
    per_s: f64,
    begin_ns: u64,
    /// Pairs of this phase.
    done: u64,
    /// In the whole run, so that no id comes twice.
    last_id: u64,
}

impl Churn {
    pub(super) fn new(tag: &str, per_s: f64) -> Churn {
        Churn {
            tag: tag.to_owned(),
            per_s,
            begin_ns: 0,
            done: 0,
            last_id: 0,
        }
    }

    pub(super) fn begin(&mut self, now_ns: u64) {
        self.begin_ns = now_ns;
        self.done = 0;
    }

    /// When the next pair is due.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a day of a million a second is exact"
    )]
    pub(super) fn next_ns(&self) -> u64 {
        self.begin_ns + ((self.done + 1) as f64 * 1e9 / self.per_s) as u64
    }

    /// Appends what is due by now, some of it if it is much.
    pub(super) fn render<W: Wire>(&mut self, wire: &mut W, out: &mut Vec<u8>, now_ns: u64) {
        let mut count = 0;
        while self.next_ns() <= now_ns && count < BATCH {
            self.done += 1;
            self.last_id += 1;
            let pattern = format!("{}.churn.{}", self.tag, self.last_id);
            wire.subscribe(out, self.last_id, &pattern, None);
            wire.unsubscribe(out, self.last_id, &pattern);
            count += 1;
        }
    }

    /// Share of the pairs due so far that were made.
    #[expect(clippy::cast_precision_loss, reason = "a share for a sentence")]
    pub(super) fn kept_up(&self, now_ns: u64) -> f64 {
        let due = now_ns.saturating_sub(self.begin_ns) as f64 / 1e9 * self.per_s;
        if due < 1.0 {
            return 1.0;
        }
        (self.done as f64 / due).min(1.0)
    }
}

const BATCH: u32 = 1000;
