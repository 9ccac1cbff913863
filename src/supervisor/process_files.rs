//! The two files by which others find a running server: its pid file and its ports file.
//!
//! *Control path.* Both appear whole or not at all: written beside their place, then renamed into it.
//! As in nats-server the pid file stays when the server exits, and the ports file is removed.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "start, exit and --signal may wait for the file system: no shard runs here"
)]

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::listening::{Reach, ShownSocket};
use crate::config::Identity;
use crate::config::go_text::go_error;

/// Writes this process's pid to `path`: the digits and no line end, readable by the owner only.
///
/// # Errors
/// `Could not write pidfile: …`, which nats-server logs as fatal and exits with 1.
pub fn write_pid_file(path: &Path) -> Result<(), ProcessFileError> {
    let pid = std::process::id().to_string();
    write_whole(path, pid.as_bytes(), PID_FILE_MODE)
        .map_err(|error| ProcessFileError::new("Could not write pidfile: open", path, &error))
}

/// A ports file that has been written. Removed by [`PortsFile::remove`], not by dropping it: a server that is killed
/// leaves it behind as well, so nobody may count on more than an orderly exit.
#[derive(Debug)]
pub struct PortsFile {
    path: PathBuf,
}

impl PortsFile {
    /// Writes `<program>_<pid>.ports` into `directory`: the URLs at which clients reach the server.
    ///
    /// # Errors
    /// `Error writing ports file (…): …`, which nats-server logs as an error and then goes on.
    pub fn write(
        directory: &Path,
        identity: &Identity,
        reach: Reach<'_>,
    ) -> Result<PortsFile, ProcessFileError> {
        let name = format!("{}_{}.ports", identity.program, std::process::id());
        let path = directory.join(name);
        let ports = Ports {
            nats: reach.clients.map(urls).unwrap_or_default(),
            monitoring: reach.monitor.map(urls).unwrap_or_default(),
            unix: reach
                .unix_socket
                .map(|path| ShownSocket(path).to_string())
                .into_iter()
                .collect(),
        };
        let written = serde_json::to_vec(&ports)
            .map_err(io::Error::from)
            .and_then(|json| write_whole(&path, &json, PORTS_FILE_MODE));
        match written {
            Ok(()) => Ok(PortsFile { path }),
            Err(error) => {
                let what = format!("Error writing ports file ({}): open", path.display());
                Err(ProcessFileError::new(&what, &path, &error))
            }
        }
    }

    /// Removes the file.
    ///
    /// # Errors
    /// `Error cleaning up ports file …`, for the log.
    pub fn remove(self) -> Result<(), ProcessFileError> {
        fs::remove_file(&self.path).map_err(|error| {
            let what = format!(
                "Error cleaning up ports file {}: remove",
                self.path.display()
            );
            ProcessFileError::new(&what, &self.path, &error)
        })
    }
}

/// The addresses of all interfaces in their order, IPv4 before IPv6; empty when they cannot be listed.
///
/// What a wildcard address stands for, here and in INFO's `connect_urls`.
pub fn interface_addresses() -> Vec<IpAddr> {
    let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.sort_by_key(|interface| (interface.index, interface.ip().is_ipv6()));
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}

/// Why one of the files is not there; the text is nats-server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFileError(String);

impl ProcessFileError {
    fn new(what: &str, path: &Path, error: &io::Error) -> ProcessFileError {
        ProcessFileError(format!("{what} {}: {}", path.display(), go_error(error)))
    }
}

impl fmt::Display for ProcessFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ProcessFileError {}

/// The ports file's content. nats-server has lists for other listeners too and leaves out the empty ones.
#[derive(Debug, Serialize)]
struct Ports {
    nats: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitoring: Vec<String>,
    /// Not in nats-server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unix: Vec<String>,
}

fn urls((scheme, listening): (&str, SocketAddr)) -> Vec<String> {
    let addresses = if listening.ip().is_unspecified() {
        interface_addresses()
    } else {
        vec![listening.ip()]
    };
    let url = |ip: IpAddr| {
        format!(
            "{scheme}://{}",
            SocketAddr::new(ip.to_canonical(), listening.port())
        )
    };
    addresses.into_iter().map(url).collect()
}

/// Puts `bytes` at `path` in one step. What is there and no plain file (a pipe, a link, a device) is written through
/// instead: renaming would replace it.
fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let replaceable = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    if !replaceable {
        let mut file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .create(true)
            .mode(mode)
            .open(path)?;
        return file.write_all(bytes);
    }
    let mut beside = OsString::from(path);
    beside.push(format!(".{}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .truncate(true)
        .create(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// nats-server's.
const PID_FILE_MODE: u32 = 0o600;
/// Readable by all, so that tools find the server.
const PORTS_FILE_MODE: u32 = 0o644;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("trunkline-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_pid_file_holds_digits_only() {
        let directory = directory("pid");
        let path = directory.join("server.pid");
        fs::write(&path, "an older and much longer content").unwrap();
        write_pid_file(&path).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            std::process::id().to_string()
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        let link = directory.join("link.pid");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_pid_file(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_pid_file_that_cannot_be_is_told_as_nats_server_tells_it() {
        let error = write_pid_file(Path::new("/nonexistent/x.pid")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not write pidfile: open /nonexistent/x.pid: no such file or directory"
        );
    }

    #[test]
    fn the_ports_file_lists_urls_and_goes_away() {
        let directory = directory("ports");
        let identity = Identity {
            program: "nats-server".to_owned(),
        };
        let reach = Reach {
            clients: Some(("nats", ([127, 0, 0, 1], 4222).into())),
            monitor: Some(("http", ([127, 0, 0, 1], 8222).into())),
            unix_socket: None,
        };
        PortsFile::write(&directory, &identity, reach).unwrap();
        let path = directory.join(format!("nats-server_{}.ports", std::process::id()));
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            r#"{"nats":["nats://127.0.0.1:4222"],"monitoring":["http://127.0.0.1:8222"]}"#
        );
        let reach = Reach {
            clients: None,
            monitor: None,
            unix_socket: Some(Path::new("/run/t.sock")),
        };
        let file = PortsFile::write(&directory, &identity, reach).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            r#"{"nats":[],"unix":["unix:/run/t.sock"]}"#
        );
        file.remove().unwrap();
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_wildcard_means_every_interface() {
        let urls_of = |address| urls(("nats", address));
        let urls = urls_of(([0, 0, 0, 0], 4222).into());
        assert_eq!(
            urls.first().map(String::as_str),
            Some("nats://127.0.0.1:4222")
        );
        assert_eq!(urls_of("[::1]:9".parse().unwrap()), ["nats://[::1]:9"]);
    }
}
