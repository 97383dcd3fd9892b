//! Values.
pub mod key;
pub use key::Key;

#[derive(Clone, Debug)]
pub struct Tensor;
