//! The initializer of cooperative diffusion recovery likelihood (CDRL): it proposes where the chain of a noise level
//! starts, y ~ N(g(x_t, lambda_t), v_t I) with `g(x, lambda) = x + net(x, lambda)`.

use crate::check;
use crate::error::{Error, Result};
use crate::nn::{GroupNorm, Init, LevelEmbedding, Linear, Scope, UNet, UNetConfig, look_up};
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// The mean of the proposal. It starts as the identity: the networks' last layers are zero.
pub trait Initializer {
    /// `g(x, lambda) = x + net(x, lambda)`, `x [N, ...]`, `condition [N]` (or `[1]` for all samples) the
    /// [index](crate::nn::condition_index) of each sample's condition. `dropout` draws the dropout of a training step.
    fn mean(&self, x: &Tensor, condition: &Tensor, dropout: Option<&Key>) -> Tensor;
}

/// Which initializer to build, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InitializerConfig {
    /// Fully connected layers, for points.
    Mlp(MlpInitializerConfig),
    /// A U-Net, for images.
    Unet(UNetConfig),
}

impl InitializerConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.initializer`.
    pub fn check(&self, name: &str) -> Result<()> {
        match self {
            InitializerConfig::Mlp(config) => config.check(name),
            InitializerConfig::Unet(config) => config.check(name),
        }
    }

    /// Declares the initializer's parameters for samples of shape `item` (`[D]` or `[H, W, C]`), levels with these
    /// `log_snr` (lambda_t for t = 1..=T) and this many classes (0: no labels).
    ///
    /// # Errors
    /// When the settings do not fit the samples.
    pub fn build(
        &self,
        scope: &Scope,
        item: &[usize],
        log_snr: &[f64],
        classes: usize,
    ) -> Result<Box<dyn Initializer>> {
        match (self, item) {
            (InitializerConfig::Mlp(config), [inputs]) => {
                Ok(Box::new(MlpInitializer::build(scope, *inputs, log_snr, classes, config)?))
            }
            (InitializerConfig::Unet(config), &[h, w, c]) => {
                Ok(Box::new(UNetInitializer::build(scope, [h, w, c], log_snr, classes, config)?))
            }
            (InitializerConfig::Mlp(_), _) => Err(Error::setting(format!(
                "an mlp initializer takes points, the data are {item:?}; use initializer.kind = \"unet\""
            ))),
            (InitializerConfig::Unet(_), _) => Err(Error::setting(format!(
                "a unet initializer takes images, the data are {item:?}; use initializer.kind = \"mlp\""
            ))),
        }
    }
}

/// The size of an initializer for points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpInitializerConfig {
    /// Values per hidden layer.
    pub width: usize,
}

impl Default for MlpInitializerConfig {
    fn default() -> MlpInitializerConfig {
        MlpInitializerConfig { width: 64 }
    }
}

impl MlpInitializerConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.initializer`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::within(format!("{name}.width"), self.width, 2..=check::MOST_WIDE)
    }
}

/// The initializer for points, `x [N, D]`: one residual block between linear layers,
///
/// `h = W_0 x + b_0`, `r = W_2 silu(norm1(W_1 silu(norm0(h)) + b_1) (1 + scale) + shift) + b_2`,
/// `g = x + W_3 silu(h + r)`, with (scale, shift) linear in the activation of the condition's embedding.
pub struct MlpInitializer {
    embedding: LevelEmbedding,
    enter: Linear,
    norms: [GroupNorm; 2],
    layers: [Linear; 2],
    condition: Linear,
    leave: Linear,
}

impl MlpInitializer {
    /// Declares `embedding`, `enter`, `norm0`, `norm1`, `layer0`, `layer1`, `condition`, `leave` in `scope`.
    ///
    /// # Errors
    /// When the settings make no sense.
    pub fn build(
        scope: &Scope,
        inputs: usize,
        log_snr: &[f64],
        classes: usize,
        config: &MlpInitializerConfig,
    ) -> Result<MlpInitializer> {
        config.check("initializer")?;
        let width = config.width;
        // 32 groups, but never of one value: normalised it would always be zero.
        let groups = (1..=32.min(width / 2)).rev().find(|g| width.is_multiple_of(*g)).unwrap_or(1);
        let norm = |i: usize| GroupNorm::new(&scope.scope(format!("norm{i}")), width, groups);
        let zero = Init::Constant(0.0);
        let last = scope.scope("layer1");
        Ok(MlpInitializer {
            embedding: LevelEmbedding::new(&scope.scope("embedding"), log_snr, 2 * width, 2 * width, classes),
            enter: Linear::new(&scope.scope("enter"), inputs, width),
            norms: [norm(0), norm(1)],
            layers: [
                Linear::new(&scope.scope("layer0"), width, width),
                Linear {
                    weight: last.param("weight", [width, width], zero),
                    bias: Some(last.param("bias", [width], zero)),
                },
            ],
            condition: Linear::new(&scope.scope("condition"), 2 * width, 2 * width),
            leave: Linear::without_bias(&scope.scope("leave"), width, inputs, zero),
        })
    }
}

impl Initializer for MlpInitializer {
    /// This network has no dropout.
    fn mean(&self, x: &Tensor, index: &Tensor, _: Option<&Key>) -> Tensor {
        let condition = self.condition.forward(&self.embedding.table().silu());
        let condition = look_up(&condition, index); // [N or 1, 2 width]
        let width = condition.dim(1) / 2;
        let [scale, shift] = [0, width].map(|start| condition.narrow(1, start, width));
        let h = self.enter.forward(x);
        let r = self.layers[0].forward(&self.norms[0].forward_silu(&h));
        let r = (self.norms[1].forward(&r) * scale.add_scalar(1.0) + shift).silu();
        let h = (h + self.layers[1].forward(&r)).silu();
        x + &self.leave.forward(&h)
    }
}

/// The initializer for images, `x [N, H, W, C]`: a U-Net of width w, told the condition through an embedding
/// w -> 4 w -> 4 w.
pub struct UNetInitializer {
    embedding: LevelEmbedding,
    net: UNet,
}

impl UNetInitializer {
    /// Declares `embedding` and the parts of the U-Net in `scope`.
    ///
    /// # Errors
    /// When the settings do not fit the image.
    pub fn build(
        scope: &Scope,
        item: [usize; 3],
        log_snr: &[f64],
        classes: usize,
        config: &UNetConfig,
    ) -> Result<UNetInitializer> {
        config.check("initializer")?;
        let hidden = 4 * config.width;
        let net = UNet::build(scope, item, hidden, config)?;
        let embedding = LevelEmbedding::new(&scope.scope("embedding"), log_snr, config.width, hidden, classes);
        Ok(UNetInitializer { embedding, net })
    }
}

impl Initializer for UNetInitializer {
    fn mean(&self, x: &Tensor, condition: &Tensor, dropout: Option<&Key>) -> Tensor {
        x + &self.net.forward(x, &look_up(&self.embedding.table(), condition), dropout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::grad;
    use crate::nn::Params;
    use crate::tensor::Device;

    const LOG_SNR: [f64; 2] = [2.7, -0.9];

    fn mlp(width: usize) -> InitializerConfig {
        InitializerConfig::Mlp(MlpInitializerConfig { width })
    }

    /// The smallest network with every part of the large one.
    fn unet() -> InitializerConfig {
        let (width, multipliers) = (40, vec![1, 2]);
        InitializerConfig::Unet(UNetConfig { width, multipliers, blocks: 1, attention: vec![2], dropout: 0.5 })
    }

    /// A network whose norms are smooth (groups of more than two values), for either kind of data.
    fn small() -> [(InitializerConfig, Vec<usize>); 2] {
        [(mlp(35), vec![2]), (unet(), vec![4, 4, 1])]
    }

    fn build(config: &InitializerConfig, item: &[usize], classes: usize) -> (Params, Box<dyn Initializer>) {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let net = config.build(&params.root(), item, &LOG_SNR, classes).unwrap();
        (params, net)
    }

    /// Moves every parameter, so that none is zero, to a multiple of 2^-10.
    fn perturb(params: &Params) {
        let (flat, key) = (params.flat(), Key::new(2));
        let moved = |(i, v): (usize, &f64)| ((v + 0.1 * key.normal(i as u64)) * 1024.0).round() / 1024.0;
        let values = flat.get().array().iter().enumerate().map(moved).collect();
        flat.set(Tensor::from_f64(&Device::oracle(), flat.get().shape(), values));
    }

    fn samples(n: usize, item: &[usize]) -> Tensor {
        let shape: Vec<usize> = [n].iter().chain(item).copied().collect();
        Tensor::normal(&Device::oracle(), shape, &Key::new(3))
    }

    fn rows(rows: &[f32]) -> Tensor {
        Tensor::new(&Device::oracle(), [rows.len()], rows)
    }

    fn differ(a: &Tensor, b: &Tensor) -> bool {
        a.to_f64().unwrap().iter().zip(b.to_f64().unwrap()).any(|(a, b)| (a - b).abs() > 1e-6)
    }

    #[test]
    fn the_published_networks_have_the_published_numbers_of_parameters() {
        let count = |config: &InitializerConfig, item: &[usize], classes| build(config, item, classes).0.numel();
        assert_eq!(count(&mlp(64), &[2], 0), 58_432);
        let cifar = InitializerConfig::Unet(UNetConfig::default());
        assert_eq!(count(&cifar, &[32, 32, 3], 0), 3_769_795);
        assert_eq!(count(&cifar, &[32, 32, 3], 10), 3_769_795 + 11 * 256);
    }

    #[test]
    fn both_start_as_the_identity_also_with_dropout() {
        for (config, item) in small() {
            let (_, net) = build(&config, &item, 0);
            let x = samples(3, &item);
            for key in [None, Some(&Key::new(4))] {
                assert_eq!(net.mean(&x, &rows(&[0.0, 1.0, 1.0]), key).to_f64().unwrap(), x.to_f64().unwrap());
            }
        }
    }

    #[test]
    fn level_class_and_dropout_matter_and_one_row_serves_all_samples() {
        for (config, item) in small() {
            let (params, net) = build(&config, &item, 2);
            perturb(&params);
            let x = samples(2, &item);
            let mean = |r: &[f32]| net.mean(&x, &rows(r), None);
            assert!(differ(&mean(&[1.0]), &mean(&[4.0])), "level");
            assert!(differ(&mean(&[0.0]), &mean(&[2.0])), "class");
            assert!(!differ(&mean(&[5.0]), &mean(&[5.0, 5.0])), "one row");
            let dropped = |seed: u64| net.mean(&x, &rows(&[0.0]), Some(&Key::new(seed)));
            assert_eq!(differ(&dropped(1), &dropped(2)), matches!(config, InitializerConfig::Unet(_)), "dropout");
            assert!(!differ(&dropped(1), &dropped(1)), "dropout is a function of its key");
        }
    }

    #[test]
    fn every_parameter_has_a_gradient_and_it_is_the_right_one() {
        for (config, item) in small() {
            let (params, net) = build(&config, &item, 1);
            perturb(&params);
            let (x, key) = (samples(4, &item), Key::new(5));
            // All four condition rows, or some parameters would have no part in the result.
            let rows = rows(&[0.0, 1.0, 2.0, 3.0]);
            let weights = Tensor::normal(&Device::oracle(), x.shape(), &Key::new(6));
            let loss = || (net.mean(&x, &rows, Some(&key)) * &weights).sum();

            let leaves = params.tensors();
            let grads = grad(&loss(), &leaves.iter().collect::<Vec<_>>());
            let flat = params.flat().get();
            let along: Vec<f64> = (0..flat.numel()).map(|i| 2.0 * key.below(i as u64, 2) as f64 - 1.0).collect();
            let direction = Tensor::from_f64(&Device::oracle(), flat.shape(), along.clone());
            let mut analytic = 0.0;
            for ((grad, (name, _)), offset) in grads.iter().zip(params.names()).zip(params.offsets()) {
                let grad = grad.to_f64().unwrap();
                assert!(grad.iter().any(|g| g.abs() > 1e-9), "{name} has no gradient");
                analytic += grad.iter().zip(&along[offset..]).map(|(g, d)| g * d).sum::<f64>();
            }
            let at = |h: f64| params.with(&(&flat + &direction.mul_scalar(h)), || loss().array()[0]);
            // Parameters are kept in f32, which holds multiples of 2^-10 plus this step exactly. Four points:
            // truncation O((h sqrt(parameters))^4) = 1e-10, rounding 1e-14 / h = 3e-9.
            let h = 2f64.powi(-18);
            let numeric = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
            assert!((analytic - numeric).abs() < 1e-7 * analytic.abs().max(1.0), "{analytic} {numeric}");
        }
    }

    #[test]
    fn settings_read_by_kind_and_must_fit_the_data() {
        let read = |text: &str| toml::from_str::<InitializerConfig>(text);
        assert_eq!(read("kind = \"mlp\"").unwrap(), mlp(64));
        assert!(read("kind = \"unet\"\nwidht = 3").is_err());
        let params = Params::new(&Device::oracle(), Key::new(1));
        let refused = |config: &InitializerConfig, item: &[usize], want: &str| {
            let text = config.build(&params.root(), item, &LOG_SNR, 0).err().expect("refused").to_string();
            assert!(text.contains(want), "{text}");
        };
        refused(&mlp(64), &[4, 4, 1], "\"unet\"");
        refused(&unet(), &[2], "\"mlp\"");
        refused(&mlp(1), &[2], "initializer.width = 1: use 2 to");
    }
}
