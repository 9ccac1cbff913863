//! Subject mappings: what an account's messages are published to becomes another subject before they are routed.
//!
//! *Control path* to fill, *hot path* to ask. A mapping has destinations with weights; what the weights leave of a hundred
//! keeps its subject, unless the source itself is among the destinations: then it is lost, which is how loss is simulated.
//! Destinations bound to a cluster take the place of the others in that cluster. Facts: nats-server `accounts.go`.
//!
//! What holds: sources of one subject are asked before patterns, patterns in the order in which they were added. In
//! nats-server the order of a configuration file's mappings is random.
//!
//! It does not map twice: a mapped subject is routed as it is.

use std::fmt;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::transform::{SPACE, Source, Transform, TransformError, numbered};
use super::{Pattern, tokens};

/// The mappings of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mappings {
    /// Without wildcards, by subject.
    literals: HashMap<Box<[u8]>, Mapping, FixedState>,
    patterns: Vec<Mapping>,
}

/// One source and where its messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    source: String,
    taken: Source,
    literal: bool,
    choices: Vec<Choice>,
}

/// One destination as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    pub subject: &'a str,
    /// Of a hundred messages.
    pub weight: u8,
    /// Only in this cluster.
    pub cluster: Option<&'a str>,
}

/// What a mapping makes of a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mapped {
    To(Vec<u8>),
    /// The message is lost.
    Nowhere,
}

/// Taken when a number from 0 to 99 is below `below`, and not below that of the choice before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    below: u8,
    transform: Transform,
}

impl Mappings {
    /// Adds a mapping, or replaces the one of this source. `cluster` is the name of the cluster this server is in.
    pub fn add(
        &mut self,
        source: &str,
        destinations: &[Destination<'_>],
        cluster: Option<&str>,
    ) -> Result<(), MappingError> {
        let mapping = Mapping::compile(source, destinations, cluster)?;
        if mapping.literal {
            self.literals.insert(source.as_bytes().into(), mapping);
            return Ok(());
        }
        let known = self.patterns.iter_mut().find(|old| old.source == source);
        match known {
            Some(old) => *old = mapping,
            None => self.patterns.push(mapping),
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.patterns.is_empty()
    }

    /// The mapping that takes this subject.
    pub fn find(&self, subject: &[u8]) -> Option<&Mapping> {
        if let Some(mapping) = self.literals.get(subject) {
            return Some(mapping);
        }
        if self.patterns.is_empty() {
            return None;
        }
        let words: Vec<&[u8]> = tokens(subject).collect();
        let mut patterns = self.patterns.iter();
        patterns.find(|mapping| mapping.taken.matches(&words))
    }
}

impl Mapping {
    fn compile(
        source: &str,
        destinations: &[Destination<'_>],
        cluster: Option<&str>,
    ) -> Result<Mapping, MappingError> {
        let invalid = || MappingError::Transform(TransformError::invalid_subject());
        let pattern = Pattern::new(source.as_bytes()).filter(|_| !source.contains(SPACE));
        let literal = pattern.ok_or_else(invalid)?.is_literal();
        let mut weighed = Vec::with_capacity(destinations.len());
        for (index, destination) in destinations.iter().enumerate() {
            check_weights(&destinations[..=index])?;
            let transform = Transform::compile_mapping(source, destination.subject);
            let transform = transform.map_err(MappingError::Transform)?;
            weighed.push((destination.bound(), destination.weight, transform));
        }
        let bound = cluster.filter(|_| weighed.iter().any(|(bound, ..)| *bound == cluster));
        weighed.retain(|(of, ..)| *of == bound);
        let total: u8 = weighed.iter().map(|(_, weight, _)| weight).sum();
        let loss_wanted = destinations.iter().any(|other| other.subject == source);
        if total < 100 && !loss_wanted {
            let unchanged = Transform::compile(source, &numbered(source));
            let unchanged = unchanged.map_err(MappingError::Transform)?;
            weighed.push((bound, 100 - total, unchanged));
        }
        Ok(Mapping {
            source: source.to_owned(),
            taken: Source::compile(source).ok_or_else(invalid)?,
            literal,
            choices: choices(weighed.into_iter().map(|(_, weight, to)| (weight, to))),
        })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether one subject may become different ones.
    pub fn depends_on_chance(&self) -> bool {
        match self.choices.as_slice() {
            [] => false,
            [only] if only.below == 100 => only.transform.depends_on_chance(),
            _ => true,
        }
    }

    /// What becomes of a subject that this mapping takes. `random` picks a number below its argument.
    pub fn map(&self, subject: &[u8], random: &mut impl FnMut(u32) -> u32) -> Mapped {
        let choice = match self.choices.as_slice() {
            [] => None,
            [only] if only.below == 100 => Some(only),
            choices => {
                let number = random(100);
                choices.iter().find(|one| number < u32::from(one.below))
            }
        };
        // For a source of one subject nats-server hashes nothing at all into `{{partition(n)}}`, unless it has compared the
        // subject with a pattern before. The result is a constant either way: be it the same one.
        let subject = if self.literal { b"" } else { subject };
        match choice {
            Some(choice) => Mapped::To(choice.transform.rewrite(subject, random)),
            None => Mapped::Nowhere,
        }
    }
}

impl<'a> Destination<'a> {
    /// No name is no cluster.
    fn bound(&self) -> Option<&'a str> {
        self.cluster.filter(|name| !name.is_empty())
    }
}

/// What is wrong with the last of these, given the others.
fn check_weights(destinations: &[Destination<'_>]) -> Result<(), MappingError> {
    let Some((last, others)) = destinations.split_last() else {
        return Ok(());
    };
    if others.iter().any(|other| other.subject == last.subject) {
        return Err(MappingError::Duplicate(last.subject.to_owned()));
    }
    if last.weight > 100 {
        return Err(MappingError::Weight);
    }
    let same_cluster = destinations
        .iter()
        .filter(|one| one.bound() == last.bound());
    let total: u32 = same_cluster.map(|one| u32::from(one.weight)).sum();
    if total > 100 {
        return Err(MappingError::TotalWeight);
    }
    Ok(())
}

/// Weights add up; those that can never be taken are left out.
fn choices(weighed: impl Iterator<Item = (u8, Transform)>) -> Vec<Choice> {
    let mut below = 0;
    weighed
        .filter(|(weight, _)| *weight > 0)
        .map(|(weight, transform)| {
            below += weight;
            Choice { below, transform }
        })
        .collect()
}

/// Why a mapping was refused, in nats-server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingError {
    Transform(TransformError),
    /// One destination twice.
    Duplicate(String),
    Weight,
    TotalWeight,
}

impl fmt::Display for MappingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MappingError::Transform(error) => error.fmt(f),
            MappingError::Duplicate(subject) => write!(f, "duplicate entry for {subject:?}"),
            MappingError::Weight => f.write_str("individual weights need to be <= 100"),
            MappingError::TotalWeight => f.write_str("total weight needs to be <= 100"),
        }
    }
}

impl std::error::Error for MappingError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn to(subject: &str, weight: u8) -> Destination<'_> {
        Destination {
            subject,
            weight,
            cluster: None,
        }
    }

    fn mapped(mappings: &Mappings, subject: &str) -> Option<String> {
        let mapping = mappings.find(subject.as_bytes())?;
        match mapping.map(subject.as_bytes(), &mut |_| unreachable!("it is certain")) {
            Mapped::To(bytes) => Some(String::from_utf8(bytes).expect("text")),
            Mapped::Nowhere => Some("lost".to_owned()),
        }
    }

    #[test]
    fn one_subject_goes_before_patterns_and_those_in_their_order() {
        let mut mappings = Mappings::default();
        assert!(mappings.is_empty());
        for (source, destination) in [("a.>", "first.>"), ("a.*", "second.$1"), ("a.b", "third")] {
            let added = mappings.add(source, &[to(destination, 100)], None);
            added.expect("valid");
        }
        assert_eq!(mapped(&mappings, "a.b").as_deref(), Some("third"));
        assert_eq!(mapped(&mappings, "a.c").as_deref(), Some("first.c"));
        assert_eq!(mapped(&mappings, "b"), None);
        // In its old place.
        let replaced = mappings.add("a.>", &[to("fourth.>", 100)], None);
        replaced.expect("valid");
        assert_eq!(mapped(&mappings, "a.c").as_deref(), Some("fourth.c"));
    }

    #[test]
    fn destinations_of_the_own_cluster_take_the_place_of_the_others() {
        let here = Destination {
            cluster: Some("here"),
            ..to("x.here", 100)
        };
        let unnamed = Destination {
            cluster: Some(""),
            ..to("x.any", 100)
        };
        for (cluster, result) in [
            (Some("here"), "x.here"),
            (Some("there"), "x.any"),
            (None, "x.any"),
        ] {
            let mut mappings = Mappings::default();
            mappings.add("x", &[here, unnamed], cluster).expect("valid");
            assert_eq!(mapped(&mappings, "x").as_deref(), Some(result));
        }
    }

    #[test]
    fn shares_are_as_the_weights_say() {
        let mut mappings = Mappings::default();
        let added = mappings.add(
            "a.*",
            &[to("b.$1", 60), to("c.$1", 10), to("d.$1", 0)],
            None,
        );
        added.expect("valid");
        let mapping = mappings.find(b"a.x").expect("it is mapped");
        assert!(mapping.depends_on_chance());
        let mut shares = std::collections::BTreeMap::new();
        for number in 0..100 {
            *shares
                .entry(mapping.map(b"a.x", &mut |_| number))
                .or_insert(0) += 1;
        }
        let found: Vec<(Mapped, i32)> = shares.into_iter().collect();
        let share = |subject: &[u8], share| (Mapped::To(subject.to_vec()), share);
        assert_eq!(
            found,
            [share(b"a.x", 30), share(b"b.x", 60), share(b"c.x", 10)]
        );
    }

    #[test]
    fn the_source_among_its_destinations_loses_the_rest() {
        let mut mappings = Mappings::default();
        mappings.add("a", &[to("a", 1)], None).expect("valid");
        let mapping = mappings.find(b"a").expect("it is mapped");
        assert_eq!(mapping.map(b"a", &mut |_| 0), Mapped::To(b"a".to_vec()));
        assert_eq!(mapping.map(b"a", &mut |_| 1), Mapped::Nowhere);
        mappings.add("a", &[to("a", 0)], None).expect("valid");
        assert_eq!(mapped(&mappings, "a").as_deref(), Some("lost"));
    }

    #[test]
    fn weights_and_names_are_checked() {
        let refused = |source: &str, destinations: &[Destination<'_>]| {
            let mut mappings = Mappings::default();
            let error = mappings.add(source, destinations, None).expect_err(source);
            assert!(mappings.is_empty());
            error.to_string()
        };
        assert_eq!(
            refused("a", &[to("b", 101)]),
            "individual weights need to be <= 100"
        );
        assert_eq!(
            refused("a", &[to("b", 60), to("c", 41)]),
            "total weight needs to be <= 100"
        );
        assert_eq!(
            refused("a", &[to("b", 1), to("b", 1)]),
            "duplicate entry for \"b\""
        );
        assert_eq!(refused("a b", &[to("b", 1)]), "invalid subject");
        assert_eq!(refused("a..b", &[]), "invalid subject");
        // nats-server takes it, and does not survive the first message.
        assert_eq!(
            refused("a", &[to("", 1)]),
            "invalid mapping destination: invalid transform"
        );
        let others = Destination {
            cluster: Some("other"),
            ..to("c", 100)
        };
        let mut mappings = Mappings::default();
        assert_eq!(mappings.add("a", &[to("b", 100), others], None), Ok(()));
    }

    #[test]
    fn only_what_depends_on_chance_asks_for_it() {
        let mut rng = Rng::from_seed(5);
        for _ in 0..500 {
            let mut destinations = Vec::new();
            let mut left = 100;
            for subject in ["b.$1", "c.{{random(2)}}", "a.*"] {
                let weight = u8::try_from(rng.below(left + 1)).expect("at most 100");
                if subject != "a.*" && rng.below(3) > 0 {
                    destinations.push(to(subject, weight));
                    left -= u32::from(weight);
                }
            }
            let mut mappings = Mappings::default();
            mappings.add("a.*", &destinations, None).expect("valid");
            let mapping = mappings.find(b"a.x").expect("it is mapped");
            let results: std::collections::BTreeSet<Mapped> = (0..100)
                .map(|number| mapping.map(b"a.x", &mut |bound| number % bound))
                .collect();
            assert_eq!(
                mapping.depends_on_chance(),
                results.len() > 1,
                "{destinations:?}"
            );
        }
    }
}
