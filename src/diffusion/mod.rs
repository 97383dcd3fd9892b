//! Diffusion: noise schedules and what the samplers derive from them.

mod initializer;
mod recovery;
mod schedule;

pub use initializer::{Initializer, InitializerConfig, MlpInitializer, MlpInitializerConfig, UNetInitializer};
pub use recovery::{RecoveryStep, RecoveryTable, StepRule, Transition, Transitions};
pub use schedule::{LevelSchedule, Schedule};
