//! Constraints on weights and activations: spectral normalisation, weight standardisation, dropout.

use super::{Init, Scope};
use crate::tensor::{Key, Tensor, Var};

/// Spectral normalisation (Miyato et al. 2018): `w / sigma(w)`, with sigma the largest singular value of the weight as
/// a matrix `[O, rest]`, estimated by power iteration with a vector kept between steps.
pub struct SpectralNorm {
    /// The left singular vector's estimate, `[1, O]`.
    pub u: Var,
}

impl SpectralNorm {
    /// A fresh estimate for a weight with `outputs` rows.
    pub fn new(scope: &Scope, outputs: usize) -> SpectralNorm {
        let u = scope.buffer("u", [1, outputs], Init::Normal(1.0));
        u.set(unit(&u.get()));
        SpectralNorm { u }
    }

    /// One step of power iteration, `u = w w^T u / |w w^T u|`; call once per training step.
    #[track_caller]
    pub fn update(&self, w: &Tensor) {
        self.u.set(w.spectral_step(&self.u.get()));
    }

    /// [`Tensor::spectral_norm`] with this estimate.
    #[track_caller]
    pub fn apply(&self, w: &Tensor) -> Tensor {
        w.spectral_norm(&self.u.get())
    }
}

/// A weight `[O, ...]` as a matrix `[O, rest]`.
fn rows(w: &Tensor) -> Tensor {
    w.reshape([w.dim(0), w.numel() / w.dim(0)])
}

fn unit(x: &Tensor) -> Tensor {
    x / &x.square().sum().sqrt().add_scalar(1e-12)
}

/// Weight standardisation (Qiao et al. 2019): each output's weights minus their mean, divided by their standard
/// deviation (unbiased) plus 1e-5. `w [O, ...]`.
#[track_caller]
pub fn weight_standardised(w: &Tensor) -> Tensor {
    let matrix = rows(w);
    let centred = &matrix - &matrix.mean_keepdim(&[1]);
    let n = matrix.dim(1) as f64;
    let variance = centred.square().sum_keepdim(&[1]).mul_scalar(1.0 / (n - 1.0).max(1.0));
    (&centred / &variance.sqrt().add_scalar(1e-5)).reshape(w.shape())
}

/// Dropout (Srivastava et al. 2014): each element is 0 with probability `p`, else divided by `1 - p`.
#[track_caller]
pub fn dropout(x: &Tensor, p: f64, key: &Key) -> Tensor {
    assert!((0.0..1.0).contains(&p), "dropout: probability {p} is not in 0..1");
    if p == 0.0 {
        return x.clone();
    }
    let kept = Tensor::scalar(x.device(), p).less(&Tensor::uniform(x.device(), x.shape(), key));
    x * &kept.mul_scalar(1.0 / (1.0 - p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::Device;

    #[test]
    fn the_normalised_weight_has_largest_singular_value_one() {
        let params = Params::new(&Device::oracle(), Key::new(4));
        let norm = SpectralNorm::new(&params.root(), 2);
        // A diagonal matrix: its singular values are 3 and 1.
        let w = Tensor::new(&Device::oracle(), [2, 2], &[3.0, 0.0, 0.0, 1.0]);
        for _ in 0..50 {
            norm.update(&w);
        }
        let y = norm.apply(&w).to_f64().unwrap();
        assert!((y[0] - 1.0).abs() < 1e-9 && (y[3] - 1.0 / 3.0).abs() < 1e-9, "{y:?}");
    }

    #[test]
    fn standardised_weights_have_mean_zero_and_deviation_one() {
        let w = Tensor::uniform(&Device::oracle(), [3, 5, 2], &Key::new(2));
        let y = weight_standardised(&w).to_f64().unwrap();
        for row in y.chunks(10) {
            let mean = row.iter().sum::<f64>() / 10.0;
            let variance = row.iter().map(|v| v * v).sum::<f64>() / 9.0;
            assert!(mean.abs() < 1e-12 && (variance.sqrt() - 1.0).abs() < 1e-4, "{mean} {variance}");
        }
    }

    #[test]
    fn dropout_keeps_the_mean_and_the_right_fraction() {
        let x = Tensor::full(&Device::oracle(), [10_000], 1.0);
        let y = dropout(&x, 0.3, &Key::new(1)).to_f64().unwrap();
        let kept = y.iter().filter(|v| **v != 0.0).count() as f64 / 1e4;
        assert!(
            (kept - 0.7).abs() < 5.0 * (0.21f64 / 1e4).sqrt()
                && y.iter().all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-12)
        );
    }
}
