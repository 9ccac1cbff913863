//! What a new configuration makes of a client that has been let in: nats-server's `reloadAuthorization`.
//!
//! | its user | what becomes of it |
//! |---|---|
//! | is as it was | nothing |
//! | may do something else now | that |
//! | has another password | it must know that one; it has said one when it came |
//! | has gone, or is in another account | it is closed without a word, and comes again |
//!
//! nats-server looks at every client anew with every reload: it compares bcrypt hashes again, closes each client that has
//! given a name where no users are listed, and each that has been let in without credentials. Here nobody is troubled
//! whose user is as it was.

use super::directory::{Claim, Directory, Entry};
use super::identity::{Identity, Name};
use std::sync::Arc;

/// How a client stands in a new configuration.
#[derive(Debug)]
pub enum Standing {
    /// As before.
    Same,
    /// It is this now.
    Changed(Identity),
    /// Whoever it said it was is somebody else now, or nobody.
    Gone,
    /// It must be examined as if it had just come.
    Unproven,
}

impl Directory {
    /// How a client stands that was let in as `identity` by the directory `before` this one.
    pub fn standing(&self, before: &Directory, identity: &Identity, claim: &Claim<'_>) -> Standing {
        let used_proxy = !claim.connect.proxy_signature.is_empty() && before.has_proxies();
        if used_proxy && self.has_lost_a_proxy_of(before) {
            return Standing::Unproven;
        }
        if self.entry.lets_in_like(&before.entry) && self.asks_for_proxy_like(before) {
            return Standing::Same;
        }
        let claimed = claimed(identity, claim);
        if !matches!(self.entry, Entry::Users { .. }) {
            return match claimed {
                Some(_) => Standing::Gone,
                None => Standing::Unproven,
            };
        }
        let Some(claimed) = claimed else {
            return Standing::Unproven;
        };
        let Some(user) = self.entry.user(&claimed) else {
            return Standing::Gone;
        };
        if user.identity.account != identity.account {
            return Standing::Gone;
        }
        match before.entry.user(&claimed) {
            Some(was) if Arc::ptr_eq(was, user) => Standing::Same,
            Some(was)
                if was.written.credentials == user.written.credentials
                    && user.may_come_by(claim.connection_type)
                    && (!user.proxy_required || used_proxy) =>
            {
                Standing::Changed(user.identity.clone())
            }
            _ => Standing::Unproven,
        }
    }
}

/// The user that a client is, or has said it is.
fn claimed(identity: &Identity, claim: &Claim<'_>) -> Option<Name> {
    let connect = claim.connect;
    let said = || match (&*connect.nkey, &*connect.user) {
        ("", "") => None,
        ("", user) => Some(Name::User(user.into())),
        (nkey, _) => Some(Name::Nkey(nkey.into())),
    };
    identity.name.clone().or_else(said)
}
