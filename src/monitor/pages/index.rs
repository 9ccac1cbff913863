//! `/`: links to the other pages.

use crate::monitor::reply::{HTML, Reply};
use crate::monitor::site::Site;
use std::fmt::Write;

/// What a tab shows: two tracks of a trunk line. It is a picture in an address, so nothing is asked for.
pub(super) const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Crect width='16' height='16' rx='4' fill='%230b62c4'/%3E\
    %3Cpath d='M5 3v10M11 3v10M3 6h10M3 10h10' stroke='%23fff' stroke-width='1.6' stroke-linecap='round'/%3E%3C/svg%3E";

/// What each page shows, in nats-server's order.
const LINKS: &[(&str, &str)] = &[
    ("Dashboard", "/dashboard"),
    ("General", "/varz"),
    ("JetStream", "/jsz"),
    ("Connections", "/connz"),
    ("Accounts", "/accountz"),
    ("Account Stats", "/accstatz"),
    ("Subscriptions", "/subsz"),
    ("Routes", "/routez"),
    ("LeafNodes", "/leafz"),
    ("Gateways", "/gatewayz"),
    ("Raft Groups", "/raftz"),
    ("Health Probe", "/healthz"),
    ("Lanes", "/ipqueuesz?all=1"),
    ("Threads", "/stacksz"),
    ("Process", "/debug/vars"),
    ("Metrics", "/metrics"),
];

pub(super) fn page(site: &Site) -> Reply {
    let mut links = String::new();
    for (title, path) in LINKS {
        let link = site.link(path);
        let _ = writeln!(
            links,
            "<li><a href=\"{}\">{title}<code>{path}</code></a></li>",
            escaped(&link)
        );
    }
    let (name, version) = (
        escaped(&site.facts.info.server_name),
        &site.facts.info.trunkline,
    );
    let page = include_str!("index.html")
        .replace("{name}", &name)
        .replace("{version}", version)
        .replace("{base}", &escaped(&site.link("")))
        .replace("{icon}", ICON)
        .replace("{links}", &links);
    Reply::page(HTML, page)
}

/// Text that may stand in HTML: the name of a server and a base path are free.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
