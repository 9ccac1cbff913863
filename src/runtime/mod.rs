//! The world outside: threads, io_uring, sockets, clocks, log files. The only room with `unsafe`, glommio and clocks.
//!
//! | file | what |
//! |---|---|
//! | [`probe`] | can this machine run the broker, and if not, what to do |
//! | [`thread`] | one pinned thread and glommio executor per shard |
//! | `pump` | the turn: reap, drain, ingest, timers, flush, park |
//! | `ring` | the shard's own io_uring for sockets |
//! | `buffers` | receive buffers lent to the kernel |
//! | `socket` | one connection's socket: what is in flight, what it waits for |
//! | [`tls_files`] | certificates and keys, read at start and on reload |
//! | `stages` | what is between a socket and its session: an opening, or TLS |
//! | [`account_changes`] | which accounts have more or fewer clients than a moment ago |
//! | `acceptor` | new connections, and which shard gets them |
//! | [`doorbell`] | waking a shard that sleeps |
//! | [`listener`], [`unix_listener`] | listening sockets |
//! | `peer_credentials` | which process is at the other end of a Unix socket |
//! | [`logger`] | the log thread |
//! | [`password_worker`] | threads that compare passwords with bcrypt hashes |
//! | [`clock`] | the one place that reads the time |
//! | [`pulse`] | what a pump counts of its own work |
//! | [`usage`] | what the process takes of the machine |

mod acceptor;
pub mod account_changes;
mod buffers;
pub mod clock;
pub mod doorbell;
mod idle;
pub mod listener;
pub mod logger;
pub mod password_worker;
mod peer_credentials;
pub mod probe;
pub mod pulse;
mod pump;
mod ring;
mod scheduling;
mod socket;
mod stages;
pub mod thread;
pub mod tls_files;
pub mod unix_listener;
pub mod usage;
