//! How movements read: permute, broadcast, slice, flip and pad are one kernel, told for each dimension where it reads.
//!
//! A movement takes at most 6 dimensions, counted after neighbours that are read one after the other are merged.

use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor};
use crate::{shader, uniforms};

/// How one output dimension reads the input.
///
/// Coordinate `o` of the output reads `(start + step o) / gap` of the input, where that is a whole number in
/// `0..size`; elsewhere the result is the fill value. Permute, broadcast, slice, flip and pad are all of this kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisView {
    pub dim: usize,
    pub start: i64,
    pub step: i64,
    pub gap: usize,
    pub size: usize,
    pub stride: usize,
}

impl AxisView {
    /// Reads the whole input dimension in order.
    pub fn whole(size: usize, stride: usize) -> AxisView {
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
pub(super) fn read_reference(views: &[AxisView], x: &Array, y: &Shape, fill: f64) -> Vec<f64> {
    let element = |at: Vec<usize>| {
        let offset: Option<usize> = views.iter().zip(&at).map(|(r, &o)| r.offset(o)).sum();
        offset.map_or(fill, |o| x[o])
    };
    y.indices().map(element).collect()
}

/// Dimensions the kernel walks at most, after [`merge`].
const MAX_DIMS: usize = 6;

/// The shape that `views` give, if the kernel can walk it.
pub(super) fn read_shape(views: &[AxisView]) -> Result<Shape, String> {
    match merge(views).len() {
        0..=MAX_DIMS => Ok(Shape(views.iter().map(|v| v.dim).collect())),
        n => Err(format!("takes at most {MAX_DIMS} separate dimensions, not {n}")),
    }
}

/// Runs `views` on a GPU.
pub(super) fn read_launch(views: &[AxisView], gpu: &Gpu, x: &Tensor, y: &Tensor, fill: f64) {
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

pub(super) const VEC4: &str = "common/vec4.wgsl";
pub(super) const SCALAR: &str = "common/scalar.wgsl";

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
