//! Variational MCMC teaching (Xie, Zheng & Li 2021, arXiv 2012.14936): an energy whose chains start from the decoder of a
//! variational autoencoder, which learns from where the chains end.
//!
//! With M the l-step Langevin kernel of p and q the law of the decoder's samples, in turn
//!
//! - the energy: `min KL(p_data || p) - KL(M q || p)`, contrastive divergence from q;
//! - decoder and encoder pi: `min KL(M q(x) pi(z | x) || p(z) q(x | z))`, a VAE of the refined samples.
//!
//! As a model: `mcmc_teaching_model.rs`; the VAE: `vae.rs`.

pub use super::mcmc_teaching_config::{Config, Teaching};
use super::{Algorithm, Batch, DataBox, Health, Iteration, Learner, Loader, NoiseStart, Proposal, State, ToldVae, Vae};
use crate::data::Dataset;
use crate::energy::{Energy, Told, WithReference};
use crate::error::Result;
use crate::nn::Params;
use crate::sample::Langevin;
use crate::tensor::{Device, Key, Tensor};
use std::rc::Rc;

impl Algorithm for McmcTeaching {
    /// Section 2: decoder draws, refined by l Langevin steps on `E = -f` (relative to a normal law, if one is set); one Adam step of the
    /// energy on `mean E(x_data) - mean E(x_refined)`, one of decoder and encoder on the refined samples alone. Of classes or pairs all
    /// nets are told the class or the other half of the sample, and a chain those of the sample beside it; what the other half tells
    /// beyond doubt is put back before and after the chains.
    fn iteration(&self, it: &mut Iteration) {
        let batch = self.data.batch(it);
        let (x_data, told) = (self.scaled(&batch.x), self.told_of(&batch)); // [B, sample...]; one-hot [B, K], images, or nothing
        let (energy, proposal) = (self.energy_of(told.as_ref()), self.proposal_of(told.as_ref()));

        let start = proposal.propose(it, self.config.chains()); // z ~ N(0, I), x_0 = g(z): [M, sample...]
        let x_0 = self.keep(&start.x, told.as_ref());
        let x_refined = self.keep(&self.langevin.run(&energy, &x_0, &it.key("langevin")), told.as_ref());

        let (loss, [e_data, e_refined]) = self.energy_loss(&energy.net, &x_data, &x_refined);
        let norm = self.learner.minimize(it, &loss);
        self.net.update_norms();
        let lesson = if self.config.teaching == Teaching::Data { &x_data } else { &x_refined };
        proposal.learn(it, &start, lesson);

        self.health.watch_energies(it, &e_data, &e_refined);
        it.metric("loss", &loss);
        it.metric("gradient_norm", &norm);
        self.health.watch_chains(it, &x_0, &x_refined);
    }

    fn state(&self) -> Vec<(String, State)> {
        self.learner.state("energy").into_iter().chain(self.proposal_of(None).state()).collect()
    }

    fn sizes(&self) -> Vec<(&'static str, usize)> {
        let vae = self.vae.as_ref().map(|vae| ("vae", vae.learner.params.numel()));
        [("energy", self.learner.params.numel())].into_iter().chain(vae).collect()
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

/// An energy and the autoencoder that its chains start from, under training.
pub struct McmcTeaching {
    pub(super) config: Config,
    /// -f, in the units of the nets, which are those of points, and [-1, 1] for images.
    net: Box<dyn Energy>,
    pub(super) learner: Learner,
    pub(super) langevin: Langevin,
    /// Where chains start, if somebody is taught.
    pub(super) vae: Option<Rc<Vae>>,
    /// Where they start otherwise.
    noise: Rc<NoiseStart>,
    /// How many classes the nets are told; 0 for none.
    pub(super) classes: usize,
    data: Loader,
    health: Health,
}

impl McmcTeaching {
    /// The nets that the settings ask for; everything random follows from `key`.
    pub fn new(config: &Config, data: Dataset, device: &Device, key: &Key) -> Result<McmcTeaching> {
        config.check(&data)?;
        let bounds = if data.sample_shape.len() == 3 { vec![[-1.0, 1.0]] } else { data.bounds() };
        let data_box = DataBox::new(device, &data.sample_shape, &bounds);
        let params = Params::new(device, key.named("parameters"));
        let classes = if config.conditional { data.class_count() } else { 0 };
        // What nets are told is further coordinates, or channels.
        let mut item = data.sample_shape.clone();
        let told = match config.condition {
            Some(_) => [item[item.len() - 1], data.sample_len()],
            None => [classes; 2],
        };
        item.iter_mut().last().into_iter().for_each(|channels| *channels += told[0]);
        let net = config.energy.build(&params.root(), &item, &bounds)?;
        params.check("algorithm.energy")?;
        let vae = match config.teaching {
            Teaching::None => None,
            teaching => {
                let (how, key) = ((teaching, &config.vae_optimizer, config.ema), key.named("vae parameters"));
                Some(Rc::new(Vae::new(&config.vae, how, &data, (&bounds, told), device, &key)?))
            }
        };
        let temperature = config.langevin.temperature * config.reference.map_or(1.0, |s| s * s);
        let langevin = Langevin { temperature, ..config.langevin.clone() };
        let (max_energy, energy_l2, noise) = (config.max_energy, config.energy_l2, langevin.noise());
        Ok(McmcTeaching {
            net,
            learner: Learner::new(&params, &config.optimizer, config.ema),
            langevin,
            vae,
            noise: Rc::new(NoiseStart::new(&data.sample_shape, &data_box)),
            classes,
            data: Loader::new(device, data, config.batch, &key.named("batches"))?,
            health: Health { max_energy, energy_l2, noise, patience: 200, data_box },
            config: config.clone(),
        })
    }

    /// The energy where the nets are told this, if anything.
    pub(super) fn energy_of(&self, told: Option<&Tensor>) -> WithReference<Told<'_, dyn Energy>> {
        WithReference { net: Told { net: &*self.net, told: told.cloned() }, std: self.config.reference }
    }

    /// Where its chains start.
    pub(super) fn proposal_of(&self, told: Option<&Tensor>) -> Rc<dyn Proposal> {
        match &self.vae {
            Some(vae) => Rc::new(ToldVae { vae: vae.clone(), told: told.cloned() }),
            None => self.noise.clone(),
        }
    }

    /// The classes of a batch, one-hot, or the other halves of its pairs in [-1, 1].
    fn told_of(&self, batch: &Batch) -> Option<Tensor> {
        if let Some(condition) = self.config.condition {
            return Some(self.scaled(&condition.of(&batch.x)));
        }
        let labels = self.data.labels(batch).filter(|_| self.classes > 0)?;
        Some(labels.one_hot(self.classes))
    }

    /// Samples with what is known of pairs put back, in the nets' units.
    pub(super) fn keep(&self, x: &Tensor, told: Option<&Tensor>) -> Tensor {
        self.config.condition.zip(told).map_or_else(|| x.clone(), |(condition, given)| condition.keep(x, given))
    }

    /// `mean E(x_data) - mean E(x_refined)`, plus `gamma (mean E(x_data)^2 + mean E(x_refined)^2)`, and the energies. E is the net's: a
    /// reference has no parameters.
    pub(super) fn energy_loss(&self, net: &dyn Energy, x_data: &Tensor, x_refined: &Tensor) -> (Tensor, [Tensor; 2]) {
        let (e_data, e_refined) = net.pair(x_data, x_refined);
        let gap = e_data.mean() - e_refined.mean();
        let gamma = self.config.energy_l2;
        let loss = if gamma > 0.0 { gap + gamma * (e_data.square().mean() + e_refined.square().mean()) } else { gap };
        (loss, [e_data, e_refined])
    }

    pub(super) fn images(&self) -> bool {
        self.data().sample_shape.len() == 3
    }

    /// The data it learns.
    pub fn data(&self) -> &Dataset {
        self.data.data()
    }

    /// From the units of the data set to those of the nets.
    pub(super) fn scaled(&self, x: &Tensor) -> Tensor {
        if self.images() { x.affine(2.0, -1.0) } else { x.clone() }
    }
}
