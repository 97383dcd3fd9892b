//! Convolution and its two gradients, each the derivative of the others.
//!
//! With `y = conv2d(x, w)` the three are bilinear in two of (x, w, y), so that every derivative is one of them again:
//!
//! | op | result | with respect to the first input | to the second |
//! |---|---|---|---|
//! | `conv2d(x, w)` | y | `conv2d_input_grad(ct, w)` | `conv2d_weight_grad(ct, x)` |
//! | `conv2d_input_grad(y, w)` | x | `conv2d(ct, w)` | `conv2d_weight_grad(y, ct)` |
//! | `conv2d_weight_grad(y, x)` | w | `conv2d(x, ct)` | `conv2d_input_grad(y, ct)` |
//!
//! Layouts: `x[N,H,W,C]`, `w[K,R,S,C]`, `y[N,P,Q,K]`. What is made of them (transposed with a bias, grouped): `conv_variants`.

use super::gemm::{self, Gemm, Operand};
use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Work};
use crate::tensor::{Array, Shape, Tensor, calling};
use crate::uniforms;

/// How a kernel moves over an image: (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Pixels of x from one output pixel to the next.
    pub stride: [usize; 2],
    /// Zeros around x, as many on both sides. For other values pad x first: `pad`, `pad_reflect`, `pad_edge`.
    pub padding: [usize; 2],
    /// More zeros below and to the right of x than above and to the left.
    pub trailing: [usize; 2],
    /// Pixels of x from one tap to the next.
    pub dilation: [usize; 2],
}

impl Default for Conv {
    fn default() -> Conv {
        Conv { stride: [1, 1], padding: [0, 0], trailing: [0, 0], dilation: [1, 1] }
    }
}

impl Conv {
    /// Stride 1, with the padding that keeps the size of the image for an odd kernel.
    pub fn same(kernel: usize) -> Conv {
        Conv::default().padding(kernel / 2)
    }

    /// The same stride in both directions.
    pub fn stride(self, stride: usize) -> Conv {
        Conv { stride: [stride; 2], ..self }
    }

    /// The same padding in both directions.
    pub fn padding(self, padding: usize) -> Conv {
        Conv { padding: [padding; 2], ..self }
    }

    /// The same dilation in both directions.
    pub fn dilation(self, dilation: usize) -> Conv {
        Conv { dilation: [dilation; 2], ..self }
    }

    /// The size of y along one direction (0 vertical, 1 horizontal) for a size of x and a number of taps; `None` where the
    /// kernel does not fit, or has no taps, or a step is 0.
    pub fn output(&self, direction: usize, size: usize, taps: usize) -> Option<usize> {
        if taps == 0 || self.dilation[direction] == 0 {
            return None;
        }
        let reach = self.dilation[direction].checked_mul(taps - 1)?.checked_add(1)?;
        let padded =
            self.padding[direction].checked_mul(2)?.checked_add(self.trailing[direction])?.checked_add(size)?;
        Some(padded.checked_sub(reach)?.checked_div(self.stride[direction])? + 1)
    }

    /// The size of x along one direction for a size of y and a number of taps: the smallest one that [`Conv::output`]
    /// takes to that size of y, plus `extra` (below the stride). What [`Tensor::conv_transpose2d`] makes.
    pub fn input(&self, direction: usize, size: usize, taps: usize, extra: usize) -> Option<usize> {
        let reach = self.dilation[direction].checked_mul(taps.checked_sub(1)?)?.checked_add(1)?;
        let full = size.checked_sub(1)?.checked_mul(self.stride[direction])?.checked_add(reach)?;
        let x = full.checked_sub(2 * self.padding[direction] + self.trailing[direction])?.checked_add(extra)?;
        (self.output(direction, x, taps) == Some(size)).then_some(x)
    }
}

/// All sizes of one convolution.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    h: usize,
    w: usize,
    c: usize,
    k: usize,
    r: usize,
    s: usize,
    p: usize,
    q: usize,
    conv: Conv,
}

impl Sizes {
    /// From the shapes of the image side and of w.
    fn new(conv: Conv, x: &[usize], w: &[usize]) -> Result<Sizes, String> {
        let (&[n, h, width, c], &[k, r, s, wc]) = (x, w) else {
            return Err("needs x [N,H,W,C] and w [K,R,S,C]".into());
        };
        if c != wc || [c, k, r, s].contains(&0) || conv.stride.contains(&0) || conv.dilation.contains(&0) {
            return Err("x and w must agree in their last dimension; sizes and steps must be at least 1".into());
        }
        match (conv.output(0, h, r), conv.output(1, width, s)) {
            (Some(p), Some(q)) => Ok(Sizes { n, h, w: width, c, k, r, s, p, q, conv }),
            _ => Err("the kernel is larger than the padded image".into()),
        }
    }

    fn x(&self) -> Shape {
        Shape::from([self.n, self.h, self.w, self.c])
    }

    fn weights(&self) -> Shape {
        Shape::from([self.k, self.r, self.s, self.c])
    }

    fn y(&self) -> Shape {
        Shape::from([self.n, self.p, self.q, self.k])
    }

    fn work(&self) -> Work {
        let taps = self.n * self.p * self.q * self.k * self.r * self.s * self.c;
        let elements = self.x().numel() + self.weights().numel() + self.y().numel();
        Work { bytes: 4 * elements as u64, flops: 2 * taps as u64 }
    }

    /// The rows and columns of x as a matrix, where the convolution is one matrix product: every pixel of x belongs to
    /// one output pixel only.
    fn as_matrix(&self) -> Option<[usize; 2]> {
        let one = (self.r, self.s) == (1, 1) && self.conv.stride == [1, 1];
        let whole = (self.r, self.s) == (self.h, self.w) && self.conv.dilation == [1, 1];
        let plain = self.conv.padding == [0, 0] && self.conv.trailing == [0, 0] && (one || whole);
        plain.then(|| [self.n * self.p * self.q, self.r * self.s * self.c])
    }

    /// Calls `f` for every product of the sum, a row of channels at a time: where channel 0 lies in x and w, and where
    /// the result lies in y.
    fn visit(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [sy, sx] = self.conv.stride;
        let [py, px] = self.conv.padding;
        let [dy, dx] = self.conv.dilation;
        for ((n, p), q) in grid(grid(0..self.n, self.p), self.q) {
            for (r, s) in grid(0..self.r, self.s) {
                let (h, w) = ((p * sy + r * dy).wrapping_sub(py), (q * sx + s * dx).wrapping_sub(px));
                if h < self.h && w < self.w {
                    let x = ((n * self.h + h) * self.w + w) * self.c;
                    for k in 0..self.k {
                        f(x, ((k * self.r + r) * self.s + s) * self.c, ((n * self.p + p) * self.q + q) * self.k + k);
                    }
                }
            }
        }
    }
}

fn grid<T: Copy>(outer: impl Iterator<Item = T>, inner: usize) -> impl Iterator<Item = (T, usize)> {
    outer.flat_map(move |o| (0..inner).map(move |i| (o, i)))
}

/// y[n,p,q,k] = sum_{r,s,c} x[n, p stride - padding + r dilation, q stride - padding + s dilation, c] w[k,r,s,c] (+ bias[k])
struct Conv2d(Conv);

/// x[n,h,w,c] = sum over all (p,q,r,s) that conv2d takes from (h,w), and all k, of y[n,p,q,k] w[k,r,s,c]
struct InputGrad {
    conv: Conv,
    size: [usize; 2],
}

/// w[k,r,s,c] = sum_{n,p,q} y[n,p,q,k] x[n, p stride - padding + r dilation, q stride - padding + s dilation, c]
struct WeightGrad {
    conv: Conv,
    taps: [usize; 2],
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let sizes = Sizes::new(self.0, x[0], x[1])?;
        match x.get(2) {
            Some(bias) if ***bias != [sizes.k] => Err(format!("the bias must have shape [{}]", sizes.k)),
            _ => Ok(sizes.y()),
        }
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        if let (Some(bias), k) = (x.get(2), y[3]) {
            out.iter_mut().enumerate().for_each(|(i, o)| *o = bias[i % k]);
        }
        let Ok(sizes) = Sizes::new(self.0, &x[0].shape, &x[1].shape) else { return out };
        sizes.visit(|xi, wi, yi| {
            for c in 0..sizes.c {
                out[yi] += x[0][xi + c] * x[1][wi + c];
            }
        });
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Ok(sizes) = Sizes::new(self.0, x[0].shape(), x[1].shape()) else { return };
        let Sizes { n, p, q, k, r, s, c, .. } = sizes;
        let product = Product {
            loader: "gemm/load_conv_forward.wgsl",
            size: [n * p * q, k, r * s * c.next_multiple_of(4), 1],
            splits: false,
            a: &x[0],
            b: &x[1],
            bias: x.get(2),
            c: y,
        };
        sizes.launch(gpu, &product);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let (x, w, bias) = (&x[0], &x[1], x.get(2));
        let mut grads = vec![
            need[0].then(|| ct.conv2d_input_grad(w, [x.dim(1), x.dim(2)], self.0)),
            need[1].then(|| ct.conv2d_weight_grad(x, [w.dim(1), w.dim(2)], self.0)),
        ];
        grads.extend(bias.map(|b| need[2].then(|| ct.sum_to(b.shape()))));
        grads
    }
}

impl InputGrad {
    fn sizes(&self, y: &Shape, w: &Shape) -> Result<Sizes, String> {
        let x = [*y.first().unwrap_or(&0), self.size[0], self.size[1], *w.last().unwrap_or(&0)];
        agree(Sizes::new(self.conv, &x, w)?, y)
    }
}

impl Op for InputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        Ok(self.sizes(x[0], x[1])?.x())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        let Ok(sizes) = self.sizes(&x[0].shape, &x[1].shape) else { return out };
        sizes.visit(|xi, wi, yi| {
            for c in 0..sizes.c {
                out[xi + c] += x[0][yi] * x[1][wi + c];
            }
        });
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Ok(sizes) = self.sizes(x[0].shape(), x[1].shape()) else { return };
        let Sizes { n, h, w, c, k, r, s, .. } = sizes;
        let [sy, sx] = self.conv.stride;
        let taps = r.div_ceil(sy) * s.div_ceil(sx);
        let product = Product {
            loader: "gemm/load_conv_input_grad.wgsl",
            size: [n * h.div_ceil(sy) * w.div_ceil(sx), c, taps * k.next_multiple_of(4), sy * sx],
            splits: false,
            a: &x[0],
            b: &x[1],
            bias: None,
            c: y,
        };
        sizes.launch(gpu, &product);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let (y, w) = (&x[0], &x[1]);
        vec![
            need[0].then(|| ct.conv2d(w, None, self.conv)),
            need[1].then(|| y.conv2d_weight_grad(ct, [w.dim(1), w.dim(2)], self.conv)),
        ]
    }
}

impl WeightGrad {
    fn sizes(&self, y: &Shape, x: &Shape) -> Result<Sizes, String> {
        let w = [*y.last().unwrap_or(&0), self.taps[0], self.taps[1], *x.last().unwrap_or(&0)];
        agree(Sizes::new(self.conv, x, &w)?, y)
    }
}

impl Op for WeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        Ok(self.sizes(x[0], x[1])?.weights())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        let Ok(sizes) = self.sizes(&x[0].shape, &x[1].shape) else { return out };
        sizes.visit(|xi, wi, yi| {
            for c in 0..sizes.c {
                out[wi + c] += x[0][yi] * x[1][xi + c];
            }
        });
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let Ok(sizes) = self.sizes(x[0].shape(), x[1].shape()) else { return };
        let Sizes { n, p, q, c, k, r, s, .. } = sizes;
        let product = Product {
            loader: "gemm/load_conv_weight_grad.wgsl",
            size: [k, r * s * c.next_multiple_of(4), n * p * q, 1],
            splits: true,
            a: &x[0],
            b: &x[1],
            bias: None,
            c: y,
        };
        sizes.launch(gpu, &product);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let (y, x) = (&x[0], &x[1]);
        vec![
            need[0].then(|| x.conv2d(ct, None, self.conv)),
            need[1].then(|| y.conv2d_input_grad(ct, [x.dim(1), x.dim(2)], self.conv)),
        ]
    }
}

/// The sizes, if y has the shape that they imply.
fn agree(sizes: Sizes, y: &Shape) -> Result<Sizes, String> {
    if *y == sizes.y() { Ok(sizes) } else { Err(format!("the output side must have shape {}", sizes.y())) }
}

/// One of the three as a matrix product.
struct Product<'a> {
    loader: &'static str,
    /// m, n, k and the number of products.
    size: [usize; 4],
    splits: bool,
    a: &'a Tensor,
    b: &'a Tensor,
    bias: Option<&'a Tensor>,
    c: &'a Tensor,
}

impl Sizes {
    fn launch(&self, gpu: &Gpu, product: &Product) {
        if self.n == 0 {
            return gpu.fill(product.c.slice(), 0);
        }
        let [m, n, k, products] = product.size;
        let uniforms = |splits: usize, slice: usize, _| uniforms![images: self.n, splits, slice].to_vec();
        let specialise = |kernel, rows| self.bake(kernel, product.loader, rows);
        let gemm = Gemm {
            loader: product.loader,
            specialise: &specialise,
            uniforms: &uniforms,
            m,
            n,
            k,
            products,
            splits: product.splits,
            a: Operand::of(product.a),
            b: Operand::of(product.b),
            bias: product.bias.map(Tensor::slice),
            c: product.c.slice(),
            c_count: product.c.numel(),
            c_row: product.c.dim(3),
            work: self.work(),
        };
        gemm::launch(gpu, &gemm);
    }

    fn bake(&self, kernel: Kernel, loader: &str, [a_row, b_row]: [usize; 2]) -> Kernel {
        // Where x ends is told by H, W and where y ends by P, Q: trailing zeros need no word.
        let Conv { stride, padding, dilation, trailing: _ } = self.conv;
        let kernel = kernel.with("H", self.h).with("W", self.w).with("CX", self.c).with("K", self.k);
        let kernel = kernel.with("R", self.r).with("S", self.s).with("P", self.p).with("Q", self.q);
        let kernel = kernel.with("STRIDE_Y", stride[0]).with("STRIDE_X", stride[1]);
        let kernel = kernel.with("PAD_Y", padding[0]).with("PAD_X", padding[1]);
        let kernel = kernel.with("DILATION_Y", dilation[0]).with("DILATION_X", dilation[1]);
        let kernel = kernel.with("A_ROW", a_row).with("B_ROW", b_row);
        if !loader.ends_with("input_grad.wgsl") {
            return kernel;
        }
        let step = |d: usize| stride[d] / gcd(stride[d], dilation[d]);
        kernel.with("TAP_STEP_Y", step(0)).with("TAP_STEP_X", step(1))
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Tensor {
    /// 2-D convolution (cross-correlation): `x [N,H,W,C]`, `w [K,R,S,C]`, `bias [K]` -> `y [N,P,Q,K]`,
    /// `P = (H + 2 padding + trailing - dilation (R-1) - 1) / stride + 1`.
    #[track_caller]
    pub fn conv2d(&self, w: &Tensor, bias: Option<&Tensor>, conv: Conv) -> Tensor {
        let _op = calling("conv2d");
        if let Ok(sizes) = Sizes::new(conv, self.shape(), w.shape())
            && let Some([rows, inner]) = sizes.as_matrix()
        {
            let w = w.reshape([sizes.k, inner]);
            return self.reshape([rows, inner]).linear(&w, bias).reshape(sizes.y());
        }
        let inputs: Vec<&Tensor> = [self, w].into_iter().chain(bias).collect();
        apply(Conv2d(conv), &inputs)
    }

    /// The adjoint of conv2d in x, which is transposed convolution: `y [N,P,Q,K]`, `w [K,R,S,C]` -> `x [N,H,W,C]` of the
    /// given (H, W), which must be a size that conv2d takes to (P, Q).
    #[track_caller]
    pub fn conv2d_input_grad(&self, w: &Tensor, size: [usize; 2], conv: Conv) -> Tensor {
        let _op = calling("conv2d_input_grad");
        let op = InputGrad { conv, size };
        if let Ok(sizes) = op.sizes(self.shape(), w.shape())
            && let Some([rows, inner]) = sizes.as_matrix()
        {
            let w = w.reshape([sizes.k, inner]);
            return self.reshape([rows, sizes.k]).matmul(&w).reshape(sizes.x());
        }
        apply(op, &[self, w])
    }

    /// The adjoint of conv2d in w: `y [N,P,Q,K]`, `x [N,H,W,C]` -> `w [K,R,S,C]` of the given (R, S).
    #[track_caller]
    pub fn conv2d_weight_grad(&self, x: &Tensor, taps: [usize; 2], conv: Conv) -> Tensor {
        let _op = calling("conv2d_weight_grad");
        let op = WeightGrad { conv, taps };
        if let Ok(sizes) = op.sizes(self.shape(), x.shape())
            && let Some([rows, inner]) = sizes.as_matrix()
        {
            let x = x.reshape([rows, inner]);
            return self.reshape([rows, sizes.k]).t_matmul(&x).reshape(sizes.weights());
        }
        apply(op, &[self, x])
    }
}

/// Cases of all three: 1 x 1 to kernels larger than the image, strides with odd sizes, dilations that share a factor with the
/// stride, channels 1, prime, tile size +-1.
pub fn cases() -> Vec<Case> {
    let plain = Conv::default();
    let mixed = Conv { stride: [2, 1], padding: [0, 2], trailing: [0, 1], dilation: [1, 2] };
    let same = |stride, padding| Conv { trailing: [1, 1], ..plain.stride(stride).padding(padding) };
    let shapes = [
        // (x, [K, R, S], how)
        ([1, 3, 4, 2], [2, 2, 3], plain),
        ([1, 2, 2, 1], [1, 3, 3], Conv::same(3)),
        ([2, 5, 3, 1], [2, 3, 3], Conv::same(3).stride(2)),
        ([1, 4, 5, 2], [1, 2, 2], mixed),
        ([1, 3, 3, 1], [1, 5, 5], Conv::same(5)),
        ([1, 5, 5, 1], [1, 2, 2], plain.stride(2).dilation(2)),
        ([2, 6, 6, 4], [8, 1, 1], plain.stride(3)),
        ([0, 4, 4, 4], [4, 3, 3], Conv::same(3)),
        ([2, 9, 7, 3], [5, 3, 3], Conv::same(3)),
        ([2, 8, 8, 3], [64, 3, 3], Conv::same(3)),
        ([2, 11, 13, 33], [31, 3, 3], Conv::same(3).stride(2)),
        ([1, 9, 9, 65], [63, 4, 4], plain.stride(2).padding(1)),
        ([1, 10, 9, 8], [12, 3, 3], plain.padding(3).dilation(3).stride(2)),
        ([3, 4, 4, 16], [1, 4, 4], plain),
        ([2, 3, 3, 8], [5, 1, 1], plain),
        ([2, 16, 16, 64], [64, 3, 3], Conv::same(3)),
        ([5, 15, 17, 4], [4, 7, 5], plain.padding(3)),
        ([1, 4, 4, 2], [2, 3, 3], same(2, 0)),
        ([2, 14, 14, 32], [65, 3, 3], same(2, 0)),
        ([3, 28, 28, 1], [32, 5, 5], same(2, 1)),
        ([2, 7, 7, 33], [5, 4, 4], same(1, 1)),
    ];
    let mut cases = Vec::new();
    for (x, [k, r, s], conv) in shapes {
        let [n, h, width, c] = x;
        let w = [k, r, s, c];
        let Ok(sizes) = Sizes::new(conv, &x, &w) else { continue };
        let y = sizes.y();
        let order = if (1..=200).contains(&(sizes.work().flops / 2)) { 2 } else { 0 };
        let label = |op: &str| format!("{op} x {x:?} w {w:?} {conv:?}");
        let forward = move |t: &[Tensor]| t[0].conv2d(&t[1], None, conv);
        let case = Case::new(label("forward"), [Input::unit(x), Input::unit(w)], forward);
        cases.push(case.sum(r * s * c).order(order));
        let input = move |t: &[Tensor]| t[0].conv2d_input_grad(&t[1], [h, width], conv);
        let case = Case::new(label("input"), [Input::unit(y.clone()), Input::unit(w)], input);
        cases.push(case.sum(r * s * k).order(order));
        let weight = move |t: &[Tensor]| t[0].conv2d_weight_grad(&t[1], [r, s], conv);
        let case = Case::new(label("weight"), [Input::unit(y), Input::unit(x)], weight);
        cases.push(case.sum((n * sizes.p * sizes.q).max(1)).order(order));
    }
    for (c, k, order) in [(1, 3, 2), (6, 8, 0)] {
        let inputs = [Input::unit([2, 3, 3, c]), Input::unit([k, 2, 2, c]), Input::unit([k])];
        let run = |t: &[Tensor]| t[0].conv2d(&t[1], Some(&t[2]), Conv::default());
        cases.push(Case::new(format!("bias {c} -> {k}"), inputs, run).sum(4 * c + 1).order(order));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_taps_or_with_a_step_of_zero_has_no_output() {
        let conv = Conv::default();
        assert_eq!((conv.output(0, 5, 3), conv.output(0, 5, 6), conv.output(0, 5, 0)), (Some(3), None, None));
        assert_eq!((conv.stride(0).output(0, 5, 3), conv.dilation(0).output(1, 5, 3)), (None, None));
        assert_eq!(conv.padding(usize::MAX).output(0, 5, 3), None);
        let conv = conv.stride(2).padding(1);
        assert_eq!((conv.input(0, 3, 3, 0), conv.input(0, 3, 3, 1), conv.input(0, 3, 3, 2)), (Some(5), Some(6), None));
    }
}
