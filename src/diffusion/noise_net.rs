//! The net of a diffusion model: it predicts the noise in x_t (Ho et al. 2020, DDPM).

use super::Schedule;
use crate::error::{Error, Result};
use crate::nn::{LevelEmbedding, Mlp, MlpConfig, Scope, UNet, UNetConfig, beside_features, look_up, one_hot_features};
use crate::tensor::{Device, Key, Tensor};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

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

/// A net that predicts v, as one that predicts eps.
pub(super) struct FromVelocity {
    net: Box<dyn NoiseNet>,
    /// sqrt(1 - abar_t) and sqrt(abar_t) for t = 1..=T, `[T]` each.
    factors: [Tensor; 2],
}

impl FromVelocity {
    pub fn new(net: Box<dyn NoiseNet>, schedule: &Schedule, device: &Device) -> FromVelocity {
        let of = |f: &dyn Fn(usize) -> f64| {
            Tensor::from_f64(device, [schedule.steps()], (1..=schedule.steps()).map(f).collect())
        };
        FromVelocity { net, factors: [of(&|t| schedule.sigma(t)), of(&|t| schedule.alpha_bar(t).sqrt())] }
    }
}

impl NoiseNet for FromVelocity {
    fn noise(&self, x: &Tensor, index: &Tensor, dropout: Option<&Key>) -> Tensor {
        let [of_x, of_v] = [0, 1].map(|i| self.factors[i].gather(0, index).per_sample(x));
        x * of_x + self.net.noise(x, index, dropout) * of_v
    }
}

/// Up to so many levels a net is told the level as a one-hot vector, beyond as t / T in [`WAVES`] sines and cosines.
const MOST_ONE_HOT: usize = 32;
const WAVES: usize = 6;

/// The features of each level 1..=T of a schedule, `[T, F]`.
fn features(device: &Device, schedule: &Schedule) -> Tensor {
    let levels = schedule.steps();
    match levels <= MOST_ONE_HOT {
        true => one_hot_features(device, levels),
        false => {
            // sin and cos of pi 2^k t / (2 T): neighbouring levels look alike, which a net without an embedding needs.
            let wave =
                |t: usize, k: usize| (t as f64 / levels as f64 * FRAC_PI_2 * f64::from(1u32 << (k / 2))).sin_cos();
            let value = |t: usize, k: usize| if k % 2 == 0 { wave(t, k).0 } else { wave(t, k).1 };
            let rows = (1..=levels).flat_map(|t| (0..2 * WAVES).map(move |k| value(t, k))).collect();
            Tensor::from_f64(device, [levels, 2 * WAVES], rows)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A net that knows v.
    struct Exact(Tensor);

    impl NoiseNet for Exact {
        fn noise(&self, _: &Tensor, _: &Tensor, _: Option<&Key>) -> Tensor {
            self.0.clone()
        }
    }

    /// With v = sqrt(abar) eps - sqrt(1 - abar) x_0 the noise comes back, at every level.
    #[test]
    fn the_exact_velocity_gives_the_noise() {
        let (device, schedule, n) = (Device::oracle(), Schedule::quadratic(10), 10);
        let [x_0, eps] = ["x", "eps"].map(|name| Tensor::normal(&device, [n, 3], &Key::new(1).named(name)));
        let index = Tensor::iota(&device, n);
        let of = |f: &dyn Fn(usize) -> f64| Tensor::from_f64(&device, [n, 1], (1..=n).map(f).collect());
        let (signal, noise) = (of(&|t| schedule.alpha_bar(t).sqrt()), of(&|t| schedule.sigma(t)));
        let x_t = &x_0 * &signal + &eps * &noise;
        let net = FromVelocity::new(Box::new(Exact(&eps * &signal - &x_0 * &noise)), &schedule, &device);
        let got = net.noise(&x_t, &index, None).to_f64().unwrap();
        assert!(got.iter().zip(eps.to_f64().unwrap()).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
