//! Running sums and products along an axis.
//!
//! A long axis is cut into segments: their totals are summed first (by the same rule), then every segment starts from
//! the sum of those before it.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Slice, Work, Workgroups};
use crate::tensor::{Array, Axis, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// y[.., j, ..] = sum_{k <= j} x[.., k, ..], or over k >= j
#[derive(Clone, Copy)]
struct Cumsum {
    axis: usize,
    reverse: bool,
}

/// Elements one invocation adds serially.
const SEGMENT: usize = 256;

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let [outer, dim, inner] = y.around(self.axis);
        let mut out = x[0].to_vec();
        for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
            let mut sum = 0.0;
            for j in 0..dim {
                let at = (o * dim + if self.reverse { dim - 1 - j } else { j }) * inner + i;
                sum += out[at];
                out[at] = sum;
            }
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        scan(gpu, x[0].slice(), y.shape().around(self.axis), self.reverse, y.slice());
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Cumsum { reverse: !self.reverse, ..*self }, &[ct]))]
    }
}

/// Running sums over the middle of `[outer, dim, inner]`.
fn scan(gpu: &Gpu, x: &Slice, [outer, dim, inner]: [usize; 3], reverse: bool, y: &Slice) {
    let segments = dim.div_ceil(SEGMENT);
    let count = outer * segments * inner;
    let uniforms = uniforms![count, dim, inner, segments, per_segment: SEGMENT];
    let kernel = Kernel::new(shader!("scan/scan.wgsl")).with("REVERSE", reverse);
    let groups = Workgroups::Elements(count);
    let bytes = (outer * dim * inner) as u64 * 4;
    let zero = gpu.zero();
    if segments == 1 {
        gpu.dispatch(&kernel, uniforms, &[x, &zero, y], groups, Work::bytes(2 * bytes));
        return;
    }
    let totals = gpu.alloc(count as u64 * 4);
    gpu.dispatch(&kernel.clone().with("TOTALS", true), uniforms, &[x, &zero, &totals], groups, Work::bytes(bytes));
    let before = gpu.alloc(count as u64 * 4);
    scan(gpu, &totals, [outer, segments, inner], false, &before);
    gpu.dispatch(&kernel.with("CARRY", true), uniforms, &[x, &before, y], groups, Work::bytes(2 * bytes));
}

impl Tensor {
    /// The sum of the elements of an axis up to each one: `y_j = sum_{k <= j} x_k`.
    #[track_caller]
    pub fn cumsum(&self, axis: impl Axis) -> Tensor {
        let _op = calling("cumsum");
        apply(Cumsum { axis: self.shape().axis(axis), reverse: false }, &[self])
    }

    /// The sum of the elements of an axis from each one on: `y_j = sum_{k >= j} x_k`, the adjoint of
    /// [`Tensor::cumsum`].
    #[track_caller]
    pub fn cumsum_back(&self, axis: impl Axis) -> Tensor {
        let _op = calling("cumsum_back");
        apply(Cumsum { axis: self.shape().axis(axis), reverse: true }, &[self])
    }

    /// The product of the elements of an axis up to each one, all of them positive: `exp(cumsum(log x))`.
    ///
    /// In f32 the relative error grows as the sum of |log x| times 6e-8.
    #[track_caller]
    pub fn cumprod(&self, axis: impl Axis) -> Tensor {
        let _op = calling("cumprod");
        self.log().cumsum(axis).exp()
    }
}

/// Cases: every axis, one segment +-1, several levels of segments, sizes 0 and 1.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, axis) in [
        ([2, 5, 1], 1),
        ([2, 3, 2], 0),
        ([1, 1, 4], 2),
        ([0, 3, 1], 1),
        ([2, 0, 3], 1),
        ([5, 256, 3], 1),
        ([5, 257, 3], 1),
        ([3, 1, 255], 2),
        ([1, 70_001, 2], 1),
        ([1, 1, 140_001], 2),
    ] {
        let order = if shape.iter().product::<usize>() <= 12 { 2 } else { 0 };
        let label = format!("{shape:?} {axis}");
        let terms = shape[axis].max(1);
        let run = move |x: &[Tensor]| x[0].cumsum(axis);
        cases.push(Case::new(format!("cumsum {label}"), [Input::unit(shape)], run).sum(terms).order(order));
        let run = move |x: &[Tensor]| x[0].cumsum_back(axis);
        cases.push(Case::new(format!("cumsum_back {label}"), [Input::unit(shape)], run).sum(terms).order(order));
    }
    cases.push(Case::new("cumprod", [Input::uniform([2, 4], 0.5, 1.5)], |x| x[0].cumprod(1)).ulps(16.0, 1.0));
    cases
}
