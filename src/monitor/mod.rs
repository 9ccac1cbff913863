//! HTTP monitoring: nats-server's pages, their names, types and error texts, from what the shards answer. *Control path.*
//!
//! It runs on a thread of its own, which is nicer to the others than they to it, with hyper on a tokio executor of that
//! one thread. hyper needs sockets and timers that know each other; glommio has both but belongs to the shards, and
//! another pinned executor would take a core from them. Both crates are the most used of their kind.
//!
//! Invariants
//! - No message passes through here, and none waits for a page: a shard answers between the steps of a turn, a bounded
//!   piece at a time (`shard::survey`), and only one page that needs many pieces is made at a time.
//! - Connections, bytes of pages on their way and the time without progress are limited. A wrong query is a 400, a shard
//!   that does not answer a 503; nothing that comes in makes a panic.
//! - A page shows what nats-server's shows, or says nothing. Parts that do not exist yet have well-formed empty pages.
//!
//! | file | what |
//! |---|---|
//! | `server` | the thread, connections, their limits |
//! | `seats` | who keeps a place when there are too many |
//! | `http2` | HTTP/2, and its limits |
//! | `targets` | request targets as people write them |
//! | `path` | which path is which page |
//! | `site` | what pages may ask; from a request to its answer |
//! | `query` | arguments, and nats-server's words for wrong ones |
//! | `reply` | a page on its way out |
//! | `exposition` | metrics in the form that a scraper asks for |
//! | `surveyor` | asks the shards |
//! | `answers` | what the pages know, for the services of the system account |
//! | `go_json` | times, numbers and spans as Go writes them |
//! | `pages` | one file per page |

mod answers;
mod exposition;
mod go_json;
mod http2;
mod pages;
pub mod path;
pub mod query;
mod reply;
mod seats;
mod server;
mod site;
mod surveyor;
mod targets;

pub use answers::Page;
pub use pages::accounts::AccountStat;
pub use site::Site;

use crate::account::Accounts;
use crate::base::clock::Now;
use crate::config::Options;
use crate::config::go_text::go_error;
use crate::protocol::info::ServerInfo;
use crate::runtime::clock::Clock;
use crate::runtime::doorbell::Doorbells;
use crate::runtime::listener;
use crate::runtime::logger::Logger;
use crate::wire::tls::Acceptor;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// The monitoring port, open but not yet served.
#[derive(Debug)]
pub struct Port {
    socket: OwnedFd,
    tls: Option<Arc<ServerConfig>>,
    pub address: SocketAddr,
}

/// What the pages need to know of the server beside what its shards tell.
#[derive(Clone, Debug)]
pub struct Facts {
    pub options: Options,
    pub info: ServerInfo,
    pub accounts: Arc<Accounts>,
    /// When the options were read.
    pub configured_at: Now,
    /// When they last said something else of accounts.
    pub accounts_at: Now,
    pub bells: Doorbells,
    pub clock: Clock,
    pub logger: Logger,
    /// What clients' connections are secured with.
    pub tls: Option<Arc<Acceptor>>,
}

/// What the thread does beside serving pages: it may ask what they ask.
pub type Beside = Box<dyn FnOnce(Rc<Site>) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Keeps the monitor going until it is dropped.
#[derive(Debug)]
pub struct Running {
    _until: oneshot::Sender<()>,
    facts: watch::Sender<Arc<Facts>>,
    https: Option<watch::Sender<Arc<ServerConfig>>>,
}

impl Port {
    /// Opens the port that the options ask for; none if they ask for none. HTTPS shows the certificate of `tls` and asks
    /// for none.
    ///
    /// # Errors
    /// nats-server's text of why it cannot be opened.
    pub fn open(options: &Options, tls: Option<&Acceptor>) -> Result<Option<Port>, String> {
        let failed = |why: &str| Err(format!("Can't start monitoring: {why}"));
        let (port, tls) = match (options.monitor_port, options.monitor_https_port, tls) {
            (None, None, _) => return Ok(None),
            (Some(port), None, _) => (port, None),
            (None, Some(_), None) => return failed("TLS cert and key required for HTTPS"),
            (None, Some(port), Some(tls)) => (port, Some(https(tls)?)),
            (Some(http), Some(https), _) => {
                let (http, https) = (asked_for(http), asked_for(https));
                let why = format!("can't specify both HTTP ({http}) and HTTPs ({https}) ports");
                return failed(&why);
            }
        };
        let host = options.monitor_host();
        match listener::open(host, port) {
            Ok((socket, address)) => Ok(Some(Port {
                socket,
                tls,
                address,
            })),
            Err(error) => {
                let (wanted, why) = (server::host_port(host, port), go_error(&error));
                failed(&format!(
                    "can't listen to the monitor port: listen tcp {wanted}: bind: {why}"
                ))
            }
        }
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Starts the thread: it serves the pages on the port, if there is one, and does something else beside that, if there is
/// something.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(port: Option<Port>, facts: Facts, beside: Option<Beside>) -> Result<Running, String> {
    let (until, stop) = oneshot::channel();
    let (facts, current) = watch::channel(Arc::new(facts));
    let (socket, tls) = match port {
        Some(port) => (Some(port.socket), port.tls),
        None => (None, None),
    };
    let (https, tls) = tls.map(watch::channel).unzip();
    server::spawn(socket.map(|socket| (socket, tls)), current, beside, stop)
        .map_err(|error| format!("Can't start monitoring: {error}"))?;
    Ok(Running {
        _until: until,
        facts,
        https,
    })
}

impl Running {
    /// Goes on with what a new configuration has made of the server. Requests that are being answered keep the old.
    ///
    /// # Errors
    /// When HTTPS cannot have the new certificate; it keeps the old one.
    pub fn reload(
        &self,
        options: Options,
        info: ServerInfo,
        accounts: Arc<Accounts>,
        tls: Option<Arc<Acceptor>>,
    ) -> Result<(), String> {
        let shown = tls.as_deref().map(https);
        self.facts.send_modify(|facts| {
            let now = facts.clock.now();
            let is_same = facts.options.accounts == options.accounts;
            *facts = Arc::new(Facts {
                options,
                info,
                accounts,
                configured_at: now,
                accounts_at: if is_same { facts.accounts_at } else { now },
                tls,
                ..Facts::clone(facts)
            });
        });
        if let (Some(https), Some(shown)) = (&self.https, shown) {
            https.send_replace(shown?);
        }
        Ok(())
    }
}

/// The names of HTTP/2 and HTTP/1.1 in a TLS handshake.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS as it is for clients, but for the monitor.
fn https(tls: &Acceptor) -> Result<Arc<ServerConfig>, String> {
    let mut config = tls.without_client_certificates()?;
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// A port as it is written: one that the kernel chooses is -1.
fn asked_for(port: u16) -> i32 {
    match port {
        0 => -1,
        port => i32::from(port),
    }
}
