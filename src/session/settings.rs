//! The options that concern sessions and shards, resolved: what a configuration snapshot will be.

use crate::account::{AccountError, Accounts};
use crate::auth::{Directory, NonceKey};
use crate::base::clock::WallClock;
use crate::base::ids::AccountId;
use crate::base::sequence::Sequence;
use crate::config::Options;
use crate::protocol::info::ServerInfo;
use crate::router::OutboxLimits;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A read-only snapshot; every shard has its own copy.
#[derive(Clone, Debug)]
pub struct Settings {
    pub info: ServerInfo,
    pub directory: Arc<Directory>,
    pub accounts: Arc<Accounts>,
    /// The account in which the server tells of itself; `None` is nowhere.
    pub system: Option<AccountId>,
    /// Numbers what it tells there.
    pub events: Sequence,
    /// What the calendar says; the simulator has none.
    pub wall: WallClock,
    pub auth_timeout: Duration,
    /// SHA-256 of the keys that clients with TLS may have; `None` is any.
    pub pinned_keys: Option<Arc<BTreeSet<[u8; 32]>>>,
    /// Bytes of arguments on a control line.
    pub control_line_max: usize,
    /// Bytes of headers and payload together.
    pub payload_max: usize,
    /// Subscriptions of one connection; `None` is unlimited.
    pub subscriptions_max: Option<usize>,
    /// Tokens of one subscription's subject; `None` is unlimited.
    pub subscription_tokens_max: Option<usize>,
    /// Whether clients may have headers at all.
    pub headers: bool,
    pub ping_interval: Duration,
    /// Unanswered pings after which the next one is a farewell.
    pub pings_out_max: u32,
    pub write_deadline: Duration,
    pub outbox: OutboxLimits,
    pub lame_duck_duration: Duration,
    pub lame_duck_grace: Duration,
    pub debug: bool,
    pub trace: bool,
    /// Bytes of a payload that a trace line shows; 0 is all.
    pub traced_payload_max: usize,
    /// Closed connections to remember; none unless somebody can ask for them.
    pub closed_connections_max: usize,
    /// Whether of a message only the headers are shown.
    pub traces_headers_only: bool,
}

impl Settings {
    /// What follows from the options for a server that says `info` of itself. `key` makes its nonces.
    ///
    /// # Panics
    /// When the accounts do not compile: whoever has options asks [`Accounts::compile`] first what is wrong with them.
    pub fn new(options: &Options, info: ServerInfo, key: NonceKey) -> Settings {
        let directory = Directory::new(options, key);
        let accounts = Accounts::compile(&options.accounts, options.system_account);
        let accounts = accounts.expect("accounts are checked before");
        Settings::made(options, info, directory, accounts)
    }

    /// What follows from other options for a server that has had these settings. `key` is the one that made nonces before.
    ///
    /// # Errors
    /// What is wrong with the accounts.
    pub fn renewed(
        &self,
        options: &Options,
        info: ServerInfo,
        key: NonceKey,
    ) -> Result<Settings, AccountError> {
        let directory = self.directory.renewed(options, key);
        let accounts = self
            .accounts
            .succeeded_by(&options.accounts, options.system_account)?;
        Ok(Settings {
            wall: self.wall,
            events: self.events.clone(),
            ..Settings::made(options, info, directory, accounts)
        })
    }

    fn made(
        options: &Options,
        mut info: ServerInfo,
        directory: Directory,
        accounts: Accounts,
    ) -> Settings {
        let limited = |value: usize| (value > 0).then_some(value);
        let accounts = match options.no_system_account {
            true => accounts,
            false => accounts.with_system_services(),
        };
        info.auth_required = directory.wants_credentials();
        Settings {
            directory: Arc::new(directory),
            accounts: Arc::new(accounts),
            system: (!options.no_system_account).then_some(options.system_account),
            events: Sequence::default(),
            wall: WallClock::default(),
            info,
            auth_timeout: options.auth_timeout,
            pinned_keys: options
                .tls
                .as_ref()
                .and_then(|tls| tls.pinned_certs.clone())
                .map(Arc::new),
            control_line_max: options.max_control_line as usize,
            payload_max: options.max_payload as usize,
            subscriptions_max: limited(options.max_subscriptions as usize),
            subscription_tokens_max: limited(usize::from(options.max_sub_tokens)),
            headers: !options.no_header_support,
            ping_interval: options.ping_interval,
            pings_out_max: options.ping_max,
            write_deadline: options.write_deadline,
            outbox: OutboxLimits {
                pending: options.max_pending,
                stall: !options.no_fast_producer_stall,
            },
            lame_duck_duration: options.lame_duck_duration,
            lame_duck_grace: options.lame_duck_grace_period,
            debug: options.debug,
            trace: options.trace,
            traced_payload_max: options.max_traced_msg_len,
            closed_connections_max: if options.is_monitored() {
                options.max_closed_clients
            } else {
                0
            },
            traces_headers_only: options.trace_headers,
        }
    }
}
