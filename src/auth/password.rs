//! Passwords and tokens of the configuration, plain or hashed with bcrypt.

use crate::config::Secret;
use std::sync::{Arc, Weak};
use subtle::ConstantTimeEq;

/// What a client must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Password {
    Plain(Secret),
    Bcrypt(Secret),
}

/// What comparing says at once.
#[derive(Debug)]
pub(super) enum Compared {
    Same,
    Different,
    /// It takes long: whoever has the time finds out.
    Later(PasswordCheck),
}

/// A password to be compared with a bcrypt hash: some 60 ms of work, too much for a shard.
#[derive(Clone, Debug)]
pub struct PasswordCheck {
    hash: Secret,
    given: Secret,
    claimant: Weak<Claimant>,
}

/// Held by whoever waits for a [`PasswordCheck`]; without it the check is not worth doing any more.
#[derive(Debug)]
pub struct Claimant;

impl Password {
    pub(super) fn new(configured: &Secret) -> Password {
        if configured.looks_like_bcrypt() {
            Password::Bcrypt(with_canonical_salt(configured))
        } else {
            Password::Plain(configured.clone())
        }
    }

    pub(super) fn compare(&self, given: &Secret) -> Compared {
        match self {
            Password::Plain(secret) => {
                let (secret, given) = (secret.expose().as_bytes(), given.expose().as_bytes());
                if secret.ct_eq(given).into() {
                    Compared::Same
                } else {
                    Compared::Different
                }
            }
            Password::Bcrypt(hash) => Compared::Later(PasswordCheck {
                hash: hash.clone(),
                given: given.clone(),
                claimant: Weak::new(),
            }),
        }
    }
}

impl PasswordCheck {
    /// Compares; takes as long as the hash's cost says. A hash that is damaged fits no password.
    pub fn run(&self) -> bool {
        bcrypt::verify(self.given.expose(), self.hash.expose()).unwrap_or(false)
    }

    /// Makes the check worthless once the claimant that is given back has gone.
    pub fn claim(&mut self) -> Arc<Claimant> {
        let claimant = Arc::new(Claimant);
        self.claimant = Arc::downgrade(&claimant);
        claimant
    }

    /// Whether anybody still waits for it.
    pub fn is_wanted(&self) -> bool {
        self.claimant.strong_count() > 0
    }
}

/// The salt's 22 characters stand for 16 bytes and four bits that mean nothing. Some programs leave noise in them: Go
/// does not look at it, our library takes offence.
fn with_canonical_salt(hash: &Secret) -> Secret {
    const LAST_OF_SALT: usize = "$2a$10$".len() + 21;
    let mut bytes = hash.expose().as_bytes().to_vec();
    if let Some(last) = bytes.get_mut(LAST_OF_SALT) {
        *last = match *last {
            b'.' | b'/' | b'A'..=b'N' => b'.',
            b'O'..=b'Z' | b'a'..=b'd' => b'O',
            b'e'..=b't' => b'e',
            b'u'..=b'z' | b'0'..=b'9' => b'u',
            other => other,
        };
    }
    String::from_utf8(bytes).map_or_else(|_| hash.clone(), Secret::new)
}
