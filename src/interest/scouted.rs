//! Looking up a few messages ahead of the one that is being delivered. *Hot path.*
//!
//! With a hundred thousand subjects each look-up is a row of cache misses, each waiting for the one before, and the next
//! look-up begins only when the message has been delivered. Taken step by step for some messages at once, the misses overlap.
//!
//! What it finds are hints: a wrong or outdated one costs a compare.

use super::cache::Tag;
use super::{Interest, Memo, Route, Scope};

/// Where the answers for the next few messages of a stream are.
#[derive(Debug, Default)]
pub struct Scouted {
    memos: [Memo; AHEAD],
    next: usize,
    count: usize,
    /// Where the answer for the last message was.
    last: Memo,
}

/// Messages looked up at once. With more the misses would overlap no better: a core waits for some ten lines at a time.
const AHEAD: usize = 16;

/// Remembered answers from which on it pays: 256 KiB of them.
const WORTH_IT_FROM: usize = 4096;

impl Scouted {
    /// Puts what is known of the next message where its look-up begins.
    #[inline]
    pub fn hint(&mut self, memo: &mut Memo) {
        if self.next < self.count {
            *memo = self.memos[self.next];
            self.next += 1;
        }
    }

    /// Looks ahead when that is likely to pay: there are many answers, and `memo`, where the last one was, is not where the
    /// one before was. `subjects` gives those of the messages to come, and where they are.
    #[inline]
    pub fn look_ahead<'s, I: Iterator<Item = (Scope, &'s [u8])>>(
        &mut self,
        interest: &Interest,
        memo: Memo,
        subjects: impl FnOnce() -> I,
    ) {
        if memo == self.last {
            return;
        }
        self.last = memo;
        if self.next == self.count && interest.cached_count() >= WORTH_IT_FROM {
            self.scout(interest, subjects());
        }
    }

    #[inline(never)]
    fn scout<'s>(
        &mut self,
        interest: &Interest,
        subjects: impl Iterator<Item = (Scope, &'s [u8])>,
    ) {
        let mut tags = [Tag::default(); AHEAD];
        self.next = 0;
        self.count = 0;
        for (tag, (scope, subject)) in tags.iter_mut().zip(subjects) {
            *tag = interest.cache.tag(scope, subject);
            self.count += 1;
        }
        // One short loop for each step, so that several rounds of it fit the processor's window.
        for (memo, tag) in self.memos.iter_mut().zip(&tags[..self.count]) {
            *memo = interest.cache.place(*tag).unwrap_or_default();
        }
        for memo in &self.memos[..self.count] {
            if let Route::One { subscription, .. } = interest.cache.answer(*memo).route() {
                std::hint::black_box(interest.tallies.is_spent(*subscription));
            }
        }
    }
}
