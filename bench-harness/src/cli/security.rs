//! Whether and how to speak TLS with a server that is already running.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Failure, failure};
use crate::load::Tls;
use crate::server::certificate::client;

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Security {
    /// Speak TLS
    #[arg(long)]
    tls: bool,
    /// The authority of the server's certificate [default: those that this machine trusts]
    #[arg(long, value_name = "FILE")]
    tlsca: Option<PathBuf>,
    /// A certificate to show, if the server wants one
    #[arg(long, value_name = "FILE", requires = "tlskey")]
    tlscert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "tlscert")]
    tlskey: Option<PathBuf>,
    /// Begin TLS before the server has said anything (its option `handshake_first`)
    #[arg(long)]
    tls_first: bool,
}

impl Security {
    /// `is_secure` is what the address says; `place` is the host with or without its port.
    pub(super) fn wanted(&self, is_secure: bool, place: &str) -> Result<Option<Tls>, Failure> {
        let is_wanted = is_secure
            || self.tls
            || self.tls_first
            || self.tlsca.is_some()
            || self.tlscert.is_some();
        if !is_wanted {
            return Ok(None);
        }
        let shown = match (&self.tlscert, &self.tlskey) {
            (Some(certificate), Some(key)) => Some((certificates(certificate)?, private_key(key)?)),
            _ => None,
        };
        let tls = client(self.roots()?, host(place), shown);
        let tls = tls.map_err(|error| failure(format!("no TLS with {place}: {error}")))?;
        Ok(Some(Tls {
            is_first: self.tls_first,
            ..tls
        }))
    }

    fn roots(&self) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        let Some(file) = &self.tlsca else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| failure(format!("{} is no authority: {error}", file.display())))?;
        }
        Ok(roots)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| failure(format!("{}: {error}", file.display())))?;
    if read.is_empty() {
        return Err(failure(format!(
            "{} has no certificate in it (PEM)",
            file.display()
        )));
    }
    Ok(read)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Failure> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| failure(format!("{}: {error}", file.display())))
}

/// A host without its port and without brackets.
fn host(place: &str) -> &str {
    let place = place.trim_end_matches('/');
    let host = match place.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.is_empty() => host,
        _ => place,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spoken_when_anything_asks_for_it() {
        let wanted = |security: &Security, is_secure| {
            let wanted = security.wanted(is_secure, "localhost:4222");
            wanted
                .map(|tls| tls.is_some())
                .map_err(|failure| failure.text)
        };
        assert_eq!(wanted(&Security::default(), false), Ok(false));
        assert_eq!(wanted(&Security::default(), true), Ok(true));
        let tls_first = Security {
            tls_first: true,
            ..Security::default()
        };
        assert!(
            tls_first
                .wanted(false, "[::1]")
                .ok()
                .flatten()
                .is_some_and(|tls| tls.is_first)
        );
        let gone = Security {
            tlsca: Some("gone.pem".into()),
            ..Security::default()
        };
        assert!(wanted(&gone, false).is_err_and(|text| text.starts_with("gone.pem: ")));
    }

    #[test]
    fn the_name_of_a_server_is_its_host() {
        for (place, expected) in [
            ("a.b:1", "a.b"),
            ("a.b", "a.b"),
            ("[::1]:9", "::1"),
            ("127.0.0.1:4222/", "127.0.0.1"),
        ] {
            assert_eq!(host(place), expected, "{place}");
        }
    }
}
