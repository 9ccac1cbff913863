//! For tests: authorities, certificates, and rustls's own client at the other end, all in memory.

use super::acceptor::World;
use super::{Acceptor, Secured};
use crate::config::Tls;
use crate::config::tls::{CertificateFiles, HandshakeFirst, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// 2026-01-01, in the middle of what test certificates are valid for.
pub(crate) const TODAY: u64 = 1_767_225_600;

/// Files and a clock.
pub(crate) struct Desk {
    files: HashMap<PathBuf, Vec<u8>>,
    pub(crate) authority: Issuer<'static, KeyPair>,
    today: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Stopped(Arc<AtomicU64>);

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            self.0.load(Relaxed),
        )))
    }
}

impl World for Desk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let found = self.files.get(path).cloned();
        found.ok_or_else(|| format!("open {}: no such file or directory", path.display()))
    }

    fn system_authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        Err("no authorities on this desk".to_owned())
    }

    fn clock(&self) -> Arc<dyn TimeProvider> {
        Arc::new(Stopped(Arc::clone(&self.today)))
    }
}

/// What a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Server,
    Client,
}

impl Desk {
    /// With `ca.pem`, and a server certificate for `localhost` in `server.pem` and `server.key`.
    pub(crate) fn new() -> Desk {
        let key = KeyPair::generate().unwrap();
        let mut params = params("test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let mut desk = Desk {
            files: HashMap::new(),
            authority: Issuer::new(params, key),
            today: Arc::new(AtomicU64::new(TODAY)),
        };
        desk.put("ca.pem", &certificate.pem());
        desk.issue("server", &["localhost"], Purpose::Server);
        desk
    }

    /// Sets the clock of everything that was made here.
    pub(crate) fn set_today(&self, today: u64) {
        self.today.store(today, Relaxed);
    }

    pub(crate) fn put(&mut self, name: &str, text: &str) {
        self.files.insert(name.into(), text.as_bytes().to_vec());
    }

    pub(crate) fn text(&self, name: &str) -> &[u8] {
        &self.files[Path::new(name)]
    }

    /// Makes `name.pem` and `name.key`.
    pub(crate) fn issue(&mut self, name: &str, names: &[&str], purpose: Purpose) {
        self.issue_as(name, params(name, names), purpose);
    }

    pub(crate) fn issue_as(&mut self, name: &str, mut params: CertificateParams, purpose: Purpose) {
        params.extended_key_usages = vec![match purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        self.put(&format!("{name}.pem"), &certificate.pem());
        self.put(&format!("{name}.key"), &key.serialize_pem());
    }

    pub(crate) fn acceptor(&self, tls: &Tls) -> Arc<Acceptor> {
        Arc::new(Acceptor::new(tls, self).unwrap())
    }

    /// A client of this desk that shows the certificate `shown`, if it is asked.
    pub(crate) fn client(&self, provider: CryptoProvider, shown: Option<&str>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.text("ca.pem")).unwrap())
            .unwrap();
        let clock = Arc::new(Stopped(Arc::clone(&self.today)));
        let builder = ClientConfig::builder_with_details(Arc::new(provider), clock)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match shown {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::pem_slice_iter(self.text(&format!("{name}.pem")));
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(self.text(&format!("{name}.key"))).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }
}

pub(crate) fn params(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

/// A `tls` block with the desk's server certificate.
pub(crate) fn block() -> Tls {
    Tls {
        certificates: vec![CertificateFiles {
            certificate: "server.pem".into(),
            key: "server.key".into(),
        }],
        ca_file: Some("ca.pem".into()),
        verify: false,
        map: false,
        timeout: Duration::from_secs(2),
        handshake_first: HandshakeFirst::No,
        min_version: TlsVersion::V1_2,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        pinned_certs: None,
        connection_rate_limit: None,
    }
}

/// rustls's client with the bytes between it and the server.
pub(crate) struct Peer {
    pub(crate) connection: ClientConnection,
    pub(crate) error: Option<rustls::Error>,
    pub(crate) heard: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(config: ClientConfig, name: &str) -> Peer {
        Peer::of(&Arc::new(config), name)
    }

    pub(crate) fn of(config: &Arc<ClientConfig>, name: &str) -> Peer {
        let name = name.to_owned().try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        connection.set_buffer_limit(None);
        Peer {
            connection,
            error: None,
            heard: Vec::new(),
        }
    }

    /// What it has to send by now.
    pub(crate) fn sends(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut sent).unwrap();
        }
        sent
    }

    pub(crate) fn says(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.connection.writer().write_all(bytes).unwrap();
        self.sends()
    }

    pub(crate) fn hears(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.error.is_none() {
            self.connection.read_tls(&mut bytes).unwrap();
            self.error = self.connection.process_new_packets().err();
            let _ = self.connection.reader().read_to_end(&mut self.heard);
        }
    }
}

/// Everything that rustls can do, one suite at a time.
pub(crate) fn each_suite() -> Vec<CryptoProvider> {
    let all = aws_lc_rs::default_provider();
    let one = |suite: &rustls::SupportedCipherSuite| CryptoProvider {
        cipher_suites: vec![*suite],
        ..all.clone()
    };
    let is_for_ecdsa =
        |suite: &&rustls::SupportedCipherSuite| !format!("{suite:?}").contains("_RSA_");
    all.cipher_suites
        .iter()
        .filter(is_for_ecdsa)
        .map(one)
        .collect()
}

pub(crate) fn without_resumption(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

pub(crate) fn versions(secured: &Secured) -> (&'static str, &'static str) {
    (secured.version, secured.cipher_suite)
}
