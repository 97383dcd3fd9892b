//! Whole Langevin chains on the energy of an MLP with two hidden layers, in one dispatch.
//!
//! Step by step a chain of K steps is 14 K dispatches, each of which reads and writes the activations of all chains. Here a
//! workgroup keeps its chains, and all that belongs to them, for all K steps (`shaders/langevin/mlp_chain.wgsl`).

use super::langevin::{LangevinStep, clipped};
use super::unary::Function;
use super::{Case, Input, Op, apply};
use crate::gpu::{Gpu, Kernel, Profile, Source, Work, Workgroups};
use crate::tensor::{Array, Key, Shape, Tensor, normal_at};
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
        let (center, coefficients) = (step.center.as_ref().map(Tensor::detach), step.per_sample(x));
        let mut x = x.detach();
        for first in (0..steps).step_by(MOST_STEPS) {
            let mut inputs = vec![x.clone(), vectors.clone(), weights.clone()];
            inputs.extend(center.iter().chain(&coefficients).cloned());
            let op = MlpChain {
                scalars: step.scalars(),
                clip: step.clip,
                coupled: center.is_some(),
                steps: first..steps.min(first + MOST_STEPS),
                activation: self.activation,
                a: self.a,
                key: key.clone(),
            };
            x = apply(op, &inputs.iter().collect::<Vec<_>>());
        }
        x
    }
}

/// x_end of (x_0 `[N, D]`, vectors `[D + 3, H]` = W1^T, b1, b2, w3, weights `[2 H, H]` = W2^T, W2, center if `coupled`,
/// coefficients `[3, N]` if they differ between samples).
struct MlpChain {
    /// Step, coupling and noise, where they are the same for all samples.
    scalars: [f64; 3],
    clip: Option<(f64, f64)>,
    coupled: bool,
    steps: std::ops::Range<usize>,
    activation: &'static Function,
    a: f64,
    key: Key,
}

/// How the chains are spread over invocations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Neighbours that share rows: a subgroup, or 1.
    pub width: usize,
    pub chains: usize,
    teams: usize,
    nv: usize,
}

impl Plan {
    /// The first of the spreads for this class of adapter that fits layers of `hidden` and `dim` dimensions, if one does.
    pub fn choose(profile: &Profile, hidden: usize, dim: usize) -> Option<Plan> {
        let plan = |chains, nv| Plan { width: 8, chains, teams: 1, nv };
        let team = |teams| Plan { width: 1, chains: 4 * teams, teams, nv: 1 };
        let plans = match profile.software && profile.subgroup == Some(8) {
            true => [16, 8, 4].iter().flat_map(|&chains| [plan(chains, 2), plan(chains, 1)]).collect(),
            false => vec![team(4), team(2), team(1)],
        };
        plans.into_iter().find(|plan| plan.fits(hidden, dim))
    }

    /// The kernel of a file that includes `langevin/chain.wgsl`, spread so.
    pub fn kernel(&self, source: Source, [hidden, dim]: [usize; 2]) -> Kernel {
        let kernel = Kernel::new(source)
            .with("HIDDEN", hidden)
            .with("DIM", dim)
            .with("CHAINS", self.chains)
            .with("TEAMS", self.teams)
            .with("NV", self.nv);
        if self.width == 1 { kernel.with("SHARE", "langevin/share_nothing.wgsl") } else { kernel }
    }

    fn columns(&self, hidden: usize) -> usize {
        hidden / (4 * self.nv)
    }

    /// Whether columns come out even, within 256 invocations and 16 KiB of workgroup memory.
    fn fits(&self, hidden: usize, dim: usize) -> bool {
        let columns = self.columns(hidden);
        let even = hidden.is_multiple_of(4 * self.nv * self.width) && columns > 0;
        let parts = columns / self.width;
        let bytes = 4 * self.chains * (hidden + dim * (1 + parts));
        even && columns * self.teams <= 256 && bytes <= 16 << 10
    }
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
        if self.coupled && x[3] != x[0] {
            return Err("chains and center must have one shape".into());
        }
        Ok(x[0].clone())
    }

    fn reference(&self, x: &[Array], y: &Shape) -> Vec<f64> {
        let (d, h) = (y[1], x[2].shape[1]);
        let (w1t, rest) = x[1].split_at(d * h);
        let (b1, b2, w3) = (&rest[..h], &rest[h..2 * h], &rest[2 * h..]);
        let w2 = &x[2][h * h..]; // [out, in]
        let (f, df) = (|z: f64| self.activation.value(z, self.a), |z: f64| self.activation.slope(z, self.a));
        let clock = self.key.clock.as_ref().map_or(0, |c| c.array()[0] as u32);
        let coefficients = x.get(3 + usize::from(self.coupled));
        let mut end = x[0].to_vec();
        for (n, x_n) in end.chunks_mut(d.max(1)).enumerate() {
            let [step, coupling, noise] = match coefficients {
                Some(c) => [0, 1, 2].map(|which| c[which * y[0] + n]),
                None => self.scalars,
            };
            for k in self.steps.clone() {
                let z1: Vec<f64> =
                    (0..h).map(|j| b1[j] + (0..d).map(|c| w1t[c * h + j] * x_n[c]).sum::<f64>()).collect();
                let h1: Vec<f64> = z1.iter().map(|&z| f(z)).collect();
                let dot = |row: &[f64]| row.iter().zip(&h1).map(|(w, h)| w * h).sum::<f64>();
                let delta: Vec<f64> = (0..h).map(|o| w3[o] * df(b2[o] + dot(&w2[o * h..][..h]))).collect();
                let back = |j: usize| df(z1[j]) * (0..h).map(|o| delta[o] * w2[o * h + j]).sum::<f64>();
                let back: Vec<f64> = (0..h).map(back).collect();
                for c in 0..d {
                    let slope: f64 = (0..h).map(|j| back[j] * w1t[c * h + j]).sum();
                    let i = n * d + c;
                    let pull = if self.coupled { coupling * (x_n[c] - x[3][i]) } else { 0.0 };
                    let xi = normal_at(&self.key.index(k as u64), i as u64, clock);
                    x_n[c] = clipped(self.clip, x_n[c] - step * slope - pull + noise * xi);
                }
            }
        }
        end
    }

    fn launch(&self, gpu: &Gpu, x: &[Tensor], y: &Tensor) {
        let (n, dim, hidden) = (y.dim(0), y.dim(1), x[2].dim(1));
        let Some(plan) = Plan::choose(gpu.profile(), hidden, dim) else {
            panic!("mlp_chain: no kernel for {hidden} columns")
        };
        let coefficients = x.get(3 + usize::from(self.coupled));
        let (code, name) = self.activation.op();
        let kernel = plan
            .kernel(shader!("langevin/mlp_chain.wgsl"), [hidden, dim])
            .op(code, name)
            .with("COUPLED", self.coupled)
            .with("CLIP", self.clip.is_some())
            .with("PER_SAMPLE", coefficients.is_some());
        let [step, coupling, noise] = self.scalars;
        let (lo, hi) = self.clip.unwrap_or_default();
        let (steps, first) = (self.steps.len(), self.steps.start);
        let uniforms = uniforms![samples: n, steps, first, a: self.a, step, coupling, noise, lo, hi, key: &self.key];
        let zero = gpu.zero();
        let or_zero = |t: Option<&Tensor>| t.map_or(zero.clone(), |t| t.slice().clone());
        let center = or_zero(x.get(3).filter(|_| self.coupled));
        let (coefficients, clock) = (or_zero(coefficients), or_zero(self.key.clock.as_ref()));
        let slices = [x[0].slice(), x[1].slice(), x[2].slice(), &center, &coefficients, &clock, y.slice()];
        // Forward and backward through each layer; the weights once, the chains in and out.
        let flops = 4 * n * steps * hidden * (hidden + 2 * dim);
        let bytes = 4 * (x[1].numel() + x[2].numel() + 2 * y.numel());
        let work = Work { bytes: bytes as u64, flops: flops as u64 };
        gpu.dispatch(&kernel, uniforms, &slices, Workgroups::Count(n.div_ceil(plan.chains)), work);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_spread_within_the_portable_budget_or_run_step_by_step() {
        let software = Profile { software: true, subgroup: Some(8), ..Profile::default() };
        let spread = |profile: &Profile, hidden| Plan::choose(profile, hidden, 2).map(|p| (p.chains, p.teams, p.nv));
        assert_eq!(
            [32, 96, 128, 256].map(|h| spread(&software, h)),
            [Some((16, 1, 1)), Some((16, 1, 1)), Some((16, 1, 2)), Some((8, 1, 2)),]
        );
        assert_eq!([16, 100, 2048].map(|h| spread(&software, h)), [None; 3]);
        let gpu = Profile { subgroup: Some(32), ..Profile::default() };
        // 256 invocations are 4 teams of 64 columns of four.
        assert_eq!(
            [20, 128, 256, 1000].map(|h| spread(&gpu, h)),
            [Some((16, 4, 1)), Some((16, 4, 1)), Some((8, 2, 1)), None,]
        );
    }
}
