//! Convolutions made of the three of `conv2d`: transposed under its own name and with a bias, grouped, depthwise.

use super::conv2d::Conv;
use super::{Case, Input};
use crate::tensor::{Tensor, calling};

impl Tensor {
    /// Transposed convolution: `y [N,P,Q,K]`, `w [K,R,S,C]`, `bias [C]` -> `x [N,H,W,C]`, the adjoint of [`Tensor::conv2d`]
    /// in x, `H = (P - 1) stride - 2 padding - trailing + dilation (R-1) + 1 + extra`, `extra` (vertical, horizontal) below the stride.
    #[track_caller]
    pub fn conv_transpose2d(&self, w: &Tensor, bias: Option<&Tensor>, conv: Conv, extra: [usize; 2]) -> Tensor {
        let _op = calling("conv_transpose2d");
        let (&[_, p, q, k], &[wk, r, s, c]) = (&self.shape()[..], &w.shape()[..]) else {
            panic!("conv_transpose2d: wants y [N,P,Q,K] and w [K,R,S,C]; shapes {}, {}", self.shape(), w.shape())
        };
        assert!(
            k == wk && bias.is_none_or(|bias| bias.shape()[..] == [c]),
            "conv_transpose2d: y [N,P,Q,K], w [K,R,S,C] and the bias [C] must agree; shapes {}, {}{}",
            self.shape(),
            w.shape(),
            bias.map_or(String::new(), |bias| format!(", {}", bias.shape()))
        );
        let (Some(h), Some(width)) = (conv.input(0, p, r, extra[0]), conv.input(1, q, s, extra[1])) else {
            panic!(
                "conv_transpose2d: no image goes to {p}x{q} by {r}x{s} taps with {conv:?} and {extra:?} more pixels (less \
                 than the stride)"
            )
        };
        let x = self.conv2d_input_grad(w, [h, width], conv);
        bias.map_or(x.clone(), |bias| &x + bias)
    }

    /// 2-D convolution in groups: the channels of x and the outputs are cut into `groups` parts, and part i of the outputs
    /// sees part i of the channels. `w [K,R,S,C/groups]`; depthwise convolution has one channel a group.
    ///
    /// Composed: depthwise of one product a tap, else of one convolution a group.
    #[track_caller]
    pub fn conv2d_grouped(&self, w: &Tensor, bias: Option<&Tensor>, conv: Conv, groups: usize) -> Tensor {
        let _op = calling("conv2d_grouped");
        let (&[.., c], &[k, r, s, part]) = (&self.shape()[..], &w.shape()[..]) else {
            panic!("conv2d_grouped: wants x [N,H,W,C] and w [K,R,S,C/groups]; shapes {}, {}", self.shape(), w.shape())
        };
        assert!(
            groups > 0 && part > 0 && c == part * groups && k.is_multiple_of(groups) && self.shape().rank() == 4,
            "conv2d_grouped: {groups} groups of {part} channels must be the channels, and divide the outputs; shapes {}, {}",
            self.shape(),
            w.shape()
        );
        assert!(bias.is_none_or(|bias| bias.shape()[..] == [k]), "conv2d_grouped: the bias must have shape [{k}]");
        let y = if part == 1 {
            self.conv2d_depthwise(w, conv, [r, s])
        } else {
            let mut parts = Vec::with_capacity(groups);
            for g in 0..groups {
                let w = w.narrow(0, g * (k / groups), k / groups);
                parts.push(self.narrow(3, g * part, part).conv2d(&w, None, conv));
            }
            Tensor::concat(&parts.iter().collect::<Vec<_>>(), 3)
        };
        bias.map_or(y.clone(), |bias| &y + bias)
    }

    /// The sum over the taps of every `stride`-th pixel times the tap's weight.
    #[track_caller]
    fn conv2d_depthwise(&self, w: &Tensor, conv: Conv, [r, s]: [usize; 2]) -> Tensor {
        let [n, h, width, c] = [0, 1, 2, 3].map(|d| self.dim(d));
        let (Some(p), Some(q)) = (conv.output(0, h, r), conv.output(1, width, s)) else {
            panic!("conv2d_grouped: the kernel is larger than the padded image, or a step is 0")
        };
        let ([py, px], [ty, tx]) = (conv.padding, conv.trailing);
        let x = self.pad(1, py, py + ty, 0.0).pad(2, px, px + tx, 0.0);
        let multiplier = w.dim(0) / c;
        let tap = |i: usize, j: usize| {
            let rows = x.slice_step(1, i * conv.dilation[0], conv.stride[0] as i64, p);
            let pixels = rows.slice_step(2, j * conv.dilation[1], conv.stride[1] as i64, q);
            &pixels.unsqueeze(-1) * &w.narrow(1, i, 1).narrow(2, j, 1).reshape([c, multiplier])
        };
        let taps = (0..r).flat_map(|i| (0..s).map(move |j| (i, j)));
        let sum = taps.map(|(i, j)| tap(i, j)).reduce(|sum, tap| sum + tap);
        let sum = sum.unwrap_or_else(|| unreachable!("output() refuses a kernel without taps"));
        sum.reshape([n, p, q, w.dim(0)])
    }
}

/// Cases: one convolution a group and one product a tap, strides and dilations that differ by direction, more pixels.
pub fn cases() -> Vec<Case> {
    let (plain, mut cases) = (Conv::default(), Vec::new());
    for (x, [k, r, s], groups, conv, order) in [
        ([2, 3, 4, 4], [2, 2, 2], 2, plain, 2),
        ([1, 5, 4, 2], [4, 3, 2], 2, Conv { stride: [2, 1], padding: [1, 0], trailing: [1, 2], dilation: [1, 2] }, 2),
        ([2, 9, 11, 12], [18, 3, 3], 3, Conv::same(3).stride(2), 0),
        ([2, 9, 11, 12], [12, 3, 3], 12, Conv::same(3), 0),
    ] {
        let inputs = [Input::unit(x), Input::unit([k, r, s, x[3] / groups]), Input::unit([k])];
        let run = move |t: &[Tensor]| t[0].conv2d_grouped(&t[1], Some(&t[2]), conv, groups);
        let terms = r * s * x[3] / groups + 1;
        cases.push(Case::new(format!("grouped x {x:?} {k} by {groups}"), inputs, run).sum(terms).order(order));
    }
    for (y, [r, s, c], conv, extra, order) in [
        ([1, 2, 3, 2], [2, 3, 2], plain.stride(2), [1, 0], 2),
        ([2, 4, 4, 8], [4, 4, 12], plain.stride(2).padding(1), [0, 0], 0),
    ] {
        let inputs = [Input::unit(y), Input::unit([y[3], r, s, c]), Input::unit([c])];
        let run = move |t: &[Tensor]| t[0].conv_transpose2d(&t[1], Some(&t[2]), conv, extra);
        cases.push(Case::new(format!("transposed y {y:?}"), inputs, run).sum(r * s * y[3] + 1).order(order));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Device, Key};

    fn unit(shape: &[usize], name: &str) -> Tensor {
        Tensor::uniform(&Device::oracle(), shape, &Key::new(2).named(name))
    }

    /// A grouped convolution is one whose weights between different groups are zero.
    #[test]
    fn grouped_and_depthwise_convolution_are_sparse_ordinary_ones() {
        let conv = Conv { stride: [2, 1], padding: [1, 0], trailing: [1, 2], dilation: [1, 2] };
        for (c, k, groups) in [(6, 4, 2), (4, 8, 4), (3, 3, 3)] {
            let (x, w) = (unit(&[2, 5, 6, c], "x"), unit(&[k, 3, 2, c / groups], "w"));
            let dense: Vec<Tensor> = (0..groups)
                .map(|g| {
                    let part = c / groups;
                    w.narrow(0, g * (k / groups), k / groups).pad(3, g * part, c - (g + 1) * part, 0.0)
                })
                .collect();
            let dense = Tensor::concat(&dense.iter().collect::<Vec<_>>(), 0);
            let want = x.conv2d(&dense, None, conv).to_f64().unwrap();
            let got = x.conv2d_grouped(&w, None, conv, groups).to_f64().unwrap();
            assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{c} {k} {groups}");
        }
    }

    /// One pixel becomes one copy of the kernel; `extra` adds rows of bias.
    #[test]
    fn transposed_convolution_places_kernels() {
        let y = Tensor::new(&Device::oracle(), [1, 1, 2, 1], &[1.0, 10.0]);
        let w = Tensor::new(&Device::oracle(), [1, 1, 2, 1], &[1.0, 2.0]);
        let bias = Tensor::new(&Device::oracle(), [1], &[0.5]);
        let x = y.conv_transpose2d(&w, Some(&bias), Conv::default().stride(3), [1, 2]);
        assert_eq!(x.shape()[..], [1, 2, 7, 1]);
        assert_eq!(x.narrow(1, 0, 1).to_vec().unwrap(), [1.5, 2.5, 0.5, 10.5, 20.5, 0.5, 0.5]);
        assert_eq!(x.narrow(1, 1, 1).to_vec().unwrap(), [0.5; 7]);
    }
}
