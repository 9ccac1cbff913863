//! When it is time to tell again how many clients an account has: some while after the last time, for as long as it has any
//! (nats-server `sendAccConnsUpdate`).

use crate::base::clock::Now;
use crate::base::ids::AccountId;
use std::collections::BTreeMap;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Heartbeat {
    /// Accounts that were told of at another time than all others.
    told_at: BTreeMap<AccountId, Now>,
    all_told_at: Now,
}

impl Heartbeat {
    pub(super) fn starting(now: Now) -> Heartbeat {
        Heartbeat {
            told_at: BTreeMap::new(),
            all_told_at: now,
        }
    }

    /// When [`Heartbeat::due`] is to be asked.
    pub(super) fn next_at(&self) -> Now {
        let own = self.told_at.values().min().copied();
        let earliest = own.map_or(self.all_told_at, |own| own.min(self.all_told_at));
        earliest.after(INTERVAL)
    }

    /// These accounts are being told of.
    pub(super) fn tell(&mut self, now: Now, accounts: &[AccountId]) {
        for account in accounts {
            self.told_at.insert(*account, now);
        }
    }

    /// Which of the accounts that have clients are to be told of. Of `$G` nobody is told.
    pub(super) fn due(&mut self, now: Now, in_use: Vec<AccountId>) -> Vec<AccountId> {
        let is_over = |told_at: Now| now.since(told_at) >= INTERVAL;
        let all_told_at = self.all_told_at;
        if is_over(all_told_at) {
            self.all_told_at = now;
        }
        let of_their_own = &self.told_at;
        let is_due = |account: &AccountId| {
            let told_at = of_their_own.get(account).copied().unwrap_or(all_told_at);
            *account != AccountId::GLOBAL && is_over(told_at)
        };
        let due: Vec<AccountId> = in_use.into_iter().filter(is_due).collect();
        // Who has no clients any more is forgotten; who is due is told of now.
        self.told_at.retain(|_, told_at| !is_over(*told_at));
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AccountId = AccountId(2);
    const B: AccountId = AccountId(3);

    fn at(seconds: u64) -> Now {
        Now::ZERO.after(Duration::from_secs(seconds))
    }

    #[test]
    fn accounts_are_told_of_again_while_they_have_clients() {
        let mut heartbeat = Heartbeat::starting(at(0));
        assert_eq!(heartbeat.next_at(), at(30));
        heartbeat.tell(at(10), &[A]);
        assert_eq!(heartbeat.due(at(29), vec![A, B]), []);
        // Nobody has noticed when B got its first client; A's time has not come.
        assert_eq!(heartbeat.due(at(30), vec![AccountId::GLOBAL, A, B]), [B]);
        heartbeat.tell(at(30), &[B]);
        assert_eq!(heartbeat.next_at(), at(40));
        assert_eq!(heartbeat.due(at(40), vec![A, B]), [A]);
        heartbeat.tell(at(40), &[A]);
        assert_eq!(heartbeat.due(at(60), vec![A]), []);
        assert_eq!(heartbeat.due(at(70), vec![]), []);
        assert_eq!(heartbeat.next_at(), at(90));
    }
}
