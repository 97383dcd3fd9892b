//! A diffusion sampler as a chain of Gaussian steps whose noise is trained, too (GCD, section 2 of its full form DxMI).

use crate::diffusion::{NoiseNet, Schedule};
use crate::nn::{Init, Param, Scope};
use crate::ops::schedule::denoise_step;
use crate::tensor::{Key, Tensor, no_grad};

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
    /// t = 0..=T.
    times: Vec<Time>,
    sample: Vec<usize>,
}

/// Times of a chain, one for each sample `[N]`, or one for all `[1]`, as constants on the device.
pub struct Time {
    /// t
    pub t: Tensor,
    /// t + 1
    pub next: Tensor,
    /// T - t and T - t - 1: the level of a schedule, and its index.
    level: Tensor,
    index: Tensor,
}

impl GaussianChain {
    /// A chain of samples of shape `sample` that denoises with `net`. Declares `log_sigma`, the change of log sigma_t since
    /// the start, in `noise`; the last sigma is `last_sigma`, as DDPM's would be zero, which has no density.
    pub fn new(
        net: Box<dyn NoiseNet>,
        noise: &Scope,
        schedule: &Schedule,
        last_sigma: f64,
        sample: &[usize],
    ) -> GaussianChain {
        let (steps, device) = (schedule.steps(), noise.device());
        let ddpm = (1..=steps).rev().map(|level| schedule.reverse(level, 1.0)[2].max(last_sigma).ln());
        let all = steps as f64;
        let time = |t: usize| {
            let [t, next, level, index] = [t as f64, t as f64 + 1.0, all - t as f64, all - t as f64 - 1.0]
                .map(|v| Tensor::from_f64(device, [1], vec![v]));
            Time { t, next, level, index }
        };
        GaussianChain {
            net,
            start: Tensor::from_f64(device, [steps], ddpm.collect()),
            change: noise.param("log_sigma", [steps], Init::Constant(0.0)),
            table: schedule.denoising(device, 1.0),
            times: (0..=steps).map(time).collect(),
            sample: sample.to_vec(),
        }
    }

    /// T
    pub fn steps(&self) -> usize {
        self.times.len() - 1
    }

    /// The time t, the same for all samples.
    pub fn at(&self, t: usize) -> &Time {
        &self.times[t]
    }

    /// The times `t [N]`, one for each sample.
    pub fn at_each(&self, t: &Tensor) -> Time {
        let all = self.steps() as f64;
        Time { t: t.clone(), next: t + 1.0, level: t.affine(-1.0, all), index: t.affine(-1.0, all - 1.0) }
    }

    /// `mu_phi(x_t, t)`. `dropout` draws the dropout of a training step.
    pub fn mean(&self, x: &Tensor, at: &Time, dropout: Option<&Key>) -> Tensor {
        denoise_step(x, &self.net.noise(x, &at.index, dropout), &at.level, &self.table, None)
    }

    /// `log sigma_t` for all t, `[T]`.
    pub fn log_sigmas(&self) -> Tensor {
        &self.start + &self.change.get()
    }

    /// `log sigma_t`, of t's shape.
    pub fn log_sigma(&self, at: &Time) -> Tensor {
        self.log_sigmas().gather(0, &at.t)
    }

    /// One step, `x_{t+1} ~ pi_phi(. | x_t)`, reparametrised: differentiable in the net and in sigma.
    pub fn step(&self, x: &Tensor, at: &Time, key: &Key, dropout: Option<&Key>) -> Tensor {
        let eps = Tensor::normal(x.device(), x.shape(), key);
        self.mean(x, at, dropout) + eps * self.log_sigma(at).exp().per_sample(x)
    }

    /// `n` trajectories; what `guide(x_{t+1}, t)` adds to each state, if anything, is added.
    pub fn roll_out(&self, n: usize, key: &Key, guide: impl Fn(&Tensor, usize) -> Option<Tensor>) -> RollOut {
        let shape: Vec<usize> = [n].iter().chain(&self.sample).copied().collect();
        let mut states = vec![Tensor::normal(self.start.device(), shape, &key.named("x_0"))];
        no_grad(|| {
            for t in 0..self.steps() {
                let (x, at) = (&states[t], self.at(t));
                let next = self.step(x, at, &key.index(t as u64), None);
                let push = guide(&next, t);
                states.push(push.map_or_else(|| next.clone(), |push| &next + &push).detach());
            }
        });
        RollOut { states }
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

    /// The states x_0..x_{T-1}, and x_1..x_T, `[T N, sample...]` each: all transitions, t by t.
    pub fn all(&self) -> [Tensor; 2] {
        [0, 1].map(|first| self.joined(first))
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
