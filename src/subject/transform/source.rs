//! The source of a transform: which subjects it takes. *Hot path* to match.
//!
//! What a `>` stands for may have empty tokens, as in nats-server; what `*` stands for may not.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::subject) struct Source {
    pub(super) pieces: Box<[Piece]>,
    /// It ends in `>`.
    pub(super) open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Box<[u8]>),
    /// `*`
    Any,
}

impl Source {
    pub(in crate::subject) fn compile(text: &str) -> Option<Source> {
        Shape::of(text).map(|shape| Source::from(&shape))
    }

    /// Whether it stands for the subject of these tokens.
    pub(in crate::subject) fn matches(&self, words: &[&[u8]]) -> bool {
        let fixed = self.pieces.len();
        let enough = if self.open {
            words.len() > fixed
        } else {
            words.len() == fixed
        };
        // A published `>` is no token that `*` stands for.
        let mut pairs = self.pieces.iter().zip(words);
        enough
            && pairs.all(|(piece, word)| match piece {
                Piece::Literal(text) => **text == **word,
                Piece::Any => !word.is_empty() && *word != b">",
            })
    }

    pub(super) fn wildcards(&self) -> usize {
        let any = self.pieces.iter().filter(|piece| **piece == Piece::Any);
        any.count()
    }
}

impl From<&Shape<'_>> for Source {
    fn from(shape: &Shape<'_>) -> Source {
        let pieces = shape.tokens.iter().map(|token| match *token {
            "*" => Piece::Any,
            _ => Piece::Literal(token.as_bytes().into()),
        });
        Source {
            pieces: pieces.collect(),
            open: shape.open,
        }
    }
}

/// A subject in its tokens, when none is empty and `>` is last. The `>` itself is not among them.
pub(super) struct Shape<'a> {
    pub(super) tokens: Vec<&'a str>,
    /// Where `*` stands.
    pub(super) wildcards: Vec<usize>,
    pub(super) open: bool,
}

impl<'a> Shape<'a> {
    pub(super) fn of(text: &'a str) -> Option<Shape<'a>> {
        let mut tokens: Vec<&str> = text.split('.').collect();
        let open = tokens.last() == Some(&">");
        if open {
            tokens.pop();
        }
        if tokens.iter().any(|token| token.is_empty() || *token == ">") {
            return None;
        }
        let wildcards = (0..tokens.len()).filter(|at| tokens[*at] == "*").collect();
        Some(Shape {
            tokens,
            wildcards,
            open,
        })
    }
}
