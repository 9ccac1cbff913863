//! Pages on disk, all of them or none: each is written beside its place under another name, and moved there when all are done.
//!
//! A place that is no ordinary file, such as `/dev/stdout` or a pipe, is written to directly: it cannot be replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::ReportError;

pub(super) fn write_all(pages: &[(&Path, String)]) -> Result<(), ReportError> {
    let mut drafts: Vec<Draft> = Vec::new();
    for (path, text) in pages {
        let place = real_place(path);
        if drafts.iter().any(|other| other.place == place) {
            return Err(ReportError::SameFile { path: place });
        }
        let draft = Draft::write(place, text).map_err(|error| write_error(path, error))?;
        drafts.push(draft);
    }
    for draft in drafts {
        let place = draft.place.clone();
        draft
            .publish()
            .map_err(|error| write_error(&place, error))?;
    }
    Ok(())
}

/// Through symbolic links, so that the file they point to is replaced and not the link.
fn real_place(path: &Path) -> PathBuf {
    let in_real_folder = || {
        let folder = match path.parent()? {
            here if here.as_os_str().is_empty() => Path::new("."),
            named => named,
        };
        Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
    };
    fs::canonicalize(path)
        .ok()
        .or_else(in_real_folder)
        .unwrap_or_else(|| path.to_owned())
}

fn write_error(path: &Path, error: io::Error) -> ReportError {
    ReportError::Write {
        path: path.to_owned(),
        error,
    }
}

/// A page that is not yet in its place. Dropped, it leaves nothing behind.
struct Draft {
    place: PathBuf,
    content: Written,
}

enum Written {
    Beside(PathBuf),
    /// For a place that cannot be replaced.
    Later(String),
}

impl Draft {
    fn write(place: PathBuf, text: &str) -> io::Result<Draft> {
        match fs::metadata(&place) {
            Ok(existing) if existing.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) if !existing.is_file() => {
                let content = Written::Later(text.to_owned());
                return Ok(Draft { place, content });
            }
            // One that must not be written to is refused, although the move would get round its mode.
            Ok(_) => drop(OpenOptions::new().append(true).open(&place)?),
            Err(_) => {}
        }
        let beside = beside(&place)?;
        let mut file = File::create_new(&beside)?;
        let draft = Draft {
            place,
            content: Written::Beside(beside),
        };
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(draft)
    }

    fn publish(self) -> io::Result<()> {
        match &self.content {
            Written::Beside(beside) => fs::rename(beside, &self.place),
            Written::Later(text) => OpenOptions::new()
                .write(true)
                .open(&self.place)?
                .write_all(text.as_bytes()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Written::Beside(beside) = &self.content {
            // Already gone after the move.
            let _ = fs::remove_file(beside);
        }
    }
}

/// In the same folder, since a move between file systems would be a copy.
fn beside(place: &Path) -> io::Result<PathBuf> {
    let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(place.with_file_name(hidden))
}
