//! Cipher suites and curves, by the names that nats-server's configuration files use.
//!
//! Their order is the server's choice, as in nats-server. The suites of TLS 1.3 are always on, and a list of suites
//! concerns TLS 1.2 only: both as in Go. What rustls leaves out on purpose (CBC, RSA without forward secrecy, 3DES, RC4) is
//! refused by name, never left out in silence.

use super::curve_p521::SECP521R1;
use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::{cipher_suite as suite, kx_group as curve};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use std::fmt::Display;

/// The suites of TLS 1.3. AES-128 goes first: it costs an eighth less than AES-256, and Go prefers it too.
const TLS_1_3: [SupportedCipherSuite; 3] = [
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// The suites of TLS 1.2 that can be had.
const TLS_1_2: [SupportedCipherSuite; 6] = [
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// Go's other names of suites in [`TLS_1_2`].
const OTHER_NAMES: [(&str, SupportedCipherSuite); 2] = [
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// nats-server's names and order.
const CURVES: [(&str, &dyn SupportedKxGroup); 6] = [
    ("X25519MLKEM768", curve::X25519MLKEM768),
    ("SecP256r1MLKEM768", curve::SECP256R1MLKEM768),
    ("X25519", curve::X25519),
    ("CurveP256", curve::SECP256R1),
    ("CurveP384", curve::SECP384R1),
    ("CurveP521", SECP521R1),
];

/// The IANA name of a suite, which is Go's, too.
pub(super) fn name(suite: SupportedCipherSuite) -> &'static str {
    let name = suite.suite().as_str().unwrap_or("unknown");
    // rustls calls TLS13_ what the registry and Go call TLS_.
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

/// aws-lc with the suites and curves that were asked for; an empty list is the default.
///
/// # Errors
/// A name that is unknown here.
pub(super) fn provider(suites: &[String], curves: &[String]) -> Result<CryptoProvider, String> {
    Ok(CryptoProvider {
        cipher_suites: cipher_suites(suites)?,
        kx_groups: kx_groups(curves)?,
        ..aws_lc_rs::default_provider()
    })
}

fn cipher_suites(wanted: &[String]) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut chosen = TLS_1_3.to_vec();
    if wanted.is_empty() {
        chosen.extend(TLS_1_2);
    }
    for wanted in wanted {
        let all = TLS_1_3.iter().chain(&TLS_1_2).copied();
        let other = OTHER_NAMES.iter().copied();
        let mut named = all.map(|suite| (name(suite), suite)).chain(other);
        let Some((_, suite)) = named.find(|(name, _)| name == wanted) else {
            let all = TLS_1_3.iter().chain(&TLS_1_2).map(|suite| name(*suite));
            return Err(not_supported("cipher suite", wanted, all));
        };
        if !chosen.contains(&suite) {
            chosen.push(suite);
        }
    }
    Ok(chosen)
}

fn kx_groups(wanted: &[String]) -> Result<Vec<&'static dyn SupportedKxGroup>, String> {
    if wanted.is_empty() {
        return Ok(CURVES.iter().map(|(_, curve)| *curve).collect());
    }
    let find = |wanted: &String| {
        let found = CURVES.iter().find(|(name, _)| name == wanted);
        found.map(|(_, curve)| *curve).ok_or_else(|| {
            let all = CURVES.iter().map(|(name, _)| *name);
            not_supported("curve preference", wanted, all)
        })
    };
    wanted.iter().map(find).collect()
}

fn not_supported<N: Display>(kind: &str, wanted: &str, all: impl Iterator<Item = N>) -> String {
    let all: Vec<String> = all.map(|name| name.to_string()).collect();
    format!(
        "{kind} {wanted} is not supported; these are: {}",
        all.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Result<Vec<&'static str>, String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let provider = provider(&wanted, &[])?;
        Ok(provider
            .cipher_suites
            .iter()
            .map(|suite| name(*suite))
            .collect())
    }

    #[test]
    fn a_list_of_suites_leaves_tls_1_3_alone() {
        let tls_1_3 = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ];
        assert_eq!(names(&["TLS_AES_256_GCM_SHA384"]).unwrap(), tls_1_3);
        let one = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        assert_eq!(names(&[one, one]).unwrap(), [&tls_1_3[..], &[one]].concat());
        assert_eq!(names(&[]).unwrap().len(), 9);
        let other = names(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"]).unwrap();
        assert_eq!(other[3], "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_name() {
        let error = names(&["TLS_RSA_WITH_AES_128_CBC_SHA"]).unwrap_err();
        assert!(error.starts_with(
            "cipher suite TLS_RSA_WITH_AES_128_CBC_SHA is not supported; these are: TLS_AES"
        ));
        let error = provider(&[], &["SecP384r1MLKEM1024".to_owned()]).unwrap_err();
        assert!(
            error.starts_with("curve preference SecP384r1MLKEM1024 is not supported"),
            "{error}"
        );
    }

    #[test]
    fn curves_keep_the_order_they_are_wanted_in() {
        let wanted = ["CurveP384".to_owned(), "X25519".to_owned()];
        let provider = provider(&[], &wanted).unwrap();
        let groups: Vec<_> = provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect();
        assert_eq!(
            groups,
            [rustls::NamedGroup::secp384r1, rustls::NamedGroup::X25519]
        );
    }
}
