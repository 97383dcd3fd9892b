//! The settings of improved contrastive divergence.

use super::ReservoirConfig;
use crate::check;
use crate::data::Dataset;
use crate::energy::EnergyConfig;
use crate::error::{Error, Result};
use crate::optim::AdamConfig;
use crate::sample::Langevin;
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// N: data per iteration; as many chains move.
    pub batch: usize,
    /// gamma, the weight of the squared energies. They bound |E| by 1 / (2 gamma): images take 1, densities at most 0.03.
    pub energy_l2: f64,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving average of the parameters.
    pub ema: f64,
    /// Whether the energy is told the classes of the data.
    pub conditional: bool,
    /// The energy function.
    pub energy: EnergyConfig,
    /// How chains move in training.
    pub langevin: Langevin,
    /// The gradient through the chains.
    pub kl: KlConfig,
    /// Where chains are kept, and how they are moved.
    pub memory: ReservoirConfig,
    /// How samples are made after training.
    pub sampling: SamplingConfig,
    /// How parameters move.
    pub optimizer: AdamConfig,
}

/// L_KL: the two parts of KL(q || p) as a function of the chains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KlConfig {
    /// a, the weight of the energy at the ends of the chains; 0 leaves the part out.
    pub energy: f64,
    /// b, the weight of the mean logarithm of the distance to the nearest kept sample; 0 leaves the part out. The estimator of the
    /// entropy at temperature 1 weighs it by the number of dimensions; the authors take 0.3 on images.
    pub entropy: f64,
    /// How many kept samples a chain is compared with.
    pub neighbours: usize,
    /// The entropy starts once the memory holds more than this.
    pub from: usize,
    /// Langevin steps that the gradient goes through, counted from the end: 1 in the paper's code. More are an extension of
    /// ours.
    pub steps: usize,
}

/// Rounds of moves and Langevin steps after training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingConfig {
    /// Rounds in all.
    pub rounds: usize,
    /// How many of them, the last ones, go without moves.
    pub plain: usize,
    /// Langevin steps of a round.
    pub steps: usize,
    /// eta, if it is not that of the training.
    pub step_size: Option<f64>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 128,
            energy_l2: 1.0,
            max_energy: 10.0,
            ema: 0.99,
            conditional: false,
            energy: EnergyConfig::Mlp(Default::default()),
            langevin: Langevin::default(),
            kl: KlConfig::default(),
            memory: ReservoirConfig::default(),
            sampling: SamplingConfig::default(),
            optimizer: AdamConfig { beta1: 0.0, beta2: 0.9, clip_norm: 0.5, ..AdamConfig::default() },
        }
    }
}

impl Default for KlConfig {
    fn default() -> KlConfig {
        KlConfig { energy: 1.0, entropy: 0.3, neighbours: 100, from: 1000, steps: 1 }
    }
}

impl Default for SamplingConfig {
    fn default() -> SamplingConfig {
        SamplingConfig { rounds: 50, plain: 10, steps: 20, step_size: None }
    }
}

impl Config {
    /// Whether the settings make sense, and fit the data.
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        check::not_negative("algorithm.energy_l2", self.energy_l2)?;
        check::positive("algorithm.max_energy", self.max_energy)?;
        check::below_one("algorithm.ema", self.ema)?;
        self.energy.check("algorithm.energy")?;
        self.optimizer.check("algorithm.optimizer")?;
        self.langevin.check("algorithm.langevin")?;
        self.kl.check("algorithm.kl", self.langevin.steps)?;
        self.memory.check("algorithm.memory", &data.sample_shape, self.batch)?;
        self.sampling.check("algorithm.sampling")?;
        if self.conditional && data.class_count() == 0 {
            return Err(Error::setting(format!("algorithm.conditional = true: {} has no labels", data.name)));
        }
        Ok(())
    }
}

impl KlConfig {
    fn check(&self, name: &str, langevin_steps: usize) -> Result<()> {
        check::not_negative(format!("{name}.energy"), self.energy)?;
        check::not_negative(format!("{name}.entropy"), self.entropy)?;
        check::within(format!("{name}.neighbours"), self.neighbours, 1..=check::MOST_WIDE)?;
        let (fits, why) = (self.steps >= 1 && self.steps <= langevin_steps, "use 1 to algorithm.langevin.steps");
        check::ensure(fits, format!("{name}.steps"), self.steps, format!("{why} = {langevin_steps}"))
    }

    /// How many steps keep their history.
    pub(super) fn tracked_steps(&self) -> usize {
        if self.energy > 0.0 || self.entropy > 0.0 { self.steps } else { 0 }
    }
}

impl SamplingConfig {
    fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.rounds"), self.rounds, 1..=check::MOST_STEPS)?;
        check::within(format!("{name}.plain"), self.plain, 0..=self.rounds)?;
        check::within(format!("{name}.steps"), self.steps, 1..=check::MOST_STEPS)?;
        self.step_size.map_or(Ok(()), |eta| check::positive(format!("{name}.step_size"), eta))
    }
}
