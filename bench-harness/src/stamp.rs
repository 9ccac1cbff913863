//! The stamp in the first 16 bytes of a payload: who sent it, as which one, when, and a checksum over all of it.
//!
//! | bytes | what |
//! |---|---|
//! | 0–4 | intended time, nanoseconds since the run's beginning, modulo 2^40 (18 minutes) |
//! | 5–7 | how much later it was written: a small float, exact to 0.5 ms, then to 2 millionths |
//! | 8–11 | sequence of this publisher and class, wrapping |
//! | 12–13 | publisher |
//! | 14–15 | checksum |
//!
//! - Two writes and two reads of eight bytes: a stamp costs a few nanoseconds. *Hot path.*
//! - The checksum is a multiply-and-rotate over eight bytes at a time. Each step can be undone, so damage within any one
//!   eight-byte word always changes the 64-bit state; folded to 16 bits, one damage in 65,536 stays unseen. A CRC over the 14
//!   bytes that are usual here costs five times as much without its wide form, which needs 128 bytes to begin.
//! - Times wrap: a delay above 18 minutes would look short. No load waits that long.
//!
//! It does not look at clocks: times are handed in.

/// What a stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub publisher: u16,
    pub sequence: u32,
    pub intended_ns: u64,
    pub written_ns: u64,
}

/// The payload is not what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// A payload that is shorter cannot be stamped.
pub const LENGTH: usize = 16;

impl Stamp {
    /// Writes the stamp over the beginning of the payload, which has at least [`LENGTH`] bytes.
    #[inline]
    pub fn write(&self, payload: &mut [u8]) {
        let (head, rest) = payload
            .split_first_chunk_mut::<LENGTH>()
            .expect("only payloads with room are stamped");
        let lag = shortened(self.written_ns.saturating_sub(self.intended_ns));
        let first = (self.intended_ns & TIME_MASK) | (u64::from(lag) << TIME_BITS);
        let second = u64::from(self.sequence) | (u64::from(self.publisher) << 32);
        let sum = checksum(first, second, rest);
        let second = second | (u64::from(sum) << 48);
        head[..8].copy_from_slice(&first.to_le_bytes());
        head[8..].copy_from_slice(&second.to_le_bytes());
    }

    /// Reads a stamp and looks at the checksum of the whole payload.
    #[inline]
    pub fn read(payload: &[u8]) -> Result<Stamp, Damaged> {
        let (first, second, rest) = words(payload).ok_or(Damaged)?;
        let bare = second & (u64::MAX >> 16);
        if second >> 48 != u64::from(checksum(first, bare, rest)) {
            return Err(Damaged);
        }
        Ok(stamp(first, second))
    }

    /// Reads a stamp without looking at the checksum.
    #[inline]
    pub fn read_unverified(payload: &[u8]) -> Option<Stamp> {
        let (first, second, _) = words(payload)?;
        Some(stamp(first, second))
    }

    /// How long ago the message was meant to be sent, and was written.
    #[inline]
    pub fn delays(&self, now_ns: u64) -> (u64, u64) {
        let corrected = now_ns.wrapping_sub(self.intended_ns) & TIME_MASK;
        let lag = self.written_ns - self.intended_ns;
        (corrected, corrected.saturating_sub(lag))
    }
}

#[inline]
fn words(payload: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (first, rest) = payload.split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<8>()?;
    Some((
        u64::from_le_bytes(*first),
        u64::from_le_bytes(*second),
        rest,
    ))
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "each field is cut out of its word"
)]
fn stamp(first: u64, second: u64) -> Stamp {
    let intended_ns = first & TIME_MASK;
    Stamp {
        publisher: (second >> 32) as u16,
        sequence: second as u32,
        intended_ns,
        written_ns: intended_ns + lengthened((first >> TIME_BITS) as u32),
    }
}

/// 24 bits: five for the exponent, nineteen for the number.
#[inline]
fn shortened(lag_ns: u64) -> u32 {
    let exponent = (64 - lag_ns.leading_zeros()).saturating_sub(NUMBER_BITS);
    if exponent > EXPONENT_MAX {
        return (EXPONENT_MAX << NUMBER_BITS) | NUMBER_MASK;
    }
    let number = u32::try_from(lag_ns >> exponent).unwrap_or(NUMBER_MASK);
    (exponent << NUMBER_BITS) | number
}

#[inline]
fn lengthened(lag: u32) -> u64 {
    u64::from(lag & NUMBER_MASK) << (lag >> NUMBER_BITS)
}

#[inline]
fn checksum(first: u64, second: u64, rest: &[u8]) -> u16 {
    let mut sum = mix(mix(SEED ^ rest.len() as u64, first), second);
    if !rest.is_empty() {
        sum = mix(sum, body(rest));
    }
    #[expect(clippy::cast_possible_truncation, reason = "folded")]
    let folded = (sum ^ (sum >> 16) ^ (sum >> 32) ^ (sum >> 48)) as u16;
    folded
}

/// Four sums side by side, so that the multiplications of a long payload overlap.
fn body(bytes: &[u8]) -> u64 {
    let mut sums = [1, 2, 3, 4];
    let (blocks, tail) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = mix(*sum, u64::from_le_bytes(*word));
        }
    }
    let (words, last) = tail.as_chunks::<8>();
    for (sum, word) in sums.iter_mut().zip(words) {
        *sum = mix(*sum, u64::from_le_bytes(*word));
    }
    let mut word = [0; 8];
    word[..last.len()].copy_from_slice(last);
    let sum = sums.into_iter().fold(SEED, mix);
    mix(sum, u64::from_le_bytes(word))
}

/// For a given word the sum can be told back, and for a given sum the word: nothing cancels out.
#[inline]
fn mix(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(FACTOR).rotate_left(29)
}

const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const NUMBER_BITS: u32 = 19;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const EXPONENT_MAX: u32 = 31;
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, hence a bijection modulo 2^64; about half of its bits are set.
const FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(length: usize, stamp: Stamp) -> Vec<u8> {
        let mut payload = vec![b'x'; length];
        stamp.write(&mut payload);
        payload
    }

    proptest! {
        #[test]
        fn reads_what_was_written(
            publisher: u16, sequence: u32, intended_ns in 0..TIME_MASK, lag_ns in 0_u64..1 << 40, length in 16_usize..200,
        ) {
            let stamp = Stamp { publisher, sequence, intended_ns, written_ns: intended_ns + lag_ns };
            let read = Stamp::read(&payload(length, stamp)).unwrap();
            prop_assert_eq!((read.publisher, read.sequence, read.intended_ns), (publisher, sequence, intended_ns));
            let found = read.written_ns - read.intended_ns;
            prop_assert!(found <= lag_ns && lag_ns - found <= lag_ns >> 18, "{} for {}", found, lag_ns);
            let (corrected, service) = read.delays(intended_ns + (1 << 41));
            prop_assert_eq!(corrected, 0, "whole turns of the clock vanish");
            prop_assert_eq!(service, 0);
        }

        /// One damage in 65,536 may pass, so one of three places may.
        #[test]
        fn notices_a_changed_bit(length in 16_usize..200, place: prop::sample::Index, bit in 0_u8..8) {
            let stamp = Stamp { publisher: 3, sequence: 9, intended_ns: 7, written_ns: 8 };
            let whole = payload(length, stamp);
            let places: Vec<usize> = (0..length).collect();
            let mut unnoticed = 0;
            for place in [*place.get(&places), 0, length - 1] {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << bit;
                unnoticed += u32::from(Stamp::read(&damaged).is_ok());
            }
            prop_assert!(unnoticed <= 1, "{} of 3", unnoticed);
        }
    }

    #[test]
    fn notices_nearly_every_damage() {
        let stamp = Stamp {
            publisher: 1,
            sequence: 2,
            intended_ns: 3,
            written_ns: 4,
        };
        let whole = payload(64, stamp);
        let mut unnoticed = 0;
        for place in 0..64 {
            for change in 1..=255 {
                let mut damaged = whole.clone();
                damaged[place] ^= change;
                unnoticed += u32::from(Stamp::read(&damaged).is_ok());
            }
        }
        // 16,320 damages with one chance in 65,536 each.
        assert!(unnoticed <= 4, "{unnoticed} of 16320");
    }

    #[test]
    fn notices_a_payload_that_was_cut_or_swapped() {
        let stamp = Stamp {
            publisher: 1,
            sequence: 2,
            intended_ns: 3,
            written_ns: 4,
        };
        let mut long = vec![0; 100];
        stamp.write(&mut long);
        assert_eq!(Stamp::read(&long[..99]), Err(Damaged));
        assert_eq!(Stamp::read(&long[..15]), Err(Damaged));
        let mut swapped = payload(80, stamp);
        swapped[16..24].fill(b'y');
        stamp.write(&mut swapped);
        swapped[16..24].fill(b'x');
        swapped[24..32].fill(b'y');
        assert_eq!(Stamp::read(&swapped), Err(Damaged));
    }

    #[test]
    fn delays_are_counted_from_two_beginnings() {
        let stamp = Stamp {
            publisher: 0,
            sequence: 0,
            intended_ns: 1_000,
            written_ns: 1_400,
        };
        let read = Stamp::read(&payload(16, stamp)).unwrap();
        assert_eq!(read.delays(2_000), (1_000, 600));
    }
}
