//! The two nets of a variational autoencoder: a decoder from latent vectors to samples, an encoder back.

use super::{Activation, ConvCoder, ConvCoderConfig, Mlp, MlpConfig, Scope};
use crate::check;
use crate::error::{Error, Result};
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// `q(x | z) = N(g(z), sigma^2 I)` and `pi(z | x) = N(m(x), diag e^{2 l(x)})`, `x [N, sample...]`, `z [N, d]`.
pub trait Autoencoder {
    /// g(z). Training normalises with the statistics of the batch, where there is something to normalise. `class` holds one-hot
    /// rows, for nets that are told classes.
    fn decode(&self, z: &Tensor, class: Option<&Tensor>, training: bool) -> Tensor;

    /// m(x) and l(x), `[N, d]` each. `dropout` draws the dropout of a training step.
    fn encode(&self, x: &Tensor, class: Option<&Tensor>, dropout: Option<&Key>) -> [Tensor; 2];
}

/// `x` `[N, D]` or `[N, H, W, C]` with the classes, one-hot rows `[N, K]`, as further coordinates or channels.
#[track_caller]
pub fn join(x: &Tensor, class: Option<&Tensor>) -> Tensor {
    let Some(class) = class else { return x.clone() };
    let (n, k) = (class.dim(0), class.dim(1));
    match x.shape()[..] {
        [_, h, w, _] => Tensor::concat(&[x, &class.reshape([n, 1, 1, k]).broadcast_to([n, h, w, k])], 3),
        _ => Tensor::concat(&[x, class], 1),
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
    /// that are told one of `classes` classes (0 for none).
    ///
    /// # Errors
    /// When the settings do not fit the samples.
    pub fn build(
        &self,
        scope: &Scope,
        item: &[usize],
        bounds: &[[f64; 2]],
        latent: usize,
        classes: usize,
    ) -> Result<Box<dyn Autoencoder>> {
        match (self, item) {
            (AutoencoderConfig::Mlp(config), [dims]) => {
                Ok(Box::new(MlpCoder::new(scope, *dims, bounds, [latent, classes], config)))
            }
            (AutoencoderConfig::Conv(config), &[h, w, c]) => {
                Ok(Box::new(ConvCoder::new(scope, [h, w, c], [latent, classes], config)))
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
        [latent, classes]: [usize; 2],
        config: &MlpCoderConfig,
    ) -> MlpCoder {
        let [lo, hi] = bounds.iter().fold([f64::MAX, f64::MIN], |[lo, hi], b| [lo.min(b[0]), hi.max(b[1])]);
        let MlpCoderConfig { hidden, activation } = config;
        let net = |name: &str, from: usize, hidden: Vec<usize>, to: usize| {
            let config = MlpConfig { hidden, activation: *activation, gain: None };
            Mlp::new(&scope.scope(name), [from, to], &config)
        };
        MlpCoder {
            encoder: net("encoder", dims + classes, hidden.clone(), 2 * latent),
            decoder: net("decoder", latent + classes, hidden.iter().rev().copied().collect(), dims),
            center: 0.5 * (lo + hi),
            radius: 0.5 * (hi - lo),
        }
    }
}

impl Autoencoder for MlpCoder {
    fn decode(&self, z: &Tensor, class: Option<&Tensor>, _: bool) -> Tensor {
        self.decoder.forward(&join(z, class)).affine(self.radius, self.center)
    }

    fn encode(&self, x: &Tensor, class: Option<&Tensor>, _: Option<&Key>) -> [Tensor; 2] {
        let u = x.affine(1.0 / self.radius, -self.center / self.radius);
        let both = self.encoder.forward(&join(&u, class));
        let latent = both.dim(1) / 2;
        // Half of the output, as in the authors' code: l is the logarithm of a deviation.
        [both.narrow(1, 0, latent), both.narrow(1, latent, latent).mul_scalar(0.5)]
    }
}
