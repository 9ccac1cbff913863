//! TLS records of an established connection: sealed into a buffer that is reused, opened where they lie. *Hot path.*
//!
//! The handshake is rustls's, the cipher is aws-lc's; what is here is the few bytes around them (RFC 8446 §5.2, RFC 5246
//! §6.2.3 with RFC 5288 and RFC 7905). rustls makes a new buffer for every record and copies it once or twice more; for
//! a batch of 64 KiB that is three quarters of the whole cost (docs/decisions/0007).
//!
//! Invariants
//! - A sequence number is used once: it moves on with each record, sealed or opened, and a [`Sealer`] refuses to go
//!   beyond its limit.
//! - Nothing of a record that does not authenticate is shown to anybody.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

/// Bytes of plaintext in one record at most.
pub(super) const PLAIN_BYTES_MAX: usize = 1 << 14;
/// Type, version and length.
pub(super) const HEADER_BYTES: usize = 5;
/// Bytes after the header at most; what TLS 1.2 allows is more than anybody needs.
pub(super) const SEALED_BYTES_MAX: usize = PLAIN_BYTES_MAX + 2048;
/// What TLS 1.3 allows.
const SEALED_BYTES_MAX_1_3: usize = PLAIN_BYTES_MAX + 256;
/// Header, nonce, tag and type of one record at most.
const OVERHEAD_MAX: usize = HEADER_BYTES + EXPLICIT_NONCE + TAG + 1;
const TAG: usize = 16;
const EXPLICIT_NONCE: usize = 8;
const LEGACY_VERSION: [u8; 2] = [3, 3];

/// Records under one AES-GCM key of TLS 1.3 (RFC 8446 §5.5 allows 2^24.5 full ones); then the key is updated.
const UPDATE_AFTER: u64 = 1 << 24;
/// TLS 1.2 knows no update. OpenSSL and Go set no limit at all; this one is 64 TiB of full records.
const CLOSE_AFTER: u64 = 1 << 32;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    Data,
}

impl Content {
    fn code(self) -> u8 {
        match self {
            Content::ChangeCipherSpec => 20,
            Content::Alert => 21,
            Content::Handshake => 22,
            Content::Data => 23,
        }
    }

    fn from_code(code: u8) -> Option<Content> {
        [
            Content::ChangeCipherSpec,
            Content::Alert,
            Content::Handshake,
            Content::Data,
        ]
        .into_iter()
        .find(|content| content.code() == code)
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    /// It does not authenticate.
    BadMac,
    TooLong(usize),
    /// Of no type that may come here.
    Unexpected,
}

/// How many bytes the record at the beginning of `bytes` has in all; `None` as long as its header is not whole.
pub(super) fn whole_len(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, high, low] = bytes.first_chunk::<HEADER_BYTES>()?;
    Some(HEADER_BYTES + usize::from(u16::from_be_bytes([high, low])))
}

/// A key, with what its cipher and version make of it.
#[derive(Debug)]
struct Key {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    seq: u64,
    form: Form,
}

/// How a record is laid out around its ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Tls13,
    /// TLS 1.2 with AES-GCM: eight bytes of the nonce are in the record.
    Gcm12,
    ChaCha12,
}

impl Key {
    fn new(version: ProtocolVersion, seq: u64, secrets: &ConnectionTrafficSecrets) -> Option<Key> {
        let (algorithm, key, iv, is_gcm) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv, true),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv, true),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (&aead::CHACHA20_POLY1305, key, iv, false)
            }
            _ => return None,
        };
        let form = match (version, is_gcm) {
            (ProtocolVersion::TLSv1_3, _) => Form::Tls13,
            (ProtocolVersion::TLSv1_2, true) => Form::Gcm12,
            (ProtocolVersion::TLSv1_2, false) => Form::ChaCha12,
            _ => return None,
        };
        Some(Key {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).ok()?),
            iv: iv.as_ref().try_into().ok()?,
            seq,
            form,
        })
    }

    fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, seq) in nonce[NONCE_LEN - 8..]
            .iter_mut()
            .zip(self.seq.to_be_bytes())
        {
            *byte ^= seq;
        }
        nonce
    }

    /// What is authenticated with a record of TLS 1.2 besides its content.
    fn associated12(&self, content: u8, plain_len: usize) -> [u8; 13] {
        let mut associated = [0; 13];
        associated[..8].copy_from_slice(&self.seq.to_be_bytes());
        associated[8] = content;
        associated[9..11].copy_from_slice(&LEGACY_VERSION);
        associated[11..].copy_from_slice(&length(plain_len));
        associated
    }
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len)
        .expect("a record is shorter than 64 KiB")
        .to_be_bytes()
}

/// Seals what goes out.
#[derive(Debug)]
pub(super) struct Sealer {
    key: Key,
}

impl Sealer {
    pub(super) fn new(
        version: ProtocolVersion,
        seq: u64,
        secrets: &ConnectionTrafficSecrets,
    ) -> Option<Sealer> {
        Key::new(version, seq, secrets).map(|key| Sealer { key })
    }

    /// Whether the key has done enough for a while: update it, or close the connection.
    pub(super) fn is_worn(&self, records: usize) -> bool {
        self.key.seq + records as u64 > self.limit()
    }

    fn limit(&self) -> u64 {
        match self.key.form {
            Form::Tls13 => UPDATE_AFTER,
            Form::Gcm12 | Form::ChaCha12 => CLOSE_AFTER,
        }
    }

    /// As if all but `left` of its records had been sealed.
    #[cfg(test)]
    pub(super) fn wear_out(&mut self, left: u64) {
        self.key.seq = self.limit() - left;
    }

    /// How many records [`Sealer::seal_all`] makes of so many bytes.
    pub(super) fn records(bytes: usize) -> usize {
        bytes.div_ceil(PLAIN_BYTES_MAX)
    }

    /// Appends the bytes of `slices`, `len` in all, in as few records as possible.
    pub(super) fn seal_all<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        len: usize,
        into: &mut Vec<u8>,
    ) {
        into.reserve(len + Sealer::records(len) * OVERHEAD_MAX);
        let mut open = None;
        for mut slice in slices {
            while !slice.is_empty() {
                let start = *open.get_or_insert_with(|| self.begin(Content::Data, into));
                let room = PLAIN_BYTES_MAX - (into.len() - self.plain_at(start));
                let (now, later) = slice.split_at(slice.len().min(room));
                into.extend_from_slice(now);
                if now.len() == room {
                    self.finish(Content::Data, start, into);
                    open = None;
                }
                slice = later;
            }
        }
        if let Some(start) = open {
            self.finish(Content::Data, start, into);
        }
    }

    /// Appends one record.
    pub(super) fn seal(&mut self, content: Content, plain: &[u8], into: &mut Vec<u8>) {
        let start = self.begin(content, into);
        into.extend_from_slice(plain);
        self.finish(content, start, into);
    }

    fn plain_at(&self, start: usize) -> usize {
        match self.key.form {
            Form::Tls13 | Form::ChaCha12 => start + HEADER_BYTES,
            Form::Gcm12 => start + HEADER_BYTES + EXPLICIT_NONCE,
        }
    }

    /// Appends what stands before the content; gives where the record begins.
    fn begin(&self, content: Content, into: &mut Vec<u8>) -> usize {
        let start = into.len();
        let shown = match self.key.form {
            Form::Tls13 => Content::Data,
            Form::Gcm12 | Form::ChaCha12 => content,
        };
        into.extend_from_slice(&[shown.code(), LEGACY_VERSION[0], LEGACY_VERSION[1], 0, 0]);
        if self.key.form == Form::Gcm12 {
            into.extend_from_slice(&self.key.nonce()[NONCE_LEN - EXPLICIT_NONCE..]);
        }
        start
    }

    /// Seals what has been appended since [`Sealer::begin`], and appends the tag.
    fn finish(&mut self, content: Content, start: usize, into: &mut Vec<u8>) {
        let key = &mut self.key;
        let plain_at = match key.form {
            Form::Gcm12 => start + HEADER_BYTES + EXPLICIT_NONCE,
            Form::Tls13 | Form::ChaCha12 => start + HEADER_BYTES,
        };
        let plain_len = into.len() - plain_at;
        assert!(plain_len <= PLAIN_BYTES_MAX, "a record has its limit");
        if key.form == Form::Tls13 {
            into.push(content.code());
        }
        let sealed_len = length(into.len() + TAG - start - HEADER_BYTES);
        into[start + 3..start + HEADER_BYTES].copy_from_slice(&sealed_len);
        let nonce = Nonce::assume_unique_for_key(key.nonce());
        let (before, plain) = into.split_at_mut(plain_at);
        let sealed = match key.form {
            Form::Tls13 => {
                let header = &before[start..];
                key.key
                    .seal_in_place_separate_tag(nonce, Aad::from(header), plain)
            }
            Form::Gcm12 | Form::ChaCha12 => {
                let associated = key.associated12(content.code(), plain_len);
                key.key
                    .seal_in_place_separate_tag(nonce, Aad::from(associated), plain)
            }
        };
        let tag = sealed.expect("a record within its limit can be sealed");
        into.extend_from_slice(tag.as_ref());
        key.seq += 1;
    }
}

/// Opens what comes in.
#[derive(Debug)]
pub(super) struct Opener {
    key: Key,
}

impl Opener {
    pub(super) fn new(
        version: ProtocolVersion,
        seq: u64,
        secrets: &ConnectionTrafficSecrets,
    ) -> Option<Opener> {
        Key::new(version, seq, secrets).map(|key| Opener { key })
    }

    /// Whether a record that announces so many bytes, header and all, may come at all.
    pub(super) fn check_len(&self, whole_len: usize) -> Result<(), RecordError> {
        let max = match self.key.form {
            Form::Tls13 => SEALED_BYTES_MAX_1_3,
            Form::Gcm12 | Form::ChaCha12 => SEALED_BYTES_MAX,
        };
        let len = whole_len - HEADER_BYTES;
        if len > max {
            return Err(RecordError::TooLong(len));
        }
        Ok(())
    }

    /// Opens one whole record where it lies.
    pub(super) fn open<'r>(
        &mut self,
        record: &'r mut [u8],
    ) -> Result<(Content, &'r [u8]), RecordError> {
        let (header, body) = record
            .split_at_mut_checked(HEADER_BYTES)
            .ok_or(RecordError::BadMac)?;
        let shown = Content::from_code(header[0]).ok_or(RecordError::Unexpected)?;
        if header[1..3] != LEGACY_VERSION {
            return Err(RecordError::Unexpected);
        }
        let (content, plain) = match self.key.form {
            Form::Tls13 => {
                if shown != Content::Data {
                    return Err(RecordError::Unexpected);
                }
                self.open13(header, body)?
            }
            Form::Gcm12 | Form::ChaCha12 => (shown, self.open12(shown, body)?),
        };
        if plain.len() > PLAIN_BYTES_MAX {
            return Err(RecordError::TooLong(plain.len()));
        }
        self.key.seq += 1;
        Ok((content, plain))
    }

    fn open13<'r>(
        &self,
        header: &[u8],
        body: &'r mut [u8],
    ) -> Result<(Content, &'r [u8]), RecordError> {
        let nonce = Nonce::assume_unique_for_key(self.key.nonce());
        let plain = self
            .key
            .key
            .open_in_place(nonce, Aad::from(header), body)
            .map_err(|_| RecordError::BadMac)?;
        // The type is the last byte that is not padding.
        let at = plain.iter().rposition(|byte| *byte != 0);
        let at = at.ok_or(RecordError::Unexpected)?;
        let content = Content::from_code(plain[at]).ok_or(RecordError::Unexpected)?;
        Ok((content, &plain[..at]))
    }

    fn open12<'r>(&self, content: Content, body: &'r mut [u8]) -> Result<&'r [u8], RecordError> {
        let mut nonce = self.key.nonce();
        let explicit_len = match self.key.form {
            Form::Gcm12 => EXPLICIT_NONCE,
            Form::Tls13 | Form::ChaCha12 => 0,
        };
        let (explicit, sealed) = body
            .split_at_mut_checked(explicit_len)
            .ok_or(RecordError::BadMac)?;
        nonce[NONCE_LEN - explicit_len..].copy_from_slice(explicit);
        let plain_len = sealed.len().checked_sub(TAG).ok_or(RecordError::BadMac)?;
        let associated = self.key.associated12(content.code(), plain_len);
        self.key
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated),
                sealed,
            )
            .map(|plain| &*plain)
            .map_err(|_| RecordError::BadMac)
    }
}
