//! Files that are either the old one or the complete new one, never a part of it.
//!
//! The content goes to `NAME.tmp` in the same folder, is forced to the disk, and is then renamed to `NAME`. A failure
//! at any point (a full disk included) removes the temporary file and leaves what was there.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes the file `path` (and the folders above it) with what `fill` puts into the writer.
///
/// A device or pipe (`/dev/stdout`) is written to directly.
///
/// # Errors
/// [`Error::File`] if anything fails, `fill` included; what was at `path` is then unchanged.
pub fn write(path: impl AsRef<Path>, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    replace(path.as_ref(), None, fill)
}

/// [`write()`] with the whole content at hand.
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write(path, |w| w.write_all(bytes))
}

/// [`write()`], but the file now at `path`, if any, is kept under the name `previous`.
///
/// The new file is complete on the disk before either name changes, so at every instant at least one of `path` and
/// `previous` is a complete file.
pub fn write_keeping(
    path: impl AsRef<Path>,
    previous: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    replace(path.as_ref(), Some(previous.as_ref()), fill)
}

fn replace(path: &Path, previous: Option<&Path>, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    if fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return fill_file(path, fill).map(drop).map_err(|why| Error::file(path, format!("cannot write: {why}")));
    }
    let temporary = temporary_name(path);
    let replaced = (|| {
        fs::create_dir_all(folder_of(path))?;
        fill_file(&temporary, fill)?.sync_all()?;
        rename(&temporary, path, previous)
    })();
    replaced.map_err(|why| {
        let _ = fs::remove_file(&temporary);
        Error::file(path, format!("cannot write: {why}; what was there before is unchanged"))
    })
}

/// Creates the file and fills it through a buffer; every byte has been handed to the system when this returns.
fn fill_file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<File> {
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
    fill(&mut writer)?;
    writer.into_inner().map_err(|e| e.into_error())
}

/// Moves `path` to `previous`, then `temporary` to `path`; undoes the first if the second fails.
fn rename(temporary: &Path, path: &Path, previous: Option<&Path>) -> io::Result<()> {
    let kept = previous.filter(|_| path.exists());
    if let Some(previous) = kept {
        fs::rename(path, previous)?;
    }
    if let Err(why) = fs::rename(temporary, path) {
        if let Some(previous) = kept {
            fs::rename(previous, path)?;
        }
        return Err(why);
    }
    sync_folder(folder_of(path))
}

/// Forces the new names to the disk; only Unix lets a program open a folder for that.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".tmp");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failing_writer_leaves_the_old_file_and_no_temporary() {
        let folder = test_folder("atomic-fail");
        let path = folder.join("a.txt");
        write_bytes(&path, b"old").unwrap();
        let error = write(&path, |w| {
            w.write_all(b"half of the n")?;
            Err(io::Error::other("the writer gave up"))
        });
        let text = error.unwrap_err().to_string();
        assert!(
            text.ends_with("a.txt: cannot write: the writer gave up; what was there before is unchanged"),
            "{text}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&folder), ["a.txt"]);
    }

    #[test]
    fn the_previous_file_is_kept_under_its_name() {
        let folder = test_folder("atomic-keep");
        let (last, previous) = (folder.join("last"), folder.join("previous"));
        for content in ["1", "2", "3"] {
            write_keeping(&last, &previous, |w| w.write_all(content.as_bytes())).unwrap();
        }
        assert_eq!(fs::read_to_string(&last).unwrap(), "3");
        assert_eq!(fs::read_to_string(&previous).unwrap(), "2");
        write_keeping(&last, &previous, |_| Err(io::Error::other("no"))).unwrap_err();
        assert_eq!(fs::read_to_string(&last).unwrap(), "3");
        assert_eq!(fs::read_to_string(&previous).unwrap(), "2");
        assert_eq!(names(&folder), ["last", "previous"]);
    }

    #[test]
    fn missing_folders_are_made() {
        let folder = test_folder("atomic-folders");
        let path = folder.join("a/b/c.txt");
        write_bytes(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    /// `/dev/full` refuses every write with "no space left". It stands in for the temporary file through a link.
    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_one_clear_line_and_the_old_file_stays() {
        if !Path::new("/dev/full").exists() {
            println!("skipped: a_full_disk_is_one_clear_line_and_the_old_file_stays: no /dev/full");
            return;
        }
        let folder = test_folder("atomic-full");
        let path = folder.join("a.bin");
        write_bytes(&path, b"old").unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.join("a.bin.tmp")).unwrap();
        let text = write_bytes(&path, &[7; 100]).unwrap_err().to_string();
        assert!(text.contains("No space left on device") && text.lines().count() == 1, "{text}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&folder), ["a.bin"]);
        // A device is never replaced by a file: it is written to, and the error comes through.
        let text = write_bytes("/dev/full", &[7; 100]).unwrap_err().to_string();
        assert!(text.starts_with("/dev/full: cannot write: No space left on device"), "{text}");
    }
}
