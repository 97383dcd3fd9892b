//! The condition of networks that serve every noise level of a diffusion: the level, and the class where there is one.
//!
//! What depends on the condition alone is computed once for the table of all conditions; samples look theirs up in it.

use super::{Init, Linear, Scope, sinusoidal};
use crate::tensor::{Device, Tensor};
use std::f64::consts::FRAC_PI_2;

/// The features of noise levels (CDRL), `[L, dim]`: the sinusoidal embedding of `1000 u`, with
/// `u = atan(exp(-lambda / 2)) / (pi / 2)` in (0, 1) and lambda the log signal-to-noise ratio.
#[track_caller]
pub fn level_features(device: &Device, log_snr: &[f64], dim: usize) -> Tensor {
    let angle = |lambda: &f64| 1000.0 * (-lambda / 2.0).exp().atan() / FRAC_PI_2;
    let angles = Tensor::from_f64(&Device::oracle(), [log_snr.len()], log_snr.iter().map(angle).collect());
    // Angles of hundreds of radians want f64.
    let features = sinusoidal(&angles, dim).array();
    Tensor::from_f64(device, [log_snr.len(), dim], features.to_vec())
}

/// The number of a condition: `level (classes + 1) + class`. Levels count from 0; class 0 means "none", so class c of the
/// data is c + 1 here.
pub fn condition_index(level: usize, class: usize, classes: usize) -> usize {
    level * (classes + 1) + class
}

/// Rows of `table [R, D]`: `index [N]` (whole numbers below R) to `[N, D]`.
///
/// A product with one-hot rows, exact, whose gradient is a product too (that of a gather adds row by row).
#[track_caller]
pub fn look_up(table: &Tensor, index: &Tensor) -> Tensor {
    index.one_hot(table.dim(0)).matmul(table)
}

/// The unit matrix: row k tells a net that it is at place k of n.
pub fn one_hot_features(device: &Device, n: usize) -> Tensor {
    let ones = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    Tensor::from_f64(device, [n, n], ones)
}

/// Samples `x [N, ...]`, flattened, with the row of `features [R, F]` that `index` (`[N]` or `[1]`) names: `[N, D + F]`.
pub fn beside_features(x: &Tensor, features: &Tensor, index: &Tensor) -> Tensor {
    let (n, values) = (x.dim(0), x.numel() / x.dim(0));
    let rows = features.gather(0, index).broadcast_to([n, features.dim(1)]);
    Tensor::concat(&[&x.reshape([n, values]), &rows], 1)
}

/// The embedding of conditions, `W_2 silu(W_1 features(level) + b_1) + b_2 + W_c one_hot(class)`.
pub struct LevelEmbedding {
    /// `[L, dim]`
    pub features: Tensor,
    /// W_1 and b_1
    pub first: Linear,
    /// W_2 and b_2
    pub second: Linear,
    /// W_c, where there are classes; class 0 ("none") has a vector of its own.
    pub class: Option<Linear>,
}

impl LevelEmbedding {
    /// Embeds levels with these log signal-to-noise ratios, through `dim` features, as `hidden` values.
    #[track_caller]
    pub fn new(scope: &Scope, log_snr: &[f64], dim: usize, hidden: usize, classes: usize) -> LevelEmbedding {
        let class = |n: usize| Linear::without_bias(&scope.scope("class"), n, hidden, Init::fan_in(n));
        LevelEmbedding {
            features: level_features(scope.device(), log_snr, dim),
            first: Linear::new(&scope.scope("layer0"), dim, hidden),
            second: Linear::new(&scope.scope("layer1"), hidden, hidden),
            class: (classes > 0).then(|| class(classes + 1)),
        }
    }

    /// The embedding of every condition, `[L (classes + 1), hidden]`.
    pub fn table(&self) -> Tensor {
        let levels = self.second.forward(&self.first.forward(&self.features).silu()); // [L, hidden]
        let Some(class) = &self.class else { return levels };
        let classes = class.weight.get().transpose(); // W_c one_hot(class) of every class
        let [count, hidden] = [levels.dim(0), levels.dim(1)];
        (levels.reshape([count, 1, hidden]) + &classes).reshape([count * classes.dim(0), hidden])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::Key;

    #[test]
    fn features_embed_the_share_of_a_right_angle() {
        // exp(-lambda / 2) = 1 is half a right angle.
        let features = level_features(&Device::oracle(), &[0.0], 4).to_f64().unwrap();
        let want = [500f64.sin(), 0.05f64.sin(), 500f64.cos(), 0.05f64.cos()];
        assert!(features.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{features:?}");
    }

    #[test]
    fn row_of_level_and_class_is_the_sum_of_their_vectors() {
        let params = Params::new(&Device::oracle(), Key::new(3));
        let (log_snr, [dim, hidden, classes]) = ([2.0, -1.0], [4, 5, 2]);
        let embedding = LevelEmbedding::new(&params.root(), &log_snr, dim, hidden, classes);
        assert_eq!(params.numel(), (4 * 5 + 5) + (5 * 5 + 5) + 5 * 3);
        let table = embedding.table();
        assert_eq!(table.shape()[..], [6, 5]);
        let rows = Tensor::new(&Device::oracle(), [4], &[0.0, 2.0, 3.0, 5.0]);
        let rows = look_up(&table, &rows).to_f64().unwrap();
        for i in 0..5 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[row * 5 + i]);
            // Class 2 less class 0 is the same at both levels, and the levels differ.
            assert!(((b - a) - (d - c)).abs() < 1e-12 && b != a && c != a, "{a} {b} {c} {d}");
        }
    }
}
