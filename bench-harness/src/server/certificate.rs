//! A certificate for one run of a server on this machine, and the client that believes in it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::load::Tls;

/// The name in it.
const NAME: &str = "localhost";
/// Files in the server's directory.
pub(super) const CERTIFICATE: &str = "certificate.pem";
pub(super) const KEY: &str = "key.pem";

/// Makes one in `directory`.
pub(super) fn create(directory: &Path) -> io::Result<Tls> {
    let made = generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other)?;
    let CertifiedKey { cert, signing_key } = made;
    fs::write(directory.join(CERTIFICATE), cert.pem())?;
    let key = directory.join(KEY);
    fs::write(&key, signing_key.serialize_pem())?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).map_err(io::Error::other)?;
    client(roots, NAME, None)
}

/// A certificate and its key, to be shown by the client.
pub type Shown = (
    Vec<CertificateDer<'static>>,
    rustls::pki_types::PrivateKeyDer<'static>,
);

/// A client that believes `roots` and wants to speak to `name`.
pub fn client(roots: RootCertStore, name: &str, shown: Option<Shown>) -> io::Result<Tls> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)?,
    };
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    Ok(Tls {
        config: Arc::new(config),
        name,
        is_first: false,
    })
}
