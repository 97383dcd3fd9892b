//! Samplers: Markov chains whose stationary law is exp(-E(x) / T), or near it, and the memory they restart from.

mod langevin;
mod replay;

pub use langevin::{Langevin, Mala};
pub use replay::{ReplayBuffer, ReplayConfig};
