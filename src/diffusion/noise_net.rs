//! The net of a diffusion model: it predicts the noise in x_t (Ho et al. 2020, DDPM).

use super::Schedule;
use crate::error::{Error, Result};
use crate::nn::{
    LevelEmbedding, Mlp, MlpConfig, Scope, UNet, UNetConfig, beside_features, level_features, look_up, one_hot_features,
};
use crate::tensor::{Device, Key, Tensor};
use serde::{Deserialize, Serialize};

/// A prediction of the noise in `x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps`.
pub trait NoiseNet {
    /// `eps_phi(x_t, t)`, of x's shape; `index` is t - 1, so 0..T, `[N]`, or `[1]` for all samples. `dropout` draws the dropout
    /// of a training step.
    fn noise(&self, x: &Tensor, index: &Tensor, dropout: Option<&Key>) -> Tensor;
}

/// Which net to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoiseNetConfig {
    /// Fully connected layers on the coordinates and the level's features.
    Mlp(MlpConfig),
    /// A U-Net, for images.
    Unet(UNetConfig),
}

impl NoiseNetConfig {
    /// Whether the settings make sense; `name` is where they stand.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            NoiseNetConfig::Mlp(config) => config.check(name),
            NoiseNetConfig::Unet(config) => config.check(name),
        }
    }

    /// Declares the net's parameters for samples of shape `item` (`[D]` or `[H, W, C]`) and the levels of `schedule`.
    ///
    /// # Errors
    /// When the settings do not fit the samples.
    pub fn build(&self, scope: &Scope, item: &[usize], schedule: &Schedule) -> Result<Box<dyn NoiseNet>> {
        match (self, item) {
            (NoiseNetConfig::Mlp(config), _) => Ok(Box::new(MlpNoise::new(scope, item, schedule, config))),
            (NoiseNetConfig::Unet(config), &[h, w, c]) => {
                let hidden = 4 * config.width;
                let net = UNet::build(scope, [h, w, c], hidden, config)?;
                let log_snr: Vec<f64> = (1..=schedule.steps()).map(|t| schedule.log_snr(t)).collect();
                let embedding = LevelEmbedding::new(&scope.scope("embedding"), &log_snr, config.width, hidden, 0);
                Ok(Box::new(UNetNoise { embedding, net }))
            }
            (NoiseNetConfig::Unet(_), _) => Err(Error::setting(format!(
                "a unet takes images, the data are {item:?}; use algorithm.sampler.net.kind = \"mlp\""
            ))),
        }
    }
}

/// Up to so many levels a net is told the level as a one-hot vector, beyond as [`FEATURES`] sines and cosines.
const MOST_ONE_HOT: usize = 32;
const FEATURES: usize = 64;

/// The features of each level 1..=T of a schedule, `[T, F]`.
fn features(device: &Device, schedule: &Schedule) -> Tensor {
    let levels = schedule.steps();
    match levels <= MOST_ONE_HOT {
        true => one_hot_features(device, levels),
        false => {
            let log_snr: Vec<f64> = (1..=levels).map(|t| schedule.log_snr(t)).collect();
            level_features(device, &log_snr, FEATURES)
        }
    }
}

/// `eps = mlp(x, features(t))`
struct MlpNoise {
    net: Mlp,
    features: Tensor,
}

impl MlpNoise {
    fn new(scope: &Scope, item: &[usize], schedule: &Schedule, config: &MlpConfig) -> MlpNoise {
        let features = features(scope.device(), schedule);
        let values: usize = item.iter().product();
        let sizes = [values + features.dim(1), values];
        MlpNoise { net: Mlp::new(scope, sizes, config), features }
    }
}

impl NoiseNet for MlpNoise {
    /// This net has no dropout.
    fn noise(&self, x: &Tensor, index: &Tensor, _: Option<&Key>) -> Tensor {
        self.net.forward(&beside_features(x, &self.features, index)).reshape(x.shape())
    }
}

/// A U-Net of width w, told the level through an embedding w -> 4 w -> 4 w.
struct UNetNoise {
    embedding: LevelEmbedding,
    net: UNet,
}

impl NoiseNet for UNetNoise {
    fn noise(&self, x: &Tensor, index: &Tensor, dropout: Option<&Key>) -> Tensor {
        self.net.forward(x, &look_up(&self.embedding.table(), index), dropout)
    }
}
