//! Energies: scalar functions of a sample. p(x) is proportional to exp(-E(x)), so low energy means likely.

mod analytic;
mod compose;
mod conv;
mod denoiser;
mod igebm;
mod level;
mod mlp;
mod multi_scale;
mod reference;
mod residual;
mod scale_net;
mod scaled_inputs;
mod stack;
mod told;
mod value;

pub use crate::nn::MlpConfig;
pub use analytic::{GaussianMixture, Quadratic};
pub use compose::{AnyOf, Scaled, Sum, Without};
pub use conv::{ConvConfig, ConvEnergy};
pub use denoiser::{ConditionedDenoiser, DenoiserEnergy};
pub use igebm::{IgebmConfig, IgebmEnergy};
pub use level::{ConditionedEnergy, EnergyLevel, LevelEnergy, LevelEnergyConfig};
pub use mlp::MlpEnergy;
pub use multi_scale::{MultiScale, MultiScaleConfig};
pub use reference::WithReference;
pub use residual::{ConditionedResidual, ResidualEnergy};
pub use scale_net::Weights;
pub use scaled_inputs::ScaledInputs;
pub use stack::{StackConfig, StackEnergy};
pub use told::Told;
pub use value::{AtTime, Times, Value, ValueConfig};

use crate::autodiff::{grad, grad_graph};
use crate::error::{Error, Result};
use crate::nn::{Params, Scope};
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor, with_grad};
use serde::{Deserialize, Serialize};

/// An energy function `E(x): [N, ...] -> [N]`.
pub trait Energy {
    /// The energy of each sample.
    fn energy(&self, x: &Tensor) -> Tensor;

    /// `dE/dx`, of x's shape, as a constant; the score is its negative.
    fn gradient(&self, x: &Tensor) -> Tensor {
        self.value_and_gradient(x).1
    }

    /// The energies `[N]` and `dE/dx` from one forward pass, both constants; also within [`no_grad`](crate::tensor::no_grad).
    fn value_and_gradient(&self, x: &Tensor) -> (Tensor, Tensor) {
        with_grad(|| {
            let x = x.tracked();
            let energy = self.energy(&x);
            let gradient = grad(&energy, &[&x]).remove(0);
            (energy.detach(), gradient)
        })
    }

    /// `dE/dx` with the history of how it was made: for losses that contain the score, and for gradients through a sampler.
    fn gradient_graph(&self, x: &Tensor) -> Tensor {
        let x = if x.is_tracked() { x.clone() } else { x.tracked() };
        grad_graph(&self.energy(&x), &[&x]).remove(0)
    }

    /// Where chains from `x_0` end after so many of these Langevin steps, if there is a kernel that runs whole chains on this
    /// energy. Step k draws its noise from `key.index(k)`, and the end is a constant, as in [`crate::sample::Chain`].
    fn chain(&self, _step: &LangevinStep, _steps: usize, _x_0: &Tensor, _key: &Key) -> Option<Tensor> {
        None
    }

    /// The energies `[N]` of two batches from one forward pass.
    fn pair(&self, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
        let both = self.energy(&Tensor::concat(&[a, b], 0));
        (both.narrow(0, 0, a.dim(0)), both.narrow(0, a.dim(0), b.dim(0)))
    }

    /// The energies whose sum it is, `[N, S]`: those of the scales of a [`MultiScale`] energy, else one. Losses take means
    /// over them.
    fn parts(&self, x: &Tensor) -> Tensor {
        self.energy(x).reshape([x.dim(0), 1])
    }

    /// The [parts](Energy::parts) of two batches from one forward pass.
    fn pair_parts(&self, a: &Tensor, b: &Tensor) -> (Tensor, Tensor) {
        let both = self.parts(&Tensor::concat(&[a, b], 0));
        (both.narrow(0, 0, a.dim(0)), both.narrow(0, a.dim(0), b.dim(0)))
    }

    /// The energy of a batch whose sample n has class `labels[n]`, where the net can be told classes.
    fn labelled<'a>(&'a self, _labels: &Tensor) -> Option<Box<dyn Energy + 'a>> {
        None
    }

    /// What a net does once per training step besides being differentiated: a step of power iteration for its spectrally
    /// normalised weights.
    fn update_norms(&self) {}
}

/// A pointer to an energy is that energy.
macro_rules! forward {
    ($($pointer:ty)*) => { $(
        impl<E: Energy + ?Sized> Energy for $pointer {
            fn energy(&self, x: &Tensor) -> Tensor {
                (**self).energy(x)
            }

            fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
                (**self).chain(step, steps, x_0, key)
            }

            fn parts(&self, x: &Tensor) -> Tensor {
                (**self).parts(x)
            }

            fn labelled<'a>(&'a self, labels: &Tensor) -> Option<Box<dyn Energy + 'a>> {
                (**self).labelled(labels)
            }

            fn update_norms(&self) {
                (**self).update_norms()
            }
        }
    )* };
}

forward! { &E Box<E> }

/// An energy whose parameters are constants, whatever is asked of it: `E_{stop(theta)}(x)`.
pub struct Frozen<'a, E: ?Sized>(pub &'a E, pub &'a Params);

impl<E: Energy + ?Sized> Energy for Frozen<'_, E> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.1.frozen(|| self.0.energy(x))
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        self.0.chain(step, steps, x_0, key)
    }

    fn parts(&self, x: &Tensor) -> Tensor {
        self.1.frozen(|| self.0.parts(x))
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
    /// Residual blocks and a sum over space, for images.
    Igebm(IgebmConfig),
    /// A sum over resolutions, for images; can be told classes.
    MultiScale(MultiScaleConfig),
    /// Plain convolutions and a linear layer, for images.
    Stack(StackConfig),
}

impl EnergyConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            EnergyConfig::Mlp(config) => config.check(name),
            EnergyConfig::Conv(config) => config.check(name),
            EnergyConfig::Igebm(config) => config.check(name),
            EnergyConfig::MultiScale(config) => config.check(name),
            EnergyConfig::Stack(config) => config.check(name),
        }
    }

    /// Declares the parameters of an energy for samples of shape `item`, points `[D]` or images `[H, W, C]`, that lie in the
    /// box `bounds`: an interval for each coordinate, or one for all.
    pub fn build(&self, scope: &Scope, item: &[usize], bounds: &[[f64; 2]]) -> Result<Box<dyn Energy>> {
        self.build_for(scope, item, bounds, 0)
    }

    /// [`EnergyConfig::build`] for an energy that is [told](Energy::labelled) one of `classes` classes; 0 for none.
    pub fn build_for(
        &self,
        scope: &Scope,
        item: &[usize],
        bounds: &[[f64; 2]],
        classes: usize,
    ) -> Result<Box<dyn Energy>> {
        match (self, item) {
            (EnergyConfig::MultiScale(config), [_, _, c]) => Ok(Box::new(MultiScale::new(scope, *c, config, classes))),
            _ if classes > 0 => Err(Error::setting(
                "algorithm.conditional = true: this energy has no place for a label; use energy.kind = \"multi_scale\"",
            )),
            (EnergyConfig::Mlp(config), [inputs]) => {
                let net = MlpEnergy::new(scope, *inputs, config);
                Ok(if config.gain.is_some() { Box::new(ScaledInputs::to_box(net, bounds)) } else { Box::new(net) })
            }
            (EnergyConfig::Conv(config), [_, _, channels]) => Ok(Box::new(ConvEnergy::new(scope, *channels, config))),
            (EnergyConfig::Igebm(config), [_, _, channels]) => Ok(Box::new(IgebmEnergy::new(scope, *channels, config))),
            (EnergyConfig::Stack(config), &[h, w, c]) => Ok(Box::new(StackEnergy::new(scope, [h, w, c], config))),
            (EnergyConfig::Mlp(_), _) => Err(Error::setting(format!(
                "an mlp energy takes points, the data are {item:?}; use energy.kind = \"conv\""
            ))),
            (_, _) => Err(Error::setting(format!(
                "a conv energy takes images, the data are {item:?}; use energy.kind = \"mlp\""
            ))),
        }
    }
}
