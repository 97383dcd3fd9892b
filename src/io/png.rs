//! PNG files; the format itself is [`crate::data::png`].

use super::source::Source;
use crate::data::png;
use crate::error::Result;
use std::path::Path;

/// A file with more bytes than this is no picture to train on.
const MOST_BYTES: usize = 1 << 28;

/// Reads an image as grey or RGB bytes `[H, W, C]`; see [`png::decode`].
pub fn read(path: impl AsRef<Path>) -> Result<(Vec<u8>, [usize; 3])> {
    let source = Source::read(path.as_ref(), "PNG", |_| Ok(MOST_BYTES))?;
    source.parsed(png::decode(&source.bytes))
}
