//! The residual net of one scale of [`MultiScale`](super::MultiScale).

use super::MultiScaleConfig;
use crate::nn::{Activation, Conv2d, GroupNorm, Linear, Scope, SelfAttention, SpectralNorm, weight_standardised};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What is done to the weights of convolutions before they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// Nothing.
    Plain,
    /// Those of blocks have mean 0 and deviation 1 per output channel.
    Standardised,
    /// All are divided by their largest singular value.
    Spectral,
}

/// `x [N, H, W, C] -> [N, 1]`: a convolution, stages that halve the resolution, the mean over space, a linear layer.
pub(super) struct ScaleNet {
    enter: Conv,
    stages: Vec<Stage>,
    /// Behind how many stages, and what.
    attention: Option<(usize, SelfAttention)>,
    head: Linear,
    activation: Activation,
}

struct Stage {
    blocks: Vec<Block>,
    /// 3 x 3 to the next width; means of 3 x 3 pixels, 2 apart, follow.
    halve: Conv,
}

/// `x + a(second(a(first(x))))`, each part a convolution, a norm, and gain and bias of the class.
struct Block([Part; 2]);

struct Part {
    conv: Conv,
    norm: Option<GroupNorm>,
    /// One-hot class to gain and bias `[2 C]`.
    class: Option<Linear>,
}

/// A convolution that keeps the size.
struct Conv {
    conv: Conv2d,
    standardised: bool,
    spectral: Option<SpectralNorm>,
}

impl ScaleNet {
    pub fn new(
        scope: &Scope,
        channels: usize,
        widths: &[usize],
        attention: usize,
        config: &MultiScaleConfig,
        classes: usize,
    ) -> ScaleNet {
        let inputs: Vec<usize> = [config.width].into_iter().chain(widths.iter().copied()).collect();
        let stage = |(i, w): (usize, &[usize])| {
            let scope = scope.scope(format!("stage{i}"));
            let block = |b: usize| Block::new(&scope.scope(format!("block{b}")), w[0], config, classes);
            Stage {
                blocks: (0..=config.blocks).map(block).collect(),
                halve: Conv::new(&scope.scope("halve"), w[0], w[1], config.weights, false),
            }
        };
        ScaleNet {
            enter: Conv::new(&scope.scope("enter"), channels, config.width, config.weights, false),
            stages: inputs.windows(2).enumerate().map(stage).collect(),
            attention: (attention > 0)
                .then(|| (attention, SelfAttention::new(&scope.scope("attention"), inputs[attention]))),
            head: Linear::new(&scope.scope("head"), inputs[inputs.len() - 1], 1),
            activation: config.activation,
        }
    }

    /// `class` holds one-hot rows `[N, classes]`.
    pub fn forward(&self, x: &Tensor, class: Option<&Tensor>) -> Tensor {
        let a = self.activation;
        let mut h = a.apply(&self.enter.forward(x));
        for (i, stage) in self.stages.iter().enumerate() {
            if let Some((_, attention)) = self.attention.as_ref().filter(|(behind, _)| *behind == i) {
                h = attention.forward(&h);
            }
            h = stage.blocks.iter().fold(h, |h, block| block.forward(&h, class, a));
            h = a.apply(&stage.halve.forward(&h).avg_pool(3, 2, 1));
        }
        if let Some((_, attention)) = self.attention.as_ref().filter(|(behind, _)| *behind == self.stages.len()) {
            h = attention.forward(&h);
        }
        self.head.forward(&h.mean_axes(&[1, 2]))
    }

    pub fn update_norms(&self) {
        let convs =
            self.stages.iter().flat_map(|s| s.blocks.iter().flat_map(|b| &b.0).map(|p| &p.conv).chain([&s.halve]));
        convs.chain([&self.enter]).for_each(Conv::update_norm);
    }
}

impl Block {
    fn new(scope: &Scope, width: usize, config: &MultiScaleConfig, classes: usize) -> Block {
        let part = |name: &str| {
            let scope = scope.scope(name);
            let groups = if width <= 128 { width } else { 32 };
            let norm = || GroupNorm { eps: 1e-5, ..GroupNorm::new(&scope.scope("norm"), width, groups) };
            Part {
                conv: Conv::new(&scope.scope("conv"), width, width, config.weights, true),
                norm: config.norm.then(norm),
                class: (classes > 0).then(|| Linear::new(&scope.scope("class"), classes, 2 * width)),
            }
        };
        Block([part("first"), part("second")])
    }

    fn forward(&self, x: &Tensor, class: Option<&Tensor>, a: Activation) -> Tensor {
        x + self.0.iter().fold(x.clone(), |h, part| part.forward(&h, class, a))
    }
}

impl Part {
    fn forward(&self, x: &Tensor, class: Option<&Tensor>, a: Activation) -> Tensor {
        let h = self.conv.forward(x);
        match (&self.norm, self.class.as_ref().zip(class)) {
            (Some(norm), None) if a == Activation::Silu => norm.forward_silu(&h),
            (norm, told) => {
                let h = norm.as_ref().map_or_else(|| h.clone(), |norm| norm.forward(&h));
                let Some((linear, class)) = told else { return a.apply(&h) };
                let c = h.dim(3);
                let both = linear.forward(class).reshape([h.dim(0), 1, 1, 2 * c]);
                // The gain as it is, without 1 +, as in the authors' code.
                a.apply(&(h * both.narrow(3, 0, c) + both.narrow(3, c, c)))
            }
        }
    }
}

impl Conv {
    fn new(scope: &Scope, inputs: usize, outputs: usize, weights: Weights, in_block: bool) -> Conv {
        Conv {
            conv: Conv2d::new(scope, inputs, outputs, 3, 1),
            standardised: in_block && weights == Weights::Standardised,
            spectral: (weights == Weights::Spectral).then(|| SpectralNorm::new(scope, outputs)),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let weight = self.conv.weight.get();
        match &self.spectral {
            Some(norm) => self.conv.forward_with(x, &norm.apply(&weight)),
            None if self.standardised => self.conv.forward_with(x, &weight_standardised(&weight)),
            None => self.conv.forward_with(x, &weight),
        }
    }

    fn update_norm(&self) {
        if let Some(norm) = &self.spectral {
            norm.update(&self.conv.weight.get());
        }
    }
}
