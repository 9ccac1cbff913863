//! `/accountz` and `/accstatz`: accounts, as they are configured and what goes on in them.
//!
//! What the shards count is the whole server's. As long as they do not count by account it is all shown under `$G`, where
//! every client is: [`Figures::of`] is the one place to change.

mod detail;

use super::totals::{IndexTotals, Totals};
use crate::base::ids::AccountId;
use crate::config::Account;
use crate::monitor::go_json::{Time, pretty};
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::router::Traffic;
use detail::Detail;
use serde::Serialize;

pub(super) async fn accountz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let options = &site.facts.options;
    let system = options.accounts.get(options.system_account.index());
    let mut page = Accountz {
        server_id: &site.facts.info.server_id,
        now: Time(site.now()),
        system_account: system.map_or("", |account| account.name.as_str()),
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
        let totals = Totals::of(&site.surveyor.counts().await?);
        let figures = Figures::of(id, &totals);
        page.account_detail = Some(Detail::new(site, id, account, figures));
    }
    Ok(Reply::page(JSON, pretty(&page)))
}

pub(super) async fn accstatz(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let with_unused = query.boolean("unused")?;
    let totals = Totals::of(&site.surveyor.counts().await?);
    Ok(Reply::page(
        JSON,
        pretty(&Accstatz::new(site, &totals, with_unused)),
    ))
}

/// What goes on in one account.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    connections: u64,
    subscriptions: u64,
    received: Traffic,
    sent: Traffic,
    slow_consumers: u64,
    index: IndexTotals,
}

impl Figures {
    fn of(account: AccountId, totals: &Totals) -> Figures {
        if account != AccountId::GLOBAL {
            return Figures::default();
        }
        Figures {
            connections: totals.connections,
            subscriptions: totals.subscriptions,
            received: totals.received,
            sent: totals.sent,
            slow_consumers: totals.slow_consumers,
            index: totals.index,
        }
    }
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
    pub(super) fn new(site: &'a Site, totals: &Totals, with_unused: bool) -> Accstatz<'a> {
        let accounts = with_ids(&site.facts.options.accounts);
        let stats =
            accounts.map(|(id, account)| AccountStat::new(account, Figures::of(id, totals)));
        Accstatz {
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            account_statz: stats.filter(|stat| with_unused || stat.conns > 0).collect(),
        }
    }
}

impl<'a> AccountStat<'a> {
    fn new(account: &'a Account, figures: Figures) -> AccountStat<'a> {
        AccountStat {
            acc: &account.name,
            name: &account.name,
            conns: figures.connections,
            leafnodes: 0,
            total_conns: figures.connections,
            num_subscriptions: figures.subscriptions,
            sent: figures.sent.into(),
            received: figures.received.into(),
            slow_consumers: figures.slow_consumers,
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
