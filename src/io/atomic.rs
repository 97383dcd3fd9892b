//! Files that are either the old one or the complete new one, never a part of it.
//!
//! The content goes to a temporary file of its own in the same folder (`NAME.PROCESS-COUNT.tmp`, which must not exist),
//! is forced to the disk, and is then renamed to `NAME`. A failure at any point (a full disk included) removes the
//! temporary file and leaves what was there. A link at `NAME` is replaced, not followed.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes the file `path` (and the folders above it) with what `fill` puts into the writer.
///
/// # Errors
/// [`Error::File`] if anything fails, `fill` included, or if a folder, pipe or device is at `path`; what was there is
/// then unchanged.
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
        return Err(Error::file(path, "cannot write: a folder, pipe or device is there"));
    }
    let temporary = temporary_name(path);
    let replaced = (|| {
        fs::create_dir_all(folder_of(path))?;
        // `create_new` opens nothing that is there already, and follows no link.
        let file = File::options().write(true).create_new(true).open(&temporary)?;
        fill_file(file, fill)
            .and_then(|file| file.sync_all())
            .and_then(|()| rename(&temporary, path, previous))
            .inspect_err(|_| {
                let _ = fs::remove_file(&temporary);
            })
    })();
    replaced.map_err(|why| Error::file(path, format!("cannot write: {why}; what was there before is unchanged")))
}

/// Fills the file through a buffer; every byte has been handed to the system when this returns.
fn fill_file(file: File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<File> {
    let mut writer = BufWriter::with_capacity(1 << 20, file);
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

/// What temporary names end in; a process that was killed leaves them behind.
const TEMPORARY: &str = ".tmp";

/// A name in the folder of `path` that no other call uses, in this process or another.
pub(super) fn temporary_name(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{}-{}{TEMPORARY}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

/// Removes the temporary files that killed processes left in `folder`; nothing else may be writing there.
pub(super) fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|e| e.file_name().to_string_lossy().ends_with(TEMPORARY)) {
        // One that cannot be removed only takes some space.
        let _ = fs::remove_file(entry.path());
    }
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

    #[test]
    fn leftovers_and_links_are_never_written_through() {
        let folder = test_folder("atomic-links");
        let (path, target) = (folder.join("a.txt"), folder.join("target"));
        write_bytes(&target, b"kept").unwrap();
        if cfg!(unix) {
            #[cfg(unix)]
            std::os::unix::fs::symlink(&target, &path).unwrap();
            write_bytes(&path, b"new").unwrap();
            assert_eq!((fs::read(&path).unwrap(), fs::read(&target).unwrap()), (b"new".to_vec(), b"kept".to_vec()));
        }
        let (one, two) = (temporary_name(&path), temporary_name(&path));
        assert_ne!(one, two);
        fs::write(&one, b"half").unwrap();
        remove_leftovers(&folder);
        assert!(!one.exists() && target.exists());
    }

    /// `/dev/full` refuses every write with "no space left", here when the buffer is emptied at the end.
    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_one_clear_line_and_the_old_file_stays() {
        let Ok(full) = File::options().write(true).open("/dev/full") else {
            println!("skipped: a_full_disk_is_one_clear_line_and_the_old_file_stays: no /dev/full");
            return;
        };
        let why = fill_file(full, |w| w.write_all(&[7; 100])).unwrap_err();
        let folder = test_folder("atomic-full");
        let path = folder.join("a.bin");
        write_bytes(&path, b"old").unwrap();
        let text = write(&path, |_| Err(why)).unwrap_err().to_string();
        assert!(text.contains("No space left on device") && text.lines().count() == 1, "{text}");
        assert_eq!((fs::read(&path).unwrap(), names(&folder)), (b"old".to_vec(), vec!["a.bin".to_string()]));
        let text = write_bytes("/dev/full", &[7; 100]).unwrap_err().to_string();
        assert!(text.starts_with("/dev/full: cannot write: a folder, pipe or device"), "{text}");
    }
}
