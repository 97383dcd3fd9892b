//! Samples and their latent vectors.

use super::vae::Vae;
use crate::energy::Energy;
use crate::tensor::{Key, Tensor};

/// What a model with latent vectors can do besides sampling. Samples `[N, sample...]` are in the units of the data set, latent
/// vectors are `[N, d]`, N(0, I) a priori.
pub trait Latents {
    /// d.
    fn dims(&self) -> usize;

    /// The sample that a latent vector stands for, g(z).
    fn decode(&self, z: &Tensor) -> Tensor;

    /// A latent vector of each sample, drawn from pi(z | x).
    fn encode(&self, x: &Tensor, key: &Key) -> Tensor;

    /// Samples, moved by the chains of the energy.
    fn refine(&self, x: &Tensor, key: &Key) -> Tensor;
}

/// The deviation of pixels that are known, in latent Langevin dynamics.
const KNOWN_DEVIATION: f64 = 0.3;

/// `E(z) = |z|^2 / 2 + |mask (x - g(z))|^2 / (2 0.3^2)`: the latent vectors of samples that are known where the mask is 1 (section 7).
pub(super) struct Posterior<'a> {
    pub vae: &'a Vae,
    pub x: &'a Tensor,
    pub mask: &'a Tensor,
}

impl Energy for Posterior<'_> {
    fn energy(&self, z: &Tensor) -> Tensor {
        let error = (self.mask * (self.x - self.vae.decode_graph(z, None))).square();
        let axes: Vec<i32> = (1..error.shape().rank() as i32).collect();
        let fit = error.sum_axes(&axes).mul_scalar(0.5 / (KNOWN_DEVIATION * KNOWN_DEVIATION));
        fit + z.square().sum_axes(&[1]).mul_scalar(0.5)
    }
}
