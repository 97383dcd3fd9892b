//! Spectral normalisation: a weight divided by its largest singular value, each step of it in one kernel.
//!
//! With `t = w^T u` and `sigma = |t|`, where u is the estimate of the left singular vector and a constant:
//!
//! `y = w / sigma`, `dw = (g - <g, w> u t^T / sigma^2) / sigma`, and a step of power iteration `u <- w t / |w t|`.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Slice, Source, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor};
use crate::{shader, uniforms};

/// A weight `[O, ...]` as a matrix: its rows and columns.
fn matrix(w: &Shape) -> [usize; 2] {
    [w[0], w.numel() / w[0].max(1)]
}

/// The rule of all three: `w [O, ...]`, `u [1, O]`.
fn check(w: &Shape, u: &Shape) -> Result<(), String> {
    match w.rank() {
        0 => Err("a scalar has no singular values".into()),
        _ if u.0 != [1, w[0]] => Err(format!("the estimate of the singular vector has the shape [1, {}]", w[0])),
        _ => Ok(()),
    }
}

/// Turns of all its loops after which software Vulkan ends an invocation, without a word.
const MOST_TURNS: usize = 65_535;

/// Invocations of the one workgroup for so many loads of a weight. On software Vulkan every barrier costs each of them, and loops must
/// stay short: the gradient goes through the weight four times.
fn lanes(gpu: &Gpu, loads: usize) -> usize {
    if !gpu.profile().software {
        return 256;
    }
    let lanes = loads.div_ceil(MOST_TURNS / 8).next_power_of_two().clamp(16, 256);
    assert!(
        4 * loads.div_ceil(lanes) < MOST_TURNS,
        "spectral_norm: software Vulkan cannot take a weight of {loads} loads"
    );
    lanes
}

fn launch(source: Source, gpu: &Gpu, x: &[Tensor], y: &Tensor, traffic: usize) {
    let [rows, columns] = matrix(x[0].shape());
    let (element, width) = if columns.is_multiple_of(4) { ("common/vec4.wgsl", 4) } else { ("common/scalar.wgsl", 1) };
    let lanes = lanes(gpu, rows * columns / width);
    let across = (columns / width).next_power_of_two().min(lanes);
    let kernel = Kernel::new(source).with("ELEMENT", element).with("LANES", lanes).with("ACROSS", across);
    let slices: Vec<&Slice> = x.iter().chain([y]).map(Tensor::slice).collect();
    let work = Work { bytes: (4 * traffic * rows * columns) as u64, flops: (4 * rows * columns) as u64 };
    gpu.dispatch(&kernel, uniforms![rows, columns: columns / width], &slices, Workgroups::Count(1), work);
}

/// t = w^T u of the oracle.
fn along(w: &Array, u: &Array) -> Vec<f64> {
    let [rows, columns] = matrix(&w.shape);
    (0..columns).map(|j| (0..rows).map(|i| u[i] * w[i * columns + j]).sum()).collect()
}

fn square(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum()
}

/// y = w / |w^T u|
struct Spectral;

impl Op for Spectral {
    fn name(&self) -> &'static str {
        "spectral_norm"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        check(x[0], x[1]).map(|()| x[0].clone())
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let sigma = square(&along(&x[0], &x[1])).sqrt();
        x[0].iter().map(|w| w / sigma).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        launch(shader!("norm/spectral.wgsl"), gpu, x, y, 2);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        vec![need[0].then(|| apply(SpectralGrad, &[&x[0], &x[1], ct])), None]
    }
}

/// dw = (g - <g, w> u t^T / sigma^2) / sigma; inputs w, u, g
struct SpectralGrad;

impl Op for SpectralGrad {
    fn name(&self) -> &'static str {
        "spectral_norm_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        check(x[0], x[1])?;
        if x[0] == x[2] { Ok(x[0].clone()) } else { Err("the weight and its cotangent differ in shape".into()) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let (columns, t) = (matrix(&x[0].shape)[1], along(&x[0], &x[1]));
        let (square, product) = (square(&t), x[0].iter().zip(x[2].iter()).map(|(w, g)| w * g).sum::<f64>());
        let element =
            |(i, g): (usize, &f64)| (g - product * x[1][i / columns] * t[i % columns] / square) / square.sqrt();
        x[2].iter().enumerate().map(element).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        launch(shader!("norm/spectral_grad.wgsl"), gpu, x, y, 3);
    }

    /// Of `<h, dw> = <g, h> / sigma - <g, w> r / sigma^3` with `q = h^T u`, `r = <q, t>`, where sigma moves with w by `u t^T / sigma`.
    fn vjp(&self, x: &[Tensor], _: &Tensor, h: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let flat = |t: &Tensor| t.reshape(matrix(t.shape()));
        let ([w, g, h], u) = ([&x[0], &x[2], h].map(flat), &x[1]);
        let (t, q) = (u.matmul(&w), u.matmul(&h)); // [1, columns]
        let inverse = t.square().sum().sqrt().recip();
        let cube = &(&inverse * &inverse) * &inverse;
        let (gh, gw, r) = ((&g * &h).sum(), (&g * &w).sum(), (&q * &t).sum());
        let outer = |row: &Tensor| u.transpose().matmul(row);
        let dw = || {
            let by_sigma = &(&(&gw * &r) * &(&inverse * &inverse)).mul_scalar(3.0) - &gh;
            &(&outer(&(&t * &by_sigma)) - &(&g * &r)) - &outer(&(&q * &gw))
        };
        let dg = || &(&h * &inverse) - &(&w * &(&r * &cube));
        let shaped = |t: Tensor| t.reshape(x[0].shape());
        vec![need[0].then(|| shaped(&dw() * &cube)), None, need[2].then(|| shaped(dg()))]
    }
}

/// v = w t / |w t|
struct SpectralStep;

impl Op for SpectralStep {
    fn name(&self) -> &'static str {
        "spectral_step"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        check(x[0], x[1]).map(|()| x[1].clone())
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let t = along(&x[0], &x[1]);
        let row = |i: usize| t.iter().zip(&x[0][i * t.len()..]).map(|(t, w)| t * w).sum();
        let v: Vec<f64> = (0..x[0].shape[0]).map(row).collect();
        let length = square(&v).sqrt() + 1e-12;
        v.iter().map(|v| v / length).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        launch(shader!("norm/spectral_step.wgsl"), gpu, x, y, 1);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, _: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![None, None]
    }
}

impl Tensor {
    /// `w / |w^T u|` of a weight `[O, ...]`, as a matrix of O rows, with `u [1, O]`: spectral normalisation (Miyato et al. 2018), where u
    /// estimates the left singular vector. With `v = w^T u / |w^T u|` this is `w / (u^T w v)`, and its gradient is the one with u and v
    /// held constant.
    #[track_caller]
    pub fn spectral_norm(&self, u: &Tensor) -> Tensor {
        apply(Spectral, &[self, u])
    }

    /// A step of power iteration, `w w^T u / |w w^T u|`, without gradient.
    #[track_caller]
    pub fn spectral_step(&self, u: &Tensor) -> Tensor {
        apply(SpectralStep, &[&self.detach(), &u.detach()])
    }
}

/// Cases: one row, one column, none, both vector widths, linear and convolutional weights, more rows and more columns than invocations.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, order) in [
        (vec![3, 4], 2),
        (vec![1, 5], 2),
        (vec![4, 1], 2),
        (vec![2, 3, 3, 2], 2),
        (vec![0, 3], 0),
        (vec![3, 0], 0),
        (vec![300, 2], 0),
        (vec![5, 1501], 0),
        (vec![7, 1500], 0),
        (vec![256, 2304], 0),
        (vec![300, 6000], 0),
    ] {
        let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
        let some = || Input::uniform(shape.clone(), 0.5, 1.5);
        // u is a constant, 1 to 4: no gradient is asked for it.
        let u = || Input::below([1, rows], 4);
        let label = |name: &str| format!("spectral_{name} {shape:?}");
        let norm = |x: &[Tensor]| x[0].spectral_norm(&x[1].add_scalar(1.0));
        cases.push(Case::new(label("norm"), [some(), u()], norm).ulps(64.0, 0.0).order(order));
        let step = |x: &[Tensor]| x[0].spectral_step(&x[1].add_scalar(1.0));
        cases.push(Case::new(label("step"), [some(), u()], step).ulps(64.0, 0.0).order(0));
        // Of the size 1 / sigma, sigma about 2.5 rows sqrt(columns), as what is subtracted.
        let size = 1.0 / (2.5 * rows as f64 * (columns as f64).sqrt()).max(1.0);
        let grad = |x: &[Tensor]| apply(SpectralGrad, &[&x[0], &x[1].add_scalar(1.0), &x[2]]);
        let case = Case::new(label("grad"), [some(), u(), some()], grad);
        cases.push(case.ulps(64.0, size).order(order.min(1)));
    }
    cases
}
