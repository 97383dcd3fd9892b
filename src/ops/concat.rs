//! Arrays one after another along an axis, several small ones in a dispatch.

use super::axis_view::{SCALAR, VEC4};
use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Slice, Work, Workgroups};
use crate::tensor::{Array, Axis, Shape, Tensor, calling};
use crate::{shader, uniforms};

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
pub(crate) fn place(gpu: &Gpu, parts: &[Placed], outer: usize, total: usize, y: &Slice) {
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

/// Cases: more parts than a dispatch takes, one that is empty, fours, an odd length.
pub fn cases() -> Vec<Case> {
    let concat = |x: &[Tensor], axis: i32| Tensor::concat(&x.iter().collect::<Vec<_>>(), axis);
    vec![
        Case::new("six", [1, 2, 1, 3, 1, 4].map(|n| Input::unit([n, 4])), move |x| concat(x, 0)).exact(),
        Case::new("empty", [Input::unit([2, 3]), Input::unit([2, 1]), Input::unit([2, 0])], move |x| concat(x, 1))
            .exact(),
        Case::new("by fours", [Input::unit([2, 3, 4]), Input::unit([2, 3, 8])], move |x| concat(x, 2)).exact(),
        Case::new("rows", [Input::unit([33, 5]), Input::unit([67, 5])], move |x| concat(x, 0)).exact().order(0),
    ]
}
