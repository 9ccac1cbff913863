//! Imports that lead back to where a message came from. They are refused when accounts are compiled.
//!
//! nats-server asks with each import it adds whether it closes a circle (`accounts.go`, `serviceImportFormsCycle` and
//! `streamImportFormsCycle`). Here all are asked once all are there, which finds the same circles. Chains longer than
//! [`IMPORT_CHAIN_MAX`] are refused as if they were circles.

use super::{AccountError, Accounts};
use crate::base::ids::AccountId;
use crate::base::limits::IMPORT_CHAIN_MAX;
use crate::subject::{covers, intersection};

/// Refuses circles.
pub(super) fn find(accounts: &Accounts) -> Result<(), AccountError> {
    for (id, account) in accounts.iter() {
        let mut path = vec![id];
        for service in account.services.iter() {
            if services_return(accounts, service.from, service.here(), &mut path) {
                return Err(AccountError::in_circle(&account.name, service.here()));
            }
        }
        for stream in &account.streams {
            let returns = |pattern| streams_return(accounts, stream.from, pattern, &mut vec![id]);
            if returns(stream.here()) || returns(stream.there()) {
                return Err(AccountError::in_circle(&account.name, stream.there()));
            }
        }
    }
    Ok(())
}

/// Whether services that `account` imports take messages of `pattern` back to an account of the path.
fn services_return(
    accounts: &Accounts,
    account: AccountId,
    pattern: &[u8],
    path: &mut Vec<AccountId>,
) -> bool {
    let Some(imports) = accounts.get(account).map(|account| &account.services) else {
        return false;
    };
    imports.iter().any(|import| {
        if intersection(pattern, import.there()).is_none() {
            return false;
        }
        let narrower = if covers(pattern, import.here()) { import.here() } else { pattern };
        step(path, account, import.from, |path| {
            services_return(accounts, import.from, narrower, path)
        })
    })
}

/// Whether streams that `account` imports, and exports again, bring messages of `pattern` from an account of the path.
fn streams_return(
    accounts: &Accounts,
    account: AccountId,
    pattern: &[u8],
    path: &mut Vec<AccountId>,
) -> bool {
    let Some(account_there) = accounts.get(account) else {
        return false;
    };
    if !account_there.exports.has_stream(pattern) {
        return false;
    }
    account_there.streams.iter().any(|import| {
        if intersection(pattern, import.here()).is_none() {
            return false;
        }
        let narrower = if covers(pattern, import.here()) { import.here() } else { pattern };
        step(path, account, import.from, |path| {
            streams_return(accounts, import.from, narrower, path)
        })
    })
}

fn step(
    path: &mut Vec<AccountId>,
    from: AccountId,
    to: AccountId,
    further: impl FnOnce(&mut Vec<AccountId>) -> bool,
) -> bool {
    if path.contains(&to) || path.len() >= IMPORT_CHAIN_MAX {
        return true;
    }
    path.push(from);
    let returns = further(path);
    path.pop();
    returns
}
