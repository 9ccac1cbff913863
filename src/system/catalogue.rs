//! Which subjects have answers, and what bodies they take.
//!
//! Names are nats-server's (`events.go`). What has no answer here, nobody answers: who asks hears that from the broker.

use super::options::{Field, Form, Kind};
use crate::monitor::Page;

/// Something that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Who the server is.
    Id,
    Statistics,
    Page(Page),
    Profile,
    Reload,
    Kick,
    Warn,
    OfAccount(OfAccount),
    /// What goes on in all accounts.
    AllAccounts,
    /// How many subscriptions of an account there are on a subject.
    SubscriptionCount,
    /// The same, for people.
    Subscribers,
    UserInfo,
}

/// What can be asked about the account that the subject names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfAccount {
    /// A page, with the account as its argument.
    Page(Page),
    Jetstream,
    Info,
    Statistics,
    Connections,
}

/// All of them with their subjects, in the order of their subscriptions.
pub(super) fn all(server_id: &str) -> Vec<(String, Service)> {
    let mut all = vec![("$SYS.REQ.SERVER.PING".to_owned(), Service::Statistics)];
    for (name, service) in OF_SERVER {
        for whom in [server_id, "PING"] {
            all.push((format!("$SYS.REQ.SERVER.{whom}.{name}"), *service));
        }
    }
    for (name, service) in ORDERS {
        all.push((format!("$SYS.REQ.SERVER.{server_id}.{name}"), *service));
    }
    for (name, service) in OF_ACCOUNT {
        let subject = format!("$SYS.REQ.ACCOUNT.*.{name}");
        all.push((subject, Service::OfAccount(*service)));
    }
    let others = OTHERS.iter();
    all.extend(others.map(|(subject, service)| ((*subject).to_owned(), *service)));
    all
}

const OF_SERVER: &[(&str, Service)] = &[
    ("IDZ", Service::Id),
    ("STATSZ", Service::Statistics),
    ("VARZ", Service::Page(Page::Varz)),
    ("SUBSZ", Service::Page(Page::Subsz)),
    ("CONNZ", Service::Page(Page::Connz)),
    ("ROUTEZ", Service::Page(Page::Routez)),
    ("GATEWAYZ", Service::Page(Page::Gatewayz)),
    ("LEAFZ", Service::Page(Page::Leafz)),
    ("ACCOUNTZ", Service::Page(Page::Accountz)),
    ("JSZ", Service::Page(Page::Jsz)),
    ("HEALTHZ", Service::Page(Page::Healthz)),
    ("PROFILEZ", Service::Profile),
    ("EXPVARZ", Service::Page(Page::Expvarz)),
    ("IPQUEUESZ", Service::Page(Page::Ipqueuesz)),
    ("RAFTZ", Service::Page(Page::Raftz)),
];

/// Of one server, never of all.
const ORDERS: &[(&str, Service)] = &[
    ("RELOAD", Service::Reload),
    ("KICK", Service::Kick),
    ("LDM", Service::Warn),
];

const OF_ACCOUNT: &[(&str, OfAccount)] = &[
    ("SUBSZ", OfAccount::Page(Page::Subsz)),
    ("CONNZ", OfAccount::Page(Page::Connz)),
    ("LEAFZ", OfAccount::Page(Page::Leafz)),
    ("JSZ", OfAccount::Jetstream),
    ("INFO", OfAccount::Info),
    ("STATZ", OfAccount::Statistics),
    ("CONNS", OfAccount::Connections),
];

const OTHERS: &[(&str, Service)] = &[
    ("$SYS.REQ.ACCOUNT.PING.STATZ", Service::AllAccounts),
    ("$SYS.REQ.ACCOUNT.NSUBS", Service::SubscriptionCount),
    ("$SYS.DEBUG.SUBSCRIBERS", Service::Subscribers),
    ("$SYS.REQ.USER.*.INFO", Service::UserInfo),
];

/// What a body may say to a page.
pub(super) fn form(page: Page) -> Form {
    match page {
        Page::Accountz => with("AccountzEventOptions", &[("account", Kind::Text, "acc")]),
        Page::Connz => with("ConnzEventOptions", CONNECTIONS),
        Page::Expvarz => with("ExpvarzEventOptions", &[]),
        Page::Gatewayz => with("GatewayzEventOptions", GATEWAYS),
        Page::Healthz => with("HealthzEventOptions", HEALTH),
        Page::Ipqueuesz => with(
            "IpqueueszEventOptions",
            &[
                ("all", Kind::Switch, "all"),
                ("filter", Kind::Text, "queues"),
            ],
        ),
        Page::Jsz => with("JszEventOptions", JETSTREAM),
        Page::Leafz => with(
            "LeafzEventOptions",
            &[
                ("subscriptions", Kind::Switch, "subs"),
                ("account", Kind::Text, "acc"),
            ],
        ),
        Page::Raftz => with(
            "RaftzEventOptions",
            &[
                ("account", Kind::Text, "acc"),
                ("group", Kind::Text, "group"),
            ],
        ),
        Page::Routez => with("RoutezEventOptions", SUBSCRIPTIONS),
        Page::Subsz => with("SubszEventOptions", INDEX),
        Page::Varz => with("VarzEventOptions", &[]),
    }
}

const fn with(name: &'static str, fields: &'static [Field]) -> Form {
    Form { name, fields }
}

pub(super) const STATISTICS: Form = with("StatszEventOptions", &[]);
pub(super) const PROFILE: Form = with(
    "ProfilezEventOptions",
    &[
        ("name", Kind::Text, "name"),
        ("debug", Kind::Integer, "debug"),
        ("duration", Kind::Span, "duration"),
    ],
);
pub(super) const ORDER: Form = with("EventFilterOptions", &[]);
pub(super) const ACCOUNT_INFO: Form = with("AccInfoEventOptions", &[]);
pub(super) const ACCOUNT_STATISTICS: Form = with(
    "AccountStatzEventOptions",
    &[
        ("accounts", Kind::Texts, "acc"),
        ("include_unused", Kind::Switch, "unused"),
    ],
);

const SUBSCRIPTIONS: &[Field] = &[
    ("subscriptions", Kind::Subscriptions("true"), "subs"),
    (
        "subscriptions_detail",
        Kind::Subscriptions("detail"),
        "subs",
    ),
];

const CONNECTIONS: &[Field] = &[
    ("sort", Kind::Sort, "sort"),
    ("auth", Kind::Switch, "auth"),
    ("subscriptions", Kind::Subscriptions("true"), "subs"),
    (
        "subscriptions_detail",
        Kind::Subscriptions("detail"),
        "subs",
    ),
    ("offset", Kind::Integer, "offset"),
    ("limit", Kind::Integer, "limit"),
    ("cid", Kind::Unsigned, "cid"),
    ("mqtt_client", Kind::Text, "mqtt_client"),
    ("state", Kind::State, "state"),
    ("user", Kind::Text, "user"),
    ("acc", Kind::Text, "acc"),
    ("filter_subject", Kind::Text, "filter_subject"),
];

const GATEWAYS: &[Field] = &[
    ("name", Kind::Text, "gw_name"),
    ("accounts", Kind::Switch, "accs"),
    ("account_name", Kind::Text, "acc_name"),
    ("subscriptions", Kind::Subscriptions("true"), "subs"),
    (
        "subscriptions_detail",
        Kind::Subscriptions("detail"),
        "subs",
    ),
];

const HEALTH: &[Field] = &[
    ("js-enabled", Kind::Switch, "js-enabled"),
    ("js-enabled-only", Kind::Switch, "js-enabled-only"),
    ("js-server-only", Kind::Switch, "js-server-only"),
    ("js-meta-only", Kind::Switch, "js-meta-only"),
    ("account", Kind::Text, "account"),
    ("stream", Kind::Text, "stream"),
    ("consumer", Kind::Text, "consumer"),
    ("details", Kind::Switch, "details"),
];

const INDEX: &[Field] = &[
    ("offset", Kind::Integer, "offset"),
    ("limit", Kind::Integer, "limit"),
    ("subscriptions", Kind::Switch, "subs"),
    ("account", Kind::Text, "acc"),
    ("test", Kind::Text, "test"),
];

const JETSTREAM: &[Field] = &[
    ("account", Kind::Text, "acc"),
    ("accounts", Kind::Switch, "accounts"),
    ("streams", Kind::Switch, "streams"),
    ("consumer", Kind::Switch, "consumers"),
    ("direct_consumer", Kind::Switch, "direct-consumers"),
    ("config", Kind::Switch, "config"),
    ("leader_only", Kind::Switch, "leader-only"),
    ("offset", Kind::Integer, "offset"),
    ("limit", Kind::Integer, "limit"),
    ("raft", Kind::Switch, "raft"),
    ("stream_leader_only", Kind::Switch, "stream-leader-only"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_subject_is_there_once() {
        let all = all("NID");
        let subjects: HashSet<&str> = all.iter().map(|(subject, _)| subject.as_str()).collect();
        assert_eq!(subjects.len(), all.len());
        for subject in [
            "$SYS.REQ.SERVER.PING",
            "$SYS.REQ.SERVER.PING.VARZ",
            "$SYS.REQ.SERVER.NID.VARZ",
            "$SYS.REQ.SERVER.NID.KICK",
            "$SYS.REQ.ACCOUNT.*.CONNS",
            "$SYS.REQ.USER.*.INFO",
        ] {
            assert!(subjects.contains(subject), "{subject}");
        }
        assert!(!subjects.contains("$SYS.REQ.SERVER.PING.KICK"));
    }
}
