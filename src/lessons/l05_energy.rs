//! # Energy, score, partition function
//!
//! An energy-based model is one function E(x), any function at all, and the density
//!
//! `p(x) = exp(-E(x)) / Z`, `Z = integral exp(-E(x)) dx`.
//!
//! Low energy is likely. A net gives E, and no layer has to normalise anything. The price is Z, the **partition function**: an
//! integral over the whole space that depends on every parameter of the net.
//!
//! ## Where Z can be computed
//!
//! In the plane a grid does it: `Z = sum over cells of exp(-E) * area`, taken as `log Z = log sum exp(-E) + log area` so that nothing
//! overflows (`metrics::Grid`). For a smooth density that the grid covers, this sum converges faster than any power of the cell's
//! side once a cell is smaller than the narrowest hill (the table below). An even mixture of K isotropic normal laws has the closed form
//! `Z = K (2 pi s^2)^(d/2)` when its energy is `-log sum_k exp(-|x - c_k|^2 / 2 s^2)`:
//!
//! ```
//! use ebm::energy::GaussianMixture;
//! use ebm::metrics::Grid;
//! use ebm::prelude::*;
//!
//! let device = Device::oracle();
//! let energy = GaussianMixture { centres: Tensor::new(&device, [2, 2], &[-1.0, 0.0, 1.0, 0.5]), std: 0.5 };
//! let grid = Grid { bounds: [-4.0, 4.0], n: 40 };
//! let energies = energy.energy(&Tensor::new(&device, [1600, 2], &grid.points())).to_vec()?;
//! let exact = (2.0 * std::f64::consts::TAU * 0.25).ln();
//! assert!((grid.log_z(&energies) - exact).abs() < 1e-5);
//! # Ok::<(), Error>(())
//! ```
//!
//! With n cells along each axis a grid in d dimensions has `n^d` of them; for an image of 28 x 28 pixels that would be 40^784. Beyond
//! a few dimensions Z is out of reach, and what EBMs are trained and sampled with is arranged so that Z is not needed.
//!
//! ## What does not need Z
//!
//! The **score** is the slope of the log density,
//!
//! `s(x) = d/dx log p(x) = -dE/dx`,
//!
//! since log Z does not depend on x. It points uphill in density; chains follow it (lesson 6). Ratios `p(x) / p(y) = exp(E(y) - E(x))`
//! do not need Z either; Metropolis' rule and out-of-distribution tests live on them. A constant c added to the energy changes log Z
//! by -c and neither score nor ratio, so the level of a trained energy means nothing. What does need Z is a likelihood, and its
//! gradient in the parameters,
//!
//! `d/dtheta log p(x) = -dE(x)/dtheta + E_p[dE/dtheta]`,
//!
//! where the derivative of log Z has become an average over the model's own samples (LeCun et al., "A tutorial on energy-based
//! learning", 2006; Song and Kingma, "How to train your energy-based models", 2021). Lesson 7 estimates it with chains.
//!
//! ## Temperature
//!
//! `p_T(x)` proportional to `exp(-E(x) / T)` is a family: T below 1 sharpens the hills, T to 0 leaves the lowest point, T to
//! infinity a uniform law on whatever box there is. The score becomes `s / T`. With T the mean energy changes by a law that
//! needs no model, `d(-log Z)/d(1/T) = E_T[E]`: below, a difference of log Z on the left, an average on the right.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::energy::{Energy, GaussianMixture};
use crate::error::Result;
use crate::gpu::Workgroups;
use crate::metrics::Grid;
use crate::plot::{Bounds, Colormap, Panel, panels, stack};
use crate::tensor::{Device, Key, Tensor};
use crate::uniforms;
use std::f64::consts::TAU;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 5,
    name: "energy",
    source: include_str!("l05_energy.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "5.1-score.wgsl",
            task: "write the score of a mixture of two normal laws on the line",
            stub: include_str!("exercises/5.1-score.wgsl"),
            check: score,
        },
        Exercise {
            file: "5.2-log-z.wgsl",
            task: "compute log Z from energies on a grid, also where exp(-E) is too large or too small for a float",
            stub: include_str!("exercises/5.2-log-z.wgsl"),
            check: log_z,
        },
    ],
};

/// The standard deviation of the three hills, and the box that is drawn.
const STD: f64 = 0.5;
const BOUNDS: [f64; 2] = [-4.0, 4.0];

/// Energies and scores of the cells' centres, n a side.
fn on_grid(device: &Device, n: usize) -> Result<(Grid, Vec<f32>, Vec<f32>)> {
    let centres = Tensor::new(device, [3, 2], &[-1.5, -1.0, 1.5, -1.3, 0.3, 1.5]);
    let grid = Grid { bounds: BOUNDS, n };
    let x = Tensor::new(device, [n * n, 2], &grid.points());
    let (energies, gradient) = GaussianMixture { centres, std: STD }.value_and_gradient(&x);
    Ok((grid, energies.to_vec()?, (-gradient).to_vec()?))
}

/// Computes Z on grids, moves the energy up, changes the temperature, and draws what there is to see.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let exact = (3.0 * TAU * STD * STD).ln();
    page.say(&format!("Three normal laws of deviation {STD}: log Z = log(3 * 2 pi s^2) = {exact:.6}."))?;
    let mut rows = Vec::new();
    for n in [4, 8, 16, 32, 128] {
        let (grid, energies, _) = on_grid(device, n)?;
        let (side, log_z) = ((BOUNDS[1] - BOUNDS[0]) / n as f64 / STD, grid.log_z(&energies));
        let (cells, error) = (format!("{n} x {n}"), log_z - exact);
        rows.push(vec![cells, format!("{side}"), format!("{log_z:.6}"), format!("{error:.0e}")]);
    }
    page.table(&["cells", "side in deviations", "log Z on the grid", "error"], &rows)?;
    let (grid, energies, score) = on_grid(device, 128)?;
    let times = |factor: f32, shift: f32| energies.iter().map(|e| factor * e + shift).collect::<Vec<f32>>();
    let moved = grid.log_z(&times(1.0, 5.0)) - grid.log_z(&energies);
    page.say(&format!("With E + 5 in place of E, log Z changes by {moved:.4}."))?;
    let norms: Vec<f32> = score.chunks(2).map(|s| s[0].hypot(s[1])).collect();
    let box_ = Bounds { x: BOUNDS.map(|v| v as f32), y: BOUNDS.map(|v| v as f32) };
    let (mut rows, mut drawn) = (Vec::new(), Vec::new());
    for temperature in [0.25, 1.0, 4.0] {
        let (b, h) = (1.0 / temperature, 1e-3);
        let log_z = |b: f64| grid.log_z(&times(b as f32, 0.0));
        let level = log_z(b);
        let p: Vec<f32> = energies.iter().map(|e| (-b * f64::from(*e) - level).exp() as f32).collect();
        let cell = ((BOUNDS[1] - BOUNDS[0]) / grid.n as f64).powi(2);
        let mean: f64 = p.iter().zip(&energies).map(|(p, e)| f64::from(*p) * f64::from(*e) * cell).sum();
        let slope = (log_z(b - h) - log_z(b + h)) / (2.0 * h);
        let peak = f64::from(p.iter().fold(0.0f32, |top, p| top.max(*p)));
        rows.push([temperature, level, slope, mean, peak].map(|x| format!("{x:.4}")).to_vec());
        drawn.push((format!("exp(-E/T) / Z, T = {temperature}"), p));
    }
    page.table(&["T", "log Z", "-d log Z / d(1/T)", "mean energy", "highest density"], &rows)?;
    let map = |title, values, colors| Panel::map(title, box_, values, grid.n, grid.n).colors(colors);
    let above = [map("E", &energies, Colormap::Diverging), map("|score|", &norms, Colormap::Magma)];
    let below: Vec<Panel> = drawn.iter().map(|(title, p)| map(title, p, Colormap::Viridis)).collect();
    let all = stack(&[panels(&above), panels(&below)]);
    page.picture(&all, "The energy and the length of its score; below, the density at three temperatures.");
    Ok(())
}

fn score(attempt: &Attempt) -> Checked {
    let x: Vec<f32> = (0..33).map(|i| -4.0 + 0.25 * i as f32).collect();
    let got = attempt.map("score(x0[i])", &[&x])?;
    // The two terms of the density at their centres.
    let terms = |x: f32| [(-1.5, 0.3), (1.0, 0.7)].map(|(c, w): (f32, f32)| (c - x, w, (-(x - c).powi(2) / 2.0).exp()));
    let each = |f: fn([(f32, f32, f32); 2]) -> f32| x.iter().map(|x| f(terms(*x))).collect::<Vec<f32>>();
    fn slope([(a, v, p), (b, w, q)]: [(f32, f32, f32); 2]) -> f32 {
        (v * p * a + w * q * b) / (v * p + w * q)
    }
    judge(
        &got,
        &each(slope),
        &[
            (vec![0.0; 33], "this is 0 everywhere: the score is the derivative of log p in x"),
            (each(|t| -slope(t)), "a sign: this is dE/dx, and the score is its negative; it points to the centres"),
            (each(|[(a, _, p), (b, _, q)]| (p * a + q * b) / (p + q)), "the weights 0.3 and 0.7 are not used"),
            (each(|[(a, v, p), (b, w, q)]| v * p * a + w * q * b), "this is dp/dx: divide it by p for d log p / dx"),
            (each(|[(a, v, _), (b, w, _)]| v * a + w * b), "the shares change with x: weigh with 0.3 p1 and 0.7 p2"),
            (each(|[(a, _, p), (b, _, q)]| if p > q { a } else { b }), "both terms count, not the nearer one alone"),
        ],
    )
}

fn log_z(attempt: &Attempt) -> Checked {
    let (models, cells, area) = (5, 40, 0.04f32);
    // Levels where exp(-E) is 1, about 1e130, about 1e-130; then rows in which only the last, or the first, cells are low.
    let high = |there: bool| if there { 200.0 } else { 0.0 };
    let level = |m: usize, c: usize| [0.0, -300.0, 300.0, high(c < 30), high(c >= 30)][m];
    let highest = |row: &[f32]| row.iter().fold(f32::MIN, |a, b| a.max(*b));
    let e = |m: usize, c: usize| level(m, c) + 3.0 * Key::new(5).uniform((m * cells + c) as u64) as f32;
    let energies: Vec<f32> = (0..models * cells).map(|i| e(i / cells, i % cells)).collect();
    let stub = LESSON.exercises[1].stub;
    let uniforms = uniforms![models, cells, area: area];
    let got = attempt.kernel(stub, uniforms, &[&energies], models, Workgroups::Elements(models))?;
    let each = |f: &dyn Fn(&[f32]) -> f32| energies.chunks(cells).map(f).collect::<Vec<f32>>();
    // log sum exp(sign E), with numbers that are large enough, or as a float does it.
    let wide = |row: &[f32], sign: f64| row.iter().map(|e| (sign * f64::from(*e)).exp()).sum::<f64>().ln() as f32;
    let narrow = |row: &[f32], from: f32| match row.iter().map(|e| (from - e).exp()).sum::<f32>().ln() - from {
        log if log.is_finite() => log + area.ln(),
        _ => f32::NAN,
    };
    judge(
        &got,
        &each(&|row| wide(row, -1.0) + area.ln()),
        &[
            (vec![0.0; models], "log Z is 0 everywhere: add up exp(-E) * area over the cells"),
            (each(&|row| wide(row, -1.0)), "the area of a cell is missing: log Z = log sum exp(-E) + log area"),
            (each(&|row| wide(row, -1.0) * area), "the area belongs under the logarithm: log sum exp(-E) + log area"),
            (each(&|row| wide(row, 1.0) + area.ln()), "a sign: Z adds up exp(-E), low energy is likely"),
            (each(&|row| narrow(row, row[0])), "take out the lowest energy of the row; the first can be 200 above it"),
            (each(&|row| narrow(row, highest(row))), "the largest energy is taken out; take the lowest"),
            (each(&|row| narrow(row, 0.0)), "exp(-E) overflows or vanishes: take the lowest energy out of the sum"),
        ],
    )
}
