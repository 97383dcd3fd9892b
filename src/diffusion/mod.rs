//! Diffusion: noise schedules and what the samplers derive from them.

mod chain;
mod initializer;
mod noise_net;
mod recovery;
mod schedule;

pub use chain::{ChainConfig, ChainSchedule};
pub use initializer::{Initializer, InitializerConfig, MlpInitializer, MlpInitializerConfig, UNetInitializer};
pub use noise_net::{NoiseNet, NoiseNetConfig};
pub use recovery::{RecoveryStep, RecoveryTable, StepRule, Transition, Transitions};
pub use schedule::{LevelSchedule, Schedule};
