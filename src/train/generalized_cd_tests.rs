//! A linear-Gaussian sampler and a quadratic energy: everything in closed form.
//!
//! `x_{t+1} = a_t x_t + sigma_t eps` and `V(x, t) = k_t x^2 / 2 + b_t` (a sum over the D dimensions) keep all laws Gaussian.

use super::generalized_cd::{Config, GeneralizedCd};
use super::{Iteration, Learner, Loader, Units};
use crate::autodiff::grad;
use crate::data::{Dataset, Values};
use crate::diffusion::{NoiseNet, Schedule};
use crate::energy::{Times, Value};
use crate::nn::{Init, Param, Params};
use crate::sample::{GaussianChain, RollOut, Transitions};
use crate::tensor::{Device, Key, Tensor, Var};

const T: usize = 3;
const D: usize = 2;
/// k_0..k_T and b_0..b_T of the value function under training. Parameters are kept as f32, which holds all of these exactly.
const K: [f64; T + 1] = [0.25, 0.5, 1.25, 2.0];
const B: [f64; T + 1] = [0.75, -0.25, 0.375, 0.125];
/// w: eps(x, level) = w_level x.
const W: [f64; T] = [0.25, -0.375, 0.875];
const VELOCITY: [f64; T] = [0.5, 0.25, 0.1875];

/// `eps(x, level) = w_level x`
struct LinearNoise(Param);

impl NoiseNet for LinearNoise {
    fn noise(&self, x: &Tensor, index: &Tensor, _: Option<&Key>) -> Tensor {
        x * self.0.get().gather(0, index).per_sample(x)
    }
}

/// `V(x, t) = k_t |x|^2 / 2 + b_t`
struct QuadraticValue {
    k: Param,
    b: Param,
}

impl Value for QuadraticValue {
    fn value(&self, x: &Tensor, t: Times) -> Tensor {
        let t = &match t {
            Times::All(t) => Tensor::from_f64(x.device(), [1], vec![t as f64]),
            Times::Each(t) => t.clone(),
        };
        0.5 * self.k.get().gather(0, t) * x.square().sum_axes(&[1]) + self.b.get().gather(0, t)
    }
}

/// A parameter with these values.
fn set(params: &Params, values: &[f64]) {
    let mut flat = vec![0.0; params.flat().get().numel()];
    let sizes = params.names().into_iter().map(|(_, shape)| shape.numel());
    let mut rest = values;
    for (size, at) in sizes.zip(params.offsets()) {
        flat[at..at + size].copy_from_slice(&rest[..size]);
        rest = &rest[size..];
    }
    params.flat().set(Tensor::from_f64(&Device::oracle(), [flat.len()], flat));
}

fn model(tau1: f64, tau2: f64) -> GeneralizedCd {
    let (device, key) = (Device::oracle(), Key::new(1));
    let schedule = Schedule::quadratic(T);
    let [of_value, of_sampler, of_noise] = ["v", "s", "n"].map(|name| Params::new(&device, key.named(name)));
    let root = of_value.root();
    let value = QuadraticValue {
        k: root.param("k", [T + 1], Init::Constant(0.0)),
        b: root.param("b", [T + 1], Init::Constant(0.0)),
    };
    let net = LinearNoise(of_sampler.root().param("w", [T], Init::Constant(0.0)));
    let config = Config { tau1, tau2, batch: 4, ..Config::default() };
    let learner = |params: &Params| Learner::new(params, &config.value_optimizer, 0.9);
    let sampler = GaussianChain::new(Box::new(net), &of_noise.root(), &schedule, 0.1, &[D]);
    let data = Dataset::new("none", vec![D], Values::F32(vec![0.0; 4 * D]));
    let made = GeneralizedCd {
        value: Box::new(value),
        value_learner: learner(&of_value),
        energy_learner: None,
        sampler,
        sampler_learner: learner(&of_sampler),
        noise_learner: learner(&of_noise),
        velocities: Var::new(&Tensor::from_f64(&device, [T], VELOCITY.to_vec())),
        data: Loader::new(&device, data, 4, &key).unwrap(),
        units: Units::of(&[D]),
        config,
    };
    set(&of_value, &[K, B].concat());
    set(&of_sampler, &W);
    made
}

/// a_t and sigma_t of the chain, t = 0 the noise end, and B of each step (`d a_t / d w_{T-t}`).
fn chain() -> [[f64; T]; 3] {
    let schedule = Schedule::quadratic(T);
    let step = |t: usize| schedule.reverse(T - t, 1.0);
    let of = |f: &dyn Fn(usize) -> f64| [0, 1, 2].map(f);
    [of(&|t| step(t)[0] + step(t)[1] * W[T - t - 1]), of(&|t| step(t)[2].max(0.1)), of(&|t| step(t)[1])]
}

/// `tau2 c_t - tau1 log sigma_t` for steps from x to x'.
fn running([tau1, tau2]: [f64; 2], x: &[f64], next: &[f64], t: usize, sigma: f64) -> f64 {
    let squared: f64 = x.iter().zip(next).map(|(x, next)| (next - x).powi(2)).sum::<f64>() / D as f64;
    tau2 * squared / (2.0 * VELOCITY[t]) - tau1 * sigma.ln()
}

fn rows(x: &Tensor) -> Vec<Vec<f64>> {
    x.to_f64().unwrap().chunks(D).map(<[f64]>::to_vec).collect()
}

#[track_caller]
fn close(got: f64, want: f64, within: f64) {
    assert!((got - want).abs() <= within, "{got}, expected {want} within {within}");
}

/// The noise of each sample can be read off the step itself, so the loss and its gradients in a_t and log sigma_t are known for
/// each draw, not only in the mean.
#[test]
fn the_samplers_step_has_the_gradients_of_the_closed_form() {
    let tau = [0.3, 0.2];
    let (model, [a, sigma, slope]) = (model(tau[0], tau[1]), chain());
    let (device, n) = (Device::oracle(), 12);
    let x = Tensor::normal(&device, [n, D], &Key::new(2));
    let times: Vec<usize> = (0..n).map(|i| i % T).collect();
    let t = Tensor::from_f64(&device, [n], times.iter().map(|&t| t as f64).collect());
    let key = Key::new(3);
    let some = Transitions { x: x.clone(), next: x.clone(), end: x.clone(), trajectory: t.clone(), t: t.clone() };
    let loss = model.cost(&some, &key);
    let next = model.sampler.step(&x, &model.sampler.at_each(&t), &key.named("noise"), None);
    let [of_w, of_log_sigma] = [&model.sampler_learner, &model.noise_learner]
        .map(|learner| grad(&loss, &learner.params.tensors().iter().collect::<Vec<_>>()).remove(0).to_f64().unwrap());

    let (mut want, mut want_w, mut want_log_sigma) = (0.0, [0.0; T], [0.0; T]);
    for ((x, next), &t) in rows(&x).iter().zip(&rows(&next)).zip(&times) {
        want +=
            (0.5 * K[t + 1] * next.iter().map(|v| v * v).sum::<f64>() + B[t + 1] + running(tau, x, next, t, sigma[t]))
                / n as f64;
        for (x, next) in x.iter().zip(next) {
            let eps = (next - a[t] * x) / sigma[t];
            // d loss / d x' of this coordinate
            let push = (K[t + 1] * next + tau[1] * (next - x) / (VELOCITY[t] * D as f64)) / n as f64;
            want_w[T - t - 1] += push * slope[t] * x;
            want_log_sigma[t] += push * sigma[t] * eps;
        }
        want_log_sigma[t] -= tau[0] / n as f64;
    }
    close(loss.item().unwrap(), want, 1e-12);
    for t in 0..T {
        close(of_w[t], want_w[t], 1e-12);
        close(of_log_sigma[t], want_log_sigma[t], 1e-12);
    }
}

/// With V_T = k |x|^2 / 2 the fixed point of the value steps is the expected cost to go; the stored transitions give it without
/// bias: regression's residual at the exact values has mean zero.
#[test]
fn bellman_targets_average_to_the_exact_cost_to_go() {
    let tau = [0.3, 0.2];
    let (model, [a, sigma, _]) = (model(tau[0], tau[1]), chain());
    // V_t(x) = E[V_{t+1}(a x + sigma eps)] + tau2 E c_t - tau1 log sigma, from the end back.
    let (mut k, mut b) = (K, B);
    for t in (0..T).rev() {
        let pull = tau[1] / (VELOCITY[t] * D as f64);
        k[t] = k[t + 1] * a[t].powi(2) + pull * (a[t] - 1.0).powi(2);
        b[t] = b[t + 1] + 0.5 * D as f64 * (k[t + 1] + pull) * sigma[t].powi(2) - tau[0] * sigma[t].ln();
    }
    set(&model.value_learner.params, &[k, b].concat());
    let n = 40_000;
    let path = model.sampler.roll_out(n, &Key::new(4), |_, _| None);
    for t in 0..T {
        let (x, next) = (rows(&path.states[t]), rows(&path.states[t + 1]));
        let norm = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
        let residual = |(x, next): (&Vec<f64>, &Vec<f64>)| {
            0.5 * k[t + 1] * norm(next) + b[t + 1] + running(tau, x, next, t, sigma[t]) - 0.5 * k[t] * norm(x) - b[t]
        };
        let all: Vec<f64> = x.iter().zip(&next).map(residual).collect();
        let mean = all.iter().sum::<f64>() / n as f64;
        let error = (all.iter().map(|r| (r - mean).powi(2)).sum::<f64>()).sqrt() / n as f64;
        close(mean, 0.0, 4.0 * error);
    }
    // The mean of the losses of `learn_values` is that of the residuals' squares: what the noise of one step leaves.
    let mut it = Iteration::new(&Device::oracle(), &Key::new(5));
    it.begin(0, false);
    let before = model.value_learner.params.flat().get();
    let mut want = 0.0;
    for (t, &sigma) in sigma.iter().enumerate() {
        let value = |t: usize| model.value.value(&path.states[t], Times::All(t)).to_f64().unwrap();
        let (here, there) = (value(t), value(t + 1));
        let (x, next) = (rows(&path.states[t]), rows(&path.states[t + 1]));
        let squares = (0..n).map(|i| (there[i] + running(tau, &x[i], &next[i], t, sigma) - here[i]).powi(2));
        want += squares.sum::<f64>() / (n * T) as f64;
    }
    // The values move by 1e-3 after each t, as Adam's first step does.
    let got = model.learn_values(&mut it, &path).item().unwrap();
    close(got, want, 0.02 * want);
    assert!(model.value_learner.params.flat().get().to_f64().unwrap() != before.to_f64().unwrap());
}

/// KL(pi(x_T) || q) <= the path's divergence, both in closed form, and least over s_t^2 at the mean squared step.
#[test]
fn the_path_bound_holds_and_is_tightest_at_the_mean_squared_step() {
    let [a, sigma, _] = chain();
    let tau = 0.4;
    // Per dimension: x_t ~ N(0, v_t), q = N(0, tau / k).
    let mut v = [1.0; T + 1];
    for t in 0..T {
        v[t + 1] = a[t].powi(2) * v[t] + sigma[t].powi(2);
    }
    let squared = |t: usize| (a[t] - 1.0).powi(2) * v[t] + sigma[t].powi(2);
    let bound = |s: [f64; T]| {
        // KL(pi(x_0..x_T) || q(x_T) prod N(x_t; x_{t+1}, s_t^2)): entropies and cross entropies of Gaussians.
        let two_pi = 2.0 * std::f64::consts::PI;
        let start = -0.5 * (two_pi * std::f64::consts::E).ln();
        let end = 0.5 * (two_pi * tau / K[T]).ln() + 0.5 * v[T] * K[T] / tau;
        let step = |t: usize| -0.5 - sigma[t].ln() + 0.5 * s[t].ln() + 0.5 * squared(t) / s[t];
        start + end + (0..T).map(step).sum::<f64>()
    };
    let ratio = v[T] * K[T] / tau;
    let exact = 0.5 * (ratio - 1.0 - ratio.ln());
    let best = [0, 1, 2].map(squared);
    assert!(bound(best) >= exact && exact > 0.0, "{} {exact}", bound(best));
    for t in 0..T {
        for factor in [0.9, 1.1] {
            let mut other = best;
            other[t] *= factor;
            assert!(bound(other) > bound(best));
        }
    }
    // And the roll-out finds those squares: s^2 <- .99 s^2 + .01 mean.
    let model = model(tau, tau);
    let n = 40_000;
    let path = model.sampler.roll_out(n, &Key::new(6), |_, _| None);
    model.adapt_velocities(&path);
    let s = model.velocities.get().to_f64().unwrap();
    for (t, (s, velocity)) in s.iter().zip(VELOCITY).enumerate() {
        // Var (x' - x)^2 = 2 squared^2 for each of n D draws.
        let error = 0.01 * best[t] * (2.0 / (n * D) as f64).sqrt();
        close(*s, 0.99 * velocity + 0.01 * best[t], 4.0 * error);
        let at = rows(&path.states[t + 1]);
        let variance = at.iter().flatten().map(|x| x * x).sum::<f64>() / (n * D) as f64;
        close(variance, v[t + 1], 4.0 * v[t + 1] * (2.0 / (n * D) as f64).sqrt());
    }
}

/// `d/da E[(E(x_T) - baseline) log pi]` is the gradient of the expected energy: for one step in closed form.
#[test]
fn the_policy_gradient_points_where_the_expected_energy_falls() {
    let (model, [a, sigma, slope]) = (model(0.0, 0.0), chain());
    let n = 200_000;
    let path = model.sampler.roll_out(n, &Key::new(7), |_, _| None);
    let t = T - 1;
    let at = Tensor::full(&Device::oracle(), [n], t as f64);
    let (x, next, end) = (path.states[t].clone(), path.states[T].clone(), path.states[T].clone());
    let some = Transitions { x: x.clone(), next, end, trajectory: at.clone(), t: at };
    let loss = model.policy_gradient(&some);
    let got = grad(&loss, &model.sampler_learner.params.tensors().iter().collect::<Vec<_>>()).remove(0);
    // log pi is a mean over D, so 1/D of d/dw E[k x'^2 / 2] = k a v B, for D dimensions.
    let v = rows(&x).iter().flatten().map(|x| x * x).sum::<f64>() / (n * D) as f64;
    let want = K[T] * a[t] * v * slope[t];
    let got = got.to_f64().unwrap()[0];
    // The estimate's deviation: of (k |x'|^2 / 2 - V(x)) x (x' - a x) B / (sigma^2 D), some ten times its mean.
    assert!(sigma[t] > 0.0 && got.signum() == want.signum(), "{got} {want}");
    close(got, want, 0.1 * want.abs());
}

#[test]
fn drawn_transitions_are_stored_ones_each_as_likely_as_the_others() {
    let device = Device::oracle();
    let (steps, of, n) = (3, 10, 6000);
    // State t of trajectory i is 100 t + i.
    let state = |t: usize| Tensor::from_f64(&device, [of, 1], (0..of).map(|i| (100 * t + i) as f64).collect());
    let path = RollOut { states: (0..=steps).map(state).collect() };
    let some = path.draw(n, &Key::new(8));
    let [x, next, end, t, trajectory] =
        [&some.x, &some.next, &some.end, &some.t, &some.trajectory].map(|x| x.to_f64().unwrap());
    let mut counts = vec![0usize; steps * of];
    for i in 0..n {
        let (t, of_run) = (t[i] as usize, trajectory[i] as usize);
        assert_eq!([x[i], next[i], end[i]], [t, t + 1, steps].map(|t| (100 * t + of_run) as f64));
        counts[t * of + of_run] += 1;
    }
    let expected = n as f64 / counts.len() as f64;
    let chi2: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    assert!(chi2 < 60.0, "29 degrees of freedom: {chi2}");
}
