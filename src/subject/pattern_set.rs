//! A set of patterns, each for everybody or for one queue group: what permissions are made of. *Both paths*: asked once
//! for each new subject of a connection, and for each answer about who gets a subject.
//!
//! A trie over tokens. The rules about queue groups are nats-server's (`client.go`).
//!
//! It does not know what a member of the set allows or denies; its questions say how it is meant.

use super::is_subset;
use hashbrown::HashMap;

/// Patterns, with or without a queue group.
#[derive(Clone, Debug)]
pub struct PatternSet {
    /// The first is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// By literal token.
    next: HashMap<Box<[u8]>, usize, foldhash::fast::FixedState>,
    /// Behind `*`.
    any: Option<usize>,
    /// Patterns that end here.
    ends: Members,
    /// Patterns that end with a `>` behind this.
    tails: Members,
}

#[derive(Clone, Debug, Default)]
struct Members {
    plain: bool,
    queues: Vec<Box<[u8]>>,
}

/// How a `>` in what is asked for is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// As a token like any other, so that `foo.*` matches `foo.>`.
    Subject,
    /// As all subjects it stands for, so that `foo.*` does not cover `foo.>`.
    Pattern,
}

/// What matches, seen by a member of one queue group.
#[derive(Default)]
struct Hits {
    plain: bool,
    has_queues: bool,
    own_queue: bool,
}

impl Default for PatternSet {
    fn default() -> PatternSet {
        PatternSet {
            nodes: vec![Node::default()],
        }
    }
}

impl PatternSet {
    pub fn is_empty(&self) -> bool {
        let root = &self.nodes[0];
        self.nodes.len() == 1 && !root.tails.plain && root.tails.queues.is_empty()
    }

    /// Adds a pattern, for members of `queue` only if that is not empty.
    pub fn insert(&mut self, pattern: super::Pattern<'_>, queue: &[u8]) {
        let mut at = 0;
        let mut is_tail = false;
        for token in pattern.tokens() {
            match token {
                b">" => is_tail = true,
                b"*" => {
                    at = match self.nodes[at].any {
                        Some(next) => next,
                        None => {
                            let next = self.add_node();
                            *self.nodes[at].any.insert(next)
                        }
                    };
                }
                literal => {
                    at = match self.nodes[at].next.get(literal) {
                        Some(next) => *next,
                        None => {
                            let next = self.add_node();
                            self.nodes[at].next.insert(literal.into(), next);
                            next
                        }
                    };
                }
            }
        }
        let node = &mut self.nodes[at];
        let members = if is_tail {
            &mut node.tails
        } else {
            &mut node.ends
        };
        if queue.is_empty() {
            members.plain = true;
        } else {
            members.queues.push(queue.into());
        }
    }

    /// Whether it concerns messages of `subject` for `queue`, or for a plain subscription if that is empty. What is for
    /// everybody concerns queue groups too. A subject with an empty token concerns nobody.
    pub fn matches(&self, subject: &[u8], queue: &[u8]) -> bool {
        let hits = self.hits(subject, queue, Asked::Subject);
        hits.plain || hits.own_queue
    }

    /// Whether a member covers all subjects of a pattern, for `queue`, or for a plain subscription if that is empty. Where
    /// members for queue groups match, they alone decide about queue groups.
    pub fn covers(&self, pattern: &[u8], queue: &[u8]) -> bool {
        let hits = self.hits(pattern, queue, Asked::Pattern);
        if queue.is_empty() || !hits.has_queues {
            hits.plain
        } else {
            hits.own_queue
        }
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn hits(&self, bytes: &[u8], queue: &[u8], asked: Asked) -> Hits {
        let mut hits = Hits::default();
        if !super::has_no_empty_token(bytes) {
            return hits;
        }
        // Nodes to visit, and what is left of the subject behind each; `None` is nothing.
        let mut visits: Vec<(usize, Option<&[u8]>)> = vec![(0, Some(bytes))];
        while let Some((at, rest)) = visits.pop() {
            let node = &self.nodes[at];
            let Some(rest) = rest else {
                hits.add(&node.ends, queue);
                continue;
            };
            hits.add(&node.tails, queue);
            let (token, rest) = match memchr::memchr(b'.', rest) {
                Some(dot) => (&rest[..dot], Some(&rest[dot + 1..])),
                None => (rest, None),
            };
            if let Some(next) = node.any
                && (asked == Asked::Subject || token != b">")
            {
                visits.push((next, rest));
            }
            if let Some(next) = node.next.get(token) {
                visits.push((*next, rest));
            }
        }
        hits
    }
}

impl Hits {
    fn add(&mut self, members: &Members, queue: &[u8]) {
        self.plain |= members.plain;
        self.has_queues |= !members.queues.is_empty();
        if !queue.is_empty() {
            // A group's name may be a pattern of names; a name that looks like one is meant first.
            let is_own = |name: &[u8]| name == queue || is_subset(queue, name);
            self.own_queue |= members.queues.iter().any(|name| is_own(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pattern;
    use super::*;
    use proptest::prelude::*;

    fn set(members: &[(&str, &str)]) -> PatternSet {
        let mut set = PatternSet::default();
        for (pattern, queue) in members {
            let pattern = Pattern::new(pattern.as_bytes()).expect("a pattern");
            set.insert(pattern, queue.as_bytes());
        }
        set
    }

    #[test]
    fn a_pattern_matches_subjects_and_covers_patterns() {
        let set = set(&[("foo.*", ""), ("bar.>", ""), ("baz", "")]);
        for (asked, matches, covers) in [
            ("foo.a", true, true),
            ("foo.*", true, true),
            ("foo.>", true, false),
            ("foo", false, false),
            ("foo.a.b", false, false),
            ("bar", false, false),
            ("bar.a.b", true, true),
            ("bar.>", true, true),
            ("bar.*", true, true),
            ("baz", true, true),
            ("*", false, false),
            (">", false, false),
            ("bar..a", false, false),
            ("bar.", false, false),
            ("", false, false),
        ] {
            assert_eq!(set.matches(asked.as_bytes(), b""), matches, "{asked}");
            assert_eq!(set.covers(asked.as_bytes(), b""), covers, "{asked}");
        }
    }

    #[test]
    fn queue_groups_are_asked_for_by_name() {
        let set = set(&[
            ("foo", ""),
            ("foo", "v1"),
            ("bar", "v1"),
            ("baz", "*.prod"),
            ("qux", ""),
        ]);
        for (asked, queue, matches, covers) in [
            ("foo", "", true, true),
            ("foo", "v1", true, true),
            ("foo", "v2", true, false),
            ("bar", "", false, false),
            ("bar", "v1", true, true),
            ("bar", "v2", false, false),
            ("baz", "eu.prod", true, true),
            ("baz", "*.prod", true, true),
            ("baz", "eu.test", false, false),
            ("qux", "v2", true, true),
        ] {
            let (subject, name) = (asked.as_bytes(), queue.as_bytes());
            assert_eq!(set.matches(subject, name), matches, "{asked} {queue}");
            assert_eq!(set.covers(subject, name), covers, "{asked} {queue}");
        }
    }

    #[test]
    fn emptiness_is_seen() {
        assert!(PatternSet::default().is_empty());
        for member in [(">", ""), (">", "q"), ("a", ""), ("*", "")] {
            assert!(!set(&[member]).is_empty(), "{member:?}");
        }
    }

    /// What a set is, without any cleverness.
    struct Model(Vec<(String, String)>);

    impl Model {
        fn hits(&self, asked: &str, queue: &str, as_pattern: bool) -> (bool, bool, bool) {
            let is_hit = |(pattern, _): &&(String, String)| {
                let (pattern, asked) = (pattern.as_str(), asked);
                let (pattern, asked): (Vec<_>, Vec<_>) =
                    (pattern.split('.').collect(), asked.split('.').collect());
                let fits = |(index, token): (usize, &&str)| match *token {
                    ">" => asked.len() > index,
                    "*" => asked
                        .get(index)
                        .is_some_and(|asked| !as_pattern || *asked != ">"),
                    literal => asked.get(index) == Some(&literal),
                };
                let is_open = pattern.last() == Some(&">");
                pattern.iter().enumerate().all(fits) && (is_open || pattern.len() == asked.len())
            };
            let hits: Vec<&(String, String)> = self.0.iter().filter(is_hit).collect();
            let own = |name: &str| name == queue || (name == "*" && !queue.is_empty());
            (
                hits.iter().any(|(_, name)| name.is_empty()),
                hits.iter().any(|(_, name)| !name.is_empty()),
                hits.iter()
                    .any(|(_, name)| !name.is_empty() && !queue.is_empty() && own(name)),
            )
        }
    }

    fn some_pattern() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec!["a", "b", "c", "*"]);
        (prop::collection::vec(token, 0..4), any::<bool>()).prop_map(|(mut tokens, open)| {
            if open || tokens.is_empty() {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn it_answers_as_a_list_would(
            members in prop::collection::vec((some_pattern(), prop::sample::select(vec!["", "", "q", "r", "*"])), 0..8),
            asked in some_pattern(),
            queue in prop::sample::select(vec!["", "q", "s"]),
        ) {
            let borrowed: Vec<(&str, &str)> = members.iter().map(|(p, q)| (p.as_str(), *q)).collect();
            let set = set(&borrowed);
            let model = Model(members.iter().map(|(p, q)| (p.clone(), (*q).to_owned())).collect());
            let (plain, _, own) = model.hits(&asked, queue, false);
            prop_assert_eq!(set.matches(asked.as_bytes(), queue.as_bytes()), plain || own);
            let (plain, has_queues, own) = model.hits(&asked, queue, true);
            let covers = if queue.is_empty() || !has_queues { plain } else { own };
            prop_assert_eq!(set.covers(asked.as_bytes(), queue.as_bytes()), covers);
            prop_assert_eq!(set.is_empty(), members.is_empty());
        }
    }
}
