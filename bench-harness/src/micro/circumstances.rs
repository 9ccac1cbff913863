//! What counts depend on beside the code. Counts of different circumstances are not compared.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::MicroError;
use super::checkout::Checkout;
use super::toolbox::{Toolbox, said_by};

/// The circumstances of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Circumstances {
    /// The version line of rustc.
    pub(super) compiler: String,
    pub(super) target: String,
    /// Copying and comparing of bytes are the C library's.
    pub(super) c_library: String,
    /// The widest vectors that valgrind shows to programs: the C library chooses by them.
    pub(super) vectors: String,
    pub(super) valgrind: String,
}

impl Circumstances {
    /// Those of this machine.
    pub(super) fn of(toolbox: &Toolbox, checkout: &Checkout) -> Result<Circumstances, MicroError> {
        let compiler = toolbox.compiler(checkout)?;
        let target = compiler
            .lines()
            .find_map(|line| line.strip_prefix("host: "));
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Circumstances {
            compiler: compiler.lines().next().unwrap_or("unknown").to_owned(),
            target: target.unwrap_or("unknown").to_owned(),
            c_library: said_by(Command::new("getconf").arg("GNU_LIBC_VERSION"))
                .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            vectors: vectors(&cpu).to_owned(),
            valgrind: toolbox.valgrind_version()?.trim().to_owned(),
        })
    }

    /// What is different from the baseline's, as sentences; empty when counts can be compared.
    pub(super) fn differences(&self, baseline: &Circumstances) -> Vec<String> {
        let pairs = [
            ("compiler", &self.compiler, &baseline.compiler),
            ("target", &self.target, &baseline.target),
            ("C library", &self.c_library, &baseline.c_library),
            ("processor", &self.vectors, &baseline.vectors),
            ("valgrind", &self.valgrind, &baseline.valgrind),
        ];
        let differing = pairs.iter().filter(|(_, here, there)| here != there);
        differing
            .map(|(what, here, there)| format!("{what}: {here} here, {there} there"))
            .collect()
    }
}

/// Of what /proc/cpuinfo lists. Valgrind passes on nothing wider than AVX2.
fn vectors(cpu: &str) -> &'static str {
    let flags = cpu
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"))
        .unwrap_or_default();
    let known = ["avx2", "avx", "sse4_2", "asimd"];
    let has = |wanted: &&str| flags.split_whitespace().any(|flag| flag == *wanted);
    known.into_iter().find(has).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_vectors_are_named() {
        assert_eq!(
            vectors("processor: 0\nflags : sse4_2 avx avx2 avx512f\n"),
            "avx2"
        );
        assert_eq!(vectors("flags : sse2 sse4_2\n"), "sse4_2");
        assert_eq!(vectors("Features : fp asimd\n"), "asimd");
        assert_eq!(vectors(""), "unknown");
    }

    #[test]
    fn another_compiler_is_a_difference() {
        let there = Circumstances {
            compiler: "rustc 1.95.0".to_owned(),
            target: "t".to_owned(),
            c_library: "c".to_owned(),
            vectors: "v".to_owned(),
            valgrind: "w".to_owned(),
        };
        assert!(there.differences(&there).is_empty());
        let here = Circumstances {
            compiler: "rustc 1.96.0".to_owned(),
            ..there.clone()
        };
        assert_eq!(
            here.differences(&there),
            ["compiler: rustc 1.96.0 here, rustc 1.95.0 there"]
        );
    }
}
