//! The convolution layers.

use super::{Init, Param, Scope};
use crate::ops::conv2d::Conv;
use crate::tensor::Tensor;

/// `y = x * w + b`, `x [N, H, W, C] -> y [N, P, Q, K]`.
pub struct Conv2d {
    /// `[K, R, S, C]`
    pub weight: Param,
    /// `[K]`
    pub bias: Option<Param>,
    /// Stride, padding and dilation.
    pub conv: Conv,
}

impl Conv2d {
    /// A square kernel padded so that stride 1 keeps the size; weights and bias uniform with bound
    /// 1 / sqrt(kernel^2 C).
    pub fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Conv2d {
        let init = Init::fan_in(kernel * kernel * inputs);
        Conv2d {
            weight: scope.param("weight", [outputs, kernel, kernel, inputs], init),
            bias: Some(scope.param("bias", [outputs], init)),
            conv: Conv::same(kernel).stride(stride),
        }
    }

    /// Applies the layer.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.forward_with(x, &self.weight.get())
    }

    /// Applies the layer with a weight made from its own (normalised, standardised).
    #[track_caller]
    pub fn forward_with(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        x.conv2d(weight, self.bias.as_ref().map(Param::get).as_ref(), self.conv)
    }
}

/// Transposed convolution: `x [N, P, Q, C] -> y [N, H, W, K]`, `H = (P - 1) stride - 2 padding + dilation (R - 1) + 1 + extra`.
pub struct ConvTranspose2d {
    /// `[C, R, S, K]`
    pub weight: Param,
    /// `[K]`
    pub bias: Option<Param>,
    /// Stride, padding and dilation of the convolution that this is the transpose of.
    pub conv: Conv,
    /// More pixels below and to the right, less than the stride.
    pub extra: [usize; 2],
}

impl ConvTranspose2d {
    /// A square kernel, at least as wide as the stride, that makes the image `stride` times as large; weights and bias
    /// uniform with bound 1 / sqrt(kernel^2 K).
    #[track_caller]
    pub fn new(scope: &Scope, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> ConvTranspose2d {
        assert!(stride > 0 && kernel >= stride, "ConvTranspose2d: kernel {kernel} is smaller than stride {stride}");
        let init = Init::fan_in(kernel * kernel * outputs);
        let padding = (kernel - stride).div_ceil(2);
        ConvTranspose2d {
            weight: scope.param("weight", [inputs, kernel, kernel, outputs], init),
            bias: Some(scope.param("bias", [outputs], init)),
            conv: Conv::default().stride(stride).padding(padding),
            extra: [2 * padding + stride - kernel; 2],
        }
    }

    /// Applies the layer.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let bias = self.bias.as_ref().map(Param::get);
        x.conv_transpose2d(&self.weight.get(), bias.as_ref(), self.conv, self.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::{Device, Key};

    #[test]
    fn a_transposed_layer_multiplies_the_size_by_its_stride() {
        for (kernel, stride) in [(2, 2), (3, 2), (4, 2), (3, 1), (5, 3)] {
            let params = Params::new(&Device::oracle(), Key::new(1));
            let layer = ConvTranspose2d::new(&params.root(), 2, 3, kernel, stride);
            let y = layer.forward(&Tensor::zeros(&Device::oracle(), [1, 4, 5, 2]));
            assert_eq!(y.shape()[..], [1, 4 * stride, 5 * stride, 3], "kernel {kernel}");
        }
    }
}
