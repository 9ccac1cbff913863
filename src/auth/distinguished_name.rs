//! Distinguished names as users of the configuration write them (RFC 4514), and as certificates carry them.
//!
//! Attribute types are compared without regard to case, values with it (nats-server `internal/ldap`).

use super::certificate::Attribute;

/// A sequence of relative names, the most specific first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DistinguishedName(Vec<RelativeName>);

/// One or more attributes that name an entry together.
#[derive(Clone, Debug, Default)]
struct RelativeName(Vec<(String, String)>);

/// Two relative names are the same if each has all attributes of the other, in whatever order.
impl PartialEq for RelativeName {
    fn eq(&self, other: &RelativeName) -> bool {
        let has = |name: &RelativeName, wanted: &(String, String)| {
            let is_it = |(kind, value): &(String, String)| {
                kind.eq_ignore_ascii_case(&wanted.0) && *value == wanted.1
            };
            name.0.iter().any(is_it)
        };
        self.0.len() == other.0.len()
            && self.0.iter().all(|attribute| has(other, attribute))
            && other.0.iter().all(|attribute| has(self, attribute))
    }
}

impl Eq for RelativeName {}

impl DistinguishedName {
    /// Reads `CN=bob,OU=CTO+C=NL`. `None` for what is no such name.
    pub(super) fn parse(text: &str) -> Option<DistinguishedName> {
        let mut names = Vec::new();
        let mut name = RelativeName::default();
        let mut part = Part::default();
        let mut kind = String::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    let escaped = unescape(&mut bytes)?;
                    part.push_escaped(escaped);
                }
                b'=' => {
                    kind = part.take()?;
                    if bytes.clone().next() == Some(b'#') {
                        return None;
                    }
                }
                b',' | b'+' => {
                    name.push(&mut kind, &mut part)?;
                    if byte == b',' {
                        names.push(std::mem::take(&mut name));
                    }
                }
                other => part.push(other),
            }
        }
        if !part.bytes.is_empty() {
            name.push(&mut kind, &mut part)?;
            names.push(name);
        }
        (!names.is_empty()).then_some(DistinguishedName(names))
    }

    /// The subject of a certificate, which names the most general first. `None` if it has an attribute that nats-server
    /// does not know in names of users.
    pub(super) fn of_subject(subject: &[Vec<Attribute>]) -> Option<DistinguishedName> {
        let attribute = |attribute: &Attribute| {
            let kind = attribute.kind_in_users()?;
            Some((kind.to_owned(), attribute.value.clone()?))
        };
        let name = |attributes: &Vec<Attribute>| {
            let attributes: Option<Vec<_>> = attributes.iter().map(attribute).collect();
            attributes.map(RelativeName)
        };
        let filled = subject.iter().filter(|attributes| !attributes.is_empty());
        let names: Option<Vec<_>> = filled.rev().map(name).collect();
        names.map(DistinguishedName)
    }

    /// Whether both have the same relative names, in whatever order.
    pub(super) fn has_same_names(&self, other: &DistinguishedName) -> bool {
        let mut left: Vec<&RelativeName> = other.0.iter().collect();
        self.0.len() == left.len()
            && self.0.iter().all(|name| {
                let found = left.iter().position(|candidate| *candidate == name);
                found.map(|index| left.swap_remove(index)).is_some()
            })
    }
}

impl RelativeName {
    fn push(&mut self, kind: &mut String, part: &mut Part) -> Option<()> {
        if kind.is_empty() {
            return None;
        }
        self.0.push((std::mem::take(kind), part.take()?));
        Some(())
    }
}

/// A type or a value on its way, without the blanks around it.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    blanks_at_end: usize,
}

impl Part {
    fn push(&mut self, byte: u8) {
        if byte == b' ' {
            if self.bytes.is_empty() {
                return;
            }
            self.blanks_at_end += 1;
        } else {
            self.blanks_at_end = 0;
        }
        self.bytes.push(byte);
    }

    fn push_escaped(&mut self, byte: u8) {
        self.blanks_at_end = 0;
        self.bytes.push(byte);
    }

    fn take(&mut self) -> Option<String> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(bytes.len() - std::mem::take(&mut self.blanks_at_end));
        String::from_utf8(bytes).ok()
    }
}

/// What stands behind a backslash: a special character, or a byte in two hexadecimal digits.
fn unescape(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = bytes.next()?;
    if b" \"#+,;<=>\\".contains(&first) {
        return Some(first);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = digit(first)? * 16 + digit(bytes.next()?)?;
    u8::try_from(byte).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap_or_else(|| panic!("{text} is a name"))
    }

    #[test]
    fn names_are_compared_by_their_parts() {
        assert_eq!(name("CN=bob, OU = CTO ,C=NL"), name("cn=bob,ou=CTO,c=NL"));
        assert_eq!(name("CN=bob+OU=CTO,C=NL"), name("OU=CTO+CN=bob,C=NL"));
        assert_eq!(name(r"CN=a\2cb\ "), name(r"CN=a\,b\20"));
        assert_ne!(name("CN=bob"), name("CN=Bob"));
        assert_ne!(name("CN=bob,OU=CTO"), name("OU=CTO,CN=bob"));
        assert_ne!(name("CN=bob+OU=CTO"), name("CN=bob,OU=CTO"));
        assert!(name("CN=bob,OU=CTO").has_same_names(&name("OU=CTO,CN=bob")));
        assert!(!name("CN=bob,CN=bob").has_same_names(&name("CN=bob,OU=CTO")));
        assert!(!name("CN=bob,CN=bob").has_same_names(&name("CN=bob")));
    }

    #[test]
    fn what_is_no_name() {
        for text in [
            "", " ", "bob", "CN=bob,", "=bob", "CN=#04", r"CN=\", r"CN=\4", r"CN=\zz", ",CN=bob",
        ] {
            let parsed = DistinguishedName::parse(text);
            // A comma at the end is let pass, as nats-server does.
            assert_eq!(parsed.is_some(), text == "CN=bob,", "{text}");
        }
    }
}
