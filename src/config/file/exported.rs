//! What one account exports of one kind, by subject: which export decides about an import.
//!
//! *Control path.* Pure. A tree of tokens, so that thousands of exports and imports take no longer than their texts.

use std::collections::BTreeMap;

use crate::subject::tokens;

/// Exports by subject. A value is its place in a list of somebody else's.
#[derive(Debug, Default)]
pub(super) struct Exported {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Box<[u8]>, Node>,
    /// The export that ends here.
    end: Option<usize>,
}

impl Exported {
    /// The export with exactly this subject.
    pub(super) fn get(&self, subject: &str) -> Option<usize> {
        let mut node = &self.root;
        for token in tokens(subject.as_bytes()) {
            node = node.children.get(token)?;
        }
        node.end
    }

    pub(super) fn insert(&mut self, subject: &str, value: usize) {
        let mut node = &mut self.root;
        for token in tokens(subject.as_bytes()) {
            node = node.children.entry(token.into()).or_default();
        }
        node.end = Some(value);
    }

    /// The export that covers all of this pattern. Of several it is the one that says most, token by token; nats-server
    /// takes one at random.
    pub(super) fn covering(&self, pattern: &str) -> Option<usize> {
        let words: Vec<&[u8]> = tokens(pattern.as_bytes()).collect();
        self.root.covering(&words)
    }
}

impl Node {
    fn covering(&self, words: &[&[u8]]) -> Option<usize> {
        let Some((word, rest)) = words.split_first() else {
            return self.end;
        };
        let below = |token: &[u8]| self.children.get(token)?.covering(rest);
        let tail = || self.children.get(&b">"[..])?.end;
        match *word {
            b">" => tail(),
            b"*" => below(b"*").or_else(tail),
            // A literal token may be spelled like none of the two.
            word => below(word).or_else(|| below(b"*")).or_else(tail),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::subject::covers;

    fn pattern() -> impl Strategy<Value = String> {
        let token = prop::sample::select(&["a", "b", "*"][..]);
        let words = prop::collection::vec(token, 1..4).prop_map(|tokens| tokens.join("."));
        (words, any::<bool>()).prop_map(|(words, open)| match open {
            true => format!("{words}.>"),
            false => words,
        })
    }

    proptest! {
        #[test]
        fn it_finds_one_that_covers_if_there_is_one(
            exports in prop::collection::vec(pattern(), 0..8), import in pattern()
        ) {
            let mut exported = Exported::default();
            for (place, export) in exports.iter().enumerate() {
                exported.insert(export, place);
            }
            let covering: Vec<&String> = exports
                .iter()
                .filter(|export| covers(export.as_bytes(), import.as_bytes()))
                .collect();
            match exported.covering(&import) {
                Some(place) => prop_assert!(covering.contains(&&exports[place])),
                None => prop_assert!(covering.is_empty(), "{covering:?}"),
            }
            for export in &exports {
                let found = exported.get(export).map(|place| &exports[place]);
                prop_assert_eq!(found, Some(export));
            }
        }
    }
}
