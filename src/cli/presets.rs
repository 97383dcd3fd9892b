//! `ebm presets`: what can be trained by name.

use super::config::PRESETS;
use super::output::say;
use crate::error::Result;

pub fn run() -> Result<()> {
    for (name, text) in PRESETS {
        let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        say!("{name:28} {about}")?;
    }
    Ok(())
}
