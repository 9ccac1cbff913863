//! The queue groups of the patterns that have any; most have none, which is why they are not part of a pattern's record.

use super::{PatternId, SubscriptionId};
use crate::base::ids::ShardId;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Queue groups by pattern.
#[derive(Debug)]
pub(super) struct Groups(HashMap<PatternId, Vec<Group>, FixedState>);

/// The members of one group that asked with one pattern.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Box<[u8]>,
    pub(super) members: Vec<SubscriptionId>,
    /// Members of each other shard that has any.
    pub(super) peers: Vec<(ShardId, u32)>,
}

impl Groups {
    pub(super) fn new(seed: u64) -> Groups {
        Groups(HashMap::with_hasher(FixedState::with_seed(seed)))
    }

    pub(super) fn of(&self, pattern: PatternId) -> &[Group] {
        self.0.get(&pattern).map(Vec::as_slice).unwrap_or_default()
    }

    /// The group of that name, made if need be.
    pub(super) fn named(&mut self, pattern: PatternId, name: &[u8]) -> &mut Group {
        let groups = self.0.entry(pattern).or_default();
        let index = groups
            .iter()
            .position(|group| *group.name == *name)
            .unwrap_or_else(|| {
                groups.push(Group {
                    name: name.into(),
                    members: Vec::new(),
                    peers: Vec::new(),
                });
                groups.len() - 1
            });
        &mut groups[index]
    }

    /// # Panics
    /// When it is in no group of the pattern: a queue subscription always is.
    pub(super) fn of_member(&mut self, pattern: PatternId, member: SubscriptionId) -> &mut Group {
        self.0
            .get_mut(&pattern)
            .and_then(|groups| {
                let is_member = |group: &&mut Group| group.members.contains(&member);
                groups.iter_mut().find(is_member)
            })
            .expect("a queue subscription is in a group of its pattern")
    }

    /// Drops the groups of a pattern that nobody is in any more.
    pub(super) fn drop_empty(&mut self, pattern: PatternId) {
        let Some(groups) = self.0.get_mut(&pattern) else {
            return;
        };
        groups.retain(|group| group.weight() > 0 || !group.peers.is_empty());
        if groups.is_empty() {
            self.0.remove(&pattern);
        }
    }
}

impl Group {
    /// How many members this shard has.
    pub(super) fn weight(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }
}
