//! What everything stands on: identifiers, time, chance, limits, log records. Knows nothing of NATS.

pub mod bytes;
pub mod clock;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod log;
pub mod origin;
pub mod rng;
pub mod sequence;
pub mod slab;
pub mod small_bytes;
