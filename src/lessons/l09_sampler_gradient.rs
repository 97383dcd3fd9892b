//! # The sampler's own gradient: improved contrastive divergence
//!
//! Contrastive divergence descends `KL(p_data || p) - KL(q || p)`, where q is the law of the chains' ends x_K. Its full derivative
//! has three parts (Du et al. 2021, arXiv 2012.01316):
//!
//! `E_data[dE/dtheta] - E_q[dE/dtheta] - dq/dtheta . dKL(q || p)/dq`
//!
//! Lesson 7 took the first two. The third is there because x_K is a function of theta: every step of a chain is
//!
//! `x' = x - h dE_theta(x)/dx + sqrt(2h) n`
//!
//! Left out, nothing makes the energy one that its chains can follow. Improved contrastive divergence adds a loss for
//! it, KL(q || p) as a function of the chain alone, p held fixed. (Added, not subtracted: minus would reward bad chains.)
//!
//! `L_KL = mean E_stop(theta)(x_K(theta)) - H(q)`
//!
//! Its first term wants chains that reach low energy, the entropy wants them not all in one place.
//!
//! ## A gradient through a gradient
//!
//! dx'/dtheta contains `d^2 E / dx dtheta`: the step is itself made of a derivative. With double backward that is
//! nothing new. The step's gradient is built as a graph (`grad_graph`, lesson 4), and the second pass goes through it:
//!
//! ```
//! use ebm::prelude::*;
//!
//! // E = theta x^2 / 2. One step without noise: x' = x - h theta x, dx'/dtheta = -h x.
//! let (h, device) = (0.1, Device::oracle());
//! let theta = Tensor::scalar(&device, 2.0).tracked();
//! let x = Tensor::new(&device, [2], &[1.0, -3.0]).tracked();
//! let slope = grad_graph(&((&theta * x.square()).sum() * 0.5), &[&x]).remove(0);
//! let next = x.detach() - slope * h;
//! let through = grad(&next.square().sum(), &[&theta]).remove(0).item()?;
//! // sum 2 x' dx'/dtheta = 2 (1 - h theta) (-h) sum x^2
//! assert!((through - 2.0 * 0.8 * -0.1 * 10.0).abs() < 1e-6);
//! # Ok::<(), Error>(())
//! ```
//!
//! All K steps can be kept in the graph (memory grows with K) or only some. The authors' code keeps the last one. How much is lost is
//! seen where everything is known: for `E = theta x^2 / 2` the variance of a chain obeys
//!
//! `m_{k+1} = r^2 m_k + 2h`, `r = 1 - h theta`, `dm_{k+1}/dtheta = r^2 dm_k/dtheta - 2 h r m_k`
//!
//! The last step gives the second term of the last line alone. q is normal, so with p fixed
//! `KL(q || p) = (theta m - log m)/2 + const` and its derivative through the chain is `(theta - 1/m)/2 dm/dtheta`: next to nothing once
//! the chain has arrived, m = 1/theta. Before that it is negative here, for a stiffer spring brings wide chains home sooner.
//!
//! ## The entropy
//!
//! q has no density to evaluate, but its samples tell its entropy (Kozachenko & Leonenko 1987): where points are far from
//! their nearest neighbours the law is spread. Up to constants `H = D mean_i log min_j |x_i - b_j|` in D dimensions, against a hundred
//! points b of the memory. A point must not be its own neighbour: the logarithm of 0 would be all that counts.

use super::{Attempt, Checked, Exercise, Lesson, Page, exercise::judge};
use crate::autodiff::grad;
use crate::energy::Energy;
use crate::error::Result;
use crate::gpu::Workgroups;
use crate::ops::langevin::LangevinStep;
use crate::plot::Curves;
use crate::sample::Chain;
use crate::tensor::{Device, Key, Tensor};
use crate::uniforms;

/// The lesson.
pub const LESSON: Lesson = Lesson {
    number: 9,
    name: "sampler-gradient",
    source: include_str!("l09_sampler_gradient.rs"),
    needs_gpu: false,
    run,
    exercises: &[
        Exercise {
            file: "9.1-through.wgsl",
            task: "carry dx/dtheta through one Langevin step",
            stub: include_str!("exercises/9.1-through.wgsl"),
            check: through,
        },
        Exercise {
            file: "9.2-nearest.wgsl",
            task: "write the entropy term: the logarithm of the distance to the nearest other point",
            stub: include_str!("exercises/9.2-nearest.wgsl"),
            check: nearest,
        },
    ],
};

/// `E(x) = theta x^2 / 2`.
struct Spring(Tensor);

impl Energy for Spring {
    fn energy(&self, x: &Tensor) -> Tensor {
        (x.square() * &self.0).sum_axes(&[1]) * 0.5
    }
}

const THETA: f64 = 1.0;
const STEP: f64 = 0.1;
/// The variance of x_0.
const M_0: f64 = 4.0;

/// `mean x_K^2` of K steps, the last `tracked` of them in the graph.
fn second_moment(device: &Device, theta: &Tensor, steps: usize, tracked: usize) -> Tensor {
    let x_0 = Tensor::normal(device, [16_384, 1], &Key::new(1)) * M_0.sqrt();
    let step = LangevinStep::new(STEP, (2.0 * STEP).sqrt());
    let chain = Chain::new(steps, step).tracked(tracked);
    chain.run(&Spring(theta.clone()), &x_0, &Key::new(2)).square().mean()
}

/// `m_K`, `dm_K/dtheta`, and the part of it that the last step gives.
fn closed_form(steps: usize) -> [f64; 3] {
    let r = 1.0 - STEP * THETA;
    let (mut m, mut slope, mut last) = (M_0, 0.0, 0.0);
    for _ in 0..steps {
        last = -2.0 * STEP * r * m;
        slope = r * r * slope + last;
        m = r * r * m + 2.0 * STEP;
    }
    [m, slope, last]
}

/// The derivative of the chain's variance, and that of KL(q || p), four ways.
fn run(device: &Device, page: &mut Page) -> Result<()> {
    let steps = [1, 2, 3, 5, 8, 12, 16, 20, 30];
    let slope = |k: usize, tracked: usize| -> Result<f64> {
        let theta = Tensor::scalar(device, THETA).tracked();
        grad(&second_moment(device, &theta, k, tracked), &[&theta]).remove(0).item()
    };
    // The same noise on both sides: a difference of what was computed, not of two samples.
    let moment = |k: usize, theta: f64| second_moment(device, &Tensor::scalar(device, theta), k, 0).item();
    let (mut rows, mut curves) = (Vec::new(), [(); 4].map(|()| Vec::new()));
    for k in steps {
        let [m, exact, exact_last] = closed_form(k);
        let (all, last) = (slope(k, k)?, slope(k, 1)?);
        let difference = (moment(k, THETA + 0.01)? - moment(k, THETA - 0.01)?) / 0.02;
        let kl = |slope: f64, m: f64| 0.5 * (THETA - 1.0 / m) * slope;
        let numbers = [m, exact, all, difference, exact_last, last, kl(exact, m), kl(last, moment(k, THETA)?)];
        rows.push([k.to_string()].into_iter().chain(numbers.map(|v| format!("{v:.4}"))).collect::<Vec<_>>());
        curves.iter_mut().zip([exact, all, exact_last, last]).for_each(|(curve, v)| curve.push(-v));
    }
    let rest = 1.0 / (THETA - STEP * THETA * THETA / 2.0);
    page.say(&format!("theta = {THETA}, h = {STEP}, x_0 ~ N(0, {M_0}), 16384 chains; m_K tends to {rest:.3}."))?;
    let names = ["closed form", "all steps", "closed form, last", "last step"];
    let headings =
        ["K", "m_K", names[0], names[1], "difference", names[2], names[3], "KL, closed form", "KL, last step"];
    page.table(&headings, &rows)?;
    let k = steps.map(|k| k as f64);
    let chart = Curves::new("- d E[x_K^2] / d theta").along("K");
    let chart = names.iter().zip(&curves).fold(chart, |chart, (name, curve)| chart.series(name, &k, curve));
    page.svg(&chart.svg(), "The last step has the whole effect for K = 1, and a part of it ever after.");
    Ok(())
}

fn through(attempt: &Attempt) -> Checked {
    let ramp = |lo: f32, step: f32| -> Vec<f32> { (0..32).map(|i| lo + step * i as f32).collect() };
    let (x, dx, theta, h) = (ramp(-1.5, 0.11), ramp(2.0, -0.13), ramp(0.5, 0.07), ramp(0.05, 0.01));
    let got = attempt.map("through(x0[i], x1[i], x2[i], x3[i])", &[&x, &dx, &theta, &h])?;
    let each =
        |f: fn(f32, f32, f32, f32) -> f32| -> Vec<f32> { (0..32).map(|i| f(x[i], dx[i], theta[i], h[i])).collect() };
    judge(
        &got,
        &each(|x, dx, t, h| (1.0 - h * t) * dx - h * x),
        &[
            (each(|_, _, _, _| 0.0), "this is 0 everywhere: theta moves x' directly, and through x"),
            (
                each(|x, _, _, h| -h * x),
                "this is the last step alone: (1 - h theta) dx, the term through x, is missing",
            ),
            (each(|_, dx, t, h| (1.0 - h * t) * dx), "the step itself contains theta: its derivative -h x is missing"),
            (each(|x, dx, t, h| (1.0 - h * t) * dx + h * x), "a sign: the step is -h theta x"),
            (each(|x, dx, _, h| dx - h * x), "dx is carried on unchanged: the step multiplies x by 1 - h theta"),
        ],
    )
}

fn nearest(attempt: &Attempt) -> Checked {
    let n = 40usize;
    let x: Vec<f32> = (0..2 * n as u64).map(|i| Key::new(0).normal(i) as f32).collect();
    let got = attempt.kernel(LESSON.exercises[1].stub, uniforms![n], &[&x], n, Workgroups::Elements(n))?;
    let squares = |i: usize, others: &dyn Fn(usize) -> bool| -> Vec<f32> {
        let square = |j: usize| (x[2 * i] - x[2 * j]).powi(2) + (x[2 * i + 1] - x[2 * j + 1]).powi(2);
        (0..n).filter(|&j| others(j)).map(square).collect()
    };
    let least = |values: Vec<f32>| values.into_iter().fold(1e30, f32::min);
    let each = |f: &dyn Fn(usize) -> f32| (0..n).map(f).collect::<Vec<f32>>();
    let log = |square: f32| 0.5 * (square + 1e-12).ln();
    let right = |i: usize| log(least(squares(i, &|j| j != i)));
    judge(
        &got,
        &each(&right),
        &[
            (each(&|_| 0.0), "this is 0 everywhere: look for the nearest other point"),
            (each(&|i| log(least(squares(i, &|_| true)))), "every point is its own neighbour: leave j = i out"),
            (each(&|i| 2.0 * right(i)), "this is the logarithm of the squared distance: halve it"),
            (each(&|i| log(least(squares(i, &|j| j > i)))), "only points after i are looked at"),
            (each(&|i| log(squares(i, &|_| true).into_iter().fold(0.0, f32::max))), "this is the farthest point"),
            (each(&|i| least(squares(i, &|j| j != i)).sqrt()), "this is the distance: the entropy takes its logarithm"),
        ],
    )
}
