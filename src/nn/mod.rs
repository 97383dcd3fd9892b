//! Layers: plain structs that declare parameters in a [`Scope`] and apply public ops to tensors. All their fields are public,
//! so that a layer can be put together, or changed, by hand.

mod attention;
mod autoencoder;
mod conv;
mod conv_coder;
mod embedding;
mod level_embedding;
mod linear;
mod mlp;
mod norm;
mod params;
mod regularise;
mod same_conv;
mod unet;

pub use attention::{AttentionBlock, SelfAttention};
pub use autoencoder::{Autoencoder, AutoencoderConfig, MlpCoder, MlpCoderConfig, join};
pub use conv::{Conv2d, ConvTranspose2d};
pub use conv_coder::{ConvCoder, ConvCoderConfig, check_layers, sizes};
pub use embedding::{Embedding, sinusoidal};
pub use level_embedding::{
    LevelEmbedding, beside_features, condition_index, level_features, look_up, one_hot_features,
};
pub use linear::Linear;
pub use mlp::{Mlp, MlpConfig};
pub use norm::{BatchNorm, GroupNorm, LayerNorm};
pub use params::{Init, Param, Params, Scope};
pub use regularise::{SpectralNorm, dropout, weight_standardised};
pub use same_conv::{SameConv, SameConvTranspose};
pub use unet::{UNet, UNetConfig};

use crate::ops::unary::Function;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The nonlinearity between layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `0.2 x`
    LeakyRelu,
    /// `x sigmoid(x)`
    Silu,
    /// The tanh form of GELU.
    Gelu,
    /// GELU itself.
    GeluErf,
    /// `x` where positive, else `e^x - 1`
    Elu,
    /// `log(1 + e^x)`
    Softplus,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Applies it.
    pub fn apply(self, x: &Tensor) -> Tensor {
        let (function, a) = self.function();
        function.apply(x, a)
    }

    /// The elementwise function it is, and its parameter.
    pub fn function(self) -> (&'static Function, f64) {
        let (name, a) = match self {
            Activation::Relu => ("relu", 0.0),
            Activation::LeakyRelu => ("leaky_relu", 0.2),
            Activation::Silu => ("silu", 0.0),
            Activation::Gelu => ("gelu", 0.0),
            Activation::GeluErf => ("gelu_erf", 0.0),
            Activation::Elu => ("elu", 1.0),
            Activation::Softplus => ("softplus", 0.0),
            Activation::Tanh => ("tanh", 0.0),
        };
        (Function::named(name), a)
    }
}
