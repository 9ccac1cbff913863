//! The JSON of `CONNECT`. *Control path.*

use serde_json::{Map, Value};

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
    pub password: String,
    pub token: String,
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
            password: String::new(),
            token: String::new(),
            account: String::new(),
            new_account: false,
        }
    }
}

impl ConnectOptions {
    /// Takes over what `json` says, as Go's decoder would: keys in any case, the last of equal ones, bytes that are no
    /// UTF-8 replaced, `null` for nothing said.
    ///
    /// # Errors
    /// When it is not a JSON object with fields of the right types; nothing has changed then.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), NotConnect> {
        let text = String::from_utf8_lossy(json);
        let said: Option<Map<String, Value>> =
            serde_json::from_str(&text).map_err(|_| NotConnect)?;
        let mut merged = self.clone();
        for (key, value) in said.into_iter().flatten() {
            if !value.is_null() {
                merged.set(&key.to_ascii_lowercase(), value)?;
            }
        }
        *self = merged;
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), NotConnect> {
        match key {
            "verbose" => set(&mut self.verbose, value.as_bool()),
            "pedantic" => set(&mut self.pedantic, value.as_bool()),
            "echo" => set(&mut self.echo, value.as_bool()),
            "headers" => set(&mut self.headers, value.as_bool()),
            "no_responders" => set(&mut self.no_responders, value.as_bool()),
            "new_account" => set(&mut self.new_account, value.as_bool()),
            "tls_required" => set(&mut false, value.as_bool()),
            "protocol" => set(&mut self.protocol, value.as_i64()),
            "name" => set(&mut self.name, text(value)),
            "lang" => set(&mut self.lang, text(value)),
            "version" => set(&mut self.version, text(value)),
            "user" => set(&mut self.user, text(value)),
            "pass" => set(&mut self.password, text(value)),
            "auth_token" => set(&mut self.token, text(value)),
            "account" => set(&mut self.account, text(value)),
            "jwt" | "nkey" | "sig" | "proxy_sig" => set(&mut String::new(), text(value)),
            _ => Ok(()),
        }
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

/// The argument of `CONNECT` is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConnect;

fn set<T>(field: &mut T, value: Option<T>) -> Result<(), NotConnect> {
    *field = value.ok_or(NotConnect)?;
    Ok(())
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
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
            .merge(br#"{"Pedantic":true,"Pedantic":false,"name":"x","unknown":[1,{}]}"#)
            .expect("json");
        options.merge(b"null").expect("nothing said");
        assert!(!options.verbose && !options.pedantic);
        assert_eq!(options.label(), "v1.2:go:x");
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
