//! Embeddings: class labels and time.

use super::{Init, Param, Scope};
use crate::tensor::Tensor;

/// A table of vectors, one per class: labels `[N]` (whole numbers) to `[N, D]`.
pub struct Embedding {
    /// `[classes, D]`
    pub table: Param,
}

impl Embedding {
    /// Vectors drawn from a standard normal law.
    pub fn new(scope: &Scope, classes: usize, dim: usize) -> Embedding {
        Embedding { table: scope.param("table", [classes, dim], Init::Normal(1.0)) }
    }

    /// Looks the labels up.
    #[track_caller]
    pub fn forward(&self, labels: &Tensor) -> Tensor {
        self.table.get().gather(0, labels)
    }
}

/// The sinusoidal embedding of a time or noise level (Vaswani et al. 2017): `t [N]` to `[N, dim]`,
///
/// `(sin(t f_0), ..., sin(t f_{h-1}), cos(t f_0), ..., cos(t f_{h-1}))`, `f_k = 10000^(-k / (h - 1))`, `h = dim / 2`.
#[track_caller]
pub fn sinusoidal(t: &Tensor, dim: usize) -> Tensor {
    assert!(dim >= 4 && dim.is_multiple_of(2), "sinusoidal: dimension {dim} is not an even number from 4 on");
    let half = dim / 2;
    let frequency = |k: usize| (-(10_000f64).ln() * k as f64 / (half - 1) as f64).exp();
    let frequencies = Tensor::from_f64(t.device(), [1, half], (0..half).map(frequency).collect());
    let angles = &t.reshape([t.numel(), 1]) * &frequencies;
    Tensor::concat(&[&angles.sin(), &angles.cos()], 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    #[test]
    fn the_sinusoidal_embedding_starts_with_sines_of_falling_frequency() {
        let t = Tensor::new(&Device::oracle(), [1], &[2.0]);
        let e = sinusoidal(&t, 6).to_f64().unwrap();
        let want = [2f64.sin(), 0.02f64.sin(), 0.0002f64.sin(), 2f64.cos(), 0.02f64.cos(), 0.0002f64.cos()];
        assert!(e.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{e:?}");
    }
}
