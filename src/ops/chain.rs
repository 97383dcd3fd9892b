//! What the kernels of whole Langevin chains share: the steps of a dispatch, how chains are spread over invocations, and what a step
//! does once the gradient is known. Their shaders share `shaders/langevin/chain.wgsl` in the same way.

use super::langevin::{LangevinStep, clipped};
use super::{Op, apply};
use crate::gpu::{Gpu, Kernel, Profile, Source, Uniform, Work, Workgroups};
use crate::tensor::{Array, Key, Shape, Tensor, normal_at};
use crate::uniforms;
use std::ops::Range;

/// Langevin steps of one dispatch: `x' = clip(x - step_n dE/dx - coupling_n (x - center) + noise_n xi_k)`. The inputs of its op are
/// x_0 `[N, D]`, two arrays of the net, center if `coupled`, coefficients `[3, N]` if they differ between samples.
pub(super) struct Steps {
    /// Step, coupling and noise, where they are the same for all samples.
    scalars: [f64; 3],
    clip: Option<(f64, f64)>,
    coupled: bool,
    range: Range<usize>,
    key: Key,
}

impl Steps {
    /// Steps that are given one by one, for test cases.
    pub fn new(scalars: [f64; 3], clip: Option<(f64, f64)>, coupled: bool, range: Range<usize>, key: Key) -> Steps {
        Steps { scalars, clip, coupled, range, key }
    }

    /// Where the chains `x` end after `steps` steps, at most `most` of them a dispatch; `op` makes the op of some of them on the
    /// arrays `net`.
    #[track_caller]
    pub fn run<O: Op>(
        step: &LangevinStep,
        (steps, most): (usize, usize),
        x: &Tensor,
        net: [&Tensor; 2],
        key: &Key,
        op: impl Fn(Steps) -> O,
    ) -> Tensor {
        let (center, coefficients) = (step.center.as_ref().map(Tensor::detach), step.per_sample(x));
        let mut x = x.detach();
        for first in (0..steps).step_by(most) {
            let inputs: Vec<Tensor> =
                [&x, net[0], net[1]].into_iter().chain(center.iter().chain(&coefficients)).cloned().collect();
            let (clip, range) = (step.clip, first..steps.min(first + most));
            let steps = Steps { scalars: step.scalars(), clip, coupled: center.is_some(), range, key: key.clone() };
            x = apply(op(steps), &inputs.iter().collect::<Vec<_>>());
        }
        x
    }

    /// Whether the center fits the chains.
    pub fn check(&self, x: &[&Shape]) -> Result<(), String> {
        match self.coupled && x[3] != x[0] {
            true => Err("chains and center must have one shape".into()),
            false => Ok(()),
        }
    }

    /// The definition, given `gradient(n, x_n)` of sample n.
    pub fn reference(&self, x: &[Array], y: &Shape, gradient: impl Fn(usize, &[f64]) -> Vec<f64>) -> Vec<f64> {
        let clock = self.key.clock.as_ref().map_or(0, |c| c.array()[0] as u32);
        let coefficients = x.get(3 + usize::from(self.coupled));
        let mut end = x[0].to_vec();
        for (n, x_n) in end.chunks_mut(y[1].max(1)).enumerate() {
            let [step, coupling, noise] = match coefficients {
                Some(c) => [0, 1, 2].map(|which| c[which * y[0] + n]),
                None => self.scalars,
            };
            for k in self.range.clone() {
                let slopes = gradient(n, x_n);
                for (c, slope) in slopes.iter().enumerate() {
                    let i = n * y[1] + c;
                    let pull = if self.coupled { coupling * (x_n[c] - x[3][i]) } else { 0.0 };
                    let xi = normal_at(&self.key.index(k as u64), i as u64, clock);
                    x_n[c] = clipped(self.clip, x_n[c] - step * slope - pull + noise * xi);
                }
            }
        }
        end
    }

    /// Records the dispatch of `kernel`, spread by `plan`, whose net does `flops` a sample and step and has uniforms of its own.
    pub fn dispatch(
        &self,
        gpu: &Gpu,
        (kernel, plan): (Kernel, Plan),
        own: &[(&'static str, Uniform)],
        x: &[Tensor],
        y: &Tensor,
        flops: usize,
    ) {
        let coefficients = x.get(3 + usize::from(self.coupled));
        let kernel = kernel
            .with("COUPLED", self.coupled)
            .with("CLIP", self.clip.is_some())
            .with("PER_SAMPLE", coefficients.is_some());
        let (n, steps, [step, coupling, noise]) = (y.dim(0), self.range.len(), self.scalars);
        let (lo, hi) = self.clip.unwrap_or_default();
        let first = self.range.start;
        let shared = uniforms![samples: n, steps, first, step, coupling, noise, lo, hi, key: &self.key];
        let zero = gpu.zero();
        let or_zero = |t: Option<&Tensor>| t.map_or(zero.clone(), |t| t.slice().clone());
        let center = or_zero(x.get(3).filter(|_| self.coupled));
        let (coefficients, clock) = (or_zero(coefficients), or_zero(self.key.clock.as_ref()));
        let slices = [x[0].slice(), x[1].slice(), x[2].slice(), &center, &coefficients, &clock, y.slice()];
        // The weights once, the chains in and out.
        let bytes = 4 * (x[1].numel() + x[2].numel() + 2 * y.numel());
        let work = Work { bytes: bytes as u64, flops: (n * steps * flops) as u64 };
        gpu.dispatch(&kernel, &[shared, own].concat(), &slices, Workgroups::Count(n.div_ceil(plan.chains)), work);
    }
}

/// How the chains are spread over invocations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Neighbours that share rows: a subgroup, or 1.
    pub width: usize,
    chains: usize,
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
