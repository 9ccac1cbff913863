//! Publishes ready to send. *Hot path.*
//!
//! When all payloads have one length, each subject's publish is rendered once and copied each time; the stamp is then
//! written into the copy. Otherwise at least the names are kept, if they are few enough to stay in a cache.

use std::ops::Range;

use crate::dice::Dice;
use crate::scenario::Scenario;
use crate::scenario::subjects::Names;
use crate::wire::Wire;

/// The publishes of a run, shared by its publishers.
#[derive(Debug)]
pub(super) struct Frames {
    names: Names,
    /// Payload bytes before they are stamped.
    filler: Vec<u8>,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// Bytes of all, where each begins and ends, and where its payload begins within it.
    Publishes(Vec<u8>, Vec<(Range<usize>, usize)>),
    Names(Vec<u8>, Vec<Range<usize>>),
    Nothing,
}

impl Frames {
    pub(super) fn new<W: Wire>(scenario: &Scenario, names: Names, wire: &W) -> Frames {
        let longest = scenario.size.greatest() as usize;
        let mut frames = Frames {
            names,
            filler: filler(longest),
            kept: Kept::Nothing,
        };
        let count = scenario.subjects.count;
        let is_small = |each: usize, limit: usize| (count as usize).saturating_mul(each) <= limit;
        if scenario.size.fixed().is_some() && is_small(longest + NAME_LENGTH, KEPT_BYTES_MAX) {
            frames.keep_publishes(count, wire);
        } else if is_small(NAME_LENGTH, KEPT_BYTES_MAX) {
            frames.keep_names(count);
        }
        frames
    }

    fn keep_publishes<W: Wire>(&mut self, count: u32, wire: &W) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        let mut name = Vec::new();
        for subject in 0..count {
            name.clear();
            self.names.write(subject, &mut name);
            let begin = bytes.len();
            let payload = wire.publish(&mut bytes, &name, None, &self.filler);
            places.push((begin..bytes.len(), payload - begin));
        }
        self.kept = Kept::Publishes(bytes, places);
    }

    fn keep_names(&mut self, count: u32) {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for subject in 0..count {
            let begin = bytes.len();
            self.names.write(subject, &mut bytes);
            places.push(begin..bytes.len());
        }
        self.kept = Kept::Names(bytes, places);
    }

    /// Appends a publish. Returns where its payload begins.
    #[inline]
    pub(super) fn append<W: Wire>(
        &self,
        wire: &W,
        out: &mut Vec<u8>,
        subject: u32,
        reply: Option<&[u8]>,
        length: u32,
    ) -> usize {
        let index = subject as usize;
        match &self.kept {
            Kept::Publishes(bytes, places) if reply.is_none() => {
                let (place, payload) = &places[index];
                let begin = out.len();
                out.extend_from_slice(&bytes[place.clone()]);
                begin + payload
            }
            Kept::Names(bytes, places) => {
                let payload = &self.filler[..length as usize];
                wire.publish(out, &bytes[places[index].clone()], reply, payload)
            }
            Kept::Publishes(..) | Kept::Nothing => {
                let mut name = Vec::with_capacity(NAME_LENGTH);
                self.names.write(subject, &mut name);
                wire.publish(out, &name, reply, &self.filler[..length as usize])
            }
        }
    }
}

/// Letters that do not repeat in any simple way, so that nothing on the way can make them shorter easily.
fn filler(length: usize) -> Vec<u8> {
    let mut dice = Dice::new(1);
    let letter = |_| b'a' + u8::try_from(dice.below(26)).unwrap_or(0);
    (0..length).map(letter).collect()
}

/// About what a name and the words around it take.
const NAME_LENGTH: usize = 48;
/// What stays in a core's second-level cache, roughly, or at least in the third.
const KEPT_BYTES_MAX: usize = 8 << 20;
