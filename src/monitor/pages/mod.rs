//! The pages, one file each, and which path is which.

mod absent;
pub(super) mod accounts;
mod connz;
mod dashboard;
mod healthz;
mod index;
mod lanes;
mod metrics;
mod process;
mod statistics;
mod subsz;
mod totals;
mod varz;

pub(super) use connz::subject_filter;
pub(super) use statistics::statistics;

use super::query::Query;
use super::reply::{Refusal, Reply};
use super::site::Site;
use std::rc::Rc;

/// Every path there is.
pub(super) const PATHS: &[&str] = &[
    "/",
    "/accountz",
    "/accstatz",
    "/connz",
    "/dashboard",
    "/dashboard/accounts",
    "/dashboard/accounts.js",
    "/dashboard/chart.js",
    "/dashboard/connections",
    "/dashboard/connections.js",
    "/dashboard/events",
    "/dashboard/figures.js",
    "/dashboard/index.css",
    "/dashboard/page.js",
    "/dashboard/questions.js",
    "/dashboard/server.js",
    "/dashboard/slow",
    "/dashboard/stream.js",
    "/dashboard/style.css",
    "/dashboard/subjects",
    "/dashboard/subjects.js",
    "/debug/vars",
    "/gatewayz",
    "/healthz",
    "/ipqueuesz",
    "/jsz",
    "/leafz",
    "/metrics",
    "/raftz",
    "/routez",
    "/stacksz",
    "/subscriptionsz",
    "/subsz",
    "/varz",
];

/// What `/healthz` shows, with the status of its answer among it.
pub(super) async fn health(site: &Site, query: &Query) -> Result<Vec<u8>, Refusal> {
    healthz::with_code(site, query).await
}

/// Makes the page that is at one of [`PATHS`].
pub(super) async fn page(path: &str, site: &Rc<Site>, query: &Query) -> Result<Reply, Refusal> {
    match path {
        "/" => Ok(index::page(site)),
        "/accountz" => accounts::accountz(site, query).await,
        "/accstatz" => accounts::accstatz(site, query).await,
        "/connz" => connz::page(site, query).await,
        "/dashboard" => Ok(dashboard::page(site)),
        "/dashboard/accounts" => dashboard::accounts(site).await,
        "/dashboard/connections" => connz::search(site, query).await,
        "/dashboard/events" => dashboard::events(site),
        "/dashboard/slow" => dashboard::slow(site).await,
        "/dashboard/subjects" => dashboard::subjects(site, query).await,
        "/debug/vars" => process::vars(site).await,
        "/gatewayz" => absent::gatewayz(site, query),
        "/healthz" => healthz::page(site, query).await,
        "/ipqueuesz" => lanes::page(site, query).await,
        "/jsz" => absent::jsz(site, query),
        "/leafz" => absent::leafz(site, query),
        "/metrics" => metrics::page(site).await,
        "/raftz" => Err(Refusal::NotFound("No Raft nodes registered")),
        "/routez" => absent::routez(site, query),
        "/stacksz" => Ok(process::threads()),
        "/subscriptionsz" | "/subsz" => subsz::page(site, query).await,
        "/varz" => varz::page(site).await,
        path => dashboard::file(path).ok_or(Refusal::NotFound("404 page not found\n")),
    }
}
