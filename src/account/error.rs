//! Why accounts were refused, in words for the operator.

use crate::config;
use crate::config::account::Import;
use std::fmt;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountError(String);

impl AccountError {
    pub(super) fn new(account: &config::Account, import: &Import, why: &str) -> AccountError {
        let (name, subject) = (&account.name, &import.subject);
        AccountError(format!("account {name:?} cannot import {subject:?}: {why}"))
    }

    pub(super) fn in_mapping(account: &config::Account, source: &str, why: &str) -> AccountError {
        let name = &account.name;
        AccountError(format!("account {name:?} cannot map {source:?}: {why}"))
    }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AccountError {}
