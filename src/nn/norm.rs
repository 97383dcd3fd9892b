//! Normalisation layers with learned scale and shift.

use super::{Init, Param, Scope};
use crate::tensor::{Tensor, Var, no_grad};

/// Group normalisation (Wu & He 2018) of `[N, .., C]`: over the positions and channels of each group.
pub struct GroupNorm {
    /// gamma `[C]`
    pub gamma: Param,
    /// beta `[C]`
    pub beta: Param,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// Scale 1 and shift 0; `groups = channels` is instance normalisation.
    pub fn new(scope: &Scope, channels: usize, groups: usize) -> GroupNorm {
        let (gamma, beta) = affine(scope, channels);
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

/// Layer normalisation (Ba et al. 2016) of the last axis.
pub struct LayerNorm {
    gamma: Param,
    beta: Param,
}

impl LayerNorm {
    /// Scale 1 and shift 0 over `dim` values.
    pub fn new(scope: &Scope, dim: usize) -> LayerNorm {
        let (gamma, beta) = affine(scope, dim);
        LayerNorm { gamma, beta }
    }

    /// Normalises.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(1e-5, Some((&self.gamma.get(), &self.beta.get())))
    }
}

/// Batch normalisation (Ioffe & Szegedy 2015) of `[.., C]`, with running statistics for evaluation.
pub struct BatchNorm {
    gamma: Param,
    beta: Param,
    mean: Var,
    variance: Var,
}

impl BatchNorm {
    /// Share of a batch's statistics in the running ones.
    const MOMENTUM: f64 = 0.1;
    const EPS: f64 = 1e-5;

    /// Scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(scope: &Scope, channels: usize) -> BatchNorm {
        let (gamma, beta) = affine(scope, channels);
        BatchNorm {
            gamma,
            beta,
            mean: scope.buffer("mean", [channels], Init::Constant(0.0)),
            variance: scope.buffer("variance", [channels], Init::Constant(1.0)),
        }
    }

    /// Normalises with the batch's statistics and moves the running ones towards them.
    #[track_caller]
    pub fn train(&self, x: &Tensor) -> Tensor {
        let (normal, mean, variance) = x.batch_norm(Self::EPS);
        no_grad(|| {
            let n = (x.numel() / x.dim(x.shape().rank() - 1)) as f64;
            let unbiased = variance.mul_scalar(n / (n - 1.0).max(1.0));
            for (running, now) in [(&self.mean, mean), (&self.variance, unbiased)] {
                running.set(running.get().mul_scalar(1.0 - Self::MOMENTUM) + now.mul_scalar(Self::MOMENTUM));
            }
        });
        &normal * &self.gamma.get() + self.beta.get()
    }

    /// Normalises with the running statistics.
    #[track_caller]
    pub fn evaluate(&self, x: &Tensor) -> Tensor {
        let scale = self.gamma.get() / self.variance.get().add_scalar(Self::EPS).sqrt();
        &(x - &self.mean.get()) * &scale + self.beta.get()
    }
}

fn affine(scope: &Scope, channels: usize) -> (Param, Param) {
    let gamma = scope.param("gamma", [channels], Init::Constant(1.0));
    (gamma, scope.param("beta", [channels], Init::Constant(0.0)))
}
