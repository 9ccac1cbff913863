//! `/metrics`: figures for Prometheus, in OpenMetrics. The page `docs/metrics.md` lists them.
//!
//! Two families. `gnatsd_*` are those that prometheus-nats-exporter makes of nats-server's pages, so that dashboards and
//! alerts made for it work without it; they are made of our pages by its rules. `trunkline_*` are our own, by shard.
//!
//! Invariant: what a label may be is bounded by the configuration, never by what clients do: a server, a shard, a lane,
//! an account, a reason. The one exception has a number of its own: the last [`SLOW_CONSUMERS_MAX`] slow consumers. Single
//! connections are on `/connz`.

mod exporter;
mod family;
mod own;

use super::absent::Routez;
use super::accounts::Accstatz;
use super::connz::account_name;
use super::dashboard::newest_slow_consumers;
use super::subsz::Subsz;
use super::totals::Totals;
use super::varz::Varz;
use crate::monitor::exposition::OPEN_METRICS;
use crate::monitor::reply::{Refusal, Reply};
use crate::monitor::site::Site;
use exporter::Exporter;
use family::Families;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Slow consumers that are named.
const SLOW_CONSUMERS_MAX: usize = 16;

pub(super) async fn page(site: &Site) -> Result<Reply, Refusal> {
    let shards = site.surveyor.counts().await?;
    let accounts = site.surveyor.scan().await?.accounts().await?;
    let slow = newest_slow_consumers(site, SLOW_CONSUMERS_MAX).await?;
    let sums = accounts.sums();
    let totals = Totals::of(&shards);
    let mut families = Families::default();
    let mut exporter = Exporter::new(&mut families, &site.facts.info.server_id);
    exporter.add_page("varz", &Varz::new(site, &shards));
    exporter.add_page("subsz", &Subsz::new(site, totals.index.into()));
    exporter.add_page("routez", &Routez::new(site));
    exporter.add_connections(&sums);
    exporter.add_accounts(&Accstatz::new(site, &accounts, true), site.system_account());
    exporter.add_leafs();
    exporter.add_health(!totals.in_lame_duck);
    own::add(&mut families, &site.facts.info.server_id, &shards, &sums);
    for one in &slow {
        own::add_slow_consumer(&mut families, account_name(site, one.account), one);
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(families));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => Ok(Reply::page(OPEN_METRICS, text)),
        Err(error) => Err(Refusal::Unavailable(format!(
            "the metrics could not be written: {error}"
        ))),
    }
}
