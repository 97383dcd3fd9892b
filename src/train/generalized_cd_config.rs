//! The settings of generalized contrastive divergence.

use crate::check;
use crate::data::Dataset;
use crate::diffusion::ChainConfig;
use crate::energy::ValueConfig;
use crate::error::Result;
use crate::nn::MlpConfig;
use crate::optim::{AdamConfig, OptimizerConfig, RateConfig};
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// N: data per iteration, and trajectories.
    pub batch: usize,
    /// The weight of the entropy. The density is exp(-E / tau) with tau = tau1 / D, as costs are means over dimensions.
    pub tau1: f64,
    /// The weight of the velocities.
    pub tau2: f64,
    /// gamma, the weight of the squared energies: it sets their scale, so that gamma tau beyond about .1 flattens the density.
    pub energy_l2: f64,
    /// What time itself costs.
    pub time_cost: TimeCost,
    /// Whether values contain entropy and velocity; image nets do without and have a time cost.
    pub running_cost: bool,
    /// Whether values are learnt at fresh steps x_{t+1} rather than at the stored ones.
    pub redraw: bool,
    /// alpha, the decay of the mean squared steps s_t^2.
    pub velocity_decay: f64,
    /// How the sampler learns.
    pub update: Update,
    /// Its steps of the optimiser per iteration.
    pub sampler_updates: usize,
    /// How many of the chain's last steps pay for neither entropy nor velocity.
    pub free_steps: usize,
    /// The least standard deviation that the chain's steps start with: DDPM's last one has none.
    pub last_sigma: f64,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving averages of all parameters.
    pub ema: f64,
    /// The chain's levels and net.
    pub sampler: ChainConfig,
    /// How the net's parameters move.
    pub sampler_optimizer: OptimizerConfig,
    /// How the chain's log sigma_t move.
    pub noise_optimizer: OptimizerConfig,
    /// The energy and the value function.
    pub value: ValueConfig,
    /// How their parameters move: T + 1 updates in an iteration, T where the energy is a net of its own.
    pub value_optimizer: OptimizerConfig,
    /// How those of an energy move that is a net of its own: one update in an iteration.
    pub energy_optimizer: OptimizerConfig,
}

/// What a step at time t adds to the value, besides entropy and velocity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeCost {
    /// Nothing.
    None,
    /// 0.05 every step.
    Linear,
    /// `sigmoid(c - t) - sigmoid(c - t - 1)`, c = floor(T / 2): most in the middle.
    Sigmoid,
}

impl TimeCost {
    /// kappa_t
    pub fn at(self, t: usize, steps: usize) -> f64 {
        let sigmoid = |u: f64| 1.0 / (1.0 + (-u).exp());
        let left = (steps / 2) as f64 - t as f64;
        match self {
            TimeCost::None => 0.0,
            TimeCost::Linear => 0.05,
            TimeCost::Sigmoid => sigmoid(left) - sigmoid(left - 1.0),
        }
    }
}

/// How the sampler learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// By the gradient of the value through one reparametrised step (DxMI).
    Reparametrised,
    /// By policy gradient with the value as baseline (Fan and Lee 2023), for comparison.
    PolicyGradient,
}

impl Default for Config {
    fn default() -> Config {
        let adam = |lr| {
            OptimizerConfig::Adam(AdamConfig { rate: RateConfig { lr, ..Default::default() }, ..Default::default() })
        };
        Config {
            batch: 256,
            tau1: 0.1,
            tau2: 0.1,
            energy_l2: 1.0,
            time_cost: TimeCost::None,
            running_cost: true,
            redraw: false,
            velocity_decay: 0.99,
            update: Update::Reparametrised,
            sampler_updates: 1,
            free_steps: 0,
            last_sigma: 0.02,
            max_energy: 1e4,
            ema: 0.999,
            sampler: ChainConfig::default(),
            sampler_optimizer: adam(1e-4),
            noise_optimizer: adam(1e-3),
            value: ValueConfig::Timed(MlpConfig { hidden: vec![128; 3], ..Default::default() }),
            value_optimizer: adam(1e-3),
            energy_optimizer: adam(1e-3),
        }
    }
}

impl Config {
    /// Whether the settings make sense, and the batch fits the data.
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        check::not_negative("algorithm.tau1", self.tau1)?;
        check::not_negative("algorithm.tau2", self.tau2)?;
        check::not_negative("algorithm.energy_l2", self.energy_l2)?;
        check::below_one("algorithm.velocity_decay", self.velocity_decay)?;
        check::within("algorithm.sampler_updates", self.sampler_updates, 1..=check::MOST_STEPS)?;
        self.sampler.check("algorithm.sampler")?;
        check::within("algorithm.free_steps", self.free_steps, 0..=self.sampler.steps)?;
        check::positive("algorithm.last_sigma", self.last_sigma)?;
        check::positive("algorithm.max_energy", self.max_energy)?;
        check::below_one("algorithm.ema", self.ema)?;
        self.value.check("algorithm.value")?;
        self.sampler_optimizer.check("algorithm.sampler_optimizer")?;
        self.noise_optimizer.check("algorithm.noise_optimizer")?;
        self.value_optimizer.check("algorithm.value_optimizer")?;
        self.energy_optimizer.check("algorithm.energy_optimizer")
    }
}
