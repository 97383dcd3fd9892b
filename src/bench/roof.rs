//! The two roofs: a plain copy, and multiply-adds in registers.

use super::Bench;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Kernel, Profile, Work, Workgroups};
use crate::tensor::{Device, Key, Tensor};
use crate::{shader, uniforms};

/// `roof_copy` and `roof_fma`, sized for an adapter like `profile`.
pub fn roofs(profile: &Profile) -> [Bench; 2] {
    [copy(profile), fma(profile)]
}

fn gpu(device: &Device) -> &Gpu {
    device.gpu().unwrap_or_else(|| panic!("the roofs are measured on a GPU"))
}

/// 256 MiB to 256 MiB, or as much as one binding holds.
fn copy(profile: &Profile) -> Bench {
    let bytes = profile.max_binding_bytes.min(256 << 20) / 16 * 16;
    let record = move |device: &Device, x: &Tensor, y: &Tensor| {
        let quads = bytes as usize / 16;
        let kernel = Kernel::new(shader!("roof/copy.wgsl"));
        let (groups, work) = (Workgroups::Elements(quads), Work::bytes(2 * bytes));
        gpu(device).dispatch(&kernel, uniforms![quads], &[x.slice(), y.slice()], groups, work);
    };
    let tensors = move |device: &Device| {
        let n = bytes as usize / 4;
        (Tensor::uniform(device, [n], &Key::new(1)), Tensor::zeros(device, [n]))
    };
    Bench {
        name: "roof_copy",
        work: Work::bytes(2 * bytes),
        check: Box::new(move |device| {
            let (x, y) = tensors(device);
            record(device, &x, &y);
            same("roof_copy", x.to_vec()? == y.to_vec()?)
        }),
        setup: Box::new(move |device| {
            let ((x, y), device) = (tensors(device), device.clone());
            Box::new(move || record(&device, &x, &y))
        }),
    }
}

/// Chains, rounds and unrolling of `roof/fma.wgsl`.
const CHAINS: usize = 2;
const ROUNDS: usize = 256;
const UNROLL: usize = 16;
/// The multiply-add's constants: after 4096 steps the start still counts, a^4096 = 0.66.
const A: f32 = 0.9999;
const B: f32 = 1e-4;

/// Enough invocations to fill the device for milliseconds.
fn fma(profile: &Profile) -> Bench {
    let invocations: usize = if profile.software { 1 << 15 } else { 1 << 22 };
    let work = Work { bytes: invocations as u64 * 16, flops: (invocations * 8 * CHAINS * ROUNDS * UNROLL) as u64 };
    let record = move |device: &Device, y: &Tensor| {
        let kernel = Kernel::new(shader!("roof/fma.wgsl"));
        let kernel = kernel.with("CHAINS", CHAINS).with("ROUNDS", ROUNDS).with("UNROLL", UNROLL);
        let uniforms = uniforms![invocations, a: A, b: B];
        gpu(device).dispatch(&kernel, uniforms, &[y.slice()], Workgroups::Elements(invocations), work);
    };
    Bench {
        name: "roof_fma",
        work,
        check: Box::new(move |device| {
            let y = Tensor::zeros(device, [invocations * 4]);
            record(device, &y);
            let steps = (ROUNDS * UNROLL) as i32;
            // Values stay below CHAINS, and every step rounds at most twice.
            let bound = steps as f64 * 2.0 * (CHAINS * CHAINS) as f64 * f32::EPSILON as f64;
            let y = y.to_vec()?;
            let right = |(i, &y): (usize, &f32)| (y as f64 - chains_after(steps, i / 4 % 256)).abs() <= bound;
            same("roof_fma", y.iter().enumerate().all(right))
        }),
        setup: Box::new(move |device| {
            let (y, device) = (Tensor::zeros(device, [invocations * 4]), device.clone());
            Box::new(move || record(&device, &y))
        }),
    }
}

/// The sum over the chains of x_n = a^n x_0 + b (1 - a^n) / (1 - a), for the work item `local` of a workgroup.
fn chains_after(steps: i32, local: usize) -> f64 {
    let (a, b) = (A as f64, B as f64);
    let decay = a.powi(steps);
    (0..CHAINS).map(|c| decay * (c as f64 + local as f64 / 256.0) + b * (1.0 - decay) / (1.0 - a)).sum()
}

fn same(name: &str, right: bool) -> Result<()> {
    if right { Ok(()) } else { Err(Error::Device(format!("{name} computed a wrong result"))) }
}
