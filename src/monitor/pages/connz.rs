//! `/connz`: connections, one by one. Names, order, omissions and error texts are nats-server's (`monitor.go`).
//!
//! First the shards say which connections match and what they are sorted by, a few bytes each; only those on the page are
//! asked for in full, and their subscriptions last. So a page costs the shards little, however many connections there are.

mod entry;

pub(super) use entry::account_name;

use crate::base::ids::{AccountId, ClientNumber, ShardId};
use crate::monitor::go_json::{Time, pretty};
use crate::monitor::query::{Page, Query, Subscriptions};
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::monitor::surveyor::Scan;
use crate::session::record::{ClosedConnection, ConnectionRecord, SubscriptionRecord};
use crate::shard::survey::{Rank, Ranked, WantedConnections, WantedSubscriptions};
use entry::{Entry, Shown};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Subscriptions that one page lists at most: some 100 MB of JSON with their details.
const SUBSCRIPTIONS_MAX: usize = 1_000_000;

pub(super) async fn page(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let wanted = Wanted::read(query)?;
    let list = wanted.list(site).await?;
    Ok(Reply::page(JSON, pretty(&list)))
}

/// The same for the dashboard, which can `search` too.
pub(super) async fn search(site: &Site, query: &Query) -> Result<Reply, Refusal> {
    let mut wanted = Wanted::read(query)?;
    wanted.mentioning = Some(query.text("search").trim().into());
    let list = wanted.list(site).await?;
    Ok(Reply::page(JSON, pretty(&list)))
}

#[derive(Debug, Serialize)]
struct Connz<'a> {
    server_id: &'a str,
    now: Time,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
    connections: Option<Vec<Entry<'a>>>,
}

/// What the query asks for.
#[derive(Debug)]
struct Wanted {
    sort: Sort,
    shown: Shown,
    page: Page,
    number: Option<ClientNumber>,
    state: State,
    user: Option<Box<str>>,
    /// By its name.
    account: Option<String>,
    /// That somebody means who looks for this.
    mentioning: Option<Box<str>>,
    /// Only connections of a kind that does not exist yet.
    mqtt_only: bool,
    /// Only connections with a subscription that hears something of this.
    meeting: Option<Box<[u8]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Any,
}

/// What the list is sorted by, and which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    By(Rank, Direction),
    /// Of closed connections: the last to go first.
    Stop,
    /// Of closed connections: by the letters of the reason.
    Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// A connection that may come onto the page, with the figure it is sorted by.
#[derive(Debug)]
struct Candidate {
    figure: u64,
    number: ClientNumber,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Open(ShardId, Ranked),
    Closed(Arc<ClosedConnection>),
}

/// What connections' subscriptions have to meet; everything does meet `>`.
pub(in crate::monitor) fn subject_filter(query: &Query) -> Option<&str> {
    Some(query.text("filter_subject")).filter(|filter| !matches!(*filter, "" | ">"))
}

impl Wanted {
    fn read(query: &Query) -> Result<Wanted, Refusal> {
        let some = |name: &str| Some(query.text(name)).filter(|text| !text.is_empty());
        let auth = query.boolean("auth")?;
        let subscriptions = query.subscriptions()?;
        let mut page = query.page()?;
        let number = query.unsigned("cid")?;
        let state = State::read(query.text("state"))?;
        let sort = Sort::read(query.text("sort"), state)?;
        if number > 0 {
            page.limit = 1;
        }
        // Without an account nats-server's page takes no notice of it; a request in `$SYS` is refused.
        let meeting = subject_filter(query).filter(|_| some("acc").is_some());
        let meeting = meeting.map(|filter| filter.as_bytes().into());
        Ok(Wanted {
            sort,
            shown: Shown {
                auth,
                subscriptions,
            },
            page,
            number: (number > 0).then_some(ClientNumber(number)),
            state,
            user: some("user").map(Into::into),
            account: some("acc").map(str::to_owned),
            mentioning: None,
            mqtt_only: some("mqtt_client").is_some(),
            meeting,
        })
    }

    async fn list<'a>(&self, site: &'a Site) -> Result<Connz<'a>, Refusal> {
        let mut list = Connz {
            server_id: &site.facts.info.server_id,
            now: Time(site.now()),
            num_connections: 0,
            total: 0,
            offset: self.page.offset,
            limit: self.page.limit,
            connections: Some(Vec::new()),
        };
        let account = match &self.account {
            None => None,
            Some(name) => match site.account_named(name) {
                Some((id, _)) => Some(id),
                None => {
                    // nats-server gives up here, with these two fields not yet filled.
                    list.server_id = "";
                    list.connections = None;
                    return Ok(list);
                }
            },
        };
        let scan = site.surveyor.scan().await?;
        let (candidates, total) = self.candidates(site, &scan, account).await?;
        list.total = total;
        let page = self.page.cut(self.sorted(candidates));
        let entries = self.entries(site, &scan, page).await?;
        list.num_connections = entries.len();
        list.connections = Some(entries);
        Ok(list)
    }

    /// All that match, and how many there are in the account.
    async fn candidates(
        &self,
        site: &Site,
        scan: &Scan<'_>,
        account: Option<AccountId>,
    ) -> Result<(Vec<Candidate>, usize), Refusal> {
        let (mut candidates, mut total) = (Vec::new(), 0);
        let now = site.facts.clock.now();
        if self.state != State::Closed {
            let open = scan
                .connections(WantedConnections {
                    number: self.number,
                    account,
                    user: self.user.clone().filter(|_| self.number.is_none()),
                    mentioning: self.mentioning.clone(),
                    rank: self.sort.rank(),
                })
                .await?;
            total += open.of_account;
            candidates.extend(open.ranked.into_iter().map(|(shard, ranked)| Candidate {
                figure: match self.sort.rank() {
                    Rank::StartedAt => now.nanos().saturating_sub(ranked.figure),
                    _ => ranked.figure,
                },
                number: ranked.number,
                is: Is::Open(shard, ranked),
            }));
        }
        if self.state != State::Open {
            let mut closed = scan.closed().await?;
            // Each shard remembers as many as the server may.
            closed.sort_unstable_by_key(|closed| closed.stopped_at);
            let kept = closed
                .len()
                .saturating_sub(site.facts.options.max_closed_clients);
            closed.drain(..kept);
            closed.retain(|closed| account.is_none_or(|account| account == closed.record.account));
            total += closed.len();
            if self.number.is_none() || candidates.is_empty() {
                let wanted = closed
                    .into_iter()
                    .filter(|closed| self.takes(&closed.record));
                candidates.extend(wanted.map(|closed| self.closed_candidate(closed)));
            }
        }
        if self.mqtt_only {
            candidates.clear();
        }
        if let Some(filter) = &self.meeting {
            let numbers = meeting(site, scan, account, filter).await?;
            candidates.retain(|one| match one.is {
                Is::Open(..) => numbers.contains(&one.number),
                Is::Closed(_) => true,
            });
        }
        Ok((candidates, total))
    }

    fn takes(&self, record: &ConnectionRecord) -> bool {
        self.number.is_none_or(|number| number == record.number)
            && self
                .user
                .as_deref()
                .is_none_or(|user| user == &*record.user)
            && self
                .mentioning
                .as_deref()
                .is_none_or(|text| record.mentions(text))
    }

    fn closed_candidate(&self, closed: Arc<ClosedConnection>) -> Candidate {
        let figure = match self.sort.rank() {
            Rank::StartedAt => closed
                .stopped_at
                .nanos()
                .saturating_sub(closed.record.started_at.nanos()),
            rank => rank.of(&closed.record),
        };
        Candidate {
            figure,
            number: closed.record.number,
            is: Is::Closed(closed),
        }
    }

    fn sorted(&self, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
        // Equals in the order of their numbers, so that pages neither overlap nor leave any out.
        match self.sort {
            Sort::By(_, Direction::Up) => {
                candidates.sort_unstable_by_key(|one| (one.figure, one.number.0));
            }
            Sort::By(_, Direction::Down) => {
                candidates.sort_unstable_by_key(|one| (std::cmp::Reverse(one.figure), one.number.0))
            }
            Sort::Stop => candidates.sort_by_key(|one| {
                (
                    std::cmp::Reverse(one.closed().map(|closed| closed.stopped_at)),
                    one.number.0,
                )
            }),
            Sort::Reason => candidates.sort_by_cached_key(|one| {
                (
                    one.closed().map(|closed| closed.reason.to_string()),
                    one.number.0,
                )
            }),
        }
        candidates
    }

    async fn entries<'a>(
        &self,
        site: &'a Site,
        scan: &Scan<'_>,
        page: Vec<Candidate>,
    ) -> Result<Vec<Entry<'a>>, Refusal> {
        let mut open = Open::fetch(scan, &page).await?;
        if self.shown.subscriptions != Subscriptions::None {
            open.fetch_subscriptions(scan).await?;
        }
        let now = site.facts.clock.now();
        let entries = page.into_iter().filter_map(|candidate| match candidate.is {
            Is::Open(..) => {
                // It may have gone since it was chosen.
                let record = open.records.remove(&candidate.number.0)?;
                let subscriptions = open.subscriptions.remove(&candidate.number.0);
                let subscriptions = subscriptions.unwrap_or_default();
                Some(Entry::open(site, self.shown, &record, &subscriptions, now))
            }
            Is::Closed(closed) => Some(Entry::closed(site, self.shown, &closed)),
        });
        Ok(entries.collect())
    }
}

/// The connections of an account that have a subscription which hears something of `filter`.
async fn meeting(
    site: &Site,
    scan: &Scan<'_>,
    account: Option<AccountId>,
    filter: &[u8],
) -> Result<HashSet<ClientNumber>, Refusal> {
    let wanted = Arc::new(WantedSubscriptions {
        account,
        meeting: Some(filter.into()),
        ..WantedSubscriptions::default()
    });
    let mut numbers = HashSet::new();
    for shard in site.surveyor.shards() {
        let found = scan.subscriptions(shard, &wanted, 0, SUBSCRIPTIONS_MAX);
        numbers.extend(found.await?.0.iter().map(|record| record.client));
    }
    Ok(numbers)
}

/// The open connections of a page in full.
#[derive(Debug, Default)]
struct Open {
    records: HashMap<u64, ConnectionRecord>,
    shards: HashMap<ShardId, HashSet<u32>>,
    subscriptions: HashMap<u64, Vec<SubscriptionRecord>>,
}

impl Open {
    async fn fetch(scan: &Scan<'_>, page: &[Candidate]) -> Result<Open, Refusal> {
        let mut by_shard: HashMap<ShardId, Vec<_>> = HashMap::new();
        for candidate in page {
            if let Is::Open(shard, ranked) = &candidate.is {
                by_shard.entry(*shard).or_default().push(ranked.id);
            }
        }
        let mut open = Open::default();
        for (shard, of) in by_shard {
            let records = scan.records(shard, &of).await?;
            open.shards
                .insert(shard, of.iter().map(|id| id.slot).collect());
            open.records
                .extend(records.into_iter().map(|record| (record.number.0, record)));
        }
        Ok(open)
    }

    async fn fetch_subscriptions(&mut self, scan: &Scan<'_>) -> Result<(), Refusal> {
        let listed: usize = self
            .records
            .values()
            .map(|record| record.subscriptions)
            .sum();
        if listed > SUBSCRIPTIONS_MAX {
            return Err(Refusal::Unavailable(format!(
                "these connections have {listed} subscriptions, more than one page can list: ask for fewer with limit"
            )));
        }
        for (shard, slots) in std::mem::take(&mut self.shards) {
            let wanted = Arc::new(WantedSubscriptions {
                slots: Some(slots),
                ..WantedSubscriptions::default()
            });
            let (found, _) = scan
                .subscriptions(shard, &wanted, 0, SUBSCRIPTIONS_MAX)
                .await?;
            for one in found {
                self.subscriptions
                    .entry(one.client.0)
                    .or_default()
                    .push(one);
            }
        }
        Ok(())
    }
}

impl Candidate {
    fn closed(&self) -> Option<&ClosedConnection> {
        match &self.is {
            Is::Closed(closed) => Some(closed),
            Is::Open(..) => None,
        }
    }
}

impl State {
    fn read(text: &str) -> Result<State, Refusal> {
        match text.to_lowercase().as_str() {
            "" | "open" => Ok(State::Open),
            "closed" => Ok(State::Closed),
            "any" | "all" => Ok(State::Any),
            _ => Err(Refusal::Bad(format!("Error decoding state for {text}"))),
        }
    }
}

impl Sort {
    fn read(text: &str, state: State) -> Result<Sort, Refusal> {
        let down = |rank| Ok(Sort::By(rank, Direction::Down));
        match text {
            // Numbers are given in the order of the starts.
            "" | "cid" | "start" => Ok(Sort::By(Rank::Number, Direction::Up)),
            "subs" => down(Rank::Subscriptions),
            "pending" => down(Rank::Pending),
            "msgs_to" => down(Rank::MessagesTo),
            "msgs_from" => down(Rank::MessagesFrom),
            "bytes_to" => down(Rank::BytesTo),
            "bytes_from" => down(Rank::BytesFrom),
            "last" => down(Rank::ActiveAt),
            // The longest idle first.
            "idle" => Ok(Sort::By(Rank::ActiveAt, Direction::Up)),
            // How long it has been up, or was: figured out from the start. The shortest first, as in nats-server.
            "uptime" => Ok(Sort::By(Rank::StartedAt, Direction::Up)),
            "rtt" => down(Rank::RoundTrip),
            "stop" | "reason" if state != State::Closed => Err(Refusal::Bad(format!(
                "sort by {text} only valid on closed connections"
            ))),
            "stop" => Ok(Sort::Stop),
            "reason" => Ok(Sort::Reason),
            _ => Err(Refusal::Bad(format!("invalid sorting option: {text}"))),
        }
    }

    fn rank(self) -> Rank {
        match self {
            Sort::By(rank, _) => rank,
            Sort::Stop | Sort::Reason => Rank::Number,
        }
    }
}
