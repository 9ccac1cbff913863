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
    let options = &site.facts.options;
    let mut page = Accountz {
        server_id: &site.facts.info.server_id,
        now: Time(site.now()),
        system_account: site.system_account(),
        accounts: Vec::new(),
        account_detail: None,
    };
    let name = query.text("acc");
    if name.is_empty() {
        page.accounts = options
            .accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect();
    } else {
        let Some((id, account)) = named(&options.accounts, name) else {
            return Err(Refusal::Bad(format!("Account {name} does not exist")));
        };
        let figures = site.surveyor.scan().await?.accounts().await?.of(id);
        page.account_detail = Some(Detail::new(site, id, account, &figures));
    }
    Ok(Reply::page(JSON, pretty(&page)))
}

pub(super) async fn accstatz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let with_unused = query.boolean("unused")?;
    let figures = site.surveyor.scan().await?.accounts().await?;
    let page = Accstatz::new(site, &figures, with_unused);
    Ok(Reply::page(JSON, pretty(&page)))
}

fn named<'a>(accounts: &'a [Account], name: &str) -> Option<(AccountId, &'a Account)> {
    with_ids(accounts).find(|(_, account)| account.name == name)
}

fn with_ids(accounts: &[Account]) -> impl Iterator<Item = (AccountId, &Account)> {
    (0..).map(AccountId).zip(accounts)
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
pub(super) struct Accstatz<'a> {
    server_id: &'a str,
    now: Time,
    account_statz: Vec<AccountStat<'a>>,
}

#[derive(Debug, Serialize)]
struct AccountStat<'a> {
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
struct DataStats {
    #[serde(flatten)]
    all: MsgBytes,
    gateways: MsgBytes,
    routes: MsgBytes,
    leafs: MsgBytes,
}

#[derive(Debug, Default, Serialize)]
struct MsgBytes {
    msgs: u64,
    bytes: u64,
}

impl<'a> Accstatz<'a> {
    pub(super) fn new(site: &'a Site, figures: &PerAccount, with_unused: bool) -> Accstatz<'a> {
        let accounts = with_ids(&site.facts.options.accounts);
        let stats = accounts.map(|(id, account)| AccountStat::new(account, &figures.of(id)));
        Accstatz {
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            account_statz: stats.filter(|stat| with_unused || stat.conns > 0).collect(),
        }
    }
}

impl<'a> AccountStat<'a> {
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
