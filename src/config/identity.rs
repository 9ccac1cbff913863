//! Under which name the program was started, and so whose texts it speaks.
//!
//! *Control path.* Pure: the caller passes what the operating system calls argument zero.

use std::ffi::OsStr;
use std::path::Path;

use super::NATS_SERVER_VERSION;

/// The program's name: the file name of argument zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Stands before errors, in the ports file's name, and is what `--signal` looks for among processes.
    pub program: String,
}

impl Identity {
    /// The identity of a program started as `argument_zero`; `trunkline` when there is no usable name.
    pub fn from_argument_zero(argument_zero: Option<&OsStr>) -> Identity {
        let name = argument_zero
            .map(Path::new)
            .and_then(Path::file_name)
            .and_then(OsStr::to_str);
        Identity {
            program: name.unwrap_or(OWN_NAME).to_owned(),
        }
    }

    /// Whether a link called `nats-server` was used: then texts and versions are nats-server's.
    pub fn is_nats_server(&self) -> bool {
        self.program == "nats-server"
    }

    /// The line that `--version` prints, without its end.
    pub fn version_line(&self) -> String {
        if self.is_nats_server() {
            return format!("{}: v{NATS_SERVER_VERSION}", self.program);
        }
        let own = env!("CARGO_PKG_VERSION");
        format!(
            "{}: v{own} (nats-server v{NATS_SERVER_VERSION})",
            self.program
        )
    }
}

const OWN_NAME: &str = "trunkline";

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(argument_zero: &str) -> Identity {
        Identity::from_argument_zero(Some(OsStr::new(argument_zero)))
    }

    #[test]
    fn a_link_decides_whose_version_is_told() {
        assert_eq!(
            identity("./bin/nats-server").version_line(),
            "nats-server: v2.15.1"
        );
        let own = identity("trunkline").version_line();
        assert!(
            own.starts_with("trunkline: v") && own.ends_with("(nats-server v2.15.1)"),
            "{own}"
        );
        assert_eq!(Identity::from_argument_zero(None).program, "trunkline");
        assert_eq!(identity("..").program, "trunkline");
    }
}
