//! Energies over noise levels, for recovery likelihood: one net for all levels, told the level and, where there are any, the
//! class.

use super::Energy;
use super::denoiser::{ConditionedDenoiser, DenoiserEnergy};
use super::residual::{ConditionedResidual, ResidualEnergy};
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Scope, UNetConfig};
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// Which net to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LevelEnergyConfig {
    /// Fully connected blocks, for points.
    Mlp {
        /// Width of each residual block.
        widths: Vec<usize>,
        /// Width of the level's embedding.
        embedding: usize,
        /// Between the layers that see the sample, and at the end, where the published net with `leaky_relu` has ReLU. Slopes that are
        /// [matched](crate::train::recovery_likelihood::Stage::Scores) want a smooth one, which chains of one kernel do not have.
        #[serde(default = "published", skip_serializing_if = "is_published")]
        activation: Activation,
    },
    /// Convolutional blocks, for images.
    Conv {
        /// Channels at each resolution; 2 x 2 averages lie between them.
        widths: Vec<usize>,
        /// Residual blocks per resolution.
        blocks: usize,
        /// Width of the level's embedding.
        embedding: usize,
        /// As above.
        #[serde(default = "published", skip_serializing_if = "is_published")]
        activation: Activation,
    },
    /// What a denoiser leaves over, for images: `E = s^2 / 2 |eps|^2` with the eps of a U-Net, see [`DenoiserEnergy`].
    Unet(UNetConfig),
}

fn published() -> Activation {
    Activation::LeakyRelu
}

/// Settings of before there was a choice stay as they are.
pub(super) fn is_published(activation: &Activation) -> bool {
    *activation == published()
}

impl LevelEnergyConfig {
    /// The published net for points, of these widths.
    pub fn mlp(widths: impl Into<Vec<usize>>, embedding: usize) -> LevelEnergyConfig {
        LevelEnergyConfig::Mlp { widths: widths.into(), embedding, activation: published() }
    }

    /// The published net for images, of these widths.
    pub fn conv(widths: impl Into<Vec<usize>>, blocks: usize, embedding: usize) -> LevelEnergyConfig {
        LevelEnergyConfig::Conv { widths: widths.into(), blocks, embedding, activation: published() }
    }

    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        let (widths, blocks, embedding) = match self {
            LevelEnergyConfig::Unet(config) => {
                let without = config.dropout == 0.0;
                check::ensure(without, format!("{name}.dropout"), config.dropout, "an energy has none; use 0.0")?;
                return config.check(name);
            }
            LevelEnergyConfig::Mlp { widths, embedding, .. } => (widths, 1, *embedding),
            LevelEnergyConfig::Conv { widths, blocks, embedding, .. } => (widths, *blocks, *embedding),
        };
        check::list(format!("{name}.widths"), widths, 1..=check::MOST_WIDE)?;
        check::within(format!("{name}.blocks"), blocks, 1..=check::MOST_LAYERS)?;
        check::within(format!("{name}.embedding"), embedding, 1..=check::MOST_WIDE)
    }
}

/// What an energy is told of a noise level: that of x in y = a x, whose density is `exp(-E(y) / s^2)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyLevel {
    /// lambda = log(abar / (1 - abar))
    pub log_snr: f64,
    /// a
    pub a: f64,
    /// s, the Langevin noise of the level's chains.
    pub s: f64,
}

/// E(y; c): an energy told, for every sample, the [index](crate::nn::condition_index) of one of `levels (classes + 1)`
/// conditions.
pub enum LevelEnergy {
    /// The published nets.
    Residual(Box<ResidualEnergy>),
    /// A denoiser's.
    Denoiser(DenoiserEnergy),
}

/// [`LevelEnergy`] with its conditions looked up and, where it was made without gradients, its parameters as they were then.
pub enum ConditionedEnergy {
    /// The published nets.
    Residual(ConditionedResidual),
    /// A denoiser's.
    Denoiser(ConditionedDenoiser),
}

impl LevelEnergy {
    /// Declares the net in `scope` for samples of shape `item`.
    pub fn new(
        scope: &Scope,
        item: &[usize],
        config: &LevelEnergyConfig,
        levels: &[EnergyLevel],
        classes: usize,
    ) -> Result<LevelEnergy> {
        config.check("energy")?;
        if let LevelEnergyConfig::Unet(config) = config {
            return DenoiserEnergy::new(scope, item, config, levels, classes).map(LevelEnergy::Denoiser);
        }
        let log_snr: Vec<f64> = levels.iter().map(|level| level.log_snr).collect();
        let energy = ResidualEnergy::new(scope, item, config, &log_snr, classes)?;
        Ok(LevelEnergy::Residual(Box::new(energy)))
    }

    /// One step of power iteration for every normalised weight; once per training step.
    pub fn update_norms(&self) {
        if let LevelEnergy::Residual(energy) = self {
            energy.update_norms();
        }
    }

    /// The energy of a batch whose sample n has condition `condition[n]` (`[N]`, or `[1]` for all).
    pub fn at(&self, condition: &Tensor) -> ConditionedEnergy {
        match self {
            LevelEnergy::Residual(energy) => ConditionedEnergy::Residual(energy.at(condition)),
            LevelEnergy::Denoiser(energy) => ConditionedEnergy::Denoiser(energy.at(condition)),
        }
    }
}

impl ConditionedEnergy {
    /// The same energy as a constant, for the first `n` samples.
    pub fn frozen(&self, n: usize) -> ConditionedEnergy {
        match self {
            ConditionedEnergy::Residual(energy) => ConditionedEnergy::Residual(energy.frozen(n)),
            ConditionedEnergy::Denoiser(energy) => ConditionedEnergy::Denoiser(energy.frozen(n)),
        }
    }
}

impl Energy for ConditionedEnergy {
    fn energy(&self, y: &Tensor) -> Tensor {
        match self {
            ConditionedEnergy::Residual(energy) => energy.energy(y),
            ConditionedEnergy::Denoiser(energy) => energy.energy(y),
        }
    }

    fn chain(&self, step: &LangevinStep, steps: usize, x_0: &Tensor, key: &Key) -> Option<Tensor> {
        match self {
            ConditionedEnergy::Residual(energy) => energy.chain(step, steps, x_0, key),
            ConditionedEnergy::Denoiser(_) => None,
        }
    }
}
