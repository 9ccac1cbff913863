//! One connection as `/connz` shows it.
//!
//! What JWT, proxies and MQTT would say of it is left out, as nats-server does where there is none; it has its place here
//! when those parts come.

use crate::base::clock::Now;
use crate::base::ids::AccountId;
use crate::monitor::go_json::{Time, rtt, text, uptime};
use crate::monitor::pages::subsz::Detail;
use crate::monitor::query::Subscriptions;
use crate::monitor::site::Site;
use crate::session::record::{ClosedConnection, ConnectionRecord, SubscriptionRecord};
use crate::wire::tls::peer::{PeerCertificate, hex};
use serde::Serialize;

/// What is shown beside the figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) auth: bool,
    pub(super) subscriptions: Subscriptions,
}

#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    cid: u64,
    kind: &'static str,
    #[serde(rename = "type")]
    protocol: &'static str,
    ip: String,
    port: u16,
    start: Time,
    last_activity: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Time>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    rtt: String,
    uptime: String,
    idle: String,
    pending_bytes: usize,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    stalls: u64,
    subscriptions: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_cipher_suite: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_peer_certs: Vec<PeerCert>,
    #[serde(skip_serializing_if = "is_false")]
    tls_first: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    authorized_user: Box<str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    account: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list_detail: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    issuer_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name_tag: &'a str,
}

impl<'a> Entry<'a> {
    pub(super) fn open(
        site: &'a Site,
        shown: Shown,
        record: &ConnectionRecord,
        subscriptions: &[SubscriptionRecord],
        now: Now,
    ) -> Entry<'a> {
        let mut entry = Entry::new(site, shown, record, now);
        match shown.subscriptions {
            Subscriptions::None => {}
            Subscriptions::Subjects => entry.subscriptions_list = subjects(subscriptions),
            Subscriptions::Detail => {
                entry.subscriptions_list_detail = subscriptions.iter().map(Detail::bare).collect();
            }
        }
        entry
    }

    pub(super) fn closed(site: &'a Site, shown: Shown, closed: &ClosedConnection) -> Entry<'a> {
        let mut entry = Entry::new(site, shown, &closed.record, closed.stopped_at);
        entry.stop = Some(Time(site.time_of_day(closed.stopped_at)));
        entry.reason = closed.reason.to_string();
        // nats-server shows it to whoever asks.
        entry.issuer_key = issuer_key(site, &closed.record);
        if closed.record.account == AccountId::GLOBAL {
            // nats-server keeps no name for it.
            entry.name_tag = "";
        }
        let subscriptions = &closed.subscriptions;
        match shown.subscriptions {
            Subscriptions::None => {}
            Subscriptions::Subjects => entry.subscriptions_list = subjects(subscriptions),
            Subscriptions::Detail => {
                let details = subscriptions.iter().map(|one| Detail::of_closed(site, one));
                entry.subscriptions_list_detail = details.collect();
            }
        }
        entry
    }

    fn new(site: &'a Site, shown: Shown, record: &ConnectionRecord, now: Now) -> Entry<'a> {
        let account = account_name(site, record.account);
        let (user, account, name_tag) = match (shown.auth, record.account) {
            (false, _) => ("".into(), "", ""),
            (true, AccountId::GLOBAL) => (record.user.clone(), "", account),
            (true, _) => (record.user.clone(), account, account),
        };
        let secured = record.secured.as_deref();
        let peer = secured
            .filter(|_| shown.auth)
            .map(|secured| secured.peer.as_slice());
        let peer = peer.unwrap_or_default();
        Entry {
            cid: record.number.0,
            kind: "Client",
            protocol: "nats",
            ip: record.origin.host(),
            port: record.origin.address().port(),
            start: Time(site.time_of_day(record.started_at)),
            last_activity: Time(site.time_of_day(record.active_at)),
            stop: None,
            reason: String::new(),
            rtt: rtt(record.rtt),
            uptime: uptime(now.since(record.started_at)),
            idle: uptime(now.since(record.active_at)),
            pending_bytes: record.pending_bytes,
            in_msgs: record.received.messages,
            out_msgs: record.sent.messages,
            in_bytes: record.received.bytes,
            out_bytes: record.sent.bytes,
            stalls: record.stalls,
            subscriptions: record.subscriptions,
            name: record.name.clone(),
            lang: record.language.clone(),
            version: record.version.clone(),
            tls_version: secured.map_or("", |secured| secured.version),
            tls_cipher_suite: secured.map_or("", |secured| secured.cipher_suite),
            tls_peer_certs: peer.iter().map(PeerCert::new).collect(),
            tls_first: secured.is_some_and(|secured| secured.is_first),
            authorized_user: user,
            account,
            subscriptions_list: Vec::new(),
            subscriptions_list_detail: Vec::new(),
            issuer_key: if shown.auth {
                issuer_key(site, record)
            } else {
                ""
            },
            name_tag,
        }
    }
}

/// A certificate that a client has shown.
#[derive(Debug, Serialize)]
struct PeerCert {
    #[serde(skip_serializing_if = "String::is_empty")]
    subject: String,
    spki_sha256: String,
    cert_sha256: String,
}

impl PeerCert {
    fn new(certificate: &PeerCertificate) -> PeerCert {
        PeerCert {
            subject: certificate.subject_text(),
            spki_sha256: hex(&certificate.key_sha256),
            cert_sha256: hex(&certificate.sha256),
        }
    }
}

/// Who vouches for an nkey: without JWTs its account.
fn issuer_key<'a>(site: &'a Site, record: &ConnectionRecord) -> &'a str {
    if record.has_nkey {
        account_name(site, record.account)
    } else {
        ""
    }
}

/// What the configuration calls an account.
pub(in crate::monitor::pages) fn account_name(site: &Site, account: AccountId) -> &str {
    let accounts = &site.facts.options.accounts;
    accounts
        .get(account.index())
        .map_or("", |account| account.name.as_str())
}

fn subjects(subscriptions: &[SubscriptionRecord]) -> Vec<String> {
    subscriptions.iter().map(|one| text(&one.subject)).collect()
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
