//! TLS as the configuration file describes it: names of files, not yet read, and of what may be chosen.
//!
//! *Control path.* `runtime` reads the files, `wire` speaks TLS. Facts: nats-server `opts.go`, Go's `crypto/tls`.

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

/// Whether something that nats-server offers by name can be had here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    Available,
    /// rustls has left it out: it is rare, or dangerous.
    Missing,
    /// Go calls it insecure, and nats-server takes it with `allow_insecure_cipher_suites` only. rustls has none of these.
    Insecure,
}

/// nats-server's names of cipher suites. Those of TLS 1.3 are always on, as in Go.
pub const CIPHER_SUITES: &[(&str, Availability)] = &[
    ("TLS_AES_128_GCM_SHA256", Availability::Available),
    ("TLS_AES_256_GCM_SHA384", Availability::Available),
    ("TLS_CHACHA20_POLY1305_SHA256", Availability::Available),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        Availability::Available,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        Availability::Missing,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        Availability::Missing,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Availability::Missing),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Availability::Missing),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        Availability::Insecure,
    ),
    ("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", Availability::Insecure),
    (
        "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        Availability::Insecure,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        Availability::Insecure,
    ),
    ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Availability::Insecure),
    ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", Availability::Insecure),
    ("TLS_RSA_WITH_AES_128_CBC_SHA", Availability::Insecure),
    ("TLS_RSA_WITH_AES_128_CBC_SHA256", Availability::Insecure),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", Availability::Insecure),
    ("TLS_RSA_WITH_AES_256_CBC_SHA", Availability::Insecure),
    ("TLS_RSA_WITH_AES_256_GCM_SHA384", Availability::Insecure),
    ("TLS_RSA_WITH_RC4_128_SHA", Availability::Insecure),
];

/// nats-server's names of curves and their mixtures with ML-KEM.
pub const CURVES: &[(&str, Availability)] = &[
    ("X25519MLKEM768", Availability::Available),
    ("SecP256r1MLKEM768", Availability::Available),
    ("X25519", Availability::Available),
    ("CurveP256", Availability::Available),
    ("CurveP384", Availability::Available),
    ("CurveP521", Availability::Available),
    ("SecP384r1MLKEM1024", Availability::Missing),
];

/// The names of a list that can be chosen.
pub fn available(list: &'static [(&str, Availability)]) -> impl Iterator<Item = &'static str> {
    let available = list
        .iter()
        .filter(|(_, availability)| *availability == Availability::Available);
    available.map(|(name, _)| *name)
}

/// nats-server's default for [`Tls::timeout`].
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// What `handshake_first: auto` waits for.
pub const HANDSHAKE_FIRST_AUTO: Duration = Duration::from_millis(50);

impl Default for Tls {
    /// nats-server's defaults, without a certificate: not yet of use.
    fn default() -> Tls {
        Tls {
            certificates: Vec::new(),
            ca_file: None,
            verify: false,
            map: false,
            timeout: HANDSHAKE_TIMEOUT,
            handshake_first: HandshakeFirst::No,
            min_version: TlsVersion::V1_2,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
            pinned_certs: None,
            connection_rate_limit: None,
        }
    }
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
