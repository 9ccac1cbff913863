//! `/dashboard`: the server at work, for people. One page, fed by `/dashboard/events` while somebody looks at it.
//!
//! Counts are sent as they are; the page makes rates of them, so that nothing is kept here for anybody.

use super::index::escaped;
use super::totals::Totals;
use crate::base::clock::Now;
use crate::monitor::go_json::{Time, uptime};
use crate::monitor::reply::{EVENTS, HTML, Refusal, Reply};
use crate::monitor::site::Site;
use crate::monitor::surveyor::ShardCounts;
use crate::runtime::usage;
use bytes::Bytes;
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn page(site: &Site) -> Reply {
    let page = include_str!("dashboard.html")
        .replace("{name}", &escaped(&site.facts.info.server_name))
        .replace("{base}", &escaped(&site.link("")))
        .replace("{home}", &escaped(&site.home()));
    Reply::page(HTML, page)
}

/// A stream of events, one a second, until nobody listens or the server goes.
pub(super) fn events(site: &Rc<Site>) -> Result<Reply, Refusal> {
    let Some(watcher) = site.watcher() else {
        let text = "too many are watching already".to_owned();
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
    parks: u64,
    waiting: usize,
}

impl<'a> Event<'a> {
    fn new(site: &'a Site, counts: &[ShardCounts]) -> Event<'a> {
        let totals = Totals::of(counts);
        Event {
            now: Time(site.now()),
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
            busy_us: u64::try_from(shard.pulse.busy.as_micros()).unwrap_or(u64::MAX),
            turns: shard.pulse.turns,
            parks: shard.pulse.parks,
            waiting: shard.counts.lanes.iter().map(|lane| lane.waiting).sum(),
        }
    }
}

fn dropped(shard: &ShardCounts) -> u64 {
    let routed = &shard.counts.snapshot.routed;
    routed.dropped_no_interest + routed.dropped_interest_gone + routed.dropped_group_gone
}
