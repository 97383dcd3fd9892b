//! An energy for images: residual convolutions, halving the resolution between stages.

use super::Energy;
use crate::check;
use crate::error::Result;
use crate::nn::{Activation, Conv2d, Linear, Scope};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Widths of the stages, residual blocks per stage, and the nonlinearity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvConfig {
    /// Channels of each stage; every stage starts by halving the resolution.
    pub widths: Vec<usize>,
    /// Residual blocks per stage.
    pub blocks: usize,
    /// The nonlinearity; a smooth one keeps dE/dx smooth.
    pub activation: Activation,
}

impl Default for ConvConfig {
    fn default() -> ConvConfig {
        ConvConfig { widths: vec![32, 64, 64], blocks: 1, activation: Activation::Silu }
    }
}

impl ConvConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.energy`.
    pub fn check(&self, name: &str) -> Result<()> {
        check::list(format!("{name}.widths"), &self.widths, 1..=check::MOST_WIDE)?;
        check::within(format!("{name}.blocks"), self.blocks, 0..=check::MOST_LAYERS)
    }
}

/// `E(x) = w . mean_space h(x) + b`, `x [N, H, W, C] -> [N]`, `h` a residual network without normalisation.
pub struct ConvEnergy {
    stages: Vec<Stage>,
    head: Linear,
    activation: Activation,
}

struct Stage {
    /// Changes the width, with stride 2.
    enter: Conv2d,
    blocks: Vec<[Conv2d; 2]>,
}

impl ConvEnergy {
    /// Declares `stage0.enter`, `stage0.block0.conv0`, ..., `head` in `scope`.
    pub fn new(scope: &Scope, channels: usize, config: &ConvConfig) -> ConvEnergy {
        let inputs: Vec<usize> = [channels].into_iter().chain(config.widths.iter().copied()).collect();
        let stage = |(i, w): (usize, &[usize])| {
            let scope = scope.scope(format!("stage{i}"));
            let conv = |b: usize, c: usize| Conv2d::new(&scope.scope(format!("block{b}.conv{c}")), w[1], w[1], 3, 1);
            Stage {
                enter: Conv2d::new(&scope.scope("enter"), w[0], w[1], 3, 2),
                blocks: (0..config.blocks).map(|b| [conv(b, 0), conv(b, 1)]).collect(),
            }
        };
        let last = inputs[inputs.len() - 1];
        ConvEnergy {
            stages: inputs.windows(2).enumerate().map(stage).collect(),
            head: Linear::new(&scope.scope("head"), last, 1),
            activation: config.activation,
        }
    }
}

impl Energy for ConvEnergy {
    fn energy(&self, x: &Tensor) -> Tensor {
        let a = |x: &Tensor| self.activation.apply(x);
        let mut h = x.clone(); // [N, H, W, C]
        for stage in &self.stages {
            h = a(&stage.enter.forward(&h));
            for [first, second] in &stage.blocks {
                h = a(&(&h + &second.forward(&a(&first.forward(&h)))));
            }
        }
        self.head.forward(&h.mean_axes(&[1, 2])).reshape([x.dim(0)])
    }
}
