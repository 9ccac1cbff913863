//! The configuration language: no panic, bounded time, every value in its place, the same digest for the same bytes.
//!
//! The first text is the file; it may include the second, and the third is every variable of the environment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::config::language::{Surroundings, digest, parse};

struct Given<'a> {
    file: &'a [u8],
    included: &'a [u8],
    variable: &'a str,
}

impl Surroundings for Given<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "a" => Ok(self.file.to_vec()),
            "b" => Ok(self.included.to_vec()),
            _ => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        name.starts_with('V').then(|| self.variable.to_owned())
    }
}

fuzz_target!(|input: (&[u8], &[u8], &str)| {
    let (file, included, variable) = input;
    let given = Given {
        file,
        included,
        variable,
    };
    match parse("a", &given) {
        Ok(document) => {
            let again = parse("a", &given).expect("what was right is right again");
            assert_eq!(digest(&document.root), digest(&again.root));
            for (_, entry) in document.root.in_order() {
                let fault = document.fault(entry.position, "reason");
                assert!(fault.to_string().lines().count() == 3);
            }
        }
        Err(fault) => {
            let shown = fault.to_string();
            assert!(
                !shown.contains('\u{1b}'),
                "control characters are not shown"
            );
        }
    }
});
