//! Names for things. A [`ShardId`] is not a number that could be mixed up with a connection's.

use std::fmt;

/// Which shard, counted from 0. Limited by [`super::limits::SHARDS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

impl ShardId {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which connection of a shard: a slot, and how often the slot has been used before.
///
/// A completion, timer or parcel that arrives late carries an old `reuse` and finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub slot: u32,
    pub reuse: u32,
}

/// The connection number that clients see (`client_id` in INFO, `cid` in logs): unique in the process, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNumber(pub u64);

impl fmt::Display for ClientNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
