//! Why a load could not be put on a server: what happened, where, and what to do about it.

use std::error::Error;
use std::net::SocketAddr;
use std::{fmt, io};

use crate::wire::Protocol;

#[derive(Debug)]
pub enum LoadError {
    /// Nobody listens there, or the network does not lead there.
    Unreachable {
        address: SocketAddr,
        source: io::Error,
    },
    /// Something answers, but not in this protocol.
    Foreign {
        address: SocketAddr,
        protocol: Protocol,
        said: String,
    },
    /// It takes connections and says nothing.
    Silent {
        address: SocketAddr,
        protocol: Protocol,
        waited_s: u64,
    },
    /// There is no TLS with it: what it shows is not believed, or it wants something else.
    Insecure {
        address: SocketAddr,
        source: io::Error,
    },
    /// It closes the connection instead of answering.
    Unanswered {
        address: SocketAddr,
        protocol: Protocol,
        source: Option<io::Error>,
    },
    /// The server refuses us, in its own words.
    Refused { address: SocketAddr, said: String },
    /// The server wants something that the driver cannot do.
    Unable { address: SocketAddr, what: String },
    /// A connection ended while it was needed.
    Closed {
        address: SocketAddr,
        source: Option<io::Error>,
    },
    /// The server says, in its own words, that something is wrong with what we do.
    Complained { address: SocketAddr, said: String },
    /// The scenario needs something that this protocol does not have.
    Unsupported {
        protocol: Protocol,
        what: &'static str,
    },
    PayloadTooLong {
        address: SocketAddr,
        bytes: u64,
        bytes_max: u64,
    },
    /// More connections than this process may have.
    TooManyConnections { wanted: u64, allowed: u64 },
    /// The settings contradict each other or the machine.
    Settings(String),
    /// This machine refuses something the generator cannot do without.
    Machine {
        what: &'static str,
        source: io::Error,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unreachable { address, source } => write!(
                f,
                "cannot connect to {address}: {source}. Is a server running there?"
            ),
            LoadError::Foreign {
                address,
                protocol,
                said,
            } => write!(
                f,
                "the server at {address} does not speak {protocol}: it said {said:?}. Check the address and the protocol"
            ),
            LoadError::Silent {
                address,
                protocol,
                waited_s,
            } => write!(
                f,
                "the server at {address} took the connection but did not answer as a {protocol} server does within \
                 {waited_s} s. Is it another kind of server, or does it wait for TLS?"
            ),
            LoadError::Insecure { address, source } => write!(
                f,
                "no TLS with the server at {address}: {source}. Check its certificate, and the authority (--tlsca)"
            ),
            LoadError::Unanswered {
                address, protocol, ..
            } => write!(
                f,
                "the server at {address} closed the connection instead of answering as a {protocol} server does. Check the \
                 address and the protocol; its log may tell more"
            ),
            LoadError::Refused { address, said } => write!(
                f,
                "the server at {address} refused the connection: {said}{}",
                if said.to_lowercase().contains("auth") {
                    ". Check user, password or token"
                } else {
                    ""
                }
            ),
            LoadError::Unable { address, what } => write!(f, "the server at {address} {what}"),
            LoadError::Closed { address, source } => {
                write!(f, "the server at {address} closed a connection midway")?;
                match source {
                    Some(source) => write!(f, ": {source}. Its log may tell more"),
                    None => write!(f, " without saying why; its log may tell"),
                }
            }
            LoadError::Complained { address, said } => {
                write!(f, "the server at {address} complained: {said}")
            }
            LoadError::Unsupported { protocol, what } => {
                write!(
                    f,
                    "{protocol} has no {what}; choose another scenario for this server"
                )
            }
            LoadError::PayloadTooLong {
                address,
                bytes,
                bytes_max,
            } => write!(
                f,
                "the scenario has payloads of {bytes} bytes, but the server at {address} takes at most {bytes_max}. \
                 Raise its limit (`max_payload`) or use smaller messages"
            ),
            LoadError::TooManyConnections { wanted, allowed } => write!(
                f,
                "the scenario needs {wanted} connections, but this process may have {allowed}. \
                 Raise the hard limit of open files (`ulimit -Hn`) or use fewer connections"
            ),
            LoadError::Settings(text) => f.write_str(text),
            LoadError::Machine { what, source } => {
                write!(f, "this machine refuses to {what}: {source}")
            }
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LoadError::Unreachable { source, .. } | LoadError::Machine { source, .. } => {
                Some(source)
            }
            LoadError::Closed { source, .. } | LoadError::Unanswered { source, .. } => source
                .as_ref()
                .map(|source| source as &(dyn Error + 'static)),
            _ => None,
        }
    }
}
