//! TLS as the configuration file describes it: names of files, not yet read.
//!
//! *Control path.* `runtime` reads the files, `wire` speaks TLS. Facts: nats-server `opts.go`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// TLS for the connections of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// At least one; a client is shown the first that fits it.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities that client certificates must come from.
    pub ca_file: Option<PathBuf>,
    /// Clients must show a certificate.
    pub verify: bool,
    /// Clients are the user that their certificate names.
    pub map: bool,
    /// How long a handshake may take.
    pub timeout: Duration,
    pub handshake_first: HandshakeFirst,
    pub min_version: TlsVersion,
    /// nats-server's names, most wanted first; empty is the default.
    pub cipher_suites: Vec<String>,
    /// nats-server's names, most wanted first; empty is the default.
    pub curves: Vec<String>,
    /// SHA-256 of the public keys (DER, `SubjectPublicKeyInfo`) that clients may have; `None` is any.
    pub pinned_certs: Option<BTreeSet<[u8; 32]>>,
    /// Handshakes per second.
    pub connection_rate_limit: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Whether TLS begins before `INFO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    #[default]
    No,
    Always,
    /// `INFO` is sent to clients that have not begun a handshake after this time.
    Within(Duration),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    #[default]
    V1_2,
    V1_3,
}
