//! Fully connected layers with one nonlinearity between them.

use super::{Activation, Init, Linear, Scope};
use crate::check;
use crate::error::Result;
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
    /// With a gain g, an energy's points are
    /// [scaled](crate::energy::ScaledInputs) to the box of the data and the first layer starts with weights
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

/// `y = W_L a(W_{L-1} ... a(W_1 x + b_1) ...) + b_L`, `x [N, I] -> [N, O]`.
pub struct Mlp {
    /// The layers, the first one first.
    pub layers: Vec<Linear>,
    /// a
    pub activation: Activation,
}

impl Mlp {
    /// Declares `layer0`, `layer1`, ... in `scope`, from `inputs` values by way of the hidden ones to `outputs`.
    pub fn new(scope: &Scope, [inputs, outputs]: [usize; 2], config: &MlpConfig) -> Mlp {
        let widths: Vec<usize> = [inputs].into_iter().chain(config.hidden.iter().copied()).chain([outputs]).collect();
        let layer = |(i, w): (usize, &[usize])| {
            let scope = scope.scope(format!("layer{i}"));
            match config.gain {
                Some(gain) if i == 0 => Linear::started_as(&scope, w[0], w[1], Init::Normal(gain), Init::Uniform(gain)),
                _ => Linear::new(&scope, w[0], w[1]),
            }
        };
        Mlp { layers: widths.windows(2).enumerate().map(layer).collect(), activation: config.activation }
    }

    /// Applies the layers.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let (last, hidden) = self.layers.split_last().unwrap_or_else(|| unreachable!("there is always a last layer"));
        let h = hidden.iter().fold(x.clone(), |h, layer| self.activation.apply(&layer.forward(&h)));
        last.forward(&h)
    }
}
