//! Subscriptions that a stream import makes in the exporting account. *Off the hot path*: asked when an answer is made.
//!
//! Invariants
//! - A shadow ends with the subscription it belongs to, its parent.
//! - [`Shadows::has_importers`] is true while any shard has a shadow in the account.

use super::SubscriptionId;
use crate::account::{Accounts, StreamImport};
use crate::base::ids::AccountId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// The shadows of one shard.
#[derive(Debug)]
pub(super) struct Shadows {
    /// Which import made it: the importing account, and the import's place there.
    made_by: HashMap<SubscriptionId, (AccountId, usize), FixedState>,
    /// By parent.
    children: HashMap<SubscriptionId, Vec<SubscriptionId>, FixedState>,
    /// Patterns that importers want, here or elsewhere, by exporting account.
    patterns: HashMap<AccountId, usize, FixedState>,
}

impl Shadows {
    pub(super) fn new(seed: u64) -> Shadows {
        let hasher = || FixedState::with_seed(seed);
        Shadows {
            made_by: HashMap::with_hasher(hasher()),
            children: HashMap::with_hasher(hasher()),
            patterns: HashMap::with_hasher(hasher()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.made_by.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.made_by.is_empty() && self.children.is_empty() && self.patterns.is_empty()
    }

    pub(super) fn add(
        &mut self,
        parent: SubscriptionId,
        shadow: SubscriptionId,
        importer: AccountId,
        import: usize,
    ) {
        self.made_by.insert(shadow, (importer, import));
        self.children.entry(parent).or_default().push(shadow);
    }

    /// Forgets the shadows of a subscription that ends; they are to be ended too.
    pub(super) fn take_of(&mut self, parent: SubscriptionId) -> Vec<SubscriptionId> {
        if self.children.is_empty() {
            return Vec::new();
        }
        let children = self.children.remove(&parent).unwrap_or_default();
        for shadow in &children {
            self.made_by.remove(shadow);
        }
        children
    }

    pub(super) fn contains(&self, id: SubscriptionId) -> bool {
        self.made_by.contains_key(&id)
    }

    /// The importing account and the import that made a shadow; `None` for what is none.
    pub(super) fn import_of<'a>(
        &self,
        id: SubscriptionId,
        accounts: &'a Accounts,
    ) -> Option<(AccountId, &'a StreamImport)> {
        let (importer, import) = self.made_by.get(&id)?;
        let import = accounts.get(*importer)?.streams.get(*import)?;
        Some((*importer, import))
    }

    /// The first wish of importers for a pattern of an account.
    pub(super) fn pattern_made(&mut self, exporter: AccountId) {
        *self.patterns.entry(exporter).or_default() += 1;
    }

    /// The last one has gone.
    pub(super) fn pattern_gone(&mut self, exporter: AccountId) {
        if let Some(count) = self.patterns.get_mut(&exporter) {
            *count -= 1;
            if *count == 0 {
                self.patterns.remove(&exporter);
            }
        }
    }

    pub(super) fn has_importers(&self, exporter: AccountId) -> bool {
        self.patterns.contains_key(&exporter)
    }
}
