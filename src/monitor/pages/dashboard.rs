//! `/dashboard`: the server at work, for people. One page with its files, fed by events while somebody looks at it, and by
//! answers to what somebody looks for.
//!
//! Counts are sent as they are; the page makes rates of them, so that nothing is kept here for anybody.
//!
//! | file | what |
//! |---|---|
//! | `feed` | an event a second: the server and its shards |
//! | `lists` | subjects, accounts, slow consumers |
//! | `page.html`, `style.css`, `*.js` | what the browser gets |

mod feed;
mod lists;

pub(super) use feed::events;
pub(super) use lists::{accounts, newest_slow_consumers, slow, subjects};

use super::index::{ICON, escaped};
use crate::monitor::reply::{CSS, HTML, JAVASCRIPT, Reply};
use crate::monitor::site::Site;

/// The files of the page, by their paths.
const FILES: &[(&str, &str, &str)] = &[
    (
        "/dashboard/accounts.js",
        JAVASCRIPT,
        include_str!("dashboard/accounts.js"),
    ),
    (
        "/dashboard/chart.js",
        JAVASCRIPT,
        include_str!("dashboard/chart.js"),
    ),
    (
        "/dashboard/connections.js",
        JAVASCRIPT,
        include_str!("dashboard/connections.js"),
    ),
    (
        "/dashboard/figures.js",
        JAVASCRIPT,
        include_str!("dashboard/figures.js"),
    ),
    ("/dashboard/index.css", CSS, include_str!("index.css")),
    (
        "/dashboard/page.js",
        JAVASCRIPT,
        include_str!("dashboard/page.js"),
    ),
    (
        "/dashboard/questions.js",
        JAVASCRIPT,
        include_str!("dashboard/questions.js"),
    ),
    (
        "/dashboard/server.js",
        JAVASCRIPT,
        include_str!("dashboard/server.js"),
    ),
    (
        "/dashboard/stream.js",
        JAVASCRIPT,
        include_str!("dashboard/stream.js"),
    ),
    (
        "/dashboard/style.css",
        CSS,
        include_str!("dashboard/style.css"),
    ),
    (
        "/dashboard/subjects.js",
        JAVASCRIPT,
        include_str!("dashboard/subjects.js"),
    ),
];

pub(super) fn page(site: &Site) -> Reply {
    let page = include_str!("dashboard/page.html")
        .replace("{name}", &escaped(&site.facts.info.server_name))
        .replace("{base}", &escaped(&site.link("")))
        .replace("{home}", &escaped(&site.home()))
        .replace("{icon}", ICON);
    Reply::page(HTML, page)
}

/// One of the page's files.
pub(super) fn file(path: &str) -> Option<Reply> {
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == path)?;
    Some(Reply::page(kind, *text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::pages::PATHS;

    #[test]
    fn every_file_has_its_path() {
        for (path, ..) in FILES {
            assert!(PATHS.contains(path), "{path}");
        }
    }
}
