//! The subject spaces of accounts: where a pattern is wanted, and where a message is. *Hot path.*
//!
//! Every account has a space of its own. What crosses from one to another is decided in `account`; here are only the
//! names of the places.
//!
//! | place of a pattern | whose subscriptions |
//! |---|---|
//! | [`Layer::own`] | the account's clients |
//! | [`Layer::importers`] | other accounts' clients, through their stream imports |
//!
//! A message that came through a service import does not go on through a stream export (nats-server
//! `pmrMsgImportedFromService`): so there are two kinds of [`Scope`] for one account, and two layers of patterns.

use crate::base::ids::AccountId;

/// Where a pattern is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer(u32);

/// Where a message is, and who there may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(u32);

/// Beside the account's number, in the lower half.
const FLAG: u32 = 1 << 16;
/// What a [`Scope`] takes of a number.
pub(super) const SCOPE_BITS: u32 = 17;

impl Layer {
    pub const fn own(account: AccountId) -> Layer {
        Layer(account.0 as u32)
    }

    pub const fn importers(account: AccountId) -> Layer {
        Layer(account.0 as u32 | FLAG)
    }

    #[inline]
    pub fn account(self) -> AccountId {
        account_of(self.0)
    }

    #[inline]
    pub fn is_importers(self) -> bool {
        self.0 & FLAG != 0
    }

    /// For a lane.
    pub fn number(self) -> u32 {
        self.0
    }

    /// What [`Layer::number`] gave.
    pub fn from_number(number: u32) -> Layer {
        Layer(number)
    }

    /// Different for each layer, to be mixed into a hash.
    pub(super) fn salt(self) -> u64 {
        salt(self.0)
    }
}

impl Scope {
    /// Published in the account: its clients get it, and the importers of its streams.
    #[inline]
    pub const fn published(account: AccountId) -> Scope {
        Scope(account.0 as u32)
    }

    /// Brought to the account by a service import, as a request or as a response: its own clients get it.
    pub const fn served(account: AccountId) -> Scope {
        Scope(account.0 as u32 | FLAG)
    }

    /// What [`Scope::account`] and [`Scope::is_served`] gave.
    #[inline]
    pub fn from_parts(account: AccountId, is_served: bool) -> Scope {
        Scope(u32::from(account.0) | (u32::from(is_served) * FLAG))
    }

    #[inline]
    pub fn account(self) -> AccountId {
        account_of(self.0)
    }

    #[inline]
    pub fn is_served(self) -> bool {
        self.0 & FLAG != 0
    }

    #[inline]
    pub(super) fn bits(self) -> u64 {
        u64::from(self.0)
    }

    pub(super) fn from_bits(bits: u64) -> Scope {
        let number = bits & ((1 << SCOPE_BITS) - 1);
        Scope(u32::try_from(number).expect("it was cut to size"))
    }

    /// Different for each scope, already in the upper half, and nothing for the one that most servers have only.
    #[inline]
    pub(super) fn salt(self) -> u64 {
        salt(self.0)
    }
}

#[inline]
fn account_of(number: u32) -> AccountId {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is the account"
    )]
    AccountId(number as u16)
}

#[inline]
fn salt(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_share_a_number() {
        let accounts = [0, 1, 2, u16::MAX - 1, u16::MAX].map(AccountId);
        let mut scopes: Vec<u64> = Vec::new();
        for account in accounts {
            for scope in [Scope::published(account), Scope::served(account)] {
                assert_eq!(scope.account(), account);
                assert_eq!(Scope::from_parts(account, scope.is_served()), scope);
                assert_eq!(Scope::from_bits(scope.bits() | 5 << SCOPE_BITS), scope);
                scopes.push(scope.bits());
            }
            for layer in [Layer::own(account), Layer::importers(account)] {
                assert_eq!(layer.account(), account);
                assert_eq!(Layer::from_number(layer.number()), layer);
            }
            assert!(Scope::served(account).is_served() && !Scope::published(account).is_served());
            assert!(
                Layer::importers(account).is_importers() && !Layer::own(account).is_importers()
            );
        }
        let count = scopes.len();
        scopes.sort_unstable();
        scopes.dedup();
        assert_eq!(scopes.len(), count);
    }
    #[test]
    fn no_two_scopes_have_the_same_upper_half_of_salt() {
        let mut upper: Vec<u64> = (0..1 << SCOPE_BITS)
            .map(|bits| Scope::from_bits(bits).salt() >> 32)
            .collect();
        upper.sort_unstable();
        upper.dedup();
        assert_eq!(upper.len(), 1 << SCOPE_BITS);
        assert_eq!(Scope::published(AccountId::GLOBAL).salt(), 0);
    }
}
