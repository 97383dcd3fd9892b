//! Value functions of GCD: the cost that a sampler's trajectory has still to come, which ends as the energy.

use super::{Energy, EnergyConfig, ScaledInputs};
use crate::error::Result;
use crate::nn::{Mlp, MlpConfig, Scope, beside_features, one_hot_features};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// `V(x, t)` for t = 0..=T; `V(x, T) = E(x)`.
pub trait Value {
    /// The cost to go of samples `x [N, ...]` at times `t` (`[N]`, or `[1]` for all): `[N]`.
    fn value(&self, x: &Tensor, t: &Tensor) -> Tensor;
}

/// A value function at one time `[1]`, as an energy.
pub struct AtTime<'a>(pub &'a dyn Value, pub &'a Tensor);

impl Energy for AtTime<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.value(x, self.1)
    }
}

/// Which value function to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueConfig {
    /// One net of (x, t), fully connected: the energy is its value at T. GCD in the plane.
    Timed(MlpConfig),
    /// `V(x, t) = E(x)` at all times, with the energy [`EnergyConfig`]: GCD on images.
    Energy {
        /// E
        energy: EnergyConfig,
    },
    /// Two nets, V of (x, t) and E.
    Separate {
        /// V
        value: MlpConfig,
        /// E
        energy: EnergyConfig,
    },
}

impl ValueConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            ValueConfig::Timed(config) => config.check(name),
            ValueConfig::Energy { energy } => energy.check(&format!("{name}.energy")),
            ValueConfig::Separate { value, energy } => {
                value.check(&format!("{name}.value"))?;
                energy.check(&format!("{name}.energy"))
            }
        }
    }

    /// Declares the parameters for samples of shape `item` in the box `bounds` and times 0..=`steps`.
    pub fn build(&self, scope: &Scope, item: &[usize], bounds: &[[f64; 2]], steps: usize) -> Result<Box<dyn Value>> {
        Ok(match self {
            ValueConfig::Timed(config) => Box::new(Timed::new(scope, item, bounds, steps, config)),
            ValueConfig::Energy { energy } => Box::new(Timeless(energy.build(scope, item, bounds)?)),
            ValueConfig::Separate { value, energy } => Box::new(Separate {
                value: Timed::new(&scope.scope("value"), item, bounds, steps, value),
                energy: energy.build(&scope.scope("energy"), item, bounds)?,
                last: steps as f64,
            }),
        })
    }
}

/// `V(x, t) = mlp((x - c) / r, one-hot(t))`, the scale as in [`ScaledInputs`] where the settings have a gain.
struct Timed {
    net: Mlp,
    features: Tensor,
    scale: ScaledInputs<()>,
}

impl Timed {
    fn new(scope: &Scope, item: &[usize], bounds: &[[f64; 2]], steps: usize, config: &MlpConfig) -> Timed {
        let features = one_hot_features(scope.device(), steps + 1);
        let inputs = item.iter().product::<usize>() + steps + 1;
        let bounds = if config.gain.is_some() { bounds } else { &[[-1.0, 1.0]] };
        Timed { net: Mlp::new(scope, [inputs, 1], config), features, scale: ScaledInputs::to_box((), bounds) }
    }
}

impl Value for Timed {
    fn value(&self, x: &Tensor, t: &Tensor) -> Tensor {
        self.net.forward(&beside_features(&self.scale.inwards(x), &self.features, t)).reshape([x.dim(0)])
    }
}

/// An energy for all times.
struct Timeless(Box<dyn Energy>);

impl Value for Timeless {
    fn value(&self, x: &Tensor, _: &Tensor) -> Tensor {
        self.0.energy(x)
    }
}

/// A value function before T, an energy at T.
struct Separate {
    value: Timed,
    energy: Box<dyn Energy>,
    last: f64,
}

impl Value for Separate {
    fn value(&self, x: &Tensor, t: &Tensor) -> Tensor {
        let at_end = t.equal(&Tensor::scalar(t.device(), self.last));
        at_end.where_(&self.energy.energy(x), &self.value.value(x, t))
    }
}
