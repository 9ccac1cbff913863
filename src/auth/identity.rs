//! Who a client is, once that is known.

use crate::base::ids::AccountId;
use std::sync::Arc;

/// What a client may do, and in whose name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub account: AccountId,
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
