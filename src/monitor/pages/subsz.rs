//! `/subsz` and `/subscriptionsz`: the index of subscriptions, and the subscriptions themselves when they are asked for.

use super::connz::account_name;
use super::totals::{SublistStats, Totals};
use crate::monitor::go_json::{Time, pretty, text};
use crate::monitor::query::{LIMIT_DEFAULT, Query};
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::session::record::SubscriptionRecord;
use crate::shard::survey::WantedSubscriptions;
use crate::subject;
use serde::Serialize;
use std::sync::Arc;

pub(super) async fn page(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let with_list = query.boolean("subs")?;
    let page = query.page()?;
    let test = query.text("test");
    if !test.is_empty() && !subject::is_pedantic_publish(test.as_bytes()) {
        return Err(Refusal::Bad(format!(
            "invalid test subject, must be valid publish subject: {test}"
        )));
    }
    let name = query.text("acc");
    let account = site.account_named(name).map(|(id, _)| id);
    let is_known = name.is_empty() || account.is_some();
    let stats = match account {
        None if is_known => Totals::of(&site.surveyor.counts().await?).index.into(),
        None => SublistStats::default(),
        Some(account) => {
            let figures = site.surveyor.scan().await?.accounts().await?;
            SublistStats::of_account(figures.of(account).subscriptions)
        }
    };
    let mut subsz = Subsz {
        offset: page.offset,
        limit: page.limit,
        ..Subsz::new(site, stats)
    };
    if !with_list || !is_known {
        return Ok(Reply::page(JSON, pretty(&subsz)));
    }
    let wanted = Arc::new(WantedSubscriptions {
        slots: None,
        account,
        subject: (!test.is_empty()).then(|| test.as_bytes().into()),
        ..WantedSubscriptions::default()
    });
    let scan = site.surveyor.scan().await?;
    let mut records = Vec::new();
    for shard in site.surveyor.shards() {
        let skip = page.offset.saturating_sub(subsz.total);
        let take = page
            .limit
            .min(SUBSCRIPTIONS_MAX)
            .saturating_sub(records.len());
        let (found, matching) = scan.subscriptions(shard, &wanted, skip, take).await?;
        records.extend(found);
        subsz.total += matching;
    }
    drop(scan);
    let details = records.iter().map(|one| Detail::with_account(site, one));
    subsz.subscriptions_list = details.collect();
    Ok(Reply::page(JSON, pretty(&subsz)))
}

/// Subscriptions that one page lists at most, whatever `limit` says: some 150 MB of JSON.
const SUBSCRIPTIONS_MAX: usize = 1_000_000;

#[derive(Debug, Serialize)]
pub(super) struct Subsz<'a> {
    server_id: &'a str,
    now: Time,
    #[serde(flatten)]
    stats: SublistStats,
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list: Vec<Detail<'a>>,
}

impl<'a> Subsz<'a> {
    /// As it is for whoever wants no list.
    pub(super) fn new(site: &'a Site, stats: SublistStats) -> Subsz<'a> {
        Subsz {
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            stats,
            total: 0,
            offset: 0,
            limit: LIMIT_DEFAULT,
            subscriptions_list: Vec::new(),
        }
    }
}

/// One subscription.
#[derive(Debug, Serialize)]
pub(super) struct Detail<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    account_tag: &'a str,
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    qgroup: String,
    sid: String,
    msgs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u64>,
    cid: u64,
}

impl<'a> Detail<'a> {
    /// Under its connection, where the account is known.
    pub(super) fn bare(record: &SubscriptionRecord) -> Detail<'a> {
        Detail {
            account: "",
            account_tag: "",
            subject: text(&record.subject),
            qgroup: text(&record.queue),
            sid: text(&record.sid),
            msgs: record.delivered,
            max: record.limit,
            cid: record.client.0,
        }
    }

    /// Of a connection that is gone. What it would have been limited to is forgotten, as in nats-server.
    pub(super) fn of_closed(site: &'a Site, record: &SubscriptionRecord) -> Detail<'a> {
        Detail {
            max: None,
            ..Detail::with_account(site, record)
        }
    }

    pub(super) fn with_account(site: &'a Site, record: &SubscriptionRecord) -> Detail<'a> {
        let account = account_name(site, record.account);
        Detail {
            account,
            account_tag: account,
            ..Detail::bare(record)
        }
    }
}
