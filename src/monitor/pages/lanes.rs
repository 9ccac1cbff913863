//! `/ipqueuesz`: where nats-server shows its inner queues, the lanes between the shards.
//!
//! `pending` is what lies on the lane and has not been taken in; `in_progress` what found it full and waits at its
//! writer.

use crate::monitor::go_json::pretty;
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use serde::Serialize;
use std::collections::BTreeMap;

pub(super) async fn page(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let wants_all = query.boolean("all")?;
    let filter = query.text("queues");
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    for shard in site.surveyor.counts().await? {
        for lane in shard.counts.lanes {
            let (here, there) = (shard.shard, lane.peer);
            queues
                .entry(format!("lane {there} to {here}"))
                .or_default()
                .pending = lane.arrived;
            queues
                .entry(format!("lane {here} to {there}"))
                .or_default()
                .in_progress = lane.waiting;
        }
    }
    queues.retain(|name, queue| {
        let is_busy = queue.pending > 0 || queue.in_progress > 0;
        (wants_all || is_busy) && name.contains(filter)
    });
    Ok(Reply::page(JSON, pretty(&queues)))
}

#[derive(Debug, Default, Serialize)]
struct Queue {
    pending: usize,
    #[serde(skip_serializing_if = "is_zero")]
    in_progress: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}
