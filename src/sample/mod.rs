//! Samplers: Markov chains whose stationary law is exp(-E(x) / T), or near it.

mod config;
mod gaussian_chain;
mod hmc;
mod langevin;

pub use config::{SamplerConfig, SamplerKind};
pub use gaussian_chain::{GaussianChain, RollOut, Transitions};
pub use hmc::{Hmc, Mala};
pub use langevin::{Chain, Langevin};

use crate::energy::Energy;
use crate::tensor::{Key, Tensor};

/// A number of moves of chains on an energy: Langevin, Metropolis-adjusted Langevin, Hamiltonian.
pub trait Sampler {
    /// Where the chains `x_0 [N, ...]` are after the moves. Everything random follows from `key`.
    fn advance(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Moved;
}

/// Chains that have moved.
pub struct Moved {
    /// Where they are, `[N, ...]`, a constant.
    pub x: Tensor,
    /// Each chain's fraction of accepted moves, `[N]`; nothing for a sampler that accepts all.
    pub accepted: Option<Tensor>,
}
