//! Every bound that is not an option, in one place, with its reason. Options' defaults live in `config`.

/// Shards of one process. A lane pair exists for every two of them; 64 covers today's single-socket machines.
pub const SHARDS_MAX: usize = 64;

/// Subjects whose answer one shard remembers. An entry is one cache line, so this is 16 MiB at most.
pub const CACHED_SUBJECTS_MAX: usize = 1 << 18;

/// Targets in all remembered answers of one shard: 16 bytes each and about as much again for their prefixes.
pub const CACHED_TARGETS_MAX: usize = 1 << 20;
