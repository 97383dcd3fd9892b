//! Moving elements: reshape, permute, broadcast, slice, pad, flip, concat.
//!
//! A movement takes at most 6 dimensions, counted after neighbours that are read one after the other are merged.

use super::{Case, Input, Op, apply, shape_of, with_history};
use crate::gpu::{Gpu, Kernel, Slice as Memory, Work, Workgroups};
use crate::tensor::{Array, Axis, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// y has x's elements under another shape. No data moves.
struct Reshape(Shape);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let fits = x[0].numel() == self.0.numel();
        if fits { Ok(self.0.clone()) } else { Err(format!("{} has another number of elements", self.0)) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        x[0].to_vec()
    }

    fn launch(&self, _: &Gpu, _: &[Tensor], _: &Tensor) {
        unreachable!("reshape shares its input's storage")
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(ct.reshape(x[0].shape()))]
    }
}

/// How one output dimension reads the input.
///
/// Coordinate `o` of the output reads `(start + step o) / gap` of the input, where that is a whole number in
/// `0..size`; elsewhere the result is the fill value. Permute, broadcast, slice, flip and pad are all of this kind.
#[derive(Clone, Copy, Debug)]
struct AxisView {
    dim: usize,
    start: i64,
    step: i64,
    gap: usize,
    size: usize,
    stride: usize,
}

impl AxisView {
    /// Reads the whole input dimension in order.
    fn whole(size: usize, stride: usize) -> AxisView {
        AxisView { dim: size, start: 0, step: 1, gap: 1, size, stride }
    }

    /// The input offset that output coordinate `o` reads.
    fn offset(&self, o: usize) -> Option<usize> {
        let at = self.start + self.step * o as i64;
        let inside = at >= 0 && (at as usize).is_multiple_of(self.gap) && (at as usize / self.gap) < self.size;
        inside.then(|| at as usize / self.gap * self.stride)
    }
}

/// Runs `views` (one per output dimension) on the oracle.
fn read_reference(views: &[AxisView], x: &Array, y: &Shape, fill: f64) -> Vec<f64> {
    let element = |at: Vec<usize>| {
        let offset: Option<usize> = views.iter().zip(&at).map(|(r, &o)| r.offset(o)).sum();
        offset.map_or(fill, |o| x[o])
    };
    y.indices().map(element).collect()
}

/// Dimensions the kernel walks at most, after [`merge`].
const MAX_DIMS: usize = 6;

/// The shape that `views` give, if the kernel can walk it.
fn read_shape(views: &[AxisView]) -> Result<Shape, String> {
    match merge(views).len() {
        0..=MAX_DIMS => Ok(Shape(views.iter().map(|v| v.dim).collect())),
        n => Err(format!("takes at most {MAX_DIMS} separate dimensions, not {n}")),
    }
}

/// Runs `views` on a GPU.
fn read_launch(views: &[AxisView], gpu: &Gpu, x: &Tensor, y: &Tensor, fill: f64) {
    let views = merge(views);
    if let Some([batch, rows, columns]) = transposed(&views) {
        let (rows, columns) = (rows / 4, columns / 4);
        let tiles = batch * rows.div_ceil(8) * columns.div_ceil(8);
        let (kernel, work) = (Kernel::new(shader!("movement/transpose.wgsl")), Work::bytes(8 * y.numel() as u64));
        let slices = [x.slice(), y.slice()];
        return gpu.dispatch(&kernel, uniforms![batch, rows, columns], &slices, Workgroups::Count(tiles), work);
    }
    let (views, element, width) = match quads(&views) {
        Some(quads) => (quads, VEC4, 4),
        None => (views, SCALAR, 1),
    };
    let unsigned = |f: fn(&AxisView) -> usize| [0, 1, 2, 3, 4, 5, 6, 7].map(|d| views.get(d).map_or(0, f) as u32);
    let signed = |f: fn(&AxisView) -> i64| [0, 1, 2, 3, 4, 5, 6, 7].map(|d| views.get(d).map_or(0, f) as i32);
    let uniforms = uniforms![
        count: y.numel() / width,
        fill,
        dim: unsigned(|v| v.dim),
        start: signed(|v| v.start),
        step: signed(|v| v.step),
        gap: unsigned(|v| v.gap),
        size: unsigned(|v| v.size),
        stride: unsigned(|v| v.stride),
    ];
    let plain = views.iter().all(|r| r.gap == 1 && r.start == 0 && r.step == 1 && r.dim <= r.size);
    let kernel = Kernel::new(shader!("movement/read.wgsl"))
        .with("ELEMENT", element)
        .with("RANK", views.len())
        .with("MASKED", !plain)
        .with("GAPS", views.iter().any(|r| r.gap > 1));
    let work = Work::bytes((x.numel().min(y.numel()) + y.numel()) as u64 * 4);
    gpu.dispatch(&kernel, uniforms, &[x.slice(), y.slice()], Workgroups::Elements(y.numel() / width), work);
}

const VEC4: &str = "common/vec4.wgsl";
const SCALAR: &str = "common/scalar.wgsl";

/// The same views over `vec4f`, where four neighbours are always read together.
fn quads(views: &[AxisView]) -> Option<Vec<AxisView>> {
    let (inner, outer) = views.split_last()?;
    let together = inner.gap == 1 && inner.step == 1 && inner.stride == 1;
    let fours = inner.dim.is_multiple_of(4) && inner.start % 4 == 0 && inner.size.is_multiple_of(4);
    let apart = outer.iter().all(|v| v.stride.is_multiple_of(4));
    (together && fours && apart).then(|| {
        let inner = AxisView { dim: inner.dim / 4, start: inner.start / 4, size: inner.size / 4, ..*inner };
        outer.iter().map(|v| AxisView { stride: v.stride / 4, ..*v }).chain([inner]).collect()
    })
}

/// Matrices, their rows and columns, if `views` exchange these two and both come in fours.
fn transposed(views: &[AxisView]) -> Option<[usize; 3]> {
    let (outer, [column, row]) = views.split_last_chunk()?;
    let whole = views.iter().all(|v| (v.start, v.step, v.gap, v.dim) == (0, 1, 1, v.size));
    let exchanged = (column.stride, row.stride) == (1, column.dim);
    let fours = column.dim.is_multiple_of(4) && row.dim.is_multiple_of(4);
    let batch = match outer {
        [] => Some(1),
        [b] if b.stride == column.dim * row.dim => Some(b.dim),
        _ => None,
    };
    batch.filter(|_| whole && exchanged && fours).map(|batch| [batch, row.dim, column.dim])
}

/// Merges neighbouring dimensions that are read whole and contiguously.
fn merge(views: &[AxisView]) -> Vec<AxisView> {
    let mut merged: Vec<AxisView> = Vec::new();
    let plain = |r: &AxisView| r.start == 0 && r.step == 1 && r.gap == 1 && r.dim == r.size;
    for &r in views.iter().filter(|v| v.dim != 1 || v.start != 0) {
        match merged.last_mut() {
            Some(outer) if plain(outer) && plain(&r) && outer.stride == r.stride * r.dim => {
                *outer = AxisView::whole(outer.dim * r.dim, r.stride);
            }
            _ => merged.push(r),
        }
    }
    if merged.is_empty() {
        merged.push(AxisView::whole(1, 0));
    }
    merged
}

/// y[o] = x[o'] with o'_axes[d] = o_d
struct Permute(Vec<usize>);

impl Permute {
    fn views(&self, x: &Shape) -> Vec<AxisView> {
        let strides = x.strides();
        self.0.iter().map(|&axis| AxisView::whole(x[axis], strides[axis])).collect()
    }
}

impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let mut sorted = self.0.clone();
        sorted.sort();
        let complete = sorted.iter().copied().eq(0..x[0].rank());
        if complete { read_shape(&self.views(x[0])) } else { Err(format!("{:?} is no order of the axes", self.0)) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        read_reference(&self.views(&x[0].shape), &x[0], y, 0.0)
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        read_launch(&self.views(x[0].shape()), gpu, &x[0], y, 0.0);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        vec![Some(ct.permute(&inverse))]
    }
}

/// y[o] = x[o with stretched coordinates 0]
struct BroadcastTo(Shape);

impl BroadcastTo {
    fn views(&self, x: &Shape) -> Vec<AxisView> {
        let strides = x.broadcast_strides(&self.0);
        strides.iter().zip(self.0.iter()).map(|(&stride, &dim)| AxisView::whole(dim, stride)).collect()
    }
}

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let fits = x[0].broadcast(&self.0).as_ref() == Some(&self.0);
        if fits { read_shape(&self.views(x[0])) } else { Err(format!("does not stretch to {}", self.0)) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        read_reference(&self.views(&x[0].shape), &x[0], y, 0.0)
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        read_launch(&self.views(x[0].shape()), gpu, &x[0], y, 0.0);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(ct.sum_to(x[0].shape()))]
    }
}

/// Along one axis: y[o] = x[start + step o] for o < len; `step` may be negative.
#[derive(Clone, Copy)]
struct Slice {
    axis: usize,
    start: usize,
    step: i64,
    len: usize,
}

impl Slice {
    fn views(&self, x: &Shape) -> Vec<AxisView> {
        let strides = x.strides();
        let mut views: Vec<AxisView> = (0..x.rank()).map(|d| AxisView::whole(x[d], strides[d])).collect();
        let r = &mut views[self.axis];
        (r.dim, r.start, r.step) = (self.len, self.start as i64, self.step);
        views
    }

    /// Where the slice begins in x, if it is one run of x's memory on a GPU that can be bound as it is: then nothing is copied.
    fn lies_together(&self, x: &Tensor) -> Option<usize> {
        let [outer, dim, inner] = x.shape().around(self.axis);
        let inside = self.start <= dim && self.len <= dim - self.start;
        let one_run = outer == 1 && self.step == 1 && self.len > 0 && inner > 0 && inside;
        (one_run && x.device().gpu().is_some()).then(|| self.start * inner).filter(|first| first.is_multiple_of(64))
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let dim = x[0][self.axis];
        let last = self.start as i128 + self.step as i128 * (self.len as i128 - 1);
        if self.len > 0 && (self.start >= dim || last < 0 || last >= dim as i128) {
            return Err(format!("{}..={last} is outside axis {} of {dim}", self.start, self.axis));
        }
        read_shape(&self.views(x[0]))
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        read_reference(&self.views(&x[0].shape), &x[0], y, 0.0)
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        read_launch(&self.views(x[0].shape()), gpu, &x[0], y, 0.0);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let dim = x[0].dim(self.axis);
        // A backward step is a forward one over the flipped cotangent.
        let (ct, start) = match self.step < 0 {
            true => (ct.flip(self.axis), (self.start as i64 + self.step * (self.len as i64 - 1)) as usize),
            false => (ct.clone(), self.start),
        };
        if self.len == 0 {
            return vec![Some(Tensor::zeros(ct.device(), x[0].shape()))];
        }
        let gap = self.step.unsigned_abs() as usize;
        let high = dim - 1 - (start + gap * (self.len - 1));
        vec![Some(apply(Pad { axis: self.axis, low: start, high, gap, value: 0.0 }, &[&ct]))]
    }
}

/// Along one axis: x's elements `gap` apart, `low` fill values before and `high` after.
#[derive(Clone, Copy)]
struct Pad {
    axis: usize,
    low: usize,
    high: usize,
    gap: usize,
    value: f64,
}

impl Pad {
    fn views(&self, x: &Shape) -> Vec<AxisView> {
        let strides = x.strides();
        let mut views: Vec<AxisView> = (0..x.rank()).map(|d| AxisView::whole(x[d], strides[d])).collect();
        let r = &mut views[self.axis];
        (r.dim, r.start, r.gap) = (self.padded(x[self.axis]), -(self.low as i64), self.gap);
        views
    }

    fn padded(&self, dim: usize) -> usize {
        self.low + self.high + if dim == 0 { 0 } else { (dim - 1) * self.gap + 1 }
    }
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        read_shape(&self.views(x[0]))
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        read_reference(&self.views(&x[0].shape), &x[0], y, self.value)
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        read_launch(&self.views(x[0].shape()), gpu, &x[0], y, self.value);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        let len = x[0].dim(self.axis);
        vec![Some(apply(Slice { axis: self.axis, start: self.low, step: self.gap as i64, len }, &[ct]))]
    }
}

/// Along one axis: the inputs one after another.
struct Concat(usize);

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let mut shape = x[0].clone();
        shape.0[self.0] = x.iter().map(|s| s.get(self.0).copied().unwrap_or(0)).sum();
        let agrees = |s: &&Shape| s.rank() == shape.rank() && (0..s.rank()).all(|d| d == self.0 || s[d] == shape[d]);
        if x.iter().all(agrees) { Ok(shape) } else { Err(format!("shapes differ off axis {}", self.0)) }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let [outer, _, inner] = y.around(self.0);
        let mut out = Vec::with_capacity(y.numel());
        for o in 0..outer {
            for part in x {
                let run = part.shape[self.0] * inner;
                out.extend_from_slice(&part[o * run..(o + 1) * run]);
            }
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let [outer, total, inner] = y.shape().around(self.0);
        let mut start = 0;
        let part = |part: &Tensor| {
            let run = part.dim(self.0) * inner;
            let placed = Placed { part: part.clone(), run, start };
            start += run;
            placed
        };
        let parts: Vec<Placed> = x.iter().map(part).collect();
        place(gpu, &parts, outer, total * inner, y.slice());
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let mut start = 0;
        let part = |(part, &need): (&Tensor, &bool)| {
            let len = part.dim(self.0);
            let grad = need.then(|| ct.narrow(self.0, start, len));
            start += len;
            grad
        };
        x.iter().zip(need).map(part).collect()
    }
}

impl Tensor {
    /// The same elements, row-major, under another shape. Nothing is copied.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        let _op = calling("reshape");
        let op = Reshape(shape.into());
        op.0.numel(); // a number that wraps is refused here, at the caller's line
        let shape = shape_of(&op, &[self]);
        let view = Tensor::from_storage(self.device(), shape, self.storage().clone(), None);
        with_history(view, op, vec![self.clone()])
    }

    /// Without an axis, whose dimension must be 1.
    #[track_caller]
    pub fn squeeze(&self, axis: impl Axis) -> Tensor {
        let _op = calling("squeeze");
        let axis = self.shape().axis(axis);
        assert!(self.shape()[axis] == 1, "squeeze: axis {axis} of shape {} is not 1", self.shape());
        let mut shape = self.shape().clone();
        shape.0.remove(axis);
        self.reshape(shape)
    }

    /// With one more axis, of dimension 1, which is axis `axis` of the result.
    #[track_caller]
    pub fn unsqueeze(&self, axis: impl Axis) -> Tensor {
        let _op = calling("unsqueeze");
        let rank = self.shape().rank();
        let Some(axis) = axis.of(rank + 1) else {
            panic!("unsqueeze: shape {} with one more axis has no axis {axis}", self.shape())
        };
        let mut shape = self.shape().clone();
        shape.0.insert(axis, 1);
        self.reshape(shape)
    }

    /// The axes in another order: dimension `d` of the result is dimension `axes[d]` of `self`.
    #[track_caller]
    pub fn permute(&self, axes: &[impl Axis]) -> Tensor {
        let _op = calling("permute");
        apply(Permute(self.shape().axes(axes)), &[self])
    }

    /// The last two axes exchanged.
    #[track_caller]
    pub fn transpose(&self) -> Tensor {
        let rank = self.shape().rank();
        assert!(rank >= 2, "transpose: shape {} has less than two axes", self.shape());
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(rank - 1, rank - 2);
        self.permute(&axes)
    }

    /// Stretches dimensions of 1 (and missing ones in front) to `shape`.
    #[track_caller]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Tensor {
        let shape = shape.into();
        if *self.shape() == shape { self.clone() } else { apply(BroadcastTo(shape), &[self]) }
    }

    /// Elements `start..start + len` along an axis.
    #[track_caller]
    pub fn narrow(&self, axis: impl Axis, start: usize, len: usize) -> Tensor {
        let _op = calling("narrow");
        self.slice_step(axis, start, 1, len)
    }

    /// Elements `start, start + step, ...` (`len` of them) along an axis; `step` may be negative.
    #[track_caller]
    pub fn slice_step(&self, axis: impl Axis, start: usize, step: i64, len: usize) -> Tensor {
        let _op = calling("slice_step");
        assert!(step != 0, "slice_step: a step of 0");
        let op = Slice { axis: self.shape().axis(axis), start, step, len };
        match op.lies_together(self) {
            Some(first) => {
                let shape = shape_of(&op, &[self]);
                with_history(self.view(first, shape), op, vec![self.clone()])
            }
            None => apply(op, &[self]),
        }
    }

    /// An axis in reverse order.
    #[track_caller]
    pub fn flip(&self, axis: impl Axis) -> Tensor {
        let _op = calling("flip");
        let axis = self.shape().axis(axis);
        let len = self.shape()[axis];
        if len == 0 { self.clone() } else { self.slice_step(axis, len - 1, -1, len) }
    }

    /// `low` and `high` copies of `value` before and after the elements of an axis.
    #[track_caller]
    pub fn pad(&self, axis: impl Axis, low: usize, high: usize, value: f64) -> Tensor {
        let _op = calling("pad");
        apply(Pad { axis: self.shape().axis(axis), low, high, gap: 1, value }, &[self])
    }

    /// `low` and `high` elements before and after those of an axis, mirrored at the first and the last one, which are
    /// not repeated: `c b | a b c | b a`. Both are smaller than the axis.
    #[track_caller]
    pub fn pad_reflect(&self, axis: impl Axis, low: usize, high: usize) -> Tensor {
        let _op = calling("pad_reflect");
        let axis = self.shape().axis(axis);
        let n = self.shape()[axis];
        assert!(low.max(high) < n.max(1), "pad_reflect: {low} and {high} elements around {n}; at most one less");
        if n == 0 {
            return self.clone();
        }
        let before = self.narrow(axis, 1, low).flip(axis);
        let after = self.narrow(axis, n - 1 - high, high).flip(axis);
        Tensor::concat(&[&before, self, &after], axis)
    }

    /// `low` copies of the first element before those of an axis and `high` copies of the last one after them.
    #[track_caller]
    pub fn pad_edge(&self, axis: impl Axis, low: usize, high: usize) -> Tensor {
        let _op = calling("pad_edge");
        let axis = self.shape().axis(axis);
        let n = self.shape()[axis];
        assert!(n > 0 || low + high == 0, "pad_edge: axis {axis} of shape {} has no edge", self.shape());
        if n == 0 {
            return self.clone();
        }
        let copies = |at: usize, count: usize| {
            let mut shape = self.shape().clone();
            shape.0[axis] = count;
            self.narrow(axis, at, 1).broadcast_to(shape)
        };
        Tensor::concat(&[&copies(0, low), self, &copies(n - 1, high)], axis)
    }

    /// Tensors one after another along an axis.
    #[track_caller]
    pub fn concat(parts: &[&Tensor], axis: impl Axis) -> Tensor {
        let _op = calling("concat");
        let Some(first) = parts.first() else { panic!("concat: no tensors") };
        apply(Concat(first.shape().axis(axis)), parts)
    }
}

/// Rows of `run` elements that go to element `start` of longer rows.
pub(crate) struct Placed {
    pub part: Tensor,
    pub run: usize,
    pub start: usize,
}

/// Parts of more elements have a dispatch of their own, smaller ones share one.
pub(crate) const SMALL: usize = 1 << 16;

/// Writes `outer` rows of each part to its place in the rows of `total` elements of `y`.
pub(crate) fn place(gpu: &Gpu, parts: &[Placed], outer: usize, total: usize, y: &Memory) {
    let fours = total.is_multiple_of(4) && parts.iter().all(|p| p.run.is_multiple_of(4) && p.start.is_multiple_of(4));
    let (element, width) = if fours { (VEC4, 4) } else { (SCALAR, 1) };
    let kernel = Kernel::new(shader!("movement/place.wgsl")).with("ELEMENT", element);
    let full: Vec<&Placed> = parts.iter().filter(|p| p.part.numel() > 0).collect();
    let (small, large): (Vec<&Placed>, Vec<&Placed>) = full.into_iter().partition(|p| p.part.numel() <= SMALL);
    for some in small.chunks(4).chain(large.chunks(1)) {
        let at = |i: usize| some[i.min(some.len() - 1)];
        let mut across = 0;
        let ends = std::array::from_fn::<u32, 4, _>(|i| {
            across += if i < some.len() { some[i].run / width } else { 0 };
            across as u32
        });
        let starts = std::array::from_fn::<u32, 4, _>(|i| (at(i).start / width) as u32);
        let count = outer * across;
        let uniforms = uniforms![count, total: total / width, ends, starts];
        let [x_0, x_1, x_2, x_3] = std::array::from_fn(|i| at(i).part.slice());
        let work = Work { bytes: (8 * width * count) as u64, flops: 0 };
        gpu.dispatch(&kernel, uniforms, &[x_0, x_1, x_2, x_3, y], Workgroups::Elements(count), work);
    }
}

/// Cases of every movement, with dimensions 0, 1, primes, and more than 65,535 workgroups' worth of elements.
pub fn cases() -> Vec<Case> {
    let unit = |s: &[usize]| [Input::unit(s)];
    let case = |label: &str, s: &[usize], run: fn(&[Tensor]) -> Tensor| {
        let order = if s.iter().product::<usize>() <= 64 { 2 } else { 0 };
        Case::new(format!("{label} {s:?}"), unit(s), run).exact().order(order)
    };
    let mut cases = vec![
        case("reshape", &[2, 3], |x| x[0].reshape([3, 2])),
        case("permute 20 1", &[2, 3, 4], |x| x[0].permute(&[2, 0, 1])),
        case("permute 20 1", &[17, 0, 5], |x| x[0].permute(&[2, 0, 1])),
        case("permute 0213", &[3, 17, 5, 31], |x| x[0].permute(&[0, 2, 1, 3])),
        case("transpose", &[127, 129], |x| x[0].transpose()),
        case("transpose by fours", &[4, 8], |x| x[0].transpose()),
        case("transpose by fours", &[3, 76, 36], |x| x[0].transpose()),
        case("broadcast", &[3, 1], |x| x[0].broadcast_to([2, 3, 4])),
        case("broadcast", &[1], |x| x[0].broadcast_to([65_536 * 3])),
        case("slice", &[5, 4], |x| x[0].narrow(0, 1, 3)),
        case("slice that is a view", &[192], |x| x[0].narrow(0, 64, 64)),
        case("slice that is a view", &[3, 1, 64], |x| x[0].narrow(0, 1, 2)),
        case("slice nothing", &[5, 4], |x| x[0].narrow(1, 2, 0)),
        case("slice step", &[2, 7, 3], |x| x[0].slice_step(1, 1, 2, 3)),
        case("slice back", &[2, 7], |x| x[0].slice_step(1, 6, -3, 3)),
        case("flip", &[3, 5], |x| x[0].flip(1)),
        case("pad", &[3, 2], |x| x[0].pad(0, 1, 2, 0.5)),
        case("pad", &[61, 1, 7], |x| x[0].pad(-1, 0, 1, 0.0)),
        case("narrow by fours", &[3, 2, 8], |x| x[0].narrow(2, 4, 4)),
        case("narrow by fours", &[31, 17, 192], |x| x[0].narrow(-1, 64, 64)),
        case("pad by fours", &[3, 4], |x| x[0].pad(1, 4, 8, 0.5)),
        case("pad rows of fours", &[3, 2, 4], |x| x[0].pad(1, 1, 0, -1.0)),
        case("flip rows of fours", &[5, 2, 4], |x| x[0].slice_step(0, 4, -2, 3)),
        case("permute rows of fours", &[3, 5, 2, 8], |x| x[0].permute(&[2, 0, 1, 3])),
        case("broadcast rows of fours", &[3, 1, 4], |x| x[0].broadcast_to([2, 3, 5, 4])),
        case("pad_reflect", &[2, 4], |x| x[0].pad_reflect(1, 3, 1)),
        case("pad_reflect", &[1, 0], |x| x[0].pad_reflect(1, 0, 0)),
        case("pad_edge", &[3, 2], |x| x[0].pad_edge(0, 2, 1)),
        case("unsqueeze", &[3, 2], |x| x[0].unsqueeze(-1)),
        case("squeeze", &[3, 1, 2], |x| x[0].squeeze(-2)),
        Case::new("concat of six", [1, 2, 1, 3, 1, 4].map(|n| Input::unit([n, 4])), |x| {
            Tensor::concat(&x.iter().collect::<Vec<_>>(), 0)
        })
        .exact(),
        Case::new("concat", [Input::unit([2, 3]), Input::unit([2, 1]), Input::unit([2, 0])], |x| {
            Tensor::concat(&[&x[0], &x[1], &x[2]], 1)
        })
        .exact(),
    ];
    cases.push(
        Case::new("concat by fours", [Input::unit([2, 3, 4]), Input::unit([2, 3, 8])], |x| {
            Tensor::concat(&[&x[0], &x[1]], 2)
        })
        .exact(),
    );
    cases.push(
        Case::new("concat 0", [Input::unit([33, 5]), Input::unit([67, 5])], |x| Tensor::concat(&[&x[0], &x[1]], 0))
            .exact()
            .order(0),
    );
    cases
}
