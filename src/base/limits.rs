//! Every bound that is not an option, in one place, with its reason. Options' defaults live in `config`.

use std::time::Duration;

/// Shards of one process. A lane pair exists for every two of them; 64 covers today's single-socket machines.
pub const SHARDS_MAX: usize = 64;

/// Subjects whose answer one shard remembers. An entry is one cache line, so this is 16 MiB at most.
pub const CACHED_SUBJECTS_MAX: usize = 1 << 18;

/// Targets in all remembered answers of one shard: 16 bytes each and about as much again for their prefixes.
pub const CACHED_TARGETS_MAX: usize = 1 << 20;

/// Parcels that fit a lane. With [`PARCEL_BYTES`] it bounds what one shard may be ahead of another: 1 MiB and one
/// payload per parcel.
pub const LANE_PARCELS: usize = 16;

/// A parcel this large is pushed at once instead of at the end of the turn, so that it is still in the cache.
pub const PARCEL_BYTES: usize = 64 * 1024;

/// Hand-overs of a message whose queue member has left, before it is dropped and counted. A hop is one lane trip; with
/// members coming and going every millisecond on four shards, 3 hops lost one message in 40,000 and 100 lost none.
pub const QUEUE_HOPS_MAX: u8 = 100;

/// An outbox with this much to send is flushed in the middle of a turn, while it is still in the cache.
pub const OUTBOX_FLUSH_BYTES: usize = 64 * 1024;

/// Where an outbox starts a new batch. One batch is one send.
pub const BATCH_BYTES: usize = 64 * 1024;

/// Shared tails in one batch: each costs two of the 1,024 slices that one send may name.
pub const BATCH_SPLICES: usize = 500;

/// Room that a fresh batch starts with.
pub const BATCH_START_BYTES: usize = 1024;

/// Emptied batch buffers that a shard keeps.
pub const BATCHES_SPARE: usize = 64;

/// From this size on, a message's tail is shared between outboxes and lanes instead of copied into each.
pub const SHARED_TAIL_BYTES: usize = 4096;

/// Bytes an outbox may hold before it slows the publishers that fill it.
pub const OUTBOX_SHARE_BYTES: usize = 512 * 1024;

/// A pause of a publisher ends by itself after this long (nats-server: 2 to 5 ms, 10 ms per read).
pub const PAUSE: Duration = Duration::from_millis(1);

/// Pauses that a consumer may ask for without draining anything.
pub const PAUSE_CREDIT_MAX: Duration = Duration::from_millis(20);

/// What it must drain to earn the time of one more pause: a consumer that takes 500 MB/s may slow its publishers to its
/// own pace, one that takes 10 MB/s for 2 % of the time.
pub const PAUSE_EARNED_BY_BYTES: usize = 512 * 1024;

/// Connections that a shard looks at in one turn for the monitor: some 50 µs when none of them is in the cache.
pub const SURVEYED_CONNECTIONS: u32 = 1024;

/// Accounts that a shard tells of in one turn for the monitor.
pub const SURVEYED_ACCOUNTS: usize = 1024;

/// Connections that a shard describes in full in one turn for the monitor.
pub const SURVEYED_RECORDS: usize = 256;

/// Subscriptions that a shard looks at in one turn for the monitor, and of these, how many it describes.
pub const SURVEYED_SUBSCRIPTIONS: u32 = 4096;
pub const SURVEYED_SUBSCRIPTION_RECORDS: usize = 512;

/// Subscriptions whose subjects a shard cuts into tokens in one turn for the monitor, and of those to one subject, how many
/// it describes.
pub const SURVEYED_SUBJECTS: u32 = 1024;
pub const SURVEYED_SUBSCRIBERS: usize = 32;

/// Subscriptions that are remembered of one closed connection, and of all closed connections of one shard.
pub const CLOSED_SUBSCRIPTIONS_MAX: usize = 1000;
pub const CLOSED_SUBSCRIPTIONS_OF_ALL_MAX: usize = 100_000;

/// Publishers that one outbox remembers having paused; the pauses of further ones end by themselves.
pub const FEEDERS_MAX: usize = 64;

/// Service imports that one request may go through; at one more it ends, as if nobody served it (nats-server: 1,024). Each
/// step is a frame on the shard's stack.
pub const IMPORT_CHAIN_MAX: usize = 32;

/// Requests through service imports whose responses one shard waits for. An entry is some 150 bytes. At one more the
/// one that would have expired first is given up: its response finds nobody.
pub const RESPONSES_AWAITED_MAX: usize = 1 << 20;

/// Awaited responses that are looked through when a wildcard subscription ends: some 10 µs, while thousands may end at once.
/// With more, each waits for its threshold.
pub const RESPONSES_SEARCHED_MAX: usize = 256;

/// Parcels that may wait on full lanes before responses that would have to go over a second lane are dropped and counted.
pub const RELAYED_PARCELS_MAX: usize = 64;

/// Bytes kept of a client while its password is being compared. Nothing is read meanwhile, so what can have arrived before
/// fits: a shard's receive buffers hold half as much in all.
pub const UNPROVEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Passwords that wait to be compared, per worker. At 60 ms each the last would wait for half a minute, longer than any
/// client does.
pub const PASSWORD_CHECKS_MAX: usize = 512;

/// Traced messages of one shard that wait to hear from other shards what became of them there.
pub const TRACES_WAITING_MAX: usize = 1024;
/// Bytes of an event of message tracing that is compressed, a fraction of a millisecond: a shard has no time for larger ones.
pub const TRACE_COMPRESSED_BYTES_MAX: usize = 64 * 1024;

/// Subjects for which a connection with permissions remembers whether it may publish to them (as nats-server).
pub const REMEMBERED_SUBJECTS_MAX: usize = 128;

/// Reply subjects that a connection with `allow_responses` remembers; of the latest half as many none is forgotten.
/// nats-server has no bound but their age.
pub const REMEMBERED_REPLIES_MAX: usize = 1 << 16;
