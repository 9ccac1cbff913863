//! Patterns by their tokens: which of thousands cover another, or overlap with it.
//!
//! *Control path.* Pure. It is for the exports and imports of accounts, so that reading them takes no longer than their texts.
//!
//! - Nothing in it recurses: a pattern may have as many tokens as a line has room for.
//! - A pattern with many wildcards may have to look at many others; what all questions together may cost is bounded by
//!   [`Effort`].

use std::collections::BTreeMap;

use crate::subject::tokens;

/// Values by patterns.
#[derive(Debug)]
pub(super) struct Patterns<T> {
    /// The first is the root.
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    /// Places of other nodes, by token.
    children: BTreeMap<Box<[u8]>, usize>,
    /// Of the pattern that ends here.
    values: Vec<T>,
}

/// How many more nodes may be looked at.
#[derive(Debug)]
pub(super) struct Effort(usize);

/// The effort was not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Effort {
    pub(super) fn new(nodes: usize) -> Effort {
        Effort(nodes)
    }

    fn spend(&mut self) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }
}

impl<T> Default for Patterns<T> {
    fn default() -> Patterns<T> {
        Patterns {
            nodes: vec![Node::default()],
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Node<T> {
        Node {
            children: BTreeMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T> Patterns<T> {
    /// The values of exactly this pattern.
    pub(super) fn get(&self, pattern: &str) -> &[T] {
        let mut place = 0;
        for token in tokens(pattern.as_bytes()) {
            match self.nodes[place].children.get(token) {
                Some(next) => place = *next,
                None => return &[],
            }
        }
        &self.nodes[place].values
    }

    pub(super) fn insert(&mut self, pattern: &str, value: T) {
        let mut place = 0;
        for token in tokens(pattern.as_bytes()) {
            let known = self.nodes[place].children.get(token).copied();
            place = known.unwrap_or_else(|| {
                let new = self.nodes.len();
                self.nodes.push(Node::default());
                self.nodes[place].children.insert(token.into(), new);
                new
            });
        }
        self.nodes[place].values.push(value);
    }

    /// The values of a pattern that covers all of this one. Of several patterns it is the one that says most, token by token.
    ///
    /// # Errors
    /// When the effort did not suffice to be sure.
    pub(super) fn covering(&self, pattern: &str, effort: &mut Effort) -> Result<&[T], Exhausted> {
        let words: Vec<&[u8]> = tokens(pattern.as_bytes()).collect();
        // Nodes, and how many words lead to them; the last is looked at first. Behind a `>` all words are taken.
        let mut ahead = vec![(0, 0)];
        while let Some((place, taken)) = ahead.pop() {
            effort.spend()?;
            let node = &self.nodes[place];
            let Some(word) = words.get(taken) else {
                if node.values.is_empty() {
                    continue;
                }
                return Ok(&node.values);
            };
            let mut follow = |token: &[u8], taken| {
                ahead.extend(node.children.get(token).map(|next| (*next, taken)));
            };
            follow(b">", words.len());
            if *word != b">" {
                follow(b"*", taken + 1);
            }
            if *word != b">" && *word != b"*" {
                follow(word, taken + 1);
            }
        }
        Ok(&[])
    }

    /// The values of all patterns that have a subject in common with this one.
    ///
    /// # Errors
    /// When the effort did not suffice to find them all.
    pub(super) fn overlapping(
        &self,
        pattern: &[u8],
        effort: &mut Effort,
    ) -> Result<Vec<&T>, Exhausted> {
        let words: Vec<&[u8]> = tokens(pattern).collect();
        let mut found = Vec::new();
        let mut ahead = vec![(0, 0)];
        while let Some((place, taken)) = ahead.pop() {
            effort.spend()?;
            let node = &self.nodes[place];
            let word = words.get(taken).copied();
            // At the end of the words, and behind a `>` of theirs, which takes at least one token.
            if taken >= words.len() {
                found.extend(&node.values);
            }
            match word {
                None if words.last() == Some(&&b">"[..]) => {
                    ahead.extend(node.children.values().map(|next| (*next, taken)));
                }
                None => {}
                Some(b">" | b"*") => {
                    for (token, next) in &node.children {
                        let taken = if **token == *b">" {
                            words.len()
                        } else {
                            taken + 1
                        };
                        ahead.push((*next, taken));
                    }
                }
                Some(word) => {
                    let mut follow = |token: &[u8], taken| {
                        ahead.extend(node.children.get(token).map(|next| (*next, taken)));
                    };
                    follow(b">", words.len());
                    follow(b"*", taken + 1);
                    follow(word, taken + 1);
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::subject::{covers, intersection};

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop::sample::select(&["a", "b", "*"][..]);
        let words = prop::collection::vec(token, 0..4).prop_map(|tokens| tokens.join("."));
        (words, any::<bool>()).prop_map(|(words, open)| match (words.as_str(), open) {
            ("", _) => ">".to_owned(),
            (_, true) => format!("{words}.>"),
            (_, false) => words,
        })
    }

    proptest! {
        #[test]
        fn answers_are_those_of_comparing_all(
            all in prop::collection::vec(pattern(), 0..8), asked in pattern()
        ) {
            let mut patterns = Patterns::default();
            for (place, pattern) in all.iter().enumerate() {
                patterns.insert(pattern, place);
            }
            let mut effort = Effort::new(10_000);
            let found = patterns.covering(&asked, &mut effort).expect("enough effort");
            let any_covers = all.iter().any(|one| covers(one.as_bytes(), asked.as_bytes()));
            prop_assert_eq!(!found.is_empty(), any_covers);
            for place in found {
                prop_assert!(covers(all[*place].as_bytes(), asked.as_bytes()));
            }
            let mut found: Vec<usize> = patterns
                .overlapping(asked.as_bytes(), &mut effort)
                .expect("enough effort")
                .into_iter()
                .copied()
                .collect();
            found.sort_unstable();
            let expected: Vec<usize> = (0..all.len())
                .filter(|place| intersection(all[*place].as_bytes(), asked.as_bytes()).is_some())
                .collect();
            prop_assert_eq!(found, expected);
            for (place, pattern) in all.iter().enumerate() {
                prop_assert!(patterns.get(pattern).contains(&place));
            }
        }
    }

    #[test]
    fn effort_is_bounded_and_depth_is_not() {
        let long = vec!["a"; 30_000].join(".");
        let mut patterns = Patterns::default();
        patterns.insert(&long, ());
        let mut effort = Effort::new(70_000);
        assert_eq!(patterns.covering(&long, &mut effort), Ok(&[()][..]));
        assert_eq!(
            patterns
                .overlapping(b">", &mut effort)
                .map(|found| found.len()),
            Ok(1)
        );
        assert_eq!(patterns.covering(&long, &mut effort), Err(Exhausted));
    }
}
