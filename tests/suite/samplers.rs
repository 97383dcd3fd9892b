//! Samplers against laws known in closed form, on the oracle. Bounds are 5 standard errors.

use crate::support;
use ebm::energy::{Energy, GaussianMixture, MlpConfig, MlpEnergy, Quadratic, Scaled};
use ebm::nn::{Activation, Params};
use ebm::ops::langevin::LangevinStep;
use ebm::prelude::*;
use ebm::sample::{Chain, Langevin, Mala};

fn variance(x: &Tensor) -> f64 {
    let x = x.to_f64().unwrap();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64
}

/// Independent chains: the relative standard error of a normal variance over n values is sqrt(2 / n).
fn assert_variance(x: &Tensor, want: f64) {
    let bound = 5.0 * want * (2.0 / x.numel() as f64).sqrt();
    let got = variance(x);
    assert!((got - want).abs() < bound, "variance {got}, want {want} +- {bound}");
}

#[test]
fn unadjusted_langevin_has_the_variance_of_its_discretised_law() {
    // x' = (1 - eta) x + sqrt(2 eta T) xi is stationary at variance T / (1 - eta / 2), not T.
    let device = Device::oracle();
    for (step_size, temperature) in [(0.5, 1.0), (0.1, 2.0)] {
        let langevin = Langevin { steps: 120, step_size, temperature, ..Langevin::default() };
        let start = Tensor::zeros(&device, [10_000, 2]);
        let x = langevin.run(&Quadratic { variance: 1.0 }, &start, &Key::new(1));
        assert_variance(&x, temperature / (1.0 - step_size / 2.0));
    }
}

#[test]
fn the_metropolis_adjustment_removes_the_bias_of_a_large_step() {
    let device = Device::oracle();
    let mala = Mala { step_size: 0.8, temperature: 1.0 };
    let start = Tensor::normal(&device, [10_000, 2], &Key::new(2)).mul_scalar(0.3);
    let (x, accepted) = mala.run(&Quadratic { variance: 1.0 }, &start, 60, &Key::new(3));
    assert_variance(&x, 1.0);
    let rate = accepted.mean().item().unwrap();
    assert!(rate > 0.5 && rate < 0.999, "acceptance {rate}");
}

#[test]
fn mala_keeps_the_weights_of_a_mixture_that_it_starts_from() {
    let device = Device::oracle();
    let centres = Tensor::new(&device, [2, 2], &[-2.0, 0.0, 2.0, 0.0]);
    let energy = GaussianMixture { centres: centres.clone(), std: 0.5 };
    let noise = Tensor::normal(&device, [4000, 2], &Key::new(4)).mul_scalar(0.5);
    let which: Vec<f32> = (0..4000).map(|i| (i % 4 == 0) as u32 as f32).collect();
    let start = centres.gather(0, &Tensor::new(&device, [4000], &which)) + noise;
    let (x, _) = Mala { step_size: 0.1, temperature: 1.0 }.run(&energy, &start, 40, &Key::new(5));
    let right = x.to_f64().unwrap().chunks(2).filter(|p| p[0] > 0.0).count() as f64 / 4000.0;
    assert!((right - 0.25).abs() < 0.05, "{right} of the chains on the right");
    assert!(energy.energy(&x).mean().item().unwrap() < 2.0);
}

#[test]
fn clipping_keeps_chains_inside_and_noise_scale_overrides_the_temperature() {
    let device = Device::oracle();
    let langevin =
        Langevin { steps: 5, step_size: 0.1, noise_scale: Some(0.0), clip: Some((0.2, 1.0)), ..Langevin::default() };
    let x = langevin.run(&Quadratic { variance: 1.0 }, &Tensor::full(&device, [3, 1], 1.0), &Key::new(0));
    assert!(x.to_f64().unwrap().iter().all(|v| (v - 0.9f64.powi(5)).abs() < 1e-12));
    assert_eq!(Langevin { step_size: 0.02, ..Langevin::default() }.noise(), 0.2);
}

/// The largest distance between two ends of chains, relative to 1 + |x|.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let pairs = a.to_f64().unwrap().into_iter().zip(b.to_f64().unwrap());
    pairs.map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}

/// 20 steps in one kernel and 20 steps one by one, with everything a step can have; the energies fall by tens on the way.
#[test]
fn a_chain_in_one_kernel_ends_where_its_steps_end() {
    let name = "a_chain_in_one_kernel_ends_where_its_steps_end";
    let classes: [fn(&mut ebm::gpu::Profile); 2] = [|_| (), |profile| profile.software = false];
    let gpus = classes.into_iter().filter_map(|class| support::gpu_as(name, class)).map(|device| (device, 1e-5));
    for (device, bound) in [(Device::oracle(), 1e-12)].into_iter().chain(gpus) {
        for (hidden, activation) in [(32, Activation::Softplus), (128, Activation::Silu)] {
            let config = MlpConfig { hidden: vec![hidden; 2], activation, gain: Some(3.0) };
            let params = Params::new(&device, Key::new(hidden as u64));
            let energy = Scaled::to_box(MlpEnergy::new(&params.root(), 2, &config), &[[-3.0, 2.0], [-1.0, 4.0]]);
            let normal = |name: &str, shape: &[usize]| Tensor::normal(&device, shape, &Key::new(1).named(name));
            let (x_0, center) = (normal("x", &[37, 2]), normal("center", &[37, 2]));
            let each = Tensor::uniform(&device, [37], &Key::new(2)).mul_scalar(0.1);
            for (what, step) in [
                ("plain", LangevinStep::new(0.3, 0.2)),
                ("clipped", LangevinStep::new(0.3, 0.2).clip(-1.0, 1.5)),
                ("coupled, per sample", LangevinStep::new(&each, 0.2).coupling(&each, &center)),
            ] {
                let run = |fused| Chain::new(20, step.clone()).fused(fused).run(&energy, &x_0, &Key::new(3));
                assert!(energy.chain(&step, 20, &x_0, &Key::new(3)).is_some(), "{what}: there must be a kernel");
                let (one, steps) = (run(true), run(false));
                let (off, moved) = (distance(&one, &steps), distance(&one, &x_0));
                println!("{device}, {hidden} wide, {what}: {off:e} after moving {moved:.1}");
                assert!(off < bound && moved > 0.5, "{device}, {hidden} wide, {what}: {off:e}, moved {moved}");
            }
        }
    }
}
