//! What crosses between accounts: exports and imports, when all accounts are known.
//!
//! *Control path.* Pure.
//!
//! - An import of the options is one that its exporter allows, whose subjects fit each other, and that leads round in no
//!   circle. Nobody checks it again.
//! - Exports of one account and kind have subjects of their own: what is written twice has become one, as in nats-server.
//! - Where an export has both a list of accounts and a token position, an importer needs to satisfy both. nats-server looks at
//!   the token alone.

use std::collections::{BTreeMap, BTreeSet};

use super::cycles::{Cycle, Cycles, Link};
use super::patterns::{Effort, Exhausted, Patterns};
use super::values::shown;
use super::{Reader, exports, imports, subjects};
use crate::base::ids::AccountId;
use crate::config::account::{Export, ExportKind, Import, ImportKind, ResponseKind};
use crate::subject::{Transform, numbered, tokens, unnumbered};

/// One account's exports of one kind: places in its list of exports, by subject.
type Exported = Patterns<usize>;

/// The exports of all accounts, by kind.
#[derive(Debug)]
struct Offers {
    streams: BTreeMap<AccountId, Exported>,
    services: BTreeMap<AccountId, Exported>,
    /// For finding the exports that decide.
    effort: Effort,
}

impl Offers {
    fn new() -> Offers {
        Offers {
            streams: BTreeMap::new(),
            services: BTreeMap::new(),
            effort: Effort::new(EFFORT),
        }
    }
}

/// An import whose parts are right by themselves.
struct Resolved {
    import: Import,
    written: imports::Written,
    link: Link,
}

impl Reader<'_> {
    /// Brings what was written of exports and imports into the accounts.
    pub(super) fn settle_crossings(&mut self) {
        let mut defined = std::mem::take(&mut self.gathered.defined);
        let mut offers = Offers::new();
        for account in &mut defined {
            for written in std::mem::take(&mut account.exports) {
                self.settle_export(account.id, &written, &mut offers);
            }
        }
        let mut resolved = Vec::new();
        for account in &mut defined {
            for written in std::mem::take(&mut account.imports) {
                resolved.extend(self.resolve_import(account.id, written, &mut offers));
            }
        }
        self.gathered.defined = defined;
        self.settle_imports(resolved);
    }

    fn settle_export(
        &mut self,
        account: AccountId,
        written: &exports::Written,
        offers: &mut Offers,
    ) {
        let is_stream = written.kind == ExportKind::Stream;
        let what = if is_stream { "stream" } else { "service" };
        let Some(accounts) = self.allowed_accounts(written, what) else {
            return;
        };
        let export = Export {
            subject: written.subject.clone(),
            accounts,
            account_token_position: written.account_token_position,
            kind: written.kind.clone(),
            allow_trace: written.allow_trace,
        };
        let subject = shown(&export.subject);
        if let Err(reason) = check_token(&export) {
            let reason = format!("Error adding {what} export {subject}: {reason}");
            return self.fault(written.position, reason);
        }
        let exports = &mut self.gathered.accounts[account.index()].exports;
        let (offered, effort) = match is_stream {
            true => (&mut offers.streams, &mut offers.effort),
            false => (&mut offers.services, &mut offers.effort),
        };
        let exported = offered.entry(account).or_default();
        let place = match exported.get(&export.subject) {
            [place, ..] => {
                merge(&mut exports[*place], export);
                *place
            }
            [] => {
                exported.insert(&export.subject, exports.len());
                exports.push(export);
                exports.len() - 1
            }
        };
        let no_system_account = self.draft.options.no_system_account;
        let checked = check_latency(&exports[place], exported, no_system_account, effort);
        if let Err(reason) = checked {
            let reason = format!("Error adding service latency sampling for {subject}: {reason}");
            self.fault(written.position, reason);
        }
    }

    /// The accounts that an export is for; none when one of them is not there.
    fn allowed_accounts(
        &mut self,
        written: &exports::Written,
        what: &str,
    ) -> Option<Option<Vec<AccountId>>> {
        let Some(names) = &written.accounts else {
            return Some(None);
        };
        let mut accounts = Vec::with_capacity(names.len());
        for name in names {
            match self.gathered.find(&name.value) {
                Some(id) => accounts.push(id),
                None => {
                    let name_shown = shown(&name.value);
                    let reason = format!("{name_shown} account not defined for {what} export");
                    self.fault(name.position, reason);
                }
            }
        }
        (accounts.len() == names.len()).then_some(Some(accounts))
    }

    fn resolve_import(
        &mut self,
        account: AccountId,
        written: imports::Written,
        offers: &mut Offers,
    ) -> Option<Resolved> {
        let what = what(&written.kind);
        let Some(from) = self.gathered.find(&written.from) else {
            let name = shown(&written.from);
            let reason = format!("{name} account not defined for {what} import");
            self.fault(written.position, reason);
            return None;
        };
        let offered = match written.kind {
            ImportKind::Stream { .. } => &offers.streams,
            ImportKind::Service { .. } => &offers.services,
        };
        let export = offered.get(&from).map_or(Ok(None), |exported| {
            deciding(exported, &written.subject, &mut offers.effort)
        });
        let accounts = &self.gathered.accounts;
        let is_allowed = |place: usize| {
            let export = &accounts[from.index()].exports[place];
            allows(
                export,
                &written.subject,
                account,
                &accounts[account.index()].name,
            )
        };
        let subjects = match export {
            Ok(Some(place)) if is_allowed(place) => fit(&written),
            Ok(_) => Err(format!("{what} import not authorized")),
            Err(Exhausted) => Err(TOO_MANY.to_owned()),
        };
        match subjects {
            Ok((to, local)) => Some(Resolved {
                import: Import {
                    from,
                    subject: written.subject.clone(),
                    kind: match written.kind {
                        ImportKind::Stream { .. } => ImportKind::Stream { to },
                        ImportKind::Service { share, .. } => ImportKind::Service { to, share },
                    },
                    allow_trace: written.allow_trace,
                },
                link: Link {
                    importer: account,
                    exporter: from,
                    local,
                    remote: written.subject.clone(),
                },
                written,
            }),
            Err(reason) => {
                self.import_fault(&written, &reason);
                None
            }
        }
    }

    /// Refuses imports that are there already and those that form a cycle, and takes the others.
    fn settle_imports(&mut self, resolved: Vec<Resolved>) {
        let links = |is_stream: bool| -> Vec<Link> {
            let of_kind = resolved
                .iter()
                .filter(|one| matches!(one.import.kind, ImportKind::Stream { .. }) == is_stream);
            of_kind.map(|one| one.link.clone()).collect()
        };
        let mut streams = Cycles::new(&links(true));
        let mut services = Cycles::new(&links(false));
        let mut taken = BTreeSet::new();
        for Resolved {
            import,
            written,
            link,
        } in resolved
        {
            let importer = link.importer;
            let is_stream = matches!(import.kind, ImportKind::Stream { .. });
            // A stream is imported once; a service once under each subject.
            let name = if is_stream { &link.remote } else { &link.local };
            if !taken.insert((is_stream, importer, import.from, name.clone())) {
                let reason = match is_stream {
                    true => "stream import already exists".to_owned(),
                    false => format!("duplicate service import subject {}", shown(name)),
                };
                self.import_fault(&written, &reason);
                continue;
            }
            let cycles = if is_stream {
                &mut streams
            } else {
                &mut services
            };
            match cycles.add(link) {
                Ok(()) => self.gathered.accounts[importer.index()]
                    .imports
                    .push(import),
                Err(Cycle::Found) => self.import_fault(&written, "import forms a cycle"),
                Err(Cycle::TooDeep) => self.import_fault(&written, "search cycle depth exhausted"),
            }
        }
    }

    fn import_fault(&mut self, written: &imports::Written, reason: &str) {
        let what = what(&written.kind);
        let subject = shown(&written.subject);
        let reason = format!("Error adding {what} import {subject}: {reason}");
        self.fault(written.position, reason);
    }
}

fn what(kind: &ImportKind) -> &'static str {
    match kind {
        ImportKind::Stream { .. } => "stream",
        ImportKind::Service { .. } => "service",
    }
}

/// The token that is to name the importer must be a wildcard of the export.
fn check_token(export: &Export) -> Result<(), &'static str> {
    let Some(place) = export.account_token_position.checked_sub(1) else {
        return Ok(());
    };
    match tokens(export.subject.as_bytes()).nth(place) {
        Some(b"*") => Ok(()),
        _ => Err("invalid subject"),
    }
}

/// Adds what an export says that was written before with the same subject.
fn merge(export: &mut Export, again: Export) {
    if again.accounts.is_some() || again.account_token_position > 0 {
        export.account_token_position = again.account_token_position;
    }
    if let Some(more) = again.accounts {
        let accounts = export.accounts.get_or_insert_default();
        let new = more.into_iter().filter(|id| !accounts.contains(id));
        let new: Vec<AccountId> = new.collect();
        accounts.extend(new);
    }
    export.allow_trace |= again.allow_trace;
    if let (
        ExportKind::Service {
            responses,
            response_threshold,
            latency,
        },
        ExportKind::Service {
            responses: new_responses,
            response_threshold: new_threshold,
            latency: new_latency,
        },
    ) = (&mut export.kind, again.kind)
    {
        if new_responses != ResponseKind::Singleton {
            *responses = new_responses;
        }
        *response_threshold = new_threshold;
        if new_latency.is_some() {
            *latency = new_latency;
        }
    }
}

/// A service is measured where it answers once, and the measurements are no requests to itself.
fn check_latency(
    export: &Export,
    exported: &Exported,
    no_system_account: bool,
    effort: &mut Effort,
) -> Result<(), &'static str> {
    let ExportKind::Service {
        responses,
        latency: Some(latency),
        ..
    } = &export.kind
    else {
        return Ok(());
    };
    if no_system_account {
        return Err("system account not setup");
    }
    if !subjects::is_literal(&latency.subject) {
        return Err("invalid publish subject");
    }
    match exported.covering(&latency.subject, effort) {
        Ok([]) => {}
        Ok(_) => return Err("invalid publish subject"),
        Err(Exhausted) => return Err(TOO_MANY),
    }
    if *responses != ResponseKind::Singleton {
        return Err("bad service response type");
    }
    Ok(())
}

/// The export that decides about an import of this subject. Of several it is the one that says most, token by token;
/// nats-server takes one at random.
fn deciding(
    exported: &Exported,
    subject: &str,
    effort: &mut Effort,
) -> Result<Option<usize>, Exhausted> {
    if !subjects::is_pattern(subject) {
        return Ok(None);
    }
    let places = match exported.get(subject) {
        [] => exported.covering(subject, effort)?,
        places => places,
    };
    Ok(places.first().copied())
}

/// Whether the export allows that this account imports this subject, which is one of it.
fn allows(export: &Export, subject: &str, importer: AccountId, importer_name: &str) -> bool {
    let is_listed = export
        .accounts
        .as_ref()
        .is_none_or(|accounts| accounts.contains(&importer));
    let is_named = export
        .account_token_position
        .checked_sub(1)
        .is_none_or(|place| {
            tokens(subject.as_bytes()).nth(place) == Some(importer_name.as_bytes())
        });
    is_listed && is_named
}

/// The subject here as the options have it, and the pattern that it stands for.
fn fit(written: &imports::Written) -> Result<(Option<String>, String), String> {
    let remote = written.subject.as_str();
    let local = match (&written.prefix, &written.kind) {
        (Some(prefix), _) if !subjects::is_literal(prefix.strip_suffix('.').unwrap_or(prefix)) => {
            return Err("stream import prefix can not contain wildcard tokens".to_owned());
        }
        (Some(prefix), _) if prefix.ends_with('.') => format!("{prefix}{remote}"),
        (Some(prefix), _) => format!("{prefix}.{remote}"),
        (None, ImportKind::Stream { to } | ImportKind::Service { to, .. }) => {
            to.clone().unwrap_or_else(|| remote.to_owned())
        }
    };
    if local == remote {
        return Ok((None, local));
    }
    if !subjects::is_pattern(&local) {
        return Err("invalid subject".to_owned());
    }
    if subjects::is_literal(remote) {
        // Nothing can be filled into the wildcards of a stream's subject; requests to any of a service's are one.
        return match written.kind {
            ImportKind::Stream { .. } if !subjects::is_literal(&local) => {
                Err("invalid subject".to_owned())
            }
            _ => Ok((Some(local.clone()), local)),
        };
    }
    let failed = |reason: &dyn std::fmt::Display| {
        let what = what(&written.kind);
        let (remote, local) = (shown(remote), shown(&local));
        format!(
            "failed to create mapping transform for {what} import subject from {remote} to {local}: {reason}"
        )
    };
    let transform = Transform::compile_strict(remote, &numbered(&local));
    let transform = transform.map_err(|error| failed(&error))?;
    if matches!(written.kind, ImportKind::Service { .. }) && transform.reverse().is_none() {
        return Err(failed(&"it cannot be turned round"));
    }
    let pattern = unnumbered(&local);
    Ok((Some(local), pattern))
}

const TOO_MANY: &str = "there are too many exports with wildcards to compare";
/// For all imports and measurements: some seconds. No configuration that makes sense comes near.
const EFFORT: usize = 5_000_000;
