//! # Langevin dynamics: step against noise
//!
//! To train an energy one needs samples of it, and all one has is its slope. Langevin's step is
//!
//! `x' = x - h dE/dx + sqrt(2 h T) xi`, `xi ~ N(0, I)`:
//!
//! downhill by h times the slope, and noise. Gradient descent alone ends in a minimum, noise alone spreads for ever; with exactly
//! `sqrt(2 h T)` they balance at the density `exp(-E / T) / Z`, in the limit of small h. (Papers that write the step size as e, with
//! `x' = x - e/2 dE/dx + sqrt(e) xi`, mean the same with e = 2 h, T = 1.)
//!
//! ## What a finite step costs: bias
//!
//! On `E = x^2 / 2` everything can be computed. The step is `x' = (1 - h) x + sqrt(2 h) xi`, so a variance v becomes
//! `(1 - h)^2 v + 2 h`, and the v that stays as it is solves `v = (1 - h)^2 v + 2 h`:
//!
//! `v = 1 / (1 - h / 2)`.
//!
//! The right answer is 1. The error is h/2 for small steps, and at h = 2 the chain explodes. An energy whose curvature is c in some
//! direction behaves as this one with h c for h: the sharpest valley limits the step.
//!
//! ## What a small step costs: mixing
//!
//! The mean decays as `(1 - h)^k`: a start is forgotten to a part 1/e after `-1 / log(1 - h)`, about 1/h, steps. Halve the bias and a chain
//! takes twice as long. With curvatures from c to C in different directions, h is at most 2/C and the slow direction takes C/c times as
//! many steps; between separate hills a chain waits about `exp(barrier / T)`.
//!
//! ```
//! use ebm::energy::Quadratic;
//! use ebm::prelude::*;
//!
//! let x = Tensor::normal(&Device::oracle(), [4000, 1], &Key::new(1));
//! let chains = Langevin { steps: 40, step_size: 0.5, ..Langevin::default() };
//! let end = chains.run(&Quadratic { variance: 1.0 }, &x, &Key::new(2));
//! // 1 / (1 - 0.5 / 2) = 1.333, and 4000 chains know it to 2 %.
//! assert!((end.square().mean().item()? - 1.333).abs() < 0.1);
//! # Ok::<(), Error>(())
//! ```
//!
//! ## Metropolis: no bias
//!
//! Take the step as a proposal y with density `q(y | x) = N(y; x - h dE/dx, 2 h T)` and accept it with probability
//!
//! `min(1, p(y) q(x | y) / (p(x) q(y | x)))`, Z cancelling in p(y) / p(x);
//!
//! otherwise stay at x. Then p is stationary exactly, for every h (MALA: Roberts and Tweedie 1996). Too large a step is
//! now paid with rejections. Each step needs E and its slope at y, and a decision per chain; `sample::Mala` does it.
//!
//! ## Too little noise
//!
//! With noise of standard deviation a `sqrt(2 h)` the balance is at temperature a^2: `v = a^2 / (1 - h / 2)`. Papers on images set
//! noise and step apart. Improved CD's code has noise 0.001 beside h = 100, which is a temperature of 0.001^2 / 200 = 5e-9: its chains
//! descend, and a spread over samples has to come from where they start. Nothing is wrong with that, but such an energy is no log
//! density in nats; for a density the noise belongs to the step.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::energy::Quadratic;
use crate::error::Result;
use crate::plot::Curves;
use crate::sample::{Langevin, Mala, Sampler};
use crate::tensor::{Device, Key, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 6,
    name: "langevin",
    source: include_str!("l06_langevin.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "6.1-step.wgsl",
            task: "write the Langevin step",
            stub: include_str!("exercises/6.1-step.wgsl"),
            check: step,
        },
        Exercise {
            file: "6.2-accept.wgsl",
            task: "write the logarithm of the ratio that decides whether a proposal is accepted",
            stub: include_str!("exercises/6.2-accept.wgsl"),
            check: accept,
        },
    ],
};

/// Chains, and the energy x^2 / 2 that they run on.
const CHAINS: usize = 30_000;
const ENERGY: Quadratic = Quadratic { variance: 1.0 };

/// Long enough to forget any start: (1 - h)^k is below e^-8.
fn enough(h: f64) -> usize {
    (8.0 / h.min(2.0 - h)).ceil().max(20.0) as usize
}

/// Langevin's chains with `a` times the noise that belongs to the step.
fn langevin(steps: usize, h: f64, a: f64) -> Langevin {
    Langevin { steps, step_size: h, noise_scale: Some(a * (2.0 * h).sqrt()), ..Langevin::default() }
}

/// Measures bias, mixing and the effect of the noise, and draws the variance against the step.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let key = Key::new(6);
    let start = Tensor::normal(device, [CHAINS, 1], &key.named("start")).mul_scalar(2.0);
    let variance = |x: &Tensor| x.square().mean().item();
    let error = 100.0 * (2.0 / CHAINS as f64).sqrt();
    page.say(&format!("{CHAINS} chains on E = x^2 / 2 from N(0, 4): a measured variance is good to {error:.1} %."))?;
    let steps = [0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.2, 1.4, 1.5, 1.6];
    let law = |h: f64| 1.0 / (1.0 - h / 2.0);
    let (mut rows, mut ula, mut mala) = (Vec::new(), Vec::new(), Vec::new());
    for h in steps {
        let (k, key) = (enough(h), key.index((100.0 * h) as u64));
        ula.push(variance(&langevin(k, h, 1.0).run(&ENERGY, &start, &key))?);
        let moves = Mala { steps: k, step_size: h, temperature: 1.0, clip: None };
        let moved = moves.advance(&ENERGY, &start, &key);
        mala.push(variance(&moved.x)?);
        let accepted = moved.accepted.map_or(Ok(1.0), |share| share.mean().item())?;
        // The first step at which the mean of chains from x = 4 is below 4 / e.
        let (mut x, mut forgotten) = (Tensor::full(device, [CHAINS / 8, 1], 4.0), 0);
        while h < 1.0 && x.mean().item()? > 4.0 / 1f64.exp() {
            x = langevin(1, h, 1.0).run(&ENERGY, &x, &key.index(forgotten));
            forgotten += 1;
        }
        let mixing = if h < 1.0 { format!("{forgotten} ({:.1})", -1.0 / (1.0 - h).ln()) } else { "turns over".into() };
        let number = |x: f64| format!("{x:.3}");
        let [ula, mala] = [&ula, &mala].map(|all| all.last().copied().map_or(String::new(), number));
        rows.push(vec![h.to_string(), number(law(h)), ula, mala, number(accepted), mixing]);
    }
    let headings = ["h", "1 / (1 - h/2)", "Langevin", "MALA", "accepted", "steps to forget (law)"];
    page.table(&headings, &rows)?;
    let mut rows = Vec::new();
    for a in [1.0, 0.5, 0.1, 0.0] {
        let measured = variance(&langevin(enough(0.1), 0.1, a).run(&ENERGY, &start, &key))?;
        rows.push(vec![a.to_string(), format!("{:.4}", a * a * law(0.1)), format!("{measured:.4}")]);
    }
    page.table(&["noise / sqrt(2 h), h = 0.1", "a^2 / (1 - h/2)", "variance"], &rows)?;
    let curve: Vec<f64> = (1..=80).map(|i| 0.02 * f64::from(i)).collect();
    let chart = Curves::new("variance of chains on E = x^2 / 2; exp(-E) has 1").along("step size h");
    let chart = chart.series("1 / (1 - h/2)", &curve, &curve.iter().map(|h| law(*h)).collect::<Vec<f64>>());
    let chart = chart.series("Langevin", &steps, &ula).series("MALA", &steps, &mala);
    page.svg(&chart.svg(), "The bias of a finite step, and Metropolis' cure.");
    Ok(())
}

/// 32 numbers between `lo` and `hi` for each name.
fn draws<const N: usize>(names: [(&str, f32, f32); N]) -> [Vec<f32>; N] {
    names.map(|(name, lo, hi)| (0..32).map(|i| lo + (hi - lo) * Key::new(6).named(name).uniform(i) as f32).collect())
}

fn step(attempt: &Attempt) -> Checked {
    let x = draws([("x", -2.0, 2.0), ("slope", -3.0, 3.0), ("h", 0.01, 0.4), ("t", 0.2, 3.0), ("xi", -2.0, 2.0)]);
    let got = attempt.map("langevin_step(x0[i], x1[i], x2[i], x3[i], x4[i])", &x.each_ref().map(Vec::as_slice))?;
    // x', where the drift and the noise are these.
    let each = |f: fn(f32, f32) -> f32, noise: fn(f32, f32) -> f32| -> Vec<f32> {
        (0..32).map(|i| x[0][i] + f(x[1][i], x[2][i]) + noise(x[2][i], x[3][i]) * x[4][i]).collect()
    };
    let (down, noise): (fn(f32, f32) -> f32, fn(f32, f32) -> f32) = (|g, h| -h * g, |h, t| (2.0 * h * t).sqrt());
    judge(
        &got,
        &each(down, noise),
        &[
            (x[0].clone(), "x stays where it is: add the way downhill and the noise"),
            (each(|g, h| h * g, noise), "a sign: this climbs; the step is - h dE/dx, to lower energy"),
            (each(down, |_, _| 0.0), "this is gradient descent: the noise sqrt(2 h T) xi is missing"),
            (each(down, |h, t| (h * t).sqrt()), "the noise is too small: its variance is 2 h T; this is for T / 2"),
            (each(down, |h, t| 2.0 * h * t), "this is the noise's variance times xi; take the square root"),
            (each(down, |h, _| (2.0 * h).sqrt()), "the temperature is not used: the noise is sqrt(2 h T)"),
            (each(down, |h, t| t * (2.0 * h).sqrt()), "T stands below the root too: the variance is 2 h T"),
            (each(down, |_, t| (2.0 * t).sqrt()), "the noise does not know the step: its variance is 2 h T"),
            (each(|g, h| -h / 2.0 * g, |h, t| (h * t).sqrt()), "this is half the step: here the drift is - h dE/dx"),
        ],
    )
}

fn accept(attempt: &Attempt) -> Checked {
    let [x, e, y, f] = draws([("x", -2.0, 2.0), ("e", 0.0, 3.0), ("y", -2.0, 2.0), ("f", 0.0, 3.0)]);
    let [g, k, h] = draws([("g", -2.0, 2.0), ("k", -2.0, 2.0), ("h", 0.2, 0.9)]);
    let call = "log_ratio(x0[i], x1[i], x2[i], x3[i], x4[i], x5[i], x6[i])";
    let got = attempt.map(call, &[&x, &e, &g, &y, &f, &k, &h])?;
    // c times the difference of energies, plus q(x | y) / q(y | x) from the two distances and h.
    let each = |c: f32, q: fn(f32, f32, f32) -> f32| -> Vec<f32> {
        let there = |i: usize| (y[i] - x[i] + h[i] * g[i]).powi(2);
        let back = |i: usize| (x[i] - y[i] + h[i] * k[i]).powi(2);
        (0..32).map(|i| c * (e[i] - f[i]) + q(there(i), back(i), h[i])).collect()
    };
    let swapped = |i: usize| (y[i] - x[i] + h[i] * k[i]).powi(2) - (x[i] - y[i] + h[i] * g[i]).powi(2);
    let own = |i: usize| e[i] - f[i] + swapped(i) / (4.0 * h[i]);
    let q: fn(f32, f32, f32) -> f32 = |there, back, h| (there - back) / (4.0 * h);
    judge(
        &got,
        &each(1.0, q),
        &[
            (vec![0.0; 32], "0 accepts everything: log p(y) / p(x) + log q(x | y) / q(y | x)"),
            (each(1.0, |_, _, _| 0.0), "q is missing: the way back is not as likely as the way there"),
            (each(0.0, q), "p is missing: log p(y) / p(x) = E(x) - E(y)"),
            (each(-1.0, q), "a sign: lower energy is likelier, log p(y) / p(x) = E(x) - E(y)"),
            (each(1.0, |there, back, h| (back - there) / (4.0 * h)), "upside down: q(x | y), the way back, is above"),
            (each(1.0, |there, back, h| (there - back) / (2.0 * h)), "q has variance 2 h: divide by 4 h"),
            ((0..32).map(own).collect(), "each way starts with its own slope: g at x, k at y"),
        ],
    )
}
