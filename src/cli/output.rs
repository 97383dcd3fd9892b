//! Writing to stdout. A reader that has gone (`ebm kernel list | head`) is no error.

use crate::error::{Error, Result};
use std::io::{ErrorKind, Write};

/// Writes text.
pub fn text(text: &str) -> Result<()> {
    bytes(text.as_bytes())
}

/// Writes bytes.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::file("stdout", e)),
        _ => Ok(()),
    }
}

/// A line on stderr. Nobody is told when even that cannot be written.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `println!` that returns an error instead of panicking, and none when the reader has gone.
macro_rules! say {
    ($($arg:tt)*) => { $crate::cli::output::text(&(format!($($arg)*) + "\n")) };
}
pub(crate) use say;
