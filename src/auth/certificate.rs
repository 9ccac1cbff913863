//! From a client's certificate to a user: with `verify_and_map` it takes the place of name and password.
//!
//! In this order a user is looked for: e-mail addresses, DNS names and URIs of the subject's alternative names; the subject
//! as a distinguished name, also with its parts in another order; the subject as Go prints it, with its domain components
//! and without (nats-server `checkClientTLSCertSubject`).
//!
//! It takes the facts as given: that the certificate is valid has been found out before.

use super::distinguished_name::DistinguishedName;
use crate::config::go_text::go_quote;
use crate::wire::tls::peer::escaped;
use std::fmt::Write;

/// What a client's own certificate says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFacts {
    /// From the subject's alternative names, as are the next two.
    pub emails: Vec<String>,
    pub dns_names: Vec<String>,
    pub uris: Vec<String>,
    /// The relative names of the subject in the certificate's order, the most general first.
    pub subject: Vec<Vec<Attribute>>,
}

/// One attribute of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The object identifier in dotted decimals: `2.5.4.3` is a common name.
    pub oid: String,
    /// `None` when it is no text (neither UTF-8, printable, IA5, T61, numeric nor BMP string).
    pub value: Option<String>,
}

const COMMON_NAME: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";
const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";

/// Attributes that Go's `pkix.Name` knows, in the order in which it writes them, the last first.
const KINDS: &[(&str, &str)] = &[
    ("2.5.4.6", "C"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.17", "POSTALCODE"),
    (COMMON_NAME, "CN"),
    (SERIAL_NUMBER, "SERIALNUMBER"),
];

impl Attribute {
    /// How the attribute's type is written in the name of a user.
    pub(super) fn kind_in_users(&self) -> Option<&'static str> {
        if self.oid == DOMAIN_COMPONENT {
            return Some("DC");
        }
        let known = KINDS.iter().find(|(oid, _)| *oid == self.oid);
        known.map(|(_, kind)| *kind)
    }
}

impl CertificateFacts {
    /// The user that the certificate names. `by_text` finds one by a name, `by_subject` one by the subject, with its name;
    /// `tell` hears how it was found, or not, in nats-server's words.
    pub(super) fn find<'d, U>(
        &self,
        by_text: impl Fn(&str) -> Option<&'d U>,
        by_subject: impl Fn(&DistinguishedName) -> Option<(&'d str, &'d U)>,
        tell: &mut dyn FnMut(String),
    ) -> Option<&'d U> {
        if *self == CertificateFacts::default() {
            tell("User required in cert, none found".to_owned());
            return None;
        }
        for (kind, names) in [
            ("email", &self.emails),
            ("SAN", &self.dns_names),
            ("URI", &self.uris),
        ] {
            let named = names.iter().find_map(|name| Some((name, by_text(name)?)));
            if let Some((name, user)) = named {
                tell(format!(
                    "Using {kind} found in cert for auth [{}]",
                    go_quote(name)
                ));
                return Some(user);
            }
        }
        let text = self.subject_text();
        if let Some(subject) = DistinguishedName::of_subject(&self.subject) {
            if let Some((name, user)) = by_subject(&subject) {
                tell(format!(
                    "Using DistinguishedNameMatch for auth [{}]",
                    go_quote(name)
                ));
                return Some(user);
            }
            tell(format!(
                "DistinguishedNameMatch could not be used for auth [{}]",
                go_quote(&text)
            ));
        }
        let user = self.find_with_domain(&text, &by_text, tell);
        if user.is_some() {
            return user;
        }
        let (user, text) = (by_text(&text), go_quote(&text));
        tell(match user {
            Some(_) => format!("Using certificate subject for auth [{text}]"),
            None => format!("User in cert [{text}], not found"),
        });
        user
    }

    fn find_with_domain<'d, U>(
        &self,
        subject: &str,
        by_text: impl Fn(&str) -> Option<&'d U>,
        tell: &mut dyn FnMut(String),
    ) -> Option<&'d U> {
        let domain = self.domain();
        if domain.is_empty() {
            return None;
        }
        let text = format!("{subject},{domain}");
        let (user, text) = (by_text(&text), go_quote(&text));
        tell(match user {
            Some(_) => format!("Using RDNSequence for auth [{text}]"),
            None => format!("RDNSequence could not be used for auth [{text}]"),
        });
        user
    }

    /// The subject as Go prints a `pkix.Name` that was read and is written again: known attributes only, all of one type
    /// together.
    pub(super) fn subject_text(&self) -> String {
        let mut text = String::new();
        for (oid, kind) in KINDS.iter().rev() {
            let mut values = self.values(oid);
            if [COMMON_NAME, SERIAL_NUMBER].contains(oid) {
                // There is room for one only.
                values.drain(..values.len().saturating_sub(1));
                values.retain(|value| !value.is_empty());
            }
            for (index, value) in values.into_iter().enumerate() {
                match index {
                    0 if text.is_empty() => {}
                    0 => text.push(','),
                    _ => text.push('+'),
                }
                let _ = write!(text, "{kind}={}", escaped(value));
            }
        }
        text
    }

    fn domain(&self) -> String {
        let values = self.values(DOMAIN_COMPONENT);
        let parts: Vec<String> = values.iter().map(|value| format!("DC={value}")).collect();
        parts.join(",")
    }

    fn values(&self, oid: &str) -> Vec<&str> {
        let attributes = self.subject.iter().flatten();
        let wanted = attributes.filter(|attribute| attribute.oid == oid);
        wanted
            .filter_map(|attribute| attribute.value.as_deref())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(names: &[&[(&str, &str)]]) -> Vec<Vec<Attribute>> {
        let attribute = |(oid, value): &(&str, &str)| Attribute {
            oid: (*oid).to_owned(),
            value: Some((*value).to_owned()),
        };
        let name = |attributes: &&[(&str, &str)]| attributes.iter().map(attribute).collect();
        names.iter().map(name).collect()
    }

    /// The first text, or subject, that is among `users`.
    fn found(facts: &CertificateFacts, users: &'static [&'static str]) -> Option<&'static str> {
        let by_text = |text: &str| users.iter().find(|user| **user == text);
        let by_subject = |subject: &DistinguishedName| {
            let is_it = |user: &&&str| DistinguishedName::parse(user).as_ref() == Some(subject);
            let user = users.iter().find(is_it);
            user.map(|user| (*user, user))
        };
        facts.find(by_text, by_subject, &mut |_| {}).copied()
    }

    fn told(facts: &CertificateFacts, users: &'static [&'static str]) -> Vec<String> {
        let mut told = Vec::new();
        let by_text = |text: &str| users.iter().find(|user| **user == text);
        let user = facts.find(by_text, |_| None, &mut |line| told.push(line));
        assert_eq!(
            user.is_some(),
            told.iter().any(|line| line.starts_with("Using "))
        );
        told
    }

    #[test]
    fn how_a_user_is_found_is_told_in_the_words_of_nats_server() {
        let facts = CertificateFacts {
            emails: vec!["a@x".to_owned()],
            dns_names: vec!["x.org".to_owned()],
            uris: vec!["spiffe://x".to_owned()],
            subject: subject(&[&[(DOMAIN_COMPONENT, "org")], &[(COMMON_NAME, "bob")]]),
        };
        assert_eq!(
            told(&facts, &["a@x"]),
            [r#"Using email found in cert for auth ["a@x"]"#]
        );
        assert_eq!(
            told(&facts, &["x.org"]),
            [r#"Using SAN found in cert for auth ["x.org"]"#]
        );
        assert_eq!(
            told(&facts, &["spiffe://x"]),
            [r#"Using URI found in cert for auth ["spiffe://x"]"#]
        );
        let no_subject = r#"DistinguishedNameMatch could not be used for auth ["CN=bob"]"#;
        let no_sequence = r#"RDNSequence could not be used for auth ["CN=bob,DC=org"]"#;
        assert_eq!(
            told(&facts, &["CN=bob,DC=org"]),
            [
                no_subject,
                r#"Using RDNSequence for auth ["CN=bob,DC=org"]"#
            ]
        );
        assert_eq!(
            told(&facts, &["CN=bob"]),
            [
                no_subject,
                no_sequence,
                r#"Using certificate subject for auth ["CN=bob"]"#
            ]
        );
        assert_eq!(
            told(&facts, &["bob"]),
            [
                no_subject,
                no_sequence,
                r#"User in cert ["CN=bob"], not found"#
            ]
        );
        let nothing = CertificateFacts::default();
        assert_eq!(told(&nothing, &[""]), ["User required in cert, none found"]);
    }

    #[test]
    fn alternative_names_come_first_and_in_order() {
        let facts = CertificateFacts {
            emails: vec!["a@x".to_owned()],
            dns_names: vec!["x.org".to_owned(), "y.org".to_owned()],
            uris: vec!["spiffe://x".to_owned()],
            subject: subject(&[&[(COMMON_NAME, "bob")]]),
        };
        assert_eq!(
            found(&facts, &["spiffe://x", "y.org", "x.org", "a@x"]),
            Some("a@x")
        );
        assert_eq!(
            found(&facts, &["spiffe://x", "y.org", "CN=bob"]),
            Some("y.org")
        );
        assert_eq!(found(&facts, &["CN=bob", "spiffe://x"]), Some("spiffe://x"));
        assert_eq!(found(&facts, &["CN=bob"]), Some("CN=bob"));
        assert_eq!(found(&facts, &["bob", ""]), None);
        assert_eq!(found(&CertificateFacts::default(), &["x"]), None);
    }

    #[test]
    fn a_subject_is_written_as_go_writes_it() {
        let facts = CertificateFacts {
            subject: subject(&[
                &[("2.5.4.6", "NL")],
                &[(COMMON_NAME, " a,b#")],
                &[("2.5.4.11", "CTO"), (DOMAIN_COMPONENT, "org")],
                &[("2.5.4.11", "DEV")],
                &[("2.5.4.10", "#o ")],
                &[("1.2.3", "unknown")],
            ]),
            ..CertificateFacts::default()
        };
        let text = r"CN=\ a\,b#,OU=CTO+OU=DEV,O=\#o\ ,C=NL";
        assert_eq!(facts.subject_text(), text);
        assert_eq!(
            found(&facts, &[r"CN=\ a\,b#,OU=CTO+OU=DEV,O=\#o\ ,C=NL"]),
            Some(text)
        );
        assert_eq!(
            found(&facts, &[r"CN=\ a\,b#,OU=CTO+OU=DEV,O=\#o\ ,C=NL,DC=org"]),
            Some(r"CN=\ a\,b#,OU=CTO+OU=DEV,O=\#o\ ,C=NL,DC=org")
        );
    }
}
