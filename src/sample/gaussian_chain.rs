//! A diffusion sampler as a chain of Gaussian steps whose noise is trained, too (GCD, section 2 of its full form DxMI).

use crate::diffusion::{NoiseNet, Schedule};
use crate::nn::{Init, Param, Scope};
use crate::ops::schedule::denoise_step;
use crate::tensor::{Device, Key, Tensor, no_grad};

/// The sampler pi_phi: x_0 ~ N(0, I), then for t = 0..T-1
///
/// `x_{t+1} = mu_phi(x_t, t) + sigma_t eps`,  `mu_phi(x, t) = A_t x + B_t eps_phi(x, T - t)`
///
/// t counts from noise to data, as in the paper; the levels of a [`Schedule`] count the other way. A and B are those of a DDPM
/// step, so that a trained DDPM is a chain to start from; the sigma_t start as DDPM's.
pub struct GaussianChain {
    net: Box<dyn NoiseNet>,
    /// `log sigma_t = start_t + change_t`, `[T]` each.
    start: Tensor,
    change: Param,
    /// [`Schedule::denoising`], `[T + 1, 4]`
    table: Tensor,
    steps: usize,
    device: Device,
    sample: Vec<usize>,
}

impl GaussianChain {
    /// A chain of samples of shape `sample` that denoises with `net`. Declares `log_sigma`, the change of log sigma_t since
    /// the start, in `noise`; the last sigma is
    /// `last_sigma`, as DDPM's would be zero, which has no density.
    pub fn new(
        net: Box<dyn NoiseNet>,
        noise: &Scope,
        schedule: &Schedule,
        last_sigma: f64,
        sample: &[usize],
    ) -> GaussianChain {
        let steps = schedule.steps();
        let ddpm = (1..=steps).rev().map(|level| schedule.reverse(level, 1.0)[2].max(last_sigma).ln());
        GaussianChain {
            net,
            start: Tensor::from_f64(noise.device(), [steps], ddpm.collect()),
            change: noise.param("log_sigma", [steps], Init::Constant(0.0)),
            table: schedule.denoising(noise.device(), 1.0),
            steps,
            device: noise.device().clone(),
            sample: sample.to_vec(),
        }
    }

    /// T
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// `mu_phi(x_t, t)`, t `[N]` or `[1]`. `dropout` draws the dropout of a training step.
    pub fn mean(&self, x: &Tensor, t: &Tensor, dropout: Option<&Key>) -> Tensor {
        let level = t.affine(-1.0, self.steps as f64);
        denoise_step(x, &self.net.noise(x, &level, dropout), &level, &self.table, None)
    }

    /// `log sigma_t`, of t's shape.
    pub fn log_sigma(&self, t: &Tensor) -> Tensor {
        (&self.start + &self.change.get()).gather(0, t)
    }

    /// One step, `x_{t+1} ~ pi_phi(. | x_t)`, reparametrised: differentiable in the net and in sigma.
    pub fn step(&self, x: &Tensor, t: &Tensor, key: &Key, dropout: Option<&Key>) -> Tensor {
        let eps = Tensor::normal(&self.device, x.shape(), key);
        self.mean(x, t, dropout) + eps * self.log_sigma(t).exp().per_sample(x)
    }

    /// `n` trajectories; what `guide(x, sigma_t, t)` adds to each state, if anything, is added.
    pub fn roll_out(&self, n: usize, key: &Key, guide: impl Fn(&Tensor, &Tensor, usize) -> Option<Tensor>) -> RollOut {
        let shape: Vec<usize> = [n].iter().chain(&self.sample).copied().collect();
        let mut states = vec![Tensor::normal(&self.device, shape, &key.named("x_0"))];
        no_grad(|| {
            for t in 0..self.steps {
                let (x, at) = (&states[t], self.time(t));
                let next = self.step(x, &at, &key.index(t as u64), None);
                let push = guide(&next, &self.log_sigma(&at).exp(), t);
                states.push(push.map_or_else(|| next.clone(), |push| &next + &push).detach());
            }
        });
        RollOut { states }
    }

    /// t as a tensor `[1]`.
    pub fn time(&self, t: usize) -> Tensor {
        Tensor::full(&self.device, [1], t as f64)
    }
}

/// Trajectories x_0..x_T of a chain, constants: every stored transition is (t, x_t, x_{t+1}).
pub struct RollOut {
    /// T + 1 states `[N, sample...]`, noise first.
    pub states: Vec<Tensor>,
}

/// Some transitions of a [`RollOut`], their times mixed.
pub struct Transitions {
    /// Where they start, `[N, sample...]`.
    pub x: Tensor,
    /// Where they went, `[N, sample...]`.
    pub next: Tensor,
    /// Which trajectory they belong to, `[N]`.
    pub trajectory: Tensor,
    /// Where it ended, `[N, sample...]`.
    pub end: Tensor,
    /// t, `[N]`
    pub t: Tensor,
}

impl RollOut {
    /// x_T
    pub fn end(&self) -> &Tensor {
        &self.states[self.steps()]
    }

    /// T
    pub fn steps(&self) -> usize {
        self.states.len() - 1
    }

    /// The mean over trajectories and dimensions of `(x_{t+1} - x_t)^2` for each t, `[T]`.
    pub fn squared_steps(&self) -> Tensor {
        let (from, to) = (self.joined(0), self.joined(1));
        let values = from.numel() / self.steps();
        (to - from).square().reshape([self.steps(), values]).mean_axes(&[1])
    }

    /// `n` of the T N stored transitions, drawn at random with replacement.
    pub fn draw(&self, n: usize, key: &Key) -> Transitions {
        let (steps, of, device) = (self.steps(), self.end().dim(0), self.end().device());
        let most = (steps * of) as f64;
        let row = (Tensor::uniform(device, [n], key) * most).floor().clamp(0.0, most - 1.0);
        // Half a row further: the quotient of a multiple may round to just below.
        let t = ((&row + 0.5) / of as f64).floor();
        let trajectory = &row - &t * of as f64;
        Transitions {
            x: self.joined(0).gather(0, &row),
            next: self.joined(1).gather(0, &row),
            end: self.end().gather(0, &trajectory),
            trajectory,
            t,
        }
    }

    /// The states first..first + T, one after the other, `[T N, sample...]`.
    fn joined(&self, first: usize) -> Tensor {
        Tensor::concat(&self.states[first..first + self.steps()].iter().collect::<Vec<_>>(), 0)
    }
}
