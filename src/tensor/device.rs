//! Where a tensor lives: a GPU (f32), or the oracle (f64 on the host).

use crate::error::Result;
use crate::gpu::{Gpu, Options};
use std::fmt;

/// A device that tensors live on. Clones are the same device.
#[derive(Clone)]
pub enum Device {
    /// f32 on a Vulkan, Metal, DX12 or WebGPU adapter.
    Gpu(Gpu),
    /// f64 host loops: the definition of every operation.
    Oracle,
}

impl Device {
    /// Opens the best adapter; fails where there is none (see [`Device::oracle`]).
    pub fn open() -> Result<Device> {
        Device::choose("auto", Options::default())
    }

    /// Opens `oracle`, or an adapter by `auto`, number or part of its name.
    pub fn choose(choice: &str, options: Options) -> Result<Device> {
        if choice == "oracle" { Ok(Device::Oracle) } else { Ok(Device::Gpu(Gpu::open(choice, options)?)) }
    }

    /// The f64 reference device.
    pub fn oracle() -> Device {
        Device::Oracle
    }

    /// The GPU behind this device, if it is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        match self {
            Device::Gpu(gpu) => Some(gpu),
            Device::Oracle => None,
        }
    }

    /// Runs `f`; what it does counts in profiles as phase `label`, see [`Gpu::phase`].
    pub fn phase<T>(&self, label: &'static str, f: impl FnOnce() -> T) -> T {
        match self {
            Device::Gpu(gpu) => gpu.phase(label, f),
            Device::Oracle => f(),
        }
    }

    /// Submits what was recorded, without waiting.
    pub fn flush(&self) {
        if let Device::Gpu(gpu) = self {
            gpu.flush();
        }
    }

    /// Waits until everything recorded is done, and returns the first error the device reported.
    pub fn wait(&self) -> Result<()> {
        self.gpu().map_or(Ok(()), Gpu::wait)
    }

    /// Rounds a value to what this device can hold: f32 on a GPU.
    pub fn round(&self, x: f64) -> f64 {
        match self {
            Device::Gpu(_) => x as f32 as f64,
            Device::Oracle => x,
        }
    }

    pub(crate) fn same(&self, other: &Device) -> bool {
        match (self, other) {
            (Device::Oracle, Device::Oracle) => true,
            (Device::Gpu(a), Device::Gpu(b)) => a.same(b),
            _ => false,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Device::Gpu(gpu) => write!(f, "{}", gpu.describe()),
            Device::Oracle => write!(f, "oracle (f64 on the host)"),
        }
    }
}
