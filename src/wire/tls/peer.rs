//! What a client's certificate says of its owner: names, fingerprints. Whether it is believed is not decided here.
//!
//! Texts of names are Go's (`crypto/x509/pkix`), because configuration files name users by them.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// A certificate, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Alternative names, in the certificate's order.
    pub emails: Vec<String>,
    pub dns_names: Vec<String>,
    pub uris: Vec<String>,
    /// The subject as it stands in the certificate: a sequence of sets.
    pub subject: Vec<Vec<Attribute>>,
    /// Of the whole certificate.
    pub sha256: [u8; 32],
    /// Of its public key (DER, `SubjectPublicKeyInfo`): what `pinned_certs` lists.
    pub key_sha256: [u8; 32],
    /// Seconds since 1970 after which it is no longer valid.
    pub not_after: i64,
}

/// One part of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Numbers with dots, as in `2.5.4.3` for the common name.
    pub oid: String,
    /// As text; `None` where it is of a kind that is no text.
    pub value: Option<String>,
    /// DER.
    pub raw: Vec<u8>,
}

impl PeerCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is none; a certificate that was believed always is one.
    pub fn read(der: &[u8]) -> Result<PeerCertificate, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let mut read = PeerCertificate {
            subject: attributes(certificate.subject()),
            sha256: Sha256::digest(der).into(),
            key_sha256: Sha256::digest(certificate.public_key().raw).into(),
            not_after: certificate.validity().not_after.timestamp(),
            ..PeerCertificate::default()
        };
        let alternatives = certificate.subject_alternative_name();
        let alternatives = alternatives.map_err(|error| error.to_string())?;
        for name in alternatives
            .iter()
            .flat_map(|names| &names.value.general_names)
        {
            match name {
                GeneralName::RFC822Name(email) => read.emails.push((*email).to_owned()),
                GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
                GeneralName::URI(uri) => read.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        Ok(read)
    }

    /// Reads all that can be read; what cannot is left out.
    pub(super) fn read_all(chain: &[CertificateDer<'_>]) -> Vec<PeerCertificate> {
        chain
            .iter()
            .filter_map(|der| PeerCertificate::read(der).ok())
            .collect()
    }

    /// The subject as Go prints it (`pkix.Name.String`): for logs and `connz`.
    pub fn subject_text(&self) -> String {
        let others = self.subject.iter().flatten();
        let others = others.filter(|attribute| attribute.name().is_none());
        let others = others.map(|attribute| vec![attribute]);
        join(others.chain(self.known()).collect())
    }

    /// The subject without what Go does not know (`pkix.Name.ToRDNSequence`): what users are named by.
    pub fn sequence_text(&self) -> String {
        join(self.known().collect())
    }

    /// The attributes that Go knows, in its order; several of a kind are one set.
    fn known(&self) -> impl Iterator<Item = Vec<&Attribute>> {
        let all = || self.subject.iter().flatten();
        KNOWN.iter().filter_map(move |(oid, name)| {
            let mut same: Vec<&Attribute> = all().filter(|one| one.oid == *oid).collect();
            if matches!(*name, "CN" | "SERIALNUMBER") {
                // There is room for one: the last.
                same = same.pop().into_iter().collect();
            }
            (!same.is_empty()).then_some(same)
        })
    }
}

/// Kinds of attributes that have a name, in the order in which Go puts them before it turns the order round.
const KNOWN: [(&str, &str); 9] = [
    ("2.5.4.6", "C"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
];

fn attributes(name: &X509Name<'_>) -> Vec<Vec<Attribute>> {
    let attribute = |part: &AttributeTypeAndValue<'_>| Attribute {
        oid: part.attr_type().to_id_string(),
        value: part.as_str().ok().map(str::to_owned),
        raw: part.attr_value().data.to_vec(),
    };
    name.iter_rdn()
        .map(|set| set.iter().map(attribute).collect())
        .collect()
}

/// Sets in reverse order (RFC 2253).
fn join(sets: Vec<Vec<&Attribute>>) -> String {
    let set = |set: &Vec<&Attribute>| {
        let parts: Vec<String> = set.iter().map(|part| part.text()).collect();
        parts.join("+")
    };
    let sets: Vec<String> = sets.iter().rev().map(set).collect();
    sets.join(",")
}

impl Attribute {
    fn name(&self) -> Option<&'static str> {
        let known = KNOWN.iter().find(|(oid, _)| *oid == self.oid);
        known.map(|(_, name)| *name)
    }

    fn text(&self) -> String {
        match (self.name(), &self.value) {
            (Some(name), Some(value)) => format!("{name}={}", escaped(value)),
            (Some(name), None) => format!("{name}=#{}", hex(&self.raw)),
            (None, Some(value)) => format!("{}=#{}", self.oid, hex(&der(value))),
            (None, None) => format!("{}=#{}", self.oid, hex(&self.raw)),
        }
    }
}

/// A text as Go would encode it anew: a `PrintableString` if it can be one, else an `UTF8String`.
fn der(value: &str) -> Vec<u8> {
    let is_printable = |byte: u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte);
    let tag = if value.bytes().all(is_printable) {
        0x13
    } else {
        0x0c
    };
    let len = value.len().to_be_bytes();
    let len = &len[len.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![tag];
    if let [] | [0..0x80] = len {
        der.push(len.first().copied().unwrap_or_default());
    } else {
        der.push(0x80 | u8::try_from(len.len()).unwrap_or_default());
        der.extend_from_slice(len);
    }
    der.extend_from_slice(value.as_bytes());
    der
}

/// A value as RFC 2253 §2.4 wants it in a text.
pub fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_special = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if is_special {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn read(prepare: impl FnOnce(&mut CertificateParams)) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        prepare(&mut params);
        let key = KeyPair::generate().unwrap();
        PeerCertificate::read(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn alternative_names_are_told_by_kind() {
        let peer = read(|params| {
            params.subject_alt_names = vec![
                SanType::Rfc822Name("alice@acme.de".try_into().unwrap()),
                SanType::DnsName("alice.acme.de".try_into().unwrap()),
                SanType::URI("spiffe://acme.de/alice".try_into().unwrap()),
                SanType::DnsName("*.acme.de".try_into().unwrap()),
            ];
        });
        assert_eq!(peer.emails, ["alice@acme.de"]);
        assert_eq!(peer.dns_names, ["alice.acme.de", "*.acme.de"]);
        assert_eq!(peer.uris, ["spiffe://acme.de/alice"]);
    }

    #[test]
    fn a_subject_reads_as_in_go() {
        let component = DnType::CustomDnType(vec![0, 9, 2342, 19200300, 100, 1, 25]);
        let peer = read(|params| {
            let name = &mut params.distinguished_name;
            name.push(component, "acme");
            name.push(DnType::CountryName, "DE");
            name.push(DnType::OrganizationName, "Acme, Inc");
            name.push(DnType::OrganizationalUnitName, "#1 ");
            name.push(DnType::CommonName, "Änne");
        });
        let known = "CN=Änne,OU=\\#1\\ ,O=Acme\\, Inc,C=DE";
        assert_eq!(peer.sequence_text(), known);
        let all = format!("{known},0.9.2342.19200300.100.1.25=#130461636d65");
        assert_eq!(peer.subject_text(), all);
        assert_eq!(peer.subject.len(), 5);
    }

    #[test]
    fn lengths_beyond_a_byte_are_encoded_too() {
        assert_eq!(der("")[..], [0x13, 0]);
        assert_eq!(der(&"a".repeat(127))[..2], [0x13, 0x7f]);
        assert_eq!(der(&"_".repeat(128))[..3], [0x0c, 0x81, 0x80]);
        assert_eq!(der(&"a".repeat(300))[..4], [0x13, 0x82, 1, 44]);
    }

    #[test]
    fn no_certificate_is_an_error() {
        assert!(PeerCertificate::read(b"no certificate").is_err());
    }
}
