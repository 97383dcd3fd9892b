//! Training algorithms, one file each, and the loop that runs any of them.

mod batches;
pub mod contrastive_divergence;
pub mod evaluate;
mod maps;
mod trainer;

pub use batches::Batches;
pub use contrastive_divergence::ContrastiveDivergence;
pub use maps::plot_points;
pub use trainer::{Algorithm, Figure, Progress, State, Trainer, TrainerConfig, restore};
