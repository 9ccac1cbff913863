//! Runs the program as a person would, and the servers that it needs.

// Every test file uses a part of this, and a test may unwrap.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of this, and a test may end here"
)]

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON on standard output.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The program with these arguments.
pub(crate) fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline-bench"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn ran(arguments: &[&str]) -> Ran {
    Ran::of(&bench(arguments).output().unwrap())
}

pub(crate) fn finished(child: std::process::Child) -> Ran {
    Ran::of(&child.wait_with_output().unwrap())
}

/// The broker, built if it is not there yet: a test of this package alone does not build it.
pub(crate) fn trunkline() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_BIN_EXE_trunkline-bench"))
            .parent()
            .unwrap()
            .to_owned();
        let path = directory.join("trunkline");
        if !path.is_file() {
            let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
                .args(["build", "--quiet", "--locked", "--package", "trunkline"])
                .arg("--target-dir")
                .arg(directory.parent().unwrap())
                .args((directory.ends_with("release")).then_some("--release"))
                .status()
                .unwrap();
            assert!(built.success());
        }
        path.into_os_string().into_string().unwrap()
    })
}

/// A load of some tenths of a second.
pub(crate) const SHORT: [&str; 4] = ["--duration", "200ms", "--warm-up", "50ms"];

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
