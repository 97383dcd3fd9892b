//! Energies: scalar functions of a sample. p(x) is proportional to exp(-E(x)), so low energy means likely.

mod analytic;
mod compose;
mod conv;
mod level;
mod mlp;

pub use analytic::{GaussianMixture, Quadratic};
pub use compose::{AnyOf, Scaled, Sum, Without};
pub use conv::{ConvConfig, ConvEnergy};
pub use level::{ConditionedEnergy, LevelEnergy, LevelEnergyConfig};
pub use mlp::{MlpConfig, MlpEnergy};

use crate::autodiff::{grad, grad_graph};
use crate::error::{Error, Result};
use crate::nn::{Params, Scope};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// An energy function `E(x): [N, ...] -> [N]`.
pub trait Energy {
    /// The energy of each sample.
    fn energy(&self, x: &Tensor) -> Tensor;

    /// `dE/dx`, of x's shape, as a constant; the score is its negative.
    fn gradient(&self, x: &Tensor) -> Tensor {
        self.value_and_gradient(x).1
    }

    /// The energies `[N]` and `dE/dx` from one forward pass, both constants.
    fn value_and_gradient(&self, x: &Tensor) -> (Tensor, Tensor) {
        let x = x.tracked();
        let energy = self.energy(&x);
        let gradient = grad(&energy, &[&x]).remove(0);
        (energy.detach(), gradient)
    }

    /// `dE/dx` with the history of how it was made: for losses that contain the score, and for gradients through a sampler.
    fn gradient_graph(&self, x: &Tensor) -> Tensor {
        let x = if x.is_tracked() { x.clone() } else { x.tracked() };
        grad_graph(&self.energy(&x), &[&x]).remove(0)
    }

    /// The energies `[N]` of two batches from one forward pass.
    fn pair(&self, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
        let both = self.energy(&Tensor::concat(&[a, b], 0));
        (both.narrow(0, 0, a.dim(0)), both.narrow(0, a.dim(0), b.dim(0)))
    }
}

impl<E: Energy + ?Sized> Energy for Box<E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        (**self).energy(x)
    }
}

/// An energy whose parameters are constants, whatever is asked of it: `E_{stop(theta)}(x)`.
pub struct Frozen<'a, E: ?Sized>(pub &'a E, pub &'a Params);

impl<E: Energy + ?Sized> Energy for Frozen<'_, E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.1.frozen(|| self.0.energy(x))
    }
}

/// Which energy to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EnergyConfig {
    /// Fully connected layers, for points.
    Mlp(MlpConfig),
    /// Residual convolutions, for images.
    Conv(ConvConfig),
}

impl EnergyConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            EnergyConfig::Mlp(config) => config.check(name),
            EnergyConfig::Conv(config) => config.check(name),
        }
    }

    /// Declares the energy's parameters for samples of shape `item` (`[D]` or `[H, W, C]`).
    pub fn build(&self, scope: &Scope, item: &[usize]) -> Result<Box<dyn Energy>> {
        match (self, item) {
            (EnergyConfig::Mlp(config), [inputs]) => Ok(Box::new(MlpEnergy::new(scope, *inputs, config))),
            (EnergyConfig::Conv(config), [_, _, channels]) => Ok(Box::new(ConvEnergy::new(scope, *channels, config))),
            (EnergyConfig::Mlp(_), _) => Err(Error::setting(format!(
                "an mlp energy takes points, the data are {item:?}; use energy.kind = \"conv\""
            ))),
            (EnergyConfig::Conv(_), _) => Err(Error::setting(format!(
                "a conv energy takes images, the data are {item:?}; use energy.kind = \"mlp\""
            ))),
        }
    }
}
