//! Normalisation layers with learned scale and shift.

use super::{Init, Param, Scope};
use crate::tensor::{Shape, Tensor, Var, no_grad};

/// Group normalisation (Wu & He 2018) of `[N, .., C]`: over the positions and channels of each group.
pub struct GroupNorm {
    /// gamma `[C]`
    pub gamma: Param,
    /// beta `[C]`
    pub beta: Param,
    /// They divide the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
}

impl GroupNorm {
    /// Scale 1 and shift 0; `groups = channels` is instance normalisation.
    pub fn new(scope: &Scope, channels: usize, groups: usize) -> GroupNorm {
        let (gamma, beta) = affine(scope, [channels]);
        GroupNorm { gamma, beta, groups, eps: 1e-6 }
    }

    /// Normalises.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.group_norm(self.groups, self.eps, Some((&self.gamma.get(), &self.beta.get())))
    }

    /// Normalises and applies SiLU, in one kernel.
    #[track_caller]
    pub fn forward_silu(&self, x: &Tensor) -> Tensor {
        x.group_norm_silu(self.groups, self.eps, Some((&self.gamma.get(), &self.beta.get())))
    }
}

/// Layer normalisation (Ba et al. 2016) of the last axes together.
pub struct LayerNorm {
    /// gamma, of the shape of the normalised axes
    pub gamma: Param,
    /// beta, likewise
    pub beta: Param,
    /// Added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// Scale 1 and shift 0 over axes of this shape: `[dim]` for the last one.
    pub fn new(scope: &Scope, shape: impl Into<Shape>) -> LayerNorm {
        let (gamma, beta) = affine(scope, shape);
        LayerNorm { gamma, beta, eps: 1e-5 }
    }

    /// Normalises.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let gamma = self.gamma.get();
        x.layer_norm(gamma.shape().rank(), self.eps, Some((&gamma, &self.beta.get())))
    }
}

/// Batch normalisation (Ioffe & Szegedy 2015) of `[.., C]`, with running statistics for evaluation.
pub struct BatchNorm {
    /// gamma `[C]`, where there is a scale.
    pub gamma: Option<Param>,
    /// beta `[C]`
    pub beta: Param,
    /// The running mean `[C]`.
    pub mean: Var,
    /// The running variance `[C]`, unbiased.
    pub variance: Var,
    /// The share of a batch's statistics in the running ones.
    pub momentum: f64,
    /// Added to the variance.
    pub eps: f64,
}

impl BatchNorm {
    /// Scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(scope: &Scope, channels: usize) -> BatchNorm {
        let gamma = scope.param("gamma", [channels], Init::Constant(1.0));
        BatchNorm { gamma: Some(gamma), ..BatchNorm::without_scale(scope, channels) }
    }

    /// Shift 0 and no scale: for layers that are followed by another linear one.
    pub fn without_scale(scope: &Scope, channels: usize) -> BatchNorm {
        BatchNorm {
            gamma: None,
            beta: scope.param("beta", [channels], Init::Constant(0.0)),
            mean: scope.buffer("mean", [channels], Init::Constant(0.0)),
            variance: scope.buffer("variance", [channels], Init::Constant(1.0)),
            momentum: 0.1,
            eps: 1e-5,
        }
    }

    /// Normalises with the batch's statistics and moves the running ones towards them.
    #[track_caller]
    pub fn train(&self, x: &Tensor) -> Tensor {
        let (normal, mean, variance) = x.batch_norm(self.eps);
        no_grad(|| {
            let n = (x.numel() / x.dim(-1)) as f64;
            let unbiased = variance.mul_scalar(n / (n - 1.0).max(1.0));
            for (running, now) in [(&self.mean, mean), (&self.variance, unbiased)] {
                running.set(running.get().mul_scalar(1.0 - self.momentum) + now.mul_scalar(self.momentum));
            }
        });
        self.scaled(&normal) + self.beta.get()
    }

    /// Normalises with the running statistics.
    #[track_caller]
    pub fn evaluate(&self, x: &Tensor) -> Tensor {
        let normal = (x - &self.mean.get()) / &self.variance.get().add_scalar(self.eps).sqrt();
        self.scaled(&normal) + self.beta.get()
    }

    fn scaled(&self, normal: &Tensor) -> Tensor {
        self.gamma.as_ref().map_or_else(|| normal.clone(), |gamma| normal * &gamma.get())
    }
}

fn affine(scope: &Scope, shape: impl Into<Shape>) -> (Param, Param) {
    let shape = shape.into();
    let gamma = scope.param("gamma", &shape, Init::Constant(1.0));
    (gamma, scope.param("beta", &shape, Init::Constant(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::{Device, Key};

    /// Mean 3 and unbiased variance 8 in each batch: after k steps the share of the start is 0.9^k.
    #[test]
    fn batch_norm_learns_the_statistics_that_it_evaluates_with() {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let norm = BatchNorm::new(&params.root(), 1);
        let x = Tensor::new(&Device::oracle(), [2, 1], &[1.0, 5.0]);
        for _ in 0..3 {
            let y = norm.train(&x).to_f64().unwrap();
            assert!((y[1] - 2.0 / (4.0f64 + 1e-5).sqrt()).abs() < 1e-12 && y[0] == -y[1], "{y:?}");
        }
        let kept = 0.9f64.powi(3);
        let (mean, variance) = (3.0 * (1.0 - kept), kept + 8.0 * (1.0 - kept));
        let near = |var: &Var, want: f64| (var.get().item().unwrap() - want).abs() < 1e-6;
        assert!(near(&norm.mean, mean) && near(&norm.variance, variance));
        let y = norm.evaluate(&x).to_f64().unwrap();
        assert!((y[1] - (5.0 - mean) / (variance + 1e-5).sqrt()).abs() < 1e-6, "{y:?}");
        assert_eq!(params.names().len(), 2, "the statistics are not trained");
    }

    #[test]
    fn layer_norm_takes_its_axes_from_its_shape() {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let norm = LayerNorm::new(&params.root(), [2, 2]);
        let x = Tensor::new(&Device::oracle(), [1, 2, 2], &[1.0, 1.0, 3.0, 3.0]);
        let y = norm.forward(&x).to_f64().unwrap();
        assert!((y[3] - 1.0 / (1.0f64 + 1e-5).sqrt()).abs() < 1e-12 && y[0] == -y[3], "{y:?}");
    }
}
