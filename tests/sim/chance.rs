//! Dice: one stream per concern, so that a change in one does not move all the others.

use trunkline::base::rng::Rng;

#[derive(Debug)]
pub(crate) struct Dice {
    /// Which shard or client is next.
    pub(crate) schedule: Rng,
    /// What clients say.
    pub(crate) workload: Rng,
    /// What the fake kernel hands over and takes.
    pub(crate) kernel: Rng,
    pub(crate) clock: Rng,
    /// What breaks.
    pub(crate) faults: Rng,
    /// When there is a new configuration, and when a shard hears of it.
    pub(crate) reloads: Rng,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        let mut salt = Rng::from_seed(seed);
        let mut stream = || Rng::from_seed(salt.next_u64());
        Dice {
            schedule: stream(),
            workload: stream(),
            kernel: stream(),
            clock: stream(),
            faults: stream(),
            reloads: stream(),
        }
    }
}

pub(crate) fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.below(100) < percent
}

/// A number in `from..to`.
pub(crate) fn range(rng: &mut Rng, from: u32, to: u32) -> u32 {
    from + rng.below(to - from)
}

pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    let count = u32::try_from(from.len()).expect("short lists");
    &from[rng.below(count) as usize]
}
