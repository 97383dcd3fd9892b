//! Stochastic gradient descent with momentum.

use super::{Counter, RateConfig, norm, parts, store};
use crate::check;
use crate::error::Result;
use crate::gpu::{Kernel, Work, Workgroups};
use crate::tensor::{Device, Tensor, Var};
use crate::{shader, uniforms};
use serde::{Deserialize, Serialize};

/// The settings of stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SgdConfig {
    /// How much of the velocity is kept.
    pub momentum: f64,
    /// The gradient is scaled down to this norm where it is longer; 0 for never.
    pub clip_norm: f64,
    /// The learning rate over time.
    pub rate: RateConfig,
}

impl Default for SgdConfig {
    fn default() -> SgdConfig {
        SgdConfig { momentum: 0.9, clip_norm: 0.0, rate: RateConfig::default() }
    }
}

impl SgdConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.optimizer`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::below_one(format!("{name}.momentum"), self.momentum)?;
        check::not_negative(format!("{name}.clip_norm"), self.clip_norm)?;
        self.rate.check(&format!("{name}.rate"))
    }
}

/// `v = momentum v + g`, `p' = p - lr v` over a flat buffer, g clipped in norm; the velocity is updated in place.
#[derive(Clone)]
pub struct Sgd {
    config: SgdConfig,
    p: Var,
    v: Var,
    updates: Counter,
}

impl Sgd {
    /// An optimiser of `p` at rest.
    pub fn new(p: &Var, config: SgdConfig) -> Sgd {
        let zero = Tensor::zeros(p.get().device(), p.get().shape());
        Sgd { config, p: p.clone(), v: Var::new(&zero), updates: Counter::default() }
    }

    /// How many updates were made.
    pub fn updates(&self) -> &Counter {
        &self.updates
    }

    /// Counts one more update and returns its numbers, `[lr, 0, 0, 0]`.
    pub fn next_numbers(&self) -> Vec<f32> {
        vec![self.config.rate.at(self.updates.advance()) as f32, 0.0, 0.0, 0.0]
    }

    /// One update with the flat gradient `g` and the update's `numbers` (see [`Sgd::next_numbers`]); returns the gradient's
    /// norm before clipping.
    #[track_caller]
    pub fn step(&self, g: &Tensor, numbers: &Tensor) -> Tensor {
        let (p, v) = (self.p.get(), self.v.get());
        assert_eq!(p.shape(), g.shape(), "the gradient's shape is not the parameters'");
        let SgdConfig { momentum, clip_norm, .. } = self.config;
        let norm = norm(g);
        let clipped = |part: &Tensor| match clip_norm > 0.0 {
            true => part * &((&norm + 1e-6).recip() * clip_norm).minimum(&Tensor::scalar(g.device(), 1.0)),
            false => part.clone(),
        };
        let next = match p.device() {
            Device::Gpu(gpu) => {
                let next = Tensor::unwritten(p.device(), p.shape());
                let kernel = Kernel::new(shader!("optim/sgd.wgsl"));
                let [ps, gs, vs, nexts] = [&p, g, &v, &next].map(parts);
                for i in 0..ps.len() {
                    let (n, quads) = (ps[i].numel() as u64, ps[i].numel().div_ceil(4));
                    let g = clipped(&gs[i]);
                    let slices = [&ps[i], &g, numbers, &vs[i], &nexts[i]].map(|t| t.slice());
                    let work = Work { bytes: 20 * n, flops: 4 * n };
                    gpu.dispatch(&kernel, uniforms![quads, momentum], &slices, Workgroups::Elements(quads), work);
                }
                next
            }
            Device::Oracle => {
                let (lr, p_old, g) = (numbers.array()[0], p.array(), clipped(g).array());
                let velocity: Vec<f64> = v.array().iter().zip(g.iter()).map(|(v, g)| momentum * v + g).collect();
                let next = p_old.iter().zip(&velocity).map(|(p, v)| p - lr * v).collect();
                store(&v, velocity);
                Tensor::from_f64(p.device(), p.shape(), next)
            }
        };
        self.p.set(next);
        norm
    }

    /// The velocity by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, Var)> {
        vec![("v".into(), self.v.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: SgdConfig, gradient: [f64; 2], steps: usize) -> Vec<f64> {
        let device = Device::oracle();
        let p = Var::new(&Tensor::zeros(&device, [2]));
        let sgd = Sgd::new(&p, config);
        for _ in 0..steps {
            let numbers = Tensor::new(&device, [4], &sgd.next_numbers());
            sgd.step(&Tensor::from_f64(&device, [2], gradient.to_vec()), &numbers);
        }
        assert_eq!(sgd.updates().get(), steps as u64);
        p.get().to_f64().unwrap()
    }

    #[test]
    fn momentum_accumulates_velocity() {
        let rate = RateConfig { lr: 0.25, ..Default::default() };
        let config = SgdConfig { momentum: 0.5, rate, ..Default::default() };
        // v = 1, 1.5, 1.75: p = -(1 + 1.5 + 1.75) / 4
        assert_eq!(run(config, [1.0, 0.0], 3), [-1.0625, 0.0]);
    }

    #[test]
    fn a_long_gradient_is_scaled_to_the_clip() {
        let rate = RateConfig { lr: 1.0, ..Default::default() };
        let config = SgdConfig { momentum: 0.0, clip_norm: 1.0, rate };
        let p = run(config.clone(), [3.0, 4.0], 1);
        assert!((p[0] + 0.6).abs() < 1e-6 && (p[1] + 0.8).abs() < 1e-6, "{p:?}");
        assert_eq!(run(config, [0.25, 0.5], 1), [-0.25, -0.5]);
    }
}
