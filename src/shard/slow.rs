//! Slow consumers: found, told, closed, remembered. *Off the hot path.*
//!
//! The line in the log is nats-server's; a second one says what was too much. The subject is read from what waits in the
//! outbox, so that deliveries need not note anything.

use super::{Seat, Shard};
use crate::base::log::Level;
use crate::config::duration::GoDuration;
use crate::session::client::Ending;
use crate::session::close::CloseReason;
use crate::session::slow_consumer::SlowConsumer;
use std::collections::VecDeque;

/// Slow consumers that a shard remembers.
const REMEMBERED_MAX: usize = 64;

/// The slow consumers that were closed last, oldest first.
pub(super) type SlowConsumers = VecDeque<SlowConsumer>;

impl Shard {
    /// The consumers that were too slow lately, the last one at the end.
    pub fn slow_consumers(&self) -> impl Iterator<Item = &SlowConsumer> {
        self.slow_consumers.iter()
    }

    /// Closes connections whose batch in flight has not moved for the write deadline. Not the server's own: its other end
    /// runs when nobody else needs the core, and what waits for it has a limit all the same.
    pub(super) fn close_stuck(&mut self) {
        let deadline = self.settings.write_deadline;
        let mut any_in_flight = false;
        let mut stuck = Vec::new();
        for (slot, seat) in self.seats.iter() {
            let Some(since) = self.router.outboxes.stuck_since(slot) else {
                continue;
            };
            any_in_flight = true;
            if matches!(seat, Seat::Serving(_)) && self.now.since(since) >= deadline {
                stuck.push(slot);
            }
        }
        self.stuck_check_at = any_in_flight.then(|| self.now.after(deadline / 8));
        for slot in stuck {
            let (chunks, bytes) = self.router.outboxes.backlog(slot);
            let text = format!(
                "Slow Consumer Detected: WriteDeadline of {} exceeded with {chunks} chunks of {bytes} total bytes.",
                GoDuration(deadline)
            );
            self.tally.slow_consumers_deadline += 1;
            self.close_slow(slot, &text, CloseReason::SlowConsumerWriteDeadline);
        }
    }

    /// Closes connections for which more waits than may.
    pub(super) fn close_overflowed(&mut self) {
        for slot in self.router.outboxes.take_overflowed() {
            let max = self.settings.outbox.pending;
            let text = format!("Slow Consumer Detected: MaxPending of {max} Exceeded");
            if !self.is_resident(slot) {
                self.tally.slow_consumers_pending += 1;
            }
            self.close_slow(slot, &text, CloseReason::SlowConsumerPendingBytes);
        }
    }

    fn close_slow(&mut self, slot: u32, text: &str, reason: CloseReason) {
        let id = self.id_of(slot);
        let Some(client) = self.client(id) else {
            self.close(id, reason);
            return;
        };
        let slow = client.slow_consumer(reason, self.now, &self.router);
        let account = self.settings.accounts.name(slow.account);
        let (found, told) = (client.labelled(text), client.labelled(&slow.told(account)));
        self.log.add(Level::Info, found);
        self.log.add(Level::Info, told);
        let ending = Ending {
            reason,
            slow: Some(&slow),
        };
        self.close_with(id, ending);
        if self.slow_consumers.len() >= REMEMBERED_MAX {
            self.slow_consumers.pop_front();
        }
        self.slow_consumers.push_back(slow);
    }
}
