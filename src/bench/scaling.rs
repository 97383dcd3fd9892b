//! How an iteration of training grows with its sizes: presets with one setting changed at a time.

use super::{Roofs, Row, training};
use crate::error::{Error, Result};
use crate::tensor::Device;
use serde::Serialize;

/// What grows, in which preset, and which settings that takes.
struct Axis {
    what: &'static str,
    preset: &'static str,
    sizes: &'static [usize],
    /// How many times the work one size is of another, as a power of their ratio.
    power: i32,
    settings: fn(usize) -> Vec<String>,
}

const AXES: [Axis; 5] = [
    Axis {
        what: "batch",
        preset: "cd/eight-gaussians",
        sizes: &[64, 256, 1024, 4096],
        power: 1,
        settings: |n| vec![format!("algorithm.batch={n}")],
    },
    Axis {
        what: "Langevin steps",
        preset: "cd/eight-gaussians",
        sizes: &[5, 20, 80, 320],
        power: 1,
        settings: |n| vec![format!("algorithm.langevin.steps={n}")],
    },
    Axis {
        what: "width",
        preset: "cd/eight-gaussians",
        sizes: &[32, 64, 128, 256, 512],
        power: 2,
        settings: |n| vec![format!("algorithm.energy.hidden=[{n}, {n}]")],
    },
    Axis {
        what: "side of images",
        preset: "cd/fashion-mnist",
        sizes: &[14, 28, 56],
        power: 2,
        settings: |n| {
            let side = format!("data=uniform-noise:{n}x{n}x1");
            vec![side, "algorithm.batch=8".into(), "algorithm.replay.size=256".into()]
        },
    },
    Axis {
        what: "levels",
        preset: "cdrl/checkerboard-small",
        sizes: &[2, 4, 8, 16],
        power: 0,
        settings: |n| vec![format!("algorithm.levels={n}")],
    },
];

/// An iteration at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Size {
    /// What grows.
    pub what: &'static str,
    /// The preset that has all other settings.
    pub preset: &'static str,
    /// How large it is.
    pub size: usize,
    /// How many times the work of the first size this is, by count: its ratio to the first, or the square of that; 1 for levels, of
    /// which a sample meets one.
    pub work: f64,
    /// The time of an iteration and the kernels in it.
    pub row: Row,
    /// Bytes of all buffers of the device, which is opened anew for every size: the peak.
    pub memory_bytes: u64,
}

/// Times every size on a device of its own from `open`; `say` hears what comes next.
///
/// # Errors
/// [`Error::NoAdapter`] where `open` gives the oracle, and what building a preset reports.
pub fn scaling(open: &dyn Fn() -> Result<Device>, say: &dyn Fn(String)) -> Result<Vec<Size>> {
    let none = Roofs { gbps: f64::INFINITY, gflops: f64::INFINITY };
    let mut sizes = Vec::new();
    for Axis { what, preset, sizes: list, power, settings } in AXES {
        for &size in list {
            say(format!("{what} {size}"));
            let device = open()?;
            let gpu = device.gpu().ok_or_else(|| Error::NoAdapter("benchmarks need a GPU adapter".into()))?;
            let row = training::preset(what, preset, settings(size)).measure(&device, none)?;
            let work = (size as f64 / list[0] as f64).powi(power);
            sizes.push(Size { what, preset, size, work, row, memory_bytes: gpu.pool_stats().allocated_bytes });
        }
    }
    Ok(sizes)
}
