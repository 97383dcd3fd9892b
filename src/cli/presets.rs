//! `ebm presets`: what can be trained by name.

use super::output::say;
use crate::error::Result;
use crate::run::Registry;

pub fn run(registry: &Registry) -> Result<()> {
    for (name, text) in registry.presets() {
        let about = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        say!("{name:28} {about}")?;
    }
    Ok(())
}
