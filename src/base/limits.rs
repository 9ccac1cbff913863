//! Every bound that is not an option, in one place, with its reason. Options' defaults live in `config`.

/// Shards of one process. A lane pair exists for every two of them; 64 covers today's single-socket machines.
pub const SHARDS_MAX: usize = 64;

/// Subjects whose answer one shard remembers. An entry is one cache line, so this is 16 MiB at most.
pub const CACHED_SUBJECTS_MAX: usize = 1 << 18;

/// Targets in all remembered answers of one shard: 16 bytes each and about as much again for their prefixes.
pub const CACHED_TARGETS_MAX: usize = 1 << 20;

/// Parcels that fit a lane. With [`PARCEL_BYTES`] it bounds what one shard may be ahead of another: 4 MiB and one
/// payload per parcel.
pub const LANE_PARCELS: usize = 64;

/// A parcel this large is pushed at once instead of at the end of the turn, so that it is still in the cache.
pub const PARCEL_BYTES: usize = 64 * 1024;

/// Empty parcel buffers that a shard keeps for its next parcels.
pub const PARCELS_SPARE: usize = 64;

/// Hand-overs of a message whose queue member has left, before it is dropped and counted.
pub const QUEUE_HOPS_MAX: u8 = 3;
