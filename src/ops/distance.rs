//! Distances between all pairs of rows.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor};
use crate::{shader, uniforms};

/// y[i, j] = sum_k (a[i, k] - b[j, k])^2
struct PairwiseSqDistances;

/// Coordinates one invocation adds: software Vulkan cuts loops at 65,535.
const MAX_COORDINATES: usize = 32_768;

/// Rows and columns of a workgroup.
const TILE: usize = 32;

impl Op for PairwiseSqDistances {
    fn name(&self) -> &'static str {
        "pairwise_sq_distances"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        match (&x[0].0[..], &x[1].0[..]) {
            (&[n, d], &[m, e]) if d == e && d <= MAX_COORDINATES => Ok(Shape::from([n, m])),
            _ => Err(format!("wants rows [n, d] and [m, d] with d <= {MAX_COORDINATES}")),
        }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let d = x[0].shape[1];
        let distance =
            |at: Vec<usize>| -> f64 { (0..d).map(|k| (x[0][at[0] * d + k] - x[1][at[1] * d + k]).powi(2)).sum() };
        y.indices().map(distance).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let (n, m, d) = (y.dim(0), y.dim(1), x[0].dim(1));
        let (element, width) = if d.is_multiple_of(4) { ("common/vec4.wgsl", 4) } else { ("common/scalar.wgsl", 1) };
        let kernel = Kernel::new(shader!("distance/pairwise.wgsl")).with("ELEMENT", element).with("TILE", TILE);
        let work = Work { bytes: ((n + m) * d + n * m) as u64 * 4, flops: (3 * n * m * d) as u64 };
        let groups = Workgroups::Count(n.div_ceil(TILE) * m.div_ceil(TILE));
        let slices = [x[0].slice(), x[1].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms![n, m, d: d / width], &slices, groups, work);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        // da_i = 2 sum_j ct_ij (a_i - b_j)
        let (a, b) = (&x[0], &x[1]);
        let da = || (&(a * &ct.sum_keepdim(&[1])) - &ct.matmul(b)).mul_scalar(2.0);
        let db = || (&(b * &ct.sum_axes(&[0]).reshape([b.dim(0), 1])) - &ct.t_matmul(a)).mul_scalar(2.0);
        vec![need[0].then(da), need[1].then(db)]
    }
}

impl Tensor {
    /// The squared Euclidean distances between the rows of `self[n, d]` and `other[m, d]`: `y[i, j] = |a_i - b_j|^2`.
    ///
    /// Summed as squared differences, so that close rows keep their digits.
    #[track_caller]
    pub fn pairwise_sq_distances(&self, other: &Tensor) -> Tensor {
        apply(PairwiseSqDistances, &[self, other])
    }
}

/// Cases: both vector widths, tile size +-1, no rows, no coordinates, more than 65,535 workgroups.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, m, d, order) in [
        (3, 2, 2, 2),
        (2, 3, 4, 2),
        (1, 1, 1, 2),
        (0, 3, 2, 0),
        (3, 2, 0, 0),
        (31, 33, 3, 0),
        (32, 65, 128, 0),
        (1, 2_100_000, 1, 0),
    ] {
        let inputs = [Input::unit([n, d]), Input::unit([m, d])];
        let run = |x: &[Tensor]| x[0].pairwise_sq_distances(&x[1]);
        // Every term carries the rounding of one difference, which is at most 2 eps.
        let case = Case::new(format!("{n} {m} {d}"), inputs, run).ulps(8.0 + (d as f64).sqrt(), 1.0);
        cases.push(case.order(order));
    }
    cases
}
