//! Adam and AdamW.

use super::{Counter, RateConfig, norm, parts, store};
use crate::check;
use crate::error::Result;
use crate::gpu::{Gpu, Kernel, Work, Workgroups};
use crate::tensor::{Device, Tensor, Var};
use crate::{shader, uniforms};
use serde::{Deserialize, Serialize};

/// The settings of Adam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay (AdamW); 0 is Adam.
    pub weight_decay: f64,
    /// The gradient is scaled down to this norm where it is longer; 0 for never.
    pub clip_norm: f64,
    /// The learning rate over time.
    pub rate: RateConfig,
}

impl Default for AdamConfig {
    fn default() -> AdamConfig {
        let rate = RateConfig::default();
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clip_norm: 0.0, rate }
    }
}

impl AdamConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.optimizer`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::below_one(format!("{name}.beta1"), self.beta1)?;
        check::below_one(format!("{name}.beta2"), self.beta2)?;
        check::positive(format!("{name}.eps"), self.eps)?;
        check::not_negative(format!("{name}.weight_decay"), self.weight_decay)?;
        check::not_negative(format!("{name}.clip_norm"), self.clip_norm)?;
        self.rate.check(&format!("{name}.rate"))
    }
}

/// Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019) over a flat buffer:
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
/// `p' = p - lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay p)`.
///
/// The moments are updated in place; the new parameters are a fresh buffer, so graphs keep the values they were built with.
///
/// t counts this optimiser's own updates: several an iteration, or one every few iterations, are corrected rightly.
#[derive(Clone)]
pub struct Adam {
    config: AdamConfig,
    p: Var,
    m: Var,
    v: Var,
    updates: Counter,
}

impl Adam {
    /// An optimiser of the flat buffer `p` with zero moments.
    pub fn new(p: &Var, config: AdamConfig) -> Adam {
        let zero = Tensor::zeros(p.get().device(), p.get().shape());
        Adam { config, p: p.clone(), m: Var::new(&zero), v: Var::new(&zero), updates: Counter::default() }
    }

    /// How many updates were made.
    pub fn updates(&self) -> &Counter {
        &self.updates
    }

    /// Counts one more update and returns its numbers `[lr, 1 / (1 - b1^t), 1 / (1 - b2^t), 0]`, computed in f64.
    pub fn next_numbers(&self) -> Vec<f32> {
        let before = self.updates.advance();
        let AdamConfig { beta1, beta2, rate, .. } = &self.config;
        let correction = |beta: f64| 1.0 / (1.0 - beta.powf((before + 1) as f64));
        [rate.at(before), correction(*beta1), correction(*beta2), 0.0].map(|x| x as f32).to_vec()
    }

    /// One update with the flat gradient `g` and the update's `numbers [4]` (see [`Adam::next_numbers`]); returns the
    /// gradient's norm before clipping.
    #[track_caller]
    pub fn step(&self, g: &Tensor, numbers: &Tensor) -> Tensor {
        let p = self.p.get();
        assert_eq!(p.shape(), g.shape(), "the gradient's shape is not the parameters'");
        let norm = norm(g);
        let next = match p.device() {
            Device::Gpu(gpu) => self.launch(gpu, &p, g, &norm, numbers),
            Device::Oracle => self.reference(&p, g, &norm, numbers),
        };
        self.p.set(next);
        norm
    }

    fn launch(&self, gpu: &Gpu, p: &Tensor, g: &Tensor, norm: &Tensor, numbers: &Tensor) -> Tensor {
        let next = Tensor::unwritten(p.device(), p.shape());
        let c = &self.config;
        let [beta1, beta2, eps, decay, clip] = [c.beta1, c.beta2, c.eps, c.weight_decay, c.clip_norm];
        let (m, v) = (self.m.get(), self.v.get());
        let kernel = Kernel::new(shader!("optim/adam.wgsl"));
        let [ps, gs, ms, vs, nexts] = [p, g, &m, &v, &next].map(parts);
        for i in 0..ps.len() {
            let n = ps[i].numel() as u64;
            let quads = ps[i].numel().div_ceil(4);
            let uniforms = uniforms![quads, beta1, beta2, gain1: 1.0 - beta1, gain2: 1.0 - beta2, eps, decay, clip];
            let slices = [&ps[i], &gs[i], norm, numbers, &ms[i], &vs[i], &nexts[i]].map(|t| t.slice());
            let work = Work { bytes: 28 * n, flops: 14 * n };
            gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(quads), work);
        }
        next
    }

    fn reference(&self, p: &Tensor, g: &Tensor, norm: &Tensor, numbers: &Tensor) -> Tensor {
        let AdamConfig { beta1, beta2, eps, weight_decay, clip_norm, .. } = self.config;
        let (p_old, g, hyper) = (p.array(), g.array(), numbers.array());
        let (mut m, mut v) = (self.m.get().array().to_vec(), self.v.get().array().to_vec());
        let scale = if clip_norm > 0.0 { (clip_norm / (norm.array()[0] + 1e-6)).min(1.0) } else { 1.0 };
        let update = |i: usize| {
            let g = g[i] * scale;
            m[i] = beta1 * m[i] + (1.0 - beta1) * g;
            v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
            p_old[i] - hyper[0] * (m[i] * hyper[1] / ((v[i] * hyper[2]).sqrt() + eps) + weight_decay * p_old[i])
        };
        let next = (0..p_old.len()).map(update).collect();
        store(&self.m.get(), m);
        store(&self.v.get(), v);
        Tensor::from_f64(p.device(), p.shape(), next)
    }

    /// The moments by name, for checkpoints.
    pub fn state(&self) -> Vec<(String, Var)> {
        vec![("m".into(), self.m.clone()), ("v".into(), self.v.clone())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: AdamConfig, grads: &[[f64; 2]]) -> Vec<f64> {
        let device = Device::oracle();
        let p = Var::new(&Tensor::from_f64(&device, [2], vec![1.0, -2.0]));
        let adam = Adam::new(&p, config);
        for g in grads {
            let numbers = Tensor::new(&device, [4], &adam.next_numbers());
            adam.step(&Tensor::from_f64(&device, [2], g.to_vec()), &numbers);
        }
        p.get().to_f64().unwrap()
    }

    fn assert_near(got: &[f64], want: [f64; 2]) {
        // The state is rounded to f32 after every step.
        assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6 * w.abs()), "{got:?}, want {want:?}");
    }

    #[test]
    fn the_first_step_moves_every_parameter_by_the_learning_rate() {
        let rate = RateConfig { lr: 0.1, ..Default::default() };
        let config = AdamConfig { rate, ..Default::default() };
        assert_near(&run(config.clone(), &[[3.0, -0.02]]), [0.9, -1.9]);
        // By hand: m = .9 * .3 + .1 * 1 = .37, v = .999 * .009 + .001 = .009991; m / .19 = 1.947368, v / .001999 = 4.997999.
        let second = 0.9 - 0.1 * 1.947_368_4 / 4.997_999f64.sqrt();
        assert!((run(config, &[[3.0, 1.0], [1.0, 1.0]])[0] - second).abs() < 1e-6);
    }

    #[test]
    fn weight_decay_is_decoupled_and_clipping_scales_the_whole_gradient() {
        let rate = RateConfig { lr: 0.1, ..Default::default() };
        let config = AdamConfig { weight_decay: 0.5, rate: rate.clone(), ..Default::default() };
        assert_near(&run(config, &[[0.0, 0.0]]), [0.95, -1.9]);
        // With eps far above the gradient the step is proportional to it: the clip is visible.
        let soft = AdamConfig { eps: 1e3, clip_norm: 1.0, rate, ..Default::default() };
        let (clipped, free) =
            (run(soft.clone(), &[[3.0, 4.0]]), run(AdamConfig { clip_norm: 0.0, ..soft }, &[[3.0, 4.0]]));
        let ratio = (1.0 - clipped[0]) / (1.0 - free[0]);
        assert!((ratio - 0.2).abs() < 2e-3, "{ratio}");
    }
}
