//! Contrastive divergence with a replay memory (Hinton 2002; Tieleman 2008; Du & Mordatch 2019).
//!
//! Each iteration: chains from the memory take K Langevin steps to x_neg and go back; then one Adam step on
//!
//! `L = mean E(x_pos) - mean E(x_neg) + gamma (mean E(x_pos)^2 + mean E(x_neg)^2)`.
//!
//! The first two terms are the maximum-likelihood gradient with x_neg in place of model samples; the last keeps the
//! energies near zero, since nothing else fixes their offset.

use super::request::{SampleRequest, Samples};
use super::trainer::{Algorithm, Figure, State};
use super::{Batches, Trained, maps::plot_points};
use crate::data::Dataset;
use crate::energy::{Energy, EnergyConfig};
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::optim::AdamConfig;
use crate::plot;
use crate::sample::{Langevin, ReplayBuffer, ReplayConfig};
use crate::tensor::{Device, Feed, Key, Step, Tensor};
use serde::{Deserialize, Serialize};

/// Langevin steps that kept chains take before they count as samples, unless told otherwise.
const SAMPLING_STEPS: usize = 100;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Data items per iteration; as many chains move.
    pub batch: usize,
    /// Standard deviation of the normal noise added to the data: smooths what the energy has to fit.
    pub data_noise: f64,
    /// gamma, the weight of the squared energies.
    pub energy_l2: f64,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the exponential moving average of the parameters.
    pub ema: f64,
    /// Whether steps are captured once and replayed; the numbers are the same.
    pub replay_steps: bool,
    /// The energy function.
    pub energy: EnergyConfig,
    /// How chains move in training.
    pub langevin: Langevin,
    /// Where chains are kept.
    pub replay: ReplayConfig,
    /// How parameters move.
    pub optimizer: AdamConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            data_noise: 0.0,
            energy_l2: 0.0,
            max_energy: 1e4,
            ema: 0.999,
            replay_steps: true,
            energy: EnergyConfig::Mlp(Default::default()),
            langevin: Langevin::default(),
            replay: ReplayConfig::default(),
            optimizer: AdamConfig::default(),
        }
    }
}

/// The training state.
pub struct ContrastiveDivergence {
    config: Config,
    device: Device,
    key: Key,
    /// The energy under training.
    pub energy: Box<dyn Energy>,
    /// Its parameters.
    pub training: Trained,
    batches: Batches,
    /// The chains.
    pub replay: ReplayBuffer,
    clock: Feed,
    step: Step<Tensor>,
}

impl ContrastiveDivergence {
    /// Builds the energy, its optimiser and fresh chains; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<ContrastiveDivergence> {
        let params = Params::new(device, key.named("parameters"));
        let energy = config.energy.build(&params.root(), &data.sample_shape)?;
        let replay = ReplayBuffer::new(device, &data.sample_shape, config.batch, &config.replay, &key.named("replay"))?;
        Ok(ContrastiveDivergence {
            energy,
            training: Trained::new(params, &config.optimizer, config.ema),
            replay,
            batches: Batches::new(device, data, config.batch, &key.named("batches"))?,
            clock: Feed::new(device, [1]),
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
}

/// The energy with its averaged parameters.
struct Averaged<'a>(&'a ContrastiveDivergence);

impl Energy for Averaged<'_> {
    fn energy(&self, x: &Tensor) -> Tensor {
        self.0.training.with_average(|| self.0.energy.energy(x))
    }
}

/// The work of one iteration, from device values only, so that it can be captured.
fn iteration(cd: &ContrastiveDivergence) -> Tensor {
    let config = &cd.config;
    let key = cd.key.named("iteration").clocked(cd.clock.tensor());

    let clean = cd.batches.rows();
    let x_pos = match config.data_noise {
        0.0 => clean,
        std => &clean + &Tensor::normal(&cd.device, clean.shape(), &key.named("data noise")).mul_scalar(std),
    };
    let x_0 = cd.replay.draw(cd.clock.tensor());
    let x_neg = config.langevin.run(&*cd.energy, &x_0, &key.named("langevin"));
    cd.replay.put(&x_neg);

    let n = config.batch;
    let both = cd.energy.energy(&Tensor::concat(&[&x_pos, &x_neg], 0));
    let (e_pos, e_neg) = (both.narrow(0, 0, n), both.narrow(0, n, n));
    let gap = e_pos.mean() - e_neg.mean();
    let loss = match config.energy_l2 {
        0.0 => gap.clone(),
        gamma => &gap + &both.square().mean().mul_scalar(2.0 * gamma),
    };

    let norm = cd.training.descend(&loss);

    let moved = (&x_neg - &x_0).square().mean().sqrt();
    let figures = [loss, gap, e_pos.mean(), e_neg.mean(), norm, moved].map(|f| f.detach().reshape([1]));
    Tensor::concat(&figures.iter().collect::<Vec<_>>(), 0)
}

impl Algorithm for ContrastiveDivergence {
    fn figures(&self) -> Vec<Figure> {
        let figure = |name, limit| Figure { name, limit };
        vec![
            figure("loss", f64::MAX),
            figure("energy_gap", self.config.max_energy),
            figure("energy_pos", self.config.max_energy),
            figure("energy_neg", self.config.max_energy),
            figure("gradient_norm", f64::MAX),
            // Chains that move ten times the width of their start in one iteration have left the data behind.
            figure("chain_displacement", 10.0 * (self.config.replay.start.1 - self.config.replay.start.0)),
        ]
    }

    fn step(&mut self, step: u64) -> Tensor {
        self.clock.write(&[step as f32]);
        self.batches.feed(step);
        self.replay.feed(step);
        self.training.feed(step);
        let mut once = std::mem::replace(&mut self.step, Step::eager(&self.device));
        let figures = once.run(|| iteration(self));
        self.step = once;
        figures
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("energy", self.training.params.numel())]
    }

    fn state(&self) -> Vec<(String, State)> {
        let mut state = self.training.state("energy");
        state.push(("chains".to_string(), State::Value(self.replay.chains.clone())));
        state
    }

    fn averaged(&self) -> Box<dyn Energy + '_> {
        Box::new(Averaged(self))
    }

    fn temperature(&self) -> f64 {
        self.config.langevin.temperature
    }

    fn item(&self) -> Vec<usize> {
        self.data().sample_shape.clone()
    }

    /// Chains of the memory, moved on for more Langevin steps.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        if !request.concepts.is_empty()
            || request.known.is_some()
            || request.trajectory
            || request.step_scale != 1.0
            || request.guidance != 0.0
        {
            return Err(Error::setting(
                "classes, guidance, known parts, trajectories and step scales need a model trained by recovery_likelihood",
            ));
        }
        let n = request.n;
        let chains = self.replay.chains.get();
        let size = chains.dim(0);
        let rows: Vec<f32> = (0..n).map(|i| (i % size) as f32).collect();
        let x_0 = chains.gather(0, &Tensor::new(&self.device, [n], &rows));
        let steps = request.steps.unwrap_or(SAMPLING_STEPS);
        let langevin = Langevin { steps, ..self.config.langevin.clone() };
        let x = langevin.run(&Averaged(self), &x_0, key);
        self.device.wait()?;
        Ok(x.into())
    }

    fn pictures(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let chains = self.replay.chains.get();
        let picture = match chains.shape()[1..] {
            [2] => {
                let (lo, hi) = self.config.replay.start;
                plot_points(&*self.averaged(), self.temperature(), &self.device, [lo, hi], &chains.to_vec()?)?
            }
            [h, w, c] => {
                let shown = 64.min(chains.dim(0));
                plot::grid(&chains.narrow(0, 0, shown).to_vec()?, [shown, h, w, c], 8)
            }
            _ => return Ok(Vec::new()),
        };
        Ok(vec![("chains".to_string(), picture.png())])
    }

    fn advice(&self) -> String {
        let Config { optimizer, langevin, energy_l2, .. } = &self.config;
        format!(
            "Lower algorithm.optimizer.rate.lr (now {}) or algorithm.langevin.step_size (now {}), take more \
             algorithm.langevin.steps (now {}), or raise algorithm.energy_l2 (now {energy_l2})",
            optimizer.rate.lr, langevin.step_size, langevin.steps
        )
    }
}
