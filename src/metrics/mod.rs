//! Scores of samples and energies, each with its exact definition; all sums in f64, every score carries its n.
//!
//! A NaN among the inputs gives a NaN score: a broken model is never given a good-looking number.

mod auc;
mod average_precision;
mod frechet;
mod grid;
mod mahalanobis;
mod modes;
mod sliced_wasserstein;

pub use auc::{Auc, auc};
pub use average_precision::{AveragePrecision, average_precision};
pub use frechet::{Frechet, frechet};
pub use grid::{Grid, Nll};
pub use mahalanobis::Mahalanobis;
pub use modes::{ModeScore, SupportScore, mode_score, support_score};
pub use sliced_wasserstein::{Floor, SlicedWasserstein, floor, sliced_wasserstein};

/// Sample mean and standard deviation (divided by n - 1).
fn mean_and_std(v: &[f64]) -> (f64, f64) {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    (mean, (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}
