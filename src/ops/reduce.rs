//! Reductions: sum, max, min over any axes, and what follows from them (mean, logsumexp, argmax).
//!
//! Every reduction runs in a fixed order: the same bits on every run of an adapter. A long one is cut into segments
//! that are reduced in parallel, then the partial results are reduced again.

use super::{Case, Input, Op, apply, larger, smaller};
use crate::gpu::{Gpu, Kernel, Slice, Work, Workgroups};
use crate::tensor::{Array, Axis, Shape, Tensor, called, calling};
use crate::{shader, uniforms};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sum,
    Max,
    Min,
}

impl Kind {
    fn identity(self) -> f64 {
        match self {
            Kind::Sum => 0.0,
            Kind::Max => f64::NEG_INFINITY,
            Kind::Min => f64::INFINITY,
        }
    }

    fn combine(self, a: f64, b: f64) -> f64 {
        match self {
            Kind::Sum => a + b,
            Kind::Max => larger(a, b),
            Kind::Min => smaller(a, b),
        }
    }
}

/// y[kept] = combine over the reduced axes of x; reduced axes stay with dimension 1
struct Reduce {
    kind: Kind,
    axes: Vec<usize>,
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Sum => "sum",
            Kind::Max => "max",
            Kind::Min => "min",
        }
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let mut shape = x[0].clone();
        self.axes.iter().for_each(|&axis| shape.0[axis] = 1);
        Ok(shape)
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let strides = y.broadcast_strides(&x[0].shape);
        let mut out = vec![self.kind.identity(); y.numel()];
        for (at, &v) in x[0].shape.indices().zip(x[0].iter()) {
            let o: usize = at.iter().zip(&strides).map(|(i, s)| i * s).sum();
            out[o] = self.kind.combine(out[o], v);
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        if x[0].numel() == 0 {
            return gpu.fill(y.slice(), (self.kind.identity() as f32).to_bits());
        }
        let mut from = x[0].slice().clone();
        let mut runs = runs(x[0].shape(), &self.axes);
        // Innermost runs first: each pass removes one run of reduced axes.
        while let Some(at) = runs.iter().rposition(|r| r.reduced) {
            let count = |r: &[Run]| r.iter().map(|r| r.dim).product::<usize>();
            let [outer, dim, inner] = [count(&runs[..at]), runs[at].dim, count(&runs[at + 1..])];
            runs.remove(at);
            let to = match runs.iter().any(|r| r.reduced) {
                true => gpu.alloc((outer * inner) as u64 * 4),
                false => y.slice().clone(),
            };
            self.reduce_axis(gpu, &from, [outer, dim, inner], &to);
            from = to;
        }
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        if self.kind == Kind::Sum {
            return vec![Some(ct.broadcast_to(x[0].shape()))];
        }
        // Elements that tie for the extreme share its cotangent.
        let winners = x[0].equal(&y.detach()).detach();
        let share = winners.sum_keepdim(&self.axes);
        vec![Some(&winners * &(ct / &share))]
    }
}

/// A run of neighbouring axes that are all kept or all reduced.
struct Run {
    dim: usize,
    reduced: bool,
}

fn runs(x: &Shape, axes: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (axis, &dim) in x.iter().enumerate() {
        let reduced = axes.contains(&axis);
        match runs.last_mut() {
            Some(run) if run.reduced == reduced => run.dim *= dim,
            _ => runs.push(Run { dim, reduced }),
        }
    }
    if !runs.iter().any(|r| r.reduced) {
        runs.push(Run { dim: 1, reduced: true });
    }
    runs
}

/// Elements one invocation folds serially at most; also keeps loops far below software Vulkan's 65,535 iterations.
const SERIAL: usize = 1024;

impl Reduce {
    /// Reduces the middle of `[outer, dim, inner]`.
    fn reduce_axis(&self, gpu: &Gpu, x: &Slice, [outer, dim, inner]: [usize; 3], y: &Slice) {
        let rows = inner == 1 && dim >= 64;
        // One workgroup folds a row segment; elsewhere one invocation folds a column segment.
        let width = if gpu.profile().software { 8 } else { 256 };
        let per_segment = if rows { SERIAL * 4 * width } else { column_segment(outer * inner, dim) };
        let segments = dim.div_ceil(per_segment).max(1);
        let partial;
        let out = if segments == 1 {
            y
        } else {
            partial = gpu.alloc((outer * segments * inner) as u64 * 4);
            &partial
        };
        let work = Work { bytes: (outer * (dim + segments) * inner) as u64 * 4, flops: (outer * dim * inner) as u64 };
        if rows {
            let kernel = Kernel::new(shader!("reduce/rows.wgsl")).op(self.kind as u32, self.name());
            let uniforms = uniforms![rows: outer, dim, segments, per_segment];
            gpu.dispatch(&kernel.with("WIDTH", width), uniforms, &[x, out], Workgroups::Count(outer * segments), work);
        } else {
            let kernel = Kernel::new(shader!("reduce/columns.wgsl")).op(self.kind as u32, self.name());
            let (kernel, inner) = match inner.is_multiple_of(4) {
                true => (kernel.with("T", "vec4f").with("Bits", "vec4u"), inner / 4),
                false => (kernel, inner),
            };
            let uniforms = uniforms![outer, dim, inner, segments, per_segment];
            gpu.dispatch(&kernel, uniforms, &[x, out], Workgroups::Elements(outer * segments * inner), work);
        }
        if segments > 1 {
            self.reduce_axis(gpu, out, [outer, segments, inner], y);
        }
    }
}

/// Length of a column segment: short enough that about 4096 invocations share the work, if there is that much.
fn column_segment(columns: usize, dim: usize) -> usize {
    let wanted = (4096 / columns.max(1)).max(1);
    dim.div_ceil(wanted).clamp(32, SERIAL)
}

/// Sums the middle of `[outer, dim, inner]` in order: what adds up the partial results of another kernel.
pub(super) fn add_parts(gpu: &Gpu, x: &Slice, dims: [usize; 3], y: &Slice) {
    Reduce { kind: Kind::Sum, axes: Vec::new() }.reduce_axis(gpu, x, dims, y);
}

impl Tensor {
    #[track_caller]
    fn reduce(&self, kind: Kind, axes: &[impl Axis]) -> Tensor {
        apply(Reduce { kind, axes: self.shape().axes(axes) }, &[self])
    }

    #[track_caller]
    fn drop_axes(&self, axes: &[impl Axis]) -> Tensor {
        let axes = self.shape().axes(axes);
        let kept = self.shape().iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, &n)| n);
        self.reshape(kept.collect::<Vec<_>>())
    }

    fn all_axes(&self) -> Vec<usize> {
        (0..self.shape().rank()).collect()
    }

    /// How many elements lie along some axes together.
    #[track_caller]
    fn count(&self, axes: &[impl Axis]) -> f64 {
        self.shape().axes(axes).iter().map(|&a| self.shape()[a]).product::<usize>() as f64
    }

    /// The sum of all elements, a scalar.
    pub fn sum(&self) -> Tensor {
        self.sum_axes(&self.all_axes())
    }

    /// The mean of all elements, a scalar; of none it is NaN.
    pub fn mean(&self) -> Tensor {
        self.mean_axes(&self.all_axes())
    }

    /// The sum over some axes, which disappear.
    #[track_caller]
    pub fn sum_axes(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("sum_axes");
        self.sum_keepdim(axes).drop_axes(axes)
    }

    /// The sum over some axes, which stay with dimension 1.
    #[track_caller]
    pub fn sum_keepdim(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("sum_keepdim");
        let axes = self.shape().axes(axes);
        if axes.iter().all(|&a| self.shape()[a] == 1) { self.clone() } else { self.reduce(Kind::Sum, &axes) }
    }

    /// The mean over some axes, which disappear.
    #[track_caller]
    pub fn mean_axes(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("mean_axes");
        self.mean_keepdim(axes).drop_axes(axes)
    }

    /// The mean over some axes, which stay with dimension 1.
    #[track_caller]
    pub fn mean_keepdim(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("mean_keepdim");
        self.sum_keepdim(axes).mul_scalar(1.0 / self.count(axes))
    }

    /// The variance over some axes, which disappear: the mean of `(x - mean)^2`, times `n / (n - correction)` (0 for
    /// the biased one, 1 for the unbiased one; n the number of elements).
    #[track_caller]
    pub fn var(&self, axes: &[impl Axis], correction: f64) -> Tensor {
        let _op = calling("var");
        let squares = (self - &self.mean_keepdim(axes)).square().sum_axes(axes);
        squares.mul_scalar(1.0 / (self.count(axes) - correction).max(0.0))
    }

    /// The standard deviation, the root of [`Tensor::var`]. Its gradient is not finite where the variance is 0.
    #[track_caller]
    pub fn std(&self, axes: &[impl Axis], correction: f64) -> Tensor {
        let _op = calling("std");
        self.var(axes, correction).sqrt()
    }

    /// The largest element over some axes, which disappear; ties share the gradient. Of no elements it is -inf.
    #[track_caller]
    pub fn max_axes(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("max_axes");
        self.reduce(Kind::Max, axes).drop_axes(axes)
    }

    /// The smallest element over some axes, which disappear; ties share the gradient. Of no elements it is +inf.
    #[track_caller]
    pub fn min_axes(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("min_axes");
        self.reduce(Kind::Min, axes).drop_axes(axes)
    }

    /// `log sum exp x` over some axes, which disappear; no overflow. Where every x is -inf, or there is none, it is -inf
    /// and no gradient flows.
    #[track_caller]
    pub fn logsumexp(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("logsumexp");
        let top = self.detach().reduce(Kind::Max, axes);
        let finite = top.clamp(-f32::MAX as f64, f32::MAX as f64);
        let total = (self - &finite).exp().sum_keepdim(axes);
        let none = total.detach().equal(&Tensor::scalar(self.device(), 0.0));
        let log = none.where_(&Tensor::scalar(self.device(), 1.0), &total).log();
        none.where_(&top, &(&log + &finite)).drop_axes(axes)
    }

    /// The index of the first largest element along an axis, which disappears; that of the first NaN if there is one.
    /// Not differentiable.
    #[track_caller]
    pub fn argmax(&self, axis: impl Axis) -> Tensor {
        let _op = calling("argmax");
        self.first_where(Kind::Max, axis)
    }

    /// The index of the first smallest element along an axis, which disappears; that of the first NaN if there is one.
    /// Not differentiable.
    #[track_caller]
    pub fn argmin(&self, axis: impl Axis) -> Tensor {
        let _op = calling("argmin");
        self.first_where(Kind::Min, axis)
    }

    #[track_caller]
    fn first_where(&self, kind: Kind, axis: impl Axis) -> Tensor {
        let x = self.detach();
        let (axis, rank) = (x.shape().axis(axis), x.shape().rank());
        let n = x.shape()[axis];
        assert!(n > 0, "{}: axis {axis} of shape {} has no elements", called("argmax"), x.shape());
        let mut shape = vec![1; rank];
        shape[axis] = n;
        let index = Tensor::iota(x.device(), n).reshape(shape);
        let none = Tensor::scalar(x.device(), n as f64);
        // Only a row without NaN has an element that equals its extreme.
        let hit = x.equal(&x.reduce(kind, &[axis])).maximum(&x.is_nan());
        hit.where_(&index, &none).min_axes(&[axis])
    }

    /// 0, 1, ..., n - 1.
    pub fn iota(device: &crate::tensor::Device, n: usize) -> Tensor {
        Tensor::from_f64(device, [n], (0..n).map(|i| i as f64).collect())
    }

    /// Sums away what broadcasting stretched: the adjoint of [`Tensor::broadcast_to`].
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if *self.shape() == shape {
            return self.clone();
        }
        let _op = calling("sum_to");
        assert!(
            shape.broadcast(self.shape()).as_ref() == Some(self.shape()),
            "sum_to: {shape} does not stretch to {}",
            self.shape()
        );
        let extra = self.shape().rank() - shape.rank();
        let stretched = |&d: &usize| d < extra || (shape[d - extra] == 1 && self.shape()[d] != 1);
        let axes: Vec<usize> = (0..self.shape().rank()).filter(stretched).collect();
        self.sum_keepdim(&axes).reshape(shape)
    }
}

/// Cases: rows, columns, several runs of axes, 0 and 1, primes, tile size +-1, sums above 16 Mi elements.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(&[usize], &[usize]); 14] = [
        (&[2, 3], &[1]),
        (&[2, 3], &[0]),
        (&[3, 2, 4], &[0, 2]),
        (&[3, 2, 4], &[1]),
        (&[5], &[0]),
        (&[1, 1], &[0, 1]),
        (&[0, 3], &[0]),
        (&[3, 0], &[0]),
        (&[257, 127], &[1]),
        (&[257, 128], &[0]),
        (&[4, 33_000], &[1]),
        (&[70_001, 3], &[0]),
        (&[66_000, 64], &[1]),
        (&[7, 31, 5, 13], &[0, 2]),
    ];
    for (shape, axes) in shapes {
        let terms: usize = axes.iter().map(|&a| shape[a]).product::<usize>().max(1);
        let order = if shape.iter().product::<usize>() <= 24 { 2 } else { 0 };
        let sum = move |x: &[Tensor]| x[0].sum_axes(axes);
        cases.push(Case::new(format!("sum {shape:?} {axes:?}"), [Input::unit(shape)], sum).sum(terms).order(order));
        let max = move |x: &[Tensor]| x[0].max_axes(axes);
        let case = Case::new(format!("max {shape:?} {axes:?}"), [Input::distinct(shape)], max);
        // The extreme of nothing is infinite: no differences of it.
        let order = if shape.contains(&0) { 0 } else { order };
        cases.push(case.exact().order(order));
    }
    let small = || [Input::distinct([3, 5])];
    cases.push(Case::new("min", small(), |x| x[0].min_axes(&[0])).exact());
    cases.push(Case::new("mean", small(), |x| x[0].mean_axes(&[1])).sum(5));
    cases.push(Case::new("var", small(), |x| x[0].var(&[1], 1.0)).ulps(16.0, 1.0));
    cases.push(Case::new("std", small(), |x| x[0].std(&[-2], 0.0)).ulps(16.0, 1.0));
    cases.push(Case::new("logsumexp", small(), |x| x[0].logsumexp(&[1])).ulps(16.0, 1.0));
    cases.push(Case::new("argmax", small(), |x| x[0].argmax(1)).exact().order(0));
    cases.push(Case::new("argmin", small(), |x| x[0].argmin(0)).exact().order(0));
    let long = [Input::uniform([(1 << 24) + 3], 0.0, 1.0)];
    cases.push(Case::new("sum of 16 Mi + 3", long, |x| x[0].sum()).sum(1 << 24).order(0));
    cases
}
