//! A new configuration of accounts under subscriptions that stay. *Off the hot path.*
//!
//! Invariants
//! - What an import brought before and brings now is not interrupted: new shadows are made before old ones end, and for a
//!   pattern that both want nothing is announced.
//! - No answer that was made before is believed afterwards.

use super::{Interest, Subscription, SubscriptionId, Wants, Wish};
use crate::account::Accounts;
use crate::base::ids::AccountId;
use crate::subject::Pattern;
use std::collections::HashSet;
use std::sync::Arc;

impl Interest {
    /// From now on these are the accounts. Subscriptions hear what the streams bring that are imported now.
    pub fn reload(&mut self, accounts: &Arc<Accounts>, announce: &mut impl FnMut(&Wants)) {
        let before = std::mem::replace(&mut self.accounts, Arc::clone(accounts));
        self.distrust_all();
        let with_other_streams: HashSet<AccountId> = accounts
            .iter()
            .map(|(id, _)| id)
            .filter(|id| !accounts.has_streams_like(&before, *id))
            .collect();
        if with_other_streams.is_empty() {
            return;
        }
        let concerned: Vec<SubscriptionId> = self
            .subscriptions
            .iter()
            .filter(|(id, _)| !self.shadows.contains(*id))
            .filter(|(id, _)| with_other_streams.contains(&self.wish_of(*id).0))
            .map(|(id, _)| id)
            .collect();
        for id in concerned {
            self.remake_shadows(id, announce);
        }
    }

    /// Makes every remembered answer suspect.
    pub fn distrust_all(&mut self) {
        self.epochs.move_all();
    }

    /// The queue group of a subscription; empty for a plain one.
    pub fn queue_of(&self, id: SubscriptionId) -> &[u8] {
        let Subscription {
            pattern, in_group, ..
        } = &self.subscriptions[id];
        if !in_group {
            return b"";
        }
        let groups = self.groups.of(*pattern);
        let group = groups.iter().find(|group| group.members.contains(&id));
        group.map_or(b"", |group| &group.name)
    }

    fn remake_shadows(&mut self, id: SubscriptionId, announce: &mut impl FnMut(&Wants)) {
        let (account, pattern) = self.wish_of(id);
        let pattern = pattern.to_vec();
        let queue = self.queue_of(id).to_vec();
        let subscription = self.subscription(id);
        let (connection, sid) = (subscription.connection, subscription.sid.clone());
        let wish = Wish {
            account,
            connection,
            pattern: Pattern::new(&pattern).expect("patterns are checked when they come in"),
            queue: &queue,
            sid: sid.as_slice(),
        };
        let old = self.shadows.take_of(id);
        self.add_shadows(id, &wish, announce);
        for shadow in old {
            self.remove(shadow, announce);
        }
    }
}
