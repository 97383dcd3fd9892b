//! The one error type: everything the outside world can cause.
//!
//! A mistake in the caller's code (shapes that do not fit) panics at the caller's line instead; see `ops`.

use std::path::{Path, PathBuf};

/// What `ebm` returns when a machine, a file or a setting is not as it must be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No adapter fits the request; the text names what there is and what to install.
    #[error("{0}")]
    NoAdapter(String),
    /// A tensor is larger than the adapter can bind.
    #[error("{what} needs {bytes} bytes, but {adapter} binds at most {limit} bytes; use a smaller batch or model")]
    TooLarge { what: String, bytes: u64, limit: u64, adapter: String },
    /// The device ran out of memory.
    #[error("out of device memory: {0}; use a smaller batch or model")]
    OutOfMemory(String),
    /// The device is gone or rejected a command; nothing after this is trustworthy.
    #[error("device error: {0}")]
    Device(String),
    /// The operating system refused a file operation.
    #[error("{}: {why}", printable(&path.to_string_lossy()))]
    File { path: PathBuf, why: String },
    /// A file was read but is not what it claims to be.
    #[error("{}: not a valid {format} file: {why}", printable(&path.to_string_lossy()))]
    Format { path: PathBuf, format: &'static str, why: String },
    /// A setting, preset, key or argument is wrong; the text says what would be right.
    #[error("{0}")]
    Setting(String),
    /// Training left the numbers it can recover from.
    #[error("training diverged at step {step} (seed {seed}): {what}. {advice}")]
    Diverged { step: u64, seed: u64, what: String, advice: String },
    /// The user pressed Ctrl-C; the state was saved.
    #[error("interrupted at step {0}; state saved")]
    Interrupted(u64),
}

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Wraps an I/O error with the path it happened at.
    pub fn file(path: impl AsRef<Path>, why: impl std::fmt::Display) -> Error {
        Error::File { path: path.as_ref().to_path_buf(), why: printable(&why.to_string()) }
    }

    /// A file whose content is wrong: `format` is its kind ("IDX", "PNG", ...), `why` what was found.
    pub fn format(path: impl AsRef<Path>, format: &'static str, why: impl std::fmt::Display) -> Error {
        Error::Format { path: path.as_ref().to_path_buf(), format, why: printable(&why.to_string()) }
    }

    /// A wrong setting.
    pub fn setting(text: impl std::fmt::Display) -> Error {
        Error::Setting(printable(&text.to_string()))
    }
}

/// The text on one line, with control characters (the escape codes of terminals among them) written as `\u{1b}`.
///
/// Names of files, classes and settings come from outside and must not command the terminal they are shown on.
pub fn printable(text: &str) -> String {
    let line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The entry of `known` closest to `word` (edit distance), for "did you mean" messages.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|k| edit_distance(word, k))
}

/// Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let evil = "a\u{1b}[31m\r\nb\u{9b}\té";
        let shown = "a\\u{1b}[31m b\\u{9b}\\té";
        assert_eq!(Error::setting(evil).to_string(), shown);
        assert_eq!(Error::file(evil, evil).to_string(), format!("{shown}: {shown}"));
        assert_eq!(Error::format(evil, "PNG", evil).to_string(), format!("{shown}: not a valid PNG file: {shown}"));
    }

    #[test]
    fn the_nearest_name_is_the_one_with_the_smallest_edit_distance() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(nearest("cd/eight-gausians", ["cd/mnist", "cd/eight-gaussians"]), Some("cd/eight-gaussians"));
    }
}
