//! Value functions of GCD: the cost that a sampler's trajectory has still to come, which ends as the energy.

use super::{Energy, EnergyConfig, ScaledInputs};
use crate::error::Result;
use crate::nn::{Mlp, MlpConfig, Scope, beside_features, one_hot_features};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// `V(x, t)` for t = 0..=T; `V(x, T) = E(x)`.
pub trait Value {
    /// The cost to go of samples `x [N, ...]`: `[N]`.
    fn value(&self, x: &Tensor, t: Times) -> Tensor;
}

/// The time of some samples.
#[derive(Clone, Copy)]
pub enum Times<'a> {
    /// t of all of them.
    All(usize),
    /// t of each of them, `[N]`.
    Each(&'a Tensor),
}

/// A value function at one time, as an energy.
pub struct AtTime<'a>(pub &'a dyn Value, pub usize);

impl Energy for AtTime<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.value(x, Times::All(self.1))
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
    /// Two nets, of (x, t) and of x, with an optimiser each.
    Separate {
        /// V(x, t), or W
        value: MlpConfig,
        /// E
        energy: EnergyConfig,
        /// Whether values are told as `V(x, t) = E(x) + W(x, t)`: what the last steps change little is known at once.
        #[serde(default)]
        above_energy: bool,
    },
}

impl ValueConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            ValueConfig::Timed(config) => config.check(name),
            ValueConfig::Energy { energy } => energy.check(&format!("{name}.energy")),
            ValueConfig::Separate { value, energy, .. } => {
                value.check(&format!("{name}.value"))?;
                energy.check(&format!("{name}.energy"))
            }
        }
    }

    /// Whether E is a net of its own.
    pub fn has_separate_energy(&self) -> bool {
        matches!(self, ValueConfig::Separate { .. })
    }

    /// Declares the parameters for samples of shape `item` in the box `bounds` and times 0..=`steps`; those of a separate
    /// energy in `of_energy`.
    pub fn build(
        &self,
        scope: &Scope,
        of_energy: &Scope,
        item: &[usize],
        bounds: &[[f64; 2]],
        steps: usize,
    ) -> Result<Box<dyn Value>> {
        Ok(match self {
            ValueConfig::Timed(config) => Box::new(Timed::new(scope, item, bounds, steps, config)),
            ValueConfig::Energy { energy } => Box::new(Timeless(energy.build(scope, item, bounds)?)),
            ValueConfig::Separate { value, energy, above_energy } => Box::new(Separate {
                value: Timed::new(scope, item, bounds, steps, value),
                energy: energy.build(of_energy, item, bounds)?,
                above_energy: *above_energy,
                last: steps,
            }),
        })
    }
}

/// `V(x, t) = mlp((x - c) / r, one-hot(t))`, the scale as in [`ScaledInputs`] where the settings have a gain.
struct Timed {
    net: Mlp,
    features: Tensor,
    /// 0, ..., T: what is looked up for all samples, `[1]` each.
    times: Vec<Tensor>,
    scale: ScaledInputs<()>,
}

impl Timed {
    fn new(scope: &Scope, item: &[usize], bounds: &[[f64; 2]], steps: usize, config: &MlpConfig) -> Timed {
        let features = one_hot_features(scope.device(), steps + 1);
        let inputs = item.iter().product::<usize>() + steps + 1;
        let bounds = if config.gain.is_some() { bounds } else { &[[-1.0, 1.0]] };
        let times = (0..=steps).map(|t| Tensor::from_f64(scope.device(), [1], vec![t as f64])).collect();
        Timed { net: Mlp::new(scope, [inputs, 1], config), features, times, scale: ScaledInputs::to_box((), bounds) }
    }
}

impl Value for Timed {
    fn value(&self, x: &Tensor, t: Times) -> Tensor {
        let t = match t {
            Times::All(t) => &self.times[t],
            Times::Each(t) => t,
        };
        self.net.forward(&beside_features(&self.scale.inwards(x), &self.features, t)).reshape([x.dim(0)])
    }
}

/// An energy for all times.
struct Timeless(Box<dyn Energy>);

impl Value for Timeless {
    fn value(&self, x: &Tensor, _: Times) -> Tensor {
        self.0.energy(x)
    }
}

/// A value function before T, an energy at T.
struct Separate {
    value: Timed,
    energy: Box<dyn Energy>,
    above_energy: bool,
    last: usize,
}

impl Value for Separate {
    fn value(&self, x: &Tensor, t: Times) -> Tensor {
        let own = || self.value.value(x, t);
        match t {
            Times::All(t) if t == self.last => self.energy.energy(x),
            Times::All(_) if self.above_energy => own() + self.energy.energy(x),
            Times::All(_) => own(),
            Times::Each(each) => {
                let at_end = each.equal(&Tensor::scalar(each.device(), self.last as f64));
                let energy = self.energy.energy(x);
                let before = if self.above_energy { own() + &energy } else { own() };
                at_end.where_(&energy, &before)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::{Device, Key};

    const LAST: usize = 3;

    fn two_nets(above_energy: bool) -> (Box<dyn Value>, [Params; 2]) {
        let params = ["v", "e"].map(|name| Params::new(&Device::oracle(), Key::new(1).named(name)));
        let value = MlpConfig { hidden: vec![5], ..Default::default() };
        let config = ValueConfig::Separate { value: value.clone(), energy: EnergyConfig::Mlp(value), above_energy };
        let bounds = [[-1.0, 1.0]; 2];
        let net = config.build(&params[0].root(), &params[1].root(), &[2], &bounds, LAST).unwrap();
        (net, params)
    }

    /// Both are drawn from the same keys, so they differ by E at t < T alone.
    #[test]
    fn values_end_as_the_energy_and_may_be_told_above_it() {
        let x = Tensor::normal(&Device::oracle(), [6, 2], &Key::new(2));
        let [(plain, params), (above, _)] = [false, true].map(two_nets);
        assert!(params.iter().all(|p| !p.names().is_empty()), "each net has parameters of its own");
        let of = |net: &dyn Value, t: Times| net.value(&x, t).to_f64().unwrap();
        let energy = of(&*plain, Times::All(LAST));
        assert_eq!(of(&*above, Times::All(LAST)), energy);
        for t in 0..LAST {
            let (w, v) = (of(&*plain, Times::All(t)), of(&*above, Times::All(t)));
            assert!((0..6).all(|i| (v[i] - w[i] - energy[i]).abs() < 1e-12 && energy[i] != 0.0));
        }
        // One time each, the last among them.
        let times = [0, 3, 1, 2, 3, 0];
        let each = Tensor::from_f64(&Device::oracle(), [6], times.iter().map(|&t| t as f64).collect());
        for net in [&plain, &above] {
            let mixed = of(&**net, Times::Each(&each));
            assert!((0..6).all(|i| (mixed[i] - of(&**net, Times::All(times[i]))[i]).abs() < 1e-12));
        }
    }
}
