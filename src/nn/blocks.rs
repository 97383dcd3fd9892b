//! Blocks of image networks: the residual block and self-attention over positions.

use super::{Activation, Conv2d, GroupNorm, Init, Linear, Scope};
use crate::tensor::Tensor;

/// `y = skip(x) + conv(a(conv(a(x)) + time))`, `x [N, H, W, C] -> y [N, H, W, K]`: pre-activation, no normalisation.
/// The skip is the identity, or a 1x1 convolution where the width changes.
pub struct ResidualBlock {
    first: Conv2d,
    second: Conv2d,
    skip: Option<Conv2d>,
    time: Option<Linear>,
    activation: Activation,
}

impl ResidualBlock {
    /// A block from `inputs` to `outputs` channels, shifted by an embedding of `time` values where there is one.
    pub fn new(
        scope: &Scope,
        inputs: usize,
        outputs: usize,
        time: Option<usize>,
        activation: Activation,
    ) -> ResidualBlock {
        ResidualBlock {
            first: Conv2d::new(&scope.scope("conv0"), inputs, outputs, 3, 1),
            second: Conv2d::new(&scope.scope("conv1"), outputs, outputs, 3, 1),
            skip: (inputs != outputs).then(|| Conv2d::new(&scope.scope("skip"), inputs, outputs, 1, 1)),
            time: time.map(|dim| Linear::new(&scope.scope("time"), dim, outputs)),
            activation,
        }
    }

    /// Applies the block; `time [N, T]` where it was built with one.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Tensor {
        let a = |x: &Tensor| self.activation.apply(x);
        let mut h = self.first.forward(&a(x));
        if let (Some(linear), Some(time)) = (&self.time, time) {
            let shift = linear.forward(&a(time)); // [N, K]
            h = h + shift.reshape([shift.dim(0), 1, 1, shift.dim(1)]);
        }
        let skip = self.skip.as_ref().map_or_else(|| x.clone(), |conv| conv.forward(x));
        skip + self.second.forward(&a(&h))
    }
}

/// Self-attention over the positions of an image (one head), added to it:
/// `y = x + proj(softmax(q k^T / sqrt(C)) v)`, `q, k, v` linear in the group-normalised input.
/// It starts as the identity: `proj` is zero.
pub struct AttentionBlock {
    norm: GroupNorm,
    qkv: Linear,
    project: Linear,
}

impl AttentionBlock {
    /// A block over `channels` channels, normalised in `groups` groups.
    pub fn new(scope: &Scope, channels: usize, groups: usize) -> AttentionBlock {
        let (project, zero) = (scope.scope("project"), Init::Constant(0.0));
        AttentionBlock {
            norm: GroupNorm::new(&scope.scope("norm"), channels, groups),
            qkv: Linear::new(&scope.scope("qkv"), channels, 3 * channels),
            project: Linear {
                weight: project.param("weight", [channels, channels], zero),
                bias: Some(project.param("bias", [channels], zero)),
            },
        }
    }

    /// `x [N, H, W, C] -> [N, H, W, C]`
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let [n, h, w, c] = x.shape()[..] else { panic!("attention block: x {} is not [N, H, W, C]", x.shape()) };
        let qkv = self.qkv.forward(&self.norm.forward(x).reshape([n, h * w, c]));
        let part = |i: usize| qkv.slice_axis(2, i * c, c);
        let attended = part(0).scaled_dot_product_attention(&part(1), &part(2));
        x + &self.project.forward(&attended).reshape([n, h, w, c])
    }
}
