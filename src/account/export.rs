//! What an account exports, and to whom.

use crate::base::ids::AccountId;
use crate::config;
use crate::config::account::{Export, ExportKind, ResponseKind, ServiceLatency};
use crate::subject::{covers, tokens};
use std::time::Duration;

/// The exports of one account.
#[derive(Debug, Default)]
pub(super) struct Exports {
    streams: Vec<Offer>,
    services: Vec<(Offer, ServiceExport)>,
    /// From here on the services are those that nobody has written.
    added_from: Option<usize>,
}

/// Names a service export of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportId {
    pub account: AccountId,
    index: usize,
    /// Of the accounts: the next configuration may have something else in this place.
    generation: u32,
}

/// What is promised to those who import a service.
#[derive(Clone, Debug)]
pub struct ServiceExport {
    pub responses: ResponseKind,
    pub response_threshold: Duration,
    pub latency: Option<ServiceLatency>,
    pub allow_trace: bool,
}

/// A pattern, and who may import it.
#[derive(Debug)]
struct Offer {
    subject: String,
    accounts: Option<Vec<AccountId>>,
    account_token_position: usize,
}

impl Exports {
    pub(super) fn new(account: &config::Account) -> Exports {
        let mut exports = Exports::default();
        for export in &account.exports {
            let offer = Offer::new(export);
            match &export.kind {
                ExportKind::Stream => exports.streams.push(offer),
                ExportKind::Service {
                    responses,
                    response_threshold,
                    latency,
                } => {
                    let service = ServiceExport {
                        responses: *responses,
                        response_threshold: *response_threshold,
                        latency: latency.clone(),
                        allow_trace: export.allow_trace,
                    };
                    exports.services.push((offer, service));
                }
            }
        }
        exports
    }

    /// Whether an account may import this as a stream.
    pub(super) fn stream_is_for(&self, subject: &str, importer: AccountId, name: &str) -> bool {
        let offer = nearest(self.streams.iter(), subject);
        offer.is_some_and(|(_, offer)| offer.is_for(subject, importer, name))
    }

    /// The export that an account imports this service from, if it may.
    pub(super) fn service_for(
        &self,
        subject: &str,
        importer: AccountId,
        name: &str,
    ) -> Option<usize> {
        let (index, offer) = nearest(self.services.iter().map(|(offer, _)| offer), subject)?;
        offer.is_for(subject, importer, name).then_some(index)
    }

    /// Adds a service for everybody, unless there is one that covers it; gives the number of the one that there is.
    pub(super) fn add_service(
        &mut self,
        subject: &str,
        account_token_position: usize,
        service: ServiceExport,
    ) -> usize {
        if let Some((index, _)) = nearest(self.services.iter().map(|(offer, _)| offer), subject) {
            return index;
        }
        let offer = Offer {
            subject: subject.to_owned(),
            accounts: None,
            account_token_position,
        };
        self.added_from.get_or_insert(self.services.len());
        self.services.push((offer, service));
        self.services.len() - 1
    }

    /// Whether that very service was added, rather than written.
    pub(super) fn has_added(&self, subject: &str) -> bool {
        let added = self
            .services
            .iter()
            .skip(self.added_from.unwrap_or(usize::MAX));
        added.into_iter().any(|(offer, _)| offer.subject == subject)
    }

    pub(super) fn service(&self, id: ExportId) -> Option<&ServiceExport> {
        self.services.get(id.index).map(|(_, service)| service)
    }
}

impl ExportId {
    pub(super) fn new(account: AccountId, index: usize, generation: u32) -> ExportId {
        ExportId {
            account,
            index,
            generation,
        }
    }

    pub(super) fn is_of(self, generation: u32) -> bool {
        self.generation == generation
    }

    #[cfg(test)]
    pub(crate) fn first_of(account: AccountId) -> ExportId {
        ExportId::new(account, 0, 0)
    }
}

impl Offer {
    fn new(export: &Export) -> Offer {
        Offer {
            subject: export.subject.clone(),
            accounts: export.accounts.clone().filter(|list| !list.is_empty()),
            account_token_position: export.account_token_position,
        }
    }

    fn is_for(&self, subject: &str, importer: AccountId, name: &str) -> bool {
        if let Some(before) = self.account_token_position.checked_sub(1) {
            // Who imports the export as it is, with its wildcard, names nobody.
            let token = tokens(subject.as_bytes()).nth(before);
            return subject != self.subject && token == Some(name.as_bytes());
        }
        let accounts = self.accounts.as_ref();
        accounts.is_none_or(|accounts| accounts.contains(&importer))
    }
}

/// The offer of exactly this pattern, or else the first that covers it.
fn nearest<'a>(
    offers: impl Iterator<Item = &'a Offer> + Clone,
    subject: &str,
) -> Option<(usize, &'a Offer)> {
    let exact = offers
        .clone()
        .enumerate()
        .find(|(_, offer)| offer.subject == subject);
    exact.or_else(|| {
        let covers = |offer: &Offer| covers(offer.subject.as_bytes(), subject.as_bytes());
        offers.enumerate().find(|(_, offer)| covers(offer))
    })
}
