//! Sorting along the last axis: a bitonic network over (key, index) pairs, any length by padding to a power of two.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// y[.., k] = the index of the k-th smallest element of x[.., :]
struct Argsort;

/// Pairs that one workgroup sorts in its own memory (8 KiB).
const BLOCK: usize = 1024;

impl Op for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[0].rank() == 0 { Err("a scalar has no axis to sort along".into()) } else { Ok(x[0].clone()) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let dim = y[y.rank() - 1].max(1);
        let order = |row: &[f64]| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            let nan_last = |v: f64| (v.is_nan(), if v.is_nan() { 0.0 } else { v });
            order.sort_by(|&i, &j| nan_last(row[i]).partial_cmp(&nan_last(row[j])).expect("no NaN is left"));
            order.into_iter().map(|i| i as f64).collect::<Vec<_>>()
        };
        x[0].chunks(dim).flat_map(order).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let dim = y.dim(y.shape().rank() - 1);
        let (rows, padded) = (y.numel() / dim, dim.next_power_of_two().max(2));
        let total = rows * padded;
        let pairs = gpu.alloc(total as u64 * 8);
        let work = Work::bytes((y.numel() * 4 + total * 8) as u64);
        let load = Kernel::new(shader!("sort/load.wgsl"));
        let uniforms = uniforms![count: total, dim, padded];
        gpu.dispatch(&load, uniforms, &[x[0].slice(), &pairs], Workgroups::Elements(total), work);

        let block = padded.min(BLOCK);
        let width = if gpu.profile().software { 8 } else { 256 };
        let once = Work::bytes(total as u64 * 16);
        let sort_blocks = |first_stage: usize, last_stage: usize| {
            let kernel = Kernel::new(shader!("sort/block.wgsl")).with("BLOCK", block);
            let uniforms = uniforms![blocks: total / block, padded, first_stage, last_stage];
            let kernel = kernel.with("WIDTH", (block / 2).min(width));
            gpu.dispatch(&kernel, uniforms, &[&pairs], Workgroups::Count(total / block), once);
        };
        let exchange = |stage: usize, gap: usize| {
            let kernel = Kernel::new(shader!("sort/exchange.wgsl"));
            let uniforms = uniforms![count: total / 2, padded, stage, gap];
            gpu.dispatch(&kernel, uniforms, &[&pairs], Workgroups::Elements(total / 2), once);
        };
        sort_blocks(2, block);
        let mut stage = 2 * block;
        while stage <= padded {
            let mut gap = stage / 2;
            while gap >= block {
                exchange(stage, gap);
                gap /= 2;
            }
            sort_blocks(stage, stage);
            stage *= 2;
        }

        let kernel = Kernel::new(shader!("sort/indices.wgsl"));
        let uniforms = uniforms![count: y.numel(), dim, padded];
        gpu.dispatch(&kernel, uniforms, &[&pairs, y.slice()], Workgroups::Elements(y.numel()), work);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, _: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![None]
    }
}

impl Tensor {
    /// The order that sorts the last axis: ascending, equal elements as they come, NaN last. Not differentiable.
    #[track_caller]
    pub fn argsort(&self) -> Tensor {
        apply(Argsort, &[&self.detach()])
    }

    /// The last axis in ascending order, NaN last. Gradients go back to where the elements came from.
    #[track_caller]
    pub fn sort(&self) -> Tensor {
        let _op = calling("sort");
        self.reorder(&self.argsort())
    }
}

/// Cases: lengths around powers of two and the block, several blocks, ties, an axis of 0 and 1.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, order) in [
        ([3, 5], 2),
        ([2, 8], 2),
        ([4, 1], 2),
        ([0, 3], 0),
        ([3, 0], 0),
        ([7, 127], 0),
        ([3, 1024], 0),
        ([2, 1025], 0),
        ([2, 5000], 0),
        ([66_000, 3], 0),
    ] {
        let sort = |x: &[Tensor]| x[0].sort();
        cases.push(Case::new(format!("sort {shape:?}"), [Input::distinct(shape)], sort).exact().order(order));
    }
    for shape in [[3, 64], [2, 3001]] {
        let argsort = |x: &[Tensor]| x[0].argsort();
        cases.push(
            Case::new(format!("argsort with ties {shape:?}"), [Input::below(shape, 5)], argsort).exact().order(0),
        );
    }
    let special = |x: &[Tensor]| {
        let v = [f32::NAN, 1.0, f32::INFINITY, -0.0, 0.0, -1.0, f32::NEG_INFINITY, 0.0, -0.0];
        Tensor::new(x[0].device(), [v.len()], &v).argsort()
    };
    cases.push(Case::new("argsort of NaN, infinities and zeros", [Input::unit([1])], special).exact().order(0));
    cases
}
