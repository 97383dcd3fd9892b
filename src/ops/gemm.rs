//! The matrix product behind matmul and the three convolutions.
//!
//! Each is `C[z,m,n] = sum_k A[z,m,k] B[z,k,n]` for some view of its operands, so there is one kernel body a family
//! and one small loader an operation (`shaders/gemm/load_*.wgsl`), which says where the elements of A, B and C lie:
//!
//! | operation | m | n | k | A | B |
//! |---|---|---|---|---|---|
//! | matmul | row | column | inner | a or its transpose | b or its transpose |
//! | conv2d | output pixel | output channel | (r, s, c) | x, gathered | w |
//! | conv2d_input_grad | input pixel | input channel | (r, s, k) | dy, gathered | w |
//! | conv2d_weight_grad | output channel | (r, s, c) | output pixel | dy | x, gathered |
//!
//! What a loader must provide stands in `shaders/gemm/product.wgsl`. It hands out fragments of 4 x 4, so all transposes
//! cost the same number of vec4f loads.

use super::reduce;
use crate::gpu::{Gpu, Kernel, MatrixUnits, Profile, Slice, Source, Uniform, Work, Workgroups};
use crate::tensor::Tensor;
use crate::{shader, uniforms};
use std::fmt::{self, Display, Formatter};

/// An operand as a matrix of rows.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub slice: &'a Slice,
    pub rows: usize,
    pub row: usize,
}

impl<'a> Operand<'a> {
    /// The rows along the innermost dimension.
    pub fn of(x: &'a Tensor) -> Operand<'a> {
        let row = *x.shape().last().unwrap_or(&1);
        Operand { slice: x.slice(), rows: x.numel() / row.max(1), row }
    }
}

/// One product to run.
pub(super) struct Gemm<'a> {
    /// The loader's path below `shaders/`.
    pub loader: &'static str,
    /// Sets the loader's parameters, given the lengths of the rows of A and B as stored.
    pub specialise: &'a dyn Fn(Kernel, [usize; 2]) -> Kernel,
    /// The loader's uniforms, given the number of splits, the length of each, and the lengths of rows as above.
    pub uniforms: &'a dyn Fn(usize, usize, [usize; 2]) -> Vec<(&'static str, Uniform)>,
    /// Rows, columns and length of one product, and how many products there are.
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub products: usize,
    /// Whether the loader can cut k into splits; with a bias, which is added once, it never does.
    pub splits: bool,
    pub a: Operand<'a>,
    pub b: Operand<'a>,
    /// A number for every column.
    pub bias: Option<&'a Slice>,
    pub c: &'a Slice,
    /// The elements of C in one product, and the length of the rows they lie in.
    pub c_count: usize,
    pub c_row: usize,
    pub work: Work,
}

/// A kernel body with its tile.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Family {
    /// S, for software Vulkan: a tile of 4 ml x 32 nv in the registers of one subgroup of 8.
    Subgroup { ml: usize, nv: usize },
    /// R, where software Vulkan has no subgroups of 8: a tile of tm x tn of which each invocation has 1/32 in registers.
    Register { tm: usize, tn: usize },
    /// W, for GPUs: a tile of bm x bn in workgroup memory, rm x rn of it in the registers of one invocation.
    Tile { bm: usize, bn: usize, rm: usize, rn: usize },
    /// C, for GPUs that multiply whole matrices of f16: a square tile.
    Matrices { units: MatrixUnits, tile: usize },
}

/// A family, whether the rows of its tiles are the columns of C, and into how many splits k is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    family: Family,
    swap: bool,
    splits: usize,
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let (rows, columns) = self.family.tile();
        match self.family {
            Family::Subgroup { .. } => write!(f, "subgroup {rows} x {columns}")?,
            Family::Register { .. } => write!(f, "register {rows} x {columns}")?,
            Family::Tile { rm, rn, .. } => write!(f, "tile {rows} x {columns} by {rm} x {rn}")?,
            Family::Matrices { .. } => write!(f, "matrices {rows} x {columns}")?,
        }
        if self.swap {
            f.write_str(" swapped")?;
        }
        if self.splits > 1 { write!(f, " in {} splits", self.splits) } else { Ok(()) }
    }
}

/// A kernel body with its tile, and whether it is swapped.
type Body = (Family, bool);

/// The table: which body does products of m x n x k on a class of adapter. The best is the first, the others are worth a try.
fn bodies(profile: &Profile, units: Option<MatrixUnits>, [m, n, k]: [usize; 3], products: usize) -> Vec<Body> {
    // Large tiles as soon as they fill the GPU.
    let fills = m.div_ceil(128) * n.div_ceil(128) * products >= 128;
    let first = |best: usize, all: Vec<Family>| {
        let best = all[best];
        let others = all.into_iter().filter(|other| *other != best);
        std::iter::once(best).chain(others).map(|family| (family, false)).collect()
    };
    if let Some(units) = units.filter(|_| m.min(n).min(k) >= 32) {
        return first(usize::from(fills), [64, 128].map(|tile| Family::Matrices { units, tile }).to_vec());
    }
    if profile.software {
        return match profile.subgroup {
            Some(8) => subgroup_bodies([m, n, k], products),
            _ => vec![(Family::Register { tm: 64, tn: 32 }, false)],
        };
    }
    let tiles = [(32, 128, 4, 4), (128, 32, 4, 4), (128, 128, 8, 8), (64, 64, 8, 4)];
    let best = match () {
        _ if m <= 32 => 0,
        _ if n <= 32 => 1,
        _ if fills => 2,
        _ => 3,
    };
    first(best, tiles.map(|(bm, bn, rm, rn)| Family::Tile { bm, bn, rm, rn }).to_vec())
}

/// 32 x 64 is the fastest tile, unless another one leaves fewer rows and columns empty or keeps both cores busy.
fn subgroup_bodies([m, n, k]: [usize; 3], products: usize) -> Vec<Body> {
    let cost = |&(swap, ml, nv): &(bool, usize, usize)| {
        let (rows, columns) = if swap { (n, m) } else { (m, n) };
        let groups = rows.div_ceil(4 * ml) * columns.div_ceil(32 * nv) * products;
        // In units of one load of a vec4f (14 ns), measured: for every four k the loads, then rows * vec4f columns of
        // multiply-add; at the end the stores, four single ones where swapped.
        let (rows, columns) = (4.0 * ml as f64, nv as f64);
        let step = 4.0 * columns + (ml as f64 / 2.0).min(4.0) + 0.6 * rows * columns;
        let stores = rows * columns * if swap { 8.0 } else { 3.0 };
        let odd = if (swap, ml, nv) == (false, 8, 2) { 1.0 } else { 1.1 };
        odd * groups.next_multiple_of(2) as f64 * (k as f64 / 4.0 * step + stores)
    };
    let tiles = [(8, 2), (8, 1), (6, 2), (4, 2), (4, 1), (2, 2), (2, 1), (1, 2), (1, 1)];
    let mut all: Vec<_> = [false, true].into_iter().flat_map(|swap| tiles.map(|(ml, nv)| (swap, ml, nv))).collect();
    all.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    all.into_iter().map(|(swap, ml, nv)| (Family::Subgroup { ml, nv }, swap)).collect()
}

/// Bodies that are tried beside the best by the table.
const TRIED: usize = 3;

impl Gemm<'_> {
    fn bodies(&self, gpu: &Gpu) -> Vec<Body> {
        bodies(gpu.profile(), gpu.matrix_units(), [self.m, self.n, self.k], self.products)
    }

    /// The body with as many splits as keep every core of the device busy, where there may be any.
    fn plan(&self, profile: &Profile, (family, swap): Body) -> Plan {
        let groups = self.groups(family, swap);
        let splits = if self.may_split() { split(profile, groups, self.k) } else { 1 };
        Plan { family, swap, splits }
    }

    fn groups(&self, family: Family, swap: bool) -> usize {
        let (m, n) = if swap { (self.n, self.m) } else { (self.m, self.n) };
        let (tm, tn) = family.tile();
        m.div_ceil(tm) * n.div_ceil(tn) * self.products
    }

    fn may_split(&self) -> bool {
        self.splits && self.bias.is_none()
    }

    /// What `ebm tune` tries: the best body by the table with fewer and more splits, and other bodies.
    fn candidates(&self, gpu: &Gpu) -> Vec<Plan> {
        let mut plans: Vec<Plan> =
            self.bodies(gpu).into_iter().take(1 + TRIED).map(|body| self.plan(gpu.profile(), body)).collect();
        let least = self.k.div_ceil(MAX_SLICE).max(1);
        let most = if self.may_split() { (self.k / LEAST_SLICE).max(least) } else { 1 };
        let usual = plans[0];
        for splits in [1, usual.splits / 4, 4 * usual.splits].map(|splits| splits.clamp(least, most)) {
            let plan = Plan { splits, ..usual };
            if !plans.contains(&plan) {
                plans.push(plan);
            }
        }
        plans
    }

    /// What tells this product from others: the operation, its sizes, whether a bias is added.
    fn task(&self) -> String {
        let loader = (self.specialise)(Kernel::new(Source { path: self.loader, text: "" }), [self.a.row, self.b.row]);
        let (Gemm { m, n, k, products, .. }, bias) = (self, if self.bias.is_some() { " with bias" } else { "" });
        format!("{products} of {m} x {n} x {k}{bias} by {}", loader.name())
    }
}

impl Family {
    /// Rows and columns of the tile.
    fn tile(self) -> (usize, usize) {
        match self {
            Family::Subgroup { ml, nv } => (4 * ml, 32 * nv),
            Family::Register { tm, tn } => (tm, tn),
            Family::Tile { bm, bn, .. } => (bm, bn),
            Family::Matrices { tile, .. } => (tile, tile),
        }
    }

    fn kernel(self) -> Kernel {
        match self {
            Family::Subgroup { ml, nv } => Kernel::new(shader!("gemm/subgroup.wgsl")).with("ML", ml).with("NV", nv),
            Family::Register { tm, tn } => Kernel::new(shader!("gemm/register.wgsl")).with("TM", tm).with("TN", tn),
            Family::Tile { bm, bn, rm, rn } => {
                Kernel::new(shader!("gemm/tile.wgsl")).with("BM", bm).with("BN", bn).with("RM", rm).with("RN", rn)
            }
            Family::Matrices { units, tile } => units.product(tile),
        }
    }
}

/// Software Vulkan cuts loops at 65,535 iterations; a split has at most this many k, four or more an iteration.
const MAX_SLICE: usize = 1 << 17;
/// A split is at least this long, or adding the splits up costs more than they gain; and this long where that is measured.
const MIN_SLICE: usize = 512;
const LEAST_SLICE: usize = 64;
/// Elements loaded from which on padding rows to a multiple of four pays on software Vulkan, where it lets them be texels.
const PAD_FROM: usize = 1 << 18;

/// How many splits of k keep every core of the device busy.
fn split(profile: &Profile, groups: usize, k: usize) -> usize {
    let wanted = if profile.software { 4 } else { 256 };
    let useful = (wanted / groups.max(1)).min(k / MIN_SLICE);
    useful.max(k.div_ceil(MAX_SLICE)).max(1)
}

/// Records the dispatches that fill `g.c`, by the plan that is the fastest as far as is known.
pub(super) fn launch(gpu: &Gpu, g: &Gemm) {
    let usual = g.plan(gpu.profile(), g.bodies(gpu)[0]);
    let plan = gpu.choose((|| g.task(), g.work.flops), usual, || g.candidates(gpu), |plan| dispatch(gpu, g, plan));
    dispatch(gpu, g, plan);
}

fn dispatch(gpu: &Gpu, g: &Gemm, Plan { family, swap, splits }: Plan) {
    let (profile, groups) = (gpu.profile(), g.groups(family, swap));
    let (tm, tn) = family.tile();
    let slice = g.k.div_ceil(splits).next_multiple_of(4);

    let aligned = |o: &Operand| o.row.is_multiple_of(4);
    let loads = groups * (tm + tn) * g.k;
    let padded = profile.software && loads > PAD_FROM;
    let (a, b) = if padded { (pad(gpu, &g.a), pad(gpu, &g.b)) } else { (g.a.slice.clone(), g.b.slice.clone()) };
    let rows = [&g.a, &g.b].map(|o| if padded { o.row.next_multiple_of(4) } else { o.row });

    let mut kernel = family.kernel().with("LOADER", g.loader).with("SWAP", swap).with("BIAS", g.bias.is_some());
    if !(padded || aligned(&g.a) && aligned(&g.b)) {
        kernel = kernel.with("READ", "f32").with("READ_VEC4", false);
    }
    if swap || !g.c_row.is_multiple_of(4) {
        kernel = kernel.with("ELEMENT", "common/scalar.wgsl");
    }
    let kernel = (g.specialise)(kernel, rows);

    let partial = (splits > 1).then(|| gpu.alloc((g.products * splits * g.c_count) as u64 * 4));
    let out = partial.as_ref().unwrap_or(g.c);
    let zero = gpu.zero();
    let slices = [&a, &b, g.bias.unwrap_or(&zero), out];
    let uniforms = (g.uniforms)(splits, slice, rows);
    gpu.dispatch(&kernel, &uniforms, &slices, Workgroups::Count(groups * splits), g.work);
    if let Some(partial) = &partial {
        reduce::add_parts(gpu, partial, [g.products, splits, g.c_count], g.c);
    }
}

/// The operand with rows of a multiple of four elements: itself, or a copy with zeros behind each row. (Loaders bake the
/// lengths of rows, so this happens before the kernel is known; whether it then reads texels is the recorder's choice.)
fn pad(gpu: &Gpu, o: &Operand) -> Slice {
    let row = o.row.next_multiple_of(4);
    if row == o.row {
        return o.slice.clone();
    }
    let padded = gpu.alloc((o.rows * row) as u64 * 4);
    let work = Work::bytes(((o.row + row) * o.rows) as u64 * 4);
    let kernel = Kernel::new(shader!("movement/pad_rows.wgsl"));
    let quads = o.rows * row / 4;
    let uniforms = uniforms![quads, row_in: o.row, row_out: row];
    gpu.dispatch(&kernel, uniforms, &[o.slice, &padded], Workgroups::Elements(quads), work);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn software() -> Profile {
        Profile { software: true, subgroup: Some(8), ..Profile::default() }
    }

    #[test]
    fn tiles_follow_the_shape() {
        let body = |m, n, k| bodies(&software(), None, [m, n, k], 1)[0];
        let tile = |swap, ml, nv| (Family::Subgroup { ml, nv }, swap);
        assert_eq!(body(1024, 1024, 1024), tile(false, 8, 2));
        // 67 channels are three tiles of 24 rows rather than two of 64 columns.
        assert_eq!(body(64 * 31 * 33, 67, 576), tile(true, 6, 2));
        // One column: four rows, and enough workgroups for two cores.
        let (family, swap) = body(256, 1, 128);
        assert!(swap && family.tile().0 == 4, "{family:?}");
    }

    #[test]
    fn no_loop_reaches_the_limit_of_software_vulkan() {
        for k in [1usize, 511, 1 << 17, (1 << 17) + 1, 10_000_000] {
            for groups in [1, 3, 1000] {
                let slice = k.div_ceil(split(&software(), groups, k)).next_multiple_of(4);
                assert!(slice / 4 < 65_535, "k {k} in slices of {slice}");
            }
        }
    }
}
