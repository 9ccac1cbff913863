//! The programs that count. Those that are missing are named all at once, each with the command that installs it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use super::MicroError;
use super::checkout::Checkout;

const RUNNER: &str = "gungraun-runner";

/// Where the programs are, and the path that they find each other by.
#[derive(Debug)]
pub(super) struct Toolbox {
    path: OsString,
    cargo: PathBuf,
    rustc: PathBuf,
    valgrind: PathBuf,
}

impl Toolbox {
    /// Looks for everything in `path`.
    pub(super) fn find(path: &OsStr, checkout: &Checkout) -> Result<Toolbox, MicroError> {
        let version = checkout.gungraun_version()?;
        let mut missing = Vec::new();
        let mut wanted = |name: &str, remedy: &str| match find(path, name) {
            Some(found) => found,
            None => {
                missing.push(format!("{name} is not installed: {remedy}"));
                PathBuf::new()
            }
        };
        let toolchain = "it comes with a Rust toolchain, https://rustup.rs";
        let cargo = wanted("cargo", toolchain);
        let rustc = wanted("rustc", toolchain);
        let valgrind = wanted("valgrind", "apt-get install valgrind");
        let install = format!("cargo install {RUNNER} --version {version} --locked");
        let runner = wanted(RUNNER, &install);
        if missing.is_empty() {
            let found = said_by(Command::new(&runner).arg("--version"))?;
            if found.trim() != format!("{RUNNER} {version}") {
                missing.push(format!(
                    "{} is {:?}, and the benchmarks are built for {version}: {install}",
                    runner.display(),
                    found.trim()
                ));
            }
        }
        if missing.is_empty() {
            return Ok(Toolbox {
                path: path.to_owned(),
                cargo,
                rustc,
                valgrind,
            });
        }
        missing.push("scripts/micro installs what is missing and goes on".to_owned());
        Err(MicroError::new(missing.join("\n")))
    }

    /// A run of cargo in the clone. What would change the code that is built is taken out of its environment: lints and
    /// profiles that somebody has set for other builds.
    pub(super) fn cargo(&self, checkout: &Checkout) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(checkout.root()).env("PATH", &self.path);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let is_foreign = text.contains("RUSTFLAGS")
                || text.starts_with("CARGO_PROFILE_")
                || text.starts_with("GUNGRAUN_");
            if is_foreign {
                command.env_remove(&name);
            }
        }
        command
    }

    /// What the compiler says of itself, in the clone: a clone may ask for a compiler of its own.
    pub(super) fn compiler(&self, checkout: &Checkout) -> Result<String, MicroError> {
        said_by(
            Command::new(&self.rustc)
                .arg("-vV")
                .current_dir(checkout.root()),
        )
    }

    pub(super) fn valgrind_version(&self) -> Result<String, MicroError> {
        said_by(Command::new(&self.valgrind).arg("--version"))
    }
}

fn find(path: &OsStr, name: &str) -> Option<PathBuf> {
    env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// What a program prints when all is well.
pub(super) fn said_by(command: &mut Command) -> Result<String, MicroError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| MicroError::new(format!("{program} cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(MicroError::new(format!(
            "{program} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
