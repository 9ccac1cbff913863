//! Who may connect: the users of the configuration, compiled, and the questions a session asks about its client.
//! *Control path*, once per `CONNECT`.
//!
//! Invariants
//! - A [`Directory`] never changes; a new configuration is a new directory.
//! - Nobody is let in by an error: what cannot be checked is refused.
//! - Secrets are compared in constant time and never printed.
//!
//! It does not know connections, and it reads neither clock nor random numbers: a nonce follows from a key that was drawn
//! at start, a bcrypt hash is compared by whoever has the time ([`Verdict::Check`]).

mod certificate;
mod directory;
mod distinguished_name;
mod identity;
mod nonce;
mod password;
mod permissions;
mod signature;
mod standing;

#[cfg(test)]
mod tests;

pub use certificate::{Attribute, CertificateFacts};
pub use directory::{Claim, Directory, Refusal, Verdict};
pub use identity::{Identity, Name};
pub use nonce::{Nonce, NonceKey};
pub use password::{Claimant, PasswordCheck};
pub use permissions::Permissions;
pub use standing::Standing;
