//! Energy-based models on hand-written WGSL compute shaders.

pub mod error;
pub mod tensor;

pub use error::{Error, Result};
