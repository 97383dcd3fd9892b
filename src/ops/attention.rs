//! Attention, composed of matrix products and softmax.

use super::{Case, Input};
use crate::tensor::Tensor;

impl Tensor {
    /// Scaled dot-product attention (Vaswani et al., 2017): `softmax(q k^T / sqrt(D)) v` with queries `self[.., T, D]`,
    /// keys `k[.., S, D]` and values `v[.., S, E]`; the result is `[.., T, E]`.
    ///
    /// Composed of public ops: the weights `[.., T, S]` exist in memory, four passes over them.
    #[track_caller]
    pub fn scaled_dot_product_attention(&self, k: &Tensor, v: &Tensor) -> Tensor {
        let rank = self.shape().rank();
        assert!(rank >= 2, "attention wants queries [.., T, D], not {}", self.shape());
        let scale = 1.0 / (self.dim(rank - 1) as f64).sqrt();
        // Scaling the queries is cheaper than scaling the weights.
        self.mul_scalar(scale).matmul_t(k).softmax(rank - 1).matmul(v)
    }
}

/// Cases: more keys than queries, several heads, a width of 1, a realistic size.
pub fn cases() -> Vec<Case> {
    let case = |heads: usize, [t, s, d, e]: [usize; 4]| {
        let inputs = [Input::unit([heads, t, d]), Input::unit([heads, s, d]), Input::unit([heads, s, e])];
        let run = |x: &[Tensor]| x[0].scaled_dot_product_attention(&x[1], &x[2]);
        // Weights below 1 that sum to 1, values below 1: the error is that of the scores, sqrt(d) terms each.
        Case::new(format!("{heads} {t} {s} {d} {e}"), inputs, run).ulps(16.0 + (d as f64).sqrt(), 1.0)
    };
    vec![
        case(1, [2, 3, 2, 2]),
        case(2, [2, 2, 1, 3]),
        case(1, [1, 1, 4, 1]),
        case(4, [64, 64, 32, 32]).order(0),
        case(3, [37, 101, 24, 20]).order(0),
    ]
}
