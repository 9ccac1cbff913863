//! The server's certificates, and which of them a client is shown. *At start, on reload, once per handshake.*
//!
//! A client that names the server gets the first certificate with that name that it can use; as in Go, the first
//! certificate is for everybody else.

use super::peer::PeerCertificate;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;

/// The certificates in the order of the configuration; at least one.
#[derive(Debug)]
pub(super) struct Own {
    certificates: Vec<Arc<CertifiedKey>>,
}

/// A certificate with its key, as read from their files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files<'a> {
    pub(super) certificate: (&'a Path, &'a [u8]),
    pub(super) key: (&'a Path, &'a [u8]),
}

impl Own {
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Own {
        Own {
            certificates: certificates.into_iter().map(Arc::new).collect(),
        }
    }

    /// The first moment at which one of them is no longer valid, in seconds since 1970.
    pub(super) fn not_after(&self) -> Option<i64> {
        let ends = self.certificates.iter().filter_map(|own| {
            let leaf = PeerCertificate::read(own.cert.first()?).ok()?;
            Some(leaf.not_after)
        });
        ends.min()
    }
}

impl ResolvesServerCert for Own {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let is_usable = |own: &&Arc<CertifiedKey>| own.key.choose_scheme(schemes).is_some();
        let name = hello.server_name();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let usable = || self.certificates.iter().filter(is_usable);
        let named = name.and_then(|name| usable().find(|own| is_for(own, &name)));
        let own = named.or_else(|| usable().next());
        own.or_else(|| self.certificates.first()).map(Arc::clone)
    }
}

fn is_for(own: &CertifiedKey, name: &ServerName<'_>) -> bool {
    own.cert
        .first()
        .and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
        .is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

/// Makes a certificate ready to be shown.
///
/// # Errors
/// What is wrong with which file.
pub(super) fn read(files: Files<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let (certificate, key) = (files.certificate.0.display(), files.key.0.display());
    let chain = certificates(files.certificate)?;
    let der = private_key(files.key)?;
    let signer = provider
        .key_provider
        .load_private_key(der)
        .map_err(|error| format!("the key in {key} cannot be used: {error}"))?;
    let own = CertifiedKey::new(chain, signer);
    match own.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(own),
        Err(rustls::Error::InconsistentKeys(_)) => Err(format!(
            "the private key in {key} does not match the public key in {certificate}"
        )),
        Err(error) => Err(format!(
            "the certificate in {certificate} cannot be used: {error}"
        )),
    }
}

/// All certificates in a PEM file.
///
/// # Errors
/// When there is none, or one that is none.
pub(super) fn certificates(
    (path, text): (&Path, &[u8]),
) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = path.display();
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| format!("{path} is not in PEM format: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{path} has no certificate in it (PEM)"));
    }
    for der in &chain {
        PeerCertificate::read(der)
            .map_err(|error| format!("a certificate in {path} cannot be read: {error}"))?;
    }
    Ok(chain)
}

fn private_key((path, text): (&Path, &[u8])) -> Result<PrivateKeyDer<'static>, String> {
    let path = path.display();
    // What is wrong is said without the contents: this file is a secret.
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(text) => {
            format!("the private key in {path} is encrypted: a server cannot ask for its password")
        }
        pem::Error::NoItemsFound => format!("{path} has no private key in it (PEM)"),
        _ => format!("{path} is not in PEM format"),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// A warning about an own certificate that no client will accept at `now`.
pub(super) fn warning(path: &Path, own: &CertifiedKey, now: UnixTime) -> Option<String> {
    let leaf = PeerCertificate::read(own.cert.first()?).ok()?;
    let now = i64::try_from(now.as_secs()).ok()?;
    (leaf.not_after < now).then(|| format!("The certificate in {} has expired", path.display()))
}
