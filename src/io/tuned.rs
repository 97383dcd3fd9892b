//! What `ebm tune` found, between processes: one file with the choices of each adapter and driver.

use super::atomic;
use crate::error::{Error, Result};
use crate::gpu::Choices;
use std::collections::BTreeMap;
use std::path::Path;

/// By adapter, as [`Gpu::describe`](crate::gpu::Gpu::describe) names it.
type Kept = BTreeMap<String, Choices>;

fn all(file: &Path) -> Result<Kept> {
    if !file.exists() {
        return Ok(Kept::new());
    }
    let text = super::read_text(file)?;
    serde_json::from_str(&text).map_err(|why| Error::format(file, "tuning", format!("{why}; remove the file")))
}

/// What was found for an adapter; nothing where there is no such file.
///
/// # Errors
/// [`Error::File`] and [`Error::Format`] where the file cannot be read.
pub fn load(file: &Path, adapter: &str) -> Result<Choices> {
    Ok(all(file)?.remove(adapter).unwrap_or_default())
}

/// Keeps these and no others for an adapter.
///
/// # Errors
/// [`Error::File`] and [`Error::Format`] where the file cannot be read or written.
pub fn save(file: &Path, adapter: &str, choices: &Choices) -> Result<()> {
    let mut kept = all(file)?;
    match choices.is_empty() {
        true => _ = kept.remove(adapter),
        false => _ = kept.insert(adapter.into(), choices.clone()),
    }
    let text = serde_json::to_string_pretty(&kept).unwrap_or_else(|e| panic!("choices are always JSON: {e}"));
    atomic::write_bytes(file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_keep_their_own_choices() {
        let folder = crate::io::test_folder("tuned");
        let file = folder.join("new/tuned.json");
        let choices = |best: &str| Choices::from([("a product".to_string(), best.to_string())]);
        assert!(load(&file, "a").unwrap().is_empty());
        save(&file, "a", &choices("x")).unwrap();
        save(&file, "b", &choices("y")).unwrap();
        assert_eq!([load(&file, "a").unwrap(), load(&file, "b").unwrap()], [choices("x"), choices("y")]);
        save(&file, "a", &Choices::new()).unwrap();
        assert_eq!([load(&file, "a").unwrap(), load(&file, "b").unwrap()], [Choices::new(), choices("y")]);
        std::fs::write(&file, "[1]").unwrap();
        let error = load(&file, "b").unwrap_err().to_string();
        assert!(error.contains("tuned.json") && error.contains("remove the file"), "{error}");
    }
}
