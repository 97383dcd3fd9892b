//! Energy-based models on hand-written WGSL compute shaders.

pub mod autodiff;
pub mod data;
pub mod diffusion;
pub mod error;
pub mod gpu;
pub mod io;
pub mod metrics;
pub mod ops;
pub mod plot;
pub mod tensor;

pub use error::{Error, Result};

/// What most programs need.
pub mod prelude {
    pub use crate::autodiff::{grad, grad_graph};
    pub use crate::error::{Error, Result};
    pub use crate::tensor::{Device, Feed, Key, Shape, Step, Tensor, Var, no_grad};
}
