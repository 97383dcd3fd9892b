//! Self-attention over the positions of an image.

use super::{GroupNorm, Init, Linear, Param, Scope};
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

/// The self-attention of SAGAN (Zhang et al. 2019): `y = x + gamma softmax(q k^T) v`, q and k of C / 8 channels, linear in x,
/// which is not normalised. It starts as the identity: gamma is zero.
pub struct SelfAttention {
    /// `C -> C / 8`
    pub query: Linear,
    /// `C -> C / 8`
    pub key: Linear,
    /// `C -> C`
    pub value: Linear,
    /// `[1]`
    pub gamma: Param,
}

impl SelfAttention {
    /// A block over `channels` channels.
    pub fn new(scope: &Scope, channels: usize) -> SelfAttention {
        let narrow = (channels / 8).max(1);
        SelfAttention {
            query: Linear::new(&scope.scope("query"), channels, narrow),
            key: Linear::new(&scope.scope("key"), channels, narrow),
            value: Linear::new(&scope.scope("value"), channels, channels),
            gamma: scope.param("gamma", [1], Init::Constant(0.0)),
        }
    }

    /// `x [N, H, W, C] -> [N, H, W, C]`
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let [n, h, w, c] = x.shape()[..] else { panic!("self-attention: x {} is not [N, H, W, C]", x.shape()) };
        let pixels = x.reshape([n, h * w, c]);
        let (query, key, value) = (&self.query, &self.key, &self.value);
        let [q, k, v] = [query, key, value].map(|linear| linear.forward(&pixels));
        let attended = q.scaled_dot_product_attention(&k, &v, Attention { scale: Some(1.0), ..Attention::default() });
        x + attended.reshape([n, h, w, c]) * self.gamma.get()
    }
}
