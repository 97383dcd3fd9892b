//! # Noise levels: many easy densities in place of a hard one
//!
//! Langevin chains are slow where a density has modes far apart: the way between them leads over high energy. Noise fills the gaps.
//! A **variance-preserving diffusion** makes levels t = 0..T of data x with unit variance,
//!
//! `x_t = alpha_t x + sigma_t eps`, `alpha_t^2 + sigma_t^2 = 1`, `x_t = a_t x_{t-1} + s_t eps`, `a_t = alpha_t / alpha_{t-1}`
//!
//! from almost clean to almost N(0, 1). The papers write abar_t for alpha_t^2 and sigma_t for s_t.
//!
//! ## Recovery likelihood
//!
//! Diffusion recovery likelihood (Gao et al. 2021) trains an energy for each level, and never samples it alone. It models
//! `y = a_t x_{t-1}` **given** the noisier x_t, by Bayes' rule
//!
//! `p(y | x_t) ~ exp(-E(y) - (y - x_t)^2 / (2 s^2))`, `s^2 = 1 - a_t^2`
//!
//! The second term holds y near x_t. The curvature of the exponent is `E''(y) + 1 / s^2`: with `s^2 < 1 / max(-E'')` it is positive
//! everywhere, so that the conditional has one mode whatever E looks like, and K short Langevin steps sample it:
//!
//! ```
//! // E(y) = (y^2 - 1)^2 has two wells and curvature 12 y^2 - 4 >= -4: one mode is certain for s < 1/2.
//! let modes = |s: f64, x_t: f64| {
//!     let energy = |i: i32| (1e-4 * f64::from(i * i) - 1.0).powi(2) + (0.01 * f64::from(i) - x_t).powi(2) / (2.0 * s * s);
//!     (-300..300).filter(|&i| energy(i) < energy(i - 1) && energy(i) <= energy(i + 1)).count()
//! };
//! assert!(modes(2.0, 0.0) == 2 && (-20..=20).all(|i| modes(0.49, f64::from(i) / 10.0) == 1));
//! ```
//!
//! Learning is contrastive divergence with y_pos from the data and y_neg from such chains. Samples go the way back: x_T from
//! N(0, 1), then level by level y given x_t and `x_{t-1} = y / a_t`. Small steps make the conditionals easy and T large; six levels are
//! the published compromise. In the last one x_T tells next to nothing and the coupling is left out: level T - 1 has no gaps any more.
//!
//! ## The initializer
//!
//! A chain that starts at x_t first has to find the mode. The best single guess is the posterior mean `E[y | x_t]`: no other function
//! of x_t has a smaller squared error. CDRL (Zhu et al. 2024) trains a net g for it beside the energy, from where the chains end:
//! `y_0 = g(x_t) + v_t^(1/2) n`, K steps to y_neg, one step down `|y_neg - y_0|^2`. Half the steps are enough (15 in place of 30).
//! v_t is the variance of y where x is *known*, less than the mean variance for known x_t: the chain adds what is missing.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::diffusion::Schedule;
use crate::energy::{Energy, GaussianMixture};
use crate::error::Result;
use crate::plot::Curves;
use crate::tensor::{Device, Tensor};

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 8,
    name: "levels",
    source: include_str!("l08_levels.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "8.1-schedule.toml",
            task: "repair a schedule of noise levels",
            stub: include_str!("exercises/8.1-schedule.toml"),
            check: schedule,
        },
        Exercise {
            file: "8.2-recovery.wgsl",
            task: "write the gradient that a chain of recovery likelihood follows",
            stub: include_str!("exercises/8.2-recovery.wgsl"),
            check: recovery,
        },
    ],
};

/// The grid that integrals are taken on.
fn grid() -> Vec<f64> {
    (0..=600).map(|i| -3.0 + 0.01 * f64::from(i)).collect()
}

/// Values that sum to 1 with the width of a cell.
fn normalised(log_density: &[f64]) -> Vec<f64> {
    let top = log_density.iter().copied().fold(f64::MIN, f64::max);
    let values: Vec<f64> = log_density.iter().map(|l| (l - top).exp()).collect();
    let sum = 0.01 * values.iter().sum::<f64>();
    values.iter().map(|v| v / sum).collect()
}

/// `log p_t` on the grid for t = 0..=T, up to constants: three narrow modes, noised to level t.
fn log_densities(schedule: &Schedule, device: &Device) -> Result<Vec<Vec<f64>>> {
    let level = |t: usize| {
        let (alpha, sigma) = (schedule.alpha_bar(t).sqrt(), schedule.sigma(t));
        let centres = Tensor::from_f64(device, [3, 1], [-1.2, 0.0, 1.2].map(|c| alpha * c).to_vec());
        let mixture = GaussianMixture { centres, std: (0.15 * alpha).hypot(sigma) };
        (-mixture.energy(&Tensor::from_f64(device, [601, 1], grid()))).to_f64()
    };
    (0..=schedule.steps()).map(level).collect()
}

/// The mass of a density's largest mode, from valley to valley.
fn main_mode(density: &[f64]) -> f64 {
    let mut masses = vec![0.0];
    for w in density.windows(3) {
        if w[1] < w[0] && w[1] < w[2] {
            masses.push(0.0);
        }
        *masses.last_mut().expect("never empty") += 0.01 * w[1];
    }
    masses.into_iter().fold(0.0, f64::max)
}

/// `p(x_s | x_t)` on the grid, of a level s below t.
fn conditional(schedule: &Schedule, [s, t]: [usize; 2], x_t: f64, log_p: &[f64]) -> Vec<f64> {
    let a = (schedule.alpha_bar(t) / schedule.alpha_bar(s)).sqrt();
    let coupling = |x: f64| (x_t - a * x).powi(2) / (2.0 * (1.0 - a * a));
    normalised(&grid().iter().zip(log_p).map(|(x, l)| l - coupling(*x)).collect::<Vec<_>>())
}

/// Of one step back from t, as means over x_t: the mass of the main mode, and the squares of `y - x_t` and `y - E[y | x_t]`.
fn back(schedule: &Schedule, t: usize, log_p: &[Vec<f64>]) -> [f64; 3] {
    let (x, a, mut means) = (grid(), schedule.step_alpha(t), [0.0; 3]);
    for (&x_t, weight) in x.iter().zip(&normalised(&log_p[t])).step_by(5) {
        let law = conditional(schedule, [t - 1, t], x_t, &log_p[t - 1]);
        let mean = |f: &dyn Fn(f64) -> f64| 0.01 * x.iter().zip(&law).map(|(x, q)| q * f(a * x)).sum::<f64>();
        let centre = mean(&|y| y);
        let of = [main_mode(&law), mean(&|y| (y - x_t).powi(2)), mean(&|y| (y - centre).powi(2))];
        means.iter_mut().zip(of).for_each(|(sum, value)| *sum += 0.05 * weight * value);
    }
    means
}

/// Draws the levels and what a step back looks like.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    for schedule in [1, 2, 4, 6, 12].map(Schedule::cdrl) {
        let (steps, log_p) = (schedule.steps(), log_densities(&schedule, device)?);
        let least = (1..=steps).map(|t| back(&schedule, t, &log_p)[0]).fold(1.0, f64::min);
        page.say(&format!("T = {steps}: in the worst step the main mode of p(y | x_t) has {least:.2} of the mass."))?;
    }
    let schedule = Schedule::cdrl(6);
    let (log_p, x) = (log_densities(&schedule, device)?, grid());
    let row = |t: usize| {
        let [main, at_x, at_mean] = back(&schedule, t, &log_p);
        let v = schedule.step_alpha(t) * schedule.posterior_variance(t).sqrt();
        let alone = main_mode(&normalised(&log_p[t - 1]));
        let numbers = [schedule.sigma(t), schedule.step_sigma(t), alone, main, at_x.sqrt(), at_mean.sqrt(), v];
        [t.to_string()].into_iter().chain(numbers.map(|v| format!("{v:.3}"))).collect::<Vec<_>>()
    };
    let headings = ["t", "sigma_t", "s_t", "main mode", "for known x_t", "rms y-x_t", "rms y-E[y|x_t]", "sqrt v_t"];
    page.table(&headings, &(1..=6).map(row).collect::<Vec<_>>())?;
    let densities = [0, 1, 2, 3, 6].into_iter().fold(Curves::new("density at the levels").along("x"), |chart, t| {
        chart.series(&format!("t = {t}"), &x, &normalised(&log_p[t]))
    });
    page.svg(&densities.svg(), "Noise fills the gaps.");
    let lower = Curves::new("what x_t = -0.9 tells of lower levels").along("x");
    let lower = [(0, 1), (2, 3), (0, 3), (0, 6)].into_iter().fold(lower, |chart, (s, t)| {
        chart.series(&format!("p(x_{s} | x_{t})"), &x, &conditional(&schedule, [s, t], -0.9, &log_p[s]))
    });
    page.svg(&lower.svg(), "One step back nearly all is in one mode; from far above all modes are still there.");
    Ok(())
}

/// 8.1
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Levels {
    alpha: [f64; 7],
    sigma: [f64; 7],
}

fn schedule(attempt: &Attempt) -> Checked {
    let Levels { alpha, sigma } = attempt.settings()?;
    let variance = |t: usize| alpha[t].powi(2) + sigma[t].powi(2);
    let a = |t: usize| alpha[t] / alpha[t - 1];
    if let Some(t) = (1..7).find(|&t| a(t) >= 1.0) {
        Err(format!("alpha_{t} is not below alpha_{}: every level has less signal than the one before", t - 1))
    } else if let Some(t) = (0..7).find(|&t| (variance(t) - 1.0).abs() > 1e-3) {
        Err(format!("alpha^2 + sigma^2 is {:.3} at level {t}: it is the squares that sum to 1", variance(t)))
    } else if sigma[0] > 0.1 {
        Err(format!("sigma_0 = {}: level 0 is the result, and should be almost clean", sigma[0]))
    } else if alpha[6] > 0.1 {
        Err(format!("alpha_6 = {}: sampling starts from N(0, 1), but x_6 still tells the data", alpha[6]))
    } else {
        let why = |t| format!("a_{t} = {:.2}: keep half of the signal in a step, or p(y | x_{t}) is broad", a(t));
        (1..6).find(|&t| a(t) < 0.5).map_or(Ok(()), |t| Err(why(t)))
    }
}

fn recovery(attempt: &Attempt) -> Checked {
    let ramps = [[-1.6, 0.1], [1.4, -0.07], [0.3, 0.02]];
    let [y, x_t, s] = ramps.map(|[lo, step]| (0..32).map(|i| lo + step * i as f32).collect::<Vec<f32>>());
    let got = attempt.map("recovery_gradient(x0[i], x1[i], x2[i])", &[&y, &x_t, &s])?;
    // Of y, d = y - x_t and s.
    let each = |f: fn(f32, f32, f32) -> f32| (0..32).map(|i| f(y[i], y[i] - x_t[i], s[i])).collect::<Vec<f32>>();
    judge(
        &got,
        &each(|y, d, s| 4.0 * y * (y * y - 1.0) + d / (s * s)),
        &[
            (each(|_, _, _| 0.0), "this is 0 everywhere: add dE/dy and the derivative of the coupling"),
            (each(|y, _, _| 4.0 * y * (y * y - 1.0)), "this is dE/dy alone: the coupling has a derivative, too"),
            (each(|y, d, s| 4.0 * y * (y * y - 1.0) - d / (s * s)), "a sign: the coupling pulls y towards x_t"),
            (each(|y, d, s| 4.0 * y * (y * y - 1.0) + d / (2.0 * s * s)), "the factor 2 of the square cancels the 1/2"),
            (each(|y, d, s| 4.0 * y * (y * y - 1.0) + d / s), "s is a deviation: divide by its square"),
            (each(|y, d, s| 2.0 * (y * y - 1.0) + d / (s * s)), "the inner derivative 2 y of y^2 - 1 is missing"),
        ],
    )
}
