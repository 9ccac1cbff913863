//! Every bound that is not an option, in one place, with its reason. Options' defaults live in `config`.

/// Shards of one process. A lane pair exists for every two of them; 64 covers today's single-socket machines.
pub const SHARDS_MAX: usize = 64;
