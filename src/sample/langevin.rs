//! Langevin dynamics: the one loop that every algorithm runs, and its settings.

use super::{Moved, Sampler};
use crate::check;
use crate::energy::Energy;
use crate::error::Result;
use crate::ops::langevin::LangevinStep;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// Chains of Langevin steps: x_0, then `steps` times `x' = step(x, dE/dx)`, then what `after_each` makes of it.
///
/// [`LangevinStep`] says what a step is: its coefficients (also one per sample), the coupling to a centre, the clip.
pub struct Chain<'a> {
    steps: usize,
    step: LangevinStep,
    after_each: Option<Box<dyn Fn(Tensor) -> Tensor + 'a>>,
    tracked: usize,
    fused: bool,
    noise_first: f64,
}

impl<'a> Chain<'a> {
    /// K equal steps.
    pub fn new(steps: usize, step: LangevinStep) -> Chain<'a> {
        Chain { steps, step, after_each: None, tracked: 0, fused: true, noise_first: 0.0 }
    }

    /// Changes the chains after each step: puts known parts back, for instance.
    pub fn after_each(self, f: impl Fn(Tensor) -> Tensor + 'a) -> Chain<'a> {
        Chain { after_each: Some(Box::new(f)), ..self }
    }

    /// Keeps the history of the last `steps` steps, so that gradients flow through them into the energy's parameters:
    /// `d x_K / d theta` by double backward.
    pub fn tracked(self, steps: usize) -> Chain<'a> {
        Chain { tracked: steps, ..self }
    }

    /// Runs whole chains in one kernel where the energy has it ([`Energy::chain`]), or one step after the other. Their ends
    /// differ by rounding: by about 1e-6 after 20 steps on an MLP.
    pub fn fused(self, fused: bool) -> Chain<'a> {
        Chain { fused, ..self }
    }

    /// Adds noise of this deviation before the gradient of each step is taken.
    pub fn noise_first(self, noise: f64) -> Chain<'a> {
        Chain { noise_first: noise, ..self }
    }

    /// Where the chains `x_0 [N, ...]` end; a constant, unless steps are [tracked](Chain::tracked). Step k draws its noise
    /// from `key.index(k)`.
    pub fn run(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Tensor {
        x_0.device().phase("chain", || self.steps(energy, x_0, key))
    }

    fn steps(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Tensor {
        let constant = self.steps - self.tracked.min(self.steps);
        let fused = self.fused && self.after_each.is_none() && self.noise_first == 0.0;
        let fused = fused.then(|| energy.chain(&self.step, constant, x_0, key)).flatten();
        let (mut x, first) = fused.map_or((x_0.detach(), 0), |x| (x, constant));
        for k in first..self.steps {
            let (tracked, key) = (k >= constant, key.index(k as u64));
            if self.noise_first > 0.0 {
                x = x + Tensor::normal(x_0.device(), x_0.shape(), &key).mul_scalar(self.noise_first);
            }
            let gradient = if tracked { energy.gradient_graph(&x) } else { energy.gradient(&x) };
            x = self.step.apply(&x, &gradient, &key);
            if let Some(change) = &self.after_each {
                x = change(x);
            }
            if !tracked {
                x = x.detach();
            }
        }
        x
    }
}

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
    /// Whether a step adds its noise before the gradient is taken, `x' = x + noise xi`, `x'' = clip(x' - step_size dE/dx')`: the
    /// order of the authors of improved contrastive divergence.
    pub noise_first: bool,
    /// Keeps every coordinate in this interval.
    pub clip: Option<(f64, f64)>,
    /// Runs the whole chain in one kernel where there is one: an MLP with two hidden layers of one width.
    pub fused: bool,
}

impl Default for Langevin {
    fn default() -> Langevin {
        Langevin {
            steps: 20,
            step_size: 0.01,
            temperature: 1.0,
            noise_scale: None,
            noise_first: false,
            clip: None,
            fused: true,
        }
    }
}

impl Langevin {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.langevin`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.steps"), self.steps, 1..=check::MOST_STEPS)?;
        check::positive(format!("{name}.step_size"), self.step_size)?;
        check::not_negative(format!("{name}.temperature"), self.temperature)?;
        check::not_negative(format!("{name}.noise_scale"), self.noise_scale.unwrap_or(0.0))?;
        self.clip.map_or(Ok(()), |ends| check::interval(format!("{name}.clip"), ends))
    }

    /// The standard deviation of the noise of one step.
    pub fn noise(&self) -> f64 {
        self.noise_scale.unwrap_or_else(|| (2.0 * self.step_size * self.temperature).sqrt())
    }

    /// The chain with these settings.
    pub fn chain(&self) -> Chain<'static> {
        let (before, after) = if self.noise_first { (self.noise(), 0.0) } else { (0.0, self.noise()) };
        let step = LangevinStep::new(self.step_size, after);
        let step = self.clip.map_or(step.clone(), |(lo, hi)| step.clip(lo, hi));
        Chain::new(self.steps, step).noise_first(before).fused(self.fused)
    }

    /// Where the chains `x_0 [N, ...]` end, as a constant.
    pub fn run(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Tensor {
        self.chain().run(energy, x_0, key)
    }
}

impl Sampler for Langevin {
    fn advance(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Moved {
        Moved { x: self.run(energy, x_0, key), accepted: None }
    }
}
