//! The gradient through the last Langevin step against differences of first-order gradients, and the published sizes.

use super::improved_cd::{Config, KlConfig};
use super::{ImprovedCd, Iteration, Proposal, ReservoirConfig};
use crate::autodiff::grad;
use crate::data::{Dataset, Values};
use crate::energy::{Energy, EnergyConfig, MlpConfig, MultiScaleConfig, Weights};
use crate::nn::Params;
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};

const N: usize = 6;

fn points() -> (Dataset, Config) {
    let data = Dataset::new("points", vec![2], Values::F32((0..64).map(|i| (i as f32 * 0.7).sin() * 2.0).collect()));
    let energy = EnergyConfig::Mlp(MlpConfig { hidden: vec![16, 16], ..Default::default() });
    let langevin = Langevin { steps: 1, step_size: 0.05, ..Default::default() };
    (data, config(energy, langevin, 2.0))
}

/// Two scales, instance norm, standardised or spectrally normalised weights, attention.
fn images(weights: Weights) -> (Dataset, Config) {
    let bytes = (0..N * 64).map(|i| (i * 37 % 256) as u8).collect();
    let data = Dataset::new("images", vec![8, 8, 1], Values::U8(bytes));
    let net =
        MultiScaleConfig { scales: vec![vec![8], vec![4]], width: 4, attention: 1, weights, ..Default::default() };
    let clip = Some((0.0, 1.0));
    let langevin = Langevin { steps: 1, step_size: 2.0, noise_scale: Some(0.001), clip, ..Default::default() };
    (data, config(EnergyConfig::MultiScale(net), langevin, 0.3))
}

fn config(energy: EnergyConfig, langevin: Langevin, entropy: f64) -> Config {
    let kl = KlConfig { entropy, neighbours: 20, from: 10, ..Default::default() };
    let memory = ReservoirConfig { size: 40, ..Default::default() };
    Config { batch: N, energy, langevin, kl, memory, ..Default::default() }
}

/// An algorithm with random parameters (attention starts with gain 0, which would hide it).
fn algorithm((data, config): (Dataset, Config), device: &Device) -> ImprovedCd {
    let algorithm = ImprovedCd::new(&config, data, device, &Key::new(1)).unwrap();
    let flat = algorithm.learner.params.flat();
    flat.set(flat.get() + Tensor::normal(device, flat.get().shape(), &Key::new(2)).mul_scalar(0.2));
    // Seven batches of ends fill the memory.
    for step in 0..7 {
        let mut it = Iteration::new(device, &Key::new(step));
        it.begin(step, false);
        let start = algorithm.memory.propose(&mut it, N);
        let shape = [&[N], &algorithm.data.data().sample_shape[..]].concat();
        algorithm.memory.learn(&mut it, &start, &Tensor::uniform(device, shape, &Key::new(step).named("ends")));
    }
    algorithm
}

/// An iteration in which the memory is full.
fn iteration(device: &Device) -> Iteration {
    let mut it = Iteration::new(device, &Key::new(3));
    it.begin(100, false);
    it
}

fn start(a: &ImprovedCd, device: &Device) -> Tensor {
    let shape = [&[N], &a.data.data().sample_shape[..]].concat();
    Tensor::uniform(device, shape, &Key::new(4))
}

/// Method A: double backward.
fn double_backward(a: &ImprovedCd, device: &Device) -> Vec<f64> {
    let x_k = a.config.langevin.chain().tracked(1).run(&*a.energy, &start(a, device), &Key::new(5));
    let loss = a.kl_loss(&mut iteration(device), &*a.energy, &x_k).unwrap();
    a.learner.gradient(&loss).to_f64().unwrap()
}

/// Method C: `-eta sum_i |v_i| d/dtheta [E(x_i + e u_i) - E(x_i - e u_i)] / 2e`, `v_i = |v_i| u_i = dL_KL / dx_K,i` with
/// theta stopped, 0 where the clip is active.
fn central_difference(a: &ImprovedCd, device: &Device, e: f64) -> Vec<f64> {
    let (x, langevin) = (start(a, device), &a.config.langevin);
    let end = langevin.run(&*a.energy, &x, &Key::new(5)).tracked();
    let loss = a.kl_loss(&mut iteration(device), &*a.energy, &end).unwrap();
    let mut v = grad(&loss, &[&end]).remove(0);
    if let Some((lo, hi)) = langevin.clip {
        let bound = |b| Tensor::scalar(device, b);
        v = v * bound(lo).less(&end) * end.less(&bound(hi));
    }
    let axes: Vec<i32> = (1..x.shape().rank() as i32).collect();
    let length = v.square().sum_axes(&axes).sqrt();
    let step = (&v / &length.per_sample(&v)).mul_scalar(e);
    let at = |x: Tensor| a.learner.gradient(&(a.energy.energy(&x) * &length).sum());
    let difference = at(&x + &step) - at(&x - &step);
    difference.mul_scalar(-langevin.step_size / (2.0 * e)).to_f64().unwrap()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn double_backward_agrees_with_central_differences_and_the_gpu_with_the_oracle() {
    let nets: [(&str, fn() -> (Dataset, Config)); 3] = [
        ("mlp", points),
        ("standardised conv", || images(Weights::Standardised)),
        ("spectral conv", || images(Weights::Spectral)),
    ];
    for (name, parts) in nets {
        let oracle = Device::oracle();
        let a = algorithm(parts(), &oracle);
        let exact = double_backward(&a, &oracle);
        let error = distance(&central_difference(&a, &oracle, 1e-4), &exact);
        println!("{name}: oracle, A against C: {error:.1e}");
        assert!(error < 1e-3, "{name}: {error}");
        let Ok(gpu) = Device::open() else { return println!("skipped: no adapter") };
        let a = algorithm(parts(), &gpu);
        let got = double_backward(&a, &gpu);
        let errors = [distance(&central_difference(&a, &gpu, 1e-2), &got), distance(&got, &exact)];
        println!("{name}: {gpu}, A against C: {:.1e}, A against the oracle's: {:.1e}", errors[0], errors[1]);
        assert!(errors[0] < 1e-2 && errors[1] < 1e-3, "{name}: {errors:?}");
    }
}

#[test]
fn the_entropy_is_the_logarithm_of_the_distance_to_the_nearest() {
    let device = Device::oracle();
    let x = Tensor::new(&device, [2, 2], &[0.0, 0.0, 1.0, 1.0]);
    let others = Tensor::new(&device, [3, 2], &[3.0, 4.0, -9.0, 0.0, 1.0, 3.0]);
    let got = super::improved_cd::nearest(&x, &others).to_f64().unwrap();
    let want = [10f64.sqrt().ln(), 2f64.ln()];
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?}");
}

/// Parts that are switched off are not computed: without them nothing is tracked, and no gradient norm is reported.
#[test]
fn a_weight_of_zero_leaves_its_part_out() {
    let device = Device::oracle();
    for (energy, entropy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let (data, config) = points();
        let kl = KlConfig { energy, entropy, ..config.kl.clone() };
        let a = algorithm((data, Config { kl, ..config }), &device);
        let mut it = iteration(&device);
        super::Algorithm::iteration(&a, &mut it);
        let reported = it.metrics().iter().any(|m| m.name == "gradient_norm_kl");
        assert_eq!(reported, energy + entropy > 0.0);
    }
}

/// Section 3 of the specification: 4.90 M + 1.32 M + 0.42 M, of which 79 k are layers of the labels.
#[test]
fn the_three_scales_of_cifar_have_the_published_size() {
    let net = MultiScaleConfig {
        scales: vec![vec![64, 128, 256, 512], vec![64, 128, 256], vec![64, 128]],
        width: 64,
        blocks: 1,
        attention: 2,
        ..Default::default()
    };
    let count = |scales: Vec<Vec<usize>>, classes: usize, attention: usize| {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let net = EnergyConfig::MultiScale(MultiScaleConfig { scales, attention, ..net.clone() });
        net.build_for(&params.root(), &[32, 32, 3], &[[0.0, 1.0]], classes).unwrap();
        params.numel()
    };
    let all = net.scales.clone();
    assert_eq!([all.clone()].map(|s| count(s, 10, 2)), [6_643_044]);
    assert_eq!(count(all.clone(), 10, 2) - count(all.clone(), 0, 2), 78_848);
    let each: Vec<usize> = all.into_iter().zip([2, 0, 0]).map(|(s, a)| count(vec![s], 10, a)).collect();
    assert_eq!(each, [4_904_290, 1_318_337, 420_417]);
}
