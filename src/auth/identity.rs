//! Who a client is, once that is known.

use super::permissions::Permissions;
use crate::base::ids::AccountId;
use std::sync::Arc;

/// What a client may do, and in whose name.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub account: AccountId,
    /// `None` is everything.
    pub permissions: Option<Arc<Permissions>>,
    /// The user of the configuration; `None` where there are no users to tell apart.
    pub name: Option<Name>,
}

/// How the configuration names a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    User(Arc<str>),
    /// A public user nkey.
    Nkey(Arc<str>),
}
