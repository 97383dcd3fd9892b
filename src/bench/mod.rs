//! Benchmarks: one list, used by `ebm bench` and by the criterion benches.
//!
//! Each benchmark first asserts that its kernels are right, then is timed: inputs rotate through more memory than the
//! last-level cache holds, and one wait follows a batch of iterations long enough to hide it.

mod kernels;
mod ladder;
mod roof;
mod scaling;
mod spot;
mod training;

pub use crate::gpu::Roofs;
pub use kernels::kernels;
pub use ladder::{Step, ladder};
pub use roof::roofs;
pub use scaling::{Size, scaling};
pub use spot::Spot;
pub use training::training_steps;

use crate::error::{Error, Result, nearest};
use crate::gpu::{Profile, ProfileRow, Work};
use crate::tensor::Device;
use serde::Serialize;
use std::time::{Duration, Instant};

/// One benchmark.
pub struct Bench {
    /// Its name: what is computed and at which size.
    pub name: &'static str,
    /// What one iteration must at least move and compute.
    pub work: Work,
    /// Compares the device's result with the oracle's.
    pub check: Box<dyn Fn(&Device) -> Result<()>>,
    /// Makes the inputs and returns one iteration, which records work and does not wait for it.
    pub setup: Box<dyn Fn(&Device) -> Box<dyn FnMut()>>,
}

/// The result of a benchmark.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The benchmark's name.
    pub name: &'static str,
    /// The kernels of an iteration, the slowest first.
    pub kernels: Vec<String>,
    /// Iterations that were timed.
    pub iterations: u64,
    /// The median time of one iteration in milliseconds.
    pub ms: f64,
    /// The time that a quarter of the batches stayed below.
    pub ms_q1: f64,
    /// The time that three quarters of the batches stayed below.
    pub ms_q3: f64,
    /// The fastest batch's time per iteration.
    pub ms_min: f64,
    /// The slowest batch's time per iteration.
    pub ms_max: f64,
    /// 10^9 bytes per second, each byte of inputs and outputs counted once.
    pub gbps: f64,
    /// 10^9 floating-point operations per second.
    pub gflops: f64,
    /// Percent of the roof it is closest to: copied bytes or multiply-adds in registers.
    pub percent_of_roof: f64,
}

/// All benchmarks for an adapter like `profile`: the two roofs, the kernels, the training steps.
pub fn all(profile: &Profile) -> Vec<Bench> {
    roofs(profile).into_iter().chain(kernels()).chain(training_steps()).collect()
}

/// The benchmarks of `list` whose names are in `only`, a list separated by commas or spaces.
///
/// # Errors
/// [`Error::Setting`] for a name that is not in the list.
pub fn select(list: Vec<Bench>, only: &str) -> Result<Vec<Bench>> {
    let names: Vec<&str> = only.split([',', ' ']).filter(|n| !n.is_empty()).collect();
    for name in &names {
        if !list.iter().any(|b| b.name == *name) {
            let near = nearest(name, list.iter().map(|b| b.name)).unwrap_or_default();
            return Err(Error::setting(format!("no benchmark called \"{name}\"; did you mean {near}?")));
        }
    }
    Ok(list.into_iter().filter(|b| names.contains(&b.name)).collect())
}

impl Bench {
    /// Wall-clock seconds of `iterations` iterations, after a warm-up that compiles what they need.
    pub fn timer(&self, device: &Device) -> Result<impl FnMut(u64) -> Result<f64>> {
        let mut iteration = (self.setup)(device);
        let device = device.clone();
        let mut time = move |iterations: u64| {
            let start = Instant::now();
            (0..iterations).for_each(|_| iteration());
            device.wait()?;
            Ok(start.elapsed().as_secs_f64())
        };
        time(1)?;
        Ok(time)
    }

    /// Times the benchmark: batches of at least 50 ms, for a second or 20 batches, at least 3.
    pub fn measure(&self, device: &Device, roofs: Roofs) -> Result<Row> {
        let mut time = self.timer(device)?;
        let mut iterations = 1;
        while time(iterations)? < 0.05 && iterations < 1 << 14 {
            iterations *= 2;
        }
        let mut ms = Vec::new();
        let start = Instant::now();
        while ms.len() < 3 || (ms.len() < 20 && start.elapsed() < Duration::from_secs(1)) {
            ms.push(time(iterations)? * 1e3 / iterations as f64);
        }
        ms.sort_by(f64::total_cmp);
        let gpu = device.gpu().filter(|gpu| gpu.profile().timestamps);
        gpu.iter().for_each(|gpu| gpu.profile_start());
        time(1)?;
        let seen = gpu.map(|gpu| gpu.profile_stop().rows).unwrap_or_default();
        let iterations = iterations * ms.len() as u64;
        Ok(self.row(&ms, iterations, &seen, roofs))
    }

    /// The row of sorted times, and of what a profile of one iteration has seen. Work that was not counted is that of the kernels.
    fn row(&self, ms: &[f64], iterations: u64, seen: &[ProfileRow], roofs: Roofs) -> Row {
        let total = |of: fn(&ProfileRow) -> u64| seen.iter().map(|row| row.count * of(row)).sum();
        let work = match self.work {
            Work { bytes: 0, flops: 0 } => Work { bytes: 0, flops: total(|row| row.flops) },
            work => work,
        };
        let at = |quarter: usize| ms[(ms.len() * quarter / 4).min(ms.len() - 1)];
        let (gbps, gflops) = (work.bytes as f64 / at(2) / 1e6, work.flops as f64 / at(2) / 1e6);
        let mut kernels: Vec<String> = Vec::new();
        for row in seen.iter().filter(|row| row.grid.is_some()) {
            if !kernels.contains(&row.name) {
                kernels.push(row.name.clone());
            }
        }
        Row {
            name: self.name,
            kernels,
            iterations,
            ms: at(2),
            ms_q1: at(1),
            ms_q3: at(3),
            ms_min: at(0),
            ms_max: at(4),
            gbps,
            gflops,
            percent_of_roof: roofs.percent(gbps, gflops),
        }
    }
}

impl Roofs {
    /// Measures both roofs.
    pub fn measure(device: &Device) -> Result<Roofs> {
        let Some(gpu) = device.gpu() else {
            return Err(Error::NoAdapter(format!("benchmarks need a GPU adapter; {}", crate::gpu::INSTALL_HINT)));
        };
        let none = Roofs { gbps: f64::INFINITY, gflops: f64::INFINITY };
        let [copy, fma] = roofs(gpu.profile());
        Ok(Roofs { gbps: copy.measure(device, none)?.gbps, gflops: fma.measure(device, none)?.gflops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_counts_work_per_second_and_takes_the_nearer_roof() {
        let bench = Bench {
            name: "test",
            work: Work { bytes: 2_000_000, flops: 6_000_000 },
            check: Box::new(|_| Ok(())),
            setup: Box::new(|_| Box::new(|| ())),
        };
        let row = bench.row(&[1.0, 1.5, 2.0, 2.5, 3.0], 5, &[], Roofs { gbps: 10.0, gflops: 4.0 });
        assert_eq!((row.gbps, row.gflops, row.percent_of_roof), (1.0, 3.0, 75.0));
        assert_eq!([row.ms_min, row.ms_q1, row.ms, row.ms_q3, row.ms_max], [1.0, 1.5, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn a_name_that_is_not_in_the_list_is_refused_with_the_nearest_one() {
        let list = || all(&Profile::default());
        let picked = select(list(), "roof_fma,add_16Mi").unwrap();
        assert_eq!(picked.iter().map(|b| b.name).collect::<Vec<_>>(), ["roof_fma", "add_16Mi"]);
        let error = select(list(), "ad_16Mi").err().unwrap().to_string();
        assert!(error.contains("did you mean add_16Mi"), "{error}");
    }
}
