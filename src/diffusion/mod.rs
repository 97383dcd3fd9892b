//! Diffusion: noise schedules and what the samplers derive from them.

mod recovery;
mod schedule;

pub use recovery::{RecoveryStep, RecoveryTable, StepRule};
pub use schedule::Schedule;
