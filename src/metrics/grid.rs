//! Scores of a 2-D energy on a grid, where its normalising constant can be computed.

use super::mean_and_std;

/// n x n cells over the square [lo, hi]^2. Protocol: n = 400 on the bounds of the density.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// [lo, hi] of both coordinates.
    pub bounds: [f64; 2],
    pub n: usize,
}

/// A model's negative log likelihood of fresh data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nll {
    /// mean E(x) + ln Z, in nats.
    pub value: f64,
    /// Its standard error over the data.
    pub error: f64,
    pub n: usize,
}

impl Grid {
    /// The centre of cell i; x runs fastest.
    pub fn centre(&self, i: usize) -> [f64; 2] {
        [i % self.n, i / self.n].map(|k| self.bounds[0] + (k as f64 + 0.5) * self.side())
    }

    /// The centres of all cells, `[n * n, 2]`: where to evaluate the energy.
    pub fn points(&self) -> Vec<f32> {
        (0..self.n * self.n).flat_map(|i| self.centre(i)).map(|v| v as f32).collect()
    }

    /// ln Z = ln sum over cells of exp(-E) * area. Energies in the order of [`Grid::points`]; for a temperature
    /// tau pass E / tau, here and below.
    #[track_caller]
    pub fn log_z(&self, energies: &[f32]) -> f64 {
        assert_eq!(energies.len(), self.n * self.n, "one energy per cell of a {0} x {0} grid", self.n);
        self.log_integral(energies.iter().map(|&e| -f64::from(e)))
    }

    /// KL(true || model) in nats, both normalised on the grid: sum p (ln p - ln q), q = exp(-E) * area / Z.
    ///
    /// `log_density`: ln p up to a constant; -inf where there is no mass. +inf if the model has none where p has some.
    #[track_caller]
    pub fn kl(&self, energies: &[f32], log_density: impl Fn([f64; 2]) -> f64) -> f64 {
        let ln_z = self.log_z(energies);
        let ln_p: Vec<f64> = (0..energies.len()).map(|i| log_density(self.centre(i))).collect();
        let ln_mass = self.log_integral(ln_p.iter().copied());
        let ln_area = 2.0 * self.side().ln();
        let term = |(&l, &e): (&f64, &f32)| {
            let (ln_p, ln_q) = (l - ln_mass, -f64::from(e) - ln_z);
            if ln_p == f64::NEG_INFINITY { 0.0 } else { (ln_p + ln_area).exp() * (ln_p - ln_q) }
        };
        if ln_z.is_nan() {
            return f64::NAN; // an energy that is NaN only where there is no data
        }
        ln_p.iter().zip(energies).map(term).sum()
    }

    /// The share of the model's mass in the cells whose centre is `inside`: sum there of exp(-E) * area / Z.
    #[track_caller]
    pub fn share(&self, energies: &[f32], inside: impl Fn([f64; 2]) -> bool) -> f64 {
        let ln_z = self.log_z(energies);
        let term = |(i, &e): (usize, &f32)| if inside(self.centre(i)) { -f64::from(e) } else { f64::NEG_INFINITY };
        if ln_z.is_nan() { f64::NAN } else { (self.log_integral(energies.iter().enumerate().map(term)) - ln_z).exp() }
    }

    /// -mean ln q(x) over fresh data: mean E(x) + ln Z, from the energies at the data and those on the grid.
    ///
    /// Its least value is the entropy of the data. Z counts the mass inside the bounds only.
    #[track_caller]
    pub fn nll(&self, energies: &[f32], data_energies: &[f32]) -> Nll {
        let each: Vec<f64> = data_energies.iter().map(|&e| f64::from(e)).collect();
        let (mean, std) = mean_and_std(&each);
        Nll { value: mean + self.log_z(energies), error: std / (each.len() as f64).sqrt(), n: each.len() }
    }

    fn side(&self) -> f64 {
        (self.bounds[1] - self.bounds[0]) / self.n as f64
    }

    /// ln sum exp(t) * area; -inf where every term is.
    fn log_integral(&self, terms: impl Iterator<Item = f64> + Clone) -> f64 {
        let top = terms.clone().fold(f64::NEG_INFINITY, f64::max);
        if terms.clone().all(|t| t == f64::NEG_INFINITY) {
            return top;
        }
        top + terms.map(|t| (t - top).exp()).sum::<f64>().ln() + 2.0 * self.side().ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Toy;
    use crate::tensor::Key;

    fn energies(grid: &Grid, energy: impl Fn([f64; 2]) -> f64) -> Vec<f32> {
        (0..grid.n * grid.n).map(|i| energy(grid.centre(i)) as f32).collect()
    }

    #[test]
    fn points_are_cell_centres_with_x_fastest() {
        let grid = Grid { bounds: [-1.0, 1.0], n: 2 };
        assert_eq!(grid.points(), [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5]);
    }

    /// Z of |x|^2 / (2 s^2) is 2 pi s^2; KL(N(0, I) || N(0, s^2 I)) in the plane is ln s^2 + 1/s^2 - 1.
    #[test]
    fn gaussians_have_their_closed_form_constant_and_divergence() {
        let grid = Grid { bounds: [-12.0, 12.0], n: 400 };
        let s2 = 2.25;
        let energies = energies(&grid, |x| (x[0] * x[0] + x[1] * x[1]) / (2.0 * s2) + 7.0);
        assert!((grid.log_z(&energies) - (std::f64::consts::TAU * s2).ln() + 7.0).abs() < 1e-5);
        let kl = grid.kl(&energies, |x| -0.5 * (x[0] * x[0] + x[1] * x[1]));
        assert!((kl - (s2.ln() + 1.0 / s2 - 1.0)).abs() < 1e-5, "{kl}");
    }

    /// A unit Gaussian has erf(1 / sqrt 2) of its mass within one deviation of the axis; nothing has mass nowhere.
    #[test]
    fn the_share_of_a_band_is_that_of_the_normal_distribution() {
        let grid = Grid { bounds: [-8.0, 8.0], n: 400 };
        let energies = energies(&grid, |x| (x[0] * x[0] + x[1] * x[1]) / 2.0 - 3.0);
        assert!((grid.share(&energies, |x| x[0].abs() < 1.0) - 0.682_689).abs() < 1e-4);
        assert_eq!(grid.share(&energies, |_| false), 0.0);
        assert!((grid.share(&energies, |_| true) - 1.0).abs() < 1e-12);
    }

    /// The true energy has KL 0 and the entropy as NLL; a shifted one gives the same; flat gives ln(area) - H.
    #[test]
    fn the_true_energy_scores_best() {
        for toy in [Toy::EightGaussians, Toy::CheckerboardB, Toy::U3] {
            let [lo, hi] = toy.bounds();
            let grid = Grid { bounds: [lo, hi], n: 400 };
            let ln_p = |x| toy.log_density(x).unwrap();
            let truth = energies(&grid, |x| 3.0 - ln_p(x));
            assert!(grid.kl(&truth, ln_p).abs() < 1e-6);
            let flat = grid.kl(&vec![0.0; 160_000], ln_p);
            let expected = 2.0 * (hi - lo).ln() - toy.entropy().unwrap();
            assert!((flat - expected).abs() < 5e-3, "{}: {flat} {expected}", toy.name());
            let data = toy.sample(20_000, &Key::new(3));
            let at_data: Vec<f32> =
                data.as_chunks().0.iter().map(|p: &[f32; 2]| 3.0 - ln_p(p.map(f64::from)) as f32).collect();
            let nll = grid.nll(&truth, &at_data);
            assert!((nll.value - toy.entropy().unwrap()).abs() < 4.0 * nll.error + 2e-3, "{}: {nll:?}", toy.name());
        }
    }

    #[test]
    fn nan_energies_give_a_nan_score_and_missing_mass_an_infinite_one() {
        let grid = Grid { bounds: [0.0, 1.0], n: 2 };
        let left = |x: [f64; 2]| if x[0] < 0.5 { 0.0 } else { f64::NEG_INFINITY };
        assert!(grid.kl(&[0.0, f32::NAN, 0.0, 0.0], left).is_nan());
        assert_eq!(grid.kl(&[f32::INFINITY, 0.0, 0.0, 0.0], left), f64::INFINITY);
        assert!((grid.kl(&[0.0, f32::INFINITY, 0.0, f32::INFINITY], left)).abs() < 1e-12);
    }
}
