//! Instruction counts of the broker's pure parts, from one parsed line to a whole turn of a shard. `trunkline-bench micro`
//! runs this and compares; by itself it only prints.
//!
//! | file | what is counted |
//! |---|---|
//! | `parser` | bytes to operations |
//! | `interest` | who wants a subject; subscriptions that come and go |
//! | `router` | a publish into outboxes, with the answer known |
//! | `mesh` | a message into a parcel, over a lane, and out again |
//! | `shard` | all of it: bytes of publishers in, batches for subscribers out |
//! | `traffic` | what clients send, as bytes |
//!
//! - Every benchmark does [`OPERATIONS`](bench_harness::micro::OPERATIONS) of what its name says, so that a count divided
//!   by it is the price of one.
//! - What is prepared is not counted, and it is warm: caches and buffers are as they are on a busy broker.
//! - Nothing is drawn by chance: seeds are fixed, time stands still. Two runs of one binary count the same.
//! - The allocator is the broker's. Panics unwind here, because Cargo's benchmarks do; in the broker they abort.
//!
//! Nothing is timed, and nothing is proven: each preparation only makes sure that what is counted is what is meant.

mod interest;
mod mesh;
mod parser;
mod router;
mod shard;
mod traffic;

use gungraun::{Callgrind, LibraryBenchmarkConfig, main};

use interest::{lookup, subscription};
use mesh::lane;
use parser::parse;
use router::delivery;
use shard::publish;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

main!(
    // Only instructions are compared; simulated caches would double the time.
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = [parse, lookup, subscription, delivery, lane, publish]
);
