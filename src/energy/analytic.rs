//! Energies in closed form, with known moments: samplers are measured on them.

use super::Energy;
use crate::tensor::Tensor;

/// `E(x) = |x|^2 / (2 variance)`: a centred isotropic normal law.
pub struct Quadratic {
    /// The variance per coordinate.
    pub variance: f64,
}

impl Energy for Quadratic {
    fn energy(&self, x: &Tensor) -> Tensor {
        x.square().reshape([x.dim(0), x.numel() / x.dim(0).max(1)]).sum_axes(&[1]).mul_scalar(0.5 / self.variance)
    }
}

/// `E(x) = -log sum_k exp(-|x - c_k|^2 / (2 std^2))`: an even mixture of isotropic normals, up to a constant.
pub struct GaussianMixture {
    /// The centres, `[K, D]`.
    pub centres: Tensor,
    /// The common standard deviation.
    pub std: f64,
}

impl Energy for GaussianMixture {
    fn energy(&self, x: &Tensor) -> Tensor {
        let (n, d) = (x.dim(0), x.dim(1));
        let difference = &x.reshape([n, 1, d]) - &self.centres;
        let exponents = difference.square().sum_axes(&[2]).mul_scalar(-0.5 / (self.std * self.std));
        -exponents.logsumexp(&[1])
    }
}
