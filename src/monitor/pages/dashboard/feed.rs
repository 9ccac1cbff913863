//! `/dashboard/events`: what the server and its shards have counted, once a second.

use crate::base::clock::Now;
use crate::monitor::go_json::{Time, uptime};
use crate::monitor::pages::totals::Totals;
use crate::monitor::reply::{EVENTS, Refusal, Reply};
use crate::monitor::site::{Site, WATCHERS_MAX};
use crate::monitor::surveyor::ShardCounts;
use crate::runtime::usage;
use bytes::Bytes;
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

const EVERY: Duration = Duration::from_secs(1);

/// A stream of events, one a second, until nobody listens or the server goes.
pub(in crate::monitor::pages) fn events(site: &Rc<Site>) -> Result<Reply, Refusal> {
    let Some(watcher) = site.watcher() else {
        let text = format!("{WATCHERS_MAX} others are watching already, and no more may");
        return Err(Refusal::Unavailable(text));
    };
    // One event that nobody has taken is enough: whoever is slow gets fewer.
    let (sender, receiver) = channel(1);
    let site = Rc::clone(site);
    tokio::task::spawn_local(async move {
        let _watcher = watcher;
        while let Ok(shards) = site.surveyor.counts().await {
            let site = site.current();
            if sender
                .send(event(&Event::new(&site, &shards)))
                .await
                .is_err()
            {
                break;
            }
            // Whoever leaves is not waited for.
            let _ = timeout(EVERY, sender.closed()).await;
        }
    });
    let mut reply = Reply::page(EVENTS, "retry: 2000\n\n");
    reply.more = Some(receiver);
    Ok(reply)
}

fn event(event: &Event<'_>) -> Bytes {
    // Plain data: it always turns into JSON.
    let json = serde_json::to_string(event).unwrap_or_default();
    format!("data: {json}\n\n").into()
}

#[derive(Debug, Serialize)]
struct Event<'a> {
    now: Time,
    /// Another one counts from zero.
    server_id: &'a str,
    version: &'a str,
    uptime: String,
    lame_duck: bool,
    cpu: f64,
    mem: u64,
    connections: u64,
    connections_max: u32,
    connected: u64,
    subscriptions: u64,
    in_msgs: u64,
    in_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
    slow_consumers: u64,
    /// At so many waiting bytes a consumer is too slow.
    pending_max: usize,
    dropped: u64,
    shards: Vec<Shard>,
}

#[derive(Debug, Serialize)]
struct Shard {
    connections: usize,
    in_msgs: u64,
    out_msgs: u64,
    busy_us: u64,
    turns: u64,
    /// By classes, see [`crate::base::histogram::Histogram::steps`].
    turn_times: Vec<u64>,
    lane_times: Vec<u64>,
    /// Parcels that found their lane full.
    waiting: usize,
}

impl<'a> Event<'a> {
    fn new(site: &'a Site, counts: &[ShardCounts]) -> Event<'a> {
        let totals = Totals::of(counts);
        Event {
            now: Time(site.now()),
            server_id: &site.facts.info.server_id,
            version: &site.facts.info.trunkline,
            uptime: uptime(site.facts.clock.now().since(Now::ZERO)),
            lame_duck: totals.in_lame_duck,
            cpu: site.load_percent(),
            mem: usage::resident_bytes(),
            connections: totals.connections,
            connections_max: site.facts.options.max_connections,
            connected: totals.connected,
            subscriptions: totals.subscriptions,
            in_msgs: totals.received.messages,
            in_bytes: totals.received.bytes,
            out_msgs: totals.sent.messages,
            out_bytes: totals.sent.bytes,
            slow_consumers: totals.slow_consumers,
            pending_max: site.facts.options.max_pending,
            dropped: counts.iter().map(dropped).sum(),
            shards: counts.iter().map(Shard::new).collect(),
        }
    }
}

impl Shard {
    fn new(shard: &ShardCounts) -> Shard {
        let snapshot = &shard.counts.snapshot;
        Shard {
            connections: snapshot.connections,
            in_msgs: snapshot.routed.published.messages,
            out_msgs: snapshot.routed.delivered.messages,
            busy_us: u64::try_from(shard.pulse.turn_times.sum().as_micros()).unwrap_or(u64::MAX),
            turns: shard.pulse.turns,
            turn_times: shard.pulse.turn_times.counts().to_vec(),
            lane_times: shard.counts.lane_times.counts().to_vec(),
            waiting: shard.counts.lanes.iter().map(|lane| lane.waiting).sum(),
        }
    }
}

fn dropped(shard: &ShardCounts) -> u64 {
    let routed = &shard.counts.snapshot.routed;
    routed.dropped_no_interest + routed.dropped_interest_gone + routed.dropped_group_gone
}
