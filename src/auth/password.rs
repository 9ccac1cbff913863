//! Passwords and tokens of the configuration, plain or hashed with bcrypt.

use crate::config::Secret;
use subtle::ConstantTimeEq;

/// What a client must know.
#[derive(Clone, Debug)]
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
}

impl Password {
    pub(super) fn new(configured: &Secret) -> Password {
        if configured.looks_like_bcrypt() {
            Password::Bcrypt(configured.clone())
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
            }),
        }
    }
}

impl PasswordCheck {
    /// Compares; takes as long as the hash's cost says. A hash that is damaged fits no password.
    pub fn run(&self) -> bool {
        bcrypt::verify(self.given.expose(), self.hash.expose()).unwrap_or(false)
    }
}
