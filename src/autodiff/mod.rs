//! Derivatives of any order.

mod check;
mod grad;

pub use check::{check_grads, numeric_gradient_error};
pub use grad::{grad, grad_graph};
