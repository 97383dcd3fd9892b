//! Self-attention over the positions of an image.

use super::{GroupNorm, Init, Linear, Scope};
use crate::ops::attention::Attention;
use crate::tensor::Tensor;

/// Self-attention over the positions of an image (one head), added to it:
/// `y = x + proj(softmax(q k^T / sqrt(C)) v)`, `q, k, v` linear in the group-normalised input.
/// It starts as the identity: `proj` is zero.
pub struct AttentionBlock {
    /// Before everything else.
    pub norm: GroupNorm,
    /// `C -> 3 C`: queries, keys and values side by side.
    pub qkv: Linear,
    /// `C -> C`
    pub project: Linear,
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
        let part = |i: usize| qkv.narrow(2, i * c, c);
        let attended = part(0).scaled_dot_product_attention(&part(1), &part(2), Attention::default());
        x + &self.project.forward(&attended).reshape([n, h, w, c])
    }
}
