//! Accounts as the configuration file describes them: subject spaces of their own, and what crosses between them.
//!
//! *Control path.* Subjects and patterns are checked texts here; `account` compiles them. Facts: nats-server `opts.go`,
//! `accounts.go`.

use super::authorization::Permissions;
use crate::base::ids::AccountId;
use std::time::Duration;

/// One account. Its position in [`super::Options::accounts`] is its [`AccountId`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// The account's public nkey (`A…`), when it has one.
    pub nkey: Option<String>,
    pub limits: AccountLimits,
    pub exports: Vec<Export>,
    pub imports: Vec<Import>,
    pub mappings: Vec<Mapping>,
    /// For users of the account that have none of their own.
    pub default_permissions: Option<Permissions>,
    /// Where messages with a sampled `traceparent` header are traced to.
    pub message_trace: Option<MessageTrace>,
    /// An earlier configuration had it, and this one has not. It keeps its number.
    pub is_former: bool,
}

/// `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    pub connections_max: Option<u32>,
    /// Of one connection.
    pub subscriptions_max: Option<u32>,
    /// Bytes of one message.
    pub payload_max: Option<u32>,
    pub leafnodes_max: Option<u32>,
}

/// What an account offers to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// A pattern of the exporting account.
    pub subject: String,
    /// Who may import it; `None` is everybody.
    pub accounts: Option<Vec<AccountId>>,
    /// The 1-based token that must be the importing account's name or key; 0 is none.
    pub account_token_position: usize,
    pub kind: ExportKind,
    /// Whether message tracing goes on in the exporting account.
    pub allow_trace: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportKind {
    Stream,
    Service {
        responses: ResponseKind,
        /// How long a response may take, or the next one of several.
        response_threshold: Duration,
        latency: Option<ServiceLatency>,
    },
}

/// How long a response may take where nothing else is said; nats-server's.
pub const RESPONSE_THRESHOLD: Duration = Duration::from_secs(120);

/// How many responses a request through a service export gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseKind {
    #[default]
    Singleton,
    Stream,
    Chunked,
}

/// Measurements of a service, published on a subject of the exporting account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLatency {
    pub sampling: Sampling,
    pub subject: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Of a hundred requests, 1 to 100.
    Percent(u8),
    /// Where the request's headers ask for it.
    Headers,
}

/// What an account takes from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The exporting account.
    pub from: AccountId,
    /// In the exporting account.
    pub subject: String,
    pub kind: ImportKind,
    pub allow_trace: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportKind {
    Stream {
        /// The pattern here; with a `prefix` it is the prefix, a dot and the subject. `None` is the same subject.
        to: Option<String>,
    },
    Service {
        /// The pattern here; `None` is the same subject.
        to: Option<String>,
        /// Whether the exporting account learns who asks.
        share: bool,
    },
}

/// A subject that is rewritten before it is routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// A pattern.
    pub source: String,
    /// What is not covered by the weights keeps its subject.
    pub destinations: Vec<Destination>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A subject with mapping functions (`subject::transform`).
    pub subject: String,
    /// Of a hundred messages, 0 to 100.
    pub weight: u8,
    /// Only in this cluster.
    pub cluster: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTrace {
    /// A literal subject.
    pub destination: String,
    /// Of a hundred messages, 1 to 100.
    pub sampling: u8,
}

/// The accounts of every server: `$G` and `$SYS`, at [`AccountId::GLOBAL`] and [`AccountId::SYSTEM`].
pub fn predefined() -> Vec<Account> {
    let named = |name: &str| Account {
        name: name.to_owned(),
        ..Account::default()
    };
    vec![named("$G"), named("$SYS")]
}
