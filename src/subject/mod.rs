//! Subjects: the literal ones that messages carry, and the patterns that subscriptions ask for. *Both paths.*
//!
//! The grammar is nats-server's (`sublist.go`): tokens between dots; `*` alone stands for one token, `>` alone and
//! last for one or more. Bytes other than white space are free, so `foo*` is a literal token. White space cannot occur:
//! the control line was split at it.
//!
//! `transform` turns subjects into others, `mappings` says which. It does not know accounts or permissions.

mod mappings;
mod pattern_set;
mod relation;
mod transform;

use std::fmt;

pub use mappings::{Destination, Mapped, Mapping, MappingError, Mappings};
pub use pattern_set::PatternSet;
pub use relation::{covers, intersection, matches};
pub use transform::{Reason, Transform, TransformError, numbered, unnumbered};

/// What a message is published to, known to be routable: at least one token, none empty.
///
/// Wildcard characters have no meaning in it: a publish to `foo.*` reaches `foo.*` and `foo.>` subscriptions only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a>(&'a [u8]);

impl<'a> Subject<'a> {
    /// `None` when a token is empty: nats-server accepts such a publish and delivers it to nobody.
    pub fn new(bytes: &'a [u8]) -> Option<Subject<'a>> {
        has_no_empty_token(bytes).then_some(Subject(bytes))
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn tokens(self) -> impl Iterator<Item = &'a [u8]> {
        tokens(self.0)
    }
}

/// What a subscription asks for: a subject that may contain wildcards.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pattern<'a> {
    bytes: &'a [u8],
    literal: bool,
}

impl<'a> Pattern<'a> {
    /// `None` for what nats-server answers with `-ERR 'Invalid Subject'`: an empty token, or a `>` that is not last.
    pub fn new(bytes: &'a [u8]) -> Option<Pattern<'a>> {
        let mut literal = true;
        let mut closed = false;
        for token in tokens(bytes) {
            if token.is_empty() || closed {
                return None;
            }
            closed = token == b">";
            literal &= !closed && token != b"*";
        }
        Some(Pattern { bytes, literal })
    }

    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it stands for one subject only.
    pub fn is_literal(self) -> bool {
        self.literal
    }

    pub fn tokens(self) -> impl Iterator<Item = &'a [u8]> {
        tokens(self.bytes)
    }

    /// Whether messages of `subject` are meant: one by one, for those who look at a subscription from outside. Messages
    /// ask the index.
    pub fn matches(self, subject: Subject<'_>) -> bool {
        let mut wanted = self.tokens();
        let mut given = subject.tokens();
        loop {
            match (wanted.next(), given.next()) {
                (Some(b">"), Some(_)) | (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == b"*" || wanted == given => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0))
    }
}

impl fmt::Debug for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.bytes))
    }
}

/// The tokens between the dots; a string without a dot is one token.
pub fn tokens(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'.')
}

/// Whether every subject that `narrow` stands for is one of `wide`. Neither needs to be valid.
pub fn is_subset(narrow: &[u8], wide: &[u8]) -> bool {
    let mut narrow = tokens(narrow);
    for wanted in tokens(wide) {
        match (narrow.next(), wanted) {
            (None | Some(b""), _) => return false,
            (Some(_), b">") => return true,
            (Some(token), b"*") if token != b">" => {}
            (Some(token), wanted) if token == wanted && token != b">" => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

fn has_no_empty_token(bytes: &[u8]) -> bool {
    let mut after_dot = true;
    for byte in bytes {
        if *byte == b'.' {
            if after_dot {
                return false;
            }
            after_dot = true;
        } else {
            after_dot = false;
        }
    }
    !after_dot
}

/// What pedantic mode demands of a publish: no empty token and no wildcard (nats-server `IsValidLiteralSubject`).
pub fn is_pedantic_publish(bytes: &[u8]) -> bool {
    tokens(bytes).all(|token| !token.is_empty() && token != b"*" && token != b">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_token_by_token() {
        let matches = |pattern: &str, subject: &str| {
            let pattern = Pattern::new(pattern.as_bytes()).expect("a pattern");
            pattern.matches(Subject::new(subject.as_bytes()).expect("a subject"))
        };
        for (pattern, subject) in [
            ("a", "a"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("a.>", "a.b"),
            ("a.>", "a.b.c"),
            (">", "a"),
            ("a.*", "a.*"),
        ] {
            assert!(matches(pattern, subject), "{pattern} {subject}");
        }
        for (pattern, subject) in [
            ("a", "b"),
            ("a", "a.b"),
            ("a.b", "a"),
            ("a.*", "a"),
            ("a.*", "a.b.c"),
            ("a.>", "a"),
            ("a*", "ab"),
            ("a.b", "a.*"),
        ] {
            assert!(!matches(pattern, subject), "{pattern} {subject}");
        }
    }

    #[test]
    fn patterns_are_literal_wild_or_invalid() {
        for literal in ["a", "foo.bar", "foo*", "*foo.b>", "foo.>>", "$SYS._x"] {
            assert!(
                Pattern::new(literal.as_bytes()).is_some_and(Pattern::is_literal),
                "{literal}"
            );
        }
        for wild in ["*", ">", "foo.*", "*.bar", "foo.>", "a.*.c.>"] {
            let pattern = Pattern::new(wild.as_bytes());
            assert!(
                pattern.is_some_and(|pattern| !pattern.is_literal()),
                "{wild}"
            );
        }
        for invalid in ["", ".", "foo.", ".foo", "a..b", ">.a", "foo.>.bar"] {
            assert!(Pattern::new(invalid.as_bytes()).is_none(), "{invalid}");
        }
    }

    #[test]
    fn a_subset_is_told() {
        for (narrow, wide, is) in [
            ("a.b", "a.b", true),
            ("a.b", "a.*", true),
            ("a.*", "a.*", true),
            ("a.b.c", "a.>", true),
            ("a.>", "a.>", true),
            ("a.>", ">", true),
            ("a.*", "a.b", false),
            ("a.>", "a.*", false),
            ("a", "a.>", false),
            ("a.b", "a", false),
            ("a", "b", false),
            ("", "*", false),
        ] {
            let found = is_subset(narrow.as_bytes(), wide.as_bytes());
            assert_eq!(found, is, "{narrow} in {wide}");
        }
    }

    #[test]
    fn a_publish_needs_tokens_but_may_carry_wildcard_characters() {
        assert!(Subject::new(b"foo.*").is_some());
        assert!(Subject::new(b"foo").is_some());
        for unroutable in ["", ".", "a.", ".a", "a..b"] {
            assert!(
                Subject::new(unroutable.as_bytes()).is_none(),
                "{unroutable}"
            );
        }
        assert!(is_pedantic_publish(b"foo.bar"));
        assert!(!is_pedantic_publish(b"foo.*"));
        assert!(!is_pedantic_publish(b"foo..bar"));
    }
}
