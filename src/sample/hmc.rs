//! Samplers that a Metropolis test makes exact: Hamiltonian dynamics, and Langevin moves as its shortest form.

use super::{Moved, Sampler};
use crate::energy::Energy;
use crate::tensor::{Key, Tensor};

/// Hamiltonian Monte Carlo (Duane et al. 1987; Neal 2011). A move draws a momentum p ~ N(0, I), follows
/// `H(x, p) = E(x) / T + |p|^2 / 2` for L leapfrog steps of size eps,
///
/// `p <- p - eps/2 dE/dx / T;   x <- x + eps p;   p <- p - eps/2 dE/dx / T`,
///
/// and accepts the end with probability `min(1, exp(H(x, p) - H(x', p')))`: exp(-E / T) is exactly stationary at any step
/// size. In a box the dynamics bounce off the walls, which keeps volume and time reversal (Neal 2011, section 5.5.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Hmc {
    /// Moves.
    pub steps: usize,
    /// L.
    pub leapfrog: usize,
    /// eps, in units of x (the mass is 1).
    pub step_size: f64,
    /// T.
    pub temperature: f64,
    /// Every coordinate stays in this interval.
    pub clip: Option<(f64, f64)>,
}

/// Metropolis-adjusted Langevin: the move `x' = x - eta dE/dx + sqrt(2 eta T) xi`, accepted with probability
///
/// `min(1, exp(-(E(x') - E(x)) / T) q(x | x') / q(x' | x))`, `q(x' | x) = N(x'; x - eta dE/dx, 2 eta T)`.
///
/// In a box the moves bounce off the walls; see [`Mala::hmc`].
#[derive(Clone, Debug, PartialEq)]
pub struct Mala {
    /// Moves.
    pub steps: usize,
    /// eta.
    pub step_size: f64,
    /// T.
    pub temperature: f64,
    /// Every coordinate stays in this interval.
    pub clip: Option<(f64, f64)>,
}

/// A point of phase space, with the energy there.
struct Phase {
    /// `[N, ...]`
    x: Tensor,
    /// p, of x's shape.
    p: Tensor,
    /// E(x), `[N]`.
    e: Tensor,
    /// dE/dx.
    g: Tensor,
}

impl Hmc {
    /// The end of a trajectory of L steps.
    fn trajectory(&self, energy: &dyn Energy, start: &Phase) -> Phase {
        let Hmc { leapfrog, step_size: eps, temperature, .. } = *self;
        let kick = |p: &Tensor, g: &Tensor, part: f64| p - &g.mul_scalar(part * eps / temperature);
        let (mut x, mut p, mut end) = (start.x.clone(), kick(&start.p, &start.g, 0.5), None);
        for l in 1..=leapfrog {
            (x, p) = self.bounce(&x + &p.mul_scalar(eps), p);
            let (e, g) = energy.value_and_gradient(&x);
            // Half kicks of neighbouring steps are one whole kick.
            p = kick(&p, &g, if l < leapfrog { 1.0 } else { 0.5 });
            end = Some((e, g));
        }
        let (e, g) = end.unwrap_or_else(|| (start.e.clone(), start.g.clone()));
        Phase { x, p, e, g }
    }

    /// Folds x back into the box; momenta turn around with every wall met.
    fn bounce(&self, x: Tensor, p: Tensor) -> (Tensor, Tensor) {
        let Some((lo, hi)) = self.clip else { return (x, p) };
        let u = x.affine(1.0 / (hi - lo), -lo / (hi - lo)); // the box is [0, 1]
        let walls = u.floor();
        let odd = &walls - &walls.mul_scalar(0.5).floor().mul_scalar(2.0);
        let inside = u - walls;
        let folded = odd.where_(&inside.affine(-1.0, 1.0), &inside);
        (folded.affine(hi - lo, lo).clamp(lo, hi), p * odd.affine(-2.0, 1.0))
    }

    /// H, `[N]`.
    fn hamiltonian(&self, at: &Phase) -> Tensor {
        let n = at.p.dim(0);
        let kinetic = at.p.square().reshape([n, at.p.numel() / n.max(1)]).sum_axes(&[1]);
        at.e.mul_scalar(1.0 / self.temperature) + kinetic.mul_scalar(0.5)
    }
}

impl Sampler for Hmc {
    fn advance(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Moved {
        x_0.device().phase("chain", || {
            let (device, n) = (x_0.device(), x_0.dim(0));
            let x = x_0.detach();
            let mut accepted = Tensor::zeros(device, [n]);
            let (e, g) = energy.value_and_gradient(&x);
            let mut at = Phase { p: x.clone(), x, e, g };
            for k in 0..self.steps {
                let key = key.index(k as u64);
                at.p = Tensor::normal(device, at.x.shape(), &key.named("momentum"));
                let end = self.trajectory(energy, &at);
                let u = Tensor::uniform(device, [n], &key.named("accept"));
                let accept = u.log().less(&(self.hamiltonian(&at) - self.hamiltonian(&end)));
                let each = accept.per_sample(&at.x);
                at.x = each.where_(&end.x, &at.x);
                at.g = each.where_(&end.g, &at.g);
                at.e = accept.where_(&end.e, &at.e);
                accepted = accepted + accept;
            }
            Moved { x: at.x, accepted: Some(accepted.mul_scalar(1.0 / self.steps.max(1) as f64)) }
        })
    }
}

impl Mala {
    /// The same moves as Hamiltonian ones with L = 1 (Neal 2011, section 5.5.2): with the momentum p = xi,
    /// `x' = x - eps^2 / 2 dE/dx / T + eps xi`, so `eps = sqrt(2 eta T)`, and H contains both q.
    pub fn hmc(&self) -> Hmc {
        let Mala { steps, step_size, temperature, clip } = *self;
        Hmc { steps, leapfrog: 1, step_size: (2.0 * step_size * temperature).sqrt(), temperature, clip }
    }
}

impl Sampler for Mala {
    fn advance(&self, energy: &dyn Energy, x_0: &Tensor, key: &Key) -> Moved {
        self.hmc().advance(energy, x_0, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::GaussianMixture;
    use crate::tensor::Device;

    fn mixture() -> GaussianMixture {
        let centres = Tensor::new(&Device::Oracle, [2, 2], &[-1.0, 0.0, 1.5, 0.5]);
        GaussianMixture { centres, std: 0.7 }
    }

    fn phase(energy: &dyn Energy, n: usize) -> Phase {
        let draw = |name: &str| Tensor::normal(&Device::Oracle, [n, 2], &Key::new(1).named(name));
        let (x, p) = (draw("x").mul_scalar(0.5), draw("p"));
        let (e, g) = energy.value_and_gradient(&x);
        Phase { x, p, e, g }
    }

    fn hmc(leapfrog: usize, step_size: f64) -> Hmc {
        Hmc { steps: 1, leapfrog, step_size, temperature: 1.3, clip: None }
    }

    /// Over a fixed time, halving eps divides the error of H by four.
    #[test]
    fn the_energy_error_falls_as_the_square_of_the_step() {
        let energy = mixture();
        let start = phase(&energy, 200);
        let error = |steps: usize| {
            let h = hmc(steps, 0.8 / steps as f64);
            let drift = h.hamiltonian(&h.trajectory(&energy, &start)) - h.hamiltonian(&start);
            drift.square().mean().sqrt().item().unwrap()
        };
        let errors = [4, 8, 16, 32].map(error);
        for pair in errors.windows(2) {
            assert!((pair[0] / pair[1] - 4.0).abs() < 0.4, "{errors:?}");
        }
    }

    /// Turning the momentum around at the end leads back to the start, walls or not.
    #[test]
    fn trajectories_are_reversible_and_stay_in_their_box() {
        let energy = mixture();
        for clip in [None, Some((-0.6, 0.5))] {
            let h = Hmc { clip, ..hmc(12, 0.3) };
            let mut start = phase(&energy, 100);
            start.x = clip.map_or(start.x.clone(), |(lo, hi)| start.x.clamp(lo, hi));
            (start.e, start.g) = energy.value_and_gradient(&start.x);
            let mut end = h.trajectory(&energy, &start);
            let inside = |v: &f64| clip.is_none_or(|(lo, hi)| (lo..=hi).contains(v));
            assert!(end.x.to_f64().unwrap().iter().all(inside));
            end.p = -end.p;
            let back = h.trajectory(&energy, &end);
            let off = (&back.x - &start.x).abs().to_f64().unwrap().into_iter().fold(0.0, f64::max);
            assert!(off < 1e-9, "{off}");
        }
    }

    /// The ratio of one leapfrog step is that of Metropolis-adjusted Langevin, written with its densities q.
    #[test]
    fn one_step_has_the_acceptance_ratio_of_langevin_with_its_densities() {
        let (energy, eta, temperature) = (mixture(), 0.4, 1.3);
        let mala = Mala { steps: 1, step_size: eta, temperature, clip: None };
        let start = phase(&energy, 50);
        let end = mala.hmc().trajectory(&energy, &start);
        let noise = start.p.mul_scalar((2.0 * eta * temperature).sqrt());
        let moved = &(&start.x - &start.g.mul_scalar(eta)) + &noise;
        let log_q = |to: &Phase, from: &Phase| {
            let d = (&to.x - &from.x) + from.g.mul_scalar(eta);
            d.square().sum_axes(&[1]).mul_scalar(-1.0 / (4.0 * eta * temperature))
        };
        let ratio = (&start.e - &end.e).mul_scalar(1.0 / temperature) + (log_q(&start, &end) - log_q(&end, &start));
        let got = mala.hmc().hamiltonian(&start) - mala.hmc().hamiltonian(&end);
        for (a, b) in [(moved, end.x), (ratio, got)] {
            let off = (a - b).abs().to_f64().unwrap().into_iter().fold(0.0, f64::max);
            assert!(off < 1e-9, "{off}");
        }
    }
}
