//! Improved contrastive divergence (Du, Li, Tenenbaum & Mordatch 2021, arXiv 2012.01316).
//!
//! The full gradient of contrastive divergence, `KL(p_D || p) - KL(q || p)` with q the law of the ends of chains, has a part
//! that is usually dropped: the ends depend on the energy, too. Here it is kept, as a loss of its own that makes the chains reach
//! low energy with high entropy; chains start from a memory whose samples are moved at random; energies may be sums over scales.

pub use super::improved_cd_config::{Config, KlConfig, SamplingConfig};
use super::{
    Algorithm, DataBox, Health, Iteration, Learner, Loader, Model, Proposal, Reservoir, SampleRequest, Samples, State,
};
use crate::data::Dataset;
use crate::energy::{Energy, Frozen};
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::optim::norm;
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};

impl Algorithm for ImprovedCd {
    /// K Langevin steps from the moved memory to `x_K(theta)`, the last of them differentiable; one Adam step on
    ///
    /// `L_CD = mean E(x_pos) - mean E(x_neg) + gamma (mean E(x_pos)^2 + mean E(x_neg)^2)`, `x_neg = stop(x_K)`
    ///
    /// `L_KL = a mean E_stop(theta)(x_K(theta)) - b mean log min_j |x_K(theta) - memory_j|`
    fn iteration(&self, it: &mut Iteration) {
        let Config { batch: n, energy_l2: gamma, kl, langevin, .. } = &self.config;
        let (x_pos, labels) = self.data(it); // [N, sample...], [N]
        let energy = self.energy_of(labels.as_ref());

        let start = self.memory.propose(it, *n);
        let x_k = langevin.chain().tracked(kl.tracked_steps()).run(&*energy, &start.x, &it.key("langevin"));
        let x_neg = x_k.detach();

        let (e_pos, e_neg) = energy.pair_parts(&x_pos, &x_neg); // [N, scales] each
        let l_cd = e_pos.mean() - e_neg.mean() + *gamma * (e_pos.square().mean() + e_neg.square().mean());
        let g_cd = self.learner.gradient(&l_cd); // [P]
        let g = match self.kl_loss(it, &*energy, &x_k) {
            Some(l_kl) => {
                let g_kl = self.learner.gradient(&l_kl);
                it.metric("gradient_norm_kl", &norm(&g_kl));
                &g_cd + &g_kl
            }
            None => g_cd.clone(),
        };
        it.metric("gradient_norm_cd", &norm(&g_cd));
        let g_norm = self.learner.descend(it, &g);
        self.learner.average(it);
        self.energy.update_norms();
        self.memory.learn(it, &start, &x_neg); // after the entropy has looked into it

        self.health.watch_energies(it, &e_pos, &e_neg);
        it.metric("loss", &l_cd);
        it.metric("gradient_norm", &g_norm);
        self.health.watch_chains(it, &start.x, &x_neg);
    }

    fn state(&self) -> Vec<(String, State)> {
        self.learner.state("energy").into_iter().chain(self.memory.state()).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        vec![("energy", self.learner.params.numel())]
    }

    fn advice(&self) -> String {
        let Config { optimizer, langevin, energy_l2, kl, .. } = &self.config;
        format!(
            "Lower algorithm.optimizer.rate.lr (now {}) or algorithm.langevin.step_size (now {}), raise algorithm.energy_l2 \
             (now {energy_l2}), take more algorithm.langevin.steps (now {}), or change algorithm.kl.energy (now {}) and \
             algorithm.kl.entropy (now {})",
            optimizer.rate.lr, langevin.step_size, langevin.steps, kl.energy, kl.entropy
        )
    }
}

/// An energy under training.
pub struct ImprovedCd {
    pub(super) config: Config,
    pub(super) energy: Box<dyn Energy>,
    pub(super) learner: Learner,
    pub(super) memory: Reservoir,
    pub(super) data: Loader,
    health: Health,
}

impl ImprovedCd {
    /// The energy and the memory that the settings ask for; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<ImprovedCd> {
        config.check(&data)?;
        let params = Params::new(device, key.named("parameters"));
        let classes = if config.conditional { data.class_count() } else { 0 };
        let energy = config.energy.build_for(&params.root(), &data.sample_shape, &data.bounds(), classes)?;
        params.check("algorithm.energy")?;
        ImprovedCd::with_parts(config, (energy, params), data, key)
    }

    /// The same algorithm with an energy (and its parameters) of your own.
    pub fn with_parts(
        config: &Config,
        (energy, params): (Box<dyn Energy>, Params),
        data: Dataset,
        key: &Key,
    ) -> Result<ImprovedCd> {
        config.check(&data)?;
        let (device, sample) = (params.device(), &data.sample_shape);
        let learner = Learner::new(&params, &config.optimizer, config.ema);
        let data_box = DataBox::new(device, sample, &data.bounds());
        let memory = Reservoir::new(device, sample, &data_box, config.batch, &config.memory, &key.named("memory"));
        let health = Health {
            max_energy: config.max_energy,
            energy_l2: config.energy_l2,
            noise: config.langevin.noise(),
            patience: 200,
            data_box,
        };
        let data = Loader::new(device, data, config.batch, &key.named("batches"))?;
        Ok(ImprovedCd { config: config.clone(), energy, learner, memory, data, health })
    }

    /// A batch of the data, bytes dequantised to `(byte + U(0, 1)) / 256`, and its classes where the energy is told them.
    fn data(&self, it: &mut Iteration) -> (Tensor, Option<Tensor>) {
        let batch = self.data.batch(it);
        let labels = if self.config.conditional { self.data.labels(&batch) } else { None };
        let dequantised = || batch.x.mul_scalar(255.0 / 256.0) + it.uniform("data", batch.x.shape()) / 256.0;
        (if self.config.memory.bytes { dequantised() } else { batch.x.clone() }, labels)
    }

    /// E, or E(., y) of samples with the given classes; chains take those of the data beside them.
    fn energy_of<'a>(&'a self, labels: Option<&Tensor>) -> Box<dyn Energy + 'a> {
        let labelled = labels.and_then(|labels| self.energy.labelled(labels));
        labelled.unwrap_or_else(|| Box::new(&*self.energy))
    }

    /// `n` chains from noise: rounds of moves and of Langevin steps, `scale` times as large as the settings say.
    fn rounds(&self, energy: &dyn Energy, n: usize, steps: usize, scale: f64, key: &Key) -> Tensor {
        let (rounds, training) = (&self.config.sampling, &self.config.langevin);
        let step_size = scale * rounds.step_size.unwrap_or(training.step_size);
        let langevin = Langevin { steps, step_size, ..training.clone() };
        let mut x = self.memory.noise(n, &key.named("start"));
        for round in 0..rounds.rounds {
            let key = key.index(round as u64);
            if round + rounds.plain < rounds.rounds {
                x = self.config.memory.moves.apply(&x, &key.named("moves"));
            }
            x = langevin.run(energy, &x, &key.named("langevin"));
        }
        x
    }

    /// L_KL, whose gradient flows through `x_k` alone; none where both weights are 0.
    pub(super) fn kl_loss(&self, it: &mut Iteration, energy: &dyn Energy, x_k: &Tensor) -> Option<Tensor> {
        let kl = &self.config.kl;
        let low = (kl.energy > 0.0).then(|| kl.energy * Frozen(energy, &self.learner.params).parts(x_k).mean());
        let spread = (kl.entropy > 0.0).then(|| {
            let weight = self.memory.once_filled(it, kl.from, kl.entropy).reshape([]);
            -(nearest(x_k, &self.memory.compare(it, kl.neighbours)).mean() * weight)
        });
        low.into_iter().chain(spread).reduce(|a, b| a + b)
    }
}

/// `log min_j |x_i - others_j|`, `[N]`: up to constants the entropy of the law of x by nearest neighbours (Kozachenko &
/// Leonenko 1987), per dimension.
pub(super) fn nearest(x: &Tensor, others: &Tensor) -> Tensor {
    let flat = |x: &Tensor| x.reshape([x.dim(0), x.numel() / x.dim(0)]);
    // The small number keeps the logarithm of a distance of 0 finite.
    0.5 * flat(x).pairwise_sq_distances(&flat(others)).min_axes(&[1]).add_scalar(1e-12).log()
}

impl Model for ImprovedCd {
    fn sample_shape(&self) -> &[usize] {
        &self.data.data().sample_shape
    }

    fn energy(&self) -> Result<Box<dyn Energy + '_>> {
        Ok(Box::new(self.learner.ema(&*self.energy)))
    }

    fn temperature(&self) -> f64 {
        self.config.langevin.temperature
    }

    fn classes(&self) -> usize {
        if self.config.conditional { self.data.data().class_count() } else { 0 }
    }

    fn class_energy(&self, class: usize) -> Result<Box<dyn Energy + '_>> {
        let one = SampleRequest { conditions: vec![vec![class as u32]], ..SampleRequest::new(1) };
        let label = one.check_labelled(self.sample_shape(), self.classes())?.unwrap_or_default();
        let label = Tensor::new(self.learner.params.device(), [1], &label);
        let energy = self.learner.ema_labelled(&*self.energy, &label);
        energy.map(|energy| Box::new(energy) as _).ok_or_else(|| Error::setting("this energy is told no classes"))
    }

    /// From noise: rounds of moves and Langevin steps (`request.steps` each), the last ones without moves (section 5 of the
    /// authors' code).
    fn sample(&self, request: &SampleRequest, key: &Key) -> Result<Samples> {
        let labels = request.check_labelled(self.sample_shape(), self.classes())?;
        let (ema, rounds) = (self.learner.ema(&*self.energy), &self.config.sampling);
        let labels = labels.map(|labels| Tensor::new(self.learner.params.device(), [request.n], &labels));
        let energy: Box<dyn Energy + '_> = match &labels {
            Some(labels) => ema.labelled(labels).ok_or_else(|| Error::setting("this energy is told no classes"))?,
            None if self.config.conditional => return Err(Error::setting("ask for classes: the energy is told them")),
            None => Box::new(&ema),
        };
        Ok(self.rounds(&*energy, request.n, request.steps.unwrap_or(rounds.steps), 1.0, key).into())
    }

    fn sample_composed(&self, energy: &dyn Energy, terms: usize, n: usize, key: &Key) -> Result<Samples> {
        let scale = self.temperature() / terms as f64;
        Ok(self.rounds(energy, n, self.config.sampling.steps, scale, key).into())
    }

    /// Where the chains of the last iteration ended.
    fn preview(&self, n: usize, key: &Key) -> Result<Samples> {
        Ok(self.memory.draw(n, key).into())
    }
}
