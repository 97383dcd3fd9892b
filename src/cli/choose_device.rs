//! `--device`: which device a command runs on.

use crate::error::{Error, Result};
use crate::gpu::{Options, pin_software_threads};
use crate::io::tuned;
use crate::tensor::Device;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

thread_local! {
    /// What this process opened; its compiled pipelines are kept at the end.
    static OPENED: RefCell<Vec<Device>> = const { RefCell::new(Vec::new()) };
}

/// What was asked for: `--device`, else the environment's `EBM_DEVICE`, else `auto`.
pub fn choice(device: Option<&str>) -> String {
    device.map(String::from).or_else(|| std::env::var("EBM_DEVICE").ok()).unwrap_or_else(|| "auto".into())
}

/// Opens `auto`, `oracle`, or an adapter by its number in `ebm device` or a part of its name. Where there is no adapter
/// at all, `auto` is the oracle, with a notice on stderr; likewise where `EBM_MATRIX_UNITS=1` asks for what the adapter does not have.
/// What `ebm tune` found for the adapter is taken, unless `EBM_TUNED=0`.
///
/// # Errors
/// [`Error::NoAdapter`] when an adapter was asked for and is not there; [`Error::Setting`] when `EBM_SHADERS` names no folder.
pub fn choose_device(device: Option<&str>) -> Result<Device> {
    let choice = choice(device);
    if let Some(folder) = std::env::var_os("EBM_SHADERS").filter(|folder| !Path::new(folder).is_dir()) {
        let folder = folder.to_string_lossy();
        return Err(Error::setting(format!("EBM_SHADERS={folder}: no such folder; name one with kernels, or none")));
    }
    let matrix_units = std::env::var_os("EBM_MATRIX_UNITS").is_some_and(|value| value == "1");
    let options = Options { pipeline_cache: cache_folder(), matrix_units, ..Options::default() };
    let device = match Device::choose(&choice, options) {
        Err(Error::NoAdapter(why)) if choice == "auto" => {
            eprintln!("notice: {why}; until then the f64 oracle computes on the host, slowly");
            Device::oracle()
        }
        opened => opened.map_err(name_the_oracle)?,
    };
    if let Some(gpu) = device.gpu() {
        if gpu.profile().software {
            pin_software_threads();
        }
        if matrix_units && gpu.matrix_units().is_none() {
            let name = &gpu.profile().name;
            eprintln!("notice: {name} has no matrix units from f16 to f32 that compute right; products stay in f32");
        }
        if let Some(file) = tuned_file().filter(|_| std::env::var_os("EBM_TUNED").is_none_or(|value| value != "0")) {
            match tuned::load(&file, &gpu.describe()) {
                Ok(choices) => gpu.choose_by(choices),
                Err(why) => eprintln!("notice: {why}; until then kernels are the usual ones"),
            }
        }
        OPENED.with_borrow_mut(|list| list.push(device.clone()));
    }
    Ok(device)
}

/// Adds to the adapters that an error names the one device that is always there.
pub fn name_the_oracle(error: Error) -> Error {
    match error {
        Error::NoAdapter(why) => Error::NoAdapter(format!("{why}; there is always --device oracle")),
        other => other,
    }
}

/// Keeps the compiled pipelines of all opened devices for the next start, and lets go of the devices.
pub fn close_devices() {
    let devices = OPENED.take();
    devices.iter().filter_map(Device::gpu).for_each(|gpu| gpu.save_pipeline_cache());
}

/// Where `ebm tune` keeps what it found.
pub fn tuned_file() -> Option<PathBuf> {
    Some(cache_folder()?.join("tuned.json"))
}

/// `ebm/` in the user's cache folder.
fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("ebm"))
}
