//! The JSON of `CONNECT`. *Control path.*

use crate::config::Secret;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// What a client says of itself. A field that is missing or null keeps what was before: first the defaults, then what
/// an earlier `CONNECT` of the same connection said (nats-server decodes into the same struct).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    pub verbose: bool,
    pub pedantic: bool,
    pub echo: bool,
    /// The client understands `HMSG` and may send `HPUB`.
    pub headers: bool,
    pub no_responders: bool,
    /// 1 asks for INFO updates; anything outside 0..=1 is refused.
    pub protocol: i64,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub user: String,
    pub password: Secret,
    pub token: Secret,
    /// The public nkey of a user.
    pub nkey: String,
    /// That user's signature over the nonce of `INFO`.
    pub signature: Secret,
    /// A proxy's.
    pub proxy_signature: Secret,
    /// A relic; any non-empty value is refused.
    pub account: String,
    pub new_account: bool,
}

impl Default for ConnectOptions {
    /// nats-server's `defaultOpts`, in force until the first `CONNECT`.
    fn default() -> ConnectOptions {
        ConnectOptions {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            protocol: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            user: String::new(),
            password: Secret::default(),
            token: Secret::default(),
            nkey: String::new(),
            signature: Secret::default(),
            proxy_signature: Secret::default(),
            account: String::new(),
            new_account: false,
        }
    }
}

impl ConnectOptions {
    /// Takes over what `json` says, as Go's decoder would: keys in any case, the last of equal ones, bytes that are no
    /// UTF-8 and halves of characters replaced, `null` for nothing said.
    ///
    /// # Errors
    /// When it is not a JSON object with fields of the right types; nothing has changed then.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), NotConnect> {
        let text = String::from_utf8_lossy(json);
        let merged = self.merged(&text);
        *self = merged.or_else(|_| self.merged(&with_whole_characters(&text)))?;
        Ok(())
    }

    fn merged(&self, json: &str) -> Result<ConnectOptions, NotConnect> {
        let mut merged = self.clone();
        let mut reader = serde_json::Deserializer::from_str(json);
        let read = Merge(&mut merged)
            .deserialize(&mut reader)
            .and_then(|()| reader.end());
        read.map_err(|_| NotConnect)?;
        Ok(merged)
    }

    /// How log lines tell this client from others: `v<version>:<lang>:<name>`, as far as it told.
    pub fn label(&self) -> String {
        let version = match self.version.as_str() {
            "" => String::new(),
            version => format!("v{version}"),
        };
        let parts = [version.as_str(), self.lang.as_str(), self.name.as_str()];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(":")
    }
}

/// The text with `\ufffd` for each escape that is half of a surrogate pair without the other: serde_json refuses those.
fn with_whole_characters(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let (kept, len) = match (escape(rest), rest.get(6..).and_then(escape)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (&rest[..12], 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            // An escape of another kind: what it escapes is never the beginning of one.
            _ => {
                let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (&rest[..len], len)
            }
        };
        whole.push_str(kept);
        rest = &rest[len..];
    }
    whole.push_str(rest);
    whole
}

/// The unit of UTF-16 that a text begins with an escape for.
fn escape(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// The argument of `CONNECT` is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConnect;

/// Reads an object into options, field by field as they come. What is unknown is skipped, however deep it goes.
struct Merge<'a>(&'a mut ConnectOptions);

impl<'de> DeserializeSeed<'de> for Merge<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Merge<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let options = self.0;
        while let Some(key) = map.next_key::<String>()? {
            let map = &mut map;
            match key.to_ascii_lowercase().as_str() {
                "verbose" => set(&mut options.verbose, map)?,
                "pedantic" => set(&mut options.pedantic, map)?,
                "echo" => set(&mut options.echo, map)?,
                "headers" => set(&mut options.headers, map)?,
                "no_responders" => set(&mut options.no_responders, map)?,
                "new_account" => set(&mut options.new_account, map)?,
                "tls_required" => set(&mut false, map)?,
                "protocol" => set(&mut options.protocol, map)?,
                "name" => set(&mut options.name, map)?,
                "lang" => set(&mut options.lang, map)?,
                "version" => set(&mut options.version, map)?,
                "user" => set(&mut options.user, map)?,
                "pass" => set_secret(&mut options.password, map)?,
                "auth_token" => set_secret(&mut options.token, map)?,
                "nkey" => set(&mut options.nkey, map)?,
                "sig" => set_secret(&mut options.signature, map)?,
                "proxy_sig" => set_secret(&mut options.proxy_signature, map)?,
                "account" => set(&mut options.account, map)?,
                "jwt" => set(&mut String::new(), map)?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// Reads a field; `null` leaves it as it is.
fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut T,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<T>>()? {
        *field = value;
    }
    Ok(())
}

fn set_secret<'de, A: MapAccess<'de>>(field: &mut Secret, map: &mut A) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<String>>()? {
        *field = Secret::new(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_keeps_its_value() {
        let mut options = ConnectOptions::default();
        options
            .merge(br#"{"verbose":false,"lang":"go","version":"1.2","echo":null}"#)
            .expect("json");
        assert!(!options.verbose && options.pedantic && options.echo);
        options
            .merge(br#"{"Pedantic":true,"PEDANTIC":false,"name":"x","unknown":[1,{}]}"#)
            .expect("json");
        options.merge(b"null").expect("nothing said");
        assert!(!options.verbose && !options.pedantic);
        assert_eq!(options.label(), "v1.2:go:x");
    }

    #[test]
    fn halves_of_characters_are_replaced_as_in_go() {
        for (name, wanted) in [
            (r"a\ud800", "a\u{fffd}"),
            (r"\ud800\ud800b", "\u{fffd}\u{fffd}b"),
            (r"\ud83d\ude00\udc00", "\u{1f600}\u{fffd}"),
            (r"\uD800\n\u00fc", "\u{fffd}\n\u{fc}"),
            (r"\\ud800", r"\ud800"),
        ] {
            let mut options = ConnectOptions::default();
            let json = format!("{{\"name\":\"{name}\"}}");
            options.merge(json.as_bytes()).expect("json");
            assert_eq!(options.name, wanted, "{name}");
        }
        for bad in [
            r#"{"name":"\u12"}"#,
            r#"{"name":"\ud8"#,
            r#"{"name":"\"#,
            r#"{"name":"\u+123"}"#,
        ] {
            let read = ConnectOptions::default().merge(bad.as_bytes());
            assert_eq!(read, Err(NotConnect), "{bad}");
        }
    }

    #[test]
    fn what_is_no_connect_changes_nothing() {
        let before = ConnectOptions::default();
        for bad in [
            "",
            "{",
            "[]x",
            "12",
            r#"{"verbose":"yes"}"#,
            r#"{"name":7}"#,
            "\u{0}",
        ] {
            let mut options = before.clone();
            assert!(options.merge(bad.as_bytes()).is_err(), "{bad}");
            assert_eq!(options, before);
        }
    }
}
