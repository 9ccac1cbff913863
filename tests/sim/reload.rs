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
use trunkline::config::account::{Export, ExportKind, Import, ImportKind, ResponseKind};
use trunkline::config::authorization::{Auth, Permissions, SubjectRules};
use trunkline::config::{Account, Options};
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
        while let Some((_, settings)) =
            self.reloads.waiting[index].pop_front_if(|(due, _)| *due <= self.steps)
        {
            self.cores[index].shard.reload(&settings);
            self.work.reloads += 1;
        }
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
    let ids: Vec<_> = (first..options.accounts.len()).collect();
    for index in &ids {
        let account = &mut options.accounts[*index];
        if count % 2 == 1 {
            account.imports.reverse();
        }
        if count % 3 == 1 {
            account.exports.insert(0, idle_export());
        }
    }
    if count % 3 != 0 {
        let (from, to) = (options.accounts.len() - 1, first);
        let import = idle_import(&options.accounts[from], &options);
        options.accounts[to].imports.insert(0, import);
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
fn idle_import(from: &Account, options: &Options) -> Import {
    let index = options
        .accounts
        .iter()
        .position(|account| account.name == from.name);
    let index = index.and_then(|index| u16::try_from(index).ok());
    Import {
        from: trunkline::base::ids::AccountId(index.expect("it is there")),
        subject: "idle.*".to_owned(),
        kind: ImportKind::Stream {
            to: Some("a.*".to_owned()),
        },
        allow_trace: false,
    }
}

fn without_imports(mut options: Options) -> Options {
    for account in &mut options.accounts {
        account
            .imports
            .retain(|import| !matches!(import.kind, ImportKind::Stream { .. }));
    }
    options
}
