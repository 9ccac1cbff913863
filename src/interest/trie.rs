//! Wildcard patterns, token by token. *Off the hot path*: asked only when the match cache has no answer.
//!
//! All edges of the trie live in one hash table keyed by (parent, token), so that a node costs its token and a few
//! words, however many or few children it has. Each layer has a root of its own, once it has had a pattern.

use super::PatternId;
use super::space::Layer;
use crate::base::slab::Slab;
use crate::subject::{Pattern, Subject};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hasher};

const NONE: u32 = u32::MAX;

/// Which wildcard patterns exist, and which of them match a subject.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Slab<Node>,
    edges: HashTable<u32>,
    /// Of accounts' own layers and of their importers' layers, each by account, as far as they go.
    roots: [Vec<u32>; 2],
    hasher: FixedState,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    token: Box<[u8]>,
    /// The child for `*`; children for literal tokens are found through `edges`.
    star: u32,
    /// The pattern that ends here.
    here: Option<PatternId>,
    /// The pattern that ends here with a `>`.
    rest: Option<PatternId>,
    children: u32,
}

impl Node {
    fn new(parent: u32, token: &[u8]) -> Node {
        Node {
            parent,
            token: token.into(),
            star: NONE,
            here: None,
            rest: None,
            children: 0,
        }
    }

    fn is_useless(&self) -> bool {
        self.children == 0 && self.here.is_none() && self.rest.is_none()
    }
}

impl Trie {
    pub(super) fn new(seed: u64) -> Trie {
        Trie {
            nodes: Slab::new(),
            edges: HashTable::new(),
            roots: [Vec::new(), Vec::new()],
            hasher: FixedState::with_seed(seed),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let mut roots = self.roots.iter().flatten();
        self.nodes.is_empty() && roots.all(|root| *root == NONE)
    }

    pub(super) fn find(&self, layer: Layer, pattern: Pattern<'_>) -> Option<PatternId> {
        let mut at = self.root(layer);
        if at == NONE {
            return None;
        }
        for token in pattern.tokens() {
            match token {
                b">" => return self.nodes[at].rest,
                b"*" => at = self.nodes[at].star,
                _ => at = self.child(at, token).unwrap_or(NONE),
            }
            if at == NONE {
                return None;
            }
        }
        self.nodes[at].here
    }

    /// Adds a pattern that is not there yet.
    pub(super) fn insert(&mut self, layer: Layer, pattern: Pattern<'_>, id: PatternId) {
        let mut at = self.root(layer);
        if at == NONE {
            at = self.nodes.insert(Node::new(NONE, b""));
            self.set_root(layer, at);
        }
        for token in pattern.tokens() {
            if token == b">" {
                self.nodes[at].rest = Some(id);
                return;
            }
            at = self.grow(at, token);
        }
        self.nodes[at].here = Some(id);
    }

    /// Removes a pattern that is there, and every node that nobody needs any more.
    pub(super) fn remove(&mut self, layer: Layer, pattern: Pattern<'_>) {
        let mut at = self.root(layer);
        assert!(
            at != NONE,
            "the layer of the pattern to remove has patterns"
        );
        let mut open_ended = false;
        for token in pattern.tokens() {
            match token {
                b">" => open_ended = true,
                b"*" => at = self.nodes[at].star,
                _ => at = self.child(at, token).unwrap_or(NONE),
            }
            assert!(at != NONE, "the pattern to remove is in the trie");
        }
        let node = &mut self.nodes[at];
        if open_ended {
            node.rest = None;
        } else {
            node.here = None;
        }
        self.prune(layer, at);
    }

    /// Calls `found` for every pattern of the layer that matches.
    pub(super) fn matches(
        &self,
        layer: Layer,
        subject: Subject<'_>,
        found: &mut impl FnMut(PatternId),
    ) {
        let root = self.root(layer);
        if root != NONE {
            self.walk(root, subject.as_bytes(), found);
        }
    }

    fn root(&self, layer: Layer) -> u32 {
        let roots = &self.roots[usize::from(layer.is_importers())];
        roots.get(layer.account().index()).copied().unwrap_or(NONE)
    }

    fn set_root(&mut self, layer: Layer, root: u32) {
        let roots = &mut self.roots[usize::from(layer.is_importers())];
        let index = layer.account().index();
        if roots.len() <= index {
            roots.resize(index + 1, NONE);
        }
        roots[index] = root;
    }

    /// Matches what is left of a subject below `at`. At least one token is left.
    fn walk(&self, at: u32, left: &[u8], found: &mut impl FnMut(PatternId)) {
        let node = &self.nodes[at];
        if let Some(id) = node.rest {
            found(id);
        }
        let (token, after) = match memchr::memchr(b'.', left) {
            Some(dot) => (&left[..dot], Some(&left[dot + 1..])),
            None => (left, None),
        };
        let mut step = |child: u32| match after {
            Some(after) => self.walk(child, after, found),
            None => {
                if let Some(id) = self.nodes[child].here {
                    found(id);
                }
            }
        };
        if node.star != NONE {
            step(node.star);
        }
        if let Some(child) = self.child(at, token) {
            step(child);
        }
    }

    fn child(&self, parent: u32, token: &[u8]) -> Option<u32> {
        if self.nodes[parent].children == 0 {
            return None;
        }
        let is_it = |key: &u32| {
            let node = &self.nodes[*key];
            node.parent == parent && *node.token == *token
        };
        self.edges
            .find(edge_hash(&self.hasher, parent, token), is_it)
            .copied()
    }

    fn grow(&mut self, parent: u32, token: &[u8]) -> u32 {
        let existing = match token {
            b"*" => Some(self.nodes[parent].star).filter(|star| *star != NONE),
            _ => self.child(parent, token),
        };
        if let Some(child) = existing {
            return child;
        }
        let child = self.nodes.insert(Node::new(parent, token));
        self.nodes[parent].children += 1;
        if token == b"*" {
            self.nodes[parent].star = child;
        } else {
            let Trie {
                nodes,
                edges,
                hasher,
                ..
            } = self;
            let rehash = |key: &u32| edge_hash(hasher, nodes[*key].parent, &nodes[*key].token);
            edges.insert_unique(edge_hash(hasher, parent, token), child, rehash);
        }
        child
    }

    fn prune(&mut self, layer: Layer, mut at: u32) {
        while self.nodes[at].is_useless() {
            let Some(node) = self.nodes.remove(at) else {
                unreachable!("the node was just looked at");
            };
            if node.parent == NONE {
                return self.set_root(layer, NONE);
            }
            if *node.token == *b"*" {
                self.nodes[node.parent].star = NONE;
            } else {
                let hash = edge_hash(&self.hasher, node.parent, &node.token);
                if let Ok(edge) = self.edges.find_entry(hash, |key| *key == at) {
                    edge.remove();
                }
            }
            self.nodes[node.parent].children -= 1;
            at = node.parent;
        }
    }
}

fn edge_hash(hasher: &FixedState, parent: u32, token: &[u8]) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write_u32(parent);
    hash.write(token);
    hash.finish()
}
