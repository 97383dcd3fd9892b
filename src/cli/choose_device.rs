//! `--device`: which device a command runs on.

use crate::error::{Error, Result};
use crate::gpu::{Options, pin_software_threads};
use crate::tensor::Device;
use std::ops::Deref;
use std::path::PathBuf;

/// The argument, flattened into every command that computes.
#[derive(clap::Args, Default)]
pub struct DeviceArg {
    /// auto, oracle (f64 on the host), an adapter's number in `ebm device`, or a part of its name
    /// [default: $EBM_DEVICE, else auto]
    #[arg(long)]
    device: Option<String>,
}

/// An opened device. Dropping it keeps the compiled pipelines for the next start.
pub struct OpenDevice(Device);

impl DeviceArg {
    /// What was asked for.
    pub fn choice(&self) -> String {
        self.device.clone().or_else(|| std::env::var("EBM_DEVICE").ok()).unwrap_or_else(|| "auto".into())
    }

    /// Opens the device. Where there is no adapter, `auto` is the oracle, with a notice on stderr.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when an adapter was asked for by name and is not there.
    pub fn open(&self) -> Result<OpenDevice> {
        let choice = self.choice();
        let options = Options { pipeline_cache: cache_folder(), ..Options::default() };
        match Device::choose(&choice, options) {
            Err(Error::NoAdapter(why)) if choice == "auto" => {
                eprintln!("notice: {why}; until then the f64 oracle computes on the host, slowly");
                Ok(OpenDevice(Device::oracle()))
            }
            Err(Error::NoAdapter(why)) => Err(Error::NoAdapter(format!("{why}, oracle"))),
            opened => {
                let device = opened?;
                if device.gpu().is_some_and(|gpu| gpu.profile().software) {
                    pin_software_threads();
                }
                Ok(OpenDevice(device))
            }
        }
    }
}

/// `ebm/` in the user's cache folder.
fn cache_folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("ebm"))
}

impl Deref for OpenDevice {
    type Target = Device;
    fn deref(&self) -> &Device {
        &self.0
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        if let Some(gpu) = self.0.gpu() {
            gpu.save_pipeline_cache();
        }
    }
}
