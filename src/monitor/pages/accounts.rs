//! `/accountz` and `/accstatz`: accounts, as they are configured and what goes on in them.
//!
//! The figures are sums over the connections that are there and those that were: no message is counted for it.

mod detail;
mod mapped;

use crate::base::ids::AccountId;
use crate::config::Account;
use crate::monitor::go_json::{Time, pretty};
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::monitor::surveyor::{InAccount, PerAccount};
use crate::router::Traffic;
use detail::Detail;
use serde::Serialize;

pub(super) async fn accountz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let mut page = Accountz {
        server_id: &site.facts.info.server_id,
        now: Time(site.now()),
        system_account: site.system_account(),
        accounts: Vec::new(),
        account_detail: None,
    };
    let name = query.text("acc");
    if name.is_empty() {
        let names = site.accounts().map(|(_, account)| account.name.as_str());
        page.accounts = names.collect();
    } else {
        page.account_detail = Some(detail(site, name).await?);
    }
    Ok(Reply::page(JSON, pretty(&page)))
}

/// One account in full.
pub(in crate::monitor) async fn detail<'a>(
    site: &'a Site,
    name: &str,
) -> Result<Detail<'a>, Refusal> {
    let Some((id, account)) = site.account_named(name) else {
        return Err(Refusal::Bad(format!("Account {name} does not exist")));
    };
    let figures = site.surveyor.scan().await?.accounts().await?.of(id);
    Ok(Detail::new(site, id, account, &figures))
}

pub(super) async fn accstatz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let with_unused = query.boolean("unused")?;
    let page = statistics(site, &[], with_unused).await?;
    Ok(Reply::page(JSON, pretty(&page)))
}

/// What goes on in all accounts, or in those of these names.
pub(in crate::monitor) async fn statistics<'a>(
    site: &'a Site,
    names: &[String],
    with_unused: bool,
) -> Result<Accstatz<'a>, Refusal> {
    let figures = site.surveyor.scan().await?.accounts().await?;
    let mut page = Accstatz::new(site, &figures, with_unused);
    if !names.is_empty() {
        let is_wanted = |stat: &AccountStat<'_>| names.iter().any(|name| name == stat.acc);
        page.account_statz.retain(is_wanted);
    }
    Ok(page)
}

/// What goes on in these accounts.
pub(in crate::monitor) async fn figures<'a>(
    site: &'a Site,
    wanted: &[AccountId],
) -> Result<Vec<(AccountId, AccountStat<'a>)>, Refusal> {
    let figures = site.surveyor.scan().await?.accounts().await?;
    let accounts = site.accounts().filter(|(id, _)| wanted.contains(id));
    let stats = accounts.map(|(id, account)| (id, AccountStat::new(account, &figures.of(id))));
    Ok(stats.collect())
}

#[derive(Debug, Serialize)]
struct Accountz<'a> {
    server_id: &'a str,
    now: Time,
    #[serde(skip_serializing_if = "str::is_empty")]
    system_account: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<Detail<'a>>,
}

#[derive(Debug, Serialize)]
pub(in crate::monitor) struct Accstatz<'a> {
    server_id: &'a str,
    now: Time,
    pub(super) account_statz: Vec<AccountStat<'a>>,
}

/// What goes on in one account.
#[derive(Debug, Serialize)]
pub struct AccountStat<'a> {
    acc: &'a str,
    name: &'a str,
    conns: u64,
    leafnodes: u64,
    total_conns: u64,
    num_subscriptions: u64,
    sent: DataStats,
    received: DataStats,
    slow_consumers: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct DataStats {
    #[serde(flatten)]
    pub(super) all: MsgBytes,
    gateways: MsgBytes,
    routes: MsgBytes,
    leafs: MsgBytes,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct MsgBytes {
    msgs: u64,
    bytes: u64,
}

impl<'a> Accstatz<'a> {
    pub(in crate::monitor) fn is_empty(&self) -> bool {
        self.account_statz.is_empty()
    }

    pub(super) fn new(site: &'a Site, figures: &PerAccount, with_unused: bool) -> Accstatz<'a> {
        let stats = site
            .accounts()
            .map(|(id, account)| AccountStat::new(account, &figures.of(id)));
        Accstatz {
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            account_statz: stats.filter(|stat| with_unused || stat.conns > 0).collect(),
        }
    }
}

impl<'a> AccountStat<'a> {
    /// Its clients, on all shards.
    pub fn connections(&self) -> u64 {
        self.conns
    }

    fn new(account: &'a Account, figures: &InAccount) -> AccountStat<'a> {
        AccountStat {
            acc: &account.name,
            name: &account.name,
            conns: figures.sums.connections,
            leafnodes: 0,
            total_conns: figures.sums.connections,
            num_subscriptions: figures.subscriptions as u64,
            sent: figures.sent().into(),
            received: figures.received().into(),
            slow_consumers: figures.ended.slow_consumers,
        }
    }
}

impl AccountStat<'_> {
    /// How much has gone on in it.
    pub(super) fn weight(&self) -> u64 {
        self.sent.all.msgs + self.received.all.msgs
    }
}

impl From<Traffic> for DataStats {
    fn from(traffic: Traffic) -> DataStats {
        DataStats {
            all: MsgBytes {
                msgs: traffic.messages,
                bytes: traffic.bytes,
            },
            gateways: MsgBytes::default(),
            routes: MsgBytes::default(),
            leafs: MsgBytes::default(),
        }
    }
}
