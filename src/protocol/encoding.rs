//! How a body is compressed for whoever asks for it, as nats-server does it for events of message tracing and for the answers
//! of its services.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// The header that asks, and the one that says what was done.
pub const ACCEPT_ENCODING: &str = "Accept-Encoding";
pub const CONTENT_ENCODING: &str = "Content-Encoding";

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    /// The framing format of snappy.
    Snappy,
    /// Something was asked for that we do not know.
    Identity,
}

impl Encoding {
    /// What a receiver that accepts this gets.
    pub fn accepted(accepted: &str) -> Encoding {
        let accepted = accepted.to_ascii_lowercase();
        if accepted.contains("snappy") || accepted.contains("s2") {
            Encoding::Snappy
        } else if accepted.contains("gzip") {
            Encoding::Gzip
        } else {
            Encoding::Identity
        }
    }

    /// The value of `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Snappy => "snappy",
            Encoding::Identity => "identity",
        }
    }

    /// The body, compressed if it should be and is of at most `size_max` bytes; and what has become of it.
    pub fn apply(self, body: Vec<u8>, size_max: usize) -> (Vec<u8>, Encoding) {
        let is_small = body.len() <= size_max;
        match is_small.then(|| self.compress(&body)).flatten() {
            Some(compressed) => (compressed, self),
            None => (body, Encoding::Identity),
        }
    }

    fn compress(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                let written = encoder.write_all(body);
                written.and_then(|()| encoder.finish()).ok()
            }
            Encoding::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                let written = encoder.write_all(body);
                written.ok().and_then(|()| encoder.into_inner().ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::TRACE_COMPRESSED_BYTES_MAX as SIZE_MAX;
    use std::io::Read as _;

    #[test]
    fn bodies_are_compressed_up_to_a_limit() {
        let body = vec![b'x'; SIZE_MAX];
        for encoding in [Encoding::Gzip, Encoding::Snappy] {
            let (bytes, used) = encoding.apply(body.clone(), SIZE_MAX);
            assert_eq!(used, encoding);
            assert!(bytes.len() < body.len() / 5);
            let mut again = Vec::new();
            let read = match encoding {
                Encoding::Gzip => flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut again),
                _ => snap::read::FrameDecoder::new(&*bytes).read_to_end(&mut again),
            };
            read.expect("it is what it says");
            assert_eq!(again, body);
            let larger = vec![b'x'; SIZE_MAX + 1];
            let as_it_is = (larger.clone(), Encoding::Identity);
            assert_eq!(encoding.apply(larger, SIZE_MAX), as_it_is);
        }
        let as_it_is = (body.clone(), Encoding::Identity);
        assert_eq!(Encoding::Identity.apply(body, SIZE_MAX), as_it_is);
    }
}
