//! Which texts are subjects.
//!
//! *Control path.* Pure. `subject` knows the grammar but never sees white space, which cannot occur on the wire.

use crate::subject::Pattern;

/// nats-server's `IsValidSubject`: tokens, none empty and none with white space, a `>` at the end only.
pub(super) fn is_pattern(text: &str) -> bool {
    pattern(text).is_some()
}

/// nats-server's `IsValidPublishSubject`: a pattern without wildcards.
pub(super) fn is_literal(text: &str) -> bool {
    pattern(text).is_some_and(Pattern::is_literal)
}

fn pattern(text: &str) -> Option<Pattern<'_>> {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c');
    if text.len() > SUBJECT_BYTES_MAX || text.bytes().any(is_blank) {
        return None;
    }
    Pattern::new(text.as_bytes())
}

/// No longer one fits a line of the protocol.
const SUBJECT_BYTES_MAX: usize = 65_535;
