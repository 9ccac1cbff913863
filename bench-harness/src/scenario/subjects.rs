//! The subjects of a load: their names, which one a publisher takes next, who subscribes to what, and therefore who must get
//! each message. The broker has no say in that: it follows from the scenario by counting.
//!
//! - A *class* is the set of subjects that the same subscribers get: with [`Sharing::Dealt`] the subjects `c`, `c + n`,
//!   and so on are class `c`; otherwise there is one class.
//! - A class is cut into *blocks* of subjects that differ in the last token only, so that one wildcard covers a block. Each
//!   subject is covered by exactly one subscription of a subscriber: no server may deliver it twice.
//! - Every name begins with a tag of the run, so that nothing else on the server gets mixed up with it.
//!
//! A name of depth three: `run7f3a.0x12.5`: tag, class 0, block 12, subject 5 of that block, after as many filling tokens as
//! the depth asks for.

use std::io::Write;

use super::{Pick, Scenario, Sharing};
use crate::dice::Dice;

/// Names and patterns of a run's subjects.
#[derive(Debug, Clone)]
pub struct Names {
    tag: String,
    count: u32,
    depth: u32,
    classes: u32,
    block_length: u32,
    wildcard_share: f64,
}

impl Names {
    pub fn new(scenario: &Scenario, tag: &str) -> Names {
        let classes = classes(scenario);
        let subjects = &scenario.subjects;
        Names {
            tag: tag.to_owned(),
            count: subjects.count,
            depth: subjects.depth,
            classes,
            block_length: (subjects.count / classes / 8).clamp(1, BLOCK_LENGTH_MAX),
            wildcard_share: subjects.wildcard_share,
        }
    }

    pub fn class_of(&self, subject: u32) -> u32 {
        subject % self.classes
    }

    /// Appends the name of a subject.
    pub fn write(&self, subject: u32, out: &mut Vec<u8>) {
        let (class, ordinal) = (subject % self.classes, subject / self.classes);
        self.write_front(class, false, out);
        match self.depth {
            1 => put(out, format_args!("{ordinal}")),
            _ => put(
                out,
                format_args!(
                    "{}.{}",
                    ordinal / self.block_length,
                    ordinal % self.block_length
                ),
            ),
        }
    }

    /// What all names of a class begin with, and no other name does.
    pub fn front(&self, class: u32) -> Vec<u8> {
        let mut front = Vec::new();
        self.write_front(class, false, &mut front);
        front
    }

    /// The subscriptions that cover a class.
    pub fn patterns(&self, class: u32) -> Vec<String> {
        let length = self.class_length(class);
        let blocks = length.div_ceil(self.block_length);
        let mut patterns = Vec::new();
        for block in 0..blocks {
            if self.is_wildcard(block) {
                patterns.push(self.wildcard(class, block));
                continue;
            }
            let begin = block * self.block_length;
            let end = (begin + self.block_length).min(length);
            for ordinal in begin..end {
                let mut name = Vec::new();
                self.write(ordinal * self.classes + class, &mut name);
                patterns.push(String::from_utf8_lossy(&name).into_owned());
            }
        }
        patterns
    }

    /// How many subjects a class has.
    fn class_length(&self, class: u32) -> u32 {
        self.count / self.classes + u32::from(class < self.count % self.classes)
    }

    /// Wildcard blocks are spread evenly. The share is of subscriptions, and a wildcard stands for a whole block of the
    /// others, hence the detour over the share of blocks.
    fn is_wildcard(&self, block: u32) -> bool {
        let (share, length) = (self.wildcard_share, f64::from(self.block_length));
        let of_blocks = share * length / (1.0 + share * (length - 1.0));
        let sum = |blocks: u32| (f64::from(blocks) * of_blocks + 1e-9).floor();
        sum(block + 1) > sum(block)
    }

    /// Wildcards of three kinds, in turn: the last token, all that follows, a filling token as well.
    fn wildcard(&self, class: u32, block: u32) -> String {
        let mut pattern = Vec::new();
        self.write_front(class, block % 3 == 2, &mut pattern);
        let end = if block % 3 == 1 { '>' } else { '*' };
        put(&mut pattern, format_args!("{block}.{end}"));
        String::from_utf8_lossy(&pattern).into_owned()
    }

    /// Everything up to the block; of depth one, up to the subject.
    fn write_front(&self, class: u32, is_filler_wild: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        if self.depth > 2 {
            out.push(b'.');
        }
        for place in 3..self.depth {
            match is_filler_wild && place == 3 {
                true => out.extend_from_slice(b"*."),
                false => out.extend_from_slice(b"part."),
            }
        }
        // Never a digit before the class: the tag ends with a letter when it stands right before it.
        put(out, format_args!("{class}x"));
    }
}

/// Which class a subscriber gets.
pub fn class_of_subscriber(scenario: &Scenario, subscriber: u32) -> u32 {
    match scenario.sharing {
        Sharing::Dealt => subscriber,
        Sharing::All | Sharing::Groups(_) => 0,
    }
}

/// Which queue group a subscriber is in.
pub fn group_of_subscriber(scenario: &Scenario, subscriber: u32) -> Option<u32> {
    match scenario.sharing {
        Sharing::Groups(groups) => Some(subscriber % groups),
        Sharing::All | Sharing::Dealt => None,
    }
}

/// How many classes there are.
pub fn classes(scenario: &Scenario) -> u32 {
    match scenario.sharing {
        Sharing::Dealt => scenario.subscribers.max(1),
        Sharing::All | Sharing::Groups(_) => 1,
    }
}

/// How many deliveries each message of any class leads to.
pub fn deliveries(scenario: &Scenario) -> u64 {
    u64::from(match scenario.sharing {
        _ if scenario.subscribers == 0 => 0,
        Sharing::All => scenario.subscribers,
        Sharing::Dealt => 1,
        Sharing::Groups(groups) => groups,
    })
}

/// The subjects of one publisher, one after another.
#[derive(Debug, Clone)]
pub struct Picker {
    law: Law,
    count: u32,
    dice: Dice,
}

#[derive(Debug, Clone)]
enum Law {
    InTurn { next: u32 },
    Own { first: u32, step: u32, next: u32 },
    Uniform,
    Zipf(Zipf),
}

impl Picker {
    pub fn new(scenario: &Scenario, publisher: u32) -> Picker {
        let count = scenario.subjects.count;
        let first = publisher % count;
        let law = match scenario.subjects.pick {
            Pick::InTurn => Law::InTurn { next: first },
            Pick::Own => Law::Own {
                first,
                step: scenario.publishers,
                next: first,
            },
            _ if count == 1 => Law::InTurn { next: 0 },
            Pick::Uniform => Law::Uniform,
            Pick::Zipf { exponent } => Law::Zipf(Zipf::new(count, exponent)),
        };
        Picker {
            law,
            count,
            dice: Dice::new(u64::from(publisher) + 1),
        }
    }

    #[inline]
    pub fn pick(&mut self) -> u32 {
        match &mut self.law {
            Law::InTurn { next } => {
                let subject = *next;
                *next = if subject + 1 == self.count {
                    0
                } else {
                    subject + 1
                };
                subject
            }
            Law::Own { first, step, next } => {
                let subject = *next;
                let following = subject + *step;
                *next = if following < self.count {
                    following
                } else {
                    *first
                };
                subject
            }
            Law::Uniform => self.dice.below(self.count),
            Law::Zipf(zipf) => zipf.throw(&mut self.dice),
        }
    }
}

/// Throws `k - 1` with a chance in proportion to `1 / k^exponent`, `k` from 1 to `count`.
///
/// Rejection-inversion after Hörmann and Derflinger: the area under `x^-exponent` is inverted, and the few throws that fall
/// between the curve and its steps are thrown again. No table, so that ten million subjects cost no memory.
#[derive(Debug, Clone)]
struct Zipf {
    count: f64,
    exponent: f64,
    /// The area up to the first subject's end, without its step; and up to the last's.
    first: f64,
    last: f64,
    /// This near to its subject a point is surely under the step.
    near: f64,
}

impl Zipf {
    fn new(count: u32, exponent: f64) -> Zipf {
        let mut zipf = Zipf {
            count: f64::from(count),
            exponent,
            first: 0.0,
            last: 0.0,
            near: 0.0,
        };
        zipf.first = zipf.area(1.5) - 1.0;
        zipf.last = zipf.area(zipf.count + 0.5);
        zipf.near = 2.0 - zipf.place(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    fn throw(&self, dice: &mut Dice) -> u32 {
        loop {
            let area = self.last + dice.share() * (self.first - self.last);
            let place = self.place(area);
            let rank = place.round().clamp(1.0, self.count);
            if rank - place <= self.near || area >= self.area(rank + 0.5) - self.height(rank) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "1 to count"
                )]
                return rank as u32 - 1;
            }
        }
    }

    fn height(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the height from 1 to `x`: `(x^(1-e) - 1) / (1-e)`, also right where `e` is near 1.
    fn area(&self, x: f64) -> f64 {
        let (log, rest) = (x.ln(), 1.0 - self.exponent);
        let power = rest * log;
        match power.abs() < 1e-8 {
            true => log * (1.0 + power / 2.0),
            false => power.exp_m1() / rest,
        }
    }

    /// The inverse of [`area`](Self::area).
    fn place(&self, area: f64) -> f64 {
        let rest = 1.0 - self.exponent;
        let power = (rest * area).max(-1.0);
        match power.abs() < 1e-8 {
            true => (area * (1.0 - power / 2.0)).exp(),
            false => (power.ln_1p() / rest).exp(),
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes every byte");
}

/// Subjects that one wildcard covers at most.
const BLOCK_LENGTH_MAX: u32 = 16;

#[cfg(test)]
#[path = "subjects_tests.rs"]
mod tests;
