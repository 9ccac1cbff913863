//! A slab: values that keep a small number for a name while they live. *Hot path.*
//!
//! Invariants
//! - A key stays valid until its value is removed, and is handed out again afterwards.
//! - Memory grows a chunk at a time and never moves: a million entries cost no doubling copy and no half-empty vector.
//!
//! It does not detect the use of a key whose slot has a new tenant; who needs that keeps a `reuse` count beside it.

/// Values per chunk. Large enough that the chunk table stays tiny, small enough that an idle shard owns little.
const CHUNK: usize = 128;
const NONE: u32 = u32::MAX;

/// Values of one type under 32-bit keys.
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    vacant: u32,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Vacant { next: u32 },
    Taken(T),
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            chunks: Vec::new(),
            vacant: NONE,
            len: 0,
        }
    }
}

impl<T> Slab<T> {
    pub fn new() -> Slab<T> {
        Slab::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All keys lie below this one.
    pub fn bound(&self) -> u32 {
        let taken = self
            .chunks
            .last()
            .map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len());
        u32::try_from(taken).expect("fewer than 2^32 entries")
    }

    /// The key that the next insert will give.
    pub fn next_key(&self) -> u32 {
        if self.vacant != NONE {
            return self.vacant;
        }
        self.bound()
    }

    /// Stores `value` and names it.
    ///
    /// # Panics
    /// At 2^32 - 1 values; connection and subscription limits lie far below.
    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.vacant != NONE {
            let key = self.vacant;
            let slot = &mut self.chunks[key as usize / CHUNK][key as usize % CHUNK];
            let Slot::Vacant { next } = *slot else {
                unreachable!("the vacant list names a taken slot");
            };
            self.vacant = next;
            *slot = Slot::Taken(value);
            return key;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let base = (self.chunks.len() - 1) * CHUNK;
        let Some(chunk) = self.chunks.last_mut() else {
            unreachable!("a chunk was just made sure of");
        };
        let key = u32::try_from(base + chunk.len()).expect("fewer than 2^32 entries");
        assert!(key != NONE, "slab is full");
        chunk.push(Slot::Taken(value));
        key
    }

    /// Takes the value out; its key may name another one from now on.
    pub fn remove(&mut self, key: u32) -> Option<T> {
        let slot = self
            .chunks
            .get_mut(key as usize / CHUNK)?
            .get_mut(key as usize % CHUNK)?;
        if matches!(slot, Slot::Vacant { .. }) {
            return None;
        }
        let Slot::Taken(value) = std::mem::replace(slot, Slot::Vacant { next: self.vacant }) else {
            unreachable!("checked above");
        };
        self.vacant = key;
        self.len -= 1;
        Some(value)
    }

    #[inline]
    pub fn get(&self, key: u32) -> Option<&T> {
        match self
            .chunks
            .get(key as usize / CHUNK)?
            .get(key as usize % CHUNK)?
        {
            Slot::Taken(value) => Some(value),
            Slot::Vacant { .. } => None,
        }
    }

    #[inline]
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self
            .chunks
            .get_mut(key as usize / CHUNK)?
            .get_mut(key as usize % CHUNK)?
        {
            Slot::Taken(value) => Some(value),
            Slot::Vacant { .. } => None,
        }
    }

    /// All values with their keys, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> + '_ {
        self.chunks
            .iter()
            .flatten()
            .zip(0u32..)
            .filter_map(|(slot, key)| match slot {
                Slot::Taken(value) => Some((key, value)),
                Slot::Vacant { .. } => None,
            })
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    /// # Panics
    /// When nothing lives under `key`: the caller owns the key, so that is our own mistake.
    #[inline]
    fn index(&self, key: u32) -> &T {
        self.get(key).unwrap_or_else(|| vacant(key))
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, key: u32) -> &mut T {
        self.get_mut(key).unwrap_or_else(|| vacant(key))
    }
}

#[cold]
#[inline(never)]
fn vacant(key: u32) -> ! {
    panic!("slab key {key} names nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a map: the same values under the same keys after any sequence of inserts and removes.
        #[test]
        fn behaves_like_a_map(operations in proptest::collection::vec((any::<bool>(), any::<u16>()), 0..600)) {
            let mut slab = Slab::new();
            let mut model = BTreeMap::new();
            for (insert, number) in operations {
                if insert {
                    let foretold = slab.next_key();
                    let key = slab.insert(number);
                    prop_assert_eq!(key, foretold);
                    prop_assert!(model.insert(key, number).is_none(), "key {key} was in use");
                } else {
                    let key = u32::from(number) % 300;
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                }
                prop_assert_eq!(slab.len(), model.len());
            }
            let found: BTreeMap<u32, u16> = slab.iter().map(|(key, value)| (key, *value)).collect();
            prop_assert_eq!(found, model);
        }
    }
}
