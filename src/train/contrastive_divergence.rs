//! Contrastive divergence with a replay memory (Hinton 2002; Tieleman 2008; Du & Mordatch 2019).
//!
//! The gradient of the negative log likelihood of p(x) ~ exp(-E(x)) is `E_data[dE/dtheta] - E_p[dE/dtheta]`; chains that
//! go on from where they stopped stand in for samples of p.

use super::{
    Algorithm, DataBox, Health, Iteration, Learner, Loader, Model, Proposal, ReplayConfig, ReplayMemory, SampleRequest,
    Samples, State,
};
use crate::check;
use crate::data::Dataset;
use crate::energy::{Energy, EnergyConfig};
use crate::error::Result;
use crate::nn::Params;
use crate::optim::OptimizerConfig;
use crate::sample::{Moved, Sampler, SamplerConfig};
use crate::tensor::{Device, Key};
use serde::{Deserialize, Serialize};

impl Algorithm for ContrastiveDivergence {
    /// K Langevin steps (or other moves) from the memory to x_neg, then one step of the optimiser on
    /// `L = mean E(x_pos) - mean E(x_neg) + gamma (mean E(x_pos)^2 + mean E(x_neg)^2)`.
    fn iteration(&self, it: &mut Iteration) {
        let Config { batch: n, data_noise, energy_l2: gamma, .. } = self.config;
        let x = self.data.batch(it).x; // [N, sample...]
        let x_pos = if data_noise > 0.0 { &x + data_noise * it.normal("data noise", x.shape()) } else { x };

        let start = self.proposal.propose(it, n);
        let Moved { x: x_neg, accepted } = self.config.langevin.advance(&*self.energy, &start.x, &it.key("langevin"));
        self.proposal.learn(it, &start, &x_neg);

        let (e_pos, e_neg) = self.energy.pair_parts(&x_pos, &x_neg); // [N, scales] each
        let gap = e_pos.mean() - e_neg.mean();
        let loss = &gap + gamma * (e_pos.square().mean() + e_neg.square().mean());
        let norm = self.learner.minimize(it, &loss);

        self.energy.update_norms();

        self.health.watch_energies(it, &e_pos, &e_neg);
        it.metric("loss", &loss);
        it.metric("gradient_norm", &norm);
        self.health.watch_chains(it, &start.x, &x_neg);
        accepted.iter().for_each(|rate| self.health.watch_acceptance(it, rate));
    }

    fn state(&self) -> Vec<(String, State)> {
        self.learner.state("energy").into_iter().chain(self.proposal.state()).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("energy", self.learner.params.numel())]
    }

    fn advice(&self) -> String {
        let Config { optimizer, langevin, energy_l2, .. } = &self.config;
        format!(
            "Lower algorithm.optimizer.rate.lr (now {}) or algorithm.langevin.step_size (now {}), take more \
             algorithm.langevin.steps (now {}), or raise algorithm.energy_l2 (now {energy_l2})",
            optimizer.rate().lr,
            langevin.step_size,
            langevin.steps
        )
    }
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// N: data per iteration; as many chains move.
    pub batch: usize,
    /// Standard deviation of the normal noise added to the data: smooths what the energy has to fit.
    pub data_noise: f64,
    /// gamma, the weight of the squared energies: nothing else fixes their offset.
    pub energy_l2: f64,
    /// Training stops when a mean energy exceeds this.
    pub max_energy: f64,
    /// Decay of the moving average of the parameters.
    pub ema: f64,
    /// The energy function.
    pub energy: EnergyConfig,
    /// How chains move in training.
    pub langevin: SamplerConfig,
    /// Where chains are kept.
    pub replay: ReplayConfig,
    /// How parameters move.
    pub optimizer: OptimizerConfig,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            data_noise: 0.0,
            energy_l2: 0.0,
            max_energy: 1e4,
            ema: 0.999,
            energy: EnergyConfig::Mlp(Default::default()),
            langevin: SamplerConfig::default(),
            replay: ReplayConfig::default(),
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl Config {
    /// Whether the settings make sense, and the batch fits the data.
    fn check(&self, data: &Dataset) -> Result<()> {
        data.check_batch("algorithm.batch", self.batch)?;
        check::not_negative("algorithm.data_noise", self.data_noise)?;
        check::not_negative("algorithm.energy_l2", self.energy_l2)?;
        check::positive("algorithm.max_energy", self.max_energy)?;
        check::below_one("algorithm.ema", self.ema)?;
        self.energy.check("algorithm.energy")?;
        self.optimizer.check("algorithm.optimizer")?;
        self.langevin.check("algorithm.langevin")?;
        self.replay.check("algorithm.replay")
    }
}

/// An energy under training.
pub struct ContrastiveDivergence {
    config: Config,
    energy: Box<dyn Energy>,
    learner: Learner,
    proposal: Box<dyn Proposal>,
    data: Loader,
    health: Health,
}

impl ContrastiveDivergence {
    /// The energy and the memory that the settings ask for; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<ContrastiveDivergence> {
        config.check(&data)?;
        let params = Params::new(device, key.named("parameters"));
        let energy = config.energy.build(&params.root(), &data.sample_shape, &data.bounds())?;
        params.check("algorithm.energy")?;
        let (sample, of) = (&data.sample_shape, DataBox::new(device, &data.sample_shape, &data.bounds()));
        let memory = ReplayMemory::new(device, sample, &of, config.batch, &config.replay, &key.named("replay"))?;
        ContrastiveDivergence::with_parts(config, (energy, params), Box::new(memory), data, key)
    }

    /// The same algorithm with an energy (and its parameters) and a source of chains of your own.
    pub fn with_parts(
        config: &Config,
        (energy, params): (Box<dyn Energy>, Params),
        proposal: Box<dyn Proposal>,
        data: Dataset,
        key: &Key,
    ) -> Result<ContrastiveDivergence> {
        config.check(&data)?;
        let learner = Learner::new(&params, &config.optimizer, config.ema);
        let data_box = DataBox::new(params.device(), &data.sample_shape, &data.bounds());
        let config = Config { langevin: config.langevin.in_units(0.5 * data_box.width()), ..config.clone() };
        let health = Health {
            max_energy: config.max_energy,
            energy_l2: config.energy_l2,
            noise: config.langevin.noise(),
            // Every chain has moved twice by then, so that none is as it was thrown in.
            patience: 200.max(2 * config.replay.size / config.batch) as u64,
            data_box,
        };
        let data = Loader::new(params.device(), data, config.batch, &key.named("batches"))?;
        Ok(ContrastiveDivergence { config, energy, learner, proposal, data, health })
    }
}

/// Langevin steps that kept chains take before they count as samples, unless told otherwise.
const SAMPLING_STEPS: usize = 100;

impl Model for ContrastiveDivergence {
    fn sample_shape(&self) -> &[usize] {
        &self.data.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Ok(Box::new(self.learner.ema(&*self.energy)))
    }

    fn temperature(&self) -> f64 {
        self.config.langevin.temperature
    }

    /// Chains of the memory, moved on for more Langevin steps.
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        request.check_plain(self.sample_shape())?;
        let steps = request.steps.unwrap_or(SAMPLING_STEPS);
        let sampler = SamplerConfig { steps, ..self.config.langevin.clone() };
        Ok(sampler.advance(&*self.energy()?, &self.proposal.draw(request.n, key), key).x.into())
    }

    /// The chains as they are.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        Ok(self.proposal.draw(n, key).into())
    }
}
