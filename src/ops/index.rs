//! Choosing elements by index: gather, its adjoint scatter_add, overwriting rows, one-hot rows.
//!
//! Index tensors hold whole numbers. An index out of range panics on the oracle; on a GPU a read takes the nearest
//! valid element and a write is dropped.

use super::{Case, Input, Op, apply, elementwise_work, shape_of};
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Axis, Device, Shape, Tensor, Var, calling};
use crate::{shader, uniforms};

/// Which list of indices a row reads.
#[derive(Clone, Copy, PartialEq)]
enum Lists {
    /// One list for all: `index[n]`.
    Shared,
    /// One for every row of the last axis: `index[.., n]`.
    PerRow,
    /// As `PerRow`, and every list is a permutation of the row.
    Permutation,
}

impl Lists {
    /// Elements from one row's list to the next.
    fn stride(self, n: usize) -> usize {
        if self == Lists::Shared { 0 } else { n }
    }
}

fn index_at(index: &Array, at: usize, dim: usize) -> usize {
    let i = index[at];
    assert!(i.fract() == 0.0 && i >= 0.0 && i < dim as f64, "index {i} is outside 0..{dim}");
    i as usize
}

/// `f32` or `vec4f` elements: four neighbours travel together where the rows allow it.
fn packed(source: crate::gpu::Source, inner: usize) -> (Kernel, usize) {
    let kernel = Kernel::new(source);
    if inner.is_multiple_of(4) { (kernel.with("T", "vec4f"), 4) } else { (kernel, 1) }
}

/// y[o, k, i] = x[o, index[k], i]
#[derive(Clone, Copy)]
struct Gather {
    axis: usize,
    lists: Lists,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let mut shape = x[0].clone();
        let dim = &mut shape.0[self.axis];
        let n = *x[1].last().ok_or("the indices are a list, not a scalar")?;
        if *dim == 0 && n > 0 {
            return Err("nothing to choose from".into());
        }
        *dim = n;
        let fits = if self.lists == Lists::Shared { x[1].rank() == 1 } else { *x[1] == shape };
        if fits { Ok(shape) } else { Err("the indices have the wrong shape".into()) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let ([outer, dim, inner], n) = (x[0].shape.around(self.axis), y[self.axis]);
        let mut out = Vec::with_capacity(y.numel());
        for (o, k) in (0..outer).flat_map(|o| (0..n).map(move |k| (o, k))) {
            let from = (o * dim + index_at(&x[1], o * self.lists.stride(n) + k, dim)) * inner;
            out.extend_from_slice(&x[0][from..from + inner]);
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let ([_, dim, inner], n) = (x[0].shape().around(self.axis), y.dim(self.axis));
        let (kernel, width) = packed(shader!("movement/gather.wgsl"), inner);
        let count = y.numel() / width;
        let uniforms = uniforms![count, dim, n, inner: inner / width, list: self.lists.stride(n)];
        let work = Work::bytes((2 * y.numel() + x[1].numel()) as u64 * 4);
        let slices = [x[0].slice(), x[1].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), work);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let dx = match self.lists {
            Lists::Permutation => ct.reorder(&x[1].argsort()),
            lists => scatter_add(ct, &x[1], ScatterAdd { axis: self.axis, dim: x[0].dim(self.axis), lists }),
        };
        vec![Some(dx), None]
    }
}

/// y[o, r, i] = sum over k with index[k] = r of x[o, k, i]
#[derive(Clone, Copy)]
struct ScatterAdd {
    axis: usize,
    dim: usize,
    lists: Lists,
}

/// Indices that one invocation looks at, each in up to three turns of a loop: software Vulkan cuts loops at 65,535.
const MAX_INDICES: usize = 16_384;

/// Applies the op to parts of at most [`MAX_INDICES`] indices and adds the results.
#[track_caller]
fn scatter_add(x: &Tensor, index: &Tensor, op: ScatterAdd) -> Tensor {
    let n = x.shape()[op.axis];
    shape_of(&op, &[x, index]);
    if n <= MAX_INDICES {
        return apply(op, &[x, index]);
    }
    let part = |start: usize| {
        let len = MAX_INDICES.min(n - start);
        apply(op, &[&x.narrow(op.axis, start, len), &index.narrow(-1, start, len)])
    };
    let first = part(0);
    (MAX_INDICES..n).step_by(MAX_INDICES).map(part).fold(first, |sum, part| sum + part)
}

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let mut shape = x[0].clone();
        let n = &mut shape.0[self.axis];
        let fits = if self.lists == Lists::Shared { x[1].0 == [*n] } else { x[0] == x[1] };
        *n = self.dim;
        if fits { Ok(shape) } else { Err("the indices have the wrong shape".into()) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let [outer, n, inner] = x[0].shape.around(self.axis);
        let mut out = vec![0.0; y.numel()];
        for (o, k) in (0..outer).flat_map(|o| (0..n).map(move |k| (o, k))) {
            let to = (o * self.dim + index_at(&x[1], o * self.lists.stride(n) + k, self.dim)) * inner;
            (0..inner).for_each(|i| out[to + i] += x[0][(o * n + k) * inner + i]);
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let [_, n, inner] = x[0].shape().around(self.axis);
        let (kernel, width) = packed(shader!("movement/scatter_add.wgsl"), inner);
        let count = y.numel() / width;
        let uniforms = uniforms![count, dim: self.dim, n, inner: inner / width, list: self.lists.stride(n)];
        let slices = [x[0].slice(), x[1].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), elementwise_work(x, y, 0));
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Gather { axis: self.axis, lists: self.lists }, &[ct, &x[1]])), None]
    }
}

/// y = x, except y[index[k], ..] = rows[k, ..]
struct ScatterRows;

/// Writes `rows` over the rows `index` of `table`.
fn overwrite_rows(gpu: &Gpu, table: &Tensor, index: &Tensor, rows: &Tensor) {
    let [_, dim, inner] = table.shape().around(0);
    let (kernel, width) = packed(shader!("movement/scatter_rows.wgsl"), inner);
    let count = rows.numel() / width;
    let uniforms = uniforms![count, dim, inner: inner / width];
    let work = Work::bytes(2 * rows.numel() as u64 * 4);
    let slices = [rows.slice(), index.slice(), table.slice()];
    gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), work);
}

impl Op for ScatterRows {
    fn name(&self) -> &'static str {
        "scatter_rows"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let (table, index, rows) = (x[0], x[1], x[2]);
        let fits =
            table.rank() > 0 && index.rank() == 1 && rows.rank() > 0 && rows[0] == index[0] && rows[1..] == table[1..];
        if fits { Ok(table.clone()) } else { Err("wants a table [R, ..], indices [N] and rows [N, ..]".into()) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let [_, dim, inner] = x[0].shape.around(0);
        let mut out = x[0].to_vec();
        let mut written = vec![false; dim];
        for k in 0..x[1].len() {
            let to = index_at(&x[1], k, dim);
            assert!(!std::mem::replace(&mut written[to], true), "scatter_rows: index {to} occurs twice");
            out[to * inner..(to + 1) * inner].copy_from_slice(&x[2][k * inner..(k + 1) * inner]);
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        gpu.copy(x[0].slice(), y.slice(), 0, y.numel() as u64 * 4);
        overwrite_rows(gpu, y, &x[1], &x[2]);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let kept = || ct.scatter_rows(&x[1], &Tensor::zeros(ct.device(), x[2].shape()));
        vec![need[0].then(kept), None, need[2].then(|| ct.gather(0, &x[1]))]
    }
}

impl Tensor {
    /// The elements `index[N]` of an axis: `y[.., k, ..] = self[.., index[k], ..]`. Any index may occur any number of
    /// times.
    #[track_caller]
    pub fn gather(&self, axis: impl Axis, index: &Tensor) -> Tensor {
        let _op = calling("gather");
        apply(Gather { axis: self.shape().axis(axis), lists: Lists::Shared }, &[self, index])
    }

    /// Adds the elements of an axis up by index, the adjoint of [`Tensor::gather`]:
    /// `y[.., r, ..] = sum_{k: index[k] = r} self[.., k, ..]` for r < dim.
    ///
    /// Every result looks at all N indices, so the cost grows as N times dim.
    #[track_caller]
    pub fn scatter_add(&self, axis: impl Axis, index: &Tensor, dim: usize) -> Tensor {
        let _op = calling("scatter_add");
        scatter_add(self, index, ScatterAdd { axis: self.shape().axis(axis), dim, lists: Lists::Shared })
    }

    /// Elements of the last axis, chosen for every row by itself: `y[.., k] = self[.., index[.., k]]`.
    #[track_caller]
    pub fn take_along(&self, index: &Tensor) -> Tensor {
        let _op = calling("take_along");
        apply(Gather { axis: self.shape().axis(-1), lists: Lists::PerRow }, &[self, index])
    }

    /// The adjoint of [`Tensor::take_along`]: `y[.., r] = sum_{k: index[.., k] = r} self[.., k]` for r < dim.
    #[track_caller]
    pub fn put_along(&self, index: &Tensor, dim: usize) -> Tensor {
        let _op = calling("put_along");
        let axis = self.shape().axis(-1);
        scatter_add(self, index, ScatterAdd { axis, dim, lists: Lists::PerRow })
    }

    /// [`Tensor::take_along`] for lists that are permutations of the row: its gradient is the inverse order.
    #[track_caller]
    pub(super) fn reorder(&self, index: &Tensor) -> Tensor {
        apply(Gather { axis: self.shape().axis(-1), lists: Lists::Permutation }, &[self, index])
    }

    /// A copy of the table `self[R, ..]` in which `rows[N, ..]` replace the rows `index[N]`, which must all differ.
    #[track_caller]
    pub fn scatter_rows(&self, index: &Tensor, rows: &Tensor) -> Tensor {
        apply(ScatterRows, &[self, index, rows])
    }

    /// Rows of zeros with a one at the place that `self[..]` names: shape `[.., n]`. Not differentiable.
    ///
    /// A value outside 0..n gives a row of zeros.
    pub fn one_hot(&self, n: usize) -> Tensor {
        let column = self.detach().reshape([&self.shape()[..], &[1]].concat());
        column.equal(&Tensor::iota(self.device(), n))
    }
}

impl Var {
    /// Replaces the rows `index[N]`, which must all differ, by `rows[N, ..]`, in place: nothing else is read or written.
    ///
    /// Tensors made from the value before see the new rows where they are views of it.
    #[track_caller]
    pub fn write_rows(&self, index: &Tensor, rows: &Tensor) {
        let table = self.get();
        let shape = ScatterRows.shape(&[table.shape(), index.shape(), rows.shape()]);
        shape.unwrap_or_else(|rule| panic!("write_rows: {rule}"));
        match table.device() {
            Device::Gpu(gpu) => overwrite_rows(gpu, &table, index, rows),
            Device::Oracle => self.set(table.detach().scatter_rows(index, &rows.detach())),
        }
    }
}

/// Cases: every axis, rows of 1, 4 and a prime, empty lists, repeated indices, more indices than one loop may take.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, axis, n) in [
        ([3, 5, 2], 1, 4),
        ([3, 2, 4], 0, 5),
        ([2, 3, 1], 2, 7),
        ([2, 3, 4], 1, 0),
        ([1, 257, 64], 1, 129),
        ([31, 7, 13], 1, 11),
        ([5, 600, 4], 1, 70_000),
        ([1, 1, 4], 1, 40_000),
    ] {
        let small = n <= 7;
        let order = if small { 2 } else { 0 };
        let index = Input::below([n], shape[axis]);
        let gather = move |x: &[Tensor]| x[0].gather(axis, &x[1]);
        cases.push(Case::new(format!("gather {shape:?} {axis}"), [Input::unit(shape), index.clone()], gather).exact());
        let mut values = shape;
        values[axis] = n;
        let add = move |x: &[Tensor]| x[0].scatter_add(axis, &x[1], shape[axis]);
        let inputs = [Input::unit(values), index];
        cases.push(Case::new(format!("scatter_add {shape:?} {axis}"), inputs, add).sum(n.max(1)));
        cases.iter_mut().rev().take(2).for_each(|c| c.order = order);
    }
    for (rows, dim, n, order) in [(3, 5, 4, 2), (1, 1, 1, 2), (67, 127, 33, 0), (2, 9, 33_000, 0)] {
        let inputs = [Input::unit([rows, dim]), Input::below([rows, n], dim)];
        let take = |x: &[Tensor]| x[0].take_along(&x[1]);
        cases.push(Case::new(format!("take_along {rows} {dim} {n}"), inputs, take).exact().order(order));
        let inputs = [Input::unit([rows, n]), Input::below([rows, n], dim)];
        let put = move |x: &[Tensor]| x[0].put_along(&x[1], dim);
        cases.push(Case::new(format!("put_along {rows} {dim} {n}"), inputs, put).sum(n).order(order));
    }
    for (dim, inner, list, order) in [
        (5, 3, vec![4, 0], 2),
        (3, 4, vec![1], 2),
        (4, 2, vec![], 2),
        (601, 64, (0..300).map(|k| 600 - 2 * k).collect(), 0),
    ] {
        let inputs = [Input::unit([dim, inner]), Input::unit([list.len(), inner])];
        let run = move |x: &[Tensor]| {
            let index = Tensor::from_f64(x[0].device(), [list.len()], list.iter().map(|&i| i as f64).collect());
            x[0].scatter_rows(&index, &x[1])
        };
        cases.push(Case::new(format!("scatter_rows {dim} {inner}"), inputs, run).exact().order(order));
    }
    cases.push(Case::new("one_hot", [Input::below([3, 5], 8)], |x| x[0].one_hot(7)).exact().order(0));
    cases
}
