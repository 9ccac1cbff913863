//! The clone of the repository whose code is counted: where its benchmarks and baselines are, and which version of the
//! counting library it is built with.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::MicroError;

const BENCHMARKS: &str = "bench-harness/benches/micro/main.rs";
const BASELINE: &str = "bench-harness/baselines/micro.toml";
const LOCK: &str = "Cargo.lock";

/// A clone of the repository.
#[derive(Debug)]
pub(super) struct Checkout {
    root: PathBuf,
}

/// As much of `Cargo.lock` as matters here.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

impl Checkout {
    /// The clone that `folder` is in.
    pub(super) fn around(folder: &Path) -> Result<Checkout, MicroError> {
        let root = folder
            .ancestors()
            .find(|folder| folder.join(BENCHMARKS).is_file());
        match root {
            Some(root) => Ok(Checkout {
                root: root.to_owned(),
            }),
            None => Err(MicroError::new(format!(
                "`micro` counts the code of a clone of the repository, and {} is not in one: no {BENCHMARKS} there or \
                 above. Change to the clone and try again",
                folder.display()
            ))),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The committed baseline.
    pub(super) fn baseline(&self) -> PathBuf {
        self.root.join(BASELINE)
    }

    /// The version of gungraun that the benchmarks are linked with; its runner must be of the same.
    pub(super) fn gungraun_version(&self) -> Result<String, MicroError> {
        let path = self.root.join(LOCK);
        let text = fs::read_to_string(&path)
            .map_err(|error| MicroError::new(format!("{}: {error}", path.display())))?;
        let lock: Lock = toml::from_str(&text)
            .map_err(|error| MicroError::new(format!("{}: {error}", path.display())))?;
        let package = lock
            .package
            .into_iter()
            .find(|package| package.name == "gungraun");
        package.map(|package| package.version).ok_or_else(|| {
            MicroError::new(format!(
                "{}: gungraun is not in it; `cargo update --workspace` puts it there",
                path.display()
            ))
        })
    }
}
