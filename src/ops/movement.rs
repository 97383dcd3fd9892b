//! Moving elements: reshape, permute, broadcast, slice, pad, flip. How a kernel reads them: `axis_view`.

use super::axis_view::{AxisView, read_launch, read_reference, read_shape};
use super::{Case, Input, Op, apply, shape_of, with_history};
use crate::gpu::Gpu;
use crate::tensor::{Array, Axis, Shape, Tensor, calling};

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
}

/// Cases of every movement, with dimensions 0, 1, primes, and more than 65,535 workgroups' worth of elements.
pub fn cases() -> Vec<Case> {
    let unit = |s: &[usize]| [Input::unit(s)];
    let case = |label: &str, s: &[usize], run: fn(&[Tensor]) -> Tensor| {
        let order = if s.iter().product::<usize>() <= 64 { 2 } else { 0 };
        Case::new(format!("{label} {s:?}"), unit(s), run).exact().order(order)
    };
    vec![
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
    ]
}
