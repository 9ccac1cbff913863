//! Why a transform was refused, in nats-server's words: they end up in its configuration errors and in ours.

use std::fmt;

/// What is wrong, and in which token of the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError {
    pub reason: Reason,
    /// Empty where it is the whole.
    pub place: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An empty token, a `>` that is not last or on one side only, a `*` in the destination.
    InvalidSubject,
    /// White space, or a subject that is none.
    InvalidTransform,
    UnusedWildcards,
    UnknownFunction,
    WildcardOutOfRange,
    NotEnoughArguments,
    TooManyArguments,
    InvalidArgument,
    NotForImports,
}

impl TransformError {
    pub(in crate::subject) fn new(reason: Reason, place: impl Into<String>) -> TransformError {
        TransformError {
            reason,
            place: place.into(),
        }
    }

    pub(in crate::subject) fn invalid_subject() -> TransformError {
        TransformError::new(Reason::InvalidSubject, "")
    }
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::InvalidSubject => return f.write_str("invalid subject"),
            Reason::InvalidTransform => "invalid transform",
            Reason::UnusedWildcards => "not using all of the token wildcard(s)",
            Reason::UnknownFunction => "unknown function",
            Reason::WildcardOutOfRange => "wildcard index out of range",
            Reason::NotEnoughArguments => "not enough arguments passed to the function",
            Reason::TooManyArguments => "too many arguments passed to the function",
            Reason::InvalidArgument => "function argument is invalid or in the wrong format",
            Reason::NotForImports => {
                "the only mapping function allowed for import transforms is {{Wildcard()}}"
            }
        };
        write!(f, "invalid mapping destination: {reason}")?;
        if !self.place.is_empty() {
            write!(f, " in {}", self.place)?;
        }
        Ok(())
    }
}

impl std::error::Error for TransformError {}
