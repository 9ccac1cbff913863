//! Chance as a value: one small generator per shard, seeded from outside, so that a simulator run is its seed.

/// SplitMix64. Fast and good enough to pick queue members; not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn from_seed(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 22 letters and digits that nobody is likely to have said before.
    pub fn name(&mut self) -> String {
        let mut name = String::with_capacity(2 * NAME_HALF);
        for _ in 0..2 {
            let mut number = self.next_u64();
            for _ in 0..NAME_HALF {
                name.push(char::from(DIGITS[(number % 62) as usize]));
                number /= 62;
            }
        }
        name
    }

    /// A number in `0..bound`, without a modulo's bias worth speaking of.
    ///
    /// # Panics
    /// When `bound` is zero: nothing can be picked from nothing.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "a pick needs at least one candidate");
        let wide = u64::from(bound) * (self.next_u64() >> 32);
        u32::try_from(wide >> 32).unwrap_or(0)
    }
}

/// What 64 bits come to, in digits of base 62.
const NAME_HALF: usize = 11;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_is_picked_about_as_often() {
        let mut rng = Rng::from_seed(7);
        let mut counts = [0u32; 5];
        for _ in 0..50_000 {
            counts[rng.below(5) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_000..11_000).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn one_seed_is_one_run() {
        let mut left = Rng::from_seed(42);
        let mut right = Rng::from_seed(42);
        assert!((0..100).all(|_| left.next_u64() == right.next_u64()));
    }
}
