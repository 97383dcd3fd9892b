//! Training algorithms, one file each, and the loop that runs any of them.

mod batches;
pub mod contrastive_divergence;
pub mod evaluate;
mod maps;
pub mod recovery_likelihood;
mod recovery_sampler;
#[cfg(test)]
mod recovery_tests;
mod request;
mod trained;
mod trainer;

pub use batches::Batches;
pub use contrastive_divergence::ContrastiveDivergence;
pub use maps::{plot_points, plot_trajectory};
pub use recovery_likelihood::RecoveryLikelihood;
pub use request::{Known, SampleRequest, Samples};
pub use trained::Trained;
pub use trainer::{Algorithm, Figure, Progress, State, Trainer, TrainerConfig, restore};
