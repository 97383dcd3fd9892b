//! Convolutions that divide the size of an image by their stride, and their transposes, for kernels of any size.

use super::{Init, Param, Scope};
use crate::ops::conv2d::Conv;
use crate::tensor::Tensor;

/// `y = x * w + b`, `x [N, H, W, C] -> y [N, ceil(H / stride), ceil(W / stride), K]`: zeros around x as far as the kernel reaches
/// beyond it, the odd one below and to the right ("SAME" of TensorFlow).
pub struct SameConv {
    /// `[K, R, R, C]`
    pub weight: Param,
    /// `[K]`
    pub bias: Param,
    /// From one output pixel to the next.
    pub stride: usize,
}

impl SameConv {
    /// A layer `[kernel, stride, outputs]`; weights N(0, std^2) with bias 0, or the usual ones.
    pub fn new(scope: &Scope, inputs: usize, [kernel, stride, outputs]: [usize; 3], std: Option<f64>) -> SameConv {
        let (weight, bias) = start(kernel * kernel * inputs, std);
        SameConv {
            weight: scope.param("weight", [outputs, kernel, kernel, inputs], weight),
            bias: scope.param("bias", [outputs], bias),
            stride,
        }
    }

    /// Applies the layer.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let weight = self.weight.get();
        let conv = around([x.dim(1), x.dim(2)], &weight, self.stride);
        x.conv2d(&weight, Some(&self.bias.get()), conv)
    }
}

/// The transpose of [`SameConv`]: `x [N, ceil(H / stride), ceil(W / stride), C] -> y [N, H, W, K]`.
pub struct SameConvTranspose {
    /// `[C, R, R, K]`
    pub weight: Param,
    /// `[K]`; none in front of a norm.
    pub bias: Option<Param>,
    /// Of the convolution that this is the transpose of.
    pub stride: usize,
    /// H and W.
    pub size: [usize; 2],
}

impl SameConvTranspose {
    /// A layer `[kernel, stride, outputs]` to images of this size.
    pub fn new(
        scope: &Scope,
        inputs: usize,
        [kernel, stride, outputs]: [usize; 3],
        size: [usize; 2],
        std: Option<f64>,
        bias: bool,
    ) -> SameConvTranspose {
        // Each output pixel is reached by a part of the kernel.
        let (weight, start) = start(inputs * (kernel * kernel).div_ceil(stride * stride), std);
        SameConvTranspose {
            weight: scope.param("weight", [inputs, kernel, kernel, outputs], weight),
            bias: bias.then(|| scope.param("bias", [outputs], start)),
            stride,
            size,
        }
    }

    /// Applies the layer.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let weight = self.weight.get();
        let y = x.conv2d_input_grad(&weight, self.size, around(self.size, &weight, self.stride));
        self.bias.as_ref().map_or_else(|| y.clone(), |bias| &y + bias.get())
    }
}

fn start(fan_in: usize, std: Option<f64>) -> (Init, Init) {
    let usual = Init::fan_in(fan_in);
    std.map_or((usual, usual), |std| (Init::Normal(std), Init::Constant(0.0)))
}

/// The convolution of images of `size` by `weight [K, R, S, C]` with as many zeros as it needs.
fn around(size: [usize; 2], weight: &Tensor, stride: usize) -> Conv {
    let zeros = [0, 1].map(|i| ((size[i].div_ceil(stride) - 1) * stride + weight.dim(i + 1)).saturating_sub(size[i]));
    Conv { padding: zeros.map(|z| z / 2), trailing: zeros.map(|z| z % 2), ..Conv::default().stride(stride) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Params;
    use crate::tensor::{Device, Key};

    /// `<y, conv x> = <conv^T y, x>` for kernels and strides that do and do not divide the image.
    #[test]
    fn the_transpose_is_the_adjoint_and_sizes_are_divided() {
        let device = Device::oracle();
        for (size, [kernel, stride]) in [(28, [5, 2]), (28, [3, 2]), (7, [3, 2]), (8, [4, 2]), (7, [4, 1]), (6, [3, 1])]
        {
            let params = Params::new(&device, Key::new(1));
            let (a, b) = (params.root().scope("a"), params.root().scope("b"));
            let conv = SameConv::new(&a, 2, [kernel, stride, 3], Some(1.0));
            let turned = SameConvTranspose::new(&b, 3, [kernel, stride, 2], [size, size], Some(1.0), false);
            let small = size.div_ceil(stride);
            let x = Tensor::normal(&device, [2, size, size, 2], &Key::new(2));
            let y = Tensor::normal(&device, [2, small, small, 3], &Key::new(3));
            let forward = conv.forward(&x);
            assert_eq!(forward.shape(), y.shape(), "{size} {kernel} {stride}");
            // The same weights: those of a, laid out as those of b.
            let flat = params.flat().get();
            let [from, to] = [params.offsets()[0], params.offsets()[2]];
            let n = conv.weight.get().numel();
            let (head, rest) = (flat.narrow(0, 0, to), flat.narrow(0, to + n, flat.numel() - to - n));
            let both = Tensor::concat(&[&head, &flat.narrow(0, from, n), &rest], 0);
            let back = params.with(&both, || turned.forward(&y));
            assert_eq!(back.shape(), x.shape());
            let [left, right] = [(&forward * &y).sum(), (&back * &x).sum()].map(|t| t.item().unwrap());
            assert!((left - right).abs() < 1e-9 * left.abs().max(1.0), "{size} {kernel} {stride}: {left} {right}");
        }
    }
}
