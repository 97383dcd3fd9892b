//! The ladder of matrix products: every rung against the one below it.

use super::kernels::matmul_by;
use crate::error::{Error, Result};
use crate::ops::ladder::Rung;
use crate::tensor::Device;

/// A rung's time.
pub struct Step {
    /// The shader's name; the last one is what `Tensor::matmul` runs.
    pub name: &'static str,
    /// The median time of one product in milliseconds.
    pub ms: f64,
    /// 10^9 floating-point operations per second.
    pub gflops: f64,
    /// How many times as fast as the step before it.
    pub gain: Option<f64>,
}

/// Rounds, in each of which every rung runs once, so that whatever else the machine does meets all of them.
const ROUNDS: usize = 9;

/// Checks every rung the device can run against the oracle and times it on a product of n x n x n: n and the steps.
pub fn ladder(device: &Device) -> Result<(usize, Vec<Step>)> {
    let Some(gpu) = device.gpu() else {
        return Err(Error::NoAdapter(format!("benchmarks need a GPU adapter; {}", crate::gpu::INSTALL_HINT)));
    };
    let n = if gpu.profile().software { 512 } else { 2048 };
    let rungs = Rung::ALL.into_iter().filter(|rung| rung.runs_on(gpu.profile()));
    let mut list: Vec<_> = rungs.map(|r| matmul_by(r.name(), [n; 3], move |a, b| r.matmul(a, b))).collect();
    list.push(matmul_by("Tensor::matmul", [n; 3], |a, b| a.matmul(b)));
    let mut timers = Vec::new();
    for bench in &list {
        (bench.check)(device)?;
        timers.push(bench.timer(device)?);
    }
    let mut ms = vec![Vec::new(); list.len()];
    for _ in 0..ROUNDS {
        for (timer, ms) in timers.iter_mut().zip(&mut ms) {
            ms.push(timer(1)? * 1e3);
        }
    }
    let medians = ms.into_iter().map(|mut ms| {
        ms.sort_by(f64::total_cmp);
        ms[ROUNDS / 2]
    });
    Ok((n, steps(list.iter().map(|b| b.name).zip(medians), 2 * n * n * n)))
}

fn steps(medians: impl Iterator<Item = (&'static str, f64)>, flops: usize) -> Vec<Step> {
    let mut before = None;
    medians
        .map(|(name, ms)| {
            let gain = before.replace(ms).map(|before| before / ms);
            Step { name, ms, gflops: flops as f64 / ms / 1e6, gain }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_compared_with_the_one_before_it() {
        let steps = steps([("v1", 8.0), ("v2", 2.0)].into_iter(), 4_000_000);
        let rows: Vec<_> = steps.iter().map(|s| (s.name, s.gflops, s.gain)).collect();
        assert_eq!(rows, [("v1", 0.5, None), ("v2", 2.0, Some(4.0))]);
    }
}
