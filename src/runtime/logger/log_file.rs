//! The file the log is appended to, with nats-server's rotation: by size, and so many files at most.
//!
//! *Control path.* Run by the log thread only, and once at the start.
//!
//! Only files with names that a rotation gives are ever removed.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files are what this is about"
)]

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::LogStartError;
use crate::base::log::Level;
use crate::config::go_text::{go_error, go_quote};

/// A log file that knows its size, and sets itself aside when it has grown over its limit.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size_bytes: u64,
    /// 0 is no limit.
    size_limit: u64,
    /// The limit, or a multiple of it after a rotation has failed.
    rotate_above: u64,
    /// How many there may be with this one; 0 is no limit.
    files_max: u32,
}

/// What has become of a rotation.
#[derive(Debug)]
pub(super) enum Rotation {
    NotDue,
    /// The old file has this name now, in quotes.
    Done(String),
    Failed(io::Error),
}

impl LogFile {
    pub(super) fn open(
        path: &Path,
        size_limit: u64,
        files_max: u32,
    ) -> Result<LogFile, LogStartError> {
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
            files_max,
        })
    }

    /// The file that has this name now.
    pub(super) fn opened_anew(&self) -> Result<LogFile, LogStartError> {
        LogFile::open(&self.path, self.size_limit, self.files_max)
    }

    /// Writes whole lines; gives how many bytes of them the file has taken. Of a line for which the disk has no room
    /// nothing is left in the file, so that the next one stands by itself.
    pub(super) fn write(&mut self, lines: &[u8]) -> usize {
        let mut taken = 0;
        while taken < lines.len() {
            match self.file.write(&lines[taken..]) {
                Ok(0) => break,
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let whole = match taken == lines.len() {
            true => taken,
            false => memchr::memrchr(b'\n', &lines[..taken]).map_or(0, |end| end + 1),
        };
        if whole < taken {
            self.shorten(taken - whole);
        }
        self.size_bytes += whole as u64;
        whole
    }

    /// Takes so many bytes off the end. The end is asked for: others may have shortened the file too.
    fn shorten(&self, bytes: usize) {
        if let Ok(metadata) = self.file.metadata() {
            // What cannot be shortened, a pipe say, keeps the torn line.
            let _ = self
                .file
                .set_len(metadata.len().saturating_sub(bytes as u64));
        }
    }

    /// Bytes until the limit.
    pub(super) fn room(&self) -> usize {
        if self.size_limit == 0 {
            return usize::MAX;
        }
        let room = self.rotate_above.saturating_sub(self.size_bytes);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Whether it is over its limit.
    pub(super) fn is_due(&self) -> bool {
        self.size_limit > 0 && self.size_bytes > self.rotate_above
    }

    /// Sets the file aside if it is over its limit, and begins a new one.
    pub(super) fn rotate_if_due(&mut self) -> Rotation {
        if !self.is_due() {
            return Rotation::NotDue;
        }
        match self.rotate() {
            Ok(aside) => Rotation::Done(aside),
            Err(error) => {
                self.rotate_above = self.rotate_above.saturating_mul(2);
                Rotation::Failed(error)
            }
        }
    }

    /// Gives the file nats-server's name for old ones, begins a new one, and tells the old one's name in quotes.
    fn rotate(&mut self) -> io::Result<String> {
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
        match self.opened_anew() {
            Ok(opened) => *self = opened,
            Err(why) => {
                // The file in use keeps its name. Where even that fails, a rotation has to find the name anew.
                let _ = std::fs::rename(&aside, &self.path);
                return Err(match why {
                    LogStartError::Open(_, error) | LogStartError::Thread(error) => error,
                    LogStartError::Syslog(why) => io::Error::other(why),
                });
            }
        }
        Ok(go_quote(&aside.to_string_lossy()))
    }

    /// Removes the oldest of the files that were set aside, until there are no more than there may be. Gives lines for the
    /// log about that. What cannot be removed is tried again after the next rotation.
    pub(super) fn purge(&self) -> Vec<(Level, String)> {
        let Some(backups_max) = self.files_max.checked_sub(1) else {
            return Vec::new();
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let backups = match self.backups(folder) {
            Ok(backups) => backups,
            Err(error) => {
                let (folder, why) = (go_quote(&folder.to_string_lossy()), go_error(&error));
                let text = format!(
                    "Unable to read directory {folder} for log purge ({why}), will attempt next rotation"
                );
                return vec![(Level::Error, text)];
            }
        };
        let surplus = backups.len().saturating_sub(backups_max as usize);
        let mut lines = Vec::new();
        for name in &backups[..surplus] {
            let quoted = go_quote(name);
            if let Err(error) = std::fs::remove_file(folder.join(name)) {
                let why = go_error(&error);
                let text = format!(
                    "Unable to remove backup log file {quoted} ({why}), will attempt next rotation"
                );
                lines.push((Level::Error, text));
                break;
            }
            lines.push((Level::Info, format!("Purged log file {quoted}")));
        }
        lines
    }

    /// The names of files that were set aside, the oldest first.
    fn backups(&self, folder: &Path) -> io::Result<Vec<String>> {
        let own = self.path.file_name().unwrap_or_default();
        let own = format!("{}.", own.to_string_lossy());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_backup = name.strip_prefix(&own).is_some_and(is_moment);
            if is_backup && !entry.file_type()?.is_dir() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Whether `text` is the moment of a rotation: `2006.01.02.15.04.05`, and perhaps a fraction.
fn is_moment(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !(6..=7).contains(&parts.len()) || !parts.iter().all(is_number) {
        return false;
    }
    let number = |index: usize, digits: usize| {
        let part = parts[index];
        (part.len() == digits).then(|| part.parse::<i16>().ok())?
    };
    let small = |index: usize| number(index, 2).and_then(|value| i8::try_from(value).ok());
    let (Some(year), Some(month), Some(day)) = (number(0, 4), small(1), small(2)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (small(3), small(4), small(5)) else {
        return false;
    };
    DateTime::new(year, month, day, hour, minute, second, 0).is_ok()
}

/// nats-server's.
const LOG_FILE_MODE: u32 = 0o640;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_from_other_endings() {
        for text in [
            "2026.01.02.15.04.05.123456789",
            "2026.01.02.15.04.05",
            "0001.12.31.23.59.59.0",
        ] {
            assert!(is_moment(text), "{text}");
        }
        for text in [
            "",
            "1",
            "gz",
            "2026.01.02.15.04",
            "2026.01.02.15.04.05.",
            "2026.01.02.15.04.05.1.2",
            "2026.01.02.15.04.05.123.gz",
            "2026.13.02.15.04.05.1",
            "2026.02.30.15.04.05.1",
            "2026.1.02.15.04.05.1",
            "2026.01.02.15.04.60.1",
            "2026.01.02.15.04.+5.1",
            "99999.01.02.15.04.05.1",
        ] {
            assert!(!is_moment(text), "{text}");
        }
    }
}
