//! Softmax and its logarithm along an axis.

use super::{Case, Input, Op, apply, larger};
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Axis, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// y = softmax(x) or log softmax(x) along the last axis
struct Softmax {
    log: bool,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[0].rank() == 0 { Err("a scalar has no axis".into()) } else { Ok(x[0].clone()) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let row = |row: &[f64]| {
            let top = row.iter().fold(f64::MIN, |a, &b| larger(a, b));
            let total: f64 = row.iter().map(|v| (v - top).exp()).sum();
            let one = |v: &f64| match self.log {
                _ if total == 0.0 => {
                    if self.log {
                        *v
                    } else {
                        0.0
                    }
                }
                true => v - top - total.ln(),
                false => (v - top).exp() / total,
            };
            row.iter().map(one).collect::<Vec<_>>()
        };
        x[0].chunks(y[y.rank() - 1].max(1)).flat_map(row).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let dim = y.dim(y.shape().rank() - 1);
        let rows = y.numel() / dim;
        let (element, width) = if dim.is_multiple_of(4) { ("common/vec4.wgsl", 4) } else { ("common/scalar.wgsl", 1) };
        // As many lanes as a row feeds with a few elements each; the rest of the workgroup takes other rows.
        let size = if gpu.profile().software { 8 } else { 256 };
        let lanes = (dim / width / 4).max(1).next_power_of_two().min(size);
        let kernel = Kernel::new(shader!("softmax/rows.wgsl")).with("ELEMENT", element).with("LANES", lanes);
        let kernel = kernel.with("ROWS", size / lanes).with("LOG", self.log);
        let groups = Workgroups::Count(rows.div_ceil(size / lanes));
        let work = Work { bytes: y.numel() as u64 * 8, flops: y.numel() as u64 * 5 };
        gpu.dispatch(&kernel, uniforms![rows, dim: dim / width], &[x[0].slice(), y.slice()], groups, work);
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let last = [x[0].shape().rank() - 1];
        vec![Some(match self.log {
            // dx = ct - softmax(x) sum(ct)
            true => ct - &(&y.exp() * &ct.sum_keepdim(&last)),
            // dx = y (ct - <ct, y>)
            false => {
                let weighted = ct * y;
                &weighted - &(y * &weighted.sum_keepdim(&last))
            }
        })]
    }
}

impl Tensor {
    /// `exp(x) / sum exp(x)` along an axis, without overflow; 0 where every x is -inf. Axes other than the last are
    /// permuted there and back.
    #[track_caller]
    pub fn softmax(&self, axis: impl Axis) -> Tensor {
        let _op = calling("softmax");
        self.along_last(axis, Softmax { log: false })
    }

    /// `x - log sum exp(x)` along an axis, without overflow; -inf where every x is -inf.
    #[track_caller]
    pub fn log_softmax(&self, axis: impl Axis) -> Tensor {
        let _op = calling("log_softmax");
        self.along_last(axis, Softmax { log: true })
    }

    /// Applies `op` with `axis` and the last axis exchanged.
    #[track_caller]
    fn along_last(&self, axis: impl Axis, op: Softmax) -> Tensor {
        let axis = self.shape().axis(axis);
        let mut order: Vec<usize> = (0..self.shape().rank()).collect();
        if axis + 1 == order.len() {
            return apply(op, &[self]);
        }
        let last = order.len() - 1;
        order.swap(axis, last);
        apply(op, &[&self.permute(&order)]).permute(&order)
    }
}

/// Cases: short and long rows of both vector widths, another axis, large values, sizes 0 and 1.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, axis, order) in [
        ([3, 4], 1, 2),
        ([2, 5], 1, 2),
        ([4, 3], 0, 2),
        ([3, 1], 1, 2),
        ([0, 3], 1, 0),
        ([3, 0], 1, 0),
        ([70_001, 10], 1, 0),
        ([129, 257], 1, 0),
        ([65, 1024], 1, 0),
        ([2, 40_000], 1, 0),
    ] {
        let softmax = move |x: &[Tensor]| x[0].softmax(axis);
        let input = [Input::uniform(shape, -4.0, 4.0)];
        // A relative error of x - top carries over to the exponential, here at most 8 + log(dim) ulp, and that of the sum.
        let case = Case::new(format!("softmax {shape:?} {axis}"), input.clone(), softmax).ulps(64.0, 0.0);
        cases.push(case.order(order));
        let log = move |x: &[Tensor]| x[0].log_softmax(axis);
        cases.push(Case::new(format!("log_softmax {shape:?} {axis}"), input, log).ulps(16.0, 4.0).order(order));
    }
    let large = [Input::apart([5, 8], 500.0, 1000.0)];
    cases.push(Case::new("log_softmax of large values", large, |x| x[0].log_softmax(1)).ulps(8.0, 1.0).order(0));
    // The differences of large values are exact; only they count.
    let close = [Input::uniform([5, 8], 4096.0, 4097.0)];
    cases.push(Case::new("log_softmax far from zero", close, |x| x[0].log_softmax(1)).ulps(8.0, 1.0).order(0));
    cases
}
