//! Two-dimensional densities with known answers: what a sampler or an energy must get right before images.
//!
//! U is uniform on (0, 1), N standard normal; every definition is the one of the papers' code where they have one.

use std::f64::consts::{PI, TAU};

use super::draws::Draws;
use crate::error::{Error, Result, nearest};
use crate::tensor::Key;

mod recipes;

/// A density in the plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toy {
    /// (4 cos(k pi/4), 4 sin(k pi/4)) + 0.5 N, all divided by 1.414.
    EightGaussians,
    /// Uniform on eight 2x2 squares of [-4, 4]^2 (GCD).
    CheckerboardA,
    /// Uniform on eight 4x4 squares of [-8, 8]^2 (CDRL).
    CheckerboardB,
    /// s = 3 pi sqrt(U); +-(-s cos s + U/2, s sin s + U/2) / 3 + 0.1 N.
    TwoSpirals,
    /// t = 1.5 pi (1 + 2U); ((t cos t, t sin t) + 0.05 N) / 20.
    SwissRoll,
    /// t = pi U; half (cos t, sin t), half (1 - cos t, 1/2 - sin t); + 0.05 N; divided by 2.
    TwoMoons,
    /// Energy 0.5 ((|z|-2)/0.4)^2 - ln(e^(-0.5((z1-2)/0.6)^2) + e^(-0.5((z1+2)/0.6)^2)) on [-4, 4]^2.
    U1,
    /// Energy 0.5 ((z2 - w1)/0.4)^2 with w1 = sin(pi z1/2), on [-4, 4]^2.
    U2,
    /// Energy -ln(e^(-0.5((z2-w1)/0.35)^2) + e^(-0.5((z2-w1+w2)/0.35)^2)) with w2 = 3 e^(-0.5((z1-1)/0.6)^2).
    U3,
    /// Energy -ln(e^(-0.5((z2-w1)/0.4)^2) + e^(-0.5((z2-w1+w3)/0.35)^2)) with w3 = 3 sigmoid((z1-1)/0.3).
    U4,
    /// Equal Gaussians of deviation 0.1 at the points of {-4, -2, 0, 2, 4}^2.
    TwentyFiveGaussians,
    /// Radius 1, 2 or 3 plus 0.1 N, at a uniform angle.
    Rings,
}

/// The constants of one density. `entropy`, `auc` and `ln_z` come from quadrature, which the tests repeat.
struct Facts {
    toy: Toy,
    name: &'static str,
    bounds: [f64; 2],
    entropy: Option<f64>,
    auc: Option<f64>,
    ln_z: f64,
}

const fn facts(toy: Toy, name: &'static str, bounds: [f64; 2], known: Option<[f64; 2]>, ln_z: f64) -> Facts {
    let (entropy, auc) = match known {
        Some([entropy, auc]) => (Some(entropy), Some(auc)),
        None => (None, None),
    };
    Facts { toy, name, bounds, entropy, auc, ln_z }
}

/// In the order of [`Toy`], which indexes it.
const FACTS: [Facts; 12] = [
    facts(Toy::EightGaussians, "eight-gaussians", [-4.0, 4.0], Some([2.8319, 0.9025]), 0.0),
    facts(Toy::CheckerboardA, "checkerboard-a", [-4.0, 4.0], Some([3.465_735_903, 0.75]), 0.0),
    facts(Toy::CheckerboardB, "checkerboard-b", [-8.0, 8.0], Some([4.852_030_264, 0.75]), 0.0),
    facts(Toy::TwoSpirals, "two-spirals", [-4.0, 4.0], None, 0.0),
    facts(Toy::SwissRoll, "swiss-roll", [-1.0, 1.0], None, 0.0),
    facts(Toy::TwoMoons, "two-moons", [-1.0, 1.5], None, 0.0),
    facts(Toy::U1, "u1", [-4.0, 4.0], Some([2.6600, 0.9172]), 1.8775017),
    facts(Toy::U2, "u2", [-4.0, 4.0], Some([2.5821, 0.9202]), 2.0820892),
    facts(Toy::U3, "u3", [-4.0, 4.0], Some([2.6267, 0.9180]), 2.6417051),
    facts(Toy::U4, "u4", [-4.0, 4.0], Some([2.7662, 0.9059]), 2.6845682),
    facts(Toy::TwentyFiveGaussians, "25-gaussians", [-5.0, 5.0], Some([1.4516, 0.9843]), 0.0),
    facts(Toy::Rings, "rings", [-4.0, 4.0], Some([2.6478, 0.9166]), 0.0),
];

const RINGS: [f64; 3] = [1.0, 2.0, 3.0];
const RING_STD: f64 = 0.1;

/// The centres of equally likely Gaussians, all with deviation `std` in both directions.
#[derive(Clone, Debug)]
pub struct Modes {
    pub centres: Vec<[f64; 2]>,
    pub std: f64,
}

/// The support of a checkerboard: lower-left corners of equally likely squares.
#[derive(Clone, Debug)]
pub struct Squares {
    pub corners: Vec<[f64; 2]>,
    pub side: f64,
}

impl Squares {
    /// The square that holds `x` (borders included), or `None` outside the support.
    pub fn locate(&self, x: [f64; 2]) -> Option<usize> {
        let within = |x: f64, lo: f64| (lo..=lo + self.side).contains(&x);
        self.corners.iter().position(|c| within(x[0], c[0]) && within(x[1], c[1]))
    }
}

impl Toy {
    /// All names that [`Toy::by_name`] knows.
    pub fn all() -> impl Iterator<Item = &'static str> {
        FACTS.iter().map(|f| f.name)
    }

    /// The density called `name`; a setting error with the nearest name otherwise.
    pub fn by_name(name: &str) -> Result<Toy> {
        FACTS.iter().find(|f| f.name == name).map(|f| f.toy).ok_or_else(|| {
            let near = nearest(name, Toy::all()).unwrap_or_default();
            let list: Vec<&str> = Toy::all().collect();
            Error::setting(format!("unknown 2-D density '{name}', did you mean '{near}'? Known: {}", list.join(", ")))
        })
    }

    /// Its name in settings and logs.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// [lo, hi]: the square [lo, hi]^2 on which grids and uniform reference points are taken.
    pub fn bounds(self) -> [f64; 2] {
        self.facts().bounds
    }

    /// H = -E ln p in nats, the lowest negative log likelihood a model can reach; `None` without a closed density.
    pub fn entropy(self) -> Option<f64> {
        self.facts().entropy
    }

    /// The AUC of ln p itself, data against uniform points on the bounds: no energy ranks them better.
    pub fn auc_ceiling(self) -> Option<f64> {
        self.facts().auc
    }

    /// n points, `[n, 2]` row-major. Point i depends on the key and i alone.
    pub fn sample(self, n: usize, key: &Key) -> Vec<f32> {
        let point = self.sampler();
        (0..n as u64).flat_map(|i| point(&mut Draws::new(key.index(i))).map(|v| v as f32)).collect()
    }

    /// ln p(x), normalised (over the bounds for U1 to U4); `None` for the densities without a closed form.
    pub fn log_density(self, x: [f64; 2]) -> Option<f64> {
        if let Some(energy) = self.potential(x) {
            let [lo, hi] = self.bounds();
            let inside = x.iter().all(|v| (lo..=hi).contains(v));
            return Some(if inside { -energy - self.facts().ln_z } else { f64::NEG_INFINITY });
        }
        if let Some(Modes { centres, std }) = self.modes() {
            let ln_norm = (TAU * std * std * centres.len() as f64).ln();
            return Some(log_sum_exp(centres.iter().map(|c| -0.5 * distance_squared(x, *c) / (std * std))) - ln_norm);
        }
        if let Some(squares) = self.squares() {
            let area = squares.corners.len() as f64 * squares.side * squares.side;
            return Some(if squares.locate(x).is_some() { -area.ln() } else { f64::NEG_INFINITY });
        }
        (self == Toy::Rings).then(|| rings_log_density(x))
    }

    /// E(x) with p(x) proportional to exp(-E(x)): the formula itself for U1 to U4, else -ln p(x) where that is known.
    pub fn energy(self, x: [f64; 2]) -> Option<f64> {
        self.potential(x).or_else(|| self.log_density(x).map(|l| -l))
    }

    /// The centres of the mixtures of Gaussians.
    pub fn modes(self) -> Option<Modes> {
        match self {
            Toy::EightGaussians => {
                let centre = |k: usize| k as f64 * PI / 4.0;
                let centres = (0..8).map(|k| [4.0 * centre(k).cos() / 1.414, 4.0 * centre(k).sin() / 1.414]).collect();
                Some(Modes { centres, std: 0.5 / 1.414 })
            }
            Toy::TwentyFiveGaussians => {
                let at = |k: usize| 2.0 * k as f64 - 4.0;
                Some(Modes { centres: (0..25).map(|k| [at(k % 5), at(k / 5)]).collect(), std: 0.1 })
            }
            _ => None,
        }
    }

    /// The squares of the checkerboards.
    pub fn squares(self) -> Option<Squares> {
        const A: [[i32; 2]; 8] = [[-4, 0], [-4, -4], [-2, 2], [-2, -2], [0, 0], [0, -4], [2, 2], [2, -2]];
        const B: [[i32; 2]; 8] = [[4, 0], [0, 4], [0, -4], [4, -8], [-4, -8], [-8, -4], [-4, 0], [-8, 4]];
        let (corners, side) = match self {
            Toy::CheckerboardA => (A, 2.0),
            Toy::CheckerboardB => (B, 4.0),
            _ => return None,
        };
        Some(Squares { corners: corners.map(|c| c.map(f64::from)).to_vec(), side })
    }

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }

    /// The unnormalised energies of U1 to U4.
    fn potential(self, z: [f64; 2]) -> Option<f64> {
        let bump = |x: f64, width: f64| -0.5 * (x / width).powi(2);
        let offset = z[1] - (PI * z[0] / 2.0).sin(); // z2 - w1
        Some(match self {
            Toy::U1 => {
                let ring = -bump(z[0].hypot(z[1]) - 2.0, 0.4);
                ring - log_sum_exp([bump(z[0] - 2.0, 0.6), bump(z[0] + 2.0, 0.6)])
            }
            Toy::U2 => -bump(offset, 0.4),
            Toy::U3 => {
                let w2 = 3.0 * bump(z[0] - 1.0, 0.6).exp();
                -log_sum_exp([bump(offset, 0.35), bump(offset + w2, 0.35)])
            }
            Toy::U4 => {
                let w3 = 3.0 / (1.0 + (-(z[0] - 1.0) / 0.3).exp());
                -log_sum_exp([bump(offset, 0.4), bump(offset + w3, 0.35)])
            }
            _ => return None,
        })
    }
}

/// p(x) = mean over rings of N(|x|; radius, std^2) / (2 pi |x|); negative radii (10 deviations away) are neglected.
fn rings_log_density(x: [f64; 2]) -> f64 {
    let r = x[0].hypot(x[1]).max(f64::MIN_POSITIVE);
    let ln_norm = (RINGS.len() as f64 * RING_STD * TAU.sqrt()).ln() + (TAU * r).ln();
    log_sum_exp(RINGS.map(|radius| -0.5 * ((r - radius) / RING_STD).powi(2))) - ln_norm
}

/// ln sum_i exp(t_i) without overflow.
fn log_sum_exp(terms: impl IntoIterator<Item = f64> + Clone) -> f64 {
    let top = terms.clone().into_iter().fold(f64::NEG_INFINITY, f64::max);
    top + terms.into_iter().map(|t| (t - top).exp()).sum::<f64>().ln()
}

fn distance_squared(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> impl Iterator<Item = Toy> {
        FACTS.iter().map(|f| f.toy).filter(|t| t.log_density([0.0; 2]).is_some())
    }

    /// ln p at the centres of an n x n grid over `scale` times the bounds, and the area of a cell.
    fn grid(toy: Toy, scale: f64, n: usize) -> (Vec<f64>, f64) {
        let [lo, hi] = toy.bounds().map(|b| scale * b);
        let h = (hi - lo) / n as f64;
        let at = |i: usize| lo + (i as f64 + 0.5) * h;
        ((0..n * n).map(|i| toy.log_density([at(i % n), at(i / n)]).unwrap()).collect(), h * h)
    }

    #[test]
    fn names_are_unique_and_index_the_table() {
        for (i, f) in FACTS.iter().enumerate() {
            assert_eq!((f.toy as usize, Toy::by_name(f.name).unwrap()), (i, f.toy));
        }
        let text = Toy::by_name("eight-gausians").unwrap_err().to_string();
        assert!(text.contains("'eight-gaussians'?"), "{text}");
    }

    /// Midpoint sums; the wider box leaves out less than 1e-6 of any tail, and its cells meet the hard borders.
    #[test]
    fn densities_integrate_to_one_and_have_the_stated_entropies() {
        assert_eq!(closed().count(), 9);
        for toy in closed() {
            let (logs, area) = grid(toy, 1.5, 1200);
            let total: f64 = logs.iter().map(|l| l.exp() * area).sum();
            let entropy = -logs.iter().filter(|l| l.is_finite()).map(|l| l.exp() * area * l).sum::<f64>();
            assert!((total - 1.0).abs() < 2e-5, "{}: mass {total}", toy.name());
            assert!((entropy - toy.entropy().unwrap()).abs() < 1e-4, "{}: entropy {entropy}", toy.name());
        }
    }

    /// The AUC of ln p over the cells of the bounds: each cell's mass times the share of cells it beats, ties half.
    #[test]
    fn no_score_can_beat_the_stated_auc_ceilings() {
        for toy in closed() {
            let (mut logs, _) = grid(toy, 1.0, 800);
            logs.sort_unstable_by(f64::total_cmp);
            let (mut below, mut mass, mut won) = (0.0, 0.0, 0.0);
            for ties in logs.chunk_by(|a, b| a == b) {
                let count = ties.len() as f64;
                won += ties[0].exp() * count * (below + 0.5 * count);
                mass += ties[0].exp() * count;
                below += count;
            }
            let auc = won / mass / below;
            assert!((auc - toy.auc_ceiling().unwrap()).abs() < 1e-4, "{}: auc {auc}", toy.name());
        }
    }

    /// -mean ln p over 50 000 draws estimates the entropy only if the draws come from that density.
    #[test]
    fn samples_have_the_entropy_of_their_density() {
        let n = 50_000;
        for toy in closed() {
            let points = toy.sample(n, &Key::new(1));
            let logs: Vec<f64> =
                points.as_chunks::<2>().0.iter().map(|p| -toy.log_density(p.map(f64::from)).unwrap()).collect();
            let mean = logs.iter().sum::<f64>() / n as f64;
            let var = logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n as f64;
            let error = (mean - toy.entropy().unwrap()).abs();
            assert!(error < 4.0 * (var / n as f64).sqrt() + 1e-3, "{}: {mean} +- {var}", toy.name());
        }
    }

    /// The share of the draws in each of 8 x 8 cells is the integral of the density over it, within 5 deviations.
    #[test]
    fn samples_fall_where_the_density_is() {
        let (n, side, fine) = (50_000, 8, 800);
        for toy in closed() {
            let (logs, area) = grid(toy, 1.0, fine);
            let mut mass = vec![0.0; side * side];
            for (i, l) in logs.iter().enumerate() {
                mass[i / fine * side / fine * side + i % fine * side / fine] += l.exp() * area;
            }
            let [lo, hi] = toy.bounds();
            let mut count = vec![0.0; side * side];
            for p in toy.sample(n, &Key::new(2)).as_chunks::<2>().0 {
                let cell = p.map(|v| ((f64::from(v) - lo) / (hi - lo) * side as f64) as usize);
                if cell.iter().all(|&c| c < side) {
                    count[cell[1] * side + cell[0]] += 1.0;
                }
            }
            for (k, (m, c)) in mass.iter().zip(&count).enumerate() {
                let expected = n as f64 * m;
                let bound = 5.0 * expected.sqrt() + 3.0;
                assert!((c - expected).abs() < bound, "{} cell {k}: {c} of {expected}", toy.name());
            }
        }
    }

    /// Facts of the definitions for the sets without a closed density.
    #[test]
    fn spirals_roll_and_moons_lie_where_they_must() {
        let points = |toy: Toy| toy.sample(20_000, &Key::new(3)).as_chunks::<2>().0.to_vec();
        let inside =
            |toy: Toy| points(toy).iter().flatten().all(|&v| (toy.bounds()[0]..toy.bounds()[1]).contains(&v.into()));
        assert!(inside(Toy::TwoSpirals) && inside(Toy::SwissRoll) && inside(Toy::TwoMoons));
        // Swiss roll: |x| = t / 20 with t uniform on (1.5 pi, 4.5 pi): mean 3 pi / 20.
        let mean = points(Toy::SwissRoll).iter().map(|p| f64::from(p[0].hypot(p[1]))).sum::<f64>() / 20_000.0;
        let sd = 3.0 * PI / 20.0 / 12f64.sqrt() / 20_000f64.sqrt();
        assert!((mean - 3.0 * PI / 20.0).abs() < 5.0 * sd, "{mean}");
        // Moons: the mean is half of (0.5, 0.25); the x variance before halving is 1/2 + 1/4 + 0.05^2.
        let moons = points(Toy::TwoMoons);
        let mean = [0, 1].map(|k| moons.iter().map(|p| f64::from(p[k])).sum::<f64>() / 20_000.0);
        assert!((mean[0] - 0.25).abs() < 5.0 * 0.44 / 20_000f64.sqrt(), "{mean:?}");
        assert!((mean[1] - 0.125).abs() < 5.0 * 0.25 / 20_000f64.sqrt(), "{mean:?}");
        // Spirals: symmetric about 0, and E|x|^2 = (E|arm|^2)/9 + 2 * 0.01.
        // E s^2 = 9 pi^2 / 2; the offsets add E(U/2)^2 = 1/12 each and their mean 1/4 times 2 E s (sin s - cos s).
        let (steps, mut cross) = (100_000, 0.0);
        for i in 0..steps {
            let s = 3.0 * PI * ((i as f64 + 0.5) / steps as f64).sqrt();
            cross += 0.5 * s * (s.sin() - s.cos()) / steps as f64;
        }
        let expected = (4.5 * PI * PI + 2.0 / 12.0 + cross) / 9.0 + 0.02;
        let squares: Vec<f64> = points(Toy::TwoSpirals).iter().map(|p| f64::from(p[0] * p[0] + p[1] * p[1])).collect();
        let mean = squares.iter().sum::<f64>() / 20_000.0;
        assert!((mean - expected).abs() < 5.0 * 2.9 / 20_000f64.sqrt(), "{mean} {expected}");
    }

    #[test]
    fn a_longer_draw_begins_with_the_shorter_one() {
        let key = Key::new(4);
        for f in &FACTS {
            assert_eq!(f.toy.sample(10, &key), f.toy.sample(20, &key)[..20]);
        }
    }
}
