//! All users of a configuration, and how a client becomes one of them.
//!
//! The order of checks and what each refusal is called are nats-server's (`auth.go`).

use super::certificate::CertificateFacts;
use super::distinguished_name::DistinguishedName;
use super::identity::{Identity, Name};
use super::nonce::{Nonce, NonceKey};
use super::password::{Compared, Password, PasswordCheck};
use super::permissions::Permissions;
use super::signature::{verify_proxy, verify_user};
use crate::base::ids::{AccountId, ClientNumber};
use crate::base::origin::Peer;
use crate::config::authorization::{ConnectionType, Credentials, PeerRule};
use crate::config::{self, Auth, Options};
use crate::protocol::connect::ConnectOptions;
use nkeys::KeyPair;
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The users of a configuration, compiled.
#[derive(Debug)]
pub struct Directory {
    pub(super) entry: Entry,
    /// Who clients without credentials are.
    anonymous: Option<Box<str>>,
    /// Whether a user with a name is found by the client's certificate, and in no other way.
    maps_certificates: bool,
    proxies: Vec<KeyPair>,
    /// As they are written.
    trusted_proxies: Vec<String>,
    /// Whether the single user, or who knows the token, must come through one of them.
    proxy_required: bool,
    /// Needed by nkey users and proxies; without them `INFO` has no nonce.
    nonce_key: Option<NonceKey>,
    account_names: Vec<Box<str>>,
}

/// Who gets in.
#[derive(Debug)]
pub(super) enum Entry {
    Everybody,
    Token(Password),
    Single {
        user: Box<str>,
        password: Password,
    },
    Users {
        by_name: HashMap<Arc<str>, Arc<User>>,
        by_key: HashMap<Arc<str>, Arc<User>>,
        /// Those of `by_name` that are proven by their processes, in the configuration's order.
        by_peer: Vec<Arc<User>>,
    },
}

/// A user that a new configuration leaves as it was is the same one there.
#[derive(Debug)]
pub(super) struct User {
    pub(super) written: config::User,
    pub(super) identity: Identity,
    /// The user's name, where it can be read as one.
    subject: Option<DistinguishedName>,
    proof: Proof,
    connection_types: Option<Vec<ConnectionType>>,
    pub(super) proxy_required: bool,
}

/// What proves that somebody is a user.
#[derive(Debug)]
enum Proof {
    Password(Password),
    /// Of a nonce, with the user's key.
    Signature,
    Process(PeerRule),
}

/// What a client says of itself, and what is known of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    pub connect: &'a ConnectOptions,
    pub nonce: Option<&'a Nonce>,
    pub connection_type: ConnectionType,
    /// The client's, if it has shown one that is valid.
    pub certificate: Option<&'a CertificateFacts>,
    /// The process that it is, if it came through a Unix socket.
    pub peer: Option<&'a Peer>,
}

/// What becomes of a claim.
#[derive(Debug)]
pub enum Verdict {
    Granted(Identity),
    Refused(Refusal),
    /// It is the claimed identity if this check succeeds, and refused otherwise.
    Check(PasswordCheck, Identity),
}

/// Why a client is not let in. It is told no more than that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With what is wrong, for the debug log.
    Credentials(&'static str),
    ProxyNotTrusted,
    ProxyRequired,
}

/// nats-server has nothing to say about most refusals.
const SILENT: Verdict = Verdict::Refused(Refusal::Credentials(""));

impl Directory {
    /// The users that `options` name. `key` makes the nonces.
    pub fn new(options: &Options, key: NonceKey) -> Directory {
        Directory::made(options, key, None)
    }

    /// The users of a new configuration. `key` is the one that made nonces before: who has been sent one may still sign it.
    pub fn renewed(&self, options: &Options, key: NonceKey) -> Directory {
        Directory::made(options, key, Some(&self.entry))
    }

    fn made(options: &Options, key: NonceKey, old: Option<&Entry>) -> Directory {
        let entry = Entry::new(&options.auth, old);
        // Checked when the configuration was read.
        let proxies: Vec<KeyPair> = options
            .trusted_proxies
            .iter()
            .filter_map(|proxy| KeyPair::from_public_key(proxy).ok())
            .collect();
        let needs_nonce = !proxies.is_empty()
            || matches!(&entry, Entry::Users { by_key, .. } if !by_key.is_empty());
        Directory {
            entry,
            anonymous: options.no_auth_user.as_deref().map(Box::from),
            maps_certificates: options.tls.as_ref().is_some_and(|tls| tls.map),
            proxies,
            trusted_proxies: options.trusted_proxies.clone(),
            proxy_required: options.proxy_required,
            nonce_key: needs_nonce.then_some(key),
            account_names: options
                .accounts
                .iter()
                .map(|account| account.name.as_str().into())
                .collect(),
        }
    }

    /// Whether a client must say who it is before anything else.
    pub fn wants_credentials(&self) -> bool {
        !matches!(self.entry, Entry::Everybody)
    }

    /// Whether the first `INFO` says so: not if the configuration names a user for clients that have none. Later ones do.
    pub fn announces_credentials(&self) -> bool {
        let is_named = |name: &str| !config::is_anybody(name);
        self.wants_credentials() && !self.anonymous.as_deref().is_some_and(is_named)
    }

    /// What the client with this number has to sign, where anybody may.
    pub fn nonce(&self, client: ClientNumber) -> Option<Nonce> {
        self.nonce_key.as_ref().map(|key| key.nonce(client))
    }

    /// The name of an account.
    pub fn account_name(&self, account: AccountId) -> &str {
        self.account_names
            .get(account.index())
            .map_or("", |name| &**name)
    }

    /// Who a client is that has said `CONNECT`.
    pub fn examine(&self, claim: &Claim<'_>) -> Verdict {
        let connect = claim.connect;
        let is_proxied = !connect.proxy_signature.is_empty() && !self.proxies.is_empty();
        if is_proxied && verify_proxy(&self.proxies, claim.nonce, &connect.proxy_signature).is_err()
        {
            return Verdict::Refused(Refusal::ProxyNotTrusted);
        }
        match &self.entry {
            Entry::Everybody => Verdict::Granted(Identity::default()),
            Entry::Token(_) | Entry::Single { .. } if self.proxy_required && !is_proxied => {
                Verdict::Refused(Refusal::ProxyRequired)
            }
            Entry::Token(token) => decide(token.compare(&connect.token), Identity::default()),
            Entry::Single { user, password } => {
                let same_user = user.as_bytes().ct_eq(connect.user.as_bytes());
                let compared = password.compare(&connect.password);
                if bool::from(same_user) {
                    decide(compared, Identity::default())
                } else {
                    SILENT
                }
            }
            Entry::Users { .. } => self.examine_user(claim, is_proxied),
        }
    }

    /// Which user the client's certificate names, and what the debug log says of how that was found out, in nats-server's
    /// words. `None` where certificates do not stand for users.
    pub fn certified(&self, claim: &Claim<'_>) -> Option<(Option<Arc<str>>, Vec<String>)> {
        let mut told = Vec::new();
        let found = self.find(claim, &mut |line| told.push(line));
        if told.is_empty() {
            return None;
        }
        let user = match found.map(|(user, _)| &user.identity.name) {
            Some(Some(Name::User(name))) => Some(Arc::clone(name)),
            _ => None,
        };
        Some((user, told))
    }

    /// Who a client is that says something else first. Only a user with a name can be that, not an nkey user.
    pub fn greet(&self, connection_type: ConnectionType) -> Option<Identity> {
        let Entry::Users { by_name, .. } = &self.entry else {
            return None;
        };
        let user = by_name.get(self.anonymous.as_deref()?)?;
        let is_process = matches!(user.proof, Proof::Process(_));
        let may = !user.proxy_required && !is_process && user.may_come_by(connection_type);
        may.then(|| user.identity.clone())
    }

    pub(super) fn has_proxies(&self) -> bool {
        !self.proxies.is_empty()
    }

    /// Whether a proxy is no longer believed.
    pub(super) fn has_lost_a_proxy_of(&self, before: &Directory) -> bool {
        let is_believed = |proxy: &String| self.trusted_proxies.contains(proxy);
        !before.trusted_proxies.iter().all(is_believed)
    }

    pub(super) fn asks_for_proxy_like(&self, other: &Directory) -> bool {
        self.proxy_required == other.proxy_required
    }

    fn examine_user(&self, claim: &Claim<'_>, is_proxied: bool) -> Verdict {
        let connect = claim.connect;
        let Some((user, is_anonymous)) = self.find(claim, &mut |_| {}) else {
            return SILENT;
        };
        if !user.may_come_by(claim.connection_type) {
            return SILENT;
        }
        if user.proxy_required && !is_proxied {
            return Verdict::Refused(Refusal::ProxyRequired);
        }
        let identity = user.identity.clone();
        match &user.proof {
            // Whoever comes is as good as anybody, but no process by that.
            Proof::Process(rule) if rule.admits(claim.peer) => Verdict::Granted(identity),
            Proof::Process(_) => SILENT,
            _ if is_anonymous => Verdict::Granted(identity),
            Proof::Password(password) => decide(password.compare(&connect.password), identity),
            Proof::Signature => match verify_user(&connect.nkey, claim.nonce, &connect.signature) {
                Ok(()) => Verdict::Granted(identity),
                Err(why) => Verdict::Refused(Refusal::Credentials(why)),
            },
        }
    }

    /// The user that a client claims to be, and whether it is so for want of any claim.
    fn find(&self, claim: &Claim<'_>, tell: &mut dyn FnMut(String)) -> Option<(&User, bool)> {
        let Entry::Users {
            by_name,
            by_key,
            by_peer,
        } = &self.entry
        else {
            return None;
        };
        let connect = claim.connect;
        let has_no_password =
            connect.user.is_empty() && connect.password.is_empty() && connect.token.is_empty();
        let anonymous = self.anonymous.as_deref().filter(|_| has_no_password);
        // A key counts only where there are users with keys; otherwise it is as if it had not been said.
        if !by_key.is_empty() {
            if !connect.nkey.is_empty() {
                let user = by_key.get(connect.nkey.as_str())?;
                // Whoever names the key that stands for nobody need not prove it.
                return Some((user, self.anonymous.as_deref() == Some(&connect.nkey)));
            }
            if let Some(user) = anonymous.and_then(|name| by_key.get(name)) {
                return Some((user, true));
            }
        }
        if has_no_password && connect.nkey.is_empty() && claim.peer.is_some() {
            let mut users = by_peer.iter();
            if let Some(user) = users.find(|user| user.is_process(claim.peer)) {
                return Some((user, false));
            }
        }
        if let Some(user) = by_name.get(connect.user.as_str())
            && user.is_process(claim.peer)
        {
            return Some((user, false));
        }
        if self.maps_certificates {
            return Some((find_by_certificate(by_name, claim, tell)?, false));
        }
        if let Some(user) = anonymous.and_then(|name| by_name.get(name)) {
            return Some((user, true));
        }
        Some((by_name.get(connect.user.as_str())?, false))
    }
}

impl Entry {
    fn new(auth: &Auth, old: Option<&Entry>) -> Entry {
        match auth {
            Auth::None => Entry::Everybody,
            Auth::Token(token) => Entry::Token(Password::new(token)),
            Auth::UserPassword { user, password } => Entry::Single {
                user: user.as_str().into(),
                password: Password::new(password),
            },
            Auth::Users(users) => {
                let (mut by_name, mut by_key) = (HashMap::new(), HashMap::new());
                let mut by_peer = Vec::new();
                for user in users {
                    let name: Arc<str> = user.name().into();
                    let (named, all) = match &user.credentials {
                        Credentials::Password { .. } | Credentials::Process { .. } => {
                            (Name::User(name.clone()), &mut by_name)
                        }
                        Credentials::Nkey(_) => (Name::Nkey(name.clone()), &mut by_key),
                    };
                    let before = old.and_then(|old| old.user(&named));
                    let before = before.filter(|before| before.written == *user);
                    let kept = before.map_or_else(|| Arc::new(User::new(user, named)), Arc::clone);
                    if matches!(kept.proof, Proof::Process(_)) {
                        by_peer.push(Arc::clone(&kept));
                    }
                    all.insert(name, kept);
                }
                Entry::Users {
                    by_name,
                    by_key,
                    by_peer,
                }
            }
        }
    }
}

impl Entry {
    pub(super) fn user(&self, name: &Name) -> Option<&Arc<User>> {
        match (self, name) {
            (Entry::Users { by_name, .. }, Name::User(name)) => by_name.get(name),
            (Entry::Users { by_key, .. }, Name::Nkey(key)) => by_key.get(key),
            _ => None,
        }
    }

    /// Whether it lets in exactly those that the other lets in, without telling them apart.
    pub(super) fn lets_in_like(&self, other: &Entry) -> bool {
        match (self, other) {
            (Entry::Everybody, Entry::Everybody) => true,
            (Entry::Token(token), Entry::Token(other)) => token == other,
            (
                Entry::Single { user, password },
                Entry::Single {
                    user: other_user,
                    password: other_password,
                },
            ) => user == other_user && password == other_password,
            _ => false,
        }
    }
}

impl User {
    fn new(user: &config::User, name: Name) -> User {
        let proof = match &user.credentials {
            Credentials::Password { password, .. } => Proof::Password(Password::new(password)),
            Credentials::Nkey(_) => Proof::Signature,
            Credentials::Process { rule, .. } => Proof::Process(*rule),
        };
        let subject = match &name {
            Name::User(name) => DistinguishedName::parse(name),
            Name::Nkey(_) => None,
        };
        User {
            written: user.clone(),
            subject,
            identity: Identity {
                account: user.account,
                permissions: user
                    .permissions
                    .as_ref()
                    .map(|permissions| Arc::new(Permissions::new(permissions))),
                name: Some(name),
            },
            proof,
            connection_types: user.connection_types.clone(),
            proxy_required: user.proxy_required,
        }
    }

    /// Whether the kernel says that this process is the user.
    fn is_process(&self, peer: Option<&Peer>) -> bool {
        matches!(&self.proof, Proof::Process(rule) if rule.admits(peer))
    }

    pub(super) fn may_come_by(&self, connection_type: ConnectionType) -> bool {
        let types = self.connection_types.as_ref();
        types.is_none_or(|types| types.contains(&connection_type))
    }
}

fn find_by_certificate<'d>(
    by_name: &'d HashMap<Arc<str>, Arc<User>>,
    claim: &Claim<'_>,
    tell: &mut dyn FnMut(String),
) -> Option<&'d User> {
    let may_come = |user: &&User| user.may_come_by(claim.connection_type);
    let by_text = |name: &str| by_name.get(name).map(|user| &**user).filter(may_come);
    let by_subject = |subject: &DistinguishedName| {
        let named = || {
            let users = by_name.iter().map(|(name, user)| (&**name, &**user));
            let users = users.filter(|(_, user)| may_come(user));
            users.filter_map(|(name, user)| Some((name, user, user.subject.as_ref()?)))
        };
        let same = named().find(|(.., name)| *name == subject);
        let reordered = || named().find(|(.., name)| name.has_same_names(subject));
        same.or_else(reordered).map(|(name, user, _)| (name, user))
    };
    let Some(certificate) = claim.certificate else {
        tell("User required in cert, no TLS connection state".to_owned());
        return None;
    };
    certificate.find(by_text, by_subject, tell)
}

fn decide(compared: Compared, identity: Identity) -> Verdict {
    match compared {
        Compared::Same => Verdict::Granted(identity),
        Compared::Different => SILENT,
        Compared::Later(check) => Verdict::Check(check, identity),
    }
}
