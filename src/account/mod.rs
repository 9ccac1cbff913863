//! Accounts, compiled: what a shard must know to keep subject spaces apart and to bring across what may cross.
//!
//! *Read-only*, shared by all shards. Made from `config` once per configuration; an account keeps its number, and its count
//! of clients.
//!
//! | what crosses | how |
//! |---|---|
//! | streams (`stream`) | a subscription here makes shadows in the exporting account (`interest`) |
//! | services (`service`) | a message here goes on there as another one, and its response comes back (`router`) |
//!
//! Invariants
//! - Nothing crosses that the exporting account does not export to the importing one.
//! - It knows no subscription, no message and no connection.
//!
//! It does not look for imports that lead round in a circle: `config` refuses those.

mod error;
mod export;
mod service;
mod stream;
mod system_services;

#[cfg(test)]
mod tests;

pub use error::AccountError;
pub use export::{ExportId, ServiceExport};
pub use service::{ServiceImport, ServiceImports};
pub use stream::StreamImport;

use crate::base::ids::AccountId;
use crate::config;
use crate::config::account::{AccountLimits, Import, ImportKind, MessageTrace};
use crate::subject::{Destination, Mappings};
use export::Exports;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use system_services::SystemServices;

/// All accounts of a server.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By [`AccountId`].
    list: Vec<Account>,
    system: AccountId,
    system_services: SystemServices,
    /// How many configurations have come before.
    generation: u32,
}

/// One account.
#[derive(Debug)]
pub struct Account {
    pub name: String,
    /// The account's public nkey, when it has one.
    pub nkey: Option<String>,
    pub limits: AccountLimits,
    pub streams: Vec<StreamImport>,
    pub services: ServiceImports,
    pub mappings: Mappings,
    /// Where messages with a sampled trace context are traced to.
    pub message_trace: Option<MessageTrace>,
    exports: Exports,
    connections: Arc<Connections>,
}

/// Clients of one account on all shards. Touched when a client joins or leaves an account, never by a message.
#[derive(Debug, Default)]
pub struct Connections(AtomicU32);

impl Accounts {
    /// Compiles what the options say; the error names the account.
    pub fn compile(
        accounts: &[config::Account],
        system: AccountId,
    ) -> Result<Accounts, AccountError> {
        Accounts::default().succeeded_by(accounts, system)
    }

    /// Compiles the accounts of the next configuration. Who is counted in an account now is counted in it there: shards
    /// that have that one already and shards that still have this one count together.
    pub fn succeeded_by(
        &self,
        accounts: &[config::Account],
        system: AccountId,
    ) -> Result<Accounts, AccountError> {
        let mut list = Vec::with_capacity(accounts.len());
        for (index, account) in accounts.iter().enumerate() {
            let before = self.list.get(index);
            let connections = before.map(|before| Arc::clone(&before.connections));
            list.push(Account {
                name: account.name.clone(),
                nkey: account.nkey.clone(),
                limits: account.limits,
                streams: Vec::new(),
                services: ServiceImports::default(),
                mappings: mappings(account)?,
                message_trace: account.message_trace.clone(),
                exports: Exports::new(account),
                connections: connections.unwrap_or_default(),
            });
        }
        let mut compiled = Accounts {
            list,
            system,
            system_services: SystemServices::default(),
            generation: self.generation.wrapping_add(1),
        };
        for (index, account) in accounts.iter().enumerate() {
            compiled.add_imports(index, account)?;
        }
        Ok(compiled)
    }

    fn add_imports(&mut self, index: usize, account: &config::Account) -> Result<(), AccountError> {
        let generation = self.generation;
        let importer = AccountId(u16::try_from(index).unwrap_or(u16::MAX));
        for import in &account.imports {
            let refused = |why: &str| AccountError::new(account, import, why);
            let exporter = self
                .get(import.from)
                .ok_or_else(|| refused("there is no such account"))?;
            match &import.kind {
                ImportKind::Stream { to } => {
                    if !exporter
                        .exports
                        .stream_is_for(&import.subject, importer, &account.name)
                    {
                        return Err(refused("the stream is not exported to this account"));
                    }
                    let stream = StreamImport::compile(import, to.as_deref());
                    let stream = stream.map_err(|error| refused(&error.to_string()))?;
                    self.list[index].streams.push(stream);
                }
                ImportKind::Service { to, share } => {
                    let export =
                        exporter
                            .exports
                            .service_for(&import.subject, importer, &account.name);
                    let export = export
                        .ok_or_else(|| refused("the service is not exported to this account"))?;
                    let export = ExportId::new(import.from, export, generation);
                    let service = ServiceImport::compile(import, to.as_deref(), *share, export);
                    let service = service.map_err(|error| refused(&error.to_string()))?;
                    self.list[index].services.add(service);
                }
            }
        }
        Ok(())
    }

    #[inline]
    pub fn get(&self, account: AccountId) -> Option<&Account> {
        self.list.get(account.index())
    }

    /// The name of an account; of none, `$G`.
    pub fn name(&self, account: AccountId) -> &str {
        self.get(account).map_or("$G", |account| &account.name)
    }

    pub fn system(&self) -> AccountId {
        self.system
    }

    /// What an export of a service promises.
    pub fn export(&self, id: ExportId) -> Option<&ServiceExport> {
        if !id.is_of(self.generation) {
            return None;
        }
        self.get(id.account)?.exports.service(id)
    }

    /// Whether the accounts of both import the same streams under this number.
    pub fn has_streams_like(&self, other: &Accounts, account: AccountId) -> bool {
        let streams = |accounts: &Accounts| -> Vec<Import> {
            let account = accounts.get(account);
            let streams = account.into_iter().flat_map(|account| &account.streams);
            streams.map(|stream| stream.written.clone()).collect()
        };
        streams(self) == streams(other)
    }

    /// All accounts with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        (0u16..).map(AccountId).zip(&self.list)
    }
}

impl Account {
    /// Clients of this account on all shards.
    pub fn connections(&self) -> u32 {
        self.connections.0.load(Ordering::Relaxed)
    }

    /// Takes a client in; says whether there was room for it.
    pub fn admit(&self) -> bool {
        let Some(max) = self.limits.connections_max else {
            self.connections.0.fetch_add(1, Ordering::Relaxed);
            return true;
        };
        let one_more = |count| (count < max).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.connections
            .0
            .fetch_update(order, order, one_more)
            .is_ok()
    }

    /// Lets a client that was admitted go if there is no room for it any more; says whether.
    pub fn give_way(&self) -> bool {
        let Some(max) = self.limits.connections_max else {
            return false;
        };
        let one_less = |count| (count > max).then(|| count - 1);
        let order = Ordering::Relaxed;
        self.connections
            .0
            .fetch_update(order, order, one_less)
            .is_ok()
    }

    /// A client that was admitted has gone.
    pub fn dismiss(&self) {
        let before = self.connections.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "only who was admitted goes");
    }
}

fn mappings(account: &config::Account) -> Result<Mappings, AccountError> {
    let mut mappings = Mappings::default();
    for mapping in &account.mappings {
        let destinations = mapping.destinations.iter().map(|destination| Destination {
            subject: &destination.subject,
            weight: destination.weight,
            cluster: destination.cluster.as_deref(),
        });
        let destinations: Vec<_> = destinations.collect();
        // Without a cluster, those that are bound to one are not taken.
        mappings
            .add(&mapping.source, &destinations, None)
            .map_err(|error| {
                AccountError::in_mapping(account, &mapping.source, &error.to_string())
            })?;
    }
    Ok(mappings)
}
