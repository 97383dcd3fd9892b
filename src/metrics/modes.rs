//! Did the samples find every mode, and in the right proportion?

use crate::data::toy::{Modes, Squares};

/// How samples spread over K equally likely modes.
#[derive(Clone, Debug, PartialEq)]
pub struct ModeScore {
    /// Modes with at least n / (10 K) samples (1/80 of them for K = 8) within 3 deviations of the centre.
    pub covered: usize,
    /// max |mass_k - 1/K|, every sample counted for its nearest centre.
    pub mass_deviation: f64,
    /// Share of the samples nearest to each centre.
    pub mass: Vec<f64>,
    /// Share of the samples within 3 deviations of any centre; 1 - e^-4.5 = 0.989 for the truth.
    pub near: f64,
    pub n: usize,
}

/// How samples spread over the squares of a checkerboard.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportScore {
    /// Share of the samples inside the support, borders included.
    pub inside: f64,
    /// max |mass_k - 1/K| over the K squares.
    pub mass_deviation: f64,
    /// Share of all samples in each square.
    pub mass: Vec<f64>,
    pub n: usize,
}

/// Scores samples `[n, 2]` against a mixture of equal Gaussians. A NaN sample is near no mode and counts for none.
#[track_caller]
pub fn mode_score(samples: &[f32], modes: &Modes) -> ModeScore {
    let points = points(samples);
    let mut nearest_count = vec![0usize; modes.centres.len()];
    let mut near_count = nearest_count.clone();
    for x in points {
        let distances = modes.centres.iter().map(|c| (f64::from(x[0]) - c[0]).hypot(f64::from(x[1]) - c[1]));
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((k, distance)) = nearest.filter(|(_, d)| !d.is_nan()) else { continue };
        nearest_count[k] += 1;
        near_count[k] += usize::from(distance <= 3.0 * modes.std);
    }
    let needed = points.len() as f64 / (10 * modes.centres.len()) as f64;
    let (mass, mass_deviation) = shares(&nearest_count, points.len());
    ModeScore {
        covered: near_count.iter().filter(|&&c| c as f64 >= needed).count(),
        mass_deviation,
        mass,
        near: near_count.iter().sum::<usize>() as f64 / points.len() as f64,
        n: points.len(),
    }
}

/// Scores samples `[n, 2]` against a uniform density on squares.
#[track_caller]
pub fn support_score(samples: &[f32], squares: &Squares) -> SupportScore {
    let points = points(samples);
    let mut count = vec![0usize; squares.corners.len()];
    for x in points {
        if let Some(k) = squares.locate(x.map(f64::from)) {
            count[k] += 1;
        }
    }
    let (mass, mass_deviation) = shares(&count, points.len());
    let inside = count.iter().sum::<usize>() as f64 / points.len() as f64;
    SupportScore { inside, mass_deviation, mass, n: points.len() }
}

/// The samples as pairs.
#[track_caller]
fn points(samples: &[f32]) -> &[[f32; 2]] {
    assert!(!samples.is_empty() && samples.len().is_multiple_of(2), "{} values are not [n, 2] samples", samples.len());
    samples.as_chunks().0
}

/// count / n, and the largest distance of a share from 1/K.
fn shares(count: &[usize], n: usize) -> (Vec<f64>, f64) {
    let mass: Vec<f64> = count.iter().map(|&c| c as f64 / n as f64).collect();
    let deviation = mass.iter().map(|m| (m - 1.0 / count.len() as f64).abs()).fold(0.0, f64::max);
    (mass, deviation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Toy;
    use crate::tensor::Key;

    #[test]
    fn hand_counted_samples() {
        let modes = Modes { centres: vec![[0.0, 0.0], [10.0, 0.0]], std: 1.0 };
        let score = mode_score(&[0.0, 0.0, 2.9, 0.0, 4.0, 0.0, 6.5, 0.0], &modes);
        assert_eq!((score.covered, score.mass, score.mass_deviation), (1, vec![0.75, 0.25], 0.25));
        assert_eq!((score.near, score.n), (0.5, 4));
        let squares = Squares { corners: vec![[0.0, 0.0], [1.0, 1.0]], side: 1.0 };
        let score = support_score(&[0.5, 0.5, 0.2, 0.9, 1.5, 1.5, 1.5, 0.5], &squares);
        assert_eq!((score.inside, score.mass, score.mass_deviation), (0.75, vec![0.5, 0.25], 0.25));
    }

    #[test]
    fn broken_samples_count_for_nothing() {
        let modes = Toy::EightGaussians.modes().unwrap();
        let score = mode_score(&[f32::NAN; 20], &modes);
        assert_eq!((score.covered, score.near, score.mass_deviation), (0, 0.0, 0.125));
    }

    /// Each share has deviation sqrt(.125 * .875 / n); the near share is 1 - e^-4.5.
    #[test]
    fn true_samples_cover_everything_evenly() {
        let n = 10_000;
        let sd = (0.125f64 * 0.875 / n as f64).sqrt();
        let toy = Toy::EightGaussians;
        let score = mode_score(&toy.sample(n, &Key::new(1)), &toy.modes().unwrap());
        assert!(score.covered == 8 && score.mass_deviation < 4.5 * sd, "{score:?}");
        assert!((score.near - (1.0 - (-4.5f64).exp())).abs() < 5.0 * (0.011f64 / n as f64).sqrt(), "{score:?}");
        for toy in [Toy::CheckerboardA, Toy::CheckerboardB] {
            let score = support_score(&toy.sample(n, &Key::new(1)), &toy.squares().unwrap());
            assert!(score.inside == 1.0 && score.mass_deviation < 4.5 * sd, "{score:?}");
        }
        let score = mode_score(&Toy::CheckerboardA.sample(n, &Key::new(1)), &toy.modes().unwrap());
        assert!(score.near < 0.9, "samples of another density: {score:?}");
    }
}
