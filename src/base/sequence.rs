//! Numbers for what the whole server says, whichever thread says it. *Control path*: no message passes through here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives every number once, in rising order. Clones go on together.
#[derive(Clone, Debug, Default)]
pub struct Sequence(Arc<AtomicU64>);

impl Sequence {
    /// The next number; the first is 1.
    pub fn next_number(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
