//! What went wrong in a handshake, in nats-server's words, which are those of Go's `crypto/tls`. *Once per failure.*

use super::peer::{PeerCertificate, hex};
use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Why a handshake failed, for the log line that begins with `TLS handshake error: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub text: String,
    /// Somebody who does not speak TLS at all, such as a health check: nothing that a person should look at.
    pub is_probe: bool,
    /// For debugging, said before it.
    pub note: Option<String>,
}

impl Failure {
    pub(in crate::wire) fn new(text: impl Into<String>) -> Failure {
        Failure {
            text: text.into(),
            is_probe: false,
            note: None,
        }
    }

    pub(super) fn probe(text: &str) -> Failure {
        Failure {
            is_probe: true,
            ..Failure::new(text)
        }
    }

    /// What rustls says, with the certificates that were not believed, if it is about those.
    pub(super) fn of(error: &Error, shown: &[PeerCertificate]) -> Failure {
        let mut text = text(error);
        if matches!(error, Error::InvalidCertificate(_)) && !shown.is_empty() {
            let one = |peer: &PeerCertificate| {
                format!("{} SHA-256: {}", peer.subject_text(), hex(&peer.sha256))
            };
            let all: Vec<String> = shown.iter().map(one).collect();
            text = format!("{text} ({})", all.join("; "));
        }
        Failure::new(text)
    }
}

fn text(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".to_owned(),
        Error::InvalidCertificate(error) => {
            format!(
                "tls: failed to verify certificate: x509: {}",
                certificate_text(error)
            )
        }
        Error::DecryptError => "local error: tls: bad record MAC".to_owned(),
        Error::PeerSentOversizedRecord => "tls: oversized record received".to_owned(),
        Error::PeerIncompatible(why) => format!("tls: {}", incompatible_text(why)),
        other => format!("tls: {other}"),
    }
}

fn incompatible_text(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite supported by both client and server".to_owned()
        }
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "client offered only unsupported versions".to_owned()
        }
        PeerIncompatible::NoKxGroupsInCommon => {
            "no key exchanges supported by both client and server".to_owned()
        }
        PeerIncompatible::NoSignatureSchemesInCommon => {
            "peer doesn't support any of the certificate's signature algorithms".to_owned()
        }
        other => format!("{other:?}"),
    }
}

fn certificate_text(error: &CertificateError) -> String {
    const INVALID_NOW: &str = "certificate has expired or is not yet valid";
    match error {
        // An authority of the same name with another key is another authority.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "certificate signed by unknown authority".to_owned()
        }
        CertificateError::Expired | CertificateError::NotValidYet => INVALID_NOW.to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let (now, end) = (moment(*time), moment(*not_after));
            format!("{INVALID_NOW}: current time {now} is after {end}")
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (now, start) = (moment(*time), moment(*not_before));
            format!("{INVALID_NOW}: current time {now} is before {start}")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".to_owned()
        }
        CertificateError::UnhandledCriticalExtension => "unhandled critical extension".to_owned(),
        CertificateError::BadEncoding => "malformed certificate".to_owned(),
        other => other.to_string(),
    }
}

fn moment(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// Go's names of alerts.
pub(super) fn alert_text(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let text = match alert {
        A::CloseNotify => "close notify",
        A::UnexpectedMessage => "unexpected message",
        A::BadRecordMac => "bad record MAC",
        A::DecryptionFailed => "decryption failed",
        A::RecordOverflow => "record overflow",
        A::DecompressionFailure => "decompression failure",
        A::HandshakeFailure => "handshake failure",
        A::BadCertificate => "bad certificate",
        A::UnsupportedCertificate => "unsupported certificate",
        A::CertificateRevoked => "revoked certificate",
        A::CertificateExpired => "expired certificate",
        A::CertificateUnknown => "unknown certificate",
        A::IllegalParameter => "illegal parameter",
        A::UnknownCA => "unknown certificate authority",
        A::AccessDenied => "access denied",
        A::DecodeError => "error decoding message",
        A::DecryptError => "error decrypting message",
        A::ProtocolVersion => "protocol version not supported",
        A::InsufficientSecurity => "insufficient security level",
        A::InternalError => "internal error",
        A::InappropriateFallback => "inappropriate fallback",
        A::UserCanceled => "user canceled",
        A::NoRenegotiation => "no renegotiation",
        A::MissingExtension => "missing extension",
        A::UnsupportedExtension => "unsupported extension",
        A::UnrecognisedName => "unrecognized name",
        A::UnknownPSKIdentity => "unknown PSK identity",
        A::CertificateRequired => "certificate required",
        A::NoApplicationProtocol => "no application protocol",
        other => return format!("alert({})", u8::from(other)),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_expired_certificate_reads_as_in_go() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let error = Error::InvalidCertificate(CertificateError::ExpiredContext {
            time: at(1_700_000_000),
            not_after: at(1_600_000_000),
        });
        let shown = PeerCertificate::default();
        let expected = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: \
                        current time 2023-11-14T22:13:20Z is after 2020-09-13T12:26:40Z";
        assert_eq!(Failure::of(&error, &[]).text, expected);
        let detail = format!("{expected} ( SHA-256: {})", "00".repeat(32));
        assert_eq!(Failure::of(&error, &[shown]).text, detail);
    }

    #[test]
    fn alerts_have_names_or_numbers() {
        assert_eq!(
            alert_text(AlertDescription::UnknownCA),
            "unknown certificate authority"
        );
        assert_eq!(alert_text(AlertDescription::Unknown(250)), "alert(250)");
    }
}
