//! Signatures over a nonce, by users and by proxies.

use super::nonce::Nonce;
use crate::config::Secret;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use nkeys::KeyPair;

/// Whether `signature` is `key`'s over the nonce. It may be written in base64 for URLs, or in the common one.
///
/// # Errors
/// What is wrong, for the debug log; the texts are nats-server's.
pub(super) fn verify_user(
    key: &str,
    nonce: Option<&Nonce>,
    signature: &Secret,
) -> Result<(), &'static str> {
    if signature.is_empty() {
        return Err("Signature missing");
    }
    let text = signature.expose().as_bytes();
    let signature = BASE64URL_NOPAD
        .decode(text)
        .or_else(|_| BASE64.decode(text))
        .map_err(|_| "Signature not valid base64")?;
    let key = KeyPair::from_public_key(key).map_err(|_| "User nkey not valid")?;
    verify(&key, nonce, &signature)
}

/// Whether one of `keys` has signed the nonce.
///
/// # Errors
/// As for [`verify_user`]; proxies write base64 for URLs only.
pub(super) fn verify_proxy(
    keys: &[KeyPair],
    nonce: Option<&Nonce>,
    signature: &Secret,
) -> Result<(), &'static str> {
    let signature = BASE64URL_NOPAD
        .decode(signature.expose().as_bytes())
        .map_err(|_| "Proxy signature not valid base64")?;
    let is_by_one = keys
        .iter()
        .any(|key| verify(key, nonce, &signature).is_ok());
    is_by_one.then_some(()).ok_or("Signature not verified")
}

fn verify(key: &KeyPair, nonce: Option<&Nonce>, signature: &[u8]) -> Result<(), &'static str> {
    let nonce = nonce.ok_or("Signature not verified")?;
    key.verify(nonce.as_bytes(), signature)
        .map_err(|_| "Signature not verified")
}
