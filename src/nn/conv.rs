//! The convolution layer.

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
