//! Langevin dynamics: the one loop that every algorithm runs, its settings, and the Metropolis-adjusted form.

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
    noise_first: f64,
}

impl<'a> Chain<'a> {
    /// K equal steps.
    pub fn new(steps: usize, step: LangevinStep) -> Chain<'a> {
        Chain { steps, step, after_each: None, tracked: 0, noise_first: 0.0 }
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
        let mut x = x_0.detach();
        for k in 0..self.steps {
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
}

impl Default for Langevin {
    fn default() -> Langevin {
        Langevin { steps: 20, step_size: 0.01, temperature: 1.0, noise_scale: None, noise_first: false, clip: None }
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
        Chain::new(self.steps, self.clip.map_or(step.clone(), |(lo, hi)| step.clip(lo, hi))).noise_first(before)
    }

    /// Where the chains `x_0 [N, ...]` end, as a constant.
    pub fn run(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Tensor {
        self.chain().run(energy, x_0, key)
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
        let langevin = LangevinStep::new(self.step_size, (2.0 * self.step_size * self.temperature).sqrt());
        let n = x_0.dim(0);
        let (mut x, mut accepted) = (x_0.detach(), Tensor::zeros(x_0.device(), [n]));
        let (mut e, mut g) = energy.value_and_gradient(&x);
        for k in 0..steps {
            let key = key.index(k as u64);
            let y = langevin.apply(&x, &g, &key.named("noise"));
            let (e_y, g_y) = energy.value_and_gradient(&y);
            let log_ratio =
                (&e - &e_y).mul_scalar(1.0 / self.temperature) + (self.log_q(&x, &y, &g_y) - self.log_q(&y, &x, &g));
            let u = Tensor::uniform(x.device(), [n], &key.named("accept"));
            let accept = u.log().less(&log_ratio);
            let each = accept.per_sample(&x);
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
