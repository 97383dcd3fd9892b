//! A variational autoencoder as the place where chains start: its decoder proposes, and it learns from where the chains end.

use super::mcmc_teaching::Teaching;
use super::{Iteration, Learner, Proposal, Start, State};
use crate::check;
use crate::data::Dataset;
use crate::error::Result;
use crate::nn::{Autoencoder, AutoencoderConfig, Params};
use crate::optim::AdamConfig;
use crate::tensor::{Device, Key, Tensor, no_grad};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

impl Proposal for ToldVae {
    /// `z ~ N(0, I)`, `x_0 = g(z)`; the source is z.
    fn propose(&self, it: &mut Iteration, n: usize) -> Start {
        let ToldVae { vae, told } = self;
        let z = it.normal("latent", [n, vae.config.latent]);
        let x = no_grad(|| vae.coder.decode(&z, told.as_ref(), true));
        let noise = vae.config.decoder_noise.then(|| vae.deviation() * it.normal("decoder", x.shape()));
        Start { x: noise.map_or_else(|| x.clone(), |noise| &x + noise), source: z }
    }

    /// One step down the mean loss of x: for a VAE with a latent vector that the encoder infers, for CoopNets with the one that x
    /// was made of.
    fn learn(&self, it: &mut Iteration, start: &Start, x: &Tensor) {
        let ToldVae { vae, told } = self;
        let loss = match vae.teaching {
            Teaching::Coopnets => square(&(x - vae.coder.decode(&start.source, told.as_ref(), true))),
            _ => {
                let eps = it.normal("posterior", [x.dim(0), vae.config.latent]);
                let parts = vae.loss(x, told.as_ref(), &eps, Some(&it.key("dropout")));
                it.metric("vae_reconstruction", &parts.error.mean());
                it.metric("vae_kl", &parts.kl.mean());
                it.metric("active_latents", &active(&parts.mean));
                parts.error + vae.config.kl * parts.kl
            }
        };
        let loss = loss.mean();
        let norm = vae.learner.minimize(it, &loss);
        it.metric("vae_loss", &loss).limit(1e8);
        it.metric("vae_gradient_norm", &norm);
    }

    fn draw(&self, n: usize, key: &Key) -> Tensor {
        let vae = &self.vae;
        let z = Tensor::normal(vae.learner.params.device(), [n, vae.config.latent], &key.named("latent"));
        let x = vae.decode(&z, self.told.as_ref());
        if !vae.config.decoder_noise {
            return x;
        }
        let noise = Tensor::normal(x.device(), x.shape(), &key.named("decoder"));
        x + vae.deviation() * noise
    }

    fn state(&self) -> Vec<(String, State)> {
        self.vae.learner.state("vae")
    }
}

/// A VAE and what its nets are told of the samples at hand.
pub struct ToldVae {
    /// The VAE.
    pub vae: Rc<Vae>,
    /// Classes as one-hot rows, or images.
    pub told: Option<Tensor>,
}

/// What is kept of one pass of x through encoder and decoder.
pub struct Parts {
    /// `|x - g(m + e^l eps)|^2`, `[N]`.
    pub error: Tensor,
    /// `KL(pi(z | x) || N(0, I)) = -1/2 sum_k (1 + 2 l_k - m_k^2 - e^{2 l_k})`, `[N]`.
    pub kl: Tensor,
    /// m, `[N, d]`.
    pub mean: Tensor,
}

/// The settings of the autoencoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// d, the dimensions of z.
    pub latent: usize,
    /// w, the weight of the KL term beside the squared error: the decoder's variance is sigma^2 = w / 2.
    pub kl: f64,
    /// Whether chains start from `g(z) + sigma n`, a draw of the model, or from the mean g(z) as in the authors' code.
    pub decoder_noise: bool,
    /// The nets.
    pub net: AutoencoderConfig,
    /// How latent vectors move towards known parts of a sample.
    pub inpainting: InpaintingConfig,
}

/// Langevin dynamics of latent vectors, between the encoder and the decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InpaintingConfig {
    /// Steps; 0, as in the authors' code, for none.
    pub steps: usize,
    /// d^2 / 2 of the paper's code.
    pub step_size: f64,
}

impl Default for InpaintingConfig {
    fn default() -> InpaintingConfig {
        InpaintingConfig { steps: 0, step_size: 0.005 }
    }
}

impl Default for VaeConfig {
    fn default() -> VaeConfig {
        VaeConfig {
            latent: 2,
            kl: 0.05,
            decoder_noise: false,
            net: AutoencoderConfig::Mlp(Default::default()),
            inpainting: Default::default(),
        }
    }
}

impl VaeConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.latent"), self.latent, 1..=check::MOST_WIDE)?;
        check::positive(format!("{name}.kl"), self.kl)?;
        check::within(format!("{name}.inpainting.steps"), self.inpainting.steps, 0..=check::MOST_STEPS)?;
        check::positive(format!("{name}.inpainting.step_size"), self.inpainting.step_size)?;
        self.net.check(&format!("{name}.net"))
    }
}

/// `q(x | z) = N(g(z), w/2 I)`, z ~ N(0, I), with the encoder `pi(z | x) = N(m(x), diag e^{2 l(x)})`.
pub struct Vae {
    config: VaeConfig,
    teaching: Teaching,
    pub(super) coder: Box<dyn Autoencoder>,
    /// Of both nets.
    pub learner: Learner,
}

impl Vae {
    /// Builds the nets for `data`, which lie in the box `bounds`, told so many numbers beside x and beside z; everything random
    /// follows from `key`.
    pub fn new(
        config: &VaeConfig,
        (teaching, optimizer, ema): (Teaching, &AdamConfig, f64),
        data: &Dataset,
        (bounds, told): (&[[f64; 2]], [usize; 2]),
        device: &Device,
        key: &Key,
    ) -> Result<Vae> {
        let params = Params::new(device, key.clone());
        let coder = config.net.build(&params.root(), &data.sample_shape, bounds, config.latent, told)?;
        params.check("algorithm.vae")?;
        Ok(Vae { config: config.clone(), teaching, coder, learner: Learner::new(&params, optimizer, ema) })
    }

    /// The loss of each sample, `error + w kl`, for given eps `[N, d]`: times 1/w it is the negative evidence lower bound.
    pub fn loss(&self, x: &Tensor, told: Option<&Tensor>, eps: &Tensor, dropout: Option<&Key>) -> Parts {
        let [mean, log_deviation] = self.coder.encode(x, told, dropout);
        let z = &mean + log_deviation.exp() * eps;
        let error = square(&(x - self.coder.decode(&z, told, true)));
        let terms = log_deviation.affine(2.0, 1.0) - mean.square() - log_deviation.mul_scalar(2.0).exp();
        Parts { error, kl: terms.sum_axes(&[1]).mul_scalar(-0.5), mean }
    }

    /// g(z) with averaged parameters, as a constant.
    pub fn decode(&self, z: &Tensor, told: Option<&Tensor>) -> Tensor {
        no_grad(|| self.decode_graph(z, told))
    }

    /// g(z) with averaged parameters.
    pub fn decode_graph(&self, z: &Tensor, told: Option<&Tensor>) -> Tensor {
        self.learner.with_ema(|| self.coder.decode(z, told, false))
    }

    /// A draw of pi(z | x) with averaged parameters, of nets that are told nothing else.
    pub fn encode(&self, x: &Tensor, key: &Key) -> Tensor {
        let [mean, log_deviation] = no_grad(|| self.learner.with_ema(|| self.coder.encode(x, None, None)));
        let noise = Tensor::normal(x.device(), mean.shape(), key);
        mean + log_deviation.exp() * noise
    }

    /// sigma.
    fn deviation(&self) -> f64 {
        (0.5 * self.config.kl).sqrt()
    }
}

/// `|x|^2` of each sample, `[N]`.
fn square(x: &Tensor) -> Tensor {
    let axes: Vec<i32> = (1..x.shape().rank() as i32).collect();
    x.square().sum_axes(&axes)
}

/// The share of the latent dimensions whose mean `m [N, d]` varies over the batch, Var > 0.01 (Burda et al. 2016).
fn active(mean: &Tensor) -> Tensor {
    let mean = mean.detach();
    Tensor::scalar(mean.device(), 0.01).less(&mean.var(&[0], 1.0)).mean()
}
