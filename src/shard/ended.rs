//! What connections that have ended had sent and received, by account: with the living ones it is what an account has had
//! in all, without a count per message. *Per closed connection.*
//!
//! A connection that has moved from one account to another counts for the last.

use crate::base::ids::AccountId;
use crate::router::Traffic;

/// The ended connections of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub received: Traffic,
    pub sent: Traffic,
    /// Those that were closed because they did not keep up.
    pub slow_consumers: u64,
}

/// By account; grows to the last account that had any.
#[derive(Debug, Default)]
pub(super) struct EndedByAccount(Vec<Ended>);

impl EndedByAccount {
    pub(super) fn of(&self, account: AccountId) -> Ended {
        self.0.get(account.index()).copied().unwrap_or_default()
    }

    pub(super) fn add(
        &mut self,
        account: AccountId,
        received: Traffic,
        sent: Traffic,
        is_slow: bool,
    ) {
        if self.0.len() <= account.index() {
            self.0.resize(account.index() + 1, Ended::default());
        }
        let ended = &mut self.0[account.index()];
        ended.received.add(received);
        ended.sent.add(sent);
        ended.slow_consumers += u64::from(is_slow);
    }
}
