//! The settings of recovery likelihood.

use super::Target;
use crate::check;
use crate::data::Dataset;
use crate::diffusion::{InitializerConfig, LevelSchedule, StepRule};
use crate::energy::LevelEnergyConfig;
use crate::error::Result;
use crate::optim::AdamConfig;
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// N: data per iteration.
    pub batch: usize,
    /// T, the number of levels.
    pub levels: usize,
    /// How much signal is left at each level.
    pub schedule: LevelSchedule,
    /// How the Langevin step follows the level.
    pub step_rule: StepRule,
    /// K, Langevin steps per level.
    pub langevin_steps: usize,
    /// Whether x_t and x_{t-1} have the same noise.
    pub shared_noise: bool,
    /// Whether the nets are told the class.
    pub conditional: bool,
    /// The probability that they are not, in training, so that they learn the case without a class too.
    pub label_drop: f64,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Whether samples end with the mean of the clean data given the last level.
    pub denoise: bool,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving averages of both nets' parameters.
    pub ema: f64,
    /// The energy net.
    pub energy: LevelEnergyConfig,
    /// How its parameters move.
    pub energy_optimizer: AdamConfig,
    /// The net that proposes where chains start; without it they start at x_t (DRL).
    pub initializer: Option<InitializerConfig>,
    /// What it learns.
    pub initializer_target: Target,
    /// How its parameters move.
    pub initializer_optimizer: AdamConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            levels: 6,
            schedule: LevelSchedule::Cdrl,
            step_rule: StepRule::Growing { b2: 4e-4 },
            langevin_steps: 15,
            shared_noise: true,
            conditional: false,
            label_drop: 0.1,
            flip: false,
            denoise: true,
            max_energy: 1e6,
            ema: 0.9999,
            energy: LevelEnergyConfig::Mlp { widths: vec![128, 256, 256, 256], embedding: 512 },
            energy_optimizer: AdamConfig::default(),
            initializer: None,
            initializer_target: Target::Chain,
            initializer_optimizer: AdamConfig::default(),
        }
    }
}

impl Config {
    /// Whether the settings make sense, and the batch fits the data.
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        self.schedule.check("algorithm.levels", self.levels)?;
        check::within("algorithm.langevin_steps", self.langevin_steps, 1..=check::MOST_STEPS)?;
        check::positive("algorithm.max_energy", self.max_energy)?;
        check::below_one("algorithm.ema", self.ema)?;
        check::within("algorithm.label_drop", self.label_drop, 0.0..=1.0)?;
        // The energy without a class scores outliers and fills in images, so it must be learnt as well.
        let learnt = !self.conditional || self.label_drop > 0.0;
        check::ensure(learnt, "algorithm.label_drop", self.label_drop, "use more than 0 where conditional = true")?;
        self.step_rule.check("algorithm.step_rule")?;
        self.energy.check("algorithm.energy")?;
        self.energy_optimizer.check("algorithm.energy_optimizer")?;
        self.initializer_optimizer.check("algorithm.initializer_optimizer")?;
        self.initializer.as_ref().map_or(Ok(()), |net| net.check("algorithm.initializer"))
    }
}
