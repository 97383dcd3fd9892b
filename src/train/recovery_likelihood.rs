//! Diffusion recovery likelihood (Gao et al. 2021, DRL) and its cooperative form (Zhu et al. 2024, CDRL).
//!
//! One energy for all noise levels t = 1..=T models y = a_t x_{t-1} given the noisier x_t,
//!
//! `p(y | x_t) ~ exp( -E(y, lambda_{t-1}) / s_t^2 - |y - x_t|^2 / (2 sigma_t^2) )`,
//!
//! which the second term makes narrow and easy to sample. Each iteration:
//!
//! 1. Data x, a level t and noise give x_t and y_pos = a_t x_{t-1}; with `shared_noise` both have the same noise, which
//!    lowers the variance of the gradient.
//! 2. A chain starts at the initializer's proposal y_0 = g(x_t, lambda_t) + sqrt(v_t) n (DRL: at x_t) and takes K Langevin
//!    steps to y_neg.
//! 3. One Adam step of the energy on `mean w_t (E(y_pos) - E(y_neg))`, w_t = sigma_1 / sigma_t.
//! 4. One Adam step of the initializer on `mean |y_neg - y_0|^2`: it learns what the chain corrected ([`Target`]).
//!
//! Levels, constants and the special last level: [`RecoveryTable`](crate::diffusion::RecoveryTable).
//! Samples go the way back from x_T ~ N(0, I), level by level: `recovery_sampler.rs`.

use super::recovery_sampler::Sampler;
use super::request::{SampleRequest, Samples};
use super::trainer::{Algorithm, Figure, State};
use super::{Batches, Trained, maps};
use crate::data::Dataset;
use crate::diffusion::{
    Initializer, InitializerConfig, LevelSchedule, RecoveryStep, RecoveryTable, Schedule, StepRule,
};
use crate::energy::{Energy, LevelEnergy, LevelEnergyConfig};
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::ops::langevin::LangevinStep;
use crate::ops::schedule::{Noise, add_noise};
use crate::optim::AdamConfig;
use crate::tensor::{Device, Feed, Key, Step, Tensor, no_grad};
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Data items per iteration.
    pub batch: usize,
    /// T, the number of levels.
    pub levels: usize,
    /// How much signal is left at each level.
    pub schedule: LevelSchedule,
    /// How the Langevin step follows the level.
    pub step_rule: StepRule,
    /// K, Langevin steps per level.
    pub langevin_steps: usize,
    /// Whether x_t and x_{t-1} have the same noise.
    pub shared_noise: bool,
    /// Whether the nets are told the class.
    pub conditional: bool,
    /// The probability that they are not, in training, so that they learn the case without a class too.
    pub label_drop: f64,
    /// Whether images are mirrored at random.
    pub flip: bool,
    /// Whether samples end with the mean of the clean data given the last level.
    pub denoise: bool,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving averages of both nets' parameters.
    pub ema: f64,
    /// Whether steps are captured once and replayed; the numbers are the same.
    pub replay_steps: bool,
    /// The energy net.
    pub energy: LevelEnergyConfig,
    /// How its parameters move.
    pub energy_optimizer: AdamConfig,
    /// The net that proposes where chains start; without it they start at x_t (DRL).
    pub initializer: Option<InitializerConfig>,
    /// What it learns.
    pub initializer_target: Target,
    /// How its parameters move.
    pub initializer_optimizer: AdamConfig,
}

/// What the initializer learns to propose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Where the chains end, by `|y_neg - y_0|^2`: cooperative learning, as published.
    Chain,
    /// The data, by `|y_pos - g(x_t)|^2`: a denoiser trained on its own, from which the energy's chains start. Tells what
    /// cooperation adds, and is far quicker on images.
    Data,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            levels: 6,
            schedule: LevelSchedule::Cooperative,
            step_rule: StepRule::Growing { b2: 4e-4 },
            langevin_steps: 15,
            shared_noise: true,
            conditional: false,
            label_drop: 0.1,
            flip: false,
            denoise: true,
            max_energy: 1e6,
            ema: 0.9999,
            replay_steps: true,
            energy: LevelEnergyConfig::Mlp { widths: vec![128, 256, 256, 256], embedding: 512 },
            energy_optimizer: AdamConfig::default(),
            initializer: None,
            initializer_target: Target::Chain,
            initializer_optimizer: AdamConfig::default(),
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let (StepRule::Growing { b2 } | StepRule::Level { b2 }) = self.step_rule;
        if !(b2 > 0.0 && b2.is_finite()) {
            return Err(Error::setting(format!("algorithm.step_rule.b2 = {b2}: use a positive number")));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::setting(format!("algorithm.ema = {}: use 0 to less than 1", self.ema)));
        }
        // The energy without a class scores outliers and fills in images, so it must be learnt as well.
        if self.conditional && !(self.label_drop > 0.0 && self.label_drop <= 1.0) {
            return Err(Error::setting(format!(
                "algorithm.label_drop = {}: use more than 0, up to 1",
                self.label_drop
            )));
        }
        Ok(())
    }
}

/// The training state.
pub struct RecoveryLikelihood {
    pub(super) config: Config,
    pub(super) device: Device,
    key: Key,
    /// The energy of all levels.
    pub energy: LevelEnergy,
    /// Its parameters.
    pub energy_training: Trained,
    /// Where chains start, if that is learnt, and its parameters.
    pub initializer: Option<(Box<dyn Initializer>, Trained)>,
    pub(super) schedule: Schedule,
    pub(super) table: RecoveryTable,
    constants: Constants,
    batches: Batches,
    /// Classes, without "none"; 0 where the nets are not told.
    pub(super) classes: usize,
    clock: Feed,
    /// t of each sample.
    level: Feed,
    /// The condition row of each sample: (t - 1) (classes + 1) + class.
    rows: Feed,
    step: Step<Tensor>,
}

/// Tables by level on the device.
struct Constants {
    noising: Tensor,
    /// The true sqrt(abar_t / abar_{t-1}), also at the last level, then a, sigma, s, coupling, proposal and weight of each
    /// transition: `[T + 1, 7]`.
    steps: Tensor,
}

/// The constants of each sample's transition, `[N]` each.
struct OfSamples {
    signal: Tensor,
    a: Tensor,
    sigma: Tensor,
    s: Tensor,
    coupling: Tensor,
    proposal: Tensor,
    weight: Tensor,
}

impl Constants {
    fn new(device: &Device, schedule: &Schedule, table: &RecoveryTable) -> Constants {
        let columns: [fn(&RecoveryStep) -> f64; 6] =
            [|s| s.a, |s| s.sigma, |s| s.s, |s| s.coupling, |s| s.proposal, |s| s.weight];
        let signal = (0..=schedule.steps()).map(|t| if t == 0 { 1.0 } else { schedule.step_signal(t) }).collect();
        let columns: Vec<Vec<f64>> = [signal].into_iter().chain(columns.map(|field| table.column(field))).collect();
        let rows = schedule.steps() + 1;
        let steps = (0..rows).flat_map(|t| columns.iter().map(move |c| c[t])).collect();
        Constants { noising: schedule.noising(device), steps: Tensor::from_f64(device, [rows, 7], steps) }
    }

    fn of(&self, level: &Tensor) -> OfSamples {
        let rows = self.steps.gather(0, level);
        let column = |i: usize| rows.narrow(1, i, 1).reshape([level.numel()]);
        let [signal, a, sigma, s, coupling, proposal, weight] = std::array::from_fn(column);
        OfSamples { signal, a, sigma, s, coupling, proposal, weight }
    }
}

/// `[N]` as a factor of samples `[N, ...]`.
fn each(values: &Tensor, x: &Tensor) -> Tensor {
    let mut shape = vec![1; x.shape().rank()];
    shape[0] = values.numel();
    values.reshape(shape)
}

/// K Langevin steps on p(y | x_t): `y' = y - m^2 (dE/dy / 2 + c (y - x_t)) + m s xi`; after each, `keep` may change y.
pub(super) fn refine(
    energy: &dyn Energy,
    y: &Tensor,
    step: &LangevinStep,
    steps: usize,
    key: &Key,
    keep: impl Fn(Tensor) -> Tensor,
) -> Tensor {
    let one = |y: Tensor, k: usize| keep(step.apply(&y, &energy.gradient(&y), &key.index(k as u64)).detach());
    (0..steps).fold(y.detach(), one)
}

impl RecoveryLikelihood {
    /// Builds the nets and their optimisers; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<RecoveryLikelihood> {
        config.check()?;
        let schedule = config.schedule.build(config.levels)?;
        let table = RecoveryTable::new(&schedule, config.step_rule);
        let classes = match (config.conditional, &data.labels) {
            (false, _) => 0,
            (true, Some(labels)) => labels.iter().max().map_or(0, |&l| l as usize + 1),
            (true, None) => {
                return Err(Error::setting(format!("{} has no labels; set algorithm.conditional = false", data.name)));
            }
        };
        let log_snr = |t: usize| schedule.log_snr(t);
        let energy_params = Params::new(device, key.named("energy parameters"));
        let below: Vec<f64> = (0..config.levels).map(log_snr).collect();
        let energy = LevelEnergy::new(&energy_params.root(), &data.sample_shape, &config.energy, &below, classes)?;
        let above: Vec<f64> = (1..=config.levels).map(log_snr).collect();
        let propose = |wanted: &InitializerConfig| -> Result<(Box<dyn Initializer>, Trained)> {
            let params = Params::new(device, key.named("initializer parameters"));
            let net = wanted.build(&params.root(), &data.sample_shape, &above, classes)?;
            Ok((net, Trained::new(params, &config.initializer_optimizer, config.ema)))
        };
        Ok(RecoveryLikelihood {
            energy,
            energy_training: Trained::new(energy_params, &config.energy_optimizer, config.ema),
            initializer: config.initializer.as_ref().map(propose).transpose()?,
            constants: Constants::new(device, &schedule, &table),
            schedule,
            table,
            classes,
            batches: Batches::new(device, data, config.batch, &key.named("batches"))?,
            clock: Feed::new(device, [1]),
            level: Feed::new(device, [config.batch]),
            rows: Feed::new(device, [config.batch]),
            step: if config.replay_steps { Step::new(device) } else { Step::eager(device) },
            config: config.clone(),
            device: device.clone(),
            key: key.clone(),
        })
    }

    /// The data it learns.
    pub fn data(&self) -> &Dataset {
        self.batches.data()
    }

    /// Whether samples are images rather than points.
    pub(super) fn images(&self) -> bool {
        self.data().sample_shape.len() == 3
    }

    /// From the units of the data set to those of the nets: images from [0, 1] to [-1, 1], points as they are.
    pub(super) fn scaled(&self, x: &Tensor) -> Tensor {
        if self.images() { x.affine(2.0, -1.0) } else { x.clone() }
    }

    /// The way back.
    pub(super) fn unscaled(&self, x: &Tensor) -> Tensor {
        if self.images() { x.affine(0.5, 0.5) } else { x.clone() }
    }

    /// Chooses level and class of each sample of iteration `step`.
    fn feed_conditions(&self, step: u64) {
        let key = self.key.named("conditions").index(step);
        let n = self.config.batch;
        let (levels, kept) = (key.named("level"), key.named("label"));
        let level: Vec<usize> =
            (0..n as u64).map(|i| 1 + ((levels.uniform(i) * self.config.levels as f64) as usize)).collect();
        let labels = self.batches.labels().filter(|_| self.classes > 0);
        let class = |i: usize| match &labels {
            Some(labels) if kept.uniform(i as u64) >= self.config.label_drop => labels[i] as usize + 1,
            _ => 0,
        };
        let row = |i: usize| ((level[i] - 1) * (self.classes + 1) + class(i)) as f32;
        self.rows.write(&(0..n).map(row).collect::<Vec<_>>());
        self.level.write(&level.iter().map(|&t| t as f32).collect::<Vec<_>>());
    }

    /// The clean batch in the nets' units.
    fn clean(&self, key: &Key) -> Tensor {
        let x = self.scaled(&self.batches.rows());
        if !self.config.flip || !self.images() {
            return x;
        }
        let coin = Tensor::uniform(&self.device, [x.dim(0)], key).less(&Tensor::scalar(&self.device, 0.5));
        each(&coin, &x).where_(&x.flip(2), &x)
    }

    /// x_t and x_{t-1}.
    fn noised(&self, x: &Tensor, c: &OfSamples, key: &Key) -> (Tensor, Tensor) {
        let (level, table) = (self.level.tensor(), &self.constants.noising);
        let below = level.add_scalar(-1.0);
        let eps = Tensor::normal(&self.device, x.shape(), &key.named("noise"));
        if self.config.shared_noise {
            return (add_noise(x, level, table, Noise::Given(&eps)), add_noise(x, &below, table, Noise::Given(&eps)));
        }
        let x_below = add_noise(x, &below, table, Noise::Drawn(&key.named("noise below")));
        let x_t = &x_below * &each(&c.signal, x) + &eps * &each(&c.sigma, x);
        (x_t, x_below)
    }

    /// The work of one iteration, from device values only, so that it can be captured.
    fn iteration(&self) -> Tensor {
        let key = self.key.named("iteration").clocked(self.clock.tensor());
        let (n, rows) = (self.config.batch, self.rows.tensor());
        let c = self.constants.of(self.level.tensor());
        let x = self.clean(&key.named("flip"));
        let (x_t, x_below) = self.noised(&x, &c, &key);
        let y_pos = &x_below * &each(&c.a, &x);

        let proposal = self.initializer.as_ref().map(|(net, training)| {
            let noise = Tensor::normal(&self.device, x.shape(), &key.named("proposal"));
            let mean = net.mean(&x_t, rows, Some(&key.named("dropout")));
            (&mean + &(&noise * &each(&c.proposal, &x)), mean, training)
        });
        let y_0 = proposal.as_ref().map_or(&x_t, |(y_0, _, _)| y_0);
        self.energy.update_norms();
        // For y_pos and y_neg; the chain uses the half of it, as a constant.
        let energy = self.energy.at(&Tensor::concat(&[rows, rows], 0));
        let langevin = LangevinStep::new(0.5, &c.s).coupling(&c.coupling, &x_t);
        let y_neg =
            refine(&energy.frozen(n), y_0, &langevin, self.config.langevin_steps, &key.named("langevin"), |y| y);

        let both = Tensor::concat(&[&y_pos, &y_neg], 0);
        let e = energy.energy(&both);
        let (e_pos, e_neg) = (e.narrow(0, 0, n), e.narrow(0, n, n));
        let loss = ((&e_pos - &e_neg) * &c.weight).mean();
        let norm = self.energy_training.descend(&loss);
        let moved = (&y_neg - &y_0.detach()).square().mean().sqrt();
        let mut figures = vec![loss, e_pos.mean() - e_neg.mean(), e_pos.mean(), e_neg.mean(), norm, moved];

        if let Some((y_0, mean, training)) = &proposal {
            let error = match self.config.initializer_target {
                Target::Chain => &y_neg - y_0,
                Target::Data => &y_pos - mean,
            };
            let loss = error.square().sum().mul_scalar(1.0 / n as f64);
            let norm = training.descend(&loss);
            figures.extend([loss, norm]);
        }
        let figures: Vec<Tensor> = figures.iter().map(|f| f.detach().reshape([1])).collect();
        Tensor::concat(&figures.iter().collect::<Vec<_>>(), 0)
    }

    /// E(a_t x, lambda_{t-1}) with averaged parameters, x in the data's units: the density of x_{t-1} is exp(-E / s_t^2).
    pub fn marginal(&self, t: usize) -> Marginal<'_> {
        let row = Tensor::full(&self.device, [1], ((t - 1) * (self.classes + 1)) as f64);
        let net = no_grad(|| self.energy_training.with_average(|| self.energy.at(&row)));
        Marginal { of: self, net: Box::new(net), a: self.table.step(t).a }
    }
}

/// See [`RecoveryLikelihood::marginal`].
pub struct Marginal<'a> {
    of: &'a RecoveryLikelihood,
    net: Box<dyn Energy>,
    a: f64,
}

impl Energy for Marginal<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.net.energy(&self.of.scaled(x).mul_scalar(self.a))
    }
}

impl Algorithm for RecoveryLikelihood {
    fn figures(&self) -> Vec<Figure> {
        let figure = |name, limit| Figure { name, limit };
        let mut figures = vec![
            figure("loss", f64::MAX),
            figure("energy_gap", self.config.max_energy),
            figure("energy_pos", self.config.max_energy),
            figure("energy_neg", self.config.max_energy),
            figure("gradient_norm", f64::MAX),
            figure("chain_displacement", 1e3),
        ];
        if self.initializer.is_some() {
            figures.extend([figure("initializer_loss", f64::MAX), figure("initializer_gradient_norm", f64::MAX)]);
        }
        figures
    }

    fn step(&mut self, step: u64) -> Tensor {
        self.clock.write(&[step as f32]);
        self.batches.feed(step);
        self.feed_conditions(step);
        self.energy_training.feed(step);
        self.initializer.iter().for_each(|(_, training)| training.feed(step));
        let mut once = std::mem::replace(&mut self.step, Step::eager(&self.device));
        let figures = once.run(|| self.iteration());
        self.step = once;
        figures
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let initializer = self.initializer.iter().map(|(_, training)| ("initializer", training.params.numel()));
        [("energy", self.energy_training.params.numel())].into_iter().chain(initializer).collect()
    }

    fn state(&self) -> Vec<(String, State)> {
        let mut state = self.energy_training.state("energy");
        state.extend(self.initializer.iter().flat_map(|(_, training)| training.state("initializer")));
        state
    }

    fn averaged(&self) -> Box<dyn Energy + '_> {
        Box::new(self.marginal(1))
    }

    /// s_1^2: the energies are in units of the squared Langevin step.
    fn temperature(&self) -> f64 {
        self.table.step(1).s.powi(2)
    }

    fn item(&self) -> Vec<usize> {
        self.data().sample_shape.clone()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn fills_in(&self) -> bool {
        true
    }

    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        Sampler::new(self, request)?.run(request, key)
    }

    fn pictures(&self) -> Result<Vec<(String, Vec<u8>)>> {
        maps::level_pictures(self)
    }

    fn advice(&self) -> String {
        format!(
            "Lower algorithm.energy_optimizer.rate.lr (now {}), or take more algorithm.langevin_steps (now {})",
            self.config.energy_optimizer.rate.lr, self.config.langevin_steps
        )
    }
}
