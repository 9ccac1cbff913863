//! How two patterns stand to each other: one within the other, overlapping, or apart. *Control path.*
//!
//! A pattern stands for a set of subjects; all answers are about those sets. Patterns come as bytes here, checked by
//! [`super::Pattern::new`].

use super::tokens;

/// Whether `pattern` takes the literal `subject`.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut wanted = tokens(pattern);
    for token in tokens(subject) {
        match wanted.next() {
            Some(b">") => return true,
            Some(b"*") => {}
            Some(literal) if literal == token => {}
            _ => return false,
        }
    }
    wanted.next().is_none()
}

/// Whether every subject of `inner` is one of `outer`.
pub fn covers(outer: &[u8], inner: &[u8]) -> bool {
    let mut inner = tokens(inner);
    for wide in tokens(outer) {
        match (wide, inner.next()) {
            (_, None) => return false,
            (b">", Some(_)) => return true,
            (_, Some(b">")) => return false,
            (b"*", Some(_)) => {}
            (literal, Some(token)) if literal == token => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

/// The pattern of the subjects that are of both; `None` when there are none.
pub fn intersection(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    let mut common: Vec<&[u8]> = Vec::new();
    let (mut left, mut right) = (tokens(left), tokens(right));
    loop {
        match (left.next(), right.next()) {
            (None, None) => break,
            (None, _) | (_, None) => return None,
            (Some(b">"), Some(token)) => {
                common.push(token);
                common.extend(right);
                break;
            }
            (Some(token), Some(b">")) => {
                common.push(token);
                common.extend(left);
                break;
            }
            (Some(b"*"), Some(token)) | (Some(token), Some(b"*")) => common.push(token),
            (Some(one), Some(other)) if one == other => common.push(one),
            _ => return None,
        }
    }
    Some(common.join(&b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(letters: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(letters), 1..4)
            .prop_map(|tokens| tokens.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        (words(&["a", "b", "*"]), any::<bool>(), any::<bool>()).prop_map(
            |(words, open, all)| match (open, all) {
                (true, true) => ">".to_owned(),
                (true, false) => format!("{words}.>"),
                _ => words,
            },
        )
    }

    /// Every subject of up to five tokens over the letters that patterns have, and one that they have not.
    fn all_subjects() -> Vec<String> {
        let mut subjects = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..5 {
            let longer = subjects.iter().flat_map(|subject| {
                ["a", "b", "c"].map(|letter| match subject.as_str() {
                    "" => letter.to_owned(),
                    start => format!("{start}.{letter}"),
                })
            });
            subjects = longer.collect();
            all.extend(subjects.iter().cloned());
        }
        all
    }

    proptest! {
        /// Against the definition: patterns are sets, here of all subjects that could tell them apart.
        #[test]
        fn relations_are_those_of_sets(left in pattern(), right in pattern()) {
            let (left, right) = (left.as_bytes(), right.as_bytes());
            let both = intersection(left, right);
            let mut is_covered = true;
            let mut any_common = false;
            for subject in all_subjects() {
                let (is_left, is_right) =
                    (matches(left, subject.as_bytes()), matches(right, subject.as_bytes()));
                is_covered &= is_left || !is_right;
                any_common |= is_left && is_right;
                let is_common = both.as_ref().is_some_and(|both| matches(both, subject.as_bytes()));
                prop_assert_eq!(is_common, is_left && is_right, "{}", subject);
            }
            prop_assert_eq!(covers(left, right), is_covered);
            prop_assert_eq!(both.is_some(), any_common);
        }
    }
}
