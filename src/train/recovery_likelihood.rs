//! Diffusion recovery likelihood (Gao et al. 2021, DRL) and its cooperative form (Zhu et al. 2024, CDRL).
//!
//! One energy for all noise levels t = 1..=T models y = a_t x_{t-1} given the noisier x_t,
//!
//! `p(y | x_t) ~ exp( -E(y, lambda_{t-1}) / s_t^2 - |y - x_t|^2 / (2 sigma_t^2) )`,
//!
//! which the second term makes narrow and easy to sample. Levels, constants and the special last level:
//! [`RecoveryTable`]. Samples go the way back from x_T ~ N(0, I), level by level: `recovery_sampler.rs`.

use super::initializer_learner::per_dimension;
pub use super::recovery_config::{Config, Stage};
use super::{Algorithm, InitializerLearner, Iteration, Learner, LevelMeans, Loader, Start, State, Units};
use crate::autodiff::grad_graph;
use crate::data::Dataset;
use crate::diffusion::{InitializerConfig, RecoveryTable, Schedule, Transition, Transitions};
use crate::energy::{Energy, EnergyLevel, LevelEnergy};
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::ops::langevin::LangevinStep;
use crate::ops::schedule::{Noise, add_noise};
use crate::sample::Chain;
use crate::tensor::{Device, Key, Tensor};

impl Algorithm for RecoveryLikelihood {
    /// Algorithm 1 of CDRL: noise the data, propose, K Langevin steps, one step of the energy, one of the initializer.
    fn iteration(&self, it: &mut Iteration) {
        let (x, t, condition) = self.batch(it); // [N, sample...], t ~ U{1..T} [N], its index with the class [N]
        let of = self.transitions.of(&t); // a_t, sigma_t, s_t, c_t, w_t: [N] each
        let (x_t, x_below) = self.noised(it, &x, &t, &of); // x_t and x_{t-1}
        let y_pos = x_below * of.a.per_sample(&x);
        let m = &x_t * of.mean[0].per_sample(&x) + &x * of.mean[1].per_sample(&x); // E[y | x_t, x]

        let start = match &self.initializer {
            Some(g) => g.propose(it, &x_t, &condition, &t), // y_0 = g(x_t, lambda_t) + sqrt(v_t) n
            None => Start { x: x_t.clone(), source: x_t.clone() }, // DRL
        };
        if self.config.stage == Stage::Scores {
            self.match_slopes(it, &x, &y_pos, (&t, &of, &condition));
        }
        if self.config.stage != Stage::Both {
            return self.initializer.iter().for_each(|g| g.learn(it, &t, &start, &m, None));
        }
        self.energy.update_norms();
        let energy = self.energy.at(&Tensor::concat(&[&condition, &condition], 0)); // for y_pos and y_neg
        // y <- y - 1/2 dE/dy - c_t (y - x_t) + s_t xi
        let step = LangevinStep::new(0.5, &of.s).coupling(&of.coupling, &x_t);
        let chain = Chain::new(self.config.langevin_steps, step).fused(self.config.fused);
        let y_neg = chain.run(&energy.frozen(x.dim(0)), &start.x, &it.key("langevin"));

        let (e_pos, e_neg) = energy.pair(&y_pos, &y_neg); // [N] each
        let loss = (&of.weight * (&e_pos - &e_neg)).mean(); // w_t = sigma_1 / sigma_t
        let norm = self.learner.minimize(it, &loss);
        self.initializer.iter().for_each(|g| g.learn(it, &t, &start, &m, Some(&y_neg)));

        it.metric("loss", &loss);
        it.metric("energy_gap", &(e_pos.mean() - e_neg.mean())).limit(self.config.max_energy);
        it.metric("energy_pos", &e_pos.mean()).limit(self.config.max_energy);
        it.metric("energy_neg", &e_neg.mean()).limit(self.config.max_energy);
        it.metric("gradient_norm", &norm);
        let [wanted, moved] = [&y_pos, &y_neg].map(|y| per_dimension(&(y - &start.x))); // [N] each
        it.metric("chain_displacement", &moved.mean().sqrt()).limit(1e3);
        self.distances.report(it, &["rms_start_error", "rms_displacement"], &t, &[&wanted, &moved]);
    }

    fn state(&self) -> Vec<(String, State)> {
        let initializer = self.initializer.iter().flat_map(|g| g.state());
        let distances = ("distances".to_string(), self.distances.state());
        self.learner.state("energy").into_iter().chain(initializer).chain([distances]).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let initializer = self.initializer.iter().map(|g| ("initializer", g.learner.params.numel()));
        [("energy", self.learner.params.numel())].into_iter().chain(initializer).collect()
    }

    fn advice(&self) -> String {
        format!(
            "Lower algorithm.energy_optimizer.rate.lr (now {}), or take more algorithm.langevin_steps (now {})",
            self.config.energy_optimizer.rate.lr, self.config.langevin_steps
        )
    }
}

impl RecoveryLikelihood {
    /// Clean samples in the nets' units, mirrored at random if so set; a level for each; the index of level and class.
    fn batch(&self, it: &mut Iteration) -> (Tensor, Tensor, Tensor) {
        let (batch, levels) = (self.data.batch(it), self.config.levels as f64);
        let (mut x, n) = (batch.x.clone(), batch.x.dim(0));
        let coin = |name: &str, p: f64| it.uniform(name, [n]).less(&Tensor::scalar(it.device(), p));
        if self.config.flip && self.images() {
            x = coin("flip", 0.5).per_sample(&x).where_(&x.flip(2), &x);
        }
        let x = self.units.inwards(&x);
        let t = ((it.uniform("level", [n]) * levels).floor() + 1.0).clamp(1.0, levels);
        let class = match self.data.labels(&batch).filter(|_| self.classes > 0) {
            Some(labels) => {
                coin("label", self.config.label_drop).where_(&Tensor::zeros(it.device(), [n]), &(labels + 1.0))
            }
            None => Tensor::zeros(it.device(), [n]),
        };
        let condition = (&t - 1.0) * (self.classes + 1) as f64 + class;
        (x, t, condition)
    }

    /// Denoising score matching: one step of the energy down `(1 - abar_{t-1}) |eps_hat - eps|^2`, a mean over samples and
    /// dimensions, where
    ///
    /// `y = a_t (sqrt(abar_{t-1}) x + sqrt(1 - abar_{t-1}) eps)`, `eps_hat = a_t sqrt(1 - abar_{t-1}) / s_t^2 dE(y)/dy`.
    ///
    /// The best slope is that of `-s_t^2 log p(y)`: what chains contrast, learnt from noise alone. The weight makes it the error of
    /// the denoised `sqrt(abar_{t-1}) x`, so that levels with little noise, which is hard to tell from the data, count little.
    fn match_slopes(
        &self,
        it: &mut Iteration,
        x: &Tensor,
        y: &Tensor,
        (t, of, condition): (&Tensor, &Transition, &Tensor),
    ) {
        let below = self.noising.gather(0, &(t - 1.0));
        let [signal, noise] = [0, 1].map(|i| below.narrow(1, i, 1).reshape([t.numel()])); // of x_{t-1}
        let added = y / of.a.per_sample(x) - x * signal.per_sample(x); // sqrt(1 - abar) eps
        self.energy.update_norms();
        let y = y.tracked();
        let slope = grad_graph(&self.energy.at(condition).energy(&y), &[&y]).remove(0);
        let found = slope * (&of.a * noise.square() / of.s.square()).per_sample(x); // sqrt(1 - abar) eps_hat
        let loss = (found - added).square().mean();
        let norm = self.learner.minimize(it, &loss);
        it.metric("score_loss", &loss);
        it.metric("gradient_norm", &norm);
    }

    /// x_t and x_{t-1}: with `shared_noise` both have the same noise, which lowers the variance of the gradient.
    fn noised(&self, it: &Iteration, x: &Tensor, t: &Tensor, of: &Transition) -> (Tensor, Tensor) {
        let (below, table) = (t - 1.0, &self.noising);
        let eps = it.normal("noise", x.shape());
        if self.config.shared_noise {
            return (add_noise(x, t, table, Noise::Given(&eps)), add_noise(x, &below, table, Noise::Given(&eps)));
        }
        let x_below = add_noise(x, &below, table, Noise::Drawn(&it.key("noise below")));
        (&x_below * &of.alpha.per_sample(x) + &eps * &of.sigma.per_sample(x), x_below)
    }
}

/// The nets under training, and what they are trained on.
pub struct RecoveryLikelihood {
    pub(super) config: Config,
    pub(super) device: Device,
    pub(super) energy: LevelEnergy,
    pub(super) learner: Learner,
    pub(super) initializer: Option<InitializerLearner>,
    pub(super) schedule: Schedule,
    pub(super) table: RecoveryTable,
    noising: Tensor,
    transitions: Transitions,
    /// `mean (y_pos - y_0)^2` and `mean (y_neg - y_0)^2` of each level.
    distances: LevelMeans,
    data: Loader,
    pub(super) units: Units,
    /// Classes, without "none"; 0 where the nets are not told.
    pub(super) classes: usize,
}

impl RecoveryLikelihood {
    /// Builds the nets and their optimisers; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<RecoveryLikelihood> {
        config.check(&data)?;
        let schedule = config.schedule.build(config.levels)?;
        let table = RecoveryTable::new(&schedule, config.step_rule);
        let classes = match (config.conditional, data.class_count()) {
            (false, _) => 0,
            (true, 0) => {
                return Err(Error::setting(format!("{} has no labels; set algorithm.conditional = false", data.name)));
            }
            (true, classes) => classes,
        };
        let params = Params::new(device, key.named("energy parameters"));
        let level = |t: usize| EnergyLevel { log_snr: schedule.log_snr(t - 1), a: table.step(t).a, s: table.step(t).s };
        let levels: Vec<EnergyLevel> = (1..=config.levels).map(level).collect();
        let units = Units::of(&data.sample_shape).folded(config.fold);
        let item = units.sample(&data.sample_shape);
        let energy = LevelEnergy::new(&params.root(), &item, &config.energy, &levels, classes)?;
        params.check("algorithm.energy")?;
        let initializer = |net: &InitializerConfig| {
            let key = key.named("initializer parameters");
            InitializerLearner::new(net, config, (&schedule, &table), &item, classes, device, &key)
        };
        Ok(RecoveryLikelihood {
            initializer: config.initializer.as_ref().map(initializer).transpose()?,
            energy,
            learner: Learner::new(&params, &config.energy_optimizer, config.ema),
            noising: schedule.noising(device),
            transitions: table.on(device, &schedule),
            schedule,
            table,
            classes,
            units,
            distances: LevelMeans::new(device, [vec![0.0; config.levels], vec![0.0; config.levels]]),
            data: Loader::new(device, data, config.batch, &key.named("batches"))?,
            config: config.clone(),
            device: device.clone(),
        })
    }

    /// The data it learns.
    pub fn data(&self) -> &Dataset {
        self.data.data()
    }
}
