//! The settings of recovery likelihood.

use super::{ProposalVariance, Target};
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
    /// Runs the chains of points in one kernel.
    pub fused: bool,
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
    /// What the score counts in it: 1 by Tweedie's formula; the published code has 2.
    pub denoise_factor: f64,
    /// Whether the last proposal of a sample, at t = 1, has its noise, as all others have; DDPM ends with the mean.
    pub last_noise: bool,
    /// Which nets learn.
    pub stage: Stage,
    /// Nets see blocks of so many by so many pixels as channels, so that full-size images cost less.
    pub fold: usize,
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
    /// The weight of the data's part beside the target "chain".
    pub initializer_anchor: f64,
    /// How far its proposals spread.
    pub proposal_variance: ProposalVariance,
    /// How its parameters move.
    pub initializer_optimizer: AdamConfig,
}

/// Which nets of cooperative learning learn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The energy, and the initializer if there is one.
    Both,
    /// The initializer alone, by the data: a run for others to start from (`[init]`).
    Initializer,
    /// Both by the data, without chains: the initializer as above, the energy by denoising score matching (Vincent 2011). An extension
    /// of ours.
    Scores,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            levels: 6,
            schedule: LevelSchedule::Cdrl,
            step_rule: StepRule::Growing { b2: 4e-4 },
            langevin_steps: 15,
            fused: true,
            shared_noise: true,
            conditional: false,
            label_drop: 0.1,
            flip: false,
            denoise: true,
            denoise_factor: 1.0,
            last_noise: true,
            stage: Stage::Both,
            fold: 1,
            max_energy: 1e6,
            ema: 0.9999,
            energy: LevelEnergyConfig::mlp([128, 256, 256, 256], 512),
            energy_optimizer: AdamConfig::default(),
            initializer: None,
            initializer_target: Target::Chain,
            initializer_anchor: 0.0,
            proposal_variance: ProposalVariance::Posterior,
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
        check::not_negative("algorithm.denoise_factor", self.denoise_factor)?;
        check::not_negative("algorithm.initializer_anchor", self.initializer_anchor)?;
        let (anchor, chain) = (self.initializer_anchor, self.initializer_target == Target::Chain);
        let beside = "use 0, or initializer_target = \"chain\"";
        check::ensure(anchor == 0.0 || chain, "algorithm.initializer_anchor", anchor, beside)?;
        let alone = self.stage == Stage::Initializer && self.initializer.is_none();
        check::ensure(!alone, "algorithm.stage", "initializer", "say which net in [algorithm.initializer]")?;
        check::within("algorithm.fold", self.fold, 1..=8)?;
        let image = data.sample_shape.len() == 3;
        let fits = self.fold == 1 || (image && data.sample_shape[..2].iter().all(|side| side % self.fold == 0));
        check::ensure(fits, "algorithm.fold", self.fold, "use 1, or a divisor of the images' sides")?;
        self.step_rule.check("algorithm.step_rule")?;
        self.energy.check("algorithm.energy")?;
        self.energy_optimizer.check("algorithm.energy_optimizer")?;
        self.initializer_optimizer.check("algorithm.initializer_optimizer")?;
        self.initializer.as_ref().map_or(Ok(()), |net| net.check("algorithm.initializer"))
    }
}
