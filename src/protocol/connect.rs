//! The JSON of `CONNECT`. *Control path.*

use serde::Deserialize;

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

#[derive(Deserialize)]
struct Json {
    verbose: Option<bool>,
    pedantic: Option<bool>,
    echo: Option<bool>,
    headers: Option<bool>,
    no_responders: Option<bool>,
    protocol: Option<i64>,
    name: Option<String>,
    lang: Option<String>,
    version: Option<String>,
    user: Option<String>,
    pass: Option<String>,
    auth_token: Option<String>,
    account: Option<String>,
    new_account: Option<bool>,
}

impl ConnectOptions {
    /// Takes over what `json` says.
    ///
    /// # Errors
    /// When it is not a JSON object with fields of the right types; nothing has changed then.
    pub fn merge(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        let said: Json = serde_json::from_slice(json)?;
        let texts = [
            (&mut self.name, said.name),
            (&mut self.lang, said.lang),
            (&mut self.version, said.version),
            (&mut self.user, said.user),
            (&mut self.password, said.pass),
            (&mut self.token, said.auth_token),
            (&mut self.account, said.account),
        ];
        for (field, value) in texts {
            if let Some(value) = value {
                *field = value;
            }
        }
        let switches = [
            (&mut self.verbose, said.verbose),
            (&mut self.pedantic, said.pedantic),
            (&mut self.echo, said.echo),
            (&mut self.headers, said.headers),
            (&mut self.no_responders, said.no_responders),
            (&mut self.new_account, said.new_account),
        ];
        for (field, value) in switches {
            if let Some(value) = value {
                *field = value;
            }
        }
        self.protocol = said.protocol.unwrap_or(self.protocol);
        Ok(())
    }

    /// How log lines tell this client from others: `v<version>:<lang>:<name>`, as far as it told.
    pub fn label(&self) -> String {
        let version = match self.version.as_str() {
            "" => String::new(),
            version => format!("v{version}"),
        };
        let parts = [version.as_str(), self.lang.as_str(), self.name.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_keeps_its_value() {
        let mut options = ConnectOptions::default();
        options.merge(br#"{"verbose":false,"lang":"go","version":"1.2","echo":null}"#).expect("json");
        assert!(!options.verbose && options.pedantic && options.echo);
        options.merge(br#"{"pedantic":false,"name":"x","unknown":[1,{}]}"#).expect("json");
        assert!(!options.verbose && !options.pedantic);
        assert_eq!(options.label(), "v1.2:go:x");
    }

    #[test]
    fn what_is_no_connect_changes_nothing() {
        let before = ConnectOptions::default();
        for bad in ["", "{", "[]x", "12", r#"{"verbose":"yes"}"#, r#"{"name":7}"#, "\u{0}"] {
            let mut options = before.clone();
            assert!(options.merge(bad.as_bytes()).is_err(), "{bad}");
            assert_eq!(options, before);
        }
    }
}
