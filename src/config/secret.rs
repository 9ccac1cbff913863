//! A text that must not be printed.
//!
//! *Control path.* Its `Debug` form is fixed, so that options can be logged whole.

use std::fmt;

/// A password or token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself, for the one place that compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nats-server would take this for a bcrypt hash (`$2a$`, `$2b$`, `$2x$` or `$2y$`, two digits, `$`).
    pub fn looks_like_bcrypt(&self) -> bool {
        matches!(
            self.0.as_bytes(),
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, ones, b'$', ..]
                if tens.is_ascii_digit() && ones.is_ascii_digit()
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "[REDACTED]");
    }

    #[test]
    fn bcrypt_is_told_from_a_password() {
        assert!(Secret::new("$2a$11$abcdefghijkl").looks_like_bcrypt());
        assert!(!Secret::new("$2a$1x$abc").looks_like_bcrypt());
        assert!(!Secret::new("$ecret").looks_like_bcrypt());
    }
}
