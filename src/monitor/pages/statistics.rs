//! What the server tells in the system account at intervals and on `STATSZ`. It has no page of its own. Names, order and
//! omissions are nats-server's (`events.go`).

use super::accounts::{DataStats, MsgBytes};
use super::totals::Totals;
use super::varz::{ByKind, of_clients};
use crate::account::Account;
use crate::base::clock::Now;
use crate::base::ids::AccountId;
use crate::monitor::go_json::{Float, Time};
use crate::monitor::reply::Refusal;
use crate::monitor::site::Site;
use crate::runtime::usage;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(in crate::monitor) struct Statistics {
    start: Time,
    mem: u64,
    cores: usize,
    cpu: Float,
    connections: u64,
    total_connections: u64,
    active_accounts: usize,
    subscriptions: u64,
    sent: MsgBytes,
    sent_to_clients: MsgBytes,
    received: MsgBytes,
    received_from_clients: MsgBytes,
    slow_consumers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_consumer_stats: Option<ByKind>,
    #[serde(skip_serializing_if = "is_zero")]
    stale_connections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_connection_stats: Option<ByKind>,
    #[serde(skip_serializing_if = "is_zero")]
    stalled_clients: u64,
    active_servers: u64,
    gomaxprocs: usize,
}

pub(in crate::monitor) async fn statistics(site: &Site) -> Result<Statistics, Refusal> {
    let counts = site.surveyor.counts().await?;
    let totals = Totals::of(&counts);
    let some = |clients: u64| (clients > 0).then(|| of_clients(clients));
    let (sent, received) = (
        DataStats::from(totals.sent),
        DataStats::from(totals.received),
    );
    let (sent, received) = (sent.all, received.all);
    Ok(Statistics {
        start: Time(site.time_of_day(Now::ZERO)),
        mem: usage::resident_bytes(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cpu: Float(site.load_percent()),
        connections: totals.connections,
        total_connections: totals.connected,
        active_accounts: active_accounts(site, totals.connections),
        subscriptions: totals.subscriptions,
        sent,
        sent_to_clients: sent,
        received,
        received_from_clients: received,
        slow_consumers: totals.slow_consumers,
        slow_consumer_stats: some(totals.slow_consumers),
        stale_connections: totals.stale,
        stale_connection_stats: some(totals.stale),
        stalled_clients: totals.pauses,
        active_servers: 1,
        gomaxprocs: counts.len(),
    })
}

/// Accounts with clients, of which there are `connections` in all. The system account has the server itself, and `$G` those
/// who have not said who they are.
fn active_accounts(site: &Site, connections: u64) -> usize {
    let (accounts, system) = (&site.facts.accounts, site.facts.options.system_account);
    let counted = |account: &Account| u64::from(account.connections());
    let known: u64 = accounts.iter().map(|(_, account)| counted(account)).sum();
    let is_active = |(id, account): &(AccountId, &Account)| {
        let has_strangers = *id == AccountId::GLOBAL && connections > known;
        *id == system || has_strangers || counted(account) > 0
    };
    accounts.iter().filter(is_active).count()
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
