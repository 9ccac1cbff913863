//! Where log lines go.
//!
//! *Control path.* Used by the log thread, and opened by whoever starts or changes the log.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files are what this is about"
)]

use std::io::{self, Write as _};

use super::log_file::LogFile;
use super::syslog::Syslog;
use super::{BLOCK_BYTES_MAX, LogStartError};
use crate::config::Options;

#[derive(Debug)]
pub(super) enum Output {
    Stderr,
    File(LogFile),
    Syslog(Box<Syslog>),
}

impl Output {
    /// In nats-server's order: a file, a syslog server, the system's syslog, standard error.
    pub(super) fn open(options: &Options) -> Result<Output, LogStartError> {
        let server = options.remote_syslog.as_ref();
        Ok(match &options.log_file {
            Some(path) => Output::File(LogFile::open(
                path,
                options.log_size_limit,
                options.log_files_max,
            )?),
            None if server.is_some() || options.syslog => {
                Output::Syslog(Box::new(Syslog::connect(server)?))
            }
            None => Output::Stderr,
        })
    }

    /// Writes whole lines; gives how many bytes of them were taken. Not for syslog, which takes them one by one.
    pub(super) fn write(&mut self, lines: &[u8]) -> usize {
        match self {
            Output::Stderr => match io::stderr().lock().write_all(lines) {
                Ok(()) => lines.len(),
                Err(_) => 0,
            },
            Output::File(log) => log.write(lines),
            Output::Syslog(_) => unreachable!("syslog gets no blocks"),
        }
    }

    /// How many bytes may be gathered before they must be written: no more than the file has room for.
    pub(super) fn block_bytes_max(&self) -> usize {
        match self {
            Output::File(log) => log.room().min(BLOCK_BYTES_MAX),
            Output::Stderr | Output::Syslog(_) => BLOCK_BYTES_MAX,
        }
    }
}
