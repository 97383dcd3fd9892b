//! An energy for points: fully connected layers.

use super::Energy;
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Linear, Scope};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Widths of the hidden layers and the nonlinearity between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// The nonlinearity; a smooth one keeps dE/dx smooth.
    pub activation: Activation,
}

impl Default for MlpConfig {
    fn default() -> MlpConfig {
        MlpConfig { hidden: vec![128, 128], activation: Activation::Silu }
    }
}

impl MlpConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::list(format!("{name}.hidden"), &self.hidden, 1..=check::MOST_WIDE)
    }
}

/// `E(x) = w_L . a(W_{L-1} ... a(W_1 x + b_1) ...) + b_L`, `x [N, D] -> [N]`.
pub struct MlpEnergy {
    layers: Vec<Linear>,
    activation: Activation,
}

impl MlpEnergy {
    /// Declares `layer0`, `layer1`, ... in `scope`.
    pub fn new(scope: &Scope, inputs: usize, config: &MlpConfig) -> MlpEnergy {
        let widths: Vec<usize> = [inputs].into_iter().chain(config.hidden.iter().copied()).chain([1]).collect();
        let layer = |(i, w): (usize, &[usize])| Linear::new(&scope.scope(format!("layer{i}")), w[0], w[1]);
        MlpEnergy { layers: widths.windows(2).enumerate().map(layer).collect(), activation: config.activation }
    }
}

impl Energy for MlpEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        let (last, hidden) = self.layers.split_last().unwrap_or_else(|| unreachable!("there is always a last layer"));
        let h = hidden.iter().fold(x.clone(), |h, layer| self.activation.apply(&layer.forward(&h)));
        last.forward(&h).reshape([x.dim(0)])
    }
}
