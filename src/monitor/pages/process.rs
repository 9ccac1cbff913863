//! `/stacksz` and `/debug/vars`: the process from the inside. Where nats-server shows what Go knows of itself, here is what
//! answers the same questions: where are the threads, where is the memory, what do the shards do.

use crate::monitor::go_json::pretty;
use crate::monitor::reply::{JSON, Refusal, Reply, TEXT};
use crate::monitor::site::Site;
use crate::runtime::usage;
use serde::Serialize;

pub(super) fn threads() -> Reply {
    Reply::page(TEXT, usage::threads())
}

pub(super) async fn vars(site: &Site) -> Result<Reply, Refusal> {
    let shards = site.surveyor.counts().await?;
    let page = Vars {
        // Without its arguments: there may be passwords among them.
        cmdline: [usage::program()],
        memstats: Memory {
            resident: usage::resident_bytes(),
            resident_most: usage::status_bytes("VmHWM:"),
            mapped: usage::status_bytes("VmSize:"),
            locked: usage::status_bytes("VmLck:"),
        },
        processor_seconds: usage::processor_time().as_secs_f64(),
        shards: shards
            .iter()
            .map(|shard| Shard {
                shard: shard.shard.0,
                turns: shard.pulse.turns,
                busy_seconds: shard.pulse.turn_times.sum().as_secs_f64(),
                spins: shard.pulse.spins,
                spins_paid: shard.pulse.spins_paid,
                parks: shard.pulse.parks,
                reads: shard.pulse.reads,
                sends: shard.pulse.sends,
                parcels: shard.counts.snapshot.tally.parcels,
                patterns: shard.counts.snapshot.patterns,
                cached_subjects: shard.counts.snapshot.cached_subjects,
            })
            .collect(),
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

#[derive(Debug, Serialize)]
struct Vars {
    cmdline: [String; 1],
    memstats: Memory,
    processor_seconds: f64,
    shards: Vec<Shard>,
}

/// In bytes.
#[derive(Debug, Serialize)]
struct Memory {
    resident: u64,
    resident_most: u64,
    mapped: u64,
    locked: u64,
}

#[derive(Debug, Serialize)]
struct Shard {
    shard: u8,
    turns: u64,
    busy_seconds: f64,
    spins: u64,
    spins_paid: u64,
    parks: u64,
    reads: u64,
    sends: u64,
    parcels: u64,
    patterns: usize,
    cached_subjects: usize,
}
