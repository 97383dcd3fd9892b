//! Annealed importance sampling: the normalising constant of an energy, with its error, in any dimension.

use super::measures::energies;
use crate::check;
use crate::energy::Energy;
use crate::error::Result;
use crate::metrics::Grid;
use crate::sample::{Hmc, Sampler};
use crate::tensor::{Device, Key, Tensor, no_grad};
use std::f64::consts::TAU;

/// The law that chains start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Uniform on the box; Z is then the integral over the box, whose walls chains bounce off.
    Uniform,
    /// Normal around the middle of the box, a quarter of its sides as standard deviations; Z is that of all space.
    Normal,
}

/// How much is spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ais {
    /// n, independent chains.
    pub chains: usize,
    /// M, temperatures between the base and the energy.
    pub temperatures: usize,
    /// Hamiltonian moves at each.
    pub moves: usize,
    /// Where chains start.
    pub base: Base,
}

impl Default for Ais {
    fn default() -> Ais {
        Ais { chains: 1000, temperatures: 200, moves: 1, base: Base::Uniform }
    }
}

/// An estimate of ln Z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogZ {
    /// ln of the mean weight, in nats.
    pub value: f64,
    /// Its standard error: the standard deviation of the weights over their mean and sqrt(n).
    pub error: f64,
    /// `(sum w)^2 / sum w^2`; where it is a small part of n, the error is not to be trusted either.
    pub effective: f64,
    /// Chains.
    pub n: usize,
}

/// Leapfrog steps of a move.
const LEAPFROG: usize = 5;
/// The fraction of moves that the step size aims at.
const ACCEPTED: f64 = 0.8;

/// Samples of shape `sample` in coordinates in which the box is `[0, 1]`, or the base N(0, I): `x = shift + scale z`.
#[derive(Clone)]
pub struct Place {
    shift: Tensor,
    scale: Tensor,
    sample: Vec<usize>,
    base: Base,
    /// ln of the volume of a unit of z.
    log_volume: f64,
}

impl Place {
    /// The place of `bounds`, an interval for each coordinate or one for all.
    pub fn new(device: &Device, sample: &[usize], bounds: &[[f64; 2]], base: Base) -> Place {
        let ends = |[lo, hi]: [f64; 2]| match base {
            Base::Uniform => (lo, hi - lo),
            Base::Normal => (0.5 * (lo + hi), 0.25 * (hi - lo)),
        };
        let size: usize = sample.iter().product();
        let all: Vec<(f64, f64)> = (0..size).map(|d| ends(bounds[d.min(bounds.len() - 1)])).collect();
        let tensor = |f: fn(&(f64, f64)) -> f64| Tensor::from_f64(device, sample.to_vec(), all.iter().map(f).collect());
        let log_volume = all.iter().map(|a| a.1.ln()).sum();
        Place { shift: tensor(|a| a.0), scale: tensor(|a| a.1), sample: sample.to_vec(), base, log_volume }
    }

    /// x of z.
    pub fn x(&self, z: &Tensor) -> Tensor {
        z * &self.scale + &self.shift
    }

    /// `n` draws of the base.
    fn start(&self, n: usize, key: &Key) -> Tensor {
        let shape: Vec<usize> = [n].into_iter().chain(self.sample.iter().copied()).collect();
        match self.base {
            Base::Uniform => Tensor::uniform(self.shift.device(), shape, key),
            Base::Normal => Tensor::normal(self.shift.device(), shape, key),
        }
    }

    /// E_0 with its ln Z_0.
    fn base(&self, z: &Tensor) -> (Tensor, f64) {
        let (n, size) = (z.dim(0), self.scale.numel());
        match self.base {
            Base::Uniform => (Tensor::zeros(z.device(), [n]), 0.0),
            Base::Normal => {
                let squares = z.square().reshape([n, size]).sum_axes(&[1]);
                (squares.mul_scalar(0.5), 0.5 * size as f64 * TAU.ln())
            }
        }
    }

    /// Where chains stay.
    pub fn walls(&self) -> Option<(f64, f64)> {
        (self.base == Base::Uniform).then_some((0.0, 1.0))
    }
}

/// `E_b(z) = (1 - b) E_0(z) + b E(x)`.
pub struct Bridge<'a> {
    /// E.
    pub energy: &'a dyn Energy,
    /// x of z.
    pub place: &'a Place,
    /// b.
    pub beta: f64,
}

impl Energy for Bridge<'_> {
    fn energy(&self, z: &Tensor) -> Tensor {
        let end = self.energy.energy(&self.place.x(z)).mul_scalar(self.beta);
        if self.beta == 1.0 { end } else { end + self.place.base(z).0.mul_scalar(1.0 - self.beta) }
    }
}

/// Chains that went from the base to the energy.
pub struct Annealed {
    /// Where they are, in the coordinates of the place.
    pub z: Tensor,
    /// ln of their weights.
    pub log_weights: Vec<f64>,
    /// What the weights say.
    pub log_z: LogZ,
}

impl Ais {
    /// Whether the numbers make sense, for samples of this shape.
    pub fn check(&self, name: &str, sample: &[usize]) -> Result<()> {
        check::within(format!("{name}-chains"), self.chains, 2..=check::MOST_COUNTED)?;
        check::memory(format!("{name}-chains"), self.chains, sample)?;
        check::within(format!("{name}-temperatures"), self.temperatures, 1..=check::MOST_STEPS)?;
        check::within(format!("{name}-moves"), self.moves, 1..=check::MOST_STEPS / self.temperatures)
    }

    /// b_k = (k / M)^2: the first steps from the base are the smallest, for energies are largest away from the data.
    fn beta(&self, k: usize) -> f64 {
        (k as f64 / self.temperatures as f64).powi(2)
    }

    /// Neal 2001: `w = prod_k exp((b_k - b_(k-1)) (E_0(z_(k-1)) - E(z_(k-1))))`, z_k by moves that keep exp(-E_(b_k));
    /// the mean of w is Z / Z_0 whatever the moves are. Their step sizes are found on other chains, a tenth as many.
    pub fn anneal(&self, energy: &dyn Energy, place: &Place, key: &Key) -> Result<Annealed> {
        let mut steps = Vec::new();
        let pilot = Ais { chains: (self.chains / 10).clamp(16, self.chains.max(16)), ..*self };
        pilot.run(energy, place, &key.named("pilot"), &mut |_, before, accepted| {
            let step: f64 = before.unwrap_or(0.1);
            let next = match accepted {
                Some(rate) => (step * (rate.mean().item()? - ACCEPTED).exp()).min(0.5),
                None => step,
            };
            steps.push(next);
            Ok(next)
        })?;
        let (z, weights) = self.run(energy, place, &key.named("chains"), &mut |k, _, _| Ok(steps[k]))?;
        let log_weights = weights.to_f64()?;
        let z_0 = place.base(&z.narrow(0, 0, 1)).1 + place.log_volume;
        Ok(Annealed { z, log_z: estimate(&log_weights, z_0), log_weights })
    }

    /// Chains and ln weights `[n]`; `step(k, the one before, what was accepted with it)` is the step size at temperature k.
    fn run(
        &self,
        energy: &dyn Energy,
        place: &Place,
        key: &Key,
        step: &mut dyn FnMut(usize, Option<f64>, Option<&Tensor>) -> Result<f64>,
    ) -> Result<(Tensor, Tensor)> {
        let mut z = place.start(self.chains, &key.named("start"));
        let mut weights = Tensor::zeros(z.device(), [self.chains]);
        let (mut size, mut accepted) = (None, None);
        for k in 1..=self.temperatures {
            let beta = self.beta(k);
            let gain = no_grad(|| place.base(&z).0 - energy.energy(&place.x(&z)));
            weights = weights + gain.mul_scalar(beta - self.beta(k - 1));
            let step_size = step(k - 1, size, accepted.as_ref())?;
            let hmc = Hmc { steps: self.moves, leapfrog: LEAPFROG, step_size, temperature: 1.0, clip: place.walls() };
            let moved = hmc.advance(&Bridge { energy, place, beta }, &z, &key.index(k as u64));
            (z, accepted, size) = (moved.x, moved.accepted, Some(step_size));
            z.device().flush();
        }
        Ok((z, weights))
    }

    /// ln of the integral of exp(-E) over the box `bounds`, or over all space from a normal base.
    pub fn log_z(
        &self,
        energy: &dyn Energy,
        device: &Device,
        (sample, bounds): (&[usize], &[[f64; 2]]),
        key: &Key,
    ) -> Result<LogZ> {
        Ok(self.anneal(energy, &Place::new(device, sample, bounds, self.base), key)?.log_z)
    }
}

/// ln Z = ln Z_0 + ln mean w, with the error of the mean relative to it.
fn estimate(log_weights: &[f64], log_z_0: f64) -> LogZ {
    let n = log_weights.len() as f64;
    let top = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let w: Vec<f64> = log_weights.iter().map(|l| (l - top).exp()).collect();
    let (sum, squares) = w.iter().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    let mean = sum / n;
    let variance = w.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0);
    LogZ {
        value: log_z_0 + top + mean.ln(),
        error: (variance / n).sqrt() / mean,
        effective: sum * sum / squares,
        n: log_weights.len(),
    }
}

/// Energies on 400 x 400 cells of the box, and the grid of the unit square that they lie on; in the plane.
pub fn on_grid(energy: &dyn Energy, device: &Device, bounds: &[[f64; 2]]) -> Result<(Grid, Vec<f32>)> {
    let grid = Grid { bounds: [0.0, 1.0], n: 400 };
    let at = |i: usize, u: f32| {
        let [lo, hi] = bounds[(i % 2).min(bounds.len() - 1)];
        (lo + (hi - lo) * f64::from(u)) as f32
    };
    let points: Vec<f32> = grid.points().into_iter().enumerate().map(|(i, u)| at(i, u)).collect();
    Ok((grid, energies(energy, device, &[2], &points, 8192)?))
}

/// ln Z on the box by the grid; in the plane.
pub fn grid_log_z(energy: &dyn Energy, device: &Device, bounds: &[[f64; 2]]) -> Result<f64> {
    let (grid, energies) = on_grid(energy, device, bounds)?;
    let area: f64 = (0..2).map(|d| bounds[d.min(bounds.len() - 1)]).map(|[lo, hi]| (hi - lo).ln()).sum();
    Ok(grid.log_z(&energies) + area)
}
