//! What the `tls` block of a configuration file comes to: one value that all shards share. *At start and on reload.*
//!
//! Invariants
//! - It never changes. A reload makes a new one, which new handshakes use; connections keep what they have.
//! - It offers no less than was asked for: what cannot be had is an error that names the file or the option.
//! - Sessions are resumed on any shard, because tickets are sealed with keys that all shards share. rustls changes those
//!   keys every six hours behind a lock, which is taken once per handshake and never for a message.

use super::algorithms;
use super::own::{self, Own};
use super::rate::Rate;
use crate::base::clock::Now;
use crate::config::Tls;
use crate::config::tls::{HandshakeFirst, TlsVersion};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Sessions remembered for clients that know of no tickets.
const SESSIONS_MAX: usize = 1024;
/// Tickets that a client of TLS 1.3 gets, as in Go; each is sealed and sent.
const TICKETS: usize = 1;

static ALL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static TLS_1_3_ONLY: &[&SupportedProtocolVersion] = &[&TLS13];

/// What making an [`Acceptor`] needs of the world.
pub trait World {
    /// The contents of a file.
    ///
    /// # Errors
    /// Why it cannot be read; with the file's name.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The authorities that the operating system trusts.
    ///
    /// # Errors
    /// When there are none to be found.
    fn system_authorities(&self) -> Result<Vec<CertificateDer<'static>>, String>;

    fn clock(&self) -> Arc<dyn TimeProvider>;
}

/// Begins handshakes.
#[derive(Debug)]
pub struct Acceptor {
    parts: Parts,
    /// For all connections, where no client certificate is asked for.
    shared: Option<Arc<ServerConfig>>,
    timeout: Duration,
    handshake_first: HandshakeFirst,
    verifies: bool,
    pinned: Option<BTreeSet<[u8; 32]>>,
    rate: Option<Rate>,
    not_after: Option<i64>,
    warnings: Vec<String>,
}

/// What a rustls configuration is made of.
#[derive(Debug)]
struct Parts {
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    own: Arc<Own>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    clock: Arc<dyn TimeProvider>,
    ticketer: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Acceptor {
    /// Reads the files that `tls` names.
    ///
    /// # Errors
    /// The first thing that is wrong, with the name of its file or option.
    pub fn new(tls: &Tls, world: &dyn World) -> Result<Acceptor, String> {
        let provider = Arc::new(algorithms::provider(&tls.cipher_suites, &tls.curves)?);
        let clock = world.clock();
        let mut warnings = Vec::new();
        let own = own_certificates(tls, world, &provider, &clock, &mut warnings)?;
        let verifies = tls.verify || tls.map;
        let verifier = if verifies {
            Some(client_verifier(tls, world, &provider)?)
        } else {
            // Not wanted now. A file that is no good is still told, as by nats-server, before somebody relies on it.
            if let Some(path) = &tls.ca_file {
                own::certificates((path, &world.read(path)?))?;
            }
            None
        };
        let parts = Parts {
            provider,
            versions: match tls.min_version {
                TlsVersion::V1_2 => ALL_VERSIONS,
                TlsVersion::V1_3 => TLS_1_3_ONLY,
            },
            own: Arc::new(own),
            verifier,
            clock,
            ticketer: Ticketer::new().map_err(|error| format!("no session tickets: {error}"))?,
            sessions: ServerSessionMemoryCache::new(SESSIONS_MAX),
        };
        let any = parts.config(None).map_err(|error| error.to_string())?;
        Ok(Acceptor {
            not_after: parts.own.not_after(),
            shared: (!verifies).then(|| Arc::new(any)),
            timeout: tls.timeout,
            handshake_first: tls.handshake_first,
            verifies,
            pinned: tls.pinned_certs.clone(),
            rate: tls.connection_rate_limit.map(Rate::new),
            warnings,
            parts,
        })
    }

    /// What an operator should hear about it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// When the first of its own certificates expires, in seconds since 1970.
    pub fn not_after(&self) -> Option<i64> {
        self.not_after
    }

    /// Whether clients must show a certificate.
    pub fn verifies(&self) -> bool {
        self.verifies
    }

    /// How long a handshake may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub fn handshake_first(&self) -> HandshakeFirst {
        self.handshake_first
    }

    pub(super) fn pinned(&self) -> Option<&BTreeSet<[u8; 32]>> {
        self.pinned.as_ref()
    }

    /// Counts a handshake that wants to begin; says whether it may (`connection_rate_limit`).
    pub fn allow(&self, now: Now) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.allow(now))
    }

    /// How many handshakes were refused since the last call.
    pub fn take_refused(&self) -> u64 {
        self.rate.as_ref().map_or(0, Rate::take_refused)
    }

    /// What one handshake runs on, and who tells afterwards which certificates were not believed.
    pub(super) fn begin(&self) -> Result<(Arc<ServerConfig>, Option<Arc<Witness>>), Error> {
        if let Some(config) = &self.shared {
            return Ok((Arc::clone(config), None));
        }
        let witness = self.parts.verifier.as_ref().map(|inner| {
            Arc::new(Witness {
                inner: Arc::clone(inner),
                refused: OnceLock::new(),
            })
        });
        let config = self.parts.config(witness.clone())?;
        Ok((Arc::new(config), witness))
    }

    /// For a listener where nobody shows a certificate, such as the monitor's. It shares no sessions with the others: one
    /// that was begun without a certificate must not go on where one is asked for.
    ///
    /// # Errors
    /// When rustls does not take the configuration.
    pub fn without_client_certificates(&self) -> Result<ServerConfig, String> {
        let config = self.parts.config_without_sessions(None);
        config.map_err(|error| error.to_string())
    }

    /// Seconds since 1970.
    pub(super) fn unix_time(&self) -> Option<i64> {
        let now = self.parts.clock.current_time()?;
        i64::try_from(now.as_secs()).ok()
    }
}

impl Parts {
    fn config(&self, witness: Option<Arc<Witness>>) -> Result<ServerConfig, Error> {
        let mut config = self.config_without_sessions(witness)?;
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = TICKETS;
        config.ticketer = Arc::clone(&self.ticketer);
        config.session_storage = Arc::clone(&self.sessions);
        Ok(config)
    }

    fn config_without_sessions(
        &self,
        witness: Option<Arc<Witness>>,
    ) -> Result<ServerConfig, Error> {
        let builder =
            ServerConfig::builder_with_details(Arc::clone(&self.provider), Arc::clone(&self.clock));
        let builder = builder.with_protocol_versions(self.versions)?;
        let builder = match witness {
            Some(witness) => builder.with_client_cert_verifier(witness),
            None => builder.with_no_client_auth(),
        };
        let own: Arc<Own> = Arc::clone(&self.own);
        let mut config = builder.with_cert_resolver(own);
        config.ignore_client_order = true;
        Ok(config)
    }
}

fn own_certificates(
    tls: &Tls,
    world: &dyn World,
    provider: &CryptoProvider,
    clock: &Arc<dyn TimeProvider>,
    warnings: &mut Vec<String>,
) -> Result<Own, String> {
    if tls.certificates.is_empty() {
        return Err(
            "a tls block needs a certificate: cert_file and key_file are missing".to_owned(),
        );
    }
    let mut all = Vec::new();
    for files in &tls.certificates {
        let (certificate, key) = (&files.certificate, &files.key);
        let (certificate_text, key_text) = (world.read(certificate)?, world.read(key)?);
        let files = own::Files {
            certificate: (certificate, &certificate_text),
            key: (key, &key_text),
        };
        let own = own::read(files, provider)?;
        if let Some(now) = clock.current_time() {
            warnings.extend(own::warning(certificate, &own, now));
        }
        all.push(own);
    }
    Ok(Own::new(all))
}

fn client_verifier(
    tls: &Tls,
    world: &dyn World,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    let from = if let Some(path) = &tls.ca_file {
        let text = world.read(path)?;
        for certificate in own::certificates((path, &text))? {
            roots.add(certificate).map_err(|error| {
                format!(
                    "a certificate in {} is no authority: {error}",
                    path.display()
                )
            })?;
        }
        path.display().to_string()
    } else {
        // As in Go: without an authority of one's own, those of the system.
        roots.add_parsable_certificates(world.system_authorities()?);
        "the system".to_owned()
    };
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("client certificates cannot be verified with {from}: {error}"))
}

/// Verifies as its inner verifier does, and remembers what was not believed, for the log.
#[derive(Debug)]
pub(super) struct Witness {
    inner: Arc<dyn ClientCertVerifier>,
    refused: OnceLock<Vec<CertificateDer<'static>>>,
}

impl Witness {
    pub(super) fn refused(&self) -> &[CertificateDer<'static>] {
        self.refused.get().map_or(&[], Vec::as_slice)
    }
}

impl ClientCertVerifier for Witness {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verdict = self.inner.verify_client_cert(leaf, others, now);
        if verdict.is_err() {
            let all = std::iter::once(leaf).chain(others);
            let all = all.map(|one| one.clone().into_owned()).collect();
            // One handshake verifies once.
            let _ = self.refused.set(all);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
