//! Average pooling of NHWC images and its adjoint, which at equal kernel and stride repeats pixels.

use super::{Case, Input, Op, apply, elementwise_work};
use crate::gpu::{Gpu, Kernel, Source, Workgroups};
use crate::tensor::{Array, Shape, Tensor, calling};
use crate::{shader, uniforms};

/// Square windows of `kernel` pixels, `stride` apart, over an image with `padding` zeros on each side.
#[derive(Clone, Copy)]
struct Windows {
    kernel: usize,
    stride: usize,
    padding: usize,
    /// What every sum is multiplied by.
    scale: f64,
}

/// The widest window, and the largest factor of [`Tensor::repeat_pixels`].
pub const MAX_KERNEL: usize = 128;

impl Windows {
    /// Windows whose sums are divided by their number of pixels.
    fn mean(kernel: usize, stride: usize, padding: usize) -> Windows {
        Windows { kernel, stride, padding, scale: 1.0 / (kernel as f64 * kernel as f64) }
    }

    /// The number of windows along a dimension.
    fn count(&self, dim: usize) -> Result<usize, String> {
        let Windows { kernel, stride, padding, .. } = *self;
        if !(1..=MAX_KERNEL).contains(&kernel) || stride == 0 || 2 * padding > kernel {
            return Err(format!(
                "kernel {kernel} (1 to {MAX_KERNEL}), stride {stride} (at least 1), padding {padding} (at most half the kernel)"
            ));
        }
        let free = (dim + 2 * padding).checked_sub(kernel);
        free.map(|free| free / stride + 1).ok_or_else(|| format!("a window of {kernel} does not fit into {dim} pixels"))
    }

    /// Calls `f(offset in the image, offset among the windows)` for every pixel of every window.
    fn pairs(&self, image: &Shape, pooled: &Shape, mut f: impl FnMut(usize, usize)) {
        let k = self.kernel;
        for (window, at) in pooled.indices().enumerate() {
            for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
                let pixel =
                    |o: usize, i: usize, dim| (o * self.stride + i).checked_sub(self.padding).filter(|&r| r < dim);
                if let (Some(h), Some(w)) = (pixel(at[1], i, image[1]), pixel(at[2], j, image[2])) {
                    f(image.offset(&[at[0], h, w, at[3]]), window);
                }
            }
        }
    }

    fn launch(&self, source: Source, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let width = if y.dim(3).is_multiple_of(4) { 4 } else { 1 };
        let kernel = Kernel::new(source).with("K", self.kernel).with("S", self.stride).with("PAD", self.padding);
        let kernel = if width == 4 { kernel.with("T", "vec4f") } else { kernel };
        let [h, w, c] = [1, 2, 3].map(|d| x[0].dim(d));
        let [out_h, out_w] = [1, 2].map(|d| y.dim(d));
        let count = y.numel() / width;
        let uniforms = uniforms![count, h, w, c: c / width, out_h, out_w, scale: self.scale];
        let slices = [x[0].slice(), y.slice()];
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Elements(count), elementwise_work(x, y, 1));
    }
}

fn image(x: &Shape) -> Result<(), String> {
    if x.rank() == 4 { Ok(()) } else { Err("wants images [N, H, W, C]".into()) }
}

/// y[n, p, q, c] = scale sum over window (p, q) of x[n, ., ., c]
struct Pool(Windows);

impl Op for Pool {
    fn name(&self) -> &'static str {
        "avg_pool"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        image(x[0])?;
        Ok(Shape::from([x[0][0], self.0.count(x[0][1])?, self.0.count(x[0][2])?, x[0][3]]))
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        self.0.pairs(&x[0].shape, y, |pixel, window| out[window] += self.0.scale * x[0][pixel]);
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.0.launch(shader!("pool/pool.wgsl"), gpu, x, y);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Unpool { windows: self.0, size: [x[0].dim(1), x[0].dim(2)] }, &[ct]))]
    }
}

/// y[n, h, w, c] = scale sum over the windows that hold (h, w) of x[n, ., ., c]
struct Unpool {
    windows: Windows,
    size: [usize; 2],
}

impl Op for Unpool {
    fn name(&self) -> &'static str {
        "avg_unpool"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        image(x[0])?;
        let [h, w] = self.size;
        if [self.windows.count(h)?, self.windows.count(w)?] != x[0][1..3] {
            return Err(format!("windows over {h}x{w} are not {}x{}", x[0][1], x[0][2]));
        }
        Ok(Shape::from([x[0][0], h, w, x[0][3]]))
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let mut out = vec![0.0; y.numel()];
        self.windows.pairs(y, &x[0].shape, |pixel, window| out[pixel] += self.windows.scale * x[0][window]);
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.windows.launch(shader!("pool/unpool.wgsl"), gpu, x, y);
    }

    fn vjp(&self, _: &[Tensor], _: &Tensor, ct: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Pool(self.windows), &[ct]))]
    }
}

impl Tensor {
    /// The mean over `kernel` x `kernel` windows of `self[N, H, W, C]`, `stride` apart. The image is padded with zeros,
    /// which count in the mean; the result has `(H + 2 padding - kernel) / stride + 1` rows, rounded down. The kernel has
    /// 1 to [`MAX_KERNEL`] pixels, the padding at most half of them.
    #[track_caller]
    pub fn avg_pool(&self, kernel: usize, stride: usize, padding: usize) -> Tensor {
        apply(Pool(Windows::mean(kernel, stride, padding)), &[self])
    }

    /// The adjoint of [`Tensor::avg_pool`] over images of `size` `[H, W]`: each value, divided by `kernel^2`, is added to
    /// every pixel of its window.
    #[track_caller]
    pub fn avg_unpool(&self, kernel: usize, stride: usize, padding: usize, size: [usize; 2]) -> Tensor {
        apply(Unpool { windows: Windows::mean(kernel, stride, padding), size }, &[self])
    }

    /// Every pixel of `self[N, H, W, C]` becomes a square of `factor` x `factor` pixels, `factor` up to [`MAX_KERNEL`].
    #[track_caller]
    pub fn repeat_pixels(&self, factor: usize) -> Tensor {
        let _op = calling("repeat_pixels");
        assert!((1..=MAX_KERNEL).contains(&factor), "repeat_pixels: factor {factor} is not in 1..={MAX_KERNEL}");
        let windows = Windows { kernel: factor, stride: factor, padding: 0, scale: 1.0 };
        let [h, w] = [self.dim(1) * factor, self.dim(2) * factor];
        apply(Unpool { windows, size: [h, w] }, &[self])
    }
}

/// Cases: overlapping, touching and sparse windows, padding, odd sizes, both vector widths, an empty batch.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let settings: [([usize; 4], usize, usize, usize); 8] = [
        ([2, 4, 4, 1], 2, 2, 0),
        ([1, 5, 4, 4], 3, 2, 1),
        ([1, 3, 5, 3], 3, 1, 1),
        ([1, 5, 5, 1], 2, 3, 0),
        ([0, 4, 4, 2], 2, 2, 0),
        ([2, 1, 1, 2], 1, 1, 0),
        ([3, 17, 31, 12], 5, 3, 2),
        ([5, 32, 30, 64], 2, 2, 0),
    ];
    for (shape, k, s, pad) in settings {
        let order = if shape.iter().product::<usize>() <= 100 { 2 } else { 0 };
        let pool = move |x: &[Tensor]| x[0].avg_pool(k, s, pad);
        cases.push(
            Case::new(format!("avg_pool {shape:?} {k} {s} {pad}"), [Input::unit(shape)], pool).sum(k * k).order(order),
        );
        let windows = Windows { kernel: k, stride: s, padding: pad, scale: 1.0 };
        let [p, q] = [1, 2].map(|d| windows.count(shape[d]).expect("a valid case"));
        let unpool = move |x: &[Tensor]| x[0].avg_unpool(k, s, pad, [shape[1], shape[2]]);
        let inputs = [Input::unit([shape[0], p, q, shape[3]])];
        cases.push(Case::new(format!("avg_unpool {shape:?} {k} {s} {pad}"), inputs, unpool).sum(k * k).order(order));
    }
    cases.push(Case::new("repeat_pixels", [Input::unit([1, 2, 3, 2])], |x| x[0].repeat_pixels(3)).exact());
    cases
}
