//! Reads configuration files and the environment for the pure parser.
//!
//! *Control path*, on the main thread before anything else starts: where blocking harms nobody.

use std::fs::File;
use std::io::{Error, Read};

use crate::config::go_text::go_error;
use crate::config::language::{FILES_BYTES_MAX, Surroundings};

/// The process's own files and environment.
#[derive(Debug)]
pub struct ProcessSurroundings;

impl Surroundings for ProcessSurroundings {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let failed = |what: &str, error: &Error| format!("{what} {path}: {}", go_error(error));
        let file = File::open(path).map_err(|error| failed("open", &error))?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells that there is more; a device may have no end.
        let most = FILES_BYTES_MAX as u64 + 1;
        file.take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| failed("read", &error))?;
        Ok(bytes)
    }

    fn variable(&self, name: &str) -> Option<String> {
        // A name that the operating system could not have either is not looked up: it would be a panic.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }
}
