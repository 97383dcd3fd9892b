//! The two nets of a variational autoencoder: a decoder from latent vectors to samples, an encoder back.

use super::{Activation, ConvCoder, ConvCoderConfig, Mlp, MlpConfig, Scope};
use crate::check;
use crate::error::{Error, Result};
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// `q(x | z) = N(g(z), sigma^2 I)` and `pi(z | x) = N(m(x), diag e^{2 l(x)})`, `x [N, sample...]`, `z [N, d]`.
pub trait Autoencoder {
    /// g(z). Training normalises with the statistics of the batch, where there is something to normalise. `told` is what nets are
    /// [told](join) besides.
    fn decode(&self, z: &Tensor, told: Option<&Tensor>, training: bool) -> Tensor;

    /// m(x) and l(x), `[N, d]` each. `dropout` draws the dropout of a training step.
    fn encode(&self, x: &Tensor, told: Option<&Tensor>, dropout: Option<&Key>) -> [Tensor; 2];
}

/// `x` `[N, D]` or `[N, H, W, C]` with what a net is told of it, classes as one-hot rows `[N, K]` or images `[N, H, W, K]`, as further
/// coordinates or channels.
#[track_caller]
pub fn join(x: &Tensor, told: Option<&Tensor>) -> Tensor {
    let Some(told) = told else { return x.clone() };
    let (n, k) = (told.dim(0), told.numel() / told.dim(0));
    match (&x.shape()[..], told.shape().rank()) {
        (_, 4) if x.shape().rank() == 4 => Tensor::concat(&[x, told], 3),
        (&[_, h, w, _], _) => Tensor::concat(&[x, &told.reshape([n, 1, 1, k]).broadcast_to([n, h, w, k])], 3),
        _ => Tensor::concat(&[x, &told.reshape([n, k])], 1),
    }
}

/// Which nets to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AutoencoderConfig {
    /// Fully connected layers, for points.
    Mlp(MlpCoderConfig),
    /// Convolutions, for images.
    Conv(ConvCoderConfig),
}

impl AutoencoderConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.vae.net`.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            AutoencoderConfig::Mlp(config) => {
                check::list(format!("{name}.hidden"), &config.hidden, 1..=check::MOST_WIDE)
            }
            AutoencoderConfig::Conv(config) => config.check(name),
        }
    }

    /// Declares `encoder` and `decoder` in `scope`, for samples of shape `item` in the box `bounds`, `latent` dimensions and nets
    /// that are told so many numbers beside x (coordinates or channels) and beside z.
    ///
    /// # Errors
    /// When the settings do not fit the samples.
    pub fn build(
        &self,
        scope: &Scope,
        item: &[usize],
        bounds: &[[f64; 2]],
        latent: usize,
        told: [usize; 2],
    ) -> Result<Box<dyn Autoencoder>> {
        match (self, item) {
            (AutoencoderConfig::Mlp(config), [dims]) => {
                Ok(Box::new(MlpCoder::new(scope, *dims, bounds, (latent, told), config)))
            }
            (AutoencoderConfig::Conv(config), &[h, w, c]) => {
                Ok(Box::new(ConvCoder::new(scope, [h, w, c], (latent, told), config)))
            }
            (AutoencoderConfig::Conv(_), _) => Err(Error::setting(format!(
                "a conv autoencoder takes images, the data are {item:?}; use vae.net.kind = \"mlp\""
            ))),
            (AutoencoderConfig::Mlp(_), _) => Err(Error::setting(format!(
                "an mlp autoencoder takes points, the data are {item:?}; use vae.net.kind = \"conv\""
            ))),
        }
    }
}

/// The size of the nets for points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpCoderConfig {
    /// Width of each hidden layer, of the encoder from the samples on, of the decoder towards them.
    pub hidden: Vec<usize>,
    /// The nonlinearity.
    pub activation: Activation,
}

impl Default for MlpCoderConfig {
    fn default() -> MlpCoderConfig {
        MlpCoderConfig { hidden: vec![128, 128], activation: Activation::LeakyRelu }
    }
}

/// Nets for points `x = c + r u`, u in the box [-1, 1]: `(m, l) = encoder(u)`, `g(z) = c + r decoder(z)`.
pub struct MlpCoder {
    encoder: Mlp,
    decoder: Mlp,
    center: f64,
    radius: f64,
}

impl MlpCoder {
    /// Nets for points of `dims` coordinates; the smallest cube that holds `bounds` is their [-1, 1].
    pub fn new(
        scope: &Scope,
        dims: usize,
        bounds: &[[f64; 2]],
        (latent, told): (usize, [usize; 2]),
        config: &MlpCoderConfig,
    ) -> MlpCoder {
        let [lo, hi] = bounds.iter().fold([f64::MAX, f64::MIN], |[lo, hi], b| [lo.min(b[0]), hi.max(b[1])]);
        let MlpCoderConfig { hidden, activation } = config;
        let net = |name: &str, from: usize, hidden: Vec<usize>, to: usize| {
            let config = MlpConfig { hidden, activation: *activation, gain: None };
            Mlp::new(&scope.scope(name), [from, to], &config)
        };
        MlpCoder {
            encoder: net("encoder", dims + told[0], hidden.clone(), 2 * latent),
            decoder: net("decoder", latent + told[1], hidden.iter().rev().copied().collect(), dims),
            center: 0.5 * (lo + hi),
            radius: 0.5 * (hi - lo),
        }
    }
}

impl Autoencoder for MlpCoder {
    fn decode(&self, z: &Tensor, told: Option<&Tensor>, _: bool) -> Tensor {
        self.decoder.forward(&join(z, told)).affine(self.radius, self.center)
    }

    fn encode(&self, x: &Tensor, told: Option<&Tensor>, _: Option<&Key>) -> [Tensor; 2] {
        let u = x.affine(1.0 / self.radius, -self.center / self.radius);
        let both = self.encoder.forward(&join(&u, told));
        let latent = both.dim(1) / 2;
        // Half of the output, as in the authors' code: l is the logarithm of a deviation.
        [both.narrow(1, 0, latent), both.narrow(1, latent, latent).mul_scalar(0.5)]
    }
}
