//! Reductions: sum, max, min over any axes, and what follows from them (mean, logsumexp, argmax).
//!
//! Every reduction runs in a fixed order: the same bits on every run of an adapter. A long one is cut into segments
//! that are reduced in parallel, then the partial results are reduced again.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Slice, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor};
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
            Kind::Max => a.max(b),
            Kind::Min => a.min(b),
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
        for &axis in &self.axes {
            *shape.0.get_mut(axis).ok_or_else(|| format!("no axis {axis}"))? = 1;
        }
        if self.kind != Kind::Sum && x[0].numel() == 0 && shape.numel() > 0 {
            return Err("the extreme of no elements is undefined".into());
        }
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
                true => (kernel.with("T", "vec4f"), inner / 4),
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
    fn reduce(&self, kind: Kind, axes: &[usize]) -> Tensor {
        apply(Reduce { kind, axes: axes.to_vec() }, &[self])
    }

    #[track_caller]
    fn drop_axes(&self, axes: &[usize]) -> Tensor {
        let kept = self.shape().iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, &n)| n);
        self.reshape(kept.collect::<Vec<_>>())
    }

    fn all_axes(&self) -> Vec<usize> {
        (0..self.shape().rank()).collect()
    }

    /// The sum of all elements, a scalar.
    pub fn sum(&self) -> Tensor {
        self.sum_axes(&self.all_axes())
    }

    /// The mean of all elements, a scalar.
    pub fn mean(&self) -> Tensor {
        self.mean_axes(&self.all_axes())
    }

    /// The sum over some axes, which disappear.
    #[track_caller]
    pub fn sum_axes(&self, axes: &[usize]) -> Tensor {
        self.sum_keepdim(axes).drop_axes(axes)
    }

    /// The sum over some axes, which stay with dimension 1.
    #[track_caller]
    pub fn sum_keepdim(&self, axes: &[usize]) -> Tensor {
        if axes.iter().all(|&a| self.dim(a) == 1) { self.clone() } else { self.reduce(Kind::Sum, axes) }
    }

    /// The mean over some axes, which disappear.
    #[track_caller]
    pub fn mean_axes(&self, axes: &[usize]) -> Tensor {
        self.keep_mean(axes).drop_axes(axes)
    }

    /// The mean over some axes, which stay with dimension 1.
    #[track_caller]
    pub fn keep_mean(&self, axes: &[usize]) -> Tensor {
        let count: usize = axes.iter().map(|&a| self.dim(a)).product();
        self.sum_keepdim(axes).mul_scalar(1.0 / count as f64)
    }

    /// The largest element over some axes, which disappear; ties share the gradient.
    #[track_caller]
    pub fn max_axes(&self, axes: &[usize]) -> Tensor {
        self.reduce(Kind::Max, axes).drop_axes(axes)
    }

    /// The smallest element over some axes, which disappear; ties share the gradient.
    #[track_caller]
    pub fn min_axes(&self, axes: &[usize]) -> Tensor {
        self.reduce(Kind::Min, axes).drop_axes(axes)
    }

    /// `log sum exp x` over some axes, which disappear; no overflow.
    #[track_caller]
    pub fn logsumexp(&self, axes: &[usize]) -> Tensor {
        let top = self.detach().reduce(Kind::Max, axes);
        (&(self - &top).exp().sum_keepdim(axes).log() + &top).drop_axes(axes)
    }

    /// The index of the first largest element along an axis, which disappears. Not differentiable.
    #[track_caller]
    pub fn argmax(&self, axis: usize) -> Tensor {
        self.first_where(Kind::Max, axis)
    }

    /// The index of the first smallest element along an axis, which disappears. Not differentiable.
    #[track_caller]
    pub fn argmin(&self, axis: usize) -> Tensor {
        self.first_where(Kind::Min, axis)
    }

    fn first_where(&self, kind: Kind, axis: usize) -> Tensor {
        let x = self.detach();
        let (n, rank) = (x.dim(axis), x.shape().rank());
        let mut shape = vec![1; rank];
        shape[axis] = n;
        let index = Tensor::iota(x.device(), n).reshape(shape);
        let none = Tensor::scalar(x.device(), n as f64);
        x.equal(&x.reduce(kind, &[axis])).where_(&index, &none).min_axes(&[axis])
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
        if shape.iter().product::<usize>() > 0 {
            let max = move |x: &[Tensor]| x[0].max_axes(axes);
            let case = Case::new(format!("max {shape:?} {axes:?}"), [Input::distinct(shape)], max);
            cases.push(case.exact().order(order));
        }
    }
    let small = || [Input::distinct([3, 5])];
    cases.push(Case::new("min", small(), |x| x[0].min_axes(&[0])).exact());
    cases.push(Case::new("mean", small(), |x| x[0].mean_axes(&[1])).sum(5));
    cases.push(Case::new("logsumexp", small(), |x| x[0].logsumexp(&[1])).ulps(16.0, 1.0));
    cases.push(Case::new("argmax", small(), |x| x[0].argmax(1)).exact().order(0));
    cases.push(Case::new("argmin", small(), |x| x[0].argmin(0)).exact().order(0));
    let long = [Input::uniform([(1 << 24) + 3], 0.0, 1.0)];
    cases.push(Case::new("sum of 16 Mi + 3", long, |x| x[0].sum()).sum(1 << 24).order(0));
    cases
}
