//! A listening Unix socket, and its file. *Start-up and end.*
//!
//! - A file that another server listens on is left alone; one that nobody listens on any more is replaced; what is no socket is
//!   never touched.
//! - Nobody can connect before the file has its owner and permissions: only then the socket listens.
//! - The file is removed at the end, if it is still the one that was made here: a successor may have replaced it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "start and end may wait for the file system: no shard does"
)]

use super::listener::while_in_use;
use crate::config::system_names::{GROUPS_FILE, number};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: i32 = 4096;

/// Where to listen, and who may connect.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub path: &'a Path,
    pub mode: u32,
    /// By name or number; `None` is the group of the process.
    pub group: Option<&'a str>,
}

/// The file of a socket that listens. It is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Nobody is left to be told.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds to the place's path and listens.
///
/// # Errors
/// When somebody else listens there, when something else is there, or when file, owner or permissions cannot be made.
pub fn open(place: Place<'_>) -> io::Result<(OwnedFd, SocketFile)> {
    let group = place.group.map(group_number).transpose()?;
    let address = SocketAddrUnix::new(place.path)?;
    while_in_use(|| make_room(place.path, &address))?;
    let socket = socket()?;
    bind(&socket, &address)?;
    let file = SocketFile {
        path: place.path.to_owned(),
        identity: identity(place.path)?,
    };
    fs::set_permissions(place.path, Permissions::from_mode(place.mode))?;
    if group.is_some() {
        chown(place.path, None, group)?;
    }
    listen(&socket, BACKLOG)?;
    // Another server that starts at the same moment may have taken this one for dead before it listened.
    if identity(place.path)? != file.identity {
        return Err(Errno::ADDRINUSE.into());
    }
    Ok((socket, file))
}

/// Removes a socket that nobody listens on.
fn make_room(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        let text = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match connect(&socket()?, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        // Its owner has removed it meanwhile.
        Err(Errno::NOENT) => Ok(()),
        // Its queue may be full: then somebody listens too.
        Ok(()) | Err(Errno::AGAIN) => Err(Errno::ADDRINUSE.into()),
        Err(error) => Err(error.into()),
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn group_number(group: &str) -> io::Result<u32> {
    let listed = fs::read(GROUPS_FILE).unwrap_or_default();
    number(group, &listed).ok_or_else(|| {
        let text = format!("{GROUPS_FILE} does not list the group {group}");
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn directory(name: &str) -> PathBuf {
        let name = format!("trunkline-unix-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn place(path: &Path) -> Place<'_> {
        Place {
            path,
            mode: 0o640,
            group: None,
        }
    }

    #[test]
    fn the_file_has_its_permissions_and_goes_with_its_socket() {
        let directory = directory("file");
        let path = directory.join("s");
        let own = rustix::process::getgid().as_raw().to_string();
        let place = Place {
            group: Some(&own),
            ..place(&path)
        };
        let (_socket, file) = open(place).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        UnixStream::connect(file.path()).unwrap();
        drop(file);
        assert!(!path.exists());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn who_listens_is_left_alone_and_who_has_gone_is_replaced() {
        let directory = directory("stale");
        let path = directory.join("s");
        let other = UnixListener::bind(&path).unwrap();
        let error = open(place(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(other);
        assert!(path.exists(), "a dead socket's file stays");
        let (_socket, file) = open(place(&path)).unwrap();
        UnixStream::connect(&path).unwrap();

        // A successor has the name now, and keeps it.
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_not_touched() {
        let directory = directory("mine");
        let path = directory.join("s");
        fs::write(&path, "mine").unwrap();
        assert!(open(place(&path)).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        let nobody = Place {
            group: Some("no such group"),
            ..place(&path)
        };
        let error = open(nobody).unwrap_err();
        assert!(error.to_string().contains("no such group"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
