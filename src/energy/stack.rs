//! An energy for images: plain convolutions in a row, and a linear layer over all that is left.

use super::Energy;
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Init, Linear, SameConv, Scope, check_layers, sizes};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StackConfig {
    /// Convolutions `[kernel, stride, channels]`.
    pub layers: Vec<[usize; 3]>,
    /// How many numbers the last layer gives, a linear one over the whole image; the energy is their sum.
    pub outputs: usize,
    /// The nonlinearity after each convolution.
    pub activation: Activation,
    /// The deviation of the first weights, if not the usual one.
    pub init: Option<f64>,
}

impl Default for StackConfig {
    fn default() -> StackConfig {
        let layers = vec![[5, 2, 32], [3, 2, 64], [3, 1, 128]];
        StackConfig { layers, outputs: 1, activation: Activation::LeakyRelu, init: None }
    }
}

impl StackConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        check_layers(&format!("{name}.layers"), &self.layers)?;
        check::within(format!("{name}.outputs"), self.outputs, 1..=check::MOST_WIDE)?;
        self.init.map_or(Ok(()), |std| check::positive(format!("{name}.init"), std))
    }
}

/// `E(x) = sum_k (W h(x) + b)_k`, `h = a(conv_L(... a(conv_1 x)))`, `x [N, H, W, C] -> [N]`: no normalisation at all.
pub struct StackEnergy {
    layers: Vec<SameConv>,
    head: Linear,
    activation: Activation,
}

impl StackEnergy {
    /// Declares `conv0`, `conv1`, ..., `head` in `scope`, for images `[h, w, c]`.
    pub fn new(scope: &Scope, [h, w, c]: [usize; 3], config: &StackConfig) -> StackEnergy {
        let inputs = [c].into_iter().chain(config.layers.iter().map(|l| l[2]));
        let conv = |(i, (inputs, &layer)): (usize, (usize, &[usize; 3]))| {
            SameConv::new(&scope.scope(format!("conv{i}")), inputs, layer, config.init)
        };
        let ends = sizes([h, w], config.layers.iter().map(|l| l[1]));
        let last = config.layers.len() - 1;
        let features = ends[last].iter().product::<usize>() * config.layers[last][2];
        let usual = Init::fan_in(features);
        let (weight, bias) = config.init.map_or((usual, usual), |std| (Init::Normal(std), Init::Constant(0.0)));
        StackEnergy {
            layers: inputs.zip(&config.layers).enumerate().map(conv).collect(),
            head: Linear::started_as(&scope.scope("head"), features, config.outputs, weight, bias),
            activation: config.activation,
        }
    }
}

impl Energy for StackEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        let h = self.layers.iter().fold(x.clone(), |h, conv| self.activation.apply(&conv.forward(&h)));
        self.head.forward(&h.reshape([h.dim(0), h.numel() / h.dim(0)])).sum_axes(&[1])
    }
}
