//! The nets of a variational autoencoder of images.

use super::{Activation, Autoencoder, BatchNorm, Init, Linear, SameConv, SameConvTranspose, Scope, dropout, join};
use crate::check;
use crate::error::Result;
use crate::tensor::{Key, Tensor};
use serde::{Deserialize, Serialize};

/// The layers of encoder and decoder, each `[kernel, stride, channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvCoderConfig {
    /// Convolutions of the encoder, a leaky ReLU after each.
    pub encoder: Vec<[usize; 3]>,
    /// The probability of dropout after each of them.
    pub dropout: f64,
    /// Channels of the smallest image, linear in z.
    pub start: usize,
    /// Transposed convolutions of the decoder, but for the last one.
    pub decoder: Vec<[usize; 3]>,
    /// Kernel and stride of the last one, to the channels of the image.
    pub last: [usize; 2],
    /// How many layers of the decoder are normalised by batch, from the smallest image on.
    pub normed: usize,
    /// The nonlinearity of the decoder.
    pub activation: Activation,
    /// The deviation of the first weights of convolutions, if not the usual one.
    pub init: Option<f64>,
}

impl Default for ConvCoderConfig {
    fn default() -> ConvCoderConfig {
        ConvCoderConfig {
            encoder: vec![[4, 2, 32], [4, 2, 32], [4, 1, 32]],
            dropout: 0.0,
            start: 128,
            decoder: vec![[3, 2, 64], [3, 2, 32]],
            last: [3, 2],
            normed: 3,
            activation: Activation::Relu,
            init: None,
        }
    }
}

/// Kernels and strides at most.
const MOST_TAPS: usize = 16;

/// Whether a list of layers makes sense.
pub fn check_layers(name: &str, layers: &[[usize; 3]]) -> Result<()> {
    let fits = |l: &[usize; 3]| {
        (1..=MOST_TAPS).contains(&l[0]) && (1..=l[0]).contains(&l[1]) && (1..=check::MOST_WIDE).contains(&l[2])
    };
    let ok = (1..=check::MOST_LAYERS).contains(&layers.len()) && layers.iter().all(fits);
    let why = format!("use layers [kernel, stride, channels], kernels to {MOST_TAPS}, strides to the kernel");
    check::ensure(ok, name, &layers[..layers.len().min(check::MOST_LAYERS)], why)
}

/// Sides of the image behind each of `strides`.
pub fn sizes([h, w]: [usize; 2], strides: impl Iterator<Item = usize>) -> Vec<[usize; 2]> {
    let next = |size: &mut [usize; 2], stride: usize| {
        *size = size.map(|s| s.div_ceil(stride));
        Some(*size)
    };
    strides.scan([h, w], next).collect()
}

impl ConvCoderConfig {
    /// Whether the settings make sense; `name` is where they stand, such as `algorithm.vae.net`.
    pub fn check(&self, name: &str) -> Result<()> {
        check_layers(&format!("{name}.encoder"), &self.encoder)?;
        check::below_one(format!("{name}.dropout"), self.dropout)?;
        check::within(format!("{name}.start"), self.start, 1..=check::MOST_WIDE)?;
        check_layers(&format!("{name}.decoder"), &self.decoder)?;
        check_layers(&format!("{name}.last"), &[[self.last[0], self.last[1], 1]])?;
        check::within(format!("{name}.normed"), self.normed, 0..=self.decoder.len() + 1)?;
        self.init.map_or(Ok(()), |std| check::positive(format!("{name}.init"), std))
    }
}

/// Encoder: convolutions, then two linear layers to m and l. Decoder: a linear layer to the smallest image, transposed
/// convolutions, tanh: images lie in [-1, 1].
pub struct ConvCoder {
    encoder: Vec<SameConv>,
    dropout: f64,
    heads: [Linear; 2],
    start: Linear,
    decoder: Vec<SameConvTranspose>,
    norms: Vec<BatchNorm>,
    activation: Activation,
    /// Height, width, channels.
    smallest: [usize; 3],
}

impl ConvCoder {
    /// Declares `encoder.conv0`, ..., `decoder.layer0`, ... in `scope`, for images `[h, w, c]`.
    pub fn new(
        scope: &Scope,
        [h, w, c]: [usize; 3],
        (latent, told): (usize, [usize; 2]),
        config: &ConvCoderConfig,
    ) -> ConvCoder {
        let (encoder, decoder) = (scope.scope("encoder"), scope.scope("decoder"));
        let inputs = [c + told[0]].into_iter().chain(config.encoder.iter().map(|l| l[2]));
        let conv = |(i, (inputs, &layer)): (usize, (usize, &[usize; 3]))| {
            SameConv::new(&encoder.scope(format!("conv{i}")), inputs, layer, config.init)
        };
        let ends = sizes([h, w], config.encoder.iter().map(|l| l[1]));
        let features = ends[ends.len() - 1].iter().product::<usize>() * config.encoder[config.encoder.len() - 1][2];
        let head = |name: &str| Linear::new(&encoder.scope(name), features, latent);

        let layers: Vec<[usize; 3]> =
            config.decoder.iter().copied().chain([[config.last[0], config.last[1], c]]).collect();
        // The sizes from the image back to the smallest one.
        let mut back = vec![[h, w]];
        back.extend(sizes([h, w], layers.iter().rev().map(|l| l[1])));
        let [sh, sw] = back[layers.len()];
        let smallest = [sh, sw, config.start];
        let channels = [config.start].into_iter().chain(config.decoder.iter().map(|l| l[2]));
        let up = |(i, (inputs, &layer)): (usize, (usize, &[usize; 3]))| {
            let (scope, size) = (decoder.scope(format!("layer{}", i + 1)), back[layers.len() - 1 - i]);
            SameConvTranspose::new(&scope, inputs, layer, size, config.init, i + 1 >= config.normed)
        };
        let norm = |(i, channels): (usize, usize)| {
            let scope = decoder.scope(format!("norm{i}"));
            BatchNorm { eps: 1e-3, ..BatchNorm::without_scale(&scope, channels) }
        };
        let (from, size) = (decoder.scope("layer0"), smallest.iter().product());
        let std = config.init.map_or(Init::fan_in(latent + told[1]), Init::Normal);
        ConvCoder {
            encoder: inputs.zip(&config.encoder).enumerate().map(conv).collect(),
            dropout: config.dropout,
            heads: [head("mean"), head("log_deviation")],
            start: match config.normed {
                0 => Linear::started_as(&from, latent + told[1], size, std, Init::Constant(0.0)),
                _ => Linear::without_bias(&from, latent + told[1], size, std),
            },
            norms: channels.clone().enumerate().take(config.normed).map(norm).collect(),
            decoder: channels.zip(&layers).enumerate().map(up).collect(),
            activation: config.activation,
            smallest,
        }
    }
}

impl Autoencoder for ConvCoder {
    fn decode(&self, z: &Tensor, told: Option<&Tensor>, training: bool) -> Tensor {
        let normed = |i: usize, h: Tensor| match self.norms.get(i) {
            Some(norm) if training => norm.train(&h),
            Some(norm) => norm.evaluate(&h),
            None => h,
        };
        let [h, w, c] = self.smallest;
        let start = normed(0, self.start.forward(&join(z, told)).reshape([z.dim(0), h, w, c]));
        let layer = |h: Tensor, (i, layer): (usize, &SameConvTranspose)| {
            normed(i + 1, layer.forward(&self.activation.apply(&h)))
        };
        self.decoder.iter().enumerate().fold(start, layer).tanh()
    }

    fn encode(&self, x: &Tensor, told: Option<&Tensor>, key: Option<&Key>) -> [Tensor; 2] {
        let layer = |h: Tensor, (i, conv): (usize, &SameConv)| {
            let h = conv.forward(&h).leaky_relu(0.2);
            key.map_or_else(|| h.clone(), |key| dropout(&h, self.dropout, &key.index(i as u64)))
        };
        let h = self.encoder.iter().enumerate().fold(join(x, told), layer);
        let h = h.reshape([h.dim(0), h.numel() / h.dim(0)]);
        let [mean, log_deviation] = [0, 1].map(|i| self.heads[i].forward(&h));
        [mean, log_deviation.mul_scalar(0.5)]
    }
}
