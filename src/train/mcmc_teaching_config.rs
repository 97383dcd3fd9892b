//! The settings of variational MCMC teaching.

use super::Condition;
use super::vae::VaeConfig;
use crate::check;
use crate::data::Dataset;
use crate::energy::EnergyConfig;
use crate::error::{Error, Result};
use crate::optim::AdamConfig;
use crate::sample::Langevin;
use serde::{Deserialize, Serialize};

/// Who teaches whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teaching {
    /// The chains teach a VAE: the encoder infers the latent vector of a refined sample. The paper.
    Vae,
    /// The chains teach a decoder alone, and a refined sample keeps the latent vector that it was made of (CoopNets, Xie et al.
    /// 2018).
    Coopnets,
    /// The data teach a VAE, as if there were no energy; chains start from its decoder all the same.
    Data,
    /// Nobody learns where to start: chains start from noise, uniform on the box of the data (short-run Langevin, Nijkamp et al.
    /// 2019).
    None,
}

impl Teaching {
    /// All of them.
    pub const ALL: [Teaching; 4] = [Teaching::Vae, Teaching::Coopnets, Teaching::Data, Teaching::None];

    /// Its name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Teaching::Vae => "vae",
            Teaching::Coopnets => "coopnets",
            Teaching::Data => "data",
            Teaching::None => "none",
        }
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// B: data per iteration.
    pub batch: usize,
    /// M: chains per iteration; as many as data, if not set.
    pub chains: Option<usize>,
    /// Who teaches whom.
    pub teaching: Teaching,
    /// Whether energy, decoder and encoder are told the classes of the data.
    pub conditional: bool,
    /// x of p(y | x), which energy, decoder and encoder are given with the images y, if they learn pairs.
    pub condition: Option<Condition>,
    /// s: the energy is relative to N(0, s^2 I), and `langevin.step_size` is eta, the part by which a step shrinks x (section 5); the
    /// authors take 0.016 for images. Without it the net is the energy.
    pub reference: Option<f64>,
    /// gamma, the weight of the squared energies; the paper has none.
    pub energy_l2: f64,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving averages of the parameters.
    pub ema: f64,
    /// The energy function: -f of the paper.
    pub energy: EnergyConfig,
    /// How chains move; `noise_scale = 0.0` turns the noise off, as in the authors' code.
    pub langevin: Langevin,
    /// Where chains start.
    pub vae: VaeConfig,
    /// How the parameters of the energy move.
    pub optimizer: AdamConfig,
    /// How those of decoder and encoder move.
    pub vae_optimizer: AdamConfig,
}

impl Default for Config {
    fn default() -> Config {
        let adam = AdamConfig { beta1: 0.5, ..AdamConfig::default() };
        Config {
            batch: 256,
            chains: None,
            teaching: Teaching::Vae,
            conditional: false,
            condition: None,
            reference: None,
            energy_l2: 0.0,
            max_energy: 1e4,
            ema: 0.995,
            energy: EnergyConfig::Mlp(Default::default()),
            langevin: Langevin::default(),
            vae: VaeConfig::default(),
            optimizer: adam.clone(),
            vae_optimizer: adam,
        }
    }
}

impl Config {
    /// M.
    pub fn chains(&self) -> usize {
        self.chains.unwrap_or(self.batch)
    }

    /// Whether the settings make sense, and fit the data.
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        check::within("algorithm.chains", self.chains(), 1..=check::MOST_COUNTED)?;
        check::memory("algorithm.chains", self.chains(), &data.sample_shape)?;
        if self.conditional && data.class_count() == 0 {
            return Err(Error::setting(format!("algorithm.conditional = true: {} has no labels", data.name)));
        }
        self.condition.map_or(Ok(()), |of| of.check("algorithm.condition", &data.sample_shape))?;
        if self.conditional && self.condition.is_some() {
            return Err(Error::setting("algorithm.conditional = true: classes or algorithm.condition, not both"));
        }
        let beside = !(self.conditional || self.condition.is_some()) || self.chains() == self.batch;
        let why = format!("every chain is told what the sample beside it is; use algorithm.batch = {}", self.batch);
        check::ensure(beside, "algorithm.chains", self.chains(), why)?;
        self.reference.map_or(Ok(()), |s| check::positive("algorithm.reference", s))?;
        check::not_negative("algorithm.energy_l2", self.energy_l2)?;
        check::positive("algorithm.max_energy", self.max_energy)?;
        check::below_one("algorithm.ema", self.ema)?;
        self.energy.check("algorithm.energy")?;
        self.langevin.check("algorithm.langevin")?;
        self.vae.check("algorithm.vae")?;
        self.optimizer.check("algorithm.optimizer")?;
        self.vae_optimizer.check("algorithm.vae_optimizer")
    }
}
