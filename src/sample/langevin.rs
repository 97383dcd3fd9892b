//! Langevin dynamics, unadjusted and Metropolis-adjusted.

use crate::energy::Energy;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// Unadjusted Langevin dynamics, `steps` times
///
/// `x' = clip(x - step_size dE/dx + noise xi)`, `xi ~ N(0, I)`, `noise = sqrt(2 step_size temperature)`.
///
/// For small steps the law of x tends to exp(-E / temperature). Image papers set `noise_scale` by hand, far below
/// that value: their chains descend rather than sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Langevin {
    /// K, the number of steps.
    pub steps: usize,
    /// eta, in units of x^2 per unit of energy.
    pub step_size: f64,
    /// T, in units of energy.
    pub temperature: f64,
    /// The standard deviation of the noise per step, where it is not `sqrt(2 step_size temperature)`.
    pub noise_scale: Option<f64>,
    /// Keeps every coordinate in this interval.
    pub clip: Option<(f64, f64)>,
}

impl Default for Langevin {
    fn default() -> Langevin {
        Langevin { steps: 20, step_size: 0.01, temperature: 1.0, noise_scale: None, clip: None }
    }
}

impl Langevin {
    /// The standard deviation of the noise of one step.
    pub fn noise(&self) -> f64 {
        self.noise_scale.unwrap_or_else(|| (2.0 * self.step_size * self.temperature).sqrt())
    }

    /// One step from `x [N, ...]` along `gradient = dE/dx`. Differentiable in both.
    pub fn step(&self, x: &Tensor, gradient: &Tensor, key: &Key) -> Tensor {
        let step = LangevinStep::new(self.step_size, self.noise());
        let step = match self.clip {
            Some((lo, hi)) => step.clip(lo, hi),
            None => step,
        };
        step.apply(x, gradient, key)
    }

    /// The chain's end after `steps` steps from `x_0`, as a constant.
    pub fn run(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Tensor {
        let step = |x: Tensor, k| self.step(&x, &energy.gradient(&x), &key.index(k as u64)).detach();
        (0..self.steps).fold(x_0.detach(), step)
    }
}

/// Metropolis-adjusted Langevin: the Langevin move is a proposal, accepted with probability
///
/// `min(1, exp(-(E(x') - E(x)) / T) q(x | x') / q(x' | x))`, `q(x' | x) = N(x'; x - eta dE/dx, 2 eta T)`,
///
/// so that exp(-E / T) is exactly stationary at any step size.
#[derive(Clone, Debug)]
pub struct Mala {
    /// eta.
    pub step_size: f64,
    /// T.
    pub temperature: f64,
}

impl Mala {
    /// `steps` moves from `x_0 [N, D]`; returns the end and each chain's fraction of accepted moves `[N]`.
    pub fn run(&self, energy: &dyn Energy, x_0: &Tensor, steps: usize, key: &Key) -> (Tensor, Tensor) {
        let langevin =
            Langevin { steps: 1, step_size: self.step_size, temperature: self.temperature, ..Langevin::default() };
        let n = x_0.dim(0);
        let (mut x, mut accepted) = (x_0.detach(), Tensor::zeros(x_0.device(), [n]));
        let (mut e, mut g) = energy.value_and_gradient(&x);
        for k in 0..steps {
            let key = key.index(k as u64);
            let y = langevin.step(&x, &g, &key.named("noise"));
            let (e_y, g_y) = energy.value_and_gradient(&y);
            let log_ratio =
                (&e - &e_y).mul_scalar(1.0 / self.temperature) + (self.log_q(&x, &y, &g_y) - self.log_q(&y, &x, &g));
            let u = Tensor::uniform(x.device(), [n], &key.named("accept"));
            let accept = u.log().less(&log_ratio);
            let each = accept.reshape([n, 1]);
            (x, g) = (each.where_(&y, &x), each.where_(&g_y, &g));
            e = accept.where_(&e_y, &e);
            accepted = accepted + accept;
        }
        (x, accepted.mul_scalar(1.0 / steps.max(1) as f64))
    }

    /// `log q(to | from)` up to a constant, `[N]`.
    fn log_q(&self, to: &Tensor, from: &Tensor, gradient: &Tensor) -> Tensor {
        let difference = &(to - from) + &gradient.mul_scalar(self.step_size);
        difference.square().sum_axes(&[1]).mul_scalar(-1.0 / (4.0 * self.step_size * self.temperature))
    }
}
