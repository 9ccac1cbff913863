//! TLS for the connections of a listener. Handshakes are rustls's, ciphers aws-lc's; sans-IO, one connection at a time.
//!
//! | file | what |
//! |---|---|
//! | [`acceptor`] | what the `tls` block of a configuration file comes to: one value that all shards share |
//! | `own` | the server's certificates, and which of them a client is shown |
//! | `algorithms` | cipher suites and curves by nats-server's names |
//! | `curve_p521` | the curve that rustls leaves out |
//! | [`handshake`] | from a ClientHello to keys |
//! | [`stream`] | an established connection: alerts, key updates, records that come in pieces |
//! | `record` | sealing and opening one record; the only hot file |
//! | [`peer`] | what a client's certificate says |
//! | `fault` | what went wrong, in nats-server's words |

pub mod acceptor;
mod algorithms;
mod curve_p521;
mod fault;
pub mod handshake;
mod own;
pub mod peer;
mod rate;
mod record;
pub mod stream;

#[cfg(test)]
pub(super) mod pair;
#[cfg(test)]
mod tests;

use peer::PeerCertificate;

pub use acceptor::Acceptor;
pub use fault::Failure;

/// What is known of a connection once its handshake is finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The IANA name.
    pub cipher_suite: &'static str,
    /// TLS began before `INFO`.
    pub is_first: bool,
    /// The certificates that the client has shown, its own first; empty where none was asked for.
    pub peer: Vec<PeerCertificate>,
}
