//! The U-Net of denoising diffusion (Ho et al. 2020), in the form of Nichol and Dhariwal (2021).

use super::{AttentionBlock, Conv2d, GroupNorm, Init, Linear, Scope, dropout};
use crate::check::{self, MOST_LAYERS, MOST_WIDE};
use crate::error::Result;
use crate::ops::conv2d::Conv;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// Widths, depth and places of attention; the default is CDRL's network for CIFAR-10.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UNetConfig {
    /// Channels that the multipliers multiply.
    pub width: usize,
    /// Channels of each resolution, in widths; every resolution is half the one before.
    pub multipliers: Vec<usize>,
    /// Residual blocks per resolution on the way down; the way up has one more.
    pub blocks: usize,
    /// Heights of the feature maps whose blocks are followed by self-attention.
    pub attention: Vec<usize>,
    /// Probability of dropout inside the residual blocks.
    pub dropout: f64,
}

impl Default for UNetConfig {
    fn default() -> UNetConfig {
        UNetConfig { width: 64, multipliers: vec![1, 1, 1], blocks: 3, attention: vec![16, 8], dropout: 0.1 }
    }
}

impl UNetConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.initializer`.
    pub fn check(&self, name: &str) -> Result<()> {
        let UNetConfig { width, multipliers, blocks, attention: _, dropout } = self;
        check::within(format!("{name}.width"), *width, 4..=MOST_WIDE)?;
        check::ensure(width % 2 == 0, format!("{name}.width"), width, "use an even width")?;
        check::list(format!("{name}.multipliers"), multipliers, 1..=MOST_WIDE / width)?;
        check::within(format!("{name}.blocks"), *blocks, 1..=MOST_LAYERS)?;
        check::below_one(format!("{name}.dropout"), *dropout)
    }

    /// The heights of the feature maps of each resolution, or why the settings do not fit an image of this size.
    fn heights(&self, [h, w]: [usize; 2]) -> Result<Vec<usize>> {
        let UNetConfig { multipliers, attention, .. } = self;
        let fits = |level: usize| [h, w].iter().all(|d| *d > 0 && d.trailing_zeros() as usize >= level);
        let (times, most) =
            (multipliers.len() - 1, (1..multipliers.len()).take_while(|level| fits(*level)).count() + 1);
        let why = format!("halves the image {times} times, but {h}x{w} cannot be; use at most {most} multipliers");
        check::ensure(fits(times), "unet.multipliers", multipliers, why)?;
        let heights: Vec<usize> = (0..multipliers.len()).map(|level| h >> level).collect();
        let among = attention.iter().all(|a| heights.contains(a));
        check::ensure(
            among,
            "unet.attention",
            attention,
            format!("choose among the heights of its maps, {heights:?}"),
        )?;
        Ok(heights)
    }
}

/// `y = net(x, e)`, `x, y [N, H, W, C]`, with `e [N or 1, E]` embedding what the network is told (the noise level):
///
/// - down: a 3x3 convolution, then per resolution `blocks` residual blocks (each with attention where listed), then a
///   residual block that halves the image;
/// - middle: a residual block, attention, a residual block;
/// - up: per resolution `blocks + 1` residual blocks (likewise), each of which also takes the maps that the way down left
///   last and that are not taken yet, then a residual block that doubles the image;
/// - group norm, SiLU, a 3x3 convolution that starts at zero.
///
/// With CDRL's settings for CIFAR-10 and a time network 64 -> 256 -> 256 this has 3.77 M parameters; CDRL's has about
/// 3.8 M. (One attention per resolution on the way up, the other common form, would give 3.67 M.)
pub struct UNet {
    enter: Conv2d,
    down: Vec<Stage>,
    middle: [Stage; 2],
    up: Vec<Stage>,
    norm: GroupNorm,
    leave: Conv2d,
}

impl UNet {
    /// Declares `enter`, `down0`, ..., `middle0`, `middle1`, `up0`, ..., `norm`, `leave` in `scope` for images of shape
    /// `item [H, W, C]` and embeddings of `embedding` values.
    ///
    /// # Errors
    /// When the settings do not fit the image.
    pub fn build(scope: &Scope, item: [usize; 3], embedding: usize, config: &UNetConfig) -> Result<UNet> {
        config.check("unet")?;
        let heights = config.heights([item[0], item[1]])?;
        let widths: Vec<usize> = config.multipliers.iter().map(|m| m * config.width).collect();
        let last = widths.len() - 1;
        let stage = |name: String, widths: [usize; 2], resample: Resample, attention: bool| {
            let scope = scope.scope(name);
            let block = Block::new(&scope, widths, embedding, resample, config.dropout);
            let group = groups(widths[1]);
            let attention = attention.then(|| AttentionBlock::new(&scope.scope("attention"), widths[1], group));
            Stage { block, attention }
        };

        let enter = Conv2d::new(&scope.scope("enter"), item[2], config.width, 3, 1);
        let (mut now, mut skips) = (config.width, vec![config.width]);
        let mut down = Vec::new();
        for (level, &width) in widths.iter().enumerate() {
            let halves = (level < last).then_some(Resample::Down);
            for resample in std::iter::repeat_n(Resample::Keep, config.blocks).chain(halves) {
                let attends = resample == Resample::Keep && config.attention.contains(&heights[level]);
                down.push(stage(format!("down{}", down.len()), [now, width], resample, attends));
                now = width;
                skips.push(now);
            }
        }
        let middle = [0, 1].map(|i| stage(format!("middle{i}"), [now, now], Resample::Keep, i == 0));
        let mut up = Vec::new();
        for (level, &width) in widths.iter().enumerate().rev() {
            for skip in skips.split_off(skips.len() - config.blocks - 1).into_iter().rev() {
                let attends = config.attention.contains(&heights[level]);
                up.push(stage(format!("up{}", up.len()), [now + skip, width], Resample::Keep, attends));
                now = width;
            }
            if level > 0 {
                up.push(stage(format!("up{}", up.len()), [now, now], Resample::Up, false));
            }
        }
        let norm = GroupNorm::new(&scope.scope("norm"), now, groups(now));
        Ok(UNet { enter, down, middle, up, norm, leave: zero_conv(&scope.scope("leave"), now, item[2]) })
    }

    /// Applies the network; `key` draws the dropout, none is without.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, embedding: &Tensor, key: Option<&Key>) -> Tensor {
        let embedding = embedding.silu();
        let apply = |stage: &Stage, part: &str, i: usize, h: &Tensor| {
            stage.forward(h, &embedding, key.map(|key| key.named(part).index(i as u64)).as_ref())
        };
        let mut h = self.enter.forward(x);
        let mut skips = vec![h.clone()];
        for (i, stage) in self.down.iter().enumerate() {
            h = apply(stage, "down", i, &h);
            skips.push(h.clone());
        }
        for (i, stage) in self.middle.iter().enumerate() {
            h = apply(stage, "middle", i, &h);
        }
        for (i, stage) in self.up.iter().enumerate() {
            if stage.block.resample == Resample::Keep {
                let skip = skips.pop().unwrap_or_else(|| unreachable!("there is one for every block on the way up"));
                h = Tensor::concat(&[&h, &skip], 3);
            }
            h = apply(stage, "up", i, &h);
        }
        self.leave.forward(&self.norm.forward_silu(&h))
    }
}

/// A residual block, and attention after it.
struct Stage {
    block: Block,
    attention: Option<AttentionBlock>,
}

impl Stage {
    #[track_caller]
    fn forward(&self, x: &Tensor, embedding: &Tensor, key: Option<&Key>) -> Tensor {
        let h = self.block.forward(x, embedding, key);
        self.attention.as_ref().map_or(h.clone(), |attention| attention.forward(&h))
    }
}

/// What a residual block does to the size of the image.
#[derive(Clone, Copy, PartialEq)]
enum Resample {
    Keep,
    /// Averages 2x2 pixels.
    Down,
    /// Repeats every pixel 2x2 times.
    Up,
}

impl Resample {
    fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Resample::Keep => x.clone(),
            Resample::Down => x.avg_pool(2, 2, 0),
            Resample::Up => x.repeat_pixels(2),
        }
    }
}

/// With `r` the resampling and `(scale, shift)` linear in the embedding's activation,
///
/// `h = conv0(r(silu(norm0(x))))`, `y = skip(r(x)) + conv1(dropout(silu(norm1(h) (1 + scale) + shift)))`
///
/// The skip is the identity, or a 1x1 convolution where the width changes; conv1 starts at zero.
struct Block {
    norms: [GroupNorm; 2],
    convs: [Conv2d; 2],
    condition: Linear,
    skip: Option<Conv2d>,
    resample: Resample,
    dropout: f64,
}

impl Block {
    fn new(scope: &Scope, widths: [usize; 2], embedding: usize, resample: Resample, dropout: f64) -> Block {
        let [inputs, outputs] = widths;
        let norm = |i: usize| GroupNorm::new(&scope.scope(format!("norm{i}")), widths[i], groups(widths[i]));
        Block {
            norms: [norm(0), norm(1)],
            convs: [
                Conv2d::new(&scope.scope("conv0"), inputs, outputs, 3, 1),
                zero_conv(&scope.scope("conv1"), outputs, outputs),
            ],
            condition: Linear::new(&scope.scope("condition"), embedding, 2 * outputs),
            skip: (inputs != outputs).then(|| Conv2d::new(&scope.scope("skip"), inputs, outputs, 1, 1)),
            resample,
            dropout,
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, embedding: &Tensor, key: Option<&Key>) -> Tensor {
        let condition = self.condition.forward(embedding); // [N or 1, 2 K]
        let (rows, width) = (condition.dim(0), condition.dim(1) / 2);
        let part = |i: usize| condition.narrow(1, i * width, width).reshape([rows, 1, 1, width]);
        let h = self.convs[0].forward(&self.resample.apply(&self.norms[0].forward_silu(x)));
        let h = (self.norms[1].forward(&h) * part(0).add_scalar(1.0) + part(1)).silu();
        let h = key.map_or(h.clone(), |key| dropout(&h, self.dropout, key));
        let x = self.resample.apply(x);
        let skip = self.skip.as_ref().map_or(x.clone(), |conv| conv.forward(&x));
        skip + self.convs[1].forward(&h)
    }
}

/// The groups of a norm: 32 from 64 channels on, of four channels in narrower nets, or the next smaller number that divides the
/// channels. A group of one channel would normalise away what tells its mean.
fn groups(channels: usize) -> usize {
    let most = if channels >= 64 { 32 } else { (channels / 4).max(1) };
    (1..=most).rev().find(|g| channels.is_multiple_of(*g)).unwrap_or(1)
}

/// A 3x3 convolution with all weights and the bias zero.
fn zero_conv(scope: &Scope, inputs: usize, outputs: usize) -> Conv2d {
    Conv2d {
        weight: scope.param("weight", [outputs, 3, 3, inputs], Init::Constant(0.0)),
        bias: Some(scope.param("bias", [outputs], Init::Constant(0.0))),
        conv: Conv::same(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::Device;

    fn build(item: [usize; 3], config: &UNetConfig) -> Result<(Params, UNet)> {
        let params = Params::new(&Device::oracle(), Key::new(1));
        let net = UNet::build(&params.root(), item, 4 * config.width, config)?;
        Ok((params, net))
    }

    /// Width 64, norms two per channel, the condition 256 -> 128.
    #[test]
    fn the_network_for_cifar10_has_the_parameters_of_its_parts() {
        let (params, net) = build([32, 32, 3], &UNetConfig::default()).unwrap();
        let conv = |inputs: usize, outputs: usize| 9 * inputs * outputs + outputs;
        let block = |inputs: usize| 2 * inputs + conv(inputs, 64) + (256 * 128 + 128) + 2 * 64 + conv(64, 64);
        let attention = 2 * 64 + (64 * 192 + 192) + (64 * 64 + 64);
        // 9 blocks down, 2 that halve, 2 in the middle, 2 that double; 12 blocks up, over twice the channels.
        let blocks = 15 * block(64) + 12 * (block(128) + 128 * 64 + 64);
        // At 16 and 8: 3 each down, 4 each up; one in the middle.
        let all = conv(3, 64) + blocks + 15 * attention + 2 * 64 + conv(64, 3);
        assert_eq!((net.down.len(), net.up.len(), params.numel()), (11, 14, all));
        assert_eq!(all, 3_687_363);
    }

    #[test]
    fn images_that_do_not_halve_often_enough_and_wrong_settings_are_refused() {
        let small = UNetConfig { width: 4, blocks: 1, attention: vec![7], ..UNetConfig::default() };
        assert!(build([28, 28, 1], &small).is_ok());
        let refused = |item: [usize; 3], config: UNetConfig, want: &str| {
            let text = build(item, &config).err().expect("refused").to_string();
            assert!(text.contains(want), "{text}");
        };
        refused([28, 28, 1], UNetConfig { multipliers: vec![1; 4], ..small.clone() }, "use at most 3");
        refused([28, 30, 1], small.clone(), "use at most 2");
        refused([28, 28, 1], UNetConfig { attention: vec![8], ..small.clone() }, "[28, 14, 7]");
        refused([28, 28, 1], UNetConfig { width: 5, ..small.clone() }, "even width");
        refused([28, 28, 1], UNetConfig { dropout: 1.0, ..small }, "unet.dropout = 1.0");
    }
}
