//! Energy-based models on hand-written WGSL compute shaders.

pub mod error;
pub mod io;
pub mod plot;
pub mod tensor;

pub use error::{Error, Result};
