//! Reads files that may be gzipped, without trusting the sizes they claim.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

/// An open file of a known format; every read is bounded, and nothing is allocated before the bytes are there.
pub(super) struct Source {
    pub path: PathBuf,
    format: &'static str,
    reader: Box<dyn Read>,
}

impl Source {
    /// Opens `path`, or `path.gz` if only that exists. Gzip is recognised by its first two bytes.
    pub fn open(path: &Path, format: &'static str) -> Result<Source> {
        let path = existing(path).ok_or_else(|| Error::file(path, "not found, nor the same name with .gz"))?;
        let file = File::open(&path).map_err(|e| Error::file(&path, e))?;
        let mut file = BufReader::new(file);
        let gzip = file.fill_buf().map_err(|e| Error::file(&path, e))?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Source { path, format, reader })
    }

    /// The next bytes, at most `limit` of them; fewer only at the end of the file.
    pub fn up_to(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(limit as u64).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e)
                if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                Err(self.wrong(format!("the gzip stream is damaged ({e}); fetch the file again")))
            }
            Err(e) => Err(Error::file(&self.path, e)),
        }
    }

    /// The next `n` bytes, called `what` in the error if the file ends before.
    pub fn exactly(&mut self, n: usize, what: &str) -> Result<Vec<u8>> {
        let bytes = self.up_to(n)?;
        if bytes.len() < n {
            return Err(self.wrong(format!("{what} needs {n} bytes, found {}", bytes.len())));
        }
        Ok(bytes)
    }

    /// All that is left, which must be `n` bytes. Reading to the end also checks the gzip checksum.
    pub fn last(&mut self, n: usize, what: &str) -> Result<Vec<u8>> {
        let bytes = self.exactly(n, what)?;
        match self.up_to(1)?.len() {
            0 => Ok(bytes),
            _ => Err(self.wrong(format!("{what} needs {n} bytes, but the file goes on after them"))),
        }
    }

    /// An error about the content of this file.
    pub fn wrong(&self, why: impl std::fmt::Display) -> Error {
        Error::format(&self.path, self.format, why)
    }
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
    use crate::data::scratch;
    use std::io::Write;

    #[test]
    fn raw_and_gzipped_files_read_the_same_and_damage_is_reported() {
        let dir = scratch("source");
        let content: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&content).unwrap();
        let gz = gz.finish().unwrap();
        let read = |bytes: &[u8], n| {
            std::fs::write(dir.join("x.gz"), bytes).unwrap();
            Source::open(&dir.join("x"), "test").unwrap().last(n, "all")
        };
        assert_eq!(read(&content, content.len()).unwrap(), content);
        assert_eq!(read(&gz, content.len()).unwrap(), content);
        let wrong = |bytes: &[u8], n, expect: &str| {
            let e = read(bytes, n).unwrap_err();
            assert!(matches!(e, Error::Format { .. }) && e.to_string().contains(expect), "{e}");
        };
        wrong(&gz[..gz.len() / 2], content.len(), "gzip stream is damaged");
        let mut flipped = gz.clone();
        let end = flipped.len();
        flipped[end - 6] ^= 1; // inside the checksum
        wrong(&flipped, content.len(), "gzip stream is damaged");
        wrong(&content, content.len() + 1, "found 100000");
        wrong(&content, content.len() - 1, "goes on");
    }

    #[test]
    fn a_missing_file_and_a_folder_are_file_errors() {
        let dir = scratch("source-missing");
        assert!(matches!(Source::open(&dir.join("none"), "test").err(), Some(Error::File { .. })));
        assert!(matches!(Source::open(&dir, "test").err(), Some(Error::File { .. })));
    }
}
