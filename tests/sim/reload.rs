//! New configurations at random moments, each shard getting them when it comes to it.
//!
//! They change nothing that clients could notice: imports stand in another order, and there are more of them, of subjects
//! that nobody publishes; users may not hear what nobody says. So shadows are made anew, answers are thrown away, numbers of
//! imports and exports mean something else, and the promises hold all the while.

use super::Mutant;
use super::chance::{chance, range};
use super::geography;
use super::world::{World, adjusted};
use std::collections::VecDeque;
use std::sync::Arc;
use trunkline::auth::NonceKey;
use trunkline::base::ids::AccountId;
use trunkline::config::Options;
use trunkline::config::account::{Export, ExportKind, Import, ImportKind, ResponseKind};
use trunkline::config::authorization::{Auth, Permissions, SubjectRules};
use trunkline::session::settings::Settings;

/// What shards have been told and what they have not taken over yet.
#[derive(Debug)]
pub(crate) struct Reloads {
    newest: Arc<Settings>,
    count: u32,
    /// By shard, oldest first, with the step before which it is not looked at.
    waiting: Vec<VecDeque<(u64, Arc<Settings>)>>,
}

/// More than this are not worth the time: each throws all answers away.
const RELOADS_MAX: u32 = 40;

impl Reloads {
    pub(crate) fn new(settings: &Settings, shards: u8) -> Reloads {
        Reloads {
            newest: Arc::new(settings.clone()),
            count: 0,
            waiting: vec![VecDeque::new(); usize::from(shards)],
        }
    }

    pub(crate) fn are_over(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }
}

impl World {
    /// Tells all shards of a new configuration, if it is time for one.
    pub(crate) fn perhaps_reload(&mut self) {
        let rng = &mut self.dice.reloads;
        if !self.knobs.reloads || self.reloads.count >= RELOADS_MAX || !chance(rng, 2) {
            return;
        }
        self.reloads.count += 1;
        let options = match self.knobs.has_accounts {
            true => varied(geography::options(), self.reloads.count),
            false => Options::default(),
        };
        let settings = self.renewed(&options);
        for shard in 0..self.reloads.waiting.len() {
            let mut settings = Arc::clone(&settings);
            if self.mutant == Mutant::ForgetImports && shard == 0 {
                settings = self.renewed(&without_imports(options.clone()));
            }
            let delay = range(&mut self.dice.reloads, 0, 200);
            let due = self.steps + u64::from(delay);
            self.reloads.waiting[shard].push_back((due, settings));
        }
        self.reloads.newest = settings;
    }

    /// A shard takes over what has come to it.
    pub(crate) fn follow_reloads(&mut self, index: usize) {
        while let Some(settings) = self.next_due(index) {
            self.cores[index].shard.reload(&settings);
            self.work.reloads += 1;
        }
    }

    fn next_due(&mut self, index: usize) -> Option<Arc<Settings>> {
        let waiting = &mut self.reloads.waiting[index];
        let is_due = waiting.front().is_some_and(|(due, _)| *due <= self.steps);
        is_due
            .then(|| waiting.pop_front())?
            .map(|(_, settings)| settings)
    }

    fn renewed(&self, options: &Options) -> Arc<Settings> {
        let newest = &self.reloads.newest;
        let key = NonceKey::new([0; 32]);
        let renewed = newest.renewed(options, newest.info.clone(), key);
        Arc::new(adjusted(renewed.expect("valid accounts"), &self.knobs))
    }
}

/// The same accounts, written differently.
fn varied(mut options: Options, count: u32) -> Options {
    let first = options.accounts.len() - geography::ACCOUNTS;
    for index in first..options.accounts.len() {
        let next = first + (index + 1 - first) % geography::ACCOUNTS;
        let account = &mut options.accounts[index];
        if count % 2 == 1 {
            account.imports.reverse();
        }
        if count % 3 == 1 {
            account.exports.insert(0, idle_export());
        }
        if !count.is_multiple_of(3) {
            account.imports.insert(0, idle_stream(next));
        }
        if count % 5 < 3 {
            account.imports.insert(0, idle_service(next));
        }
    }
    if let Auth::Users(users) = &mut options.auth
        && count % 4 < 2
    {
        for user in users {
            user.permissions = Some(Permissions {
                subscribe: SubjectRules {
                    allow: None,
                    deny: vec![format!("idle.{count}")],
                },
                ..Permissions::default()
            });
        }
    }
    options
}

fn idle_export() -> Export {
    Export {
        subject: "idle.service".to_owned(),
        accounts: None,
        account_token_position: 0,
        kind: ExportKind::Service {
            responses: ResponseKind::Singleton,
            response_threshold: std::time::Duration::from_secs(120),
            latency: None,
        },
        allow_trace: false,
    }
}

/// What concerns every subscription to anything that begins with `a`, and brings nothing.
fn idle_stream(from: usize) -> Import {
    Import {
        from: id(from),
        subject: "idle.*".to_owned(),
        kind: ImportKind::Stream {
            to: Some("a.*".to_owned()),
        },
        allow_trace: false,
    }
}

/// It takes the place of the service that came first before.
fn idle_service(from: usize) -> Import {
    Import {
        from: id(from),
        subject: "idle.service".to_owned(),
        kind: ImportKind::Service {
            to: None,
            share: false,
        },
        allow_trace: false,
    }
}

fn id(index: usize) -> AccountId {
    AccountId(u16::try_from(index).expect("few"))
}

fn without_imports(mut options: Options) -> Options {
    for account in &mut options.accounts {
        account
            .imports
            .retain(|import| !matches!(import.kind, ImportKind::Stream { .. }));
    }
    options
}
