//! The energy net of DxMI on images ("IGEBM encoder v2"; Du and Mordatch 2019): residual blocks without normalisation.

use super::Energy;
use crate::check;
use crate::error::Result;
use crate::nn::{Conv2d, Init, Linear, Param, Scope};
use crate::ops::conv2d::Conv;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Width of each stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IgebmConfig {
    /// Channels of each stage: a residual block that halves the resolution, then one that keeps it.
    pub stages: Vec<usize>,
}

impl Default for IgebmConfig {
    /// That of CIFAR-10.
    fn default() -> IgebmConfig {
        IgebmConfig { stages: vec![128, 256, 256] }
    }
}

impl IgebmConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::list(format!("{name}.stages"), &self.stages, 1..=check::MOST_WIDE)
    }
}

/// `E(x) = a (w . sum_space relu(h(x)) + c) + b`, `x [N, H, W, C] -> [N]`. A block is
/// `lrelu(pool(skip(x) + conv(lrelu(conv(x)))))`, lrelu of slope 0.2; the skip is a 1 x 1 convolution where the block halves.
pub struct IgebmEnergy {
    enter: Conv2d,
    blocks: Vec<Block>,
    head: Linear,
    scale: Param,
    offset: Param,
}

struct Block {
    convs: [Conv2d; 2],
    /// Of a block that halves the resolution.
    skip: Option<Conv2d>,
}

impl Block {
    fn new(scope: &Scope, inputs: usize, outputs: usize, halves: bool) -> Block {
        let conv = |name: &str, from: usize| Conv2d::new(&scope.scope(name), from, outputs, 3, 1);
        let skip = || Conv2d {
            weight: scope.scope("skip").param("weight", [outputs, 1, 1, inputs], Init::fan_in(inputs)),
            bias: None,
            conv: Conv::same(1),
        };
        Block { convs: [conv("conv0", inputs), conv("conv1", outputs)], skip: halves.then(skip) }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let h = self.convs[1].forward(&self.convs[0].forward(x).leaky_relu(0.2));
        match &self.skip {
            Some(skip) => (skip.forward(x) + h).avg_pool(2, 2, 0).leaky_relu(0.2),
            None => (x + &h).leaky_relu(0.2),
        }
    }
}

impl IgebmEnergy {
    /// Declares `enter`, `block0`, `block1`, ..., `head`, `scale`, `offset` in `scope`.
    pub fn new(scope: &Scope, channels: usize, config: &IgebmConfig) -> IgebmEnergy {
        let widths: Vec<usize> = config.stages.iter().flat_map(|&w| [w, w]).collect();
        let first = widths[0];
        let block = |(i, &w): (usize, &usize)| {
            let inputs = if i == 0 { first } else { widths[i - 1] };
            Block::new(&scope.scope(format!("block{i}")), inputs, w, i % 2 == 0)
        };
        IgebmEnergy {
            enter: Conv2d::new(&scope.scope("enter"), channels, first, 3, 1),
            blocks: widths.iter().enumerate().map(block).collect(),
            head: Linear::new(&scope.scope("head"), widths[widths.len() - 1], 1),
            scale: scope.param("scale", [1], Init::Constant(1.0)),
            offset: scope.param("offset", [1], Init::Constant(0.0)),
        }
    }
}

impl Energy for IgebmEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        let h = self.enter.forward(x).leaky_relu(0.2);
        let h = self.blocks.iter().fold(h, |h, block| block.forward(&h));
        let e = self.head.forward(&h.relu().sum_axes(&[1, 2])).reshape([x.dim(0)]);
        e * self.scale.get() + self.offset.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::{Device, Key};

    #[test]
    fn the_net_of_cifar_has_the_published_number_of_parameters() {
        let params = Params::new(&Device::oracle(), Key::new(1));
        IgebmEnergy::new(&params.root(), 3, &IgebmConfig::default());
        assert_eq!(params.numel(), 5_134_595);
    }

    #[test]
    fn images_of_odd_size_have_energies_whose_gradient_is_right() {
        let device = Device::oracle();
        let params = Params::new(&device, Key::new(1));
        let net = IgebmEnergy::new(&params.root(), 1, &IgebmConfig { stages: vec![3, 4] });
        let x = Tensor::normal(&device, [2, 7, 7, 1], &Key::new(2));
        let d = Tensor::normal(&device, [2, 7, 7, 1], &Key::new(3));
        let slope = (net.gradient(&x) * &d).sum().item().unwrap();
        // Piecewise linear: a step this small crosses no kink here.
        let h = 1e-7;
        let at = |s: f64| net.energy(&(&x + &d * s)).sum().item().unwrap();
        let numeric = (at(h) - at(-h)) / (2.0 * h);
        assert!((slope - numeric).abs() < 1e-6 * slope.abs().max(1.0), "{slope} {numeric}");
    }
}
