//! Whole Langevin chains on the residual MLP of recovery likelihood, in one dispatch.
//!
//! Step by step a chain of K steps on the net of `cdrl/checkerboard-small` is 58 K dispatches. Here a workgroup keeps its chains,
//! and all that belongs to them, for all K steps (`shaders/langevin/residual_chain.wgsl`).

use super::chain::{Plan, Steps};
use super::langevin::LangevinStep;
use super::{Case, Input, Op, apply};
use crate::gpu::Gpu;
use crate::tensor::{Array, Key, Shape, Tensor};
use crate::{shader, uniforms};

/// The weights of `E(x) = -head . relu(h_B)`, `h_0 = W x + b`, and the blocks, `a` the leaky ReLU of `slope`.
pub struct Residual<'a> {
    /// W `[C_0, D]` and b `[C_0]`.
    pub enter: [&'a Tensor; 2],
    /// The blocks 1..=B.
    pub blocks: Vec<ResidualBlock<'a>>,
    /// `[1, C_B]`
    pub head: &'a Tensor,
    /// What `a` multiplies negative numbers by.
    pub slope: f64,
}

/// `z = F a(x) + f + shift`, `y = S x + G a(z) + g + s`; S is 1 and s 0 where the width stays.
pub struct ResidualBlock<'a> {
    /// F `[C, C_in]` and f `[C]`.
    pub first: [&'a Tensor; 2],
    /// `[N or 1, C]`
    pub shift: &'a Tensor,
    /// G `[C, C]` and g `[C]`.
    pub second: [&'a Tensor; 2],
    /// S `[C, C_in]` and s `[C]`.
    pub skip: Option<[&'a Tensor; 2]>,
}

/// The most blocks of a kernel.
const MOST_BLOCKS: usize = 7;
/// Steps of one dispatch at most. With the runtime checks of tests, whose loops are not unrolled, 64 steps ended wrong on software
/// Vulkan without a word, 20 right: most likely Mesa's limit of 65,535 turns for all loops of an invocation.
const MOST_STEPS: usize = 16;

impl Residual<'_> {
    /// C_0, ..., C_B
    fn widths(&self) -> Vec<usize> {
        [self.enter[0].dim(0)].into_iter().chain(self.blocks.iter().map(|b| b.second[0].dim(0))).collect()
    }

    /// Whether there is a kernel for these widths on the device of the weights.
    pub fn fits(&self) -> bool {
        let widths = self.widths();
        let skips = self.blocks.iter().zip(widths.windows(2)).all(|(b, w)| b.skip.is_some() == (w[0] != w[1]));
        let gpu = self.head.device().gpu();
        let plan = |gpu: &Gpu| plan(gpu, &widths, self.enter[0].dim(1)).is_some();
        skips && (1..=MOST_BLOCKS).contains(&self.blocks.len()) && gpu.is_none_or(plan)
    }

    /// Where the chains `x [N, D]` end after `steps` steps, as a constant. Step k draws its noise from `key.index(k)`, as
    /// [`crate::sample::Chain`] does.
    ///
    /// Its numbers differ from those of single dispatches by rounding: sums are taken in another order.
    ///
    /// # Panics
    /// When the shapes do not fit, or there is [no kernel](Residual::fits).
    #[track_caller]
    pub fn run(&self, step: &LangevinStep, steps: usize, x: &Tensor, key: &Key) -> Tensor {
        let flat = |t: &Tensor| t.detach().reshape([t.numel()]);
        let back = |w: &Tensor| flat(&w.detach().transpose());
        let mut weights = vec![back(self.enter[0]), flat(self.enter[1])];
        for b in &self.blocks {
            let bias = b.second[1].detach();
            weights.push(b.skip.map_or(bias.clone(), |[_, s]| &bias + &s.detach()));
        }
        weights.push(flat(self.head));
        // In the order in which a step reads them.
        for b in &self.blocks {
            let matrices = b.skip.iter().map(|s| s[0]).chain([b.first[0], b.second[0]]);
            weights.extend(matrices.map(back));
        }
        for b in self.blocks.iter().rev() {
            let matrices = b.skip.iter().map(|s| s[0]).chain([b.second[0], b.first[0]]);
            weights.extend(matrices.map(flat));
        }
        let weights = Tensor::concat(&weights.iter().collect::<Vec<_>>(), 0);
        let shifts: Vec<Tensor> = self.blocks.iter().map(|b| b.shift.detach() + b.first[1].detach()).collect();
        let shifts = Tensor::concat(&shifts.iter().collect::<Vec<_>>(), 1);
        let op = |steps| ResidualChain { steps, widths: self.widths(), slope: self.slope };
        Steps::run(step, (steps, MOST_STEPS), x, [&weights, &shifts], key, op)
    }
}

/// How chains are spread over invocations, if there is a kernel for these widths.
fn plan(gpu: &Gpu, widths: &[usize], dim: usize) -> Option<Plan> {
    let widest = widths.iter().copied().max().unwrap_or(0);
    let plan = Plan::choose(gpu.profile(), widest, dim);
    plan.filter(|plan| widths.iter().all(|w| w.is_multiple_of(4 * plan.width)))
}

/// x_end of (x_0 `[N, D]`, weights `[M]`: W^T, b, the biases of blocks, head, then matrices in the order of a step; shifts
/// `[N or 1, C_1 + .. + C_B]`, center if `coupled`, coefficients `[3, N]` if they differ between samples).
struct ResidualChain {
    steps: Steps,
    widths: Vec<usize>,
    slope: f64,
}

impl ResidualChain {
    /// Weights before the matrices.
    fn vectors(&self, dim: usize) -> usize {
        dim * self.widths[0] + self.widths.iter().sum::<usize>() + self.widths[self.widths.len() - 1]
    }

    /// Inputs and outputs of the matrices of the way forward; the way back has as many numbers.
    fn matrices(&self) -> impl Iterator<Item = [usize; 2]> {
        self.widths.windows(2).flat_map(|w| {
            let skip = (w[0] != w[1]).then_some([w[0], w[1]]);
            skip.into_iter().chain([[w[0], w[1]], [w[1], w[1]]])
        })
    }

    fn numbers(&self) -> usize {
        self.matrices().map(|[a, b]| a * b).sum()
    }

    /// dE/dx of one sample.
    fn gradient(&self, x: &[f64], weights: &[f64], shifts: &[f64]) -> Vec<f64> {
        let a = |z: &f64| if *z > 0.0 { *z } else { self.slope * z };
        let slope = |z: f64| if z > 0.0 { 1.0 } else { self.slope };
        let (mut at, mut shift) = (0, 0);
        let mut take = |n: usize| (at, at += n).0;
        let times = |first: usize, x: &[f64], n: usize| -> Vec<f64> {
            (0..n).map(|o| x.iter().enumerate().map(|(i, x)| x * weights[first + i * n + o]).sum()).collect()
        };
        let add = |a: Vec<f64>, b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };

        let (c_0, blocks) = (self.widths[0], self.widths.len() - 1);
        let (enter, bias) = (take(x.len() * c_0), take(c_0));
        let mut h = vec![add(times(enter, x, c_0), &weights[bias..][..c_0])];
        let biases: Vec<usize> = self.widths[1..].iter().map(|c| take(*c)).collect();
        let head = take(self.widths[blocks]);
        let mut z = Vec::new();
        for (i, w) in self.widths.windows(2).enumerate() {
            let x = &h[i];
            let skip = if w[0] == w[1] { x.clone() } else { times(take(w[0] * w[1]), x, w[1]) };
            let active: Vec<f64> = x.iter().map(a).collect();
            z.push(add(times(take(w[0] * w[1]), &active, w[1]), &shifts[shift..][..w[1]]));
            let active: Vec<f64> = z[i].iter().map(a).collect();
            let y = add(times(take(w[1] * w[1]), &active, w[1]), &weights[biases[i]..][..w[1]]);
            h.push(add(skip, &y));
            shift += w[1];
        }
        let mut g: Vec<f64> =
            h[blocks].iter().enumerate().map(|(o, h)| if *h > 0.0 { -weights[head + o] } else { 0.0 }).collect();
        for (i, w) in self.widths.windows(2).enumerate().rev() {
            let skip = if w[0] == w[1] { g.clone() } else { times(take(w[0] * w[1]), &g, w[0]) };
            let t: Vec<f64> =
                times(take(w[1] * w[1]), &g, w[1]).iter().zip(&z[i]).map(|(t, z)| t * slope(*z)).collect();
            let u = times(take(w[0] * w[1]), &t, w[0]);
            g = u.iter().zip(&h[i]).zip(&skip).map(|((u, h), skip)| u * slope(*h) + skip).collect();
        }
        (0..x.len()).map(|d| g.iter().enumerate().map(|(c, g)| g * weights[enter + d * c_0 + c]).sum()).collect()
    }
}

impl Op for ResidualChain {
    fn name(&self) -> &'static str {
        "residual_chain"
    }

    fn shape(&self, x: &[&Shape]) -> Result<Shape, String> {
        let &[n, d] = &x[0].0[..] else { return Err("chains must be [N, D]".into()) };
        if x[1].0 != [self.vectors(d) + 2 * self.numbers()] {
            return Err("the weights do not belong to samples of this shape".into());
        }
        let shifts: usize = self.widths[1..].iter().sum();
        if x[2].0 != [n, shifts] && x[2].0 != [1, shifts] {
            return Err(format!("shifts must be [{n} or 1, {shifts}]"));
        }
        self.steps.check(x)?;
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let (rows, columns) = (x[2].shape[0], x[2].shape[1]);
        let shifts = |n: usize| &x[2][n.min(rows - 1) * columns..][..columns];
        self.steps.reference(x, y, |n, x_n| self.gradient(x_n, &x[1], shifts(n)))
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let dim = y.dim(1);
        let Some(plan) = plan(gpu, &self.widths, dim) else {
            panic!("residual_chain: no kernel for widths {:?}", self.widths)
        };
        let hidden = self.widths.iter().copied().max().unwrap_or(0);
        let kernel = plan.kernel(shader!("langevin/residual_chain.wgsl"), [hidden, dim]);
        let uniforms = uniforms![
            matrices: self.vectors(dim) / 4,
            shift_rows: x[2].dim(0),
            shift_quads: x[2].dim(1) / 4,
            slope: self.slope,
            width: [0, 1, 2, 3, 4, 5, 6, 7].map(|i| self.widths.get(i).map_or(0, |w| *w as u32)),
        ];
        // Forward and back through each matrix.
        let flops = 4 * (self.numbers() + dim * self.widths[0]);
        self.steps.dispatch(gpu, (kernel.with("BLOCKS", self.widths.len() - 1), plan), uniforms, x, y, flops);
    }

    /// The end of a chain is a constant.
    fn vjp(&self, x: &[Tensor], _: &Tensor, _: &Tensor, _: &[bool]) -> Vec<Option<Tensor>> {
        vec![None; x.len()]
    }
}

/// Cases: widths that stay, grow and shrink; ragged batches, shifts for all or each, coupling and coefficients per sample, clip.
pub fn cases() -> Vec<Case> {
    let case = |n: usize, d: usize, widths: &[usize], steps: usize, coupled: bool| {
        let widths = widths.to_vec();
        let key = Key::new(5).named("residual chain");
        let op = move |key: Key| ResidualChain {
            steps: Steps::new([0.1, 0.0, 0.3], (!coupled).then_some((-0.9, 0.9)), coupled, 0..steps, key),
            widths: widths.clone(),
            slope: 0.2,
        };
        let of = op(key.clone());
        let shifts: usize = of.widths[1..].iter().sum();
        let label = format!("{n} x {d}, {:?} wide, {steps} steps", of.widths);
        let weights = Input::uniform([of.vectors(d) + 2 * of.numbers()], -0.1, 0.1);
        let rows = if coupled { n } else { 1 };
        let mut inputs = vec![Input::unit([n, d]), weights, Input::unit([rows, shifts])];
        inputs.extend(
            coupled.then(|| [Input::unit([n, d]), Input::below([n], 8), Input::below([1], 100)]).into_iter().flatten(),
        );
        let run = move |x: &[Tensor]| {
            let [x_0, weights, shifts] = [&x[0], &x[1], &x[2]];
            let Some(center) = x.get(3) else { return apply(op(key.clone()), &[x_0, weights, shifts]) };
            let c = x[4].mul_scalar(0.05).reshape([1, n]);
            let coefficients = Tensor::concat(&[&c, &c.mul_scalar(0.3), &c.add_scalar(0.1)], 0);
            apply(op(key.clocked(&x[5])), &[x_0, weights, shifts, center, &coefficients])
        };
        Case::new(label, inputs, run).ulps(512.0, 1.0).order(0)
    };
    vec![
        case(3, 2, &[64, 64, 128], 1, false),
        case(37, 2, &[32, 64, 64], 5, true),
        case(18, 3, &[64, 32], MOST_STEPS, true),
    ]
}
