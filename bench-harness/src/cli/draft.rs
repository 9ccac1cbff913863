//! Result files that are there whole or not at all, and known to be writable before a load begins: nobody wants to measure
//! for a minute and then hear that the folder is not there.
//!
//! Each is written beside its place under another name and moved there when it is complete. A place that is no ordinary
//! file, such as `/dev/null` or a pipe, is written to directly: it cannot be replaced.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Failure, failure};

/// A file that is not yet in its place. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Draft {
    place: PathBuf,
    file: File,
    /// Absent where the place itself is written to.
    beside: Option<PathBuf>,
}

impl Draft {
    pub(super) fn open(place: &Path) -> Result<Draft, Failure> {
        Draft::try_open(place).map_err(|error| {
            failure(format!(
                "cannot write {}: {error}; nothing was run",
                place.display()
            ))
        })
    }

    fn try_open(place: &Path) -> io::Result<Draft> {
        // A link stays a link: the file that it points to is replaced.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if let Ok(existing) = fs::metadata(&place) {
            // What may not be written to is refused, although moving a new file there would get round its mode.
            let file = OpenOptions::new().append(true).open(&place)?;
            if !existing.is_file() {
                return Ok(Draft {
                    place,
                    file,
                    beside: None,
                });
            }
        }
        let beside = beside(&place)?;
        Ok(Draft {
            file: File::create(&beside)?,
            place,
            beside: Some(beside),
        })
    }

    /// Writes everything and puts the file in its place.
    pub(super) fn publish(
        mut self,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let done = self.try_publish(write);
        done.map_err(|error| failure(format!("cannot write {}: {error}", self.place.display())))
    }

    fn try_publish(
        &mut self,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut writer = BufWriter::new(&self.file);
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        if let Some(beside) = &self.beside {
            self.file.sync_all()?;
            fs::rename(beside, &self.place)?;
            self.beside = None;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
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
        let draft = Draft::open(&place).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "an older one");
        draft.publish(|out| out.write_all(b"{}")).unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "{}");
        assert_eq!(names(directory.path()), ["result.json"]);
    }

    #[test]
    fn a_draft_that_fails_or_is_dropped_leaves_nothing() {
        let directory = tempdir().unwrap();
        let place = directory.path().join("result.json");
        drop(Draft::open(&place).unwrap());
        let fails = |out: &mut BufWriter<&File>| {
            out.write_all(b"half")?;
            Err(io::Error::other("no more room"))
        };
        let error = Draft::open(&place).unwrap().publish(fails).unwrap_err();
        assert!(error.text.ends_with("result.json: no more room"));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused_at_once() {
        let directory = tempdir().unwrap();
        let nowhere = directory.path().join("missing/result.json");
        let error = Draft::open(&nowhere).unwrap_err();
        assert!(error.text.contains("missing/result.json"), "{}", error.text);
        assert!(error.text.ends_with("nothing was run"), "{}", error.text);
        assert!(Draft::open(directory.path()).is_err());
    }
}
