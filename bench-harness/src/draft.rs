//! Files that are there whole or not at all, and known to be writable before the work begins: nobody wants to measure for a
//! minute and then hear that the folder is not there.
//!
//! Each is written beside its place under another name and moved there when it is complete. A place that is no ordinary
//! file, such as `/dev/stdout` or a pipe, cannot be replaced: it is written to at the very end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is not yet in its place. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Draft {
    place: PathBuf,
    file: File,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// In `file`, which has this name for now.
    Beside(PathBuf),
    /// To be written to `file`, which is the place itself.
    Kept(Vec<u8>),
}

impl Draft {
    /// # Errors
    /// When the place may not be written to, or its folder not.
    pub(crate) fn open(path: &Path) -> io::Result<Draft> {
        let place = real_place(path);
        if let Ok(existing) = fs::metadata(&place) {
            // What may not be written to is refused, although moving a new file there would get round its mode.
            let file = OpenOptions::new().append(true).open(&place)?;
            if !existing.is_file() {
                return Ok(Draft {
                    place,
                    file,
                    content: Content::Kept(Vec::new()),
                });
            }
        }
        let beside = beside(&place)?;
        Ok(Draft {
            file: File::create(&beside)?,
            place,
            content: Content::Beside(beside),
        })
    }

    /// Where it will be, with links followed.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Sets its content down, safely on disk. Once.
    ///
    /// # Errors
    /// When there is no room, or reading what is to be written fails.
    pub(crate) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        match &mut self.content {
            Content::Beside(_) => {
                self.file.write_all(content)?;
                self.file.sync_all()
            }
            Content::Kept(kept) => {
                kept.extend_from_slice(content);
                Ok(())
            }
        }
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// When the place cannot be written to after all.
    pub(crate) fn publish(mut self) -> io::Result<()> {
        match &self.content {
            Content::Beside(beside) => fs::rename(beside, &self.place),
            Content::Kept(content) => self.file.write_all(content),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Content::Beside(beside) = &self.content {
            // After the move it is gone already.
            let _ = fs::remove_file(beside);
        }
    }
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

/// In the same folder: a move from another file system would be a copy.
fn beside(place: &Path) -> io::Result<PathBuf> {
    let name = place
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    Ok(place.with_file_name(hidden))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_published_file_is_whole_and_alone() {
        let directory = tempdir().unwrap();
        let place = directory.path().join("result.json");
        fs::write(&place, "an older one").unwrap();
        let mut draft = Draft::open(&place).unwrap();
        draft.write(b"{}").unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "an older one");
        draft.publish().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "{}");
        assert_eq!(names(directory.path()), ["result.json"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempdir().unwrap();
        let (link, target) = (directory.path().join("link"), directory.path().join("file"));
        fs::write(&target, "an older one").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut draft = Draft::open(&link).unwrap();
        draft.write(b"new").unwrap();
        draft.publish().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing() {
        let directory = tempdir().unwrap();
        let mut draft = Draft::open(&directory.path().join("result.json")).unwrap();
        draft.write(b"half").unwrap();
        drop(draft);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused_at_once() {
        let directory = tempdir().unwrap();
        assert!(Draft::open(&directory.path().join("missing/result.json")).is_err());
        assert!(Draft::open(directory.path()).is_err());
    }
}
