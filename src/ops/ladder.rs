//! The ladder of matrix products in `shaders/matmul`, from the definition to registers shared by a subgroup: four kernels to
//! read one after the other and to time with `ebm bench --ladder`. [`Tensor::matmul`] runs the kernels of `shaders/gemm`.

use super::matmul::Matmul;
use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Profile, Work, Workgroups};
use crate::tensor::{Array, Device, Shape, Tensor};
use crate::{shader, uniforms};

/// One kernel of the ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rung {
    /// One invocation for one result.
    Naive,
    /// Tiles in workgroup memory.
    Tile,
    /// A small tile in the registers of each invocation.
    Register,
    /// Rows shared through the registers of a subgroup.
    Subgroup,
}

impl Rung {
    /// From the lowest to the highest.
    pub const ALL: [Rung; 4] = [Rung::Naive, Rung::Tile, Rung::Register, Rung::Subgroup];

    /// The name of its shader.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Naive => "v1_naive",
            Rung::Tile => "v2_tile",
            Rung::Register => "v3_register",
            Rung::Subgroup => "v4_subgroup",
        }
    }

    /// Whether an adapter like this can run it: the last one wants subgroups of 8 to 32.
    pub fn runs_on(self, profile: &Profile) -> bool {
        self != Rung::Subgroup || matches!(profile.subgroup, Some(8..=32))
    }

    /// `a b` by this kernel: `[M, K] x [K, N] -> [M, N]`, K below 65,535.
    ///
    /// # Panics
    /// When the shapes do not fit, or the device cannot run it.
    #[track_caller]
    pub fn matmul(self, a: &Tensor, b: &Tensor) -> Tensor {
        apply(Ladder(self), &[a, b])
    }
}

/// c[m,n] = sum_k a[m,k] b[k,n] by one rung
struct Ladder(Rung);

/// The op it is an instance of.
const MATMUL: Matmul = Matmul { transpose_a: false, transpose_b: false };

/// Software Vulkan cuts loops at 65,535 iterations.
const MAX_K: usize = 65_535;

impl Op for Ladder {
    fn name(&self) -> &'static str {
        "matmul_ladder"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        if x[0].rank() != 2 || x[0][1] >= MAX_K {
            return Err(format!("wants matrices, and an inner dimension below {MAX_K}"));
        }
        MATMUL.shape(x)
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        MATMUL.reference(x, y)
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let (m, n, k) = (y.dim(0), y.dim(1), x[0].dim(1));
        let work = Work { bytes: 4 * (m * k + k * n + m * n) as u64, flops: 2 * (m * n * k) as u64 };
        let (tile, side, group) = (16, 4, 16);
        let (kernel, [tile_m, tile_n]) = match self.0 {
            Rung::Naive => return MATMUL.launch_naive(gpu, x, y),
            Rung::Tile => (Kernel::new(shader!("matmul/v2_tile.wgsl")).with("TILE", tile), [tile; 2]),
            Rung::Register => {
                let kernel = Kernel::new(shader!("matmul/v3_register.wgsl"));
                (kernel.with("SIDE", side).with("GROUP", group), [side * group; 2])
            }
            Rung::Subgroup => {
                assert!(self.0.runs_on(gpu.profile()), "{} wants subgroups of 8 to 32", self.0.name());
                let lanes = gpu.profile().subgroup.unwrap_or_default() as usize;
                (Kernel::new(shader!("matmul/v4_subgroup.wgsl")).with("LANES", lanes), [lanes, 4 * lanes])
            }
        };
        let tiles = Workgroups::Count(m.div_ceil(tile_m) * n.div_ceil(tile_n));
        gpu.dispatch(&kernel, uniforms![m, n, k], &[x[0].slice(), x[1].slice(), y.slice()], tiles, work);
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        MATMUL.vjp(x, y, ct, need)
    }
}

/// Cases: every rung at tile size, one off, primes, a single element. Where a rung cannot run, the one below it does.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for rung in Rung::ALL {
        for (m, k, n) in
            [(1, 1, 1), (2, 3, 4), (16, 16, 16), (17, 15, 33), (64, 32, 64), (65, 67, 127), (0, 3, 2), (3, 0, 2)]
        {
            let run = move |x: &[Tensor]| {
                let runs = match x[0].device() {
                    Device::Gpu(gpu) => rung.runs_on(gpu.profile()),
                    Device::Oracle => true,
                };
                if runs { rung } else { Rung::Register }.matmul(&x[0], &x[1])
            };
            let order = if (1..=60).contains(&(m * n * k)) { 2 } else { 0 };
            let case =
                Case::new(format!("{} {m}x{k}x{n}", rung.name()), [Input::unit([m, k]), Input::unit([k, n])], run);
            cases.push(case.sum(k.max(1)).order(order));
        }
    }
    cases
}
