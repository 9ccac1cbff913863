//! Which server is meant, how to speak to it, and who we say we are.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::ValueEnum;

use super::security::Security;
use super::{Failure, failure};
use crate::load::{Credentials, Protocol, Target};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The server")]
pub(super) struct Endpoint {
    /// Address of a server that is already running, such as localhost:4222 or nats://name:word@host
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4222")]
    server: String,
    /// What it speaks [default: nats, or what the address begins with]
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<Speech>,
    /// User, if the server wants one
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The user's password
    #[arg(long, value_name = "WORD")]
    password: Option<String>,
    /// Token, if the server wants one
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    #[command(flatten)]
    tls: Security,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Speech {
    Nats,
    #[value(alias = "redis")]
    Resp,
    Mqtt,
}

impl Speech {
    const SCHEMES: [(&str, Speech); 5] = [
        ("nats://", Speech::Nats),
        ("tls://", Speech::Nats),
        ("redis://", Speech::Resp),
        ("resp://", Speech::Resp),
        ("mqtt://", Speech::Mqtt),
    ];

    fn port(self) -> u16 {
        match self {
            Speech::Nats => 4222,
            Speech::Resp => 6379,
            Speech::Mqtt => 1883,
        }
    }

    fn protocol(self) -> Protocol {
        match self {
            Speech::Nats => Protocol::Nats,
            Speech::Resp => Protocol::Resp,
            Speech::Mqtt => Protocol::Mqtt,
        }
    }
}

impl Endpoint {
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let is_secure = self.server.starts_with("tls://");
        let scheme = Speech::SCHEMES
            .iter()
            .find_map(|(scheme, speech)| Some((self.server.strip_prefix(scheme)?, *speech)));
        let (rest, spoken) = scheme.map_or((self.server.as_str(), None), |(rest, speech)| {
            (rest, Some(speech))
        });
        let speech = self.protocol.or(spoken).unwrap_or(Speech::Nats);
        let (who, place) = match rest.rsplit_once('@') {
            Some((who, place)) => (Some(who), place),
            None => (None, rest),
        };
        Ok(Target {
            address: resolve(place.trim_end_matches('/'), speech.port())?,
            protocol: speech.protocol(),
            credentials: self.credentials(who),
            tls: self.tls.wanted(is_secure, place)?,
        })
    }

    fn credentials(&self, written: Option<&str>) -> Credentials {
        let (user, password) = match written.and_then(|who| who.split_once(':')) {
            Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
            None => (None, None),
        };
        // A single word before the @ is a token.
        let token = written
            .filter(|who| !who.contains(':'))
            .map(ToOwned::to_owned);
        Credentials {
            user: self.user.clone().or(user),
            password: self.password.clone().or(password),
            token: self.token.clone().or(token),
        }
    }
}

fn resolve(place: &str, port: u16) -> Result<SocketAddr, Failure> {
    let has_port = place
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        && !place.ends_with(']');
    let found = if has_port {
        place.to_socket_addrs()
    } else {
        let host = place.trim_start_matches('[').trim_end_matches(']');
        (host, port).to_socket_addrs()
    };
    let mut addresses =
        found.map_err(|error| failure(format!("cannot find the server {place}: {error}")))?;
    addresses
        .next()
        .ok_or_else(|| failure(format!("the server {place} has no address")))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    fn target(arguments: &[&str]) -> Target {
        let command = Endpoint::augment_args(Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).unwrap();
        let arguments = Endpoint::from_arg_matches(&matches).unwrap();
        arguments
            .target()
            .unwrap_or_else(|failure| panic!("{}", failure.text))
    }

    #[test]
    fn without_anything_it_is_nats_on_this_machine() {
        let target = target(&[]);
        assert_eq!(target.address.to_string(), "127.0.0.1:4222");
        assert_eq!(target.protocol, Protocol::Nats);
        assert_eq!(target.credentials, Credentials::default());
    }

    #[test]
    fn an_address_may_name_protocol_and_user() {
        let target = target(&["--server", "redis://me:secret@127.0.0.1"]);
        assert_eq!(target.address.to_string(), "127.0.0.1:6379");
        assert_eq!(target.protocol, Protocol::Resp);
        assert_eq!(target.credentials.user.as_deref(), Some("me"));
        assert_eq!(target.credentials.password.as_deref(), Some("secret"));
    }

    #[test]
    fn options_win_over_the_address() {
        let target = target(&[
            "--server",
            "nats://one@127.0.0.1:1/",
            "--token",
            "two",
            "--protocol",
            "mqtt",
        ]);
        assert_eq!(target.protocol, Protocol::Mqtt);
        assert_eq!(target.credentials.token.as_deref(), Some("two"));
        assert_eq!(target.address.port(), 1);
    }

    #[test]
    fn addresses_of_version_6_may_have_brackets() {
        assert_eq!(target(&["--server", "[::1]:9"]).address.port(), 9);
        assert_eq!(target(&["--server", "[::1]"]).address.port(), 4222);
    }
}
