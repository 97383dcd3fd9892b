//! Generalized contrastive divergence (Yoon et al. 2023, GCD) by its full algorithm (Yoon et al. 2024, DxMI): an energy and a
//! diffusion sampler trained against each other, without MCMC.
//!
//! `min_theta max_phi KL(p || q_theta) - KL(pi_phi || q_theta)`, `q_theta(x) ~ exp(-E_theta(x) / tau)`
//!
//! The energy does contrastive divergence with samples of pi in place of chains; the sampler learns from the energy as from a
//! reward. In place of the entropy of pi, which is intractable, stands that of its path, and in place of a gradient through all
//! T steps a value function V(x, t), the cost to go, with V(x, T) = E(x):
//!
//! `V(x_t, t) = E[ V(x_{t+1}, t + 1) + tau2 c_t - tau1 log sigma_t ]`, `c_t = |x_{t+1} - x_t|^2 / (2 D s_t^2)`

pub use super::generalized_cd_config::{Config, TimeCost, Update};
use super::{Algorithm, Iteration, Learner, Loader, State, Units, minimize_jointly};
use crate::data::Dataset;
use crate::energy::{Times, Value};
use crate::error::Result;
use crate::nn::Params;
use crate::sample::{GaussianChain, RollOut, Transitions};
use crate::tensor::{Device, Key, Tensor, Var, no_grad};

impl Algorithm for GeneralizedCd {
    /// Section 2 of DxMI: roll out, adapt the velocities, then the energy's step, T steps of the value, and the sampler's.
    fn iteration(&self, it: &mut Iteration) {
        let x_pos = self.units.inwards(&self.data.batch(it).x); // [N, sample...]
        let path = self.sampler.roll_out(x_pos.dim(0), &it.key("roll-out"), |_, _| None); // x_0..x_T
        self.adapt_velocities(&path); // s_t^2

        let gamma = self.config.energy_l2;
        let both = self.energy(&Tensor::concat(&[&x_pos, path.end()], 0));
        let (e_pos, e_neg) = (both.narrow(0, 0, x_pos.dim(0)), both.narrow(0, x_pos.dim(0), x_pos.dim(0)));
        let gap = e_pos.mean() - e_neg.mean();
        let loss = &gap + gamma * (e_pos.square().mean() + e_neg.square().mean());
        let energy_norm = self.energy_learner().minimize(it, &loss);

        let value_loss = match self.config.update {
            Update::Reparametrised => self.learn_values(it, &path),
            Update::PolicyGradient => self.learn_baseline(it, &path),
        };

        for i in 0..self.config.sampler_updates {
            let some = path.draw(x_pos.dim(0), &it.key(&format!("transitions {i}")));
            let loss = match self.config.update {
                Update::Reparametrised => self.cost(&some, &it.key(&format!("step {i}"))),
                Update::PolicyGradient => self.policy_gradient(&some),
            };
            let norms = minimize_jointly(it, &loss, &[&self.sampler_learner, &self.noise_learner]);
            if i == 0 {
                it.metric("sampler_loss", &loss);
                it.metric("sampler_gradient_norm", &norms[0]);
            }
        }

        it.metric("energy_pos", &e_pos.mean()).limit(self.config.max_energy);
        it.metric("energy_neg", &e_neg.mean()).limit(self.config.max_energy);
        it.metric("energy_gap", &gap).limit(self.config.max_energy);
        it.metric("energy_gradient_norm", &energy_norm);
        it.metric("value_loss", &value_loss);
        let sigmas = self.sampler.log_sigmas().detach().exp();
        it.metrics_of((0..self.steps()).map(|t| format!("sigma_{t}")), &sigmas);
    }

    fn state(&self) -> Vec<(String, State)> {
        let nets = self.learners().flat_map(|(name, learner)| learner.state(name));
        nets.chain([("velocities".to_string(), State::Value(self.velocities.clone()))]).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.learners().map(|(name, learner)| (name, learner.params.numel())).collect()
    }

    fn advice(&self) -> String {
        let Config { tau1, value_optimizer, sampler_optimizer, .. } = &self.config;
        format!(
            "Lower algorithm.value_optimizer.rate.lr (now {}), algorithm.sampler_optimizer.rate.lr (now {}) or algorithm.tau1 \
             (now {tau1})",
            value_optimizer.rate().lr,
            sampler_optimizer.rate().lr
        )
    }
}

impl GeneralizedCd {
    /// `s_t^2 <- alpha s_t^2 + (1 - alpha) mean (x_{t+1} - x_t)^2`: where the bound on the path's divergence is tightest.
    pub(super) fn adapt_velocities(&self, path: &RollOut) {
        let alpha = self.config.velocity_decay;
        self.velocities.set(self.velocities.get() * alpha + path.squared_steps() * (1.0 - alpha));
    }

    /// `tau2 c_t - tau1 log sigma_t` of steps from x to x', `[N]`: what the path's divergence costs.
    fn running_cost(&self, x: &Tensor, next: &Tensor, t: &Tensor) -> Tensor {
        let squared = (next - x).square().reshape([x.dim(0), x.numel() / x.dim(0)]).mean_axes(&[1]);
        let (velocity, log_sigma) = (self.velocities.get().gather(0, t), self.sampler.log_sigmas().gather(0, t));
        0.5 * self.config.tau2 * squared / velocity - self.config.tau1 * log_sigma
    }

    /// For t = T-1..0 one step down `|V(x_t, t) - y|^2`, `y = V(x_{t+1}, t + 1) + tau2 c_t - tau1 log sigma_t + kappa_t`;
    /// returns the mean of the losses.
    pub(super) fn learn_values(&self, it: &mut Iteration, path: &RollOut) -> Tensor {
        let (n, steps) = (path.end().dim(0), self.steps());
        let [x, stored] = path.all(); // [T N, sample...]: t by t
        let (next, costs) = no_grad(|| {
            let t: Vec<f64> = (0..steps * n).map(|row| (row / n) as f64).collect();
            let t = Tensor::from_f64(it.device(), [steps * n], t);
            let redraw = || self.sampler.step(&x, &self.sampler.at_each(&t), &it.key("redraw"), None);
            let next = if self.config.redraw { redraw() } else { stored };
            let costs = self.config.running_cost.then(|| self.running_cost(&x, &next, &t));
            (next, costs)
        });
        let mut losses = Vec::new();
        for t in (0..steps).rev() {
            let part = |all: &Tensor| all.narrow(0, t * n, n);
            let target = no_grad(|| {
                let to_go = self.value.value(&part(&next), Times::All(t + 1)) + self.config.time_cost.at(t, steps);
                costs.as_ref().map_or(to_go.clone(), |costs| to_go + part(costs))
            });
            let loss = (self.value.value(&path.states[t], Times::All(t)) - target).square().mean();
            self.value_learner.update(it, &self.value_learner.gradients(&loss));
            losses.push(loss.detach().reshape([1]));
        }
        self.value_learner.average(it);
        Tensor::concat(&losses.iter().collect::<Vec<_>>(), 0).mean()
    }

    /// The sampler's loss: `V(x', t + 1) + tau2 c_t - tau1 log sigma_t` of one fresh step `x' = mu_phi(x_t, t) + sigma_t eps`, a
    /// mean over stored (t, x_t). The last `free_steps` steps of the chain pay for V alone.
    pub(super) fn cost(&self, of: &Transitions, key: &Key) -> Tensor {
        let at = self.sampler.at_each(&of.t);
        let next = self.sampler.step(&of.x, &at, &key.named("noise"), Some(&key.named("dropout")));
        let value = self.frozen(|| self.value.value(&next, Times::Each(&at.next)));
        let cost = self.running_cost(&of.x, &next, &of.t);
        if self.config.free_steps == 0 {
            return (value + cost).mean();
        }
        let pays = of.t.less(&Tensor::scalar(of.t.device(), (self.steps() - self.config.free_steps) as f64));
        (value + pays * cost).mean()
    }

    /// Policy gradient (Fan and Lee 2023, SFT-PG): `|V(x_t, t) - E(x_T)|^2` over all t; returns the loss.
    fn learn_baseline(&self, it: &mut Iteration, path: &RollOut) -> Tensor {
        let reward = no_grad(|| self.energy(path.end()));
        let all = path.draw(path.end().dim(0), &it.key("baseline"));
        let reward = reward.gather(0, &all.trajectory);
        let loss = (self.value.value(&all.x, Times::Each(&all.t)) - reward).square().mean();
        self.value_learner.minimize(it, &loss);
        loss
    }

    /// The sampler's loss by policy gradient: `(E(x_T) - V(x_t, t)) log pi(x_{t+1} | x_t)`, a mean over stored transitions and
    /// dimensions.
    pub(super) fn policy_gradient(&self, of: &Transitions) -> Tensor {
        let advantage = no_grad(|| self.energy(&of.end) - self.value.value(&of.x, Times::Each(&of.t))); // [N]
        let at = self.sampler.at_each(&of.t);
        let log_sigma = self.sampler.log_sigma(&at);
        let off = (&of.next - self.sampler.mean(&of.x, &at, None)) / log_sigma.exp().per_sample(&of.x);
        let squares = off.square().reshape([of.x.dim(0), of.x.numel() / of.x.dim(0)]).mean_axes(&[1]);
        (advantage * (-0.5 * squares - log_sigma)).mean()
    }

    /// T
    pub(super) fn steps(&self) -> usize {
        self.sampler.steps()
    }

    /// `E(x) = V(x, T)`
    fn energy(&self, x: &Tensor) -> Tensor {
        self.value.value(x, Times::All(self.steps()))
    }

    /// Whoever trains the energy.
    fn energy_learner(&self) -> &Learner {
        self.energy_learner.as_ref().unwrap_or(&self.value_learner)
    }

    /// Runs `f` with constant parameters of E and V.
    fn frozen<T>(&self, f: impl FnOnce() -> T) -> T {
        self.value_learner.params.frozen(|| self.energy_learner().params.frozen(f))
    }

    /// Runs `f` with averaged parameters of E and V.
    pub(super) fn with_average_values<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.energy_learner {
            Some(energy) => energy.with_ema(|| self.value_learner.with_ema(f)),
            None => self.value_learner.with_ema(f),
        }
    }

    /// The nets under training, by name.
    fn learners(&self) -> impl Iterator<Item = (&'static str, &Learner)> {
        let energy = self.energy_learner.iter().map(|learner| ("energy", learner));
        let rest = [("value", &self.value_learner), ("sampler", &self.sampler_learner), ("noise", &self.noise_learner)];
        energy.chain(rest)
    }
}

/// The nets under training, and what they are trained on.
pub struct GeneralizedCd {
    pub(super) config: Config,
    pub(super) value: Box<dyn Value>,
    pub(super) value_learner: Learner,
    /// E's, where it is a net of its own.
    pub(super) energy_learner: Option<Learner>,
    pub(super) sampler: GaussianChain,
    pub(super) sampler_learner: Learner,
    pub(super) noise_learner: Learner,
    /// s_t^2, `[T]`
    pub(super) velocities: Var,
    pub(super) data: Loader,
    pub(super) units: Units,
}

impl GeneralizedCd {
    /// The nets that the settings ask for; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<GeneralizedCd> {
        config.check(&data)?;
        let (units, item, schedule) = (Units::of(&data.sample_shape), &data.sample_shape, config.sampler.schedule());
        let params = |name: &str| Params::new(device, key.named(name));
        let [of_value, of_energy, of_sampler, of_noise] =
            ["value parameters", "energy parameters", "sampler parameters", "noise parameters"].map(params);
        let bounds = units.bounds(&data.bounds());
        let value = config.value.build(&of_value.root(), &of_energy.root(), item, &bounds, schedule.steps())?;
        of_value.check("algorithm.value")?;
        of_energy.check("algorithm.value.energy")?;
        let separate = config.value.has_separate_energy();
        let net = config.sampler.net.build(&of_sampler.root(), item, &schedule)?;
        of_sampler.check("algorithm.sampler.net")?;
        // The variance that a level adds, from the noise end.
        let added = (1..=schedule.steps()).rev().map(|level| schedule.step_sigma(level).powi(2)).collect();
        Ok(GeneralizedCd {
            value,
            value_learner: Learner::new(&of_value, &config.value_optimizer, config.ema),
            energy_learner: separate.then(|| Learner::new(&of_energy, &config.energy_optimizer, config.ema)),
            sampler: GaussianChain::new(net, &of_noise.root(), &schedule, config.last_sigma, item),
            sampler_learner: Learner::new(&of_sampler, &config.sampler_optimizer, config.ema),
            noise_learner: Learner::new(&of_noise, &config.noise_optimizer, config.ema),
            velocities: Var::new(&Tensor::from_f64(device, [schedule.steps()], added)),
            data: Loader::new(device, data, config.batch, &key.named("batches"))?,
            units,
            config: config.clone(),
        })
    }
}
