//! The file the log is appended to, with nats-server's rotation.
//!
//! *Control path.* Run by the log thread only, and once at the start.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files are what this is about"
)]

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::LogStartError;
use crate::config::go_text::go_quote;

/// A log file that knows its size, and sets itself aside when it has grown over its limit.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) size_bytes: u64,
    /// 0 is no limit.
    pub(super) size_limit: u64,
    /// The limit, or a multiple of it after a rotation has failed.
    pub(super) rotate_above: u64,
}

impl LogFile {
    pub(super) fn open(path: &Path, size_limit: u64) -> Result<LogFile, LogStartError> {
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(LOG_FILE_MODE)
            .open(path)
            .and_then(|file| {
                let size_bytes = file.metadata()?.len();
                Ok((file, size_bytes))
            });
        let (file, size_bytes) =
            opened.map_err(|error| LogStartError::Open(path.to_owned(), error))?;
        Ok(LogFile {
            path: path.to_owned(),
            file,
            size_bytes,
            size_limit,
            rotate_above: size_limit,
        })
    }

    /// Gives the file nats-server's name for old ones, begins a new one, and tells the old one's name in quotes.
    pub(super) fn rotate(&mut self) -> io::Result<String> {
        let now = TimeZone::system().to_datetime(Timestamp::now());
        let mut aside = self.path.clone().into_os_string();
        let _ = write!(
            aside,
            ".{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}",
            now.year(),
            now.month(),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            now.subsec_nanosecond()
        );
        std::fs::rename(&self.path, &aside)?;
        match LogFile::open(&self.path, self.size_limit) {
            Ok(opened) => *self = opened,
            Err(LogStartError::Open(_, error) | LogStartError::Thread(error)) => return Err(error),
        }
        Ok(go_quote(&aside.to_string_lossy()))
    }
}

/// nats-server's.
const LOG_FILE_MODE: u32 = 0o640;
