#![doc = include_str!("../README.md")]

pub mod autodiff;
pub mod bench;
pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod diffusion;
pub mod energy;
pub mod error;
pub mod gpu;
pub mod io;
pub mod kernels;
#[cfg(feature = "plots")]
pub mod lessons;
pub mod metrics;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod plot;
pub mod run;
pub mod sample;
pub mod tensor;
pub mod train;
#[cfg(all(feature = "web", target_arch = "wasm32"))]
pub mod web;

pub use error::{Error, Result};

/// What most programs need.
pub mod prelude {
    pub use crate::autodiff::{grad, grad_graph};
    pub use crate::energy::Energy;
    pub use crate::error::{Error, Result};
    pub use crate::ops::{attention::Attention, conv2d::Conv};
    pub use crate::sample::Langevin;
    pub use crate::tensor::{CapturedStep, Device, Key, Shape, Tensor, Var, no_grad};
}
