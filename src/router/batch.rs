//! Bytes for one send: copied ones, with shared tails spliced in between. *Hot path.*

use crate::base::limits::{BATCH_BYTES, BATCH_SPLICES};
use bytes::Bytes;

/// What one send takes. The runtime owns it until the kernel has taken the last byte.
#[derive(Debug, Default)]
pub struct Batch {
    copied: Vec<u8>,
    splices: Vec<Splice>,
    spliced_bytes: usize,
}

#[derive(Debug)]
struct Splice {
    /// How much of `copied` comes before it.
    at: usize,
    tail: Bytes,
}

impl Batch {
    pub(super) fn reusing(copied: Vec<u8>) -> Batch {
        debug_assert!(copied.is_empty());
        Batch {
            copied,
            ..Batch::default()
        }
    }

    pub(super) fn into_buffer(mut self) -> Vec<u8> {
        self.copied.clear();
        self.copied
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.copied.len() + self.spliced_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() >= BATCH_BYTES || self.splices.len() >= BATCH_SPLICES
    }

    pub(super) fn has_no_buffer(&self) -> bool {
        self.copied.capacity() == 0
    }

    /// Where copied bytes go.
    #[inline]
    pub(super) fn copied(&mut self) -> &mut Vec<u8> {
        &mut self.copied
    }

    pub(super) fn splice(&mut self, tail: Bytes) {
        self.spliced_bytes += tail.len();
        self.splices.push(Splice {
            at: self.copied.len(),
            tail,
        });
    }

    /// Its bytes in order, without the first `skip`; no slice is empty.
    pub fn slices(&self, skip: usize) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.splices.iter().map(|splice| splice.at));
        let ends = self
            .splices
            .iter()
            .map(|splice| splice.at)
            .chain([self.copied.len()]);
        let copied = starts
            .zip(ends)
            .map(|(start, end)| &self.copied[start..end]);
        let tails = self
            .splices
            .iter()
            .map(|splice| &*splice.tail)
            .chain([&b""[..]]);
        let mut skip = skip;
        copied
            .zip(tails)
            .flat_map(|(copied, tail)| [copied, tail])
            .filter_map(move |slice| {
                let left = slice.get(skip..);
                skip = skip.saturating_sub(slice.len());
                left.filter(|left| !left.is_empty())
            })
    }

    /// All of it as one slice, when nothing is spliced in.
    pub fn as_one_slice(&self) -> Option<&[u8]> {
        self.splices.is_empty().then_some(self.copied.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against one flat buffer, from every offset.
        #[test]
        fn slices_are_the_bytes_in_order(parts in prop::collection::vec((any::<bool>(), "[a-z]{0,9}"), 0..12)) {
            let mut batch = Batch::default();
            let mut flat = Vec::new();
            for (share, part) in parts {
                flat.extend_from_slice(part.as_bytes());
                if share {
                    batch.splice(Bytes::from(part.into_bytes()));
                } else {
                    batch.copied().extend_from_slice(part.as_bytes());
                }
            }
            prop_assert_eq!(batch.len(), flat.len());
            for skip in 0..=flat.len() {
                let slices: Vec<&[u8]> = batch.slices(skip).collect();
                prop_assert!(slices.iter().all(|slice| !slice.is_empty()));
                prop_assert_eq!(slices.concat(), &flat[skip..]);
            }
        }
    }
}
