//! The pages, one file each, and which path is which.

mod absent;
mod accounts;
mod connz;
mod dashboard;
mod healthz;
mod index;
mod lanes;
mod metrics;
mod process;
mod subsz;
mod totals;
mod varz;

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
    "/dashboard/events",
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

/// Makes the page that is at one of [`PATHS`].
pub(super) async fn page(path: &str, site: &Rc<Site>, query: &Query) -> Result<Reply, Refusal> {
    match path {
        "/" => Ok(index::page(site)),
        "/accountz" => accounts::accountz(site, query).await,
        "/accstatz" => accounts::accstatz(site, query).await,
        "/connz" => connz::page(site, query).await,
        "/dashboard" => Ok(dashboard::page(site)),
        "/dashboard/events" => dashboard::events(site),
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
        _ => Err(Refusal::NotFound("404 page not found\n")),
    }
}
