//! Comparing short byte strings. *Hot path.*

/// Whether two byte strings are equal; like `==`, but without a call for the usual lengths of subjects.
///
/// Up to 32 bytes are compared as two overlapping pieces. The call to `memcmp` that `==` becomes costs more than the
/// comparison (7 % of a publish without interest).
#[inline(always)]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match left.len() {
        0 => true,
        1..4 => left.iter().eq(right),
        4..8 => {
            left.first_chunk::<4>() == right.first_chunk()
                && left.last_chunk::<4>() == right.last_chunk()
        }
        8..=16 => {
            left.first_chunk::<8>() == right.first_chunk()
                && left.last_chunk::<8>() == right.last_chunk()
        }
        17..=32 => {
            left.first_chunk::<16>() == right.first_chunk()
                && left.last_chunk::<16>() == right.last_chunk()
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_equality(left in "[ab]{0,40}", right in "[ab]{0,40}") {
            let (left, right) = (left.as_bytes(), right.as_bytes());
            prop_assert_eq!(same(left, right), left == right);
            prop_assert!(same(left, left));
        }

        #[test]
        fn one_byte_makes_a_difference(text in "[ab]{1,40}", at in any::<prop::sample::Index>()) {
            let mut other = text.clone().into_bytes();
            other[at.index(text.len())] ^= 1;
            prop_assert!(!same(text.as_bytes(), &other));
        }
    }
}
