//! Matrix units (cooperative matrices, tensor cores): whether an adapter has those that `shaders/gemm/cooperative.wgsl` asks for, and
//! whether they compute right.

use super::device::Backend;
use super::{Gpu, Kernel, Work, Workgroups};
use crate::{shader, uniforms};

/// Units that multiply square matrices of f16 and add the products up in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixUnits {
    /// Rows and columns of a matrix: 8 or 16.
    pub side: u32,
    /// Whether ordinary instructions stand in for them: for tests.
    pub by_hand: bool,
}

/// Features of wgpu that the kernel needs.
pub(super) const FEATURES: wgpu::Features =
    wgpu::Features::SHADER_F16.union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

impl MatrixUnits {
    /// The largest that this adapter has, if its teams are subgroups of 32.
    pub(super) fn of(adapter: &wgpu::Adapter) -> Option<MatrixUnits> {
        let info = adapter.get_info();
        let teams = [info.subgroup_min_size, info.subgroup_max_size] == [32, 32];
        let fits = |p: &wgpu::CooperativeMatrixProperties| {
            let types = [p.ab_type, p.cr_type] == [wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32];
            types && !p.saturating_accumulation && p.n_size == p.m_size && p.k_size == p.m_size
        };
        let sides = adapter.cooperative_matrix_properties().into_iter().filter(fits).map(|p| p.m_size);
        let side = sides.filter(|side| [8, 16].contains(side)).max()?;
        (teams && adapter.features().contains(FEATURES)).then_some(MatrixUnits { side, by_hand: false })
    }

    /// The product's kernel with tiles of `side` x `side`, 64 or 128.
    pub(crate) fn product(self, tile: usize) -> Kernel {
        let kernel = Kernel::new(shader!("gemm/cooperative.wgsl")).with("BM", tile).with("BN", tile);
        let kernel = kernel.with("SIDE", self.side);
        match self {
            MatrixUnits { by_hand: true, .. } => kernel.with("UNITS", "gemm/units_by_hand.wgsl"),
            MatrixUnits { side: 8, .. } => [
                ("MatrixA", "coop_mat8x8<f16, A>"),
                ("MatrixB", "coop_mat8x8<f16, B>"),
                ("MatrixC", "coop_mat8x8<f32, C>"),
            ]
            .into_iter()
            .fold(kernel, |kernel, (name, matrix)| kernel.with(name, matrix)),
            _ => kernel,
        }
    }
}

/// Rows, columns and length of the product that is tried: more than a tile each way, with ragged edges.
const M: usize = 70;
const N: usize = 68;
const K: usize = 44;

impl Gpu {
    /// Whether a product of whole numbers, which f16 and f32 hold, comes out right with this kernel of gemm/load_matmul: drivers and
    /// compilers of matrix units are young.
    pub(super) async fn multiplies_right(&self, kernel: &Kernel) -> bool {
        let Some(Backend { device, .. }) = &self.0.backend else { return false };
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let a: Vec<f32> = (0..M * K).map(|i| (i * 7 % 17) as f32 - 8.0).collect();
        let b: Vec<f32> = (0..K * N).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
        let [x, y] = [&a, &b].map(|values| {
            let slice = self.alloc_for_upload(values.len() as u64 * 4);
            self.write(&slice, bytemuck::cast_slice(values));
            slice
        });
        let (z, zero) = (self.alloc(4 * (M * N) as u64), self.zero());
        let sizes = uniforms![m: M, n: N, k: K, products: 1u32, splits: 1u32, slice: K, a_row: K, b_row: N];
        let groups = Workgroups::Count(M.div_ceil(64) * N.div_ceil(64));
        self.dispatch(kernel, sizes, &[&x, &y, &zero, &z], groups, Work::default());
        let got = self.read(&z, M * N).await;
        let wanted = |i: usize| (0..K).map(|k| a[i / N * K + k] * b[k * N + i % N]).sum::<f32>();
        scope.pop().await.is_none() && got.is_ok_and(|got| (0..M * N).all(|i| got[i] == wanted(i)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Options;

    /// A kernel that reads A as its transpose is found out, and so is one that does not compile. Needs an adapter.
    #[test]
    fn wrong_products_are_found_out() {
        let Ok(gpu) = Gpu::open("auto", Options::default()) else {
            println!("skipped: wrong_products_are_found_out: no GPU");
            return;
        };
        for side in [8, 16] {
            let kernel = MatrixUnits { side, by_hand: true }.product(64);
            assert!(pollster::block_on(gpu.multiplies_right(&kernel)), "{side}");
            let wrong = kernel.with("TRANSPOSE_A", true);
            assert!(!pollster::block_on(gpu.multiplies_right(&wrong)), "{side}");
        }
        // This adapter has no such units, or it would not need them by hand here.
        gpu.check().unwrap();
    }
}
