//! What the blocks of a file said, and what can only be seen when all of it is known.
//!
//! *Control path.* Pure.
//!
//! - A name keeps its [`AccountId`] over reloads: names that were known come first, with their numbers.
//! - The order of blocks in a file does not matter.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts::Defined;
use super::values::shown;
use super::{Placed, Reader};
use crate::base::ids::AccountId;
use crate::config::account::Account;
use crate::config::authorization::{Credentials, Permissions, User};
use crate::config::language::Position;

#[derive(Debug)]
pub(super) struct Gathered {
    /// `authorization { users }`.
    pub(super) users: Option<Placed<Vec<Placed<User>>>>,
    /// `authorization { default_permissions }`.
    pub(super) default_permissions: Option<Placed<Permissions>>,
    /// `system_account`.
    pub(super) system_account: Option<Placed<String>>,
    /// By [`AccountId`]: the known ones, then those that the file adds.
    pub(super) accounts: Vec<Account>,
    ids: BTreeMap<String, AccountId>,
    /// The accounts of the file, in its order.
    pub(super) defined: Vec<Defined>,
    defined_ids: BTreeSet<AccountId>,
}

/// `$G` and `$SYS` are there without being defined.
const PREDEFINED: usize = 2;

impl Gathered {
    /// `known` are the accounts that the process has already, by number.
    pub(super) fn new(known: &[Account]) -> Gathered {
        let mut gathered = Gathered {
            users: None,
            default_permissions: None,
            system_account: None,
            accounts: Vec::with_capacity(known.len()),
            ids: BTreeMap::new(),
            defined: Vec::new(),
            defined_ids: BTreeSet::new(),
        };
        for account in known {
            let id = gathered.id(&account.name);
            assert!(id.is_some(), "there were not too many accounts before");
        }
        for account in gathered.accounts.iter_mut().skip(PREDEFINED) {
            account.is_former = true;
        }
        assert_eq!(gathered.ids.get(GLOBAL), Some(&AccountId::GLOBAL));
        assert_eq!(gathered.ids.get(SYSTEM), Some(&AccountId::SYSTEM));
        gathered
    }

    /// The number for an account of the file.
    ///
    /// # Errors
    /// When the name is reserved or used already, or when there are too many accounts.
    pub(super) fn define(&mut self, name: &str) -> Result<AccountId, String> {
        if name == GLOBAL {
            return Err(format!("{} is a Reserved Account", shown(name)));
        }
        if name.is_empty() {
            return Err("an account needs a name".to_owned());
        }
        let Some(id) = self.id(name) else {
            return Err(format!(
                "there are more than {ACCOUNTS_MAX} accounts, those of earlier configurations included"
            ));
        };
        if !self.defined_ids.insert(id) {
            return Err(format!("Duplicate Account Entry: {name}"));
        }
        Ok(id)
    }

    /// Keeps what the file says about an account that was defined.
    pub(super) fn add(&mut self, account: Account, defined: Defined) {
        self.accounts[defined.id.index()] = account;
        self.defined.push(defined);
    }

    /// The number of the account that the file defines under this name.
    pub(super) fn find(&self, name: &str) -> Option<AccountId> {
        let id = self.ids.get(name)?;
        self.defined_ids.contains(id).then_some(*id)
    }

    fn id(&mut self, name: &str) -> Option<AccountId> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if self.accounts.len() == ACCOUNTS_MAX {
            return None;
        }
        let id = AccountId(u16::try_from(self.accounts.len()).ok()?);
        self.ids.insert(name.to_owned(), id);
        self.accounts.push(Account {
            name: name.to_owned(),
            ..Account::default()
        });
        Some(id)
    }
}

impl Reader<'_> {
    /// Puts together what the blocks said, and brings it into the options.
    pub(super) fn settle(&mut self) {
        // Who lacks users because they were wrong has been told.
        let is_sound = self.faults.is_empty();
        let users = self.settle_users();
        if is_sound {
            self.check_lists(&users);
        }
        self.check_single_user(&users);
        self.check_unique(&users);
        self.settle_system_account();
        // As in nats-server: what crosses is looked at when all accounts are right by themselves.
        if self.faults.is_empty() {
            self.settle_crossings();
        }
        self.draft.users = users.into_iter().map(|user| user.value).collect();
        self.draft.options.accounts = std::mem::take(&mut self.gathered.accounts);
    }

    /// All users with the permissions that apply to them: those of the authorization block, then each account's.
    fn settle_users(&mut self) -> Vec<Placed<User>> {
        let mut all = Vec::new();
        let defaults = self.gathered.default_permissions.take();
        if let Some(users) = &mut self.gathered.users {
            let defaults = defaults.as_ref().map(|defaults| &defaults.value);
            all.append(&mut with_defaults(
                std::mem::take(&mut users.value),
                defaults,
            ));
        }
        if let Some(defaults) = defaults
            && all.is_empty()
        {
            self.fault(
                defaults.position,
                "these permissions are for the users of this block, and there are none",
            );
        }
        for defined in &mut self.gathered.defined {
            let defaults = self.gathered.accounts[defined.id.index()]
                .default_permissions
                .as_ref();
            all.append(&mut with_defaults(
                std::mem::take(&mut defined.users),
                defaults,
            ));
        }
        all
    }

    /// What is said about the users of the authorization block must be about somebody.
    fn check_lists(&mut self, users: &[Placed<User>]) {
        let is_single = !self.draft.user.is_empty() || !self.draft.token.is_empty();
        let global = |user: &Placed<User>| user.value.account == AccountId::GLOBAL;
        if let Some(list) = &self.gathered.users
            && users.is_empty()
            && !is_single
        {
            let position = list.position;
            self.fault(
                position,
                "there are no users, and so everybody may connect: leave users out if that is meant",
            );
        }
        if let Some(defaults) = &self.gathered.default_permissions
            && !users.iter().any(global)
        {
            let position = defaults.position;
            self.fault(
                position,
                "these permissions are for the users of this block, and there are none",
            );
        }
        if self.draft.options.proxy_required
            && !is_single
            && let Some(position) = self.place_of("authorization.proxy_required")
        {
            self.fault(
                position,
                "proxy_required is for the user or the token of this block, and there is none; \
                 a user in a list has its own",
            );
        }
    }

    /// A single user, or a token for everybody, does not go together with users. A list without users counts too.
    fn check_single_user(&mut self, users: &[Placed<User>]) {
        let (has_user, has_token) = (!self.draft.user.is_empty(), !self.draft.token.is_empty());
        let what = match (has_user, has_token) {
            (_, true) => "a token",
            (true, _) => "a single user/pass",
            _ => return,
        };
        if let Some(list) = &self.gathered.users {
            let position = list.position;
            self.fault(position, format!("Can not have {what} and a users array"));
        } else if let Some(user) = users.first() {
            self.fault(user.position, format!("Can not have {what} and accounts"));
        }
    }

    fn check_unique(&mut self, users: &[Placed<User>]) {
        let mut names = BTreeSet::new();
        for Placed { position, value } in users {
            let (what, name) = match &value.credentials {
                Credentials::Password { name, .. } | Credentials::Process { name, .. } => {
                    ("user", name)
                }
                Credentials::Nkey(key) => ("nkey", key),
            };
            if !names.insert(name) {
                self.fault(
                    *position,
                    format!("Duplicate {what} {} detected", shown(name)),
                );
            }
        }
    }

    /// Which account is the server's own: the one that is named, or `$SYS`, defined or not.
    fn settle_system_account(&mut self) {
        let named = match self.gathered.system_account.take() {
            // nats-server takes an empty name for none.
            Some(named) if !named.value.is_empty() => {
                match self.gathered.find(&named.value) {
                    Some(id) => Some(id),
                    None if named.value == GLOBAL => Some(AccountId::GLOBAL),
                    // nats-server says so at its start.
                    None => {
                        let name = shown(&named.value);
                        let reason =
                            format!("error resolving system account: {name} is not defined");
                        return self.fault(named.position, reason);
                    }
                }
            }
            _ => self.gathered.find(SYSTEM),
        };
        let Some(system) = named else {
            return;
        };
        self.draft.options.system_account = system;
        self.draft.options.no_system_account = false;
        // Who defines nothing but the system account wants to protect that one, and no other.
        self.draft.opens_global_account = system != AccountId::GLOBAL
            && self.gathered.defined.len() == 1
            && !self.has_authorization_block();
    }

    fn has_authorization_block(&self) -> bool {
        let entries = self.document.root.in_order();
        entries
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case("authorization"))
    }

    /// Where the option with this name was set.
    fn place_of(&self, name: &str) -> Option<Position> {
        let set = self.seen.iter().rev().find(|(row, _)| row.name() == name);
        set.map(|(_, position)| *position)
    }
}

fn with_defaults(
    mut users: Vec<Placed<User>>,
    defaults: Option<&Permissions>,
) -> Vec<Placed<User>> {
    for user in &mut users {
        if user.value.permissions.is_none() {
            user.value.permissions = defaults.cloned();
        }
    }
    users
}

const GLOBAL: &str = "$G";
const SYSTEM: &str = "$SYS";
/// What fits an [`AccountId`].
const ACCOUNTS_MAX: usize = 1 << 16;
