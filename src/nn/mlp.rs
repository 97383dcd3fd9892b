//! Fully connected layers in a row.

use super::{Activation, Linear, Scope};
use crate::tensor::Tensor;

/// `y = W_L a(W_{L-1} ... a(W_1 x + b_1) ...) + b_L`, `x [N, I] -> y [N, O]`.
pub struct Mlp {
    /// `layer0`, `layer1`, ...
    pub layers: Vec<Linear>,
    /// a, between them.
    pub activation: Activation,
}

impl Mlp {
    /// Declares a layer between each two neighbours of `widths` in `scope`.
    pub fn new(scope: &Scope, widths: &[usize], activation: Activation) -> Mlp {
        let layer = |(i, w): (usize, &[usize])| Linear::new(&scope.scope(format!("layer{i}")), w[0], w[1]);
        Mlp { layers: widths.windows(2).enumerate().map(layer).collect(), activation }
    }

    /// Applies the layers.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let layer = |h: Option<Tensor>, layer: &Linear| {
            Some(layer.forward(&h.map_or_else(|| x.clone(), |h| self.activation.apply(&h))))
        };
        self.layers.iter().fold(None, layer).unwrap_or_else(|| x.clone())
    }
}
