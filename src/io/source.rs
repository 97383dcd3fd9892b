//! Opens files that others wrote: regular files only, gzipped or not, and never more bytes than they may have.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::data::MOST_BYTES;
use crate::error::{Error, Result};

/// How many bytes are read before the size of the whole is asked for.
const BEGINNING: usize = 1 << 16;

/// Opens a regular file. Pipes and devices are refused: reading from one may never end.
pub fn open(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let kind = std::fs::metadata(path).map_err(|why| Error::file(path, format!("cannot read: {why}")))?;
    if kind.is_dir() {
        return Err(Error::file(path, "is a folder, not a file"));
    }
    if !kind.is_file() {
        return Err(Error::file(path, "is a pipe or device, not a file"));
    }
    File::open(path).map_err(|why| Error::file(path, format!("cannot read: {why}")))
}

/// The content of a regular file of less than 1 GiB.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let mut bytes = Vec::new();
    fill(&mut open(path)?, &mut bytes, MOST_BYTES).map_err(|why| Error::file(path, format!("cannot read: {why}")))?;
    if bytes.len() == MOST_BYTES {
        return Err(Error::file(path, format!("has {MOST_BYTES} bytes or more")));
    }
    Ok(bytes)
}

/// The text of a regular file.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    String::from_utf8(read(&path)?).map_err(|_| Error::file(path, "cannot read: it is not text"))
}

/// A data file's path as it was found, its kind for messages, and its content, unpacked.
pub(super) struct Source {
    path: PathBuf,
    format: &'static str,
    pub bytes: Vec<u8>,
}

impl Source {
    /// Reads `path`, or `path.gz` if only that exists. Gzip is recognised by its first two bytes.
    ///
    /// `size` tells from the first 64 KiB how long the whole must be; reading stops one byte after that, so a small
    /// file that unpacks to a huge one costs no memory. The format's own reader finds the byte too many.
    pub fn read(path: &Path, format: &'static str, size: impl Fn(&[u8]) -> Result<usize, String>) -> Result<Source> {
        let path = existing(path).ok_or_else(|| Error::file(path, "not found, nor the same name with .gz"))?;
        let failed = |why: io::Error| match why.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Error::format(&path, format, format!("the gzip stream is damaged ({why}); fetch the file again"))
            }
            _ => Error::file(&path, format!("cannot read: {why}")),
        };
        let mut file = BufReader::new(open(&path)?);
        let gzip = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

        let mut bytes = Vec::new();
        fill(&mut reader, &mut bytes, BEGINNING).map_err(failed)?;
        let size = size(&bytes).map_err(|why| Error::format(&path, format, why))?;
        if size >= MOST_BYTES {
            return Err(Error::format(
                &path,
                format,
                format!("it says to hold {size} bytes, less than {MOST_BYTES} are read"),
            ));
        }
        fill(&mut reader, &mut bytes, size + 1).map_err(failed)?;
        Ok(Source { path, format, bytes })
    }

    /// What a reader of these bytes found, with the path and the format put in front of its complaint.
    pub fn parsed<T>(&self, result: Result<T, String>) -> Result<T> {
        result.map_err(|why| Error::format(&self.path, self.format, why))
    }
}

/// Reads until `bytes` holds `length` of them or the end comes; the memory grows with what has arrived.
fn fill(reader: &mut impl Read, bytes: &mut Vec<u8>, length: usize) -> io::Result<()> {
    while bytes.len() < length {
        let step = (length - bytes.len()).min(bytes.len().max(BEGINNING));
        bytes.reserve_exact(step);
        if reader.by_ref().take(step as u64).read_to_end(bytes)? < step {
            break;
        }
    }
    Ok(())
}

/// `path` or `path.gz`, whichever exists.
pub(super) fn existing(path: &Path) -> Option<PathBuf> {
    let mut gz = path.as_os_str().to_owned();
    gz.push(".gz");
    [path.to_path_buf(), gz.into()].into_iter().find(|p| p.exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::test_folder;
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(content).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn raw_and_gzipped_files_read_the_same_and_damage_is_reported() {
        let folder = test_folder("source");
        let content: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let read = |bytes: &[u8], size: usize| {
            std::fs::write(folder.join("x.gz"), bytes).unwrap();
            Source::read(&folder.join("x"), "test", |_| Ok(size)).map(|source| source.bytes)
        };
        let gz = gzip(&content);
        assert_eq!(read(&content, content.len()).unwrap(), content);
        assert_eq!(read(&gz, content.len()).unwrap(), content);
        assert_eq!(read(&gz, 100_000).unwrap().len(), 100_001, "one byte more than there should be");
        let wrong = |bytes: &[u8]| {
            let e = read(bytes, content.len()).unwrap_err();
            assert!(matches!(e, Error::Format { .. }) && e.to_string().contains("gzip stream is damaged"), "{e}");
        };
        wrong(&gz[..gz.len() / 2]);
        let mut flipped = gz.clone();
        let end = flipped.len();
        flipped[end - 6] ^= 1; // inside the checksum
        wrong(&flipped);
    }

    /// A megabyte of gzip that unpacks to a gigabyte of zeros is left after what the header promises.
    #[test]
    fn a_gzip_bomb_is_read_no_further_than_its_header_says() {
        let folder = test_folder("source-bomb");
        let path = folder.join("bomb.gz");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        (0..256).for_each(|_| gz.write_all(&[0; 1 << 20]).unwrap());
        std::fs::write(&path, gz.finish().unwrap()).unwrap();
        let source = Source::read(&path, "test", |_| Ok(1000)).unwrap();
        assert!(source.bytes.capacity() <= 2 * BEGINNING, "{}", source.bytes.capacity());
        let text = Source::read(&path, "test", |_| Ok(MOST_BYTES)).err().unwrap().to_string();
        assert!(text.contains("less than 1073741824 are read"), "{text}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = test_folder("source-kinds");
        assert!(open(folder.join("none")).is_err());
        assert!(open(&*folder).unwrap_err().to_string().ends_with("is a folder, not a file"));
        if cfg!(unix) {
            assert!(read("/dev/zero").unwrap_err().to_string().ends_with("is a pipe or device, not a file"));
        }
    }
}
