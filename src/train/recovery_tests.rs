//! Recovery likelihood in one dimension, where every density can be integrated: the data are two Gaussians.

use super::recovery_likelihood::{Config, RecoveryLikelihood, Stage};
use super::recovery_sampler::Sampler;
use super::{Model, ProposalVariance, SampleRequest, Target, Training};
use crate::data::{Dataset, Values};
use crate::diffusion::{InitializerConfig, LevelSchedule, MlpInitializerConfig, RecoveryTable, Schedule, StepRule};
use crate::energy::{Energy, LevelEnergyConfig};
use crate::nn::Activation;
use crate::ops::langevin::LangevinStep;
use crate::optim::{AdamConfig, RateConfig};
use crate::sample::Chain;
use crate::tensor::{Device, Key, Tensor};

/// Weights, means and deviations of the data.
const DATA: [(f64, f64, f64); 2] = [(0.3, -1.5, 0.4), (0.7, 1.0, 0.6)];
/// Iterations of the training.
const STEPS: u64 = 250;
/// A grid that holds all mass.
const CELLS: usize = 801;
const WIDTH: f64 = 6.0;

fn grid() -> impl Iterator<Item = f64> {
    (0..CELLS).map(|i| -WIDTH + 2.0 * WIDTH * i as f64 / (CELLS - 1) as f64)
}

/// log p_t(x) of the data at a level: each Gaussian shrinks and gets the level's noise.
fn log_marginal(schedule: &Schedule, t: usize, x: f64) -> f64 {
    let (signal, noise) = (schedule.alpha_bar(t).sqrt(), schedule.sigma(t));
    let part = |(w, m, s): (f64, f64, f64)| {
        let variance = (signal * s).powi(2) + noise * noise;
        w * (-(x - signal * m).powi(2) / (2.0 * variance)).exp() / (std::f64::consts::TAU * variance).sqrt()
    };
    DATA.into_iter().map(part).sum::<f64>().ln()
}

/// The exact p(y | x_t), y = a_t x_{t-1}, from the forward process alone: Bayes' rule with x_t = a x_{t-1} + sigma eps.
/// At t = T the model is the marginal of x_{T-1}.
fn exact_conditional(schedule: &Schedule, t: usize, x_t: f64) -> Vec<f64> {
    let top = t == schedule.steps();
    let (a, sigma) = (schedule.step_alpha(t), schedule.step_sigma(t));
    normalised(grid().map(|y| match top {
        true => log_marginal(schedule, t - 1, y),
        false => log_marginal(schedule, t - 1, y / a) - (x_t - a * (y / a)).powi(2) / (2.0 * sigma * sigma),
    }))
}

/// exp of the logs, with sum 1.
fn normalised(logs: impl Iterator<Item = f64>) -> Vec<f64> {
    let logs: Vec<f64> = logs.collect();
    let most = logs.iter().copied().fold(f64::MIN, f64::max);
    let total: f64 = logs.iter().map(|l| (l - most).exp()).sum();
    logs.iter().map(|l| (l - most).exp() / total).collect()
}

fn moments(p: &[f64]) -> (f64, f64) {
    let mean: f64 = p.iter().zip(grid()).map(|(p, y)| p * y).sum();
    (mean, p.iter().zip(grid()).map(|(p, y)| p * (y - mean).powi(2)).sum::<f64>())
}

/// The energy that recovery likelihood should find for transition t: E(y) = -s_t^2 log p_{t-1}(y / a_t).
struct Exact {
    schedule: Schedule,
    t: usize,
    a: f64,
    s: f64,
}

impl Energy for Exact {
    fn energy(&self, y: &Tensor) -> Tensor {
        let (signal, noise) = (self.schedule.alpha_bar(self.t - 1).sqrt(), self.schedule.sigma(self.t - 1));
        let part = |(w, m, s): (f64, f64, f64)| {
            let variance = (signal * s).powi(2) + noise * noise;
            let exponent = y.affine(1.0 / self.a, -signal * m).square().mul_scalar(-0.5 / variance);
            exponent.exp().mul_scalar(w / variance.sqrt())
        };
        let density = part(DATA[0]) + part(DATA[1]);
        density.log().mul_scalar(-self.s * self.s).reshape([y.dim(0)])
    }
}

/// Chains on the exact energy, with the constants of the table, have the moments of the exact conditional.
#[test]
fn chains_on_the_exact_energy_sample_the_exact_conditional() {
    let device = Device::oracle();
    let all = &[(1, 0.4), (2, -0.5), (4, 0.8), (6, 0.1)][..];
    for (schedule, rule, transitions) in [
        (Schedule::cdrl(6), StepRule::Level { b2: 2e-4 }, all),
        (Schedule::drl_t6(), StepRule::Level { b2: 2e-4 }, all),
        // The first transitions of this rule have steps too small for so short a test.
        (Schedule::cdrl(6), StepRule::Growing { b2: 1e-4 }, &[(3, -0.5), (4, 0.8), (6, 0.1)]),
    ] {
        let table = RecoveryTable::new(&schedule, rule);
        for &(t, x_t) in transitions {
            let step = table.step(t);
            let energy = Exact { schedule: schedule.clone(), t, a: step.a, s: step.s };
            let (mean, variance) = moments(&exact_conditional(&schedule, t, x_t));
            let n = 4000;
            let center = Tensor::full(&device, [n, 1], x_t);
            let langevin = LangevinStep::new(0.5, step.s).coupling(step.coupling, &center);
            // Ten times the chain's memory, variance / s^2 steps (fewer where the density is narrower).
            let steps = (10.0 * variance / step.s.powi(2)).ceil() as usize;
            let y = Chain::new(steps, langevin).run(&energy, &center, &Key::new(t as u64)).to_f64().unwrap();
            let got = y.iter().sum::<f64>() / n as f64;
            let spread = y.iter().map(|v| (v - got).powi(2)).sum::<f64>() / n as f64;
            // Five standard errors, and the bias of steps of this size: of order s^2 / variance.
            let bias = step.s.powi(2) / variance;
            assert!(bias < 0.05, "transition {t}: the step is too large for this test");
            assert!(
                (got - mean).abs() < 5.0 * (variance / n as f64).sqrt() + bias * variance.sqrt(),
                "{t}: {got} {mean}"
            );
            let relative = (spread / variance - 1.0).abs();
            assert!(relative < 5.0 * (2.0 / n as f64).sqrt() + bias, "transition {t}: variance {spread} of {variance}");
        }
    }
}

fn data(n: usize) -> Dataset {
    let key = Key::new(11);
    let draw = |i: u64| {
        let (_, m, s) = DATA[(key.named("which").uniform(i) >= DATA[0].0) as usize];
        (m + s * key.named("where").normal(i)) as f32
    };
    Dataset::new("two Gaussians", vec![1], Values::F32((0..n as u64).map(draw).collect()))
}

/// KL(exact || model) of p(y | x_t), averaged over x_t, in nats; `shrink` is what the model takes for a_t.
fn conditional_kl(model: &RecoveryLikelihood, t: usize, shrink: f64) -> f64 {
    let (schedule, step) = (&model.schedule, model.table.step(t));
    let positions = grid().map(|y| y * shrink / step.a);
    let x = Tensor::from_f64(&model.device, [CELLS, 1], positions.map(|y| y / step.a).collect());
    let energy = model.marginal(t, 0).energy(&x).to_f64().unwrap();
    let places = [-2.0, -1.2, -0.4, 0.4, 1.2, 2.0];
    let weights = normalised(places.iter().map(|&x_t| log_marginal(schedule, t, x_t)));
    let kl = |x_t: f64| {
        let coupled = |y: f64| if t == schedule.steps() { 0.0 } else { (y - x_t).powi(2) / (2.0 * step.sigma.powi(2)) };
        let model = normalised(energy.iter().zip(grid()).map(|(e, y)| -e / step.s.powi(2) - coupled(y)));
        let exact = exact_conditional(schedule, t, x_t);
        exact.iter().zip(model).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum::<f64>()
    };
    places.into_iter().zip(weights).map(|(x_t, w)| w * kl(x_t)).sum()
}

fn optimizer(lr: f64, steps: u64) -> AdamConfig {
    let rate = RateConfig { lr, warmup: 20, decay_from: 2 * steps / 5, decay_until: steps, ..Default::default() };
    AdamConfig { clip_norm: 1.0, rate, ..Default::default() }
}

fn trained(config: &Config, steps: u64) -> Training<RecoveryLikelihood> {
    let device = Device::open().unwrap_or(Device::Oracle);
    let model = RecoveryLikelihood::new(config, data(20_000), &device, &Key::new(5)).unwrap();
    let mut training = Training::new(Box::new(model), &device, &Key::new(6), true);
    (0..steps).for_each(|_| drop(pollster::block_on(training.advance())));
    training
}

/// The law of the proposal, N(g(x_t), v_t), against that of y given x_t, by integration at every level: g is the mean, the learnt
/// v_t the mean variance. Noise that x_t and x_{t-1} share must not show in it.
#[test]
fn proposals_that_learn_the_data_have_the_mean_and_variance_of_the_exact_posterior() {
    let steps = 600;
    let config = Config {
        batch: 512,
        stage: Stage::Initializer,
        ema: 0.99,
        initializer: Some(InitializerConfig::Mlp(MlpInitializerConfig { width: 64 })),
        initializer_optimizer: optimizer(5e-3, steps),
        initializer_target: Target::Data,
        proposal_variance: ProposalVariance::Learnt,
        ..Default::default()
    };
    let training = trained(&config, steps);
    let model = training.algorithm();
    let (schedule, g) = (&model.schedule, model.initializer.as_ref().unwrap());
    for t in 1..=6 {
        // Where x_t lies: 41 places over the range that holds all but a thousandth, weighted by its density.
        let places: Vec<f64> = (0..41).map(|i| -2.6 + 5.2 * f64::from(i) / 40.0).collect();
        let weights = normalised(places.iter().map(|&x_t| log_marginal(schedule, t, x_t)));
        let [x_t, level] = [places.clone(), vec![t as f64]].map(|v| Tensor::from_f64(&model.device, [v.len()], v));
        let means = g.mean(&x_t.reshape([places.len(), 1]), &(&level - 1.0)).to_f64().unwrap();
        let exact: Vec<(f64, f64)> = places.iter().map(|&x_t| moments(&posterior(schedule, t, x_t))).collect();
        let mean = |of: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(i, w)| w * of(i)).sum::<f64>();
        let (variance, off) = (mean(&|i| exact[i].1), mean(&|i| (means[i] - exact[i].0).powi(2)));
        let learnt = g.deviation(&level).to_f64().unwrap()[0].powi(2);
        println!("transition {t}: error of g {off:.5}, variance {variance:.5}, learnt {learnt:.5}");
        assert!(off < 0.02 * variance + 1e-3, "transition {t}: mean squared error {off} of g, variance {variance}");
        assert!((learnt / variance - 1.0).abs() < 0.12 || (t == 1 && learnt < 2e-3), "{t}: {learnt} of {variance}");
    }
    // And its samples, without an energy, have the data's mean and variance, within what normal steps can do.
    let x = model.sample(&SampleRequest::new(4000), &Key::new(7)).unwrap().x.to_f64().unwrap();
    let distance = kolmogorov(&x);
    assert!(distance < 0.08, "the distribution function is off by {distance}");
}

#[test]
fn samples_can_end_without_the_noise_of_the_last_proposal() {
    let with = Config {
        batch: 4,
        stage: Stage::Initializer,
        initializer: Some(InitializerConfig::Mlp(MlpInitializerConfig { width: 8 })),
        ..Default::default()
    };
    let without = Config { last_noise: false, ..with.clone() };
    let models = [with, without]
        .map(|config| RecoveryLikelihood::new(&config, data(64), &Device::oracle(), &Key::new(5)).unwrap());
    let [a, b] = models.each_ref().map(|model| model.sample(&SampleRequest::new(4000), &Key::new(7)).unwrap().x);
    let spread = (a - b).square().mean().sqrt().item().unwrap();
    let step = models[0].table.step(1);
    let want = step.variance.sqrt() / step.a;
    assert!((spread / want - 1.0).abs() < 0.05, "{spread}, the last proposal's is {want}");
}

/// The exact law of y = a_t x_{t-1} given x_t, at all levels; at t = T, too, where the energy is a marginal.
fn posterior(schedule: &Schedule, t: usize, x_t: f64) -> Vec<f64> {
    let (true_a, sigma) = (schedule.step_alpha(t), schedule.step_sigma(t));
    let a = if t == schedule.steps() { 1.0 } else { true_a };
    normalised(
        grid().map(|y| log_marginal(schedule, t - 1, y / a) - (x_t - true_a * y / a).powi(2) / (2.0 * sigma * sigma)),
    )
}

/// The largest difference between the distribution function of samples and the data's.
fn kolmogorov(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let step = 2.0 * WIDTH / (CELLS - 1) as f64;
    let density = |x: f64| {
        DATA.iter().map(|(w, m, s)| w * (-(x - m).powi(2) / (2.0 * s * s)).exp() / (s * 2.506_628_3)).sum::<f64>()
    };
    let mut below = 0.0;
    let off = grid().map(|x| {
        below += step * density(x);
        let found = sorted.partition_point(|v| *v <= x + 0.5 * step) as f64 / sorted.len() as f64;
        (found - below).abs()
    });
    off.fold(0.0, f64::max)
}

/// Trained energies agree with the exact conditionals at every level: signs, scales and the factor a_t.
#[test]
fn trained_energies_agree_with_the_exact_conditionals() {
    let config = Config {
        batch: 256,
        step_rule: StepRule::Level { b2: 1e-3 },
        langevin_steps: 10,
        denoise: false,
        ema: 0.98,
        energy: LevelEnergyConfig::mlp([32, 32], 32),
        energy_optimizer: optimizer(5e-3, STEPS),
        initializer: Some(InitializerConfig::Mlp(MlpInitializerConfig { width: 32 })),
        initializer_optimizer: optimizer(5e-3, STEPS),
        ..Default::default()
    };
    let drl = Config {
        schedule: LevelSchedule::DrlT6,
        langevin_steps: 20,
        shared_noise: false,
        initializer: None,
        ..config.clone()
    };
    for config in [config, drl] {
        let device = Device::open().unwrap_or(Device::Oracle);
        let model = RecoveryLikelihood::new(&config, data(20_000), &device, &Key::new(5)).unwrap();
        let before: Vec<f64> = (1..=6).map(|t| conditional_kl(&model, t, model.table.step(t).a)).collect();
        let training = trained(&config, STEPS);
        let model = training.algorithm();
        for t in 1..=6 {
            let a = model.table.step(t).a;
            let (kl, without) = (conditional_kl(model, t, a), conditional_kl(model, t, 1.0));
            println!(
                "{:?} transition {t}: KL {kl:.4}, untrained {:.1}, without a {without:.4}",
                config.schedule,
                before[t - 1]
            );
            assert!(kl < 0.1 && kl < before[t - 1] / 100.0, "transition {t}: KL(exact || model) {kl}");
            // Where a_t is far from 1, forgetting it shows.
            assert!(!(3..6).contains(&t) || kl < 0.5 * without, "transition {t}: {kl}, without a_t {without}");
        }
        let x = model.sample(&SampleRequest::new(4000), &Key::new(7)).unwrap().x.to_f64().unwrap();
        let distance = kolmogorov(&x);
        println!("{:?}: the distribution function is off by {distance:.4}", config.schedule);
        assert!(distance < 0.1, "the distribution function of samples is off by {distance}");
        the_score_in_tweedies_formula_is_that_of_the_density(model);
    }
}

/// Slopes that match noise belong to the exact densities, without a single chain: of a smooth net, as those of a piecewise linear one
/// do not move with its biases. At transition 1 the noise is too small to learn
/// anything from it.
#[test]
fn slopes_that_match_the_noise_are_those_of_the_exact_densities() {
    let steps = 800;
    let config = Config {
        batch: 512,
        stage: Stage::Scores,
        step_rule: StepRule::Level { b2: 1e-3 },
        langevin_steps: 10,
        ema: 0.98,
        energy: LevelEnergyConfig::Mlp { widths: vec![64, 64], embedding: 32, activation: Activation::Silu },
        energy_optimizer: optimizer(5e-3, steps),
        ..Default::default()
    };
    let device = Device::open().unwrap_or(Device::Oracle);
    let untrained = RecoveryLikelihood::new(&config, data(20_000), &device, &Key::new(5)).unwrap();
    let training = trained(&config, steps);
    for t in 2..=6 {
        let kl = |model: &RecoveryLikelihood| conditional_kl(model, t, model.table.step(t).a);
        let (before, kl) = (kl(&untrained), kl(training.algorithm()));
        println!("transition {t}: KL {kl:.4}, untrained {before:.1}");
        assert!(kl < 0.1 && kl < before / 20.0, "transition {t}: KL(exact || model) {kl}, untrained {before}");
    }
}

/// The score of x_0 against finite differences of log p_0 = -E / T, of the energy and the temperature that the model shows.
fn the_score_in_tweedies_formula_is_that_of_the_density(model: &RecoveryLikelihood) {
    let (places, h) = ([-2.0, -1.0, 0.2, 0.6, 1.4, 2.0], 1e-2);
    let at =
        |shift: f64| Tensor::from_f64(&model.device, [places.len(), 1], places.iter().map(|x| x + shift).collect());
    let sampler = Sampler::new(model, &SampleRequest::new(places.len())).unwrap();
    let score = sampler.score(&at(0.0)).to_f64().unwrap();
    let log_density = |shift: f64| {
        let energy = model.energy().unwrap().energy(&at(shift)).to_f64().unwrap();
        energy.iter().map(|e| -e / model.temperature()).collect::<Vec<f64>>()
    };
    let (above, below) = (log_density(h), log_density(-h));
    let most = score.iter().fold(0.0f64, |most, s| most.max(s.abs()));
    for (i, score) in score.into_iter().enumerate() {
        let want = (above[i] - below[i]) / (2.0 * h);
        assert!((score - want).abs() < 0.02 * most, "score {score} at {}, differences say {want}", places[i]);
    }
}
