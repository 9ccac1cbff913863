//! What connections are owed, on its way to the kernel. *Hot path.*
//!
//! Invariant: of a connection one batch at most is in flight; what comes late for one that is gone finds nobody, and only
//! gives its memory back.

use super::Shard;
use crate::base::ids::ConnectionId;
use crate::router::Batch;

impl Shard {
    /// A connection whose outbox should be sent now, at the end of the turn.
    pub fn next_dirty(&mut self) -> Option<ConnectionId> {
        let slot = self.router.outboxes.next_dirty()?;
        Some(self.id_of(slot))
    }

    /// A connection whose outbox is worth a send in mid-turn.
    pub fn next_heavy(&mut self) -> Option<ConnectionId> {
        let slot = self.router.outboxes.next_heavy()?;
        Some(self.id_of(slot))
    }

    pub fn has_dirty(&self) -> bool {
        self.router.outboxes.has_dirty()
    }

    /// The next batch of a connection, unless one is in flight.
    pub fn take_batch(&mut self, id: ConnectionId) -> Option<Batch> {
        if !self.is_current(id) {
            return None;
        }
        self.router.outboxes.take(id.slot)
    }

    /// The kernel did not take the whole batch at once; from now on its progress is watched.
    pub fn batch_delayed(&mut self) {
        let next = self.now.after(self.settings.write_deadline / 8);
        self.stuck_check_at.get_or_insert(next);
    }

    /// The kernel has taken that many bytes of the batch in flight.
    pub fn batch_progressed(&mut self, id: ConnectionId, bytes: usize) {
        if self.is_current(id) {
            // A publisher that may go on now does so in [`Shard::run_timers`]: what it has left here must not be taken in
            // between two sends, when its announcements could no longer go first.
            self.router.outboxes.sent(id.slot, bytes);
        }
    }

    /// The batch in flight has been sent, or never will be.
    pub fn batch_finished(&mut self, id: ConnectionId, batch: Batch) {
        if self.is_current(id) {
            self.router.outboxes.finished(id.slot, batch);
        } else {
            self.router.outboxes.recycle(batch);
        }
    }

    /// Bytes that a connection is still owed.
    pub fn pending(&self, id: ConnectionId) -> usize {
        if self.is_current(id) {
            self.router.outboxes.pending(id.slot)
        } else {
            0
        }
    }
}
