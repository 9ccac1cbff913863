//! Who may connect and what they may do, as the configuration file describes it.
//!
//! *Control path.* `auth` compiles it into what a shard asks. Facts: nats-server `opts.go`, `auth.go`.

use super::Secret;
use crate::base::ids::AccountId;
use std::time::Duration;

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Everybody.
    #[default]
    None,
    /// One user. The password may be empty, as in nats-server.
    UserPassword { user: String, password: Secret },
    /// Who knows the token.
    Token(Secret),
    /// One of these, of any account. Names and keys are unique.
    Users(Vec<User>),
}

/// One of several users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub credentials: Credentials,
    pub account: AccountId,
    /// The user's own, or the defaults that apply to them.
    pub permissions: Option<Permissions>,
    /// `None` is any.
    pub connection_types: Option<Vec<ConnectionType>>,
    /// Only through a trusted proxy.
    pub proxy_required: bool,
}

impl User {
    /// The user's name or nkey.
    pub fn name(&self) -> &str {
        match &self.credentials {
            Credentials::Password { name, .. } => name,
            Credentials::Nkey(key) => key,
        }
    }

    /// Whether this is the user's name or nkey.
    pub fn is_called(&self, called: &str) -> bool {
        self.name() == called
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The password may be a bcrypt hash.
    Password { name: String, password: Secret },
    /// A public user nkey (`U…`), which signs a nonce.
    Nkey(String),
}

/// What a user may publish and subscribe to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    pub publish: SubjectRules,
    /// Entries may name a queue group: `subject queue`.
    pub subscribe: SubjectRules,
    pub responses: Option<AllowResponses>,
}

/// Patterns that are allowed and denied; what is denied wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectRules {
    /// `None` is everything; an empty list is nothing.
    pub allow: Option<Vec<String>>,
    pub deny: Vec<String>,
}

/// Permission to publish to the reply subjects of messages that were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowResponses {
    /// Per reply subject; `None` is unlimited.
    pub max: Option<u32>,
    /// `None` is for ever.
    pub expires: Option<Duration>,
}

/// How a connection reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionType {
    Standard,
    Websocket,
    Leafnode,
    LeafnodeWebsocket,
    Mqtt,
    MqttWebsocket,
    InProcess,
}
