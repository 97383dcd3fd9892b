//! Energy-based models on hand-written WGSL compute shaders.

pub mod data;
pub mod error;
pub mod metrics;
pub mod tensor;

pub use error::{Error, Result};
