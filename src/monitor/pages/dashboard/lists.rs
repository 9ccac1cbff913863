//! What somebody at the dashboard looks for: `/dashboard/subjects`, `/dashboard/accounts`, `/dashboard/slow`.

use crate::monitor::go_json::{Time, pretty, text};
use crate::monitor::pages::accounts::{AccountStat, Accstatz};
use crate::monitor::pages::connz::account_name;
use crate::monitor::pages::subsz::Detail;
use crate::monitor::query::Query;
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::session::slow_consumer::SlowConsumer;
use crate::shard::survey::{Below, Branch};
use serde::Serialize;
use std::cmp::Reverse;

/// Nobody reads more on one page.
const BRANCHES_MAX: usize = 200;
const ACCOUNTS_MAX: usize = 100;
const SLOW_CONSUMERS_MAX: usize = 50;

/// How the subjects of subscriptions go on after the tokens `below`, in the account `acc` or in all.
pub(in crate::monitor::pages) async fn subjects(
    site: &Site,
    query: &Query,
) -> Result<Reply, Refusal> {
    let name = query.text("acc");
    let account = match name {
        "" => None,
        name => match site.account_named(name) {
            Some((id, _)) => Some(id),
            None => return Err(Refusal::Bad(format!("Account {name} does not exist"))),
        },
    };
    let below = query.text("below");
    let wanted = Below {
        beginning: below.as_bytes().into(),
        account,
    };
    let mut level = site.surveyor.scan().await?.subjects(wanted).await?;
    let branches = level.heaviest_first();
    let page = Subjects {
        below,
        here: level
            .here
            .iter()
            .map(|one| Detail::with_account(site, one))
            .collect(),
        ending_here: level.ending_here,
        more_tokens: branches.len().saturating_sub(BRANCHES_MAX),
        uncounted: level.left_out,
        branches: branches
            .iter()
            .take(BRANCHES_MAX)
            .map(Token::from)
            .collect(),
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

/// The accounts with the most messages.
pub(in crate::monitor::pages) async fn accounts(site: &Site) -> Result<Reply, Refusal> {
    let figures = site.surveyor.scan().await?.accounts().await?;
    let mut stats = Accstatz::new(site, &figures, true).account_statz;
    stats.sort_by_key(|one| Reverse(one.weight()));
    let total = stats.len();
    stats.truncate(ACCOUNTS_MAX);
    let page = Busiest {
        now: Time(site.now()),
        total,
        accounts: stats,
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

/// The consumers that were too slow lately.
pub(in crate::monitor::pages) async fn slow(site: &Site) -> Result<Reply, Refusal> {
    let all = newest_slow_consumers(site, SLOW_CONSUMERS_MAX).await?;
    let page = SlowConsumers {
        slow_consumers: all.iter().map(|one| Slow::new(site, one)).collect(),
    };
    Ok(Reply::page(JSON, pretty(&page)))
}

/// Those of all shards, the last one first, `count` at most.
pub(in crate::monitor::pages) async fn newest_slow_consumers(
    site: &Site,
    count: usize,
) -> Result<Vec<SlowConsumer>, Refusal> {
    let mut all = site.surveyor.scan().await?.slow_consumers().await?;
    all.sort_by_key(|one| Reverse(one.closed_at));
    all.truncate(count);
    Ok(all)
}

#[derive(Debug, Serialize)]
struct Subjects<'a> {
    below: &'a str,
    /// Some of the subscriptions to `below` itself, and how many there are.
    here: Vec<Detail<'a>>,
    ending_here: usize,
    branches: Vec<Token>,
    /// Tokens that are not shown, and subscriptions whose tokens are not even counted.
    more_tokens: usize,
    uncounted: usize,
}

#[derive(Debug, Serialize)]
struct Token {
    token: String,
    ending: usize,
    below: usize,
}

impl From<&Branch> for Token {
    fn from(branch: &Branch) -> Token {
        Token {
            token: text(&branch.token),
            ending: branch.ending,
            below: branch.below,
        }
    }
}

#[derive(Debug, Serialize)]
struct Busiest<'a> {
    now: Time,
    total: usize,
    accounts: Vec<AccountStat<'a>>,
}

#[derive(Debug, Serialize)]
struct SlowConsumers<'a> {
    slow_consumers: Vec<Slow<'a>>,
}

#[derive(Debug, Serialize)]
struct Slow<'a> {
    at: Time,
    cid: u64,
    address: String,
    account: &'a str,
    reason: String,
    pending_bytes: usize,
    /// What most of these were; empty where nothing is known.
    subject: String,
    subscription: String,
    sid: String,
    queue: String,
    percent: u8,
    subscription_percent: u8,
}

impl<'a> Slow<'a> {
    fn new(site: &'a Site, slow: &SlowConsumer) -> Slow<'a> {
        let report = slow.report();
        let glut = slow.glut.as_ref();
        Slow {
            at: Time(site.time_of_day(slow.closed_at)),
            cid: slow.number.0,
            address: slow.origin.to_string(),
            account: account_name(site, slow.account),
            reason: slow.reason.to_string(),
            pending_bytes: report.pending_bytes,
            subject: report.subject,
            subscription: report.subscription,
            sid: report.sid,
            queue: report.queue,
            percent: report.percent.unwrap_or_default(),
            subscription_percent: glut.map_or(0, |glut| glut.subscription_percent),
        }
    }
}
