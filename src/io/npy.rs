//! NumPy files; the format itself is [`crate::data::npy`].

use super::atomic;
use super::source::Source;
use crate::data::npy::{self, Array};
use crate::error::Result;
use std::path::Path;

/// Reads an array; `.npy.gz` too.
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let source = Source::read(path.as_ref(), "npy", npy::size)?;
    source.parsed(npy::parse(&source.bytes))
}

/// Writes row-major f32 values atomically. Panics if they do not fill `shape`.
#[track_caller]
pub fn write(path: impl AsRef<Path>, shape: &[usize], values: &[f32]) -> Result<()> {
    atomic::write_bytes(path, &npy::encode(shape, values))
}
