//! An established connection: what comes is opened where it lies, what goes is sealed a batch at a time. *Hot path.*
//!
//! Invariants
//! - Idle, a stream owns two keys and no buffer.
//! - What it has to say itself (an alert, a key update) goes into `outgoing`, sealed in the order in which it must leave: the
//!   driver sends that before anything it has sealed later.
//! - After it has said goodbye, or something was wrong, it neither opens nor seals any more.

use super::fault::alert_text;
use super::record::{Content, HEADER_BYTES, Opener, RecordError, Sealer, whole_len};
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{AlertDescription, ExtractedSecrets, ProtocolVersion};

/// Records in a row that bring nothing: a peer that sends more only costs time.
const USELESS_MAX: u8 = 32;
const KEY_UPDATE: u8 = 24;
const UPDATE_REQUESTED: u8 = 1;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// Opens and seals for one connection.
pub struct Stream {
    opener: Opener,
    sealer: Sealer,
    keys: KernelConnection<ServerConnectionData>,
    is_1_3: bool,
    /// The beginning of a record.
    carry: Vec<u8>,
    useless: u8,
    has_ended: bool,
}

/// Why nothing more will come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer has said goodbye.
    Closed,
    Broken(String),
}

/// The keys have sealed as much as they may, and TLS 1.2 has no new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WornOut;

impl Stream {
    pub(super) fn new(
        secrets: ExtractedSecrets,
        keys: KernelConnection<ServerConnectionData>,
    ) -> Option<Stream> {
        let version = keys.protocol_version();
        let (opened, opener_secrets) = secrets.rx;
        let (sealed, sealer_secrets) = secrets.tx;
        Some(Stream {
            opener: Opener::new(version, opened, &opener_secrets)?,
            sealer: Sealer::new(version, sealed, &sealer_secrets)?,
            is_1_3: version == ProtocolVersion::TLSv1_3,
            keys,
            carry: Vec::new(),
            useless: 0,
            has_ended: false,
        })
    }

    /// Opens every whole record in `bytes` and hands on what is in it; keeps the beginning of the next one.
    ///
    /// # Errors
    /// When nothing more will come.
    pub fn open(
        &mut self,
        bytes: &mut [u8],
        outgoing: &mut Vec<u8>,
        mut deliver: impl FnMut(&[u8]),
    ) -> Result<(), Ending> {
        let mut bytes = bytes;
        if !self.carry.is_empty() {
            bytes = self.complete_carried(bytes, outgoing, &mut deliver)?;
        }
        while !self.has_ended {
            let Some(len) = self.next_len(bytes, outgoing)? else {
                self.keep(bytes);
                return Ok(());
            };
            let (record, rest) = std::mem::take(&mut bytes).split_at_mut(len);
            self.open_one(record, outgoing, &mut deliver)?;
            bytes = rest;
        }
        Ok(())
    }

    /// Seals the bytes of `slices`, `len` in all, and appends them.
    ///
    /// # Errors
    /// When the connection has to be closed: nothing was sealed.
    pub fn seal<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        len: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), WornOut> {
        if self.has_ended {
            return Ok(());
        }
        if self.sealer.is_worn(Sealer::records(len)) {
            self.update_sealer(into)?;
        }
        self.sealer.seal_all(slices, len, into);
        Ok(())
    }

    /// Says goodbye, once.
    pub fn close_notify(&mut self, outgoing: &mut Vec<u8>) {
        self.say_alert(WARNING, AlertDescription::CloseNotify, outgoing);
    }

    /// Says what is wrong and ends.
    pub(super) fn close(&mut self, alert: AlertDescription, outgoing: &mut Vec<u8>) {
        self.say_alert(FATAL, alert, outgoing);
    }

    #[cfg(test)]
    pub(super) fn wear_out(&mut self, left: u64) {
        self.sealer.wear_out(left);
    }

    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Adds to the unfinished record what belongs to it; gives what is left.
    fn complete_carried<'b>(
        &mut self,
        bytes: &'b mut [u8],
        outgoing: &mut Vec<u8>,
        deliver: &mut impl FnMut(&[u8]),
    ) -> Result<&'b mut [u8], Ending> {
        let mut bytes = bytes;
        let header_left = HEADER_BYTES.saturating_sub(self.carry.len());
        bytes = self.carry_some(bytes, header_left);
        let carried = std::mem::take(&mut self.carry);
        let len = self.next_announced(&carried, outgoing)?;
        self.carry = carried;
        let Some(len) = len else {
            return Ok(bytes);
        };
        self.carry.reserve_exact(len - self.carry.len());
        bytes = self.carry_some(bytes, len - self.carry.len());
        if self.carry.len() == len {
            let mut record = std::mem::take(&mut self.carry);
            self.open_one(&mut record, outgoing, deliver)?;
        }
        Ok(bytes)
    }

    fn carry_some<'b>(&mut self, bytes: &'b mut [u8], missing: usize) -> &'b mut [u8] {
        let (now, later) = bytes.split_at_mut(missing.min(bytes.len()));
        self.carry.extend_from_slice(now);
        later
    }

    fn keep(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            let len = whole_len(rest).unwrap_or(HEADER_BYTES);
            self.carry.reserve_exact(len);
            self.carry.extend_from_slice(rest);
        }
    }

    /// The length of the whole record at the beginning of `bytes`; `None` when it is not there in full.
    fn next_len(&mut self, bytes: &[u8], outgoing: &mut Vec<u8>) -> Result<Option<usize>, Ending> {
        let len = self.next_announced(bytes, outgoing)?;
        Ok(len.filter(|len| bytes.len() >= *len))
    }

    fn next_announced(
        &mut self,
        bytes: &[u8],
        outgoing: &mut Vec<u8>,
    ) -> Result<Option<usize>, Ending> {
        let Some(len) = whole_len(bytes) else {
            return Ok(None);
        };
        match self.opener.check_len(len) {
            Ok(()) => Ok(Some(len)),
            Err(error) => Err(self.refuse(error, outgoing)),
        }
    }

    #[inline]
    fn open_one(
        &mut self,
        record: &mut [u8],
        outgoing: &mut Vec<u8>,
        deliver: &mut impl FnMut(&[u8]),
    ) -> Result<(), Ending> {
        match self.opener.open(record) {
            Ok((Content::Data, plain)) if !plain.is_empty() => {
                self.useless = 0;
                deliver(plain);
                Ok(())
            }
            Ok((content, plain)) => self.heed(content, plain, outgoing),
            Err(error) => Err(self.refuse(error, outgoing)),
        }
    }

    /// Takes in a record that is no data.
    #[cold]
    fn heed(
        &mut self,
        content: Content,
        plain: &[u8],
        outgoing: &mut Vec<u8>,
    ) -> Result<(), Ending> {
        self.useless += 1;
        if self.useless > USELESS_MAX {
            self.close(AlertDescription::UnexpectedMessage, outgoing);
            return Err(Ending::Broken("tls: too many ignored records".to_owned()));
        }
        match (content, plain) {
            (Content::Data, _) => Ok(()),
            (Content::Alert, &[level, description]) => {
                self.hear_alert(level, AlertDescription::from(description))
            }
            (Content::Handshake, &[KEY_UPDATE, 0, 0, 1, request @ (0 | UPDATE_REQUESTED)])
                if self.is_1_3 =>
            {
                self.update_opener(request == UPDATE_REQUESTED, outgoing)
            }
            // Renegotiation, certificates out of order: nothing of it was offered.
            _ => Err(self.refuse(RecordError::Unexpected, outgoing)),
        }
    }

    fn hear_alert(&mut self, level: u8, alert: AlertDescription) -> Result<(), Ending> {
        match alert {
            AlertDescription::CloseNotify => Err(Ending::Closed),
            AlertDescription::UserCanceled => Ok(()),
            _ if level == WARNING && !self.is_1_3 => Ok(()),
            other => {
                self.has_ended = true;
                let text = format!("remote error: tls: {}", alert_text(other));
                Err(Ending::Broken(text))
            }
        }
    }

    fn update_opener(&mut self, answer: bool, outgoing: &mut Vec<u8>) -> Result<(), Ending> {
        let renewed = self.keys.update_rx_secret().ok();
        let opener =
            renewed.and_then(|(seq, secrets)| Opener::new(ProtocolVersion::TLSv1_3, seq, &secrets));
        let Some(opener) = opener else {
            self.close(AlertDescription::InternalError, outgoing);
            return Err(Ending::Broken("tls: internal error".to_owned()));
        };
        self.opener = opener;
        // While an answer waits to be sent, one is enough for all (RFC 8446 §4.6.3).
        if answer && outgoing.is_empty() && self.update_sealer(outgoing).is_err() {
            return Err(Ending::Broken("tls: internal error".to_owned()));
        }
        Ok(())
    }

    /// Says that new keys follow, and changes to them.
    fn update_sealer(&mut self, into: &mut Vec<u8>) -> Result<(), WornOut> {
        if !self.is_1_3 {
            return Err(WornOut);
        }
        let (seq, secrets) = self.keys.update_tx_secret().map_err(|_| WornOut)?;
        let sealer = Sealer::new(ProtocolVersion::TLSv1_3, seq, &secrets).ok_or(WornOut)?;
        self.sealer
            .seal(Content::Handshake, &[KEY_UPDATE, 0, 0, 1, 0], into);
        self.sealer = sealer;
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, error: RecordError, outgoing: &mut Vec<u8>) -> Ending {
        let (alert, text) = match error {
            RecordError::BadMac => (
                AlertDescription::BadRecordMac,
                "local error: tls: bad record MAC".to_owned(),
            ),
            RecordError::TooLong(len) => (
                AlertDescription::RecordOverflow,
                format!("tls: oversized record received with length {len}"),
            ),
            RecordError::Unexpected => (
                AlertDescription::UnexpectedMessage,
                "local error: tls: unexpected message".to_owned(),
            ),
        };
        self.close(alert, outgoing);
        Ending::Broken(text)
    }

    fn say_alert(&mut self, level: u8, alert: AlertDescription, outgoing: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_ended, true) {
            let plain = [level, u8::from(alert)];
            self.sealer.seal(Content::Alert, &plain, outgoing);
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("is_1_3", &self.is_1_3)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}
