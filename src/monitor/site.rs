//! What the pages may ask, and the way from a request to its answer. Counts the requests, as `/varz` shows them.

use super::Facts;
use super::pages;
use super::path::{Place, base_path, place};
use super::query::Query;
use super::reply::{Outgoing, Refusal, Reply, Sending};
use super::surveyor::Surveyor;
use crate::base::clock::{Now, WallClock};
use crate::base::ids::AccountId;
use crate::config::Account;
use crate::runtime::usage;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode, Version};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Everything a page may ask. A page keeps the facts that it began with, though the server reads its configuration again
/// meanwhile.
#[derive(Clone, Debug)]
pub struct Site {
    pub(super) facts: Arc<Facts>,
    newest: watch::Receiver<Arc<Facts>>,
    pub(super) surveyor: Rc<Surveyor>,
    pub(super) requests: Rc<RefCell<BTreeMap<&'static str, u64>>>,
    base_path: String,
    /// What the calendar said at the start: a clock that was set since changes nothing.
    wall: WallClock,
    outgoing: Outgoing,
    load: Rc<Cell<Load>>,
    watchers: Rc<Cell<usize>>,
}

/// What the processor was doing for us when somebody last asked.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    at: Now,
    processor_time: Duration,
    percent: f64,
}

/// Each asks every shard once a second.
const WATCHERS_MAX: usize = 32;

/// Somebody who watches the dashboard.
#[derive(Debug)]
pub(super) struct Watcher(Rc<Cell<usize>>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// Shorter times than this say little about the load.
const LOAD_OVER: Duration = Duration::from_secs(1);

impl Site {
    pub(super) fn new(newest: watch::Receiver<Arc<Facts>>) -> Site {
        let facts = Arc::clone(&newest.borrow());
        Site {
            surveyor: Rc::new(Surveyor::new(facts.bells.clone())),
            requests: Rc::default(),
            base_path: base_path(&facts.options.monitor_base_path),
            wall: facts.clock.wall(),
            outgoing: Outgoing::default(),
            load: Rc::default(),
            watchers: Rc::default(),
            facts,
            newest,
        }
    }

    /// The same with the newest facts.
    pub(super) fn current(self: &Rc<Site>) -> Rc<Site> {
        let newest = Arc::clone(&self.newest.borrow());
        if Arc::ptr_eq(&newest, &self.facts) {
            return Rc::clone(self);
        }
        Rc::new(Site {
            facts: newest,
            ..Site::clone(self)
        })
    }

    /// The time of day now.
    pub(super) fn now(&self) -> SystemTime {
        self.time_of_day(self.facts.clock.now())
    }

    pub(super) fn time_of_day(&self, at: Now) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.wall.at(at)
    }

    /// Per cent of one core that the process has taken lately. nats-server looks every second; here nothing happens
    /// while nobody asks.
    pub(super) fn load_percent(&self) -> f64 {
        let now = self.facts.clock.now();
        let last = self.load.get();
        let span = now.since(last.at);
        if span >= LOAD_OVER {
            let processor_time = usage::processor_time();
            let used = processor_time.saturating_sub(last.processor_time);
            let percent = used.as_secs_f64() / span.as_secs_f64() * 100.0;
            self.load.set(Load {
                at: now,
                processor_time,
                percent: (percent * 10.0).round() / 10.0,
            });
        }
        self.load.get().percent
    }

    /// The accounts that the configuration has, with their numbers. `$SYS` has one in every server, and is only there if it
    /// is the system account.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        let options = &self.facts.options;
        let has_its_own = options.system_account == AccountId::SYSTEM && !options.no_system_account;
        let all = (0..).map(AccountId).zip(&options.accounts);
        all.filter(move |(id, account)| {
            !account.is_former && (has_its_own || *id != AccountId::SYSTEM)
        })
    }

    pub fn account_named(&self, name: &str) -> Option<(AccountId, &Account)> {
        self.accounts().find(|(_, account)| account.name == name)
    }

    /// What the system account is called; empty where there is none.
    pub(super) fn system_account(&self) -> &str {
        let options = &self.facts.options;
        let account = options.accounts.get(options.system_account.index());
        account
            .filter(|_| !options.no_system_account)
            .map_or("", |account| account.name.as_str())
    }

    /// A place among those who watch the dashboard; none if it is full.
    pub(super) fn watcher(&self) -> Option<Watcher> {
        let others = self.watchers.get();
        (others < WATCHERS_MAX).then(|| {
            self.watchers.set(others + 1);
            Watcher(Rc::clone(&self.watchers))
        })
    }

    /// The link to the first page.
    pub(super) fn home(&self) -> String {
        self.base_path.clone()
    }

    /// The link to a page, from the address of the host.
    pub(super) fn link(&self, path: &str) -> String {
        match self.base_path.as_str() {
            "/" => path.to_owned(),
            base => format!("{base}{path}"),
        }
    }

    /// Answers a request, whatever its method: as in nats-server, they all ask.
    pub(super) async fn answer(self: &Rc<Site>, request: &Request<Incoming>) -> Response<Sending> {
        let uri = request.uri();
        let asked = match names_its_host(request) {
            true => place(uri.path(), &self.base_path),
            false => Place::Broken,
        };
        let reply = match asked {
            Place::Page(path) => {
                let query = Query::parse(uri.query().unwrap_or_default());
                let counted = if path == "/subscriptionsz" {
                    "/subsz"
                } else {
                    path
                };
                // The dashboard's own questions would only hide what others ask.
                if !path.starts_with("/dashboard/") {
                    *self.requests.borrow_mut().entry(counted).or_default() += 1;
                }
                let page = pages::page(path, self, &query).await;
                page.unwrap_or_else(Reply::from)
            }
            Place::Elsewhere(path) => match uri.query() {
                Some(query) => Reply::elsewhere(&format!("{path}?{query}")),
                None => Reply::elsewhere(&path),
            },
            Place::Nothing => Refusal::NotFound("404 page not found\n").into(),
            Place::Broken => Refusal::Bad("400 Bad Request".to_owned()).into(),
        };
        let is_refused = reply.status == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = self.outgoing.send(reply);
        if is_refused && request.version() < Version::HTTP_2 {
            // There may be others whom the server has room for.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }
}

/// Whether a request says for whom it is as HTTP/1.1 wants it: once. Two readers could understand another one in two ways.
fn names_its_host<T>(request: &Request<T>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().count() == 1
}
