//! Options on their way: from rows and blocks, through the checks that look at more than one of them.
//!
//! *Control path.* Pure. Nobody else makes an [`Options`] value.

use std::path::PathBuf;
use std::time::Duration;

use super::authorization::{Auth, Credentials, User};
use super::table::TABLE;
use super::tls::{CertificateFiles, Tls, TlsVersion};
use super::{Contradiction, Options, Secret};
use crate::base::ids::AccountId;

/// Options on their way: what the table's rows write to before the checks that look at more than one of them.
#[derive(Debug)]
pub struct Draft {
    pub(super) options: Options,
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) token: Secret,
    pub(super) users: Vec<User>,
    /// Whether clients without credentials are let into `$G` although there are users: all users are those of the system
    /// account.
    pub(super) opens_global_account: bool,
    /// Where it was said; the default depends on TLS.
    pub(super) auth_timeout: Option<Duration>,
    pub(super) tls_flags: TlsFlags,
}

impl Default for Draft {
    fn default() -> Draft {
        let mut draft = Draft {
            options: Options::blank(),
            user: String::new(),
            password: Secret::default(),
            token: Secret::default(),
            users: Vec::new(),
            opens_global_account: false,
            auth_timeout: None,
            tls_flags: TlsFlags::default(),
        };
        for row in TABLE {
            row.apply_default(&mut draft);
        }
        draft.options.auth_timeout = draft.auth_timeout.take().unwrap_or_default();
        draft
    }
}

impl Draft {
    /// The finished options.
    ///
    /// nats-server's command line takes any mixture of `--user`, `--pass` and `--auth`: the token wins, and a lone
    /// password leaves the server open to everybody. Both are refused here, the first with the text that
    /// nats-server's configuration file has for it.
    ///
    /// # Errors
    /// The options that contradict each other.
    pub(super) fn finish(self) -> Result<Options, Contradiction> {
        let Draft {
            mut options,
            user,
            password,
            token,
            mut users,
            opens_global_account,
            auth_timeout,
            tls_flags,
        } = self;
        listen_on_unix_socket(&mut options)?;
        options.tls = tls_flags.apply(options.tls)?;
        match (auth_timeout, &options.tls) {
            (Some(timeout), _) => options.auth_timeout = timeout,
            // Who has just finished a handshake in time still has to introduce itself.
            (None, Some(tls)) => options.auth_timeout = tls.timeout + Duration::from_secs(1),
            (None, None) => {}
        }
        let contradiction = |text: &str| {
            Err(Contradiction {
                keys: CREDENTIALS,
                text: text.to_owned(),
            })
        };
        let single = match (user.is_empty(), password.is_empty(), token.is_empty()) {
            (true, true, true) => Auth::None,
            (true, true, false) => Auth::Token(token),
            (false, _, true) => Auth::UserPassword { user, password },
            (true, false, true) => return contradiction("a password needs a user"),
            _ => return contradiction("Cannot have a user/pass and token"),
        };
        options.auth = match single {
            Auth::None if users.is_empty() => Auth::None,
            Auth::None => {
                if opens_global_account && options.no_auth_user.is_none() {
                    options.no_auth_user = Some(add_anybody(&mut users));
                }
                Auth::Users(users)
            }
            single if users.is_empty() => single,
            Auth::Token(_) => return contradiction("Can not have a token and a users array"),
            _ => return contradiction("Can not have a single user/pass and a users array"),
        };
        options.trace_verbose &= options.trace;
        options.trace_headers &= options.trace;
        options.check()?;
        Ok(options)
    }
}

/// What the command line says about TLS. Any of it takes the place of the file's certificates, as in nats-server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFlags {
    pub(super) on: Option<bool>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) verify: Option<bool>,
}

impl TlsFlags {
    /// TLS as the flags want it, given what the file says.
    ///
    /// # Errors
    /// Which file is missing, in nats-server's words.
    fn apply(self, of_file: Option<Tls>) -> Result<Option<Tls>, Contradiction> {
        if self.on == Some(false) {
            return Ok(None);
        }
        if self == TlsFlags::default() {
            return Ok(of_file);
        }
        let named = |file: Option<PathBuf>| file.filter(|file| !file.as_os_str().is_empty());
        let missing = |what: &str| Contradiction {
            keys: &["tls"],
            text: format!("TLS Server {what} must be present and valid"),
        };
        let certificate = named(self.certificate).ok_or_else(|| missing("certificate"))?;
        let key = named(self.key).ok_or_else(|| missing("private key"))?;
        let of_file = of_file.unwrap_or_default();
        Ok(Some(Tls {
            certificates: vec![CertificateFiles { certificate, key }],
            ca_file: named(self.ca_file),
            verify: self.verify == Some(true) || of_file.map,
            cipher_suites: Vec::new(),
            curves: Vec::new(),
            min_version: TlsVersion::default(),
            ..of_file
        }))
    }
}

/// An address written as `unix:<path>` is that of a Unix socket, and then there is no port.
///
/// # Errors
/// When there would be two of them.
fn listen_on_unix_socket(options: &mut Options) -> Result<(), Contradiction> {
    let Some(path) = options.host.strip_prefix(UNIX_PREFIX) else {
        return Ok(());
    };
    if options.unix_socket.is_some() {
        return Err(Contradiction {
            keys: &["listen", "host", "unix_socket"],
            text: "there can be one Unix socket only, as address or as unix_socket".to_owned(),
        });
    }
    options.unix_socket = Some(path.into());
    options.listens_on_tcp = false;
    // For what takes the clients' address when it has none of its own.
    options.host = "127.0.0.1".to_owned();
    Ok(())
}

/// What the path of a Unix socket is written behind, where an address could be.
pub(super) const UNIX_PREFIX: &str = "unix:";

/// Adds a user of `$G` for clients without credentials, and gives its name.
fn add_anybody(users: &mut Vec<User>) -> String {
    let mut name = ANYBODY.to_owned();
    while users.iter().any(|user| user.is_called(&name)) {
        name.push('+');
    }
    users.push(User {
        // Whoever knows the name gets no more than who says none.
        credentials: Credentials::Password {
            name: name.clone(),
            password: Secret::default(),
        },
        account: AccountId::GLOBAL,
        permissions: None,
        connection_types: None,
        proxy_required: false,
    });
    name
}

/// Whether a user was made for clients without credentials.
pub fn is_anybody(name: &str) -> bool {
    name.starts_with(ANYBODY)
}

/// The name of the user that is made for clients without credentials; nats-server makes a new one up at each start.
const ANYBODY: &str = "nats-anybody";

const CREDENTIALS: &[&str] = &[
    "authorization.user",
    "authorization.password",
    "authorization.token",
];
