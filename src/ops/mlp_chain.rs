//! Whole Langevin chains on the energy of an MLP with two hidden layers, in one dispatch.
//!
//! Step by step a chain of K steps is 14 K dispatches, each of which reads and writes the activations of all chains. Here a
//! workgroup keeps its chains, and all that belongs to them, for all K steps (`shaders/langevin/mlp_chain.wgsl`).

use super::chain::{Plan, Steps};
use super::langevin::LangevinStep;
use super::unary::Function;
use super::{Case, Input, Op};
use crate::gpu::Gpu;
use crate::tensor::{Array, Key, Shape, Tensor};
use crate::{shader, uniforms};

/// The weights of `E(x) = w3 . a(W2 a(W1 x + b1) + b2)`; an offset b3 moves no chain.
pub struct TwoLayers<'a> {
    /// `[H, D]`
    pub w1: &'a Tensor,
    /// `[H]`
    pub b1: &'a Tensor,
    /// `[H, H]`
    pub w2: &'a Tensor,
    /// `[H]`
    pub b2: &'a Tensor,
    /// `[1, H]`
    pub w3: &'a Tensor,
    /// The activation.
    pub activation: &'static Function,
    /// Its parameter, such as the slope of `leaky_relu`.
    pub a: f64,
}

/// Steps of one dispatch at most, so that a display or a Ctrl-C never waits long.
const MOST_STEPS: usize = 64;

impl TwoLayers<'_> {
    /// Whether there is a kernel for these widths on the device of the weights.
    pub fn fits(&self) -> bool {
        let (hidden, dim) = (self.w1.dim(0), self.w1.dim(1));
        let square = self.w2.shape().0 == [hidden, hidden];
        square && self.w1.device().gpu().is_none_or(|gpu| Plan::choose(gpu.profile(), hidden, dim).is_some())
    }

    /// Where the chains `x [N, D]` end after `steps` steps, as a constant. Step k draws its noise from `key.index(k)`, as
    /// [`crate::sample::Chain`] does.
    ///
    /// Its numbers differ from those of single dispatches by rounding: sums are taken in another order.
    ///
    /// # Panics
    /// When the shapes do not fit, or there is [no kernel](TwoLayers::fits).
    #[track_caller]
    pub fn run(&self, step: &LangevinStep, steps: usize, x: &Tensor, key: &Key) -> Tensor {
        let rows = |t: &Tensor| t.detach().reshape([t.numel() / self.w1.dim(0), self.w1.dim(0)]);
        let w2 = self.w2.detach();
        let vectors = [self.w1.detach().transpose(), rows(self.b1), rows(self.b2), rows(self.w3)];
        let vectors = Tensor::concat(&vectors.each_ref(), 0);
        let weights = Tensor::concat(&[&w2.transpose(), &w2], 0);
        let op = |steps| MlpChain { steps, activation: self.activation, a: self.a };
        Steps::run(step, (steps, MOST_STEPS), x, [&vectors, &weights], key, op)
    }
}

/// x_end of (x_0 `[N, D]`, vectors `[D + 3, H]` = W1^T, b1, b2, w3, weights `[2 H, H]` = W2^T, W2, center if `coupled`,
/// coefficients `[3, N]` if they differ between samples).
struct MlpChain {
    steps: Steps,
    activation: &'static Function,
    a: f64,
}

impl Op for MlpChain {
    fn name(&self) -> &'static str {
        "mlp_chain"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let (&[_, d], [rows, h]) = (&x[0].0[..], [x[1].0[0], x[1].0[1]]) else {
            return Err("chains must be [N, D]".into());
        };
        if rows != d + 3 || x[2].0 != [2 * h, h] {
            return Err("the weights do not belong to samples of this shape".into());
        }
        self.steps.check(x)?;
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let (d, h) = (y[1], x[2].shape[1]);
        let (w1t, rest) = x[1].split_at(d * h);
        let (b1, b2, w3) = (&rest[..h], &rest[h..2 * h], &rest[2 * h..]);
        let w2 = &x[2][h * h..]; // [out, in]
        let (f, df) = (|z: f64| self.activation.value(z, self.a), |z: f64| self.activation.slope(z, self.a));
        self.steps.reference(x, y, |_, x_n| {
            let z1: Vec<f64> = (0..h).map(|j| b1[j] + (0..d).map(|c| w1t[c * h + j] * x_n[c]).sum::<f64>()).collect();
            let h1: Vec<f64> = z1.iter().map(|&z| f(z)).collect();
            let dot = |row: &[f64]| row.iter().zip(&h1).map(|(w, h)| w * h).sum::<f64>();
            let delta: Vec<f64> = (0..h).map(|o| w3[o] * df(b2[o] + dot(&w2[o * h..][..h]))).collect();
            let back = |j: usize| df(z1[j]) * (0..h).map(|o| delta[o] * w2[o * h + j]).sum::<f64>();
            let back: Vec<f64> = (0..h).map(back).collect();
            (0..d).map(|c| (0..h).map(|j| back[j] * w1t[c * h + j]).sum()).collect()
        })
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let (dim, hidden) = (y.dim(1), x[2].dim(1));
        let Some(plan) = Plan::choose(gpu.profile(), hidden, dim) else {
            panic!("mlp_chain: no kernel for {hidden} columns")
        };
        let (code, name) = self.activation.op();
        let kernel = plan.kernel(shader!("langevin/mlp_chain.wgsl"), [hidden, dim]).op(code, name);
        // Forward and backward through each layer.
        let flops = 4 * hidden * (hidden + dim);
        self.steps.dispatch(gpu, (kernel, plan), uniforms![a: self.a], x, y, flops);
    }

    /// The end of a chain is a constant.
    fn vjp(&self, x: &[Tensor], _: &Tensor, _: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![None; x.len()]
    }
}

/// Cases: one step, a ragged batch, coupling and coefficients per sample, clip, other widths and activations.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let key = Key::new(5).named("mlp chain");
    for (n, d, h, steps, activation) in [
        (3, 2, 128, 1, "silu"),
        (37, 2, 128, 5, "silu"),
        (5, 1, 64, 3, "softplus"),
        (18, 3, 64, 70, "tanh"),
        (4, 2, 64, 2, "leaky_relu"),
    ] {
        let bound = 1.0 / (h as f64).sqrt();
        let weights = |shape: Vec<usize>| Input::uniform(shape, -bound, bound);
        let mut inputs = vec![
            Input::unit([n, d]),
            Input::unit([h, d]),
            Input::unit([h]),
            weights(vec![h, h]),
            weights(vec![h]),
            Input::unit([1, h]),
            Input::unit([n, d]),
            Input::below([n], 8),
            Input::below([1], 100),
        ];
        inputs[5].values = weights(vec![1, h]).values;
        let run = move |x: &[Tensor], step: &LangevinStep, key: &Key| {
            let net = TwoLayers {
                w1: &x[1],
                b1: &x[2],
                w2: &x[3],
                b2: &x[4],
                w3: &x[5],
                activation: Function::named(activation),
                a: 0.2,
            };
            net.run(step, steps, &x[0], key)
        };
        let label = format!("{activation} {n} x {d}, {h} wide, {steps} steps");
        let k = key.clone();
        let plain = move |x: &[Tensor]| run(x, &LangevinStep::new(0.1, 0.3).clip(-0.9, 0.9), &k);
        cases.push(Case::new(format!("clipped, {label}"), inputs.clone(), plain).ulps(256.0, 1.0).order(0));
        let k = key.clone();
        let coupled = move |x: &[Tensor]| {
            let c = x[7].mul_scalar(0.05);
            let step = LangevinStep::new(&c, &c.add_scalar(0.1)).coupling(&c.mul_scalar(0.3), &x[6]);
            run(x, &step, &k.clocked(&x[8]))
        };
        cases.push(Case::new(format!("coupled, {label}"), inputs, coupled).ulps(256.0, 1.0).order(0));
    }
    cases
}
