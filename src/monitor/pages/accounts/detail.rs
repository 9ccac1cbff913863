//! One account in full, as `/accountz?acc=` shows it: what it exports, imports and maps is what the configuration says.

use super::mapped::{Destination, destinations};
use crate::base::ids::AccountId;
use crate::config::Account;
use crate::config::account::{Export, ExportKind, Import, ImportKind, ResponseKind};
use crate::monitor::go_json::Time;
use crate::monitor::pages::connz::account_name;
use crate::monitor::pages::totals::SublistStats;
use crate::monitor::site::Site;
use crate::monitor::surveyor::InAccount;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(in crate::monitor) struct Detail<'a> {
    account_name: &'a str,
    update_time: Time,
    #[serde(skip_serializing_if = "is_false")]
    is_system: bool,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: u64,
    client_connections: u64,
    subscriptions: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mappings: BTreeMap<&'a str, Vec<Destination<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<Exported<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Imported<'a>>,
    name_tag: &'a str,
    sublist_stats: SublistStats,
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    subject: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved_accounts: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct Imported<'a> {
    subject: Cow<'a, str>,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    local_subject: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    invalid: bool,
    share: bool,
    tracking: bool,
}

impl<'a> Detail<'a> {
    pub(super) fn new(
        site: &'a Site,
        id: AccountId,
        account: &'a Account,
        figures: &InAccount,
    ) -> Detail<'a> {
        let mappings = account
            .mappings
            .iter()
            .map(|mapping| (mapping.source.as_str(), destinations(mapping)));
        Detail {
            account_name: &account.name,
            update_time: Time(site.time_of_day(site.facts.accounts_at)),
            is_system: id == site.facts.options.system_account,
            expired: false,
            complete: true,
            jetstream_enabled: false,
            leafnode_connections: 0,
            client_connections: figures.sums.connections,
            subscriptions: figures.subscriptions as u64,
            mappings: mappings.collect(),
            exports: exports(site, id, account),
            imports: imports(site, id, account),
            name_tag: &account.name,
            sublist_stats: SublistStats::of_account(figures.subscriptions),
        }
    }
}

/// What it says that it exports, and what the system account exports by itself.
fn exports<'a>(site: &'a Site, id: AccountId, account: &'a Account) -> Vec<Exported<'a>> {
    let written = account
        .exports
        .iter()
        .map(|export| Exported::new(site, export));
    let mut exports: Vec<Exported<'a>> = written.collect();
    if id == site.facts.options.system_account {
        let services = site.facts.accounts.system_exports();
        exports.extend(services.map(|(subject, responses)| Exported {
            subject,
            kind: "service",
            response_type: Some(response_type(responses)),
            approved_accounts: Vec::new(),
        }));
    }
    exports
}

/// What it says that it imports, and what all accounts import.
fn imports<'a>(site: &'a Site, id: AccountId, account: &'a Account) -> Vec<Imported<'a>> {
    let facts = &site.facts;
    let written = account
        .imports
        .iter()
        .map(|import| Imported::new(site, import));
    let services = facts.accounts.system_services_of(id).into_iter();
    let services = services.map(|(subject, local, share)| Imported {
        subject: Cow::Owned(subject),
        account: account_name(site, facts.options.system_account),
        to: Some(local),
        local_subject: local,
        kind: "service",
        invalid: false,
        share,
        tracking: false,
    });
    written.chain(services).collect()
}

fn response_type(responses: ResponseKind) -> &'static str {
    match responses {
        ResponseKind::Singleton => "Singleton",
        ResponseKind::Stream => "Streamed",
        ResponseKind::Chunked => "Chunked",
    }
}

impl<'a> Exported<'a> {
    fn new(site: &'a Site, export: &'a Export) -> Exported<'a> {
        let (kind, response_type) = match &export.kind {
            ExportKind::Stream => ("stream", None),
            ExportKind::Service { responses, .. } => ("service", Some(response_type(*responses))),
        };
        let approved = export.accounts.iter().flatten();
        Exported {
            subject: &export.subject,
            kind,
            response_type,
            approved_accounts: approved
                .map(|account| account_name(site, *account))
                .collect(),
        }
    }
}

impl<'a> Imported<'a> {
    fn new(site: &'a Site, import: &'a Import) -> Imported<'a> {
        let (kind, to, share) = match &import.kind {
            ImportKind::Stream { to } => ("stream", to, false),
            ImportKind::Service { to, share } => ("service", to, *share),
        };
        let local = to.as_deref().unwrap_or(&import.subject);
        Imported {
            subject: Cow::Borrowed(&import.subject),
            account: account_name(site, import.from),
            // nats-server repeats it here for services only.
            to: (kind == "service").then_some(local),
            local_subject: local,
            kind,
            invalid: false,
            share,
            tracking: false,
        }
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
