//! Samplers: Markov chains whose stationary law is exp(-E(x) / T), or near it.

mod langevin;

pub use langevin::{Chain, Langevin, Mala};
