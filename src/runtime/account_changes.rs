//! Which accounts have more or fewer clients than a moment ago. *Control path*: shards note, the system services take.
//!
//! Invariant: it has room for every account there can be, and never more: a storm of connections is one note per account.

use crate::base::ids::AccountId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// A bit for every account. Clones are one.
#[derive(Clone)]
pub struct AccountChanges(Arc<Shared>);

struct Shared {
    bits: Box<[AtomicU64]>,
    noted: Notify,
}

const WORD_BITS: usize = u64::BITS as usize;
const ACCOUNTS: usize = 1 << u16::BITS;

impl Default for AccountChanges {
    fn default() -> AccountChanges {
        let words = 0..ACCOUNTS / WORD_BITS;
        AccountChanges(Arc::new(Shared {
            bits: words.map(|_| AtomicU64::new(0)).collect(),
            noted: Notify::new(),
        }))
    }
}

impl AccountChanges {
    /// Notes that an account has changed.
    pub fn note(&self, account: AccountId) {
        let bit = 1 << (account.index() % WORD_BITS);
        let word = &self.0.bits[account.index() / WORD_BITS];
        if word.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            self.0.noted.notify_one();
        }
    }

    /// Waits until something has been noted that was not taken.
    pub async fn wait(&self) {
        self.0.noted.notified().await;
    }

    /// The accounts that were noted.
    pub fn take(&self) -> Vec<AccountId> {
        let mut accounts = Vec::new();
        for (index, word) in (0u16..).zip(self.0.bits.iter()) {
            let mut bits = match word.load(Ordering::Relaxed) {
                0 => continue,
                _ => word.swap(0, Ordering::AcqRel),
            };
            while bits != 0 {
                let bit = bits.trailing_zeros();
                bits &= bits - 1;
                let bit = u16::try_from(bit).unwrap_or_default();
                accounts.push(AccountId(index * 64 + bit));
            }
        }
        accounts
    }
}

impl fmt::Debug for AccountChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountChanges").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_taken_once() {
        let changes = AccountChanges::default();
        let accounts = [0, 1, 63, 64, 65, 4095, u16::MAX].map(AccountId);
        for account in accounts.iter().rev() {
            changes.note(*account);
            changes.note(*account);
        }
        assert_eq!(changes.take(), accounts);
        assert_eq!(changes.take(), []);
        changes.note(AccountId(7));
        assert_eq!(changes.take(), [AccountId(7)]);
    }
}
