//! An energy for points: fully connected layers.

use super::Energy;
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Init, Linear, Param, Scope};
use crate::ops::{langevin::LangevinStep, mlp_chain::TwoLayers};
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// Widths of the hidden layers and the nonlinearity between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// The nonlinearity; a smooth one keeps dE/dx smooth.
    pub activation: Activation,
    /// With a gain g, points are [scaled](super::ScaledInputs) to the box of the data and the first layer starts with weights
    /// N(0, g^2) and biases uniform on (-g, g): its units bend anywhere in the box, within about 1/g of it. Energies with
    /// fine structure want 3 to 6. Without it points enter as they are, and the first layer starts like the others.
    pub gain: Option<f64>,
}

impl Default for MlpConfig {
    fn default() -> MlpConfig {
        MlpConfig { hidden: vec![128, 128], activation: Activation::Silu, gain: None }
    }
}

impl MlpConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::list(format!("{name}.hidden"), &self.hidden, 1..=check::MOST_WIDE)?;
        self.gain.map_or(Ok(()), |gain| check::positive(format!("{name}.gain"), gain))
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
        let layer = |(i, w): (usize, &[usize])| {
            let scope = scope.scope(format!("layer{i}"));
            match config.gain {
                Some(gain) if i == 0 => Linear::started_as(&scope, w[0], w[1], Init::Normal(gain), Init::Uniform(gain)),
                _ => Linear::new(&scope, w[0], w[1]),
            }
        };
        MlpEnergy { layers: widths.windows(2).enumerate().map(layer).collect(), activation: config.activation }
    }
}

impl Energy for MlpEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        let (last, hidden) = self.layers.split_last().unwrap_or_else(|| unreachable!("there is always a last layer"));
        let h = hidden.iter().fold(x.clone(), |h, layer| self.activation.apply(&layer.forward(&h)));
        last.forward(&h).reshape([x.dim(0)])
    }

    /// With two hidden layers of one width the whole chain is one kernel.
    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        let [first, second, third] = &self.layers[..] else { return None };
        let [w1, w2, w3] = [first, second, third].map(|layer| layer.weight.get());
        let [b1, b2] = [first, second].map(|layer| layer.bias.as_ref().map(Param::get));
        let (b1, b2) = (b1?, b2?);
        let (activation, a) = self.activation.function();
        let net = TwoLayers { w1: &w1, b1: &b1, w2: &w2, b2: &b2, w3: &w3, activation, a };
        net.fits().then(|| net.run(step, steps, x_0, key))
    }
}
