//! What the pages know, for whoever asks from within the process: the services of the system account.
//!
//! Invariant: it is what the pages show, made by the same code, in JSON without blanks.

use super::Facts;
use super::go_json::compact;
use super::pages;
use super::pages::accounts::{self, AccountStat};
use super::query::Query;
use super::reply::{Refusal, Reply};
use super::site::Site;
use crate::base::clock::Now;
use crate::base::ids::{AccountId, ClientNumber, ShardId};
use crate::shard::errand::{Errand, Outcome};
use crate::shard::survey::WantedSubscriptions;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

/// A page that has an answer in the system account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Accountz,
    Connz,
    Expvarz,
    Gatewayz,
    Healthz,
    Ipqueuesz,
    Jsz,
    Leafz,
    Raftz,
    Routez,
    Subsz,
    Varz,
}

impl Page {
    fn path(self) -> &'static str {
        match self {
            Page::Accountz => "/accountz",
            Page::Connz => "/connz",
            Page::Expvarz => "/debug/vars",
            Page::Gatewayz => "/gatewayz",
            Page::Healthz => "/healthz",
            Page::Ipqueuesz => "/ipqueuesz",
            Page::Jsz => "/jsz",
            Page::Leafz => "/leafz",
            Page::Raftz => "/raftz",
            Page::Routez => "/routez",
            Page::Subsz => "/subsz",
            Page::Varz => "/varz",
        }
    }
}

impl Site {
    /// What the server says of itself now.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The time of day.
    pub fn time(&self) -> SystemTime {
        self.now()
    }

    /// The time since the start, by the clock that all shards have.
    pub fn clock(&self) -> Now {
        self.facts.clock.now()
    }

    /// The same with the newest facts.
    pub fn refreshed(self: &Rc<Site>) -> Rc<Site> {
        self.current()
    }

    /// What a page shows for these arguments.
    ///
    /// # Errors
    /// Why there is no page, in nats-server's words.
    pub async fn answer_for(
        self: &Rc<Site>,
        page: Page,
        arguments: &BTreeMap<&'static str, Vec<String>>,
    ) -> Result<Vec<u8>, String> {
        let query = Query::of(arguments);
        match page {
            // In the system account nats-server has an empty list where its page has an error.
            Page::Raftz => Ok(b"{}".to_vec()),
            Page::Healthz => Ok(pages::health(self, &query).await.map_err(said)?),
            _ => {
                let reply = pages::page(page.path(), self, &query).await;
                reply.map(|reply: Reply| compact(&reply.body)).map_err(said)
            }
        }
    }

    /// An account in full.
    ///
    /// # Errors
    /// That there is none of that name, in nats-server's words.
    pub async fn account_in_full(&self, name: &str) -> Result<Vec<u8>, String> {
        let detail = accounts::detail(self, name).await.map_err(said)?;
        Ok(serde_json::to_vec(&detail).unwrap_or_default())
    }

    /// The page of accounts with what goes on in them: all, or those of these names.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn account_statistics(
        &self,
        names: &[String],
        with_unused: bool,
    ) -> Result<Option<Vec<u8>>, String> {
        let page = accounts::statistics(self, names, with_unused).await;
        let page = page.map_err(said)?;
        let is_worth_it = with_unused || !page.is_empty();
        Ok(is_worth_it.then(|| serde_json::to_vec(&page).unwrap_or_default()))
    }

    /// What goes on in these accounts, for those that there are.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn figures_of(
        &self,
        wanted: &[AccountId],
    ) -> Result<Vec<(AccountId, AccountStat<'_>)>, String> {
        accounts::figures(self, wanted).await.map_err(said)
    }

    /// What the server tells of itself at intervals.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn statistics(&self) -> Result<Vec<u8>, String> {
        let page = pages::statistics(self).await.map_err(said)?;
        Ok(serde_json::to_vec(&page).unwrap_or_default())
    }

    /// How many subscriptions there are that match.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn subscribers(&self, wanted: WantedSubscriptions) -> Result<usize, String> {
        let wanted = Arc::new(wanted);
        let scan = self.surveyor.scan().await.map_err(said)?;
        let mut count = 0;
        for shard in self.surveyor.shards() {
            let found = scan.subscriptions(shard, &wanted, 0, 0).await;
            count += found.map_err(said)?.1;
        }
        Ok(count)
    }

    /// Runs an errand about a client on the shard that has it.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn run_for(
        &self,
        client: ClientNumber,
        errand: fn(ClientNumber) -> Errand,
    ) -> Result<Outcome, String> {
        for shard in self.surveyor.shards() {
            match self.surveyor.run(shard, errand(client)).await {
                Ok(Outcome::Nobody) => {}
                Ok(outcome) => return Ok(outcome),
                Err(refusal) => return Err(said(refusal)),
            }
        }
        Ok(Outcome::Nobody)
    }

    /// Which of these subjects of the system account anybody wants.
    ///
    /// # Errors
    /// When the shard does not answer.
    pub async fn wanted(&self, subjects: Vec<Box<[u8]>>) -> Result<Vec<bool>, String> {
        // Interest is known on every shard.
        let outcome = self.surveyor.run(ShardId(0), Errand::Wanted(subjects));
        match outcome.await.map_err(said)? {
            Outcome::Wanted(wanted) => Ok(wanted),
            _ => Ok(Vec::new()),
        }
    }
}

fn said(refusal: Refusal) -> String {
    match refusal {
        Refusal::Bad(text) | Refusal::Unavailable(text) => text,
        Refusal::NotFound(text) => text.to_owned(),
    }
}
