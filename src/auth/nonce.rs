//! The challenge in `INFO`, which nkey users and proxies sign.
//!
//! nats-server draws 11 random bytes for each connection. Here they are a keyed hash of the client's number, which is
//! never used twice: as good for the purpose, and a shard needs no source of secrets of its own.

use crate::base::ids::ClientNumber;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use std::fmt;

/// The bytes that 15 characters of base64 stand for.
const RAW_BYTES: usize = 11;
/// How long a nonce is.
const NONCE_CHARS: usize = 15;

/// What a client has to sign, as `INFO` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE_CHARS]);

impl Nonce {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64 is ASCII")
    }
}

/// What makes the nonces of a process unpredictable. Drawn once, at start, from the system's source of secrets.
#[derive(Clone, Copy)]
pub struct NonceKey([u8; 32]);

impl NonceKey {
    pub fn new(random: [u8; 32]) -> NonceKey {
        NonceKey(random)
    }

    /// The nonce of one client.
    pub fn nonce(&self, client: ClientNumber) -> Nonce {
        // Input and key have fixed lengths, so that nothing can be appended to a known hash.
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(client.0.to_be_bytes());
        let digest = hash.finalize();
        let mut nonce = [0; NONCE_CHARS];
        BASE64URL_NOPAD.encode_mut(&digest[..RAW_BYTES], &mut nonce);
        Nonce(nonce)
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}
