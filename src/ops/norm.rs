//! Normalisation: group norm (fused with gamma, beta and SiLU), and instance, layer and batch norm from it.
//!
//! With x of shape [N, S, C] and groups of `C / groups` neighbouring channels, mean and (biased) variance are taken over
//! the pixels and channels of a group:
//!
//! `xhat = (x - mean) / sqrt(variance + eps)`, `z = gamma xhat + beta`, `y = z` or `silu(z)`.
//!
//! The kernels recompute the statistics rather than store them: forward moves x and y once through memory, the input
//! gradient x, ct and dx. The rules of [`GroupNorm`]'s gradients are written in terms of
//! `B(x, g) = scale (g - mean(g) - xhat mean(g xhat))`, the cotangent g of xhat pulled back to x, which is linear and
//! symmetric in g.

use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Slice, Source, Work, Workgroups};
use crate::tensor::{Array, Shape, Tensor, called, calling};
use crate::{shader, uniforms};

/// What all three ops are built with.
#[derive(Clone, Copy)]
struct Setting {
    groups: usize,
    eps: f64,
    silu: bool,
}

impl Setting {
    /// Group norm alone: no activation.
    fn plain(self) -> Setting {
        Setting { silu: false, ..self }
    }

    fn check(&self, x: &Shape, affine: &[&Shape]) -> Result<(), String> {
        if x.rank() != 3 || self.groups == 0 || !x[2].is_multiple_of(self.groups) {
            return Err(format!("{} groups do not divide the channels", self.groups));
        }
        let fits = affine.iter().all(|s| s.0 == [x[2]]);
        if fits { Ok(()) } else { Err(format!("gamma and beta have the shape [{}]", x[2])) }
    }

    fn launch(&self, source: Source, gpu: &Gpu, x: &Tensor, affine: &[Tensor], rest: &[&Slice], traffic: usize) {
        let [images, pixels, channels] = [0, 1, 2].map(|d| x.dim(d));
        let per_group = channels / self.groups;
        let quad = channels.is_multiple_of(4) && (per_group.is_multiple_of(4) || per_group <= 2);
        let (layout, width) = if quad { ("norm/quad.wgsl", 4) } else { ("norm/scalar.wgsl", 1) };
        let block = if quad { per_group.max(4) } else { per_group };
        let (count, span) = (images * (channels / block), block / width);
        let mut kernel = Kernel::new(source).with("LAYOUT", layout).with("SPAN", span);
        if quad {
            kernel = kernel.with("CHANNELS", per_group.min(4));
        }
        let alone = pixels * span <= ALONE;
        let lanes = if alone { 1 } else { lanes(gpu, pixels * span) };
        let kernel = kernel
            .with("LANES", if alone { "norm/alone.wgsl" } else { "norm/together.wgsl" })
            .with("WIDTH", lanes)
            .with("ACROSS", across(lanes, pixels, span))
            .with("AFFINE", !affine.is_empty());
        let uniforms = uniforms![
            count,
            blocks: channels / block,
            pixels,
            stride: channels / width,
            eps: self.eps,
            inverse: 1.0 / (pixels * per_group) as f64,
        ];
        let zero = gpu.zero();
        let [gamma, beta] = [0, 1].map(|i| affine.get(i).map_or(&zero, |t| t.slice()));
        let slices: Vec<&Slice> = [x.slice(), gamma, beta].into_iter().chain(rest.iter().copied()).collect();
        let work = Work { bytes: (traffic * x.numel() * 4) as u64, flops: 10 * x.numel() as u64 };
        let groups = if alone { Workgroups::Elements(count) } else { Workgroups::Count(count) };
        gpu.dispatch(&kernel.with("SILU", self.silu), uniforms, &slices, groups, work);
    }
}

/// Up to so many items of a block, one lane reads them all.
const ALONE: usize = 4;

/// Invocations for a block of `items`. Software Vulkan likes one subgroup, as long as no loop becomes too long.
fn lanes(gpu: &Gpu, items: usize) -> usize {
    match gpu.profile().software && items <= 1 << 16 {
        true => 8,
        false => items.div_ceil(2).next_power_of_two().clamp(32, 256),
    }
}

/// How many lanes lie across a pixel: no more than share the span evenly, unless there are too few pixels for the rest.
fn across(lanes: usize, pixels: usize, span: usize) -> usize {
    let even = 1 << span.trailing_zeros();
    let spare = lanes / pixels.next_power_of_two().min(lanes);
    even.max(spare).min(span.next_power_of_two()).min(lanes)
}

/// The statistics on the oracle: xhat of every element and 1 / sqrt(variance + eps) of every group.
struct Normalised<'a> {
    setting: Setting,
    shape: &'a Shape,
    xhat: Vec<f64>,
    scale: Vec<f64>,
}

impl<'a> Normalised<'a> {
    fn new(setting: Setting, x: &'a Array) -> Normalised<'a> {
        let mut n = Normalised { setting, shape: &x.shape, xhat: x.to_vec(), scale: Vec::new() };
        let mean = n.group_means(x);
        n.xhat.iter_mut().enumerate().for_each(|(i, v)| *v -= mean[group_of(&x.shape, setting.groups, i)]);
        let squares: Vec<f64> = n.xhat.iter().map(|d| d * d).collect();
        n.scale = n.group_means(&squares).iter().map(|v| 1.0 / (v + setting.eps).sqrt()).collect();
        let scale = &n.scale;
        n.xhat.iter_mut().enumerate().for_each(|(i, v)| *v *= scale[group_of(&x.shape, setting.groups, i)]);
        n
    }

    fn group(&self, i: usize) -> usize {
        group_of(self.shape, self.setting.groups, i)
    }

    fn channel(&self, i: usize) -> usize {
        i % self.shape[2]
    }

    fn group_means(&self, values: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.shape[0] * self.setting.groups];
        values.iter().enumerate().for_each(|(i, v)| sums[self.group(i)] += v);
        let count = (self.shape[1] * self.shape[2] / self.setting.groups) as f64;
        sums.iter().map(|s| s / count).collect()
    }

    /// z of element i, before the activation.
    fn z(&self, i: usize, affine: &[Array]) -> f64 {
        let c = self.channel(i);
        if affine.is_empty() { self.xhat[i] } else { affine[0][c] * self.xhat[i] + affine[1][c] }
    }

    /// The cotangent of z of element i.
    fn ct_z(&self, i: usize, affine: &[Array], ct: &Array) -> f64 {
        let z = self.z(i, affine);
        let s = 1.0 / (1.0 + (-z).exp());
        if self.setting.silu { ct[i] * s * (1.0 + z * (1.0 - s)) } else { ct[i] }
    }
}

fn group_of(shape: &Shape, groups: usize, i: usize) -> usize {
    i / (shape[1] * shape[2]) * groups + i % shape[2] / (shape[2] / groups)
}

/// y = act(gamma xhat + beta); inputs x, and gamma, beta or neither
struct GroupNorm(Setting);

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        self.0.check(x[0], &x[1..])?;
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let n = Normalised::new(self.0, &x[0]);
        let act = |z: f64| if self.0.silu { z / (1.0 + (-z).exp()) } else { z };
        (0..n.xhat.len()).map(|i| act(n.z(i, &x[1..]))).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.0.launch(shader!("norm/forward.wgsl"), gpu, &x[0], &x[1..], &[y.slice()], 2);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, ct: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let inputs: Vec<&Tensor> = [&x[0], ct].into_iter().chain(&x[1..]).collect();
        let mut grads = vec![need[0].then(|| apply(InputGrad(self.0), &inputs))];
        if x.len() == 3 {
            let sums = (need[1] || need[2]).then(|| apply(AffineGrad(self.0), &inputs).sum_axes(&[0]));
            let row = |i: usize| sums.as_ref().map(|s| s.narrow(0, i, 1).reshape(x[1].shape()));
            grads.extend([row(0), row(1)]);
        }
        grads
    }
}

/// dx = B(x, gamma ct_z); inputs x, ct, and gamma, beta or neither
struct InputGrad(Setting);

impl Op for InputGrad {
    fn name(&self) -> &'static str {
        "group_norm_input_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        self.0.check(x[0], &x[2..])?;
        if x[0] == x[1] { Ok(x[0].clone()) } else { Err("x and its cotangent differ in shape".into()) }
    }

    fn reference(&self, x: &[Array], _: &Shape) -> Vec<f64> {
        let n = Normalised::new(self.0, &x[0]);
        let gamma = |i: usize| x.get(2).map_or(1.0, |gamma| gamma[n.channel(i)]);
        let g: Vec<f64> = (0..n.xhat.len()).map(|i| gamma(i) * n.ct_z(i, &x[2..], &x[1])).collect();
        let mean = n.group_means(&g);
        let along = n.group_means(&g.iter().zip(&n.xhat).map(|(g, v)| g * v).collect::<Vec<_>>());
        let element = |i: usize| {
            let at = n.group(i);
            n.scale[at] * (g[i] - mean[at] - n.xhat[i] * along[at])
        };
        (0..g.len()).map(element).collect()
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.0.launch(shader!("norm/input_grad.wgsl"), gpu, &x[0], &x[2..], &[x[1].slice(), y.slice()], 3);
    }

    fn vjp(&self, x: &[Tensor], y: &Tensor, u: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let parts = Parts::new(self.0, &x[0], &x[2..]);
        let ct = &x[1];
        // dx = B(x, w) with w = gamma s'(z) ct. The cotangent of w is v = B(x, u); that of z follows through s''.
        let v = parts.norm_vjp(u);
        let slope_v = parts.slope(&v);
        let ct_z = parts.act_second(&parts.gamma(&(ct * &v)));
        let through_z = ct_z.as_ref().map(|t| parts.norm_vjp(&parts.gamma(t)));
        let w = parts.gamma(&parts.slope(ct));
        let dx = || add(parts.curvature(&w, u, y, &v), through_z);
        let mut grads = vec![need[0].then(dx), need[1].then(|| parts.gamma(&slope_v))];
        if x.len() == 4 {
            let over_pixels = |t: Tensor| t.sum_axes(&[0, 1]);
            let through = ct_z.as_ref().map(|t| t * &parts.xhat);
            grads.push(need[2].then(|| over_pixels(add(ct * &slope_v, through))));
            grads.push(ct_z.filter(|_| need[3]).map(over_pixels));
        }
        grads
    }
}

/// d[n, 0, c] = sum_s ct_z xhat, d[n, 1, c] = sum_s ct_z; inputs x, ct, gamma, beta
struct AffineGrad(Setting);

impl Op for AffineGrad {
    fn name(&self) -> &'static str {
        "group_norm_affine_grad"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        self.0.check(x[0], &x[2..])?;
        Ok(Shape::from([x[0][0], 2, x[0][2]]))
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let n = Normalised::new(self.0, &x[0]);
        let mut out = vec![0.0; y.numel()];
        for i in 0..n.xhat.len() {
            let at = y.offset(&[i / (n.shape[1] * n.shape[2]), 0, n.channel(i)]);
            let ct_z = n.ct_z(i, &x[2..], &x[1]);
            out[at] += ct_z * n.xhat[i];
            out[at + n.shape[2]] += ct_z;
        }
        out
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        self.0.launch(shader!("norm/affine_grad.wgsl"), gpu, &x[0], &x[2..], &[x[1].slice(), y.slice()], 2);
    }

    fn vjp(&self, x: &[Tensor], _: &Tensor, u: &Tensor, need: &[bool]) -> Vec<Option<Tensor>> {
        let parts = Parts::new(self.0, &x[0], &x[2..]);
        let (u_gamma, u_beta) = (u.narrow(1, 0, 1), u.narrow(1, 1, 1));
        // sum_s s'(z) ct k with k = u_gamma xhat + u_beta.
        let k = &(&parts.xhat * &u_gamma) + &u_beta;
        let ct_z = parts.act_second(&(&x[1] * &k));
        let dx = || {
            let through = ct_z.as_ref().map(|t| parts.gamma(t));
            parts.norm_vjp(&add(&parts.slope(&x[1]) * &u_gamma, through))
        };
        let over_pixels = |t: Tensor| t.sum_axes(&[0, 1]);
        let d_gamma = ct_z.as_ref().filter(|_| need[2]).map(|t| over_pixels(t * &parts.xhat));
        let d_beta = ct_z.clone().filter(|_| need[3]).map(over_pixels);
        vec![need[0].then(dx), need[1].then(|| parts.slope(&k)), d_gamma, d_beta]
    }
}

fn add(a: Tensor, b: Option<Tensor>) -> Tensor {
    b.map_or(a.clone(), |b| a + b)
}

/// The pieces of the second-order rules, in public ops.
struct Parts<'a> {
    setting: Setting,
    x: &'a Tensor,
    gamma: Option<&'a Tensor>,
    xhat: Tensor,
    /// s'(z) and s''(z) of the activation, if there is one.
    slopes: Option<[Tensor; 2]>,
}

impl<'a> Parts<'a> {
    fn new(setting: Setting, x: &'a Tensor, affine: &'a [Tensor]) -> Parts<'a> {
        let xhat = apply(GroupNorm(setting.plain()), &[x]);
        let slopes = setting.silu.then(|| {
            let z = if let [gamma, beta] = affine { &(&xhat * gamma) + beta } else { xhat.clone() };
            let (p, q) = (z.sigmoid(), (-&z).sigmoid());
            [&p * &(&z * &q).add_scalar(1.0), &(&p * &q) * &(&z * &(&q - &p)).add_scalar(2.0)]
        });
        Parts { setting, x, gamma: affine.first(), xhat, slopes }
    }

    /// B(x, g)
    fn norm_vjp(&self, g: &Tensor) -> Tensor {
        apply(InputGrad(self.setting.plain()), &[self.x, g])
    }

    fn gamma(&self, t: &Tensor) -> Tensor {
        self.gamma.map_or(t.clone(), |gamma| t * gamma)
    }

    /// t s'(z)
    fn slope(&self, t: &Tensor) -> Tensor {
        self.slopes.as_ref().map_or(t.clone(), |[first, _]| t * first)
    }

    /// t s''(z), unless it is zero
    fn act_second(&self, t: &Tensor) -> Option<Tensor> {
        self.slopes.as_ref().map(|[_, second]| t * second)
    }

    /// The derivative of `<u, B(x, w)>` with respect to x at fixed w, given `bw = B(x, w)` and `bu = B(x, u)`:
    /// `-K scale^2 xhat - scale (b bw + a bu)`, where a = mean(w xhat), b = mean(u xhat) and
    /// K = mean(u w) - mean(u) mean(w) - a b.
    fn curvature(&self, w: &Tensor, u: &Tensor, bw: &Tensor, bu: &Tensor) -> Tensor {
        let [n, s, c] = [0, 1, 2].map(|d| self.x.dim(d));
        let split = |t: &Tensor| t.reshape([n, s, self.setting.groups, c / self.setting.groups]);
        let mean = |t: &Tensor| t.mean_keepdim(&[1, 3]);
        let [x, xhat, w, u, bw, bu] = [self.x, &self.xhat, w, u, bw, bu].map(split);
        let variance = mean(&(&x - &mean(&x)).square());
        let scale = variance.add_scalar(self.setting.eps).sqrt().recip();
        let (a, b) = (mean(&(&w * &xhat)), mean(&(&u * &xhat)));
        let k = &(&mean(&(&u * &w)) - &(&mean(&u) * &mean(&w))) - &(&a * &b);
        let along = &xhat * &(&k * &scale.square());
        (-(&along + &(&scale * &(&(&bw * &b) + &(&bu * &a))))).reshape(self.x.shape())
    }
}

impl Tensor {
    /// Group norm of `self[N, .., C]` over the positions and the channels of each group, biased variance; `affine` is
    /// (gamma, beta), each `[C]`: `y = gamma (x - mean) / sqrt(variance + eps) + beta` (Wu and He, 2018).
    #[track_caller]
    pub fn group_norm(&self, groups: usize, eps: f64, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        self.normalised(Setting { groups, eps, silu: false }, affine)
    }

    /// `silu(group_norm(x))` in one kernel.
    #[track_caller]
    pub fn group_norm_silu(&self, groups: usize, eps: f64, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        self.normalised(Setting { groups, eps, silu: true }, affine)
    }

    /// Group norm with one channel per group.
    #[track_caller]
    pub fn instance_norm(&self, eps: f64, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        let _op = calling("instance_norm");
        let channels = self.dim(-1);
        self.group_norm(channels.max(1), eps, affine)
    }

    /// Normalises the last `axes` axes together: `y = gamma (x - mean) / sqrt(variance + eps) + beta`, gamma and beta of
    /// the shape of these axes (Ba et al., 2016).
    #[track_caller]
    pub fn layer_norm(&self, axes: usize, eps: f64, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        let _op = calling("layer_norm");
        let rank = self.shape().rank();
        assert!((1..=rank).contains(&axes), "layer_norm: shape {} has no last {axes} axes", self.shape());
        let (rows, row) = self.shape().split_at(rank - axes);
        for t in affine.iter().flat_map(|(gamma, beta)| [gamma, beta]) {
            assert!(t.shape()[..] == *row, "layer_norm: gamma and beta have the shape {row:?}, not {}", t.shape());
        }
        let n = row.iter().product();
        let flat = affine.map(|(gamma, beta)| (gamma.reshape([n]), beta.reshape([n])));
        let affine = flat.as_ref().map(|(gamma, beta)| (gamma, beta));
        self.reshape([rows.iter().product(), n]).group_norm(1, eps, affine).reshape(self.shape())
    }

    /// Normalises every channel over all other axes with the statistics of this batch: returns xhat, the means `[C]` and
    /// the biased variances `[C]`. Composed of reductions and elementwise ops: about 10 passes over memory.
    #[track_caller]
    pub fn batch_norm(&self, eps: f64) -> (Tensor, Tensor, Tensor) {
        let _op = calling("batch_norm");
        assert!(self.shape().rank() >= 1, "batch_norm: a scalar has no channels");
        let axes: Vec<usize> = (0..self.shape().rank() - 1).collect();
        let mean = self.mean_axes(&axes);
        let centred = self - &mean;
        let variance = centred.square().mean_axes(&axes);
        (&centred * &variance.add_scalar(eps).sqrt().recip(), mean, variance)
    }

    #[track_caller]
    fn normalised(&self, setting: Setting, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        let rank = self.shape().rank();
        let op = called(if setting.silu { "group_norm_silu" } else { "group_norm" });
        assert!(rank >= 2, "{op}: wants a batch axis and a channel axis; shape {}", self.shape());
        let _op = calling(op);
        let (n, c) = (self.dim(0), self.dim(-1));
        let pixels = self.shape()[1..rank - 1].iter().product();
        let x = self.reshape([n, pixels, c]);
        let inputs: Vec<&Tensor> =
            [&x].into_iter().chain(affine.iter().flat_map(|(gamma, beta)| [*gamma, *beta])).collect();
        apply(GroupNorm(setting), &inputs).reshape(self.shape())
    }
}

/// Cases: groups of 1, 2, 3, 4 and more channels, both vector widths, one pixel, empty batches, a mean far from zero, and
/// both gradients on their own.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for ([n, s, c], groups, order) in [
        ([2, 3, 4], 2, 2),
        ([1, 3, 4], 4, 2),
        ([2, 2, 8], 2, 2),
        ([1, 2, 6], 2, 2),
        ([2, 1, 5], 1, 2),
        ([0, 4, 4], 2, 0),
        ([3, 0, 4], 2, 0),
        ([1, 1, 8], 4, 0),
        ([3, 257, 12], 4, 0),
        ([7, 255, 12], 3, 0),
        ([5, 64, 64], 32, 0),
        ([66_000, 1, 20], 1, 0),
        ([1, 70_000, 8], 2, 0),
    ] {
        let x = || Input::unit([n, s, c]);
        let label = format!("{n} {s} {c} {groups}");
        // A lane adds hundreds of terms serially: their rounding grows as the square root, here below 32 ulp.
        let plain = move |x: &[Tensor]| x[0].group_norm(groups, 0.1, None);
        cases.push(Case::new(format!("group_norm {label}"), [x()], plain).ulps(32.0, 1.0).order(order));
        let inputs = [x(), Input::uniform([c], 0.5, 1.5), Input::unit([c])];
        let silu = move |x: &[Tensor]| x[0].group_norm_silu(groups, 0.1, Some((&x[1], &x[2])));
        cases.push(Case::new(format!("group_norm_silu {label}"), inputs, silu).ulps(32.0, 1.0).order(order));
        let setting = Setting { groups, eps: 0.1, silu: true };
        let inputs = || [x(), x(), Input::uniform([c], 0.5, 1.5), Input::unit([c])];
        let grad = move |x: &[Tensor]| apply(InputGrad(setting), &[&x[0], &x[1], &x[2], &x[3]]);
        cases.push(Case::new(format!("input_grad {label}"), inputs(), grad).ulps(128.0, 1.0).order(order.min(1)));
        let grad = move |x: &[Tensor]| apply(AffineGrad(setting), &[&x[0], &x[1], &x[2], &x[3]]);
        // A sum over s pixels of terms of order 1.
        let bound = 32.0 * (s as f64).sqrt().max(1.0);
        cases.push(Case::new(format!("affine_grad {label}"), inputs(), grad).ulps(bound, 1.0).order(order.min(1)));
    }
    let affine = [Input::unit([1, 2, 2, 2]), Input::uniform([2], 0.5, 1.5), Input::unit([2])];
    let norm = |x: &[Tensor]| x[0].group_norm(1, 0.1, Some((&x[1], &x[2])));
    cases.push(Case::new("group_norm affine", affine.clone(), norm).ulps(32.0, 1.0));
    let norm = |x: &[Tensor]| x[0].layer_norm(1, 0.1, Some((&x[1], &x[2])));
    cases.push(Case::new("layer_norm", affine.clone(), norm).ulps(32.0, 1.0));
    let several = [Input::unit([2, 3, 2]), Input::uniform([3, 2], 0.5, 1.5), Input::unit([3, 2])];
    let norm = |x: &[Tensor]| x[0].layer_norm(2, 0.1, Some((&x[1], &x[2])));
    cases.push(Case::new("layer_norm of two axes", several, norm).ulps(32.0, 1.0));
    let norm = |x: &[Tensor]| x[0].instance_norm(0.1, Some((&x[1], &x[2])));
    cases.push(Case::new("instance_norm", affine, norm).ulps(32.0, 1.0));
    let norm = |x: &[Tensor]| x[0].batch_norm(0.1).0;
    cases.push(Case::new("batch_norm", [Input::unit([3, 2, 2])], norm).ulps(32.0, 1.0));
    let far = [Input::uniform([2, 64, 8], 1000.0, 1001.0)];
    let norm = |x: &[Tensor]| x[0].group_norm(2, 1e-5, None);
    cases.push(Case::new("group_norm far from zero", far, norm).ulps(32.0, 1.0).order(0));
    cases
}
