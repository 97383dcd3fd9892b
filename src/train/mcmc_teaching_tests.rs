//! The gradients of variational MCMC teaching against exact integration in one dimension.

use super::mcmc_teaching::{Config, McmcTeaching, Teaching};
use super::vae::{ToldVae, Vae, VaeConfig};
use super::{Algorithm, Iteration, Proposal, Start};
use crate::data::{Dataset, Values};
use crate::energy::{Energy, EnergyConfig, MlpConfig};
use crate::nn::{Activation, AutoencoderConfig, MlpCoderConfig, Params};
use crate::optim::AdamConfig;
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};
use std::f64::consts::TAU;
use std::rc::Rc;

const DATA: [f32; 6] = [-1.6, -1.1, -0.9, 0.4, 1.2, 1.9];

fn data() -> Dataset {
    Dataset::new("six numbers", vec![1], Values::F32(DATA.to_vec()))
}

fn column(values: impl IntoIterator<Item = f64>) -> Tensor {
    let values: Vec<f64> = values.into_iter().collect();
    Tensor::from_f64(&Device::Oracle, [values.len(), 1], values)
}

fn linspace(lo: f64, hi: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| lo + (hi - lo) * i as f64 / (n - 1) as f64).collect()
}

/// `g . v` beside the difference of `f` along v, for four random directions v.
fn check_gradient(params: &Params, g: &Tensor, f: &dyn Fn() -> f64) -> f64 {
    let flat = params.flat().get();
    let mut worst: f64 = 0.0;
    for i in 0..4 {
        let v = Tensor::normal(&Device::Oracle, flat.shape(), &Key::new(9).index(i));
        let h = 2e-3; // the parameters are rounded to f32
        let at = |sign: f64| params.with(&(&flat + v.mul_scalar(sign * h)), f);
        let difference = (at(1.0) - at(-1.0)) / (2.0 * h);
        let along = (g * &v).sum().item().unwrap();
        worst = worst.max((along - difference).abs() / difference.abs().max(0.1));
    }
    worst
}

/// With samples of the model itself as the refined ones, the energy's gradient is that of the negative log likelihood
/// `mean E(x_data) / T + ln Z` on a box, integrated on a grid: with a reference and without.
#[test]
fn with_perfect_chains_the_energy_follows_the_likelihood() {
    for reference in [None, Some(0.8)] {
        let net = MlpConfig { hidden: vec![8, 8], gain: Some(2.0), ..Default::default() };
        let config = Config { batch: 6, reference, energy: EnergyConfig::Mlp(net), ..Default::default() };
        let a = McmcTeaching::new(&config, data(), &Device::oracle(), &Key::new(3)).unwrap();
        let flat = a.learner.params.flat();
        flat.set(flat.get().mul_scalar(1.5));
        let energy = a.energy_of(None);
        let (grid, temperature) = (linspace(-4.0, 4.0, 4001), energy.temperature());
        let x_data = column(DATA.map(f64::from));
        let weights = || -> Vec<f64> {
            let e = energy.energy(&column(grid.iter().copied())).to_f64().unwrap();
            e.into_iter().map(|e| (-e / temperature).exp()).collect()
        };
        let nll = || {
            let z: f64 = weights().iter().sum::<f64>() * 8.0 / 4000.0;
            energy.energy(&x_data).mean().item().unwrap() / temperature + z.ln()
        };
        // The quantiles of the model: the inverse of its distribution function at (i + 1/2) / n.
        let (w, n) = (weights(), 8000);
        let total: f64 = w.iter().sum();
        let (mut below, mut at) = (0.0, 0);
        let quantile = |i: usize| {
            let u = (i as f64 + 0.5) / n as f64;
            while below + w[at] / total < u {
                below += w[at] / total;
                at += 1;
            }
            grid[at] + ((u - below) * total / w[at] - 0.5) * 8.0 / 4000.0
        };
        let x_refined = column((0..n).map(quantile).collect::<Vec<_>>());
        let g = a.learner.gradient(&a.energy_loss(&energy.net, &x_data, &x_refined).0);
        let error = check_gradient(&a.learner.params, &g, &nll);
        assert!(error < 2e-3, "reference {reference:?}: {error}");
    }
}

fn vae(kl: f64, teaching: Teaching) -> ToldVae {
    let net = MlpCoderConfig { hidden: vec![6], activation: Activation::Silu };
    let config = VaeConfig { latent: 1, kl, net: AutoencoderConfig::Mlp(net), ..Default::default() };
    let how = (teaching, &AdamConfig::default(), 0.9);
    let vae = Vae::new(&config, how, &data(), (&[[-2.0, 2.0]], [0, 0]), &Device::oracle(), &Key::new(5)).unwrap();
    ToldVae { vae: Rc::new(vae), told: None }
}

/// The loss is w times the negative evidence lower bound of a decoder of variance w / 2, up to a constant: its gradient against that of
/// the bound, integrated over z. With another variance they disagree.
#[test]
fn the_loss_of_the_vae_is_the_evidence_lower_bound_of_variance_w_half() {
    let w = 0.3;
    let vae = vae(w, Teaching::Vae).vae;
    let flat = vae.learner.params.flat();
    flat.set(flat.get().mul_scalar(2.0));
    // The mean over eps by the trapezoidal rule.
    let nodes = linspace(-9.0, 9.0, 361);
    let pairs: Vec<[f64; 2]> = DATA.iter().flat_map(|&x| nodes.iter().map(move |&e| [f64::from(x), e])).collect();
    let weight = |e: f64| (-0.5 * e * e).exp() / TAU.sqrt() * (nodes[1] - nodes[0]) / DATA.len() as f64;
    let weights = Tensor::from_f64(&Device::Oracle, [pairs.len()], pairs.iter().map(|p| weight(p[1])).collect());
    let parts = vae.loss(&column(pairs.iter().map(|p| p[0])), None, &column(pairs.iter().map(|p| p[1])), None);
    let g = vae.learner.gradient(&((parts.error + w * parts.kl) * weights).sum());

    let normal = |x: f64, mean: f64, variance: f64| -0.5 * ((x - mean).powi(2) / variance + (TAU * variance).ln());
    let bound = |variance: f64| {
        let z = linspace(-12.0, 12.0, 6001);
        let means = vae.coder.decode(&column(z.iter().copied()), None, false).to_f64().unwrap();
        let [m, l] = vae.coder.encode(&column(DATA.map(f64::from)), None, None).map(|t| t.to_f64().unwrap());
        let of = |i: usize| -> f64 {
            let term = |(&z, &g): (&f64, &f64)| {
                let posterior = normal(z, m[i], (2.0 * l[i]).exp());
                posterior.exp() * (normal(f64::from(DATA[i]), g, variance) + normal(z, 0.0, 1.0) - posterior)
            };
            z.iter().zip(&means).map(term).sum::<f64>() * (z[1] - z[0])
        };
        (0..DATA.len()).map(of).sum::<f64>() / DATA.len() as f64
    };
    let error = check_gradient(&vae.learner.params, &g, &|| -w * bound(0.5 * w));
    assert!(error < 1e-4, "{error}");
    assert!(check_gradient(&vae.learner.params, &g, &|| -w * bound(w)) > 0.05);
}

/// CoopNets keep the latent vector that a sample was made of: chains that do not move teach nothing.
#[test]
fn a_decoder_whose_chains_stand_still_learns_nothing() {
    let vae = vae(0.3, Teaching::Coopnets);
    let mut it = Iteration::new(&Device::oracle(), &Key::new(1));
    it.begin(0, false);
    let Start { x, source } = vae.propose(&mut it, 7);
    let moved = x.add_scalar(0.5);
    for (ends, loss) in [(&x, 0.0), (&moved, 0.25)] {
        it.begin(0, false);
        let start = Start { x: x.clone(), source: source.clone() };
        let fresh = self::vae(0.3, Teaching::Coopnets);
        fresh.learn(&mut it, &start, ends);
        let got = it.value("vae_loss");
        assert!((got - loss).abs() < 1e-12, "{got}");
    }
}

/// In dimensionless variables a step is the paper's, `x - delta^2/2 (x / s^2 - df/dx) + delta n` with `delta^2 = 2 eta s^2`.
#[test]
fn a_step_relative_to_the_reference_is_that_of_the_paper() {
    let (s, eta) = (0.8, 0.1);
    let langevin = Langevin { steps: 1, step_size: eta, ..Default::default() };
    let config = Config { batch: 6, reference: Some(s), langevin, ..Default::default() };
    let a = McmcTeaching::new(&config, data(), &Device::oracle(), &Key::new(3)).unwrap();
    let (x, key) = (column(DATA.map(f64::from)), Key::new(4));
    let got = a.langevin.run(&a.energy_of(None), &x, &key);
    let half = eta * s * s; // delta^2 / 2
    let drift = x.mul_scalar(1.0 / (s * s)) + a.energy_of(None).net.gradient(&x);
    let noise = Tensor::normal(&Device::Oracle, x.shape(), &key.index(0)).mul_scalar((2.0 * half).sqrt());
    let want = &x - drift.mul_scalar(half) + noise;
    let off = (got - want).abs().to_f64().unwrap().into_iter().fold(0.0, f64::max);
    assert!(off < 1e-12, "{off}");
}

/// After one iteration on other data (in the same box) the energy has changed, and the VAE has only where the data teach it.
#[test]
fn the_vae_sees_refined_samples_only() {
    for teaching in [Teaching::Vae, Teaching::Coopnets, Teaching::Data] {
        let after = |values: [f32; 6]| {
            let data = Dataset::new("six numbers", vec![1], Values::F32(values.to_vec()));
            let config = Config { batch: 6, teaching, ..Default::default() };
            let a = McmcTeaching::new(&config, data, &Device::oracle(), &Key::new(3)).unwrap();
            let mut it = Iteration::new(&Device::oracle(), &Key::new(1));
            it.begin(0, false);
            a.iteration(&mut it);
            let flat = |params: &Params| params.flat().get().to_f64().unwrap();
            (flat(&a.learner.params), flat(&a.vae.as_ref().unwrap().learner.params))
        };
        let (one, other) = (after(DATA), after([-1.6, 0.1, 0.2, 0.3, 0.5, 1.9]));
        assert!(one.0 != other.0, "{teaching:?}");
        assert_eq!(one.1 == other.1, teaching != Teaching::Data, "{teaching:?}");
    }
}
