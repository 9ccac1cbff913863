//! Who may connect and what they may do, as the configuration file describes it.
//!
//! *Control path.* `auth` compiles it into what a shard asks. Facts: nats-server `opts.go`, `auth.go`.

use super::Secret;
use crate::base::ids::AccountId;
use crate::base::origin::Peer;
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
            Credentials::Password { name, .. } | Credentials::Process { name, .. } => name,
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
    /// Whoever runs a certain process of this machine and comes through the Unix socket: the kernel vouches for it.
    Process { name: String, rule: PeerRule },
}

/// Which processes are a user. At least one of the two is set, and both must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerRule {
    /// The user that the process runs as.
    pub user: Option<u32>,
    /// A group that it is in.
    pub group: Option<u32>,
}

impl PeerRule {
    /// Whether this is such a process. What is none is not.
    pub fn admits(&self, peer: Option<&Peer>) -> bool {
        let Some(peer) = peer else {
            return false;
        };
        (self.user.is_some() || self.group.is_some())
            && self.user.is_none_or(|user| user == peer.user)
            && self.group.is_none_or(|group| peer.is_in_group(group))
    }
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
