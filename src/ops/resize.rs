//! Resizing images, one axis after the other.

use super::pool::MAX_KERNEL;
use super::{Case, Input, Op, apply, elementwise_work};
use crate::gpu::{Gpu, Kernel, Source, Workgroups};
use crate::tensor::{Array, Shape, Tensor, called, calling};
use crate::{shader, uniforms};

/// y[.., j, ..] = sum_k weight(j, k) x[.., k, ..] along one axis, j < n
#[derive(Clone, Copy)]
struct Resize {
    axis: usize,
    /// The length with the full (`dim`) and with the resized (`n`) resolution.
    dim: usize,
    n: usize,
    rule: Rule,
}

/// Where position j of n reads on an axis of length `dim`. The codes are those of `pool/resize_weights.wgsl`.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    /// floor(j dim / n)
    Nearest,
    /// floor((j + 1/2) dim / n)
    NearestExact,
    /// max((j + 1/2) dim / n - 1/2, 0), linear between neighbours
    Linear,
    /// j (dim - 1) / (n - 1), linear between neighbours
    Corners,
}

/// The longest axis: products of two lengths must fit 32 bits, and loops stay below 65,535.
const MAX_LENGTH: usize = 16_384;

impl Resize {
    fn shape_from(&self, x: &Shape, from: usize, to: usize) -> Result<Shape, String> {
        if x.get(self.axis) != Some(&from) || from == 0 || to == 0 || from.max(to) > MAX_LENGTH {
            return Err(format!("resizes axis {} from {from} to {to}, both in 1..={MAX_LENGTH}", self.axis));
        }
        let mut shape = x.clone();
        shape.0[self.axis] = to;
        Ok(shape)
    }

    /// The elements that position j reads and their weights.
    fn weights(&self, j: usize) -> [(usize, f64); 2] {
        let Resize { dim, n, .. } = *self;
        let position = match self.rule {
            Rule::Nearest => return [(j * dim / n, 1.0), (0, 0.0)],
            Rule::NearestExact => return [((2 * j + 1) * dim / (2 * n), 1.0), (0, 0.0)],
            Rule::Linear => ((j as f64 + 0.5) * dim as f64 / n as f64 - 0.5).max(0.0),
            Rule::Corners => (j * (dim - 1)) as f64 / (n - 1).max(1) as f64,
        };
        let k = (position as usize).min(dim - 1);
        [(k, 1.0 - (position - k as f64)), ((k + 1).min(dim - 1), position - k as f64)]
    }

    /// Calls `f(offset at full, offset at new resolution, weight)` for everything read; `shape` is at new resolution.
    fn pairs(&self, shape: &Shape, mut f: impl FnMut(usize, usize, f64)) {
        let [outer, n, inner] = shape.around(self.axis);
        for (o, j) in (0..outer).flat_map(|o| (0..n).map(move |j| (o, j))) {
            for (k, weight) in self.weights(j).into_iter().filter(|(_, weight)| *weight != 0.0) {
                (0..inner).for_each(|i| f((o * self.dim + k) * inner + i, (o * n + j) * inner + i, weight));
            }
        }
    }

    fn launch_on(&self, source: Source, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let inner = y.shape().around(self.axis)[2];
        let width = if inner.is_multiple_of(4) { 4 } else { 1 };
        let kernel = Kernel::new(source).with("RULE", self.rule as u32);
        let kernel = if width == 4 { kernel.with("T", "vec4f") } else { kernel };
        let count = y.numel() / width;
        let uniforms = uniforms![count, dim: self.dim, n: self.n, inner: inner / width];
        let slices = [x[0].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), elementwise_work(x, y, 3));
    }
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        self.shape_from(x[0], self.dim, self.n)
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        self.pairs(y, |full, new, weight| out[new] += weight * x[0][full]);
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.launch_on(shader!("pool/resize.wgsl"), gpu, x, y);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(ResizeAdjoint(*self), &[ct]))]
    }
}

/// y[.., k, ..] = sum_j weight(j, k) x[.., j, ..] along one axis, k < dim
struct ResizeAdjoint(Resize);

impl Op for ResizeAdjoint {
    fn name(&self) -> &'static str {
        "resize_adjoint"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        self.0.shape_from(x[0], self.0.n, self.0.dim)
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        self.0.pairs(&x[0].shape, |full, new, weight| out[full] += weight * x[0][new]);
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.0.launch_on(shader!("pool/resize_adjoint.wgsl"), gpu, x, y);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(self.0, &[ct]))]
    }
}

impl Tensor {
    /// Images `self[N, H, W, C]` at height `h` and width `w`: pixel j of n is pixel `floor(j H / n)`, as PyTorch's
    /// `nearest`. Whole factors take one pass, other sizes one pass per axis. No side is longer than 16,384.
    #[track_caller]
    pub fn resize_nearest(&self, h: usize, w: usize) -> Tensor {
        let _op = calling("resize_nearest");
        if let [_, from_h, from_w, _] = self.shape()[..] {
            let factor = h / from_h.max(1);
            if (1..=MAX_KERNEL).contains(&factor) && [factor * from_h, factor * from_w] == [h, w] {
                return self.repeat_pixels(factor);
            }
        }
        self.resize(h, w, Rule::Nearest)
    }

    /// [`Tensor::resize_nearest`] from pixel centres: pixel j of n is pixel `floor((j + 1/2) H / n)`, as PyTorch's
    /// `nearest-exact`.
    #[track_caller]
    pub fn resize_nearest_exact(&self, h: usize, w: usize) -> Tensor {
        let _op = calling("resize_nearest_exact");
        self.resize(h, w, Rule::NearestExact)
    }

    /// Images `self[N, H, W, C]` at height `h` and width `w`, linear between pixel centres, as PyTorch's `bilinear` with
    /// `align_corners=False`: pixel j of n reads position `max((j + 1/2) H / n - 1/2, 0)`. One pass per axis.
    #[track_caller]
    pub fn resize_bilinear(&self, h: usize, w: usize) -> Tensor {
        let _op = calling("resize_bilinear");
        self.resize(h, w, Rule::Linear)
    }

    /// [`Tensor::resize_bilinear`] with the corners in place, as PyTorch's `align_corners=True`: pixel j of n reads position
    /// `j (H - 1) / (n - 1)`.
    #[track_caller]
    pub fn resize_bilinear_corners(&self, h: usize, w: usize) -> Tensor {
        let _op = calling("resize_bilinear_corners");
        self.resize(h, w, Rule::Corners)
    }

    #[track_caller]
    fn resize(&self, h: usize, w: usize, rule: Rule) -> Tensor {
        assert!(self.shape().rank() == 4, "{}: shape {} is not [N, H, W, C]", called("resize"), self.shape());
        self.resize_axis(1, h, rule).resize_axis(2, w, rule)
    }

    #[track_caller]
    fn resize_axis(&self, axis: usize, n: usize, rule: Rule) -> Tensor {
        let dim = self.dim(axis);
        if dim == n { self.clone() } else { apply(Resize { axis, dim, n, rule }, &[self]) }
    }
}

/// Cases: up and down, whole and odd factors, from and to a single pixel, both vector widths, and the adjoints alone.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, h, w, order) in [
        ([1, 2, 3, 2], 4, 6, 2),
        ([1, 3, 2, 1], 5, 3, 2),
        ([2, 4, 5, 1], 2, 3, 2),
        ([1, 1, 1, 4], 3, 2, 2),
        ([1, 3, 4, 1], 1, 1, 2),
        ([3, 17, 31, 12], 40, 7, 0),
        ([5, 16, 15, 64], 32, 30, 0),
    ] {
        let label = format!("{shape:?} to {h}x{w}");
        let nearest = move |x: &[Tensor]| x[0].resize_nearest(h, w);
        cases.push(Case::new(format!("nearest {label}"), [Input::unit(shape)], nearest).exact().order(order));
        let exact = move |x: &[Tensor]| x[0].resize_nearest_exact(h, w);
        cases.push(Case::new(format!("nearest exact {label}"), [Input::unit(shape)], exact).exact().order(order));
        let bilinear = move |x: &[Tensor]| x[0].resize_bilinear(h, w);
        cases.push(Case::new(format!("bilinear {label}"), [Input::unit(shape)], bilinear).sum(4).order(order));
        let corners = move |x: &[Tensor]| x[0].resize_bilinear_corners(h, w);
        cases.push(Case::new(format!("corners {label}"), [Input::unit(shape)], corners).sum(4).order(order));
        for rule in [Rule::Nearest, Rule::NearestExact, Rule::Linear, Rule::Corners] {
            let op = Resize { axis: 2, dim: shape[2], n: w, rule };
            let run = move |x: &[Tensor]| apply(ResizeAdjoint(op), &[&x[0]]);
            let inputs = [Input::unit([shape[0], h, w, shape[3]])];
            let terms = 2 * w.div_ceil(shape[2]) + 2;
            cases.push(Case::new(format!("adjoint {label} {rule:?}"), inputs, run).sum(terms).order(order.min(1)));
        }
    }
    cases
}
