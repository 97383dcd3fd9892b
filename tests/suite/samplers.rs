//! Samplers against laws known in closed form, on the oracle. Bounds are 5 standard errors.

use crate::support;
use ebm::energy::{
    Energy, EnergyLevel, GaussianMixture, LevelEnergy, LevelEnergyConfig, MlpConfig, MlpEnergy, Quadratic, ScaledInputs,
};
use ebm::nn::{Activation, Params};
use ebm::ops::langevin::LangevinStep;
use ebm::prelude::*;
use ebm::sample::{Chain, Hmc, Langevin, Mala, Moved, Sampler};

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
    let start = Tensor::normal(&device, [10_000, 2], &Key::new(2)).mul_scalar(0.3);
    let mala = Mala { steps: 60, step_size: 0.8, temperature: 1.0, clip: None };
    // Two steps of 0.9 follow the circle of phase space by about 103 degrees.
    let hmc = Hmc { steps: 30, leapfrog: 2, step_size: 0.9, temperature: 1.0, clip: None };
    for sampler in [&mala as &dyn Sampler, &hmc] {
        let moved = sampler.advance(&Quadratic { variance: 1.0 }, &start, &Key::new(3));
        assert_variance(&moved.x, 1.0);
        let rate = acceptance(&moved);
        assert!(rate > 0.5 && rate < 0.999, "acceptance {rate}");
    }
}

/// `n` exact draws of an uneven choice of mixture: weights by the law of the energy, which is even.
fn exact(centres: &Tensor, std: f64, n: usize, key: &Key) -> Tensor {
    let which: Vec<f32> = (0..n).map(|i| (i % centres.dim(0)) as f32).collect();
    let noise = Tensor::normal(&Device::Oracle, [n, centres.dim(1)], key).mul_scalar(std);
    centres.gather(0, &Tensor::new(&Device::Oracle, [n], &which)) + noise
}

/// Chains that start with exactly the law exp(-E / T) of a mixture keep it: means of x, |x|^2, E and the weight of one
/// mode, at steps so large that many moves are refused. The energies of the mixture at temperature T are those of a
/// Gaussian mixture with T = 1, so T is tested with E T.
#[test]
fn adjusted_samplers_leave_a_mixture_as_it_is_at_large_steps() {
    struct Times(GaussianMixture, f64);
    impl Energy for Times {
        fn energy(&self, x: &Tensor) -> Tensor {
            self.0.energy(x).mul_scalar(self.1)
        }
    }
    let (n, std, temperature) = (2_000, 0.6, 1.7);
    let centres = Tensor::new(&Device::Oracle, [3, 2], &[-1.0, 0.0, 1.2, 0.4, 0.2, -1.3]);
    let energy = Times(GaussianMixture { centres: centres.clone(), std }, temperature);
    let start = exact(&centres, std, n, &Key::new(4));
    let law = |x: &Tensor| {
        let (e, x) = (energy.energy(x).to_f64().unwrap(), x.to_f64().unwrap());
        let of = |f: &dyn Fn(&[f64], f64) -> f64| -> Vec<f64> { x.chunks(2).zip(&e).map(|(x, &e)| f(x, e)).collect() };
        [
            of(&|x, _| x[0]),
            of(&|x, _| x[1]),
            of(&|x, _| x[0] * x[0] + x[1] * x[1]),
            of(&|_, e| e),
            of(&|x, _| f64::from(u8::from(x[0] > 0.5 && x[1] > -0.4))),
        ]
    };
    let reference = law(&exact(&centres, std, 20_000, &Key::new(6)));
    let mala = Mala { steps: 12, step_size: 0.6, temperature, clip: None };
    let hmc = Hmc { steps: 8, leapfrog: 3, step_size: 1.1, temperature, clip: None };
    let samplers: [(&dyn Sampler, [f64; 2]); 2] = [(&mala, [0.2, 0.7]), (&hmc, [0.2, 0.7])];
    for (sampler, [lo, hi]) in samplers {
        let moved = sampler.advance(&energy, &start, &Key::new(5));
        let rate = acceptance(&moved);
        assert!((lo..hi).contains(&rate), "acceptance {rate}, expected {lo} to {hi}");
        for (got, want) in law(&moved.x).iter().zip(&reference) {
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            let spread = mean(&want.iter().map(|v| (v - mean(want)).powi(2)).collect::<Vec<_>>());
            // Of the chains, and of the reference, which is ten times as large.
            let bound = 5.0 * (1.1 * spread / n as f64).sqrt();
            assert!((mean(got) - mean(want)).abs() < bound, "{} instead of {}", mean(got), mean(want));
        }
    }
}

/// Of a normal law cut to [a, b]: mean and variance in closed form; the chains start at one point.
#[test]
fn chains_in_a_box_have_the_truncated_law() {
    let phi = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let (a, b) = (-0.4, 1.1);
    let mass: f64 = (0..100_000).map(|i| phi(a + (i as f64 + 0.5) * (b - a) / 1e5)).sum::<f64>() * (b - a) / 1e5;
    let mean = (phi(a) - phi(b)) / mass;
    let variance = 1.0 + (a * phi(a) - b * phi(b)) / mass - mean * mean;
    let start = Tensor::full(&Device::Oracle, [5_000, 1, 1, 1], 0.2);
    let clip = Some((a, b));
    let mala = Mala { steps: 40, step_size: 0.1, temperature: 1.0, clip };
    let hmc = Hmc { steps: 12, leapfrog: 3, step_size: 0.35, temperature: 1.0, clip };
    for sampler in [&mala as &dyn Sampler, &hmc] {
        let x = sampler.advance(&Quadratic { variance: 1.0 }, &start, &Key::new(7)).x;
        assert_eq!(x.shape()[..], [5_000, 1, 1, 1]);
        let values = x.to_f64().unwrap();
        assert!(values.iter().all(|v| (a..=b).contains(v)));
        let got = values.iter().sum::<f64>() / 5_000.0;
        assert!((got - mean).abs() < 5.0 * (variance / 5_000.0).sqrt(), "mean {got}, want {mean}");
        assert_variance(&x, variance);
    }
}

fn acceptance(moved: &Moved) -> f64 {
    moved.accepted.as_ref().unwrap().mean().item().unwrap()
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
    distances(a, b).into_iter().fold(0.0, f64::max)
}

/// Of each of the points `[N, 2]`.
fn distances(a: &Tensor, b: &Tensor) -> Vec<f64> {
    let pairs = a.to_f64().unwrap().into_iter().zip(b.to_f64().unwrap());
    let off: Vec<f64> = pairs.map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).collect();
    off.chunks(2).map(|pair| pair[0].max(pair[1])).collect()
}

/// The adapter as it is and as if it were no software; each with the bound on rounding, and the oracle.
fn devices(name: &str) -> Vec<(Device, f64)> {
    let classes: [fn(&mut ebm::gpu::Profile); 2] = [|_| (), |profile| profile.software = false];
    let gpus = classes.into_iter().filter_map(|class| support::gpu_as(name, class)).map(|device| (device, 1e-5));
    [(Device::oracle(), 1e-12)].into_iter().chain(gpus).collect()
}

/// `steps` steps in one kernel and one by one, from the same 37 starts: within `bound` of each other, unless a chain came to a kink of
/// the energy; twice in one kernel, to the same bits. Steps are of size 0.5 at most.
#[track_caller]
fn assert_one_kernel(energy: &dyn Energy, device: &Device, bound: f64, steps: usize, what: &str, step: &LangevinStep) {
    let x_0 = Tensor::normal(device, [37, 2], &Key::new(1).named("x"));
    let run = |k, fused| Chain::new(k, step.clone()).fused(fused).run(energy, &x_0, &Key::new(3));
    assert!(energy.chain(step, steps, &x_0, &Key::new(3)).is_some(), "{what}: there must be a kernel");
    let (one, again, single) = (run(steps, true), run(steps, true), run(steps, false));
    let (each, moved) = (distances(&one, &single), distance(&one, &x_0));
    let parted: Vec<usize> = (0..37).filter(|&i| !(each[i] < bound)).collect();
    let most = (0..37).filter(|i| !parted.contains(i)).map(|i| each[i]).fold(0.0, f64::max);
    println!("{device}, {what}: {most:e} after moving {moved:.1}, parted at a kink: {parted:?}");
    assert!(parted.len() <= 3 && moved > 0.5, "{device}, {what}: {each:?}, moved {moved}");
    for i in parted {
        // The step that parts them, and where it began.
        let apart = |k| distances(&run(k, true), &run(k, false))[i];
        let k = (1..=steps).find(|&k| !(apart(k) < bound)).unwrap();
        let before = if k == 1 { x_0.clone() } else { run(k - 1, false) };
        let jump = jumps(energy, &before, 1e-5)[i];
        assert!(
            0.5 * jump > 0.5 * apart(k),
            "{device}, {what}: chain {i} parts by {} in step {k}, where the gradient jumps by {jump}",
            apart(k)
        );
    }
    assert_eq!(one.to_vec().unwrap(), again.to_vec().unwrap());
}

/// How much dE/dx differs between points on a circle of this radius around each of the points `[N, 2]`.
fn jumps(energy: &dyn Energy, x: &Tensor, radius: f64) -> Vec<f64> {
    let turns = (0..16).map(|i| f64::from(i) * std::f64::consts::TAU / 16.0);
    let around = turns.map(|turn| {
        let off = Tensor::from_f64(x.device(), [1, 2], vec![radius * turn.cos(), radius * turn.sin()]);
        energy.gradient(&(x + off)).to_f64().unwrap()
    });
    let around: Vec<Vec<f64>> = around.collect();
    let range = |e: usize| {
        let values = around.iter().map(|gradient| gradient[e]);
        values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
    };
    (0..x.numel() / 2).map(|i| range(2 * i).max(range(2 * i + 1))).collect()
}

/// With everything a step can have; the energies fall by tens on the way.
#[test]
fn a_chain_in_one_kernel_ends_where_its_steps_end() {
    for (device, bound) in devices("a_chain_in_one_kernel_ends_where_its_steps_end") {
        for (hidden, activation) in [(32, Activation::Softplus), (128, Activation::Silu)] {
            let config = MlpConfig { hidden: vec![hidden; 2], activation, gain: Some(3.0) };
            let params = Params::new(&device, Key::new(hidden as u64));
            let energy = ScaledInputs::to_box(MlpEnergy::new(&params.root(), 2, &config), &[[-3.0, 2.0], [-1.0, 4.0]]);
            let center = Tensor::normal(&device, [37, 2], &Key::new(1).named("center"));
            let each = Tensor::uniform(&device, [37], &Key::new(2)).mul_scalar(0.1);
            for (what, step) in [
                ("plain", LangevinStep::new(0.3, 0.2)),
                ("clipped", LangevinStep::new(0.3, 0.2).clip(-1.0, 1.5)),
                ("coupled, per sample", LangevinStep::new(&each, 0.2).coupling(&each, &center)),
            ] {
                assert_one_kernel(&energy, &device, bound, 20, &format!("{hidden} wide, {what}"), &step);
            }
        }
    }
}

/// The net of recovery likelihood, every sample at a level of its own, or all at one; widths that grow, stay and shrink; more steps
/// than one dispatch takes. The gradient of such a net jumps where an activation changes sign: a chain that comes there within
/// rounding may end elsewhere, and one of 37 does now and then.
#[test]
fn a_chain_on_a_residual_net_in_one_kernel_ends_where_its_steps_end() {
    for (device, bound) in devices("a_chain_on_a_residual_net_in_one_kernel_ends_where_its_steps_end") {
        for widths in [vec![32, 64, 64], vec![64, 32]] {
            let what = format!("widths {widths:?}");
            let params = Params::new(&device, Key::new(7));
            let config = LevelEnergyConfig::mlp(widths, 16);
            let levels = [9.8, 3.0, 1.0, -2.0].map(|log_snr| EnergyLevel { log_snr, a: 1.0, s: 1.0 });
            let net = LevelEnergy::new(&params.root(), &[2], &config, &levels, 0).unwrap();
            // Steep enough that the energy moves the chains.
            let flat = params.flat();
            flat.set(flat.get() + Tensor::normal(&device, flat.get().shape(), &Key::new(8)).mul_scalar(0.05));
            let center = Tensor::normal(&device, [37, 2], &Key::new(1).named("center"));
            let level = (Tensor::uniform(&device, [37], &Key::new(2)).mul_scalar(4.0)).floor();
            let noise = level.mul_scalar(0.05).add_scalar(0.05);
            let step = LangevinStep::new(0.5, &noise).coupling(&noise.mul_scalar(0.2), &center);
            let each = net.at(&level);
            assert_one_kernel(&each, &device, bound, 20, &format!("{what}, a level each"), &step);
            let all = net.at(&Tensor::new(&device, [1], &[2.0]));
            assert_one_kernel(&all, &device, bound, 20, &format!("{what}, one level"), &LangevinStep::new(0.5, 0.2));
        }
    }
}
