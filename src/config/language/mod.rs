//! nats-server's configuration language: text to a tree of values that know where they stand.
//!
//! *Control path.* Pure: files and the environment come in through [`Surroundings`].
//!
//! - The grammar is nats-server's (`conf/lex.go`, `conf/parse.go`): JSON with `=`, `:` or a space after keys, comments,
//!   bare words, sizes, block texts, `include` and `$VARIABLE`. Where the two differ, `docs/compatibility.md` says so.
//! - No bytes make it panic, recurse without bound, or take more time and memory than the limits below allow: what one
//!   variable or include multiplies is paid for in full.
//! - It knows no option: which keys there are, and of which type, is the table's business.

mod digest;
mod fault;
mod lexer;
mod parser;
mod value;

use std::fmt;

pub use digest::digest;
pub use fault::{Fault, Place};
pub use parser::parse;
pub use value::{Entry, List, Map, Position, Value};

/// What the language needs from outside.
pub trait Surroundings {
    /// The bytes of a file; at most [`FILES_BYTES_MAX`] and one more need to be read.
    ///
    /// # Errors
    /// The reason in Go's words, `open x.conf: no such file or directory`.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The environment's value for a variable that the files do not define.
    fn variable(&self, name: &str) -> Option<String>;
}

/// A configuration file with all that it includes. Passwords are among its values: its `Debug` form shows the path alone.
pub struct Document {
    /// The path as it was asked for.
    pub path: String,
    pub root: Map,
    sources: Vec<Source>,
}

impl Document {
    /// A fault at `position`, with the line it is on.
    pub fn fault(&self, position: Position, reason: impl Into<String>) -> Fault {
        let source = &self.sources[usize::from(position.source)];
        Fault::at(&source.path, &source.bytes, position, reason)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A file that was read; kept to show its lines in faults.
struct Source {
    path: String,
    bytes: Vec<u8>,
}

/// All files of a configuration together. nats-server has no limit; a file this long is a mistake, not a configuration.
pub const FILES_BYTES_MAX: usize = 8 << 20;
/// Maps and lists inside each other, variables followed.
pub const DEPTH_MAX: usize = 100;
/// Files that include each other in a chain.
pub const INCLUDE_DEPTH_MAX: usize = 16;
/// Mentions of `include` in all files.
pub const INCLUDES_MAX: usize = 1000;
/// What all values would take if every variable were written out.
pub const EXPANDED_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
