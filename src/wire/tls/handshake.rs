//! From a ClientHello to keys: one handshake, driven by the bytes that come. *Once per connection; dear.*
//!
//! rustls is given one record at a time, so that nothing that comes after the handshake is ever opened by it: those bytes
//! are left for the [`Stream`]. A signature with an RSA key of 2048 bits takes 0.3 ms, with a P-256 key 0.1 ms in all
//! (docs/decisions/0007); who drives this decides when that fits.

use super::acceptor::Witness;
use super::fault::Failure;
use super::peer::{PeerCertificate, hex};
use super::record::{HEADER_BYTES, SEALED_BYTES_MAX, whole_len};
use super::stream::Stream;
use super::{Acceptor, Secured, algorithms};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{AlertDescription, HandshakeKind, ProtocolVersion};
use std::sync::Arc;

/// Bytes that may wait before a handshake is finished: more than any client's flight with a long chain of certificates.
pub const WAITING_BYTES_MAX: usize = 128 * 1024;

/// Record types and versions that a first record can have; the others are no TLS.
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const MAJOR_VERSION_MAX: u8 = 0x10;
/// What an SSL 2 greeting began with.
const SSL2: u8 = 0x80;

/// A handshake under way.
pub struct Handshake {
    acceptor: Arc<Acceptor>,
    connection: Box<UnbufferedServerConnection>,
    witness: Option<Arc<Witness>>,
    has_begun: bool,
    /// Something was sent, perhaps under keys already.
    has_answered: bool,
    /// How much of what waits rustls has been shown.
    shown: usize,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Waiting,
    /// Keys are agreed on ([`Handshake::into_stream`]); what is left of the bytes that came is for the stream.
    Finished,
}

impl Handshake {
    /// # Errors
    /// When the configuration is not possible after all.
    pub(crate) fn new(acceptor: &Arc<Acceptor>) -> Result<Handshake, Failure> {
        let broken = |error: rustls::Error| Failure::of(&error, &[]);
        let (config, witness) = acceptor.begin().map_err(broken)?;
        let connection = UnbufferedServerConnection::new(config).map_err(broken)?;
        Ok(Handshake {
            acceptor: Arc::clone(acceptor),
            connection: Box::new(connection),
            witness,
            has_begun: false,
            has_answered: false,
            shown: 0,
        })
    }

    /// Whether [`Handshake::advance`] has something to do with what waits.
    pub fn is_ready(&self, incoming: &[u8]) -> bool {
        let rest = &incoming[self.shown.min(incoming.len())..];
        whole_len(rest).is_some_and(|len| rest.len() >= len || !self.has_begun)
    }

    /// Takes whole records from the front of `incoming`; appends what is to be sent. After an error there may still be an
    /// alert to send.
    ///
    /// # Errors
    /// Why there will be no connection.
    pub fn advance(
        &mut self,
        incoming: &mut Vec<u8>,
        outgoing: &mut Vec<u8>,
    ) -> Result<Progress, Failure> {
        self.look_at_first(incoming, outgoing)?;
        while self.show_more(incoming, outgoing)? {
            if self.step(incoming, outgoing)? {
                return Ok(Progress::Finished);
            }
        }
        if incoming.len() > WAITING_BYTES_MAX {
            return Err(Failure::new("tls: handshake messages are too long"));
        }
        Ok(Progress::Waiting)
    }

    /// Refuses what is not TLS at all, as Go does it: without a word.
    fn look_at_first(&mut self, incoming: &[u8], outgoing: &mut Vec<u8>) -> Result<(), Failure> {
        let Some([kind, major, ..]) = incoming.first_chunk::<HEADER_BYTES>() else {
            return Ok(());
        };
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        if *kind == SSL2 {
            outgoing.extend(alert(AlertDescription::ProtocolVersion));
            return Err(Failure::new("tls: unsupported SSLv2 handshake received"));
        }
        if !matches!(*kind, ALERT | HANDSHAKE) || *major >= MAJOR_VERSION_MAX {
            let text = "tls: first record does not look like a TLS handshake";
            return Err(Failure::probe(text));
        }
        Ok(())
    }

    /// Shows rustls the next whole record, if there is one.
    fn show_more(&mut self, incoming: &[u8], outgoing: &mut Vec<u8>) -> Result<bool, Failure> {
        let rest = &incoming[self.shown..];
        let Some(len) = whole_len(rest) else {
            return Ok(false);
        };
        if len > HEADER_BYTES + SEALED_BYTES_MAX {
            if !self.has_answered {
                outgoing.extend(alert(AlertDescription::RecordOverflow));
            }
            let len = len - HEADER_BYTES;
            let text = format!("tls: oversized record received with length {len}");
            return Err(Failure::new(text));
        }
        let is_whole = rest.len() >= len;
        if is_whole {
            self.shown += len;
        }
        Ok(is_whole)
    }

    /// Lets rustls do what it can with what it has been shown. Says whether that was all.
    fn step(&mut self, incoming: &mut Vec<u8>, outgoing: &mut Vec<u8>) -> Result<bool, Failure> {
        loop {
            let seen = &mut incoming[..self.shown];
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(seen);
            let mut is_blocked = false;
            match state {
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(outgoing, |into| message.encode(into));
                    self.has_answered = true;
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    is_blocked = true;
                }
                Ok(_) => return Err(Failure::new("EOF")),
                Err(error) => {
                    self.take_alert(outgoing);
                    let shown = self.witness.as_ref().map(|witness| witness.refused());
                    let shown = PeerCertificate::read_all(shown.unwrap_or_default());
                    return Err(Failure::of(&error, &shown));
                }
            }
            incoming.drain(..discard);
            self.shown -= discard;
            if is_blocked {
                return Ok(!self.connection.is_handshaking());
            }
        }
    }

    /// After an error: the alert that tells the client. What waits to be sent comes before anything that was received is
    /// looked at again.
    fn take_alert(&mut self, outgoing: &mut Vec<u8>) {
        while self.connection.wants_write() {
            let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
            let Ok(ConnectionState::EncodeTlsData(mut message)) = state else {
                return;
            };
            encode(outgoing, |into| message.encode(into));
            self.has_answered = true;
        }
        if !self.has_answered {
            // rustls has no words for what cannot even be read.
            outgoing.extend(alert(AlertDescription::DecodeError));
        }
    }

    /// The finished handshake as a stream. After an error there may be an alert to send.
    ///
    /// # Errors
    /// When the client's certificate is not one that the server wants.
    pub fn into_stream(self, outgoing: &mut Vec<u8>) -> Result<(Stream, Secured), Failure> {
        let secured = secured(&self.connection);
        let kind = self.connection.handshake_kind();
        let (secrets, keys) = self
            .connection
            .dangerous_into_kernel_connection()
            .map_err(|error| Failure::of(&error, &[]))?;
        let mut stream = Stream::new(secrets, keys)
            .ok_or_else(|| Failure::new("tls: keys of an unknown cipher suite"))?;
        if let Err(failure) = examine(&self.acceptor, &secured.peer, kind) {
            stream.close(AlertDescription::BadCertificate, outgoing);
            return Err(failure);
        }
        Ok((stream, secured))
    }
}

fn secured(connection: &UnbufferedServerConnection) -> Secured {
    let suite = connection.negotiated_cipher_suite();
    Secured {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            _ => "1.2",
        },
        cipher_suite: suite.map_or("unknown", algorithms::name),
        is_first: false,
        peer: PeerCertificate::read_all(connection.peer_certificates().unwrap_or_default()),
    }
}

/// What rustls does not look at: pins, and whether the certificate of a resumed session is still valid.
fn examine(
    acceptor: &Acceptor,
    peer: &[PeerCertificate],
    kind: Option<HandshakeKind>,
) -> Result<(), Failure> {
    let leaf = peer.first();
    if acceptor.verifies() && leaf.is_none() {
        return Err(Failure::new("tls: client's certificate cannot be read"));
    }
    let is_over = |leaf: &PeerCertificate| {
        let now = acceptor.unix_time();
        now.is_none_or(|now| leaf.not_after < now)
    };
    if kind == Some(HandshakeKind::Resumed) && leaf.is_some_and(is_over) {
        let text =
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
        return Err(Failure::new(text));
    }
    let Some(pinned) = acceptor.pinned() else {
        return Ok(());
    };
    let note = match leaf {
        None => "Failed pinned cert test as client did not provide a certificate".to_owned(),
        Some(leaf) if pinned.contains(&leaf.key_sha256) => return Ok(()),
        Some(leaf) => {
            format!(
                "Failed pinned cert test for key id: {}",
                hex(&leaf.key_sha256)
            )
        }
    };
    Err(Failure {
        note: Some(note),
        ..Failure::new("certificate not pinned")
    })
}

/// A fatal alert before there are keys.
fn alert(description: AlertDescription) -> [u8; HEADER_BYTES + 2] {
    [ALERT, 3, 1, 0, 2, 2, u8::from(description)]
}

fn encode(outgoing: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = outgoing.len();
    if let Err(EncodeError::InsufficientSize(size)) = encode(&mut []) {
        outgoing.resize(start + size.required_size, 0);
        let written = encode(&mut outgoing[start..]).unwrap_or_default();
        outgoing.truncate(start + written);
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake")
            .field("has_begun", &self.has_begun)
            .finish_non_exhaustive()
    }
}
