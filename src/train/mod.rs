//! Training algorithms: a page for each paper, and the parts that all of them share.
//!
//! [`Algorithm`] is one iteration and its state; [`Training`] moves it on. An iteration is written with
//! [`Iteration`] (randomness, host values, metrics), [`Learner`] (a net under training), [`Loader`] (batches),
//! [`Proposal`] (where chains start) and the Langevin loop of [`sample`](crate::sample). A trained algorithm is a [`Model`].

pub mod classifier;
mod condition;
pub mod contrastive_divergence;
mod data_box;
pub mod ddpm;
pub mod generalized_cd;
mod generalized_cd_config;
mod generalized_cd_model;
#[cfg(test)]
mod generalized_cd_tests;
mod health;
mod image_moves;
pub mod improved_cd;
mod improved_cd_config;
#[cfg(test)]
mod improved_cd_tests;
mod initializer_learner;
mod iteration;
mod latents;
mod learner;
mod level_means;
mod loader;
pub mod mcmc_teaching;
mod mcmc_teaching_config;
mod mcmc_teaching_model;
#[cfg(test)]
mod mcmc_teaching_tests;
mod model;
mod moves;
mod outlier_score;
mod proposal;
mod recovery_config;
pub mod recovery_likelihood;
mod recovery_model;
mod recovery_sampler;
#[cfg(test)]
mod recovery_tests;
mod reservoir;
mod training;
mod units;
mod vae;

pub use condition::Condition;
pub use contrastive_divergence::ContrastiveDivergence;
pub use data_box::{DataBox, NoiseStart};
pub use ddpm::Ddpm;
pub use generalized_cd::GeneralizedCd;
pub use health::Health;
pub use improved_cd::ImprovedCd;
pub use initializer_learner::{InitializerLearner, ProposalVariance, Target};
pub use iteration::{Iteration, Metric, Range};
pub use latents::Latents;
pub use learner::{Learner, minimize_jointly};
pub use level_means::LevelMeans;
pub use loader::{Batch, Loader};
pub use mcmc_teaching::McmcTeaching;
pub use model::{Known, Model, SampleRequest, Samples, Watch};
pub use moves::{Moves, PlaneMoves};
pub use outlier_score::OutlierScore;
pub use proposal::{Proposal, ReplayConfig, ReplayMemory, Start};
pub use recovery_likelihood::RecoveryLikelihood;
pub use reservoir::{Reservoir, ReservoirConfig};
pub use training::{Algorithm, Arriving, Metrics, Report, State, Training};
pub use units::Units;
pub use vae::{ToldVae, Vae, VaeConfig};
