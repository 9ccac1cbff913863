//! The accounts of the simulator, and where a message of one of them belongs: written by hand, not with the broker's code.
//!
//! ```text
//! B takes from A the stream a.>          C takes from A the stream b.*, as c.$1.b      B takes from C the stream c, as b
//! A asks B the service b.>               C asks A the service a, as c.c                B asks C the service c.c, as a.c
//! ```
//!
//! So a request of B to `a.c` goes to C and from there to A. No message comes to an account by two ways.

use trunkline::base::ids::AccountId;
use trunkline::config::account::{
    Export, ExportKind, Import, ImportKind, ResponseKind, predefined,
};
use trunkline::config::authorization::{Auth, Credentials, User};
use trunkline::config::{Account, Options, Secret};

/// Accounts are counted from 0 here; with one only, everybody is in `$G` and nothing crosses.
pub(crate) const ACCOUNTS: usize = 3;
const NAMES: [&str; ACCOUNTS] = ["A", "B", "C"];
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// An account in which a message may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) account: usize,
    /// What its subject is there.
    pub(crate) name: String,
    pub(crate) way: Way,
}

/// How a message comes to a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Published,
    Stream,
    /// As a request; with the accounts between the requester's and this one, the nearest to here first.
    Service {
        via: Vec<usize>,
    },
    /// As the response to the request of that number.
    Response {
        request: u64,
    },
    /// A response that goes on from here; its subject is the server's own.
    Passing,
}

/// The options of a server with these accounts, and a user named like each.
pub(crate) fn options() -> Options {
    let mut accounts = predefined();
    let first = accounts.len();
    let id = |account: usize| AccountId(u16::try_from(first + account).expect("few"));
    for name in NAMES {
        let export = |kind| Export {
            subject: ">".to_owned(),
            accounts: None,
            account_token_position: 0,
            kind,
            allow_trace: false,
        };
        accounts.push(Account {
            name: name.to_owned(),
            exports: vec![
                export(ExportKind::Stream),
                export(ExportKind::Service {
                    responses: ResponseKind::Singleton,
                    response_threshold: std::time::Duration::from_secs(120),
                    latency: None,
                }),
            ],
            ..Account::default()
        });
    }
    let stream = |to: &str| ImportKind::Stream {
        to: Some(to.to_owned()),
    };
    let service = |to: &str| ImportKind::Service {
        to: Some(to.to_owned()),
        share: false,
    };
    for (to, from, subject, kind) in [
        (B, A, "a.>", stream("a.>")),
        (C, A, "b.*", stream("c.$1.b")),
        (B, C, "c", stream("b")),
        (A, B, "b.>", service("b.>")),
        (C, A, "a", service("c.c")),
        (B, C, "c.c", service("a.c")),
    ] {
        accounts[first + to].imports.push(Import {
            from: id(from),
            subject: subject.to_owned(),
            kind,
            allow_trace: false,
        });
    }
    let users = (0..ACCOUNTS).map(|account| User {
        credentials: Credentials::Password {
            name: NAMES[account].to_owned(),
            password: Secret::new(NAMES[account]),
        },
        account: id(account),
        permissions: None,
        connection_types: None,
        proxy_required: false,
    });
    Options {
        auth: Auth::Users(users.collect()),
        accounts,
        ..Options::default()
    }
}

/// What a client of an account says to be let in.
pub(crate) fn credentials(account: usize) -> String {
    let name = NAMES[account];
    format!("\"user\":\"{name}\",\"pass\":\"{name}\",")
}

pub(crate) fn name_of(account: usize) -> &'static str {
    NAMES[account]
}

/// Everywhere a message that is published in an account can be had.
pub(crate) fn places(account: usize, subject: &str) -> Vec<Place> {
    let mut places = vec![Place {
        account,
        name: subject.to_owned(),
        way: Way::Published,
    }];
    let words: Vec<&str> = subject.split('.').collect();
    let mut stream = |account, name: String| {
        places.push(Place {
            account,
            name,
            way: Way::Stream,
        });
    };
    match (account, words.as_slice()) {
        (A, ["a", _, ..]) => stream(B, subject.to_owned()),
        (A, ["b", word]) => stream(C, format!("c.{word}.b")),
        (C, ["c"]) => stream(B, "b".to_owned()),
        _ => {}
    }
    let mut at = (account, subject.to_owned());
    let mut via = Vec::new();
    while let Some((further, name)) = served_by(at.0, &at.1) {
        places.push(Place {
            account: further,
            name: name.clone(),
            way: Way::Service { via: via.clone() },
        });
        via.insert(0, further);
        at = (further, name);
    }
    places
}

fn served_by(account: usize, subject: &str) -> Option<(usize, String)> {
    match (account, subject) {
        (A, subject) if subject.starts_with("b.") => Some((B, subject.to_owned())),
        (C, "c.c") => Some((A, "a".to_owned())),
        (B, "a.c") => Some((C, "c.c".to_owned())),
        _ => None,
    }
}
