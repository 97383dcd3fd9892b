//! The settings of a denoising chain.

use super::{NoiseNetConfig, Schedule};
use crate::check;
use crate::error::Result;
use crate::nn::MlpConfig;
use serde::{Deserialize, Serialize};

/// A chain of T denoising steps: its noise levels and its net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainConfig {
    /// T
    pub steps: usize,
    /// How much signal is left at each level.
    pub schedule: ChainSchedule,
    /// The net that predicts the noise.
    pub net: NoiseNetConfig,
}

/// The schedules of denoising chains, as they stand in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainSchedule {
    /// [`Schedule::quadratic`], for few steps.
    Quadratic,
    /// [`Schedule::sigmoid`], of the predecessors of GCD: with few steps its last level is far from noise.
    Sigmoid,
    /// [`Schedule::linear`], of DDPM; meant for T = 1000.
    Linear,
    /// [`Schedule::cosine`].
    Cosine,
}

impl Default for ChainConfig {
    fn default() -> ChainConfig {
        let net = NoiseNetConfig::Mlp(MlpConfig { hidden: vec![128; 3], ..Default::default() });
        ChainConfig { steps: 5, schedule: ChainSchedule::Quadratic, net }
    }
}

impl ChainConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.steps"), self.steps, 1..=1000)?;
        self.net.check(&format!("{name}.net"))
    }

    /// The schedule with its T levels.
    pub fn schedule(&self) -> Schedule {
        match self.schedule {
            ChainSchedule::Quadratic => Schedule::quadratic(self.steps),
            ChainSchedule::Sigmoid => Schedule::sigmoid(self.steps),
            ChainSchedule::Linear => Schedule::linear(self.steps),
            ChainSchedule::Cosine => Schedule::cosine(self.steps),
        }
    }
}
